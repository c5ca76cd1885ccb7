// SPDX-License-Identifier: Apache-2.0
// Files of a POSIX system: a descriptor that closes itself, and errno as a Status.
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <sys/stat.h>
#include <sys/types.h>

namespace kvbackup::inline v1 {

namespace detail {
// strerror_r gives the text (GNU) or fills the buffer and gives an int (POSIX); overloads take
// both.
inline const char* errno_text_of(const char* text, const char*) noexcept { return text; }
inline const char* errno_text_of(int, const char* buffer) noexcept { return buffer; }

/// "folder/name", with one slash between them.
[[nodiscard]] inline std::string join_path(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.ends_with('/')) path += '/';
  path += name;
  return path;
}

struct ErrnoMeaning {
  StatusCode code;
  bool retryable;
  const char* advice;
};

KVBACKUP_DETAIL_COLD inline ErrnoMeaning errno_meaning(int error) noexcept {
  switch (error) {
    case ENOSPC: return {StatusCode::no_space, false, "free space there or choose another place"};
    case EDQUOT: return {StatusCode::no_space, false, "raise the quota or choose another place"};
    case EACCES:
    case EPERM: return {StatusCode::permission_denied, false, "grant this user the right to do so"};
    case EROFS:
      return {StatusCode::permission_denied, false,
              "remount the file system for writing or choose another place"};
    case ENOENT: return {StatusCode::not_found, false, "check the path"};
    case EEXIST:
    case ENOTEMPTY: return {StatusCode::already_exists, false, "choose another name"};
    case ENOTDIR:
      return {StatusCode::invalid_argument, false,
              "a part of the path is no folder; choose another path"};
    case EISDIR: return {StatusCode::invalid_argument, false, "a folder is in the way"};
    case ELOOP:
      return {StatusCode::invalid_argument, false, "symbolic links are not followed here"};
    case ENAMETOOLONG: return {StatusCode::invalid_argument, false, "choose a shorter path"};
    case EFBIG:
      return {StatusCode::resource_exhausted, false,
              "raise the limit on file sizes (ulimit -f) or make smaller parts"};
    case EMFILE:
    case ENFILE:
      return {StatusCode::unavailable, true, "raise the limit on open files (ulimit -n)"};
    case EINTR:
    case EAGAIN:
    case EBUSY:
    case ENOMEM:
    case ETIMEDOUT: return {StatusCode::unavailable, true, "try again"};
    case ENOSYS:
    case EOPNOTSUPP:
      return {StatusCode::unsupported, false, "the file system cannot do it; choose another place"};
    default: return {StatusCode::io_error, false, "check the disk and the system's log"};
  }
}
}  // namespace detail

/// The system's text for an errno value; safe in several threads.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline std::string errno_text(int error) {
  char buffer[256] = "unknown error";
  return detail::errno_text_of(::strerror_r(error, buffer, sizeof buffer), buffer);
}

/// A failed system call as a Status: "cannot `doing`: TEXT (errno N); ADVICE", about `object`. The
/// native code is `error`.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status errno_status(int error, std::string_view doing,
                                                              std::string_view object) {
  const detail::ErrnoMeaning meaning = detail::errno_meaning(error);
  std::string message = "cannot ";
  message += doing;
  message += ": ";
  message += errno_text(error);
  message += " (errno ";
  message += std::to_string(error);
  message += "); ";
  message += meaning.advice;
  return Status::error(meaning.code, std::move(message))
      .with_object(object)
      .with_native(error)
      .as_retryable(meaning.retryable);
}

/// An open file or folder. Closes it when destroyed; never inherited by programs that are started.
/// Its path is kept for messages only.
class FileHandle {
 public:
  FileHandle() noexcept = default;
  /// Takes over `descriptor`.
  FileHandle(int descriptor, std::string path) noexcept
      : descriptor_(descriptor), path_(std::move(path)) {}
  FileHandle(FileHandle&& other) noexcept
      : descriptor_(other.release()), path_(std::move(other.path_)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    if (this != &other) {
      close();
      descriptor_ = other.release();
      path_ = std::move(other.path_);
    }
    return *this;
  }
  ~FileHandle() { close(); }

  /// open(2) of `path`.
  [[nodiscard]] static Result<FileHandle> open(std::string path, int flags, mode_t mode = 0) {
    return opened(AT_FDCWD, std::move(path), 0, flags, mode);
  }
  /// openat(2) of `name`, relative to `folder`.
  [[nodiscard]] static Result<FileHandle> open_at(const FileHandle& folder, std::string_view name,
                                                  int flags, mode_t mode = 0) {
    std::string path = detail::join_path(folder.path_, name);
    const std::size_t begin = path.size() - name.size();
    return opened(folder.descriptor_, std::move(path), begin, flags, mode);
  }

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Gives the descriptor away; the caller closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(descriptor_, -1); }
  void close() noexcept {
    if (is_open()) ::close(release());
  }

  /// Writes all of `bytes` at the file's position.
  Status write_all(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(written));
      } else if (written == 0 || errno != EINTR) {
        return errno_status(written == 0 ? EIO : errno, "write the file", path_);
      }
    }
    return {};
  }

  /// Reads the `size` bytes at `offset` to `out`. A file that ends before is an io_error.
  Status read_exact_at(std::uint64_t offset, char* out, std::size_t size) const {
    constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
    if (size > largest || offset > largest - size) {
      return errno_status(EOVERFLOW, "read the file", path_);
    }
    while (size > 0) {
      const ssize_t got = ::pread(descriptor_, out, size, static_cast<off_t>(offset));
      if (got > 0) {
        out += got;
        offset += static_cast<std::uint64_t>(got);
        size -= static_cast<std::size_t>(got);
      } else if (got == 0) {
        return Status::error(StatusCode::io_error,
                             "the file became shorter while it was read; is something writing it?")
            .with_object(path_);
      } else if (errno != EINTR) {
        return errno_status(errno, "read the file", path_);
      }
    }
    return {};
  }

  /// fsync(2): everything written, and of a folder its entries, is on the disk when it returns.
  Status sync() const {
    return synced([](int fd) { return ::fsync(fd); });
  }
  /// fdatasync(2): the bytes and what is needed to read them back, without timestamps.
  Status sync_data() const {
#if defined(_POSIX_SYNCHRONIZED_IO) && _POSIX_SYNCHRONIZED_IO > 0
    return synced([](int fd) { return ::fdatasync(fd); });
#else
    return sync();
#endif
  }

  /// What fstat(2) says.
  [[nodiscard]] Result<struct stat> status() const {
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0) return errno_status(errno, "stat the file", path_);
    return info;
  }
  /// What tells the bytes of a regular file from any that it or another one had: device, inode,
  /// size and time of change. Empty if it is none, or cannot be asked.
  [[nodiscard]] std::string state() const {
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) return {};
    return "file " + std::to_string(info.st_dev) + ':' + std::to_string(info.st_ino) + " of " +
           std::to_string(info.st_size) + " bytes, changed at " +
           std::to_string(info.st_mtim.tv_sec) + '.' + std::to_string(info.st_mtim.tv_nsec);
  }
  /// Bytes in the file.
  [[nodiscard]] Result<std::uint64_t> size() const {
    const auto info = status();
    if (!info.ok()) return info.status();
    return static_cast<std::uint64_t>(info.value().st_size);
  }

 private:
  /// The name relative to `folder` begins at `begin` of `path`.
  static Result<FileHandle> opened(int folder, std::string path, std::size_t begin, int flags,
                                   mode_t mode) {
    int descriptor = -1;
    do {
      descriptor = ::openat(folder, path.c_str() + begin, flags | O_CLOEXEC, mode);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) {
      const bool is_folder = (flags & O_DIRECTORY) != 0;
      return errno_status(errno, is_folder ? "open the folder" : "open the file", path);
    }
    return FileHandle(descriptor, std::move(path));
  }

  template <class Sync>
  Status synced(Sync sync) const {
    while (sync(descriptor_) != 0) {
      if (errno != EINTR) return errno_status(errno, "write to the disk (fsync)", path_);
    }
    return {};
  }

  int descriptor_ = -1;
  std::string path_;
};

}  // namespace kvbackup::inline v1

#endif
