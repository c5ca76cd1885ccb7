// SPDX-License-Identifier: Apache-2.0
// The backend that a StorageBackend message names, among those that a program has.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "kvbackup/backend/any.hpp"
#include "kvbackup/backend/cloud_dynamic.hpp"
#include "kvbackup/backend/gcs.hpp"
#include "kvbackup/backend/gcs_options.hpp"
#include "kvbackup/backend/local.hpp"
#include "kvbackup/backend/noop.hpp"
#include "kvbackup/backend/s3.hpp"
#include "kvbackup/backend/s3_options.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/proto/storage_backend.hpp"

namespace kvbackup::inline v1 {

/// What no message says: timeouts, sizes, observers, seams. What the message has a field for is
/// taken from there, whatever stands here.
struct OpenBackendOptions {
  S3Options s3;
  GcsOptions gcs;
};

/// How a backend is made of the message it stands for: `static B open(const M&, options)`, for one
/// message M of StorageBackend. A host's own backend may have one, too. Without it (MemoryBackend)
/// no message leads to the backend.
template <class B>
struct StorageOpener {};

template <>
struct StorageOpener<NoopBackend> {
  static constexpr std::string_view name = "noop";
  static NoopBackend open(const Noop&, const OpenBackendOptions&) { return {}; }
};
#if KVBACKUP_WITH_POSIX
template <>
struct StorageOpener<LocalBackend> {
  static constexpr std::string_view name = "local";
  static LocalBackend open(const Local& message, const OpenBackendOptions&) {
    return LocalBackend(message.path);
  }
};
#endif
#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_THREADS && KVBACKUP_WITH_POSIX
template <class Transport>
struct StorageOpener<BasicS3Backend<Transport>> {
  static constexpr std::string_view name = "S3";
  static BasicS3Backend<Transport> open(const S3& message, const OpenBackendOptions& options) {
    return BasicS3Backend<Transport>(S3Options::from(message, options.s3));
  }
};
#endif
#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_POSIX
template <class Transport>
struct StorageOpener<BasicGcsBackend<Transport>> {
  static constexpr std::string_view name = "GCS";
  static BasicGcsBackend<Transport> open(const GCS& message, const OpenBackendOptions& options) {
    return BasicGcsBackend<Transport>(GcsOptions::from(message, options.gcs));
  }
};
#endif

namespace detail {
template <class B, class Message>
concept Opens = requires(const Message& message, const OpenBackendOptions& options) {
  { StorageOpener<B>::open(message, options) } -> std::same_as<B>;
};

template <class B>
void append_opener(std::string& names) {
  if constexpr (requires { StorageOpener<B>::name; }) {
    if (!names.empty()) names += ", ";
    names += StorageOpener<B>::name;
  }
}

template <class... Bs>
KVBACKUP_DETAIL_COLD [[nodiscard]] Status not_built_in(std::string_view what) {
  std::string names;
  (append_opener<Bs>(names), ...);
  std::string message(what);
  message += " is not built in; this program stores to: ";
  message += names.empty() ? "nothing that a message names" : names;
  return Status::error(StatusCode::unsupported, std::move(message));
}

template <class Any>
struct AnyOpener;

template <class... Bs>
struct AnyOpener<AnyBackend<Bs...>> {
  using Any = AnyBackend<Bs...>;

  /// The first of Bs that is made of such a message.
  template <class Message>
  static Result<Any> open(const Message& message, std::string_view what,
                          const OpenBackendOptions& options) {
    std::optional<Any> found;
    (try_one<Bs>(found, message, options), ...);
    if (found) return std::move(*found);
    return not_built_in<Bs...>(what);
  }

 private:
  template <class B, class Message>
  static void try_one(std::optional<Any>& found, const Message& message,
                      const OpenBackendOptions& options) {
    if constexpr (Opens<B, Message>) {
      if (!found) found.emplace(StorageOpener<B>::open(message, options));
    }
  }
};
}  // namespace detail

/// The backend of `Any`, an AnyBackend<Bs...>, that `storage` asks for. Nothing outside of the
/// process is touched. Errors: invalid_argument ("bad storage backend") if nothing is set, or a
/// CloudDynamic holds what is not known; unsupported, with what there is instead, if none of Bs
/// is it. A backend that is not among Bs costs no code.
template <class Any>
[[nodiscard]] Result<Any> open_backend(const StorageBackend& storage,
                                       const OpenBackendOptions& options = {}) {
  using Opener = detail::AnyOpener<Any>;
  const auto& set = storage.backend;
  if (const Noop* noop = std::get_if<Noop>(&set)) {
    return Opener::open(*noop, "noop storage", options);
  }
  if (const Local* local = std::get_if<Local>(&set)) {
    if (local->path.empty()) {
      return Status::error(StatusCode::invalid_argument, "bad storage backend: local has no path");
    }
    return Opener::open(*local, "local storage", options);
  }
  if (const S3* s3 = std::get_if<S3>(&set)) return Opener::open(*s3, "S3", options);
  if (const GCS* gcs = std::get_if<GCS>(&set)) return Opener::open(*gcs, "GCS", options);
  if (const CloudDynamic* cloud = std::get_if<CloudDynamic>(&set)) {
    const auto resolved = resolve_cloud(*cloud);
    if (!resolved.ok()) return resolved.status();
    return open_backend<Any>(resolved.value(), options);
  }
  return Status::error(StatusCode::invalid_argument,
                       "bad storage backend: none is set; set noop, local, s3, gcs or "
                       "cloud_dynamic");
}

}  // namespace kvbackup::inline v1
