// SPDX-License-Identifier: Apache-2.0
// The RandomAccessFile contract: where a table is read from.
//
// | expression                | result           | meaning
// |---------------------------|------------------|---------------------------------------------------
// | f.size()                  | uint64_t         | bytes in the file
// | f.read(off, n, scratch)   | Result<ByteView> | exactly n bytes; the view lives until `scratch`
// |                           |                  | changes or the file object dies
// | f.name()                  | string           | optional: what messages call it
//
// Laws no compiler checks: read() may be called from several threads at once, each with a scratch
// of its own; bytes outside of the file are StatusCode::corruption, because only a damaged table
// asks for them; the content does not change while it is read; views stay good when the object
// moves.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/file.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

/// A file that is read at any place, from several threads at once: read() gives exactly the bytes
/// [offset, offset + length), a view of `scratch` or of what the file itself holds, which lives as
/// long as both; a read past size() bytes is an error.
template <class F>
concept RandomAccessFile = std::movable<F> &&
    requires(const F& f, std::uint64_t offset, std::size_t length, std::string& scratch) {
  { f.size() } -> std::same_as<std::uint64_t>;
  { f.read(offset, length, scratch) } -> std::same_as<Result<ByteView>>;
};

namespace detail {
/// What a read of bytes that are not there gives.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status read_past_end(std::uint64_t size,
                                                               std::uint64_t offset,
                                                               std::uint64_t length) {
  std::string message("the file ends at byte ");
  message += std::to_string(size);
  message += ", but ";
  message += std::to_string(length);
  message += " bytes at ";
  message += std::to_string(offset);
  message += " were asked for; it is cut off or damaged, take it from another copy";
  return Status::error(StatusCode::corruption, std::move(message));
}
[[nodiscard]] constexpr bool lies_inside(std::uint64_t size, std::uint64_t offset,
                                         std::uint64_t length) {
  return offset <= size && length <= size - offset;
}
}  // namespace detail

/// A file whose bytes are in memory. Copies share them.
class MemoryFile {
 public:
  /// Owns the bytes.
  explicit MemoryFile(std::string bytes)
      : owned_(std::make_shared<const std::string>(std::move(bytes))), bytes_(*owned_) {}
  /// Borrows them: they outlive the file and what is read from it.
  [[nodiscard]] static MemoryFile borrow(ByteView bytes) {
    MemoryFile file;
    file.bytes_ = bytes;
    return file;
  }

  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  /// A view of the bytes themselves; `scratch` is left alone.
  [[nodiscard]] Result<ByteView> read(std::uint64_t offset, std::size_t length,
                                      std::string& /*scratch*/) const {
    if (!detail::lies_inside(size(), offset, length)) {
      return detail::read_past_end(size(), offset, length);
    }
    return bytes_.substr(static_cast<std::size_t>(offset), length);
  }

 private:
  MemoryFile() = default;

  std::shared_ptr<const std::string> owned_;
  ByteView bytes_;
};
static_assert(RandomAccessFile<MemoryFile>);

}  // namespace kvbackup::inline v1

#if KVBACKUP_WITH_POSIX
#include <fcntl.h>

namespace kvbackup::inline v1 {

/// A file of the system, read by pread(2).
class PosixFile {
 public:
  /// Opens `path` for reading. What the system refuses comes as errno_status() says it.
  [[nodiscard]] static Result<PosixFile> open(std::string path) {
    auto handle = FileHandle::open(std::move(path), O_RDONLY);
    if (!handle.ok()) return std::move(handle).status();
    const auto size = handle.value().size();
    if (!size.ok()) return size.status();
    return PosixFile(std::move(handle).value(), size.value());
  }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& name() const { return handle_.path(); }
  [[nodiscard]] Result<ByteView> read(std::uint64_t offset, std::size_t length,
                                      std::string& scratch) const {
    if (!detail::lies_inside(size_, offset, length)) {
      return detail::read_past_end(size_, offset, length).with_object(name());
    }
    scratch.resize(length);
    Status status = handle_.read_exact_at(offset, scratch.data(), length);
    if (!status.ok()) return status;
    return ByteView(scratch);
  }

 private:
  PosixFile(FileHandle handle, std::uint64_t size) : handle_(std::move(handle)), size_(size) {}

  FileHandle handle_;
  std::uint64_t size_;
};
static_assert(RandomAccessFile<PosixFile>);

}  // namespace kvbackup::inline v1
#endif
