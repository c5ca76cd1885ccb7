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
#include "kvbackup/config.hpp"
#include "kvbackup/sst/random_access.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// What it means that an object of a backup, which backupmeta names and measures, was not read: one
/// that is not there, shorter, or of a name that no object can have is damage.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status object_failure(Status status,
                                                                std::string_view name) {
  std::string what;
  if (status.code() == StatusCode::not_found) {
    what = "it is missing";
  } else if (status.code() == StatusCode::invalid_argument) {
    what = "it is not the object that backupmeta describes: " + std::string(status.message());
  } else {
    return std::move(status).with_object(name);
  }
  what += "; verify the backup, and take the file from another copy";
  return Status::error(StatusCode::corruption, std::move(what)).with_object(name);
}

/// Exactly the bytes asked for of an object that backupmeta names; a backend that gives fewer is a
/// failed read.
template <ReadableBackend Backend>
[[nodiscard]] Result<std::string> read_object_range(Backend& backend, std::string_view name,
                                                    std::uint64_t offset, std::uint64_t length) {
  auto bytes = backend.read_range(name, offset, length);
  if (!bytes.ok()) return object_failure(std::move(bytes).status(), name);
  if (bytes.value().size() == length) return bytes;
  return Status::error(StatusCode::io_error,
                       "the storage gave " + std::to_string(bytes.value().size()) +
                           " bytes where " + std::to_string(length) + " were asked for")
      .with_object(name);
}

}  // namespace detail

/// An object that a backupmeta names as the file that a TableReader reads: every read is one
/// read_range() of the backend, and an object that is missing or shorter is corruption. Borrows the
/// backend.
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
