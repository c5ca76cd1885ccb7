// SPDX-License-Identifier: Apache-2.0
// One object of the local backend on its way to the disk.
#pragma once

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/local_folder.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/file.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <stdio.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace kvbackup::inline v1::detail {

/// A temporary file and the bytes not yet written to it. Owns both: whatever ends it but a
/// successful commit() removes the file.
class LocalObject {
 public:
  /// A block of an SST is far smaller; this many bytes make one system call.
  static constexpr std::size_t buffer_size = 256 * 1024;
  /// The disk is set to work about as often, so that it is not idle until commit() waits for it. A
  /// disk of 1 GB/s takes 8 ms for it: long against a system call, short against a file.
  static constexpr std::uint64_t write_back_size = 8 * 1024 * 1024;

  LocalObject(FileHandle folder, std::string_view name, bool if_absent)
      : folder_(std::move(folder)), name_(name), file_name_(file_of(name)), if_absent_(if_absent) {}
  LocalObject(const LocalObject&) = delete;
  LocalObject& operator=(const LocalObject&) = delete;
  ~LocalObject() { discard(); }

  /// Creates the temporary file.
  Status open() {
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    constexpr mode_t mode = 0644;
    constexpr int most_tries = 16;
    for (int tries = 1;; ++tries) {
      temporary_ = temporary_name(file_name_);
      auto file = FileHandle::open_at(folder_, temporary_, flags, mode);
      if (file.ok()) {
        file_ = std::move(file).value();
        return {};
      }
      if (tries == most_tries || file.status().native_code() != EEXIST) {
        temporary_.clear();
        return std::move(file).status();
      }
    }
  }

  Status append(ByteView bytes) {
    if (!file_.is_open()) return ended();
    size_ += bytes.size();
    if (buffer_.capacity() < buffer_size) buffer_.reserve(buffer_size);
    if (buffer_.size() + bytes.size() < buffer_size) {
      buffer_ += bytes;
      return {};
    }
    // Fills the buffer up, so that writes begin at multiples of its size.
    const std::size_t fill = buffer_.empty() ? 0 : buffer_size - buffer_.size();
    buffer_ += bytes.substr(0, fill);
    bytes.remove_prefix(fill);
    if (Status status = flush(); !status.ok()) return failed(std::move(status));
    const std::size_t direct = bytes.size() - bytes.size() % buffer_size;
    if (Status status = file_.write_all(bytes.substr(0, direct)); !status.ok()) {
      return failed(std::move(status));
    }
    buffer_ += bytes.substr(direct);
    const std::uint64_t written = size_ - buffer_.size();
    if (written - written_back_ >= write_back_size) {
      file_.start_write_back(written_back_, written - written_back_);
      written_back_ = written;
    }
    return {};
  }

  Result<ObjectInfo> commit() {
    if (!file_.is_open()) return ended();
    Status status = flush();
    if (status.ok()) status = file_.sync_data();
    if (status.ok()) status = publish();
    if (!status.ok()) return failed(std::move(status));
    file_.close();
    folder_.close();
    return ObjectInfo{.name = name_, .size = size_};
  }

  /// Removes what is there of the object. No effect after a commit.
  void discard() noexcept {
    if (!temporary_.empty()) ::unlinkat(folder_.descriptor(), temporary_.c_str(), 0);
    temporary_.clear();
    buffer_ = std::string();
    file_.close();
    folder_.close();
  }

 private:
  Status flush() {
    Status status = file_.write_all(buffer_);
    buffer_.clear();
    return status;
  }

  /// Gives the file its name, and makes that durable.
  Status publish() {
    const int folder = folder_.descriptor();
    int error = 0;
    if (if_absent_) {
      error = rename_no_replace(folder, temporary_.c_str(), file_name_.c_str());
    } else if (::renameat(folder, temporary_.c_str(), folder, file_name_.c_str()) != 0) {
      error = errno;
    }
    if (error != 0) return not_published(error);
    temporary_.clear();
    Status status = sync_folder(folder_);
    // What may vanish with the power must not stay as if it were whole. A replaced object is gone
    // already; then the new one stays.
    if (!status.ok() && if_absent_) ::unlinkat(folder, file_name_.c_str(), 0);
    return status;
  }

  KVBACKUP_DETAIL_COLD Status not_published(int error) const {
    const std::string path = join_path(folder_.path(), file_name_);
    if (if_absent_ && error == EEXIST) {
      return Status::error(StatusCode::already_exists,
                           "a file of this name is there and is not replaced; choose an empty "
                           "destination or another name")
          .with_object(path)
          .with_native(error);
    }
    return errno_status(error, "give the finished file its name", path);
  }

  KVBACKUP_DETAIL_COLD Status failed(Status status) {
    discard();
    failure_ = std::move(status);
    return failure_;
  }
  KVBACKUP_DETAIL_COLD Status ended() const {
    if (!failure_.ok()) return failure_;
    return Status::error(StatusCode::invalid_argument,
                         "the object was already committed or abandoned; create it anew")
        .with_object(name_);
  }

  FileHandle folder_;
  FileHandle file_;  // open as long as the object can be appended to
  std::string name_;
  std::string file_name_;
  std::string temporary_;  // the file that discard() removes; empty if there is none
  std::string buffer_;
  std::uint64_t size_ = 0;
  std::uint64_t written_back_ = 0;  // bytes that the disk was told to take
  bool if_absent_;
  Status failure_;
};

}  // namespace kvbackup::inline v1::detail

#endif
