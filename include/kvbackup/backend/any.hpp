// SPDX-License-Identifier: Apache-2.0
// A backend chosen at run time among those of a build: one switch an operation.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// One of `Bs`. Readable if all of them are.
template <ObjectBackend... Bs>
requires(sizeof...(Bs) > 0) class AnyBackend {
 public:
  class Writer {
   public:
    template <std::size_t I, class W>
    Writer(std::in_place_index_t<I> index, W&& writer) : writer_(index, std::forward<W>(writer)) {}

    Status append(ByteView bytes) {
      return std::visit([bytes](auto& writer) { return writer.append(bytes); }, writer_);
    }
    Result<ObjectInfo> commit() {
      return std::visit([](auto& writer) { return writer.commit(); }, writer_);
    }
    void abandon() {
      std::visit([](auto& writer) { writer.abandon(); }, writer_);
    }

   private:
    std::variant<WriterOf<Bs>...> writer_;
  };

  template <class B>
  requires(std::same_as<std::remove_cvref_t<B>, Bs> || ...)
      // NOLINTNEXTLINE(google-explicit-constructor): any of them is one
      AnyBackend(B&& backend)
      : backend_(std::forward<B>(backend)) {}

  Result<Writer> create(std::string_view name, CreateOptions options = {}) {
    return create_as<0>(name, options);
  }
  [[nodiscard]] std::string url() const {
    return std::visit([](const auto& backend) { return backend.url(); }, backend_);
  }
  [[nodiscard]] bool keeps_objects() const {
    return std::visit([](const auto& backend) { return kvbackup::keeps_objects(backend); },
                      backend_);
  }

  Result<std::string> read(std::string_view name) requires(ReadableBackend<Bs>&&...) {
    return std::visit([&](auto& backend) { return backend.read(name); }, backend_);
  }
  Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                 std::uint64_t length) requires(ReadableBackend<Bs>&&...) {
    return std::visit([&](auto& backend) { return backend.read_range(name, offset, length); },
                      backend_);
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) requires(ReadableBackend<Bs>&&...) {
    return std::visit([&](auto& backend) { return backend.list(prefix); }, backend_);
  }
  Result<bool> exists(std::string_view name) requires(ReadableBackend<Bs>&&...) {
    return std::visit([&](auto& backend) { return backend.exists(name); }, backend_);
  }
  Status remove(std::string_view name) requires(ReadableBackend<Bs>&&...) {
    return std::visit([&](auto& backend) { return backend.remove(name); }, backend_);
  }

  [[nodiscard]] bool decides_if_absent() const {
    return std::visit([](const auto& backend) { return kvbackup::decides_if_absent(backend); },
                      backend_);
  }
  /// None where the backend keeps no such things.
  Result<std::vector<UnfinishedObject>> list_unfinished(std::string_view prefix) requires(
      ReadableBackend<Bs>&&...) {
    return std::visit(
        [&](auto& backend) -> Result<std::vector<UnfinishedObject>> {
          if constexpr (UnfinishedBackend<std::remove_reference_t<decltype(backend)>>) {
            return backend.list_unfinished(prefix);
          } else {
            return std::vector<UnfinishedObject>{};
          }
        },
        backend_);
  }
  Status end_unfinished(const UnfinishedObject& object) requires(ReadableBackend<Bs>&&...) {
    return std::visit(
        [&](auto& backend) -> Status {
          if constexpr (UnfinishedBackend<std::remove_reference_t<decltype(backend)>>) {
            return backend.end_unfinished(object);
          } else {
            return {};
          }
        },
        backend_);
  }

  /// The backend held, if it is a `B`; else null.
  template <class B>
  [[nodiscard]] B* get_if() noexcept {
    return std::get_if<B>(&backend_);
  }

 private:
  // By index, since two backends may share one type of writer.
  template <std::size_t I>
  Result<Writer> create_as(std::string_view name, const CreateOptions& options) {
    if constexpr (I + 1 < sizeof...(Bs)) {
      if (backend_.index() != I) return create_as<I + 1>(name, options);
    }
    auto writer = std::get_if<I>(&backend_)->create(name, options);
    if (!writer.ok()) return std::move(writer).status();
    return Writer(std::in_place_index<I>, std::move(writer).value());
  }

  std::variant<Bs...> backend_;
};

}  // namespace kvbackup::inline v1
