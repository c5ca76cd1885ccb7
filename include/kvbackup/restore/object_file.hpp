// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/sst/random_access.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// Exactly the bytes asked for; a backend that gives fewer is a failed read.
template <ReadableBackend Backend>
[[nodiscard]] Result<std::string> read_object_range(Backend& backend, std::string_view name,
                                                    std::uint64_t offset, std::uint64_t length) {
  auto bytes = backend.read_range(name, offset, length);
  if (!bytes.ok()) return std::move(bytes).status().with_object(name);
  if (bytes.value().size() == length) return bytes;
  return Status::error(StatusCode::io_error,
                       "the storage gave " + std::to_string(bytes.value().size()) +
                           " bytes where " + std::to_string(length) + " were asked for")
      .with_object(name);
}

}  // namespace detail

/// An object of a backend as the file that a TableReader reads: every read is one read_range() of
/// the backend. Borrows the backend.
template <ReadableBackend Backend>
class ObjectFile {
 public:
  /// `size` is the object's, in bytes.
  ObjectFile(Backend& backend, std::string name, std::uint64_t size)
      : backend_(&backend), name_(std::move(name)), size_(size) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// The bytes [offset, offset + length), a view of `scratch`.
  [[nodiscard]] Result<ByteView> read(std::uint64_t offset, std::size_t length,
                                      std::string& scratch) const {
    if (!detail::lies_inside(size_, offset, length)) {
      return detail::read_past_end(size_, offset, length).with_object(name_);
    }
    auto bytes = detail::read_object_range(*backend_, name_, offset, length);
    if (!bytes.ok()) return std::move(bytes).status();
    scratch = std::move(bytes).value();
    return ByteView(scratch);
  }

 private:
  Backend* backend_;
  std::string name_;
  std::uint64_t size_;
};

}  // namespace kvbackup::inline v1
