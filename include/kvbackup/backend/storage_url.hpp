// SPDX-License-Identifier: Apache-2.0
// Storage URLs as BR's --storage spells them: into a StorageBackend message, and out of one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "kvbackup/backend/cloud_dynamic.hpp"
#include "kvbackup/backend/detail/bucket_options.hpp"
#include "kvbackup/backend/detail/bucket_url.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/url.hpp"
#include "kvbackup/proto/storage_backend.hpp"

namespace kvbackup::inline v1 {

/// Options that count where a URL's query lacks them, under the query's keys: a program's flags.
struct StorageUrlDefaults {
  QueryParameters s3;
  QueryParameters gcs;
};

namespace detail {
KVBACKUP_DETAIL_COLD inline Status bad_storage_url(StatusCode code, std::string message) {
  message += "; give a path, local:///path, s3://bucket/prefix, gcs://bucket/prefix or noop://";
  return Status::error(code, std::move(message));
}

/// A scheme of RFC 3986 in lower case, or nothing.
[[nodiscard]] inline std::optional<std::string> url_scheme(std::string_view text) {
  std::string scheme;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool letter = upper || (c >= 'a' && c <= 'z');
    const bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!letter && (!other || scheme.empty())) return std::nullopt;
    scheme.push_back(upper ? static_cast<char>(c - 'A' + 'a') : c);
  }
  if (scheme.empty()) return std::nullopt;
  return scheme;
}

template <class Message>
[[nodiscard]] StorageBackend storage_of(Message message) {
  StorageBackend to;
  to.backend = std::move(message);
  return to;
}

/// `rest` is what follows "local://". As in BR, a host is dropped, and so are query and fragment.
[[nodiscard]] inline Result<StorageBackend> parse_local_url(std::string_view rest) {
  const std::string_view hierarchy = rest.substr(0, rest.find_first_of("?#"));
  const std::size_t slash = hierarchy.find('/');
  if (slash == std::string_view::npos) {
    return bad_storage_url(StatusCode::invalid_argument,
                           "the storage URL has no path (three slashes: local:///path)");
  }
  auto path = percent_decode(hierarchy.substr(slash));
  if (!path || path->find('\0') != std::string::npos) {
    return bad_storage_url(StatusCode::invalid_argument,
                           "the path of the storage URL has a bad percent code (a % is %25)");
  }
  return storage_of(Local{.path = std::move(*path), .unknown_fields = {}});
}

/// What stands before the query of a bucket's URL.
struct BucketPlace {
  std::string bucket;
  std::string prefix;  ///< without slashes at its ends, as BR has it
};

[[nodiscard]] inline Result<BucketPlace> parse_bucket_place(std::string_view hierarchy) {
  const std::string_view host = hierarchy.substr(0, hierarchy.find('/'));
  if (host.find('@') != std::string_view::npos) {
    return bad_storage_url(StatusCode::invalid_argument,
                           "the storage URL holds a user name; credentials are options of it");
  }
  auto bucket = percent_decode(host);
  auto prefix = percent_decode(hierarchy.substr(host.size()));
  const auto has_zero = [](const auto& text) { return text->find('\0') != std::string::npos; };
  if (!bucket || !prefix || has_zero(bucket) || has_zero(prefix)) {
    return bad_storage_url(StatusCode::invalid_argument,
                           "bucket or prefix of the storage URL has a bad percent code (a % is "
                           "%25)");
  }
  if (bucket->empty()) {
    return bad_storage_url(StatusCode::invalid_argument, "the storage URL names no bucket");
  }
  const std::size_t begin = prefix->find_first_not_of('/');
  if (begin == std::string::npos) return BucketPlace{std::move(*bucket), {}};
  const std::size_t end = prefix->find_last_not_of('/') + 1;
  return BucketPlace{std::move(*bucket), prefix->substr(begin, end - begin)};
}

/// `rest` is what follows "s3://"; `to_message` makes the message of the options.
template <class ToMessage>
[[nodiscard]] Result<StorageBackend> parse_bucket_url(std::string_view rest,
                                                      const QueryParameters& defaults,
                                                      ToMessage to_message) {
  // BR drops a fragment, and with it half of the prefix
  if (rest.find('#') != std::string_view::npos) {
    return bad_storage_url(StatusCode::invalid_argument,
                           "the storage URL has a fragment (a # is %23)");
  }
  const std::string_view hierarchy = rest.substr(0, rest.find('?'));
  rest.remove_prefix(hierarchy.size());
  auto place = parse_bucket_place(hierarchy);
  if (!place.ok()) return std::move(place).status();
  auto options = parse_url_options(rest.empty() ? rest : rest.substr(1));
  if (!options.ok()) return std::move(options).status();
  const std::size_t given = options.value().size();
  for (const auto& [key, value] : defaults) {
    const auto end = options.value().begin() + static_cast<std::ptrdiff_t>(given);
    const bool is_given = std::any_of(options.value().begin(), end,
                                      [&key](const auto& option) { return option.first == key; });
    if (!is_given) options.value().emplace_back(key, value);
  }
  auto message = to_message(std::move(options).value());
  if (!message.ok()) return std::move(message).status();
  message.value().bucket = std::move(place.value().bucket);
  message.value().prefix = std::move(place.value().prefix);
  return storage_of(std::move(message).value());
}

/// `rest` is what follows "scheme://".
[[nodiscard]] inline Result<StorageBackend> parse_schemed_url(const std::string& scheme,
                                                              std::string_view rest,
                                                              Environment& environment,
                                                              const StorageUrlDefaults& defaults) {
  if (scheme == "local" || scheme == "file") return parse_local_url(rest);
  if (scheme == "noop") return storage_of(Noop{});
  if (scheme == "s3") {
    return parse_bucket_url(rest, defaults.s3, [](QueryParameters options) {
      return s3_from_options(std::move(options));
    });
  }
  if (scheme == "gcs" || scheme == "gs") {
    return parse_bucket_url(rest, defaults.gcs, [&environment](QueryParameters options) {
      return gcs_from_options(std::move(options), environment);
    });
  }
  if (scheme == "azure" || scheme == "azblob" || scheme == "hdfs") {
    return bad_storage_url(StatusCode::unsupported, scheme + ":// storage is not supported");
  }
  return bad_storage_url(StatusCode::invalid_argument, "unknown storage scheme \"" + scheme + '"');
}
}  // namespace detail

/// Takes "local:///path" and "file:///path" (percent-coded), "noop://", "s3://bucket/prefix" and
/// "gcs://" or "gs://bucket/prefix", both with BR's options in their query, or a plain path, which
/// is taken literally. Options, by key (case does not matter, '_' is '-'):
///
///   s3       endpoint region storage-class sse sse-kms-key-id acl access-key secret-access-key
///            provider force-path-style (default: true) use-accelerate-endpoint (refused if true)
///   gcs, gs  endpoint storage-class predefined-acl credentials-file
///
/// `environment` reads the file of credentials-file. Errors: invalid_argument, naming an option
/// that is not known; unsupported for storage that only BR knows. They show no more of the URL than
/// its scheme and the names of options, since a query may hold credentials.
[[nodiscard]] inline Result<StorageBackend> parse_storage_url(
    std::string_view text, Environment& environment, const StorageUrlDefaults& defaults = {}) {
  if (text.empty()) {
    return detail::bad_storage_url(StatusCode::invalid_argument, "the storage URL is empty");
  }
  const std::size_t colon = text.find(':');
  const auto scheme =
      colon == std::string_view::npos ? std::nullopt : detail::url_scheme(text.substr(0, colon));
  if (scheme && text.substr(colon).starts_with("://")) {
    return detail::parse_schemed_url(*scheme, text.substr(colon + 3), environment, defaults);
  }
  constexpr std::array<std::string_view, 9> known{"local", "file",  "noop",   "s3",  "gcs",
                                                  "gs",    "azure", "azblob", "hdfs"};
  if (scheme && std::find(known.begin(), known.end(), *scheme) != known.end()) {
    return detail::bad_storage_url(
        StatusCode::invalid_argument,
        "two slashes are missing after \"" + *scheme + ":\" in the storage URL");
  }
  if (text.find('\0') != std::string_view::npos) {
    return detail::bad_storage_url(StatusCode::invalid_argument,
                                   "the path of the storage holds a zero byte");
  }
  return detail::storage_of(Local{.path = std::string(text), .unknown_fields = {}});
}

#if KVBACKUP_WITH_POSIX
/// The same with this process's files.
[[nodiscard]] inline Result<StorageBackend> parse_storage_url(std::string_view text) {
  return parse_storage_url(text, process_environment());
}
#endif

namespace detail {
[[nodiscard]] inline std::string shown_storage(const std::monostate&) {
  return "(no storage backend)";
}
[[nodiscard]] inline std::string shown_storage(const Noop&) { return "noop:///"; }
[[nodiscard]] inline std::string shown_storage(const Local& local) {
  if (local.path.starts_with('/')) return "local://" + percent_encode(local.path, "/");
  return local.path;
}
[[nodiscard]] inline std::string shown_storage(const S3& s3) {
  std::string url = bucket_url("s3", s3.bucket, s3.prefix);
  append_endpoint(url, s3.endpoint);
  append_url_option(url, "region", s3.region);
  append_url_option(url, "storage-class", s3.storage_class);
  append_url_option(url, "sse", s3.sse);
  append_url_option(url, "sse-kms-key-id", s3.sse_kms_key_id);
  append_url_option(url, "acl", s3.acl);
  if (!s3.force_path_style) append_url_option(url, "force-path-style", "false");
  return url;
}
[[nodiscard]] inline std::string shown_storage(const GCS& gcs) {
  std::string url = bucket_url("gcs", gcs.bucket, gcs.prefix);
  append_endpoint(url, gcs.endpoint);
  append_url_option(url, "storage-class", gcs.storage_class);
  append_url_option(url, "predefined-acl", gcs.predefined_acl);
  return url;
}
[[nodiscard]] inline std::string shown_storage(const CloudDynamic& cloud) {
  const auto resolved = resolve_cloud(cloud);
  if (!resolved.ok()) return "cloud_dynamic (" + percent_encode(cloud.provider_name) + ")";
  if (const S3* s3 = std::get_if<S3>(&resolved.value().backend)) return shown_storage(*s3);
  return shown_storage(std::get<GCS>(resolved.value().backend));
}
}  // namespace detail

/// Where the message points to, for people and logs: a URL that parse_storage_url takes, but for
/// slashes at the ends of a prefix, without keys, credentials or an endpoint that could hold some.
[[nodiscard]] inline std::string storage_url(const StorageBackend& storage) {
  return std::visit([](const auto& message) { return detail::shown_storage(message); },
                    storage.backend);
}

}  // namespace kvbackup::inline v1
