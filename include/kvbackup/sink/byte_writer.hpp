// SPDX-License-Identifier: Apache-2.0
// The seam through which text sinks write.
//
// | expression      | result | meaning
// |-----------------|--------|-----------------------------------------------------------------
// | w.append(bytes) | Status | the next bytes
// | w.finish()      | Status | all of them are there for good
// | w.abandon()     | void   | as far as it can: none of them is there; also what destruction
// |                 |        | without finish() does
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/errno_status.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

#include <sys/stat.h>
#endif

namespace kvbackup::inline v1 {

template <class W>
concept ByteWriter = std::movable<W> && requires(W w, ByteView bytes) {
  { w.append(bytes) } -> std::same_as<Status>;
  { w.finish() } -> std::same_as<Status>;
  w.abandon();
};

/// Appends to a string that somebody else owns and keeps alive.
class StringWriter {
 public:
  explicit StringWriter(std::string& out) noexcept : out_(&out), before_(out.size()) {}
  StringWriter(StringWriter&& other) noexcept
      : out_(std::exchange(other.out_, nullptr)), before_(other.before_) {}
  StringWriter& operator=(StringWriter&& other) noexcept {
    std::swap(out_, other.out_);
    std::swap(before_, other.before_);
    return *this;
  }
  ~StringWriter() { abandon(); }

  [[nodiscard]] Status append(ByteView bytes) {
    out_->append(bytes);
    return {};
  }
  [[nodiscard]] Status finish() {
    out_ = nullptr;
    return {};
  }
  void abandon() {
    if (out_ != nullptr) out_->resize(before_);
    out_ = nullptr;
  }

 private:
  std::string* out_;  // null once finished or abandoned
  std::size_t before_;
};

/// Writes through `f(ByteView) -> Status`; nothing is undone by abandon().
template <class F>
class CallableWriter {
 public:
  explicit CallableWriter(F f) : f_(std::move(f)) {}

  [[nodiscard]] Status append(ByteView bytes) { return f_(bytes); }
  [[nodiscard]] Status finish() { return {}; }
  void abandon() {}

 private:
  F f_;
};

static_assert(ByteWriter<StringWriter>);
static_assert(ByteWriter<CallableWriter<Status (*)(ByteView)>>);

#if KVBACKUP_WITH_POSIX
namespace detail {

/// Writes all of `bytes`, however many calls that takes. 0, or errno.
[[nodiscard]] inline int write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return 0;
}

/// Makes a finished rename or link in the folder of `path` survive a power cut. 0, or errno.
[[nodiscard]] inline int sync_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? std::string(1, '.')
                             : slash == 0               ? std::string(1, '/')
                                                        : path.substr(0, slash);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int failed = ::fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  return failed == EINVAL ? 0 : failed;  // some file systems cannot sync a folder
}

}  // namespace detail

/// Writes to a descriptor that stays open and the caller's, such as standard output. What went out
/// is out: abandon() takes nothing back.
class FdWriter {
 public:
  /// `name` is for messages.
  FdWriter(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  [[nodiscard]] Status append(ByteView bytes) {
    const int error = detail::write_all(fd_, bytes);
    if (error == 0) return {};
    return status_from_errno(error, "cannot write").with_object(name_);
  }
  [[nodiscard]] Status finish() { return {}; }
  void abandon() {}

 private:
  int fd_;
  std::string name_;
};

/// Writes a file that nobody sees before finish(): under a temporary name in the same folder,
/// synced, then given its name in one step.
class FileWriter {
 public:
  /// `replace`: take the place of a file of that name, which is otherwise already_exists, now or at
  /// finish(). Other failures: not_found (the folder), permission_denied, no_space and so on.
  [[nodiscard]] static Result<FileWriter> create(const std::string& path, bool replace = false) {
    struct stat info {};
    if (!replace && ::lstat(path.c_str(), &info) == 0) return in_the_way(path);
    // 100: more leftovers of dead processes of one id than anybody has
    for (int attempt = 0; attempt < 100; ++attempt) {
      std::string temporary(path);
      temporary += ".writing-";
      temporary += std::to_string(::getpid());
      temporary += '-';
      temporary += std::to_string(attempt);
      const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd >= 0) return FileWriter(fd, path, std::move(temporary), replace);
      if (errno != EEXIST)
        return status_from_errno(errno, "cannot create the file").with_object(path);
    }
    return status_from_errno(EEXIST, "cannot find a free temporary name beside the file")
        .with_object(path);
  }

  FileWriter(FileWriter&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        replace_(other.replace_),
        path_(std::move(other.path_)),
        temporary_(std::move(other.temporary_)) {}
  FileWriter& operator=(FileWriter&& other) noexcept {
    if (this == &other) return *this;
    abandon();
    fd_ = std::exchange(other.fd_, -1);
    replace_ = other.replace_;
    path_ = std::move(other.path_);
    temporary_ = std::move(other.temporary_);
    return *this;
  }
  ~FileWriter() { abandon(); }

  [[nodiscard]] Status append(ByteView bytes) {
    const int error = fd_ < 0 ? EBADF : detail::write_all(fd_, bytes);
    return error == 0 ? Status() : failed(error, "cannot write the file");
  }
  [[nodiscard]] Status finish() {
    if (fd_ < 0) return failed(EBADF, "cannot finish the file");
    int error = ::fsync(fd_) != 0 ? errno : 0;
    if (::close(std::exchange(fd_, -1)) != 0 && error == 0) error = errno;
    if (error != 0) return failed(error, "cannot write the file to the disk");
    // a link never replaces; a rename always does
    const int named = replace_ ? std::rename(temporary_.c_str(), path_.c_str())
                               : ::link(temporary_.c_str(), path_.c_str());
    if (named != 0) {
      error = errno;
      remove_temporary();
      return error == EEXIST ? in_the_way(path_) : failed(error, "cannot name the finished file");
    }
    if (!replace_) remove_temporary();
    temporary_.clear();
    error = detail::sync_folder_of(path_);
    return error == 0 ? Status() : failed(error, "cannot sync the folder of the file");
  }
  void abandon() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    remove_temporary();
  }

 private:
  FileWriter(int fd, const std::string& path, std::string temporary, bool replace)
      : fd_(fd), replace_(replace), path_(path), temporary_(std::move(temporary)) {}

  void remove_temporary() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }
  [[nodiscard]] Status failed(int error, const char* doing) const {
    return status_from_errno(error, doing).with_object(path_);
  }
  KVBACKUP_DETAIL_COLD [[nodiscard]] static Status in_the_way(const std::string& path) {
    return Status::error(StatusCode::already_exists,
                         "a file of that name is there; remove it or choose another name")
        .with_object(path);
  }

  int fd_;
  bool replace_;
  std::string path_;
  std::string temporary_;  // empty once it is gone
};

static_assert(ByteWriter<FdWriter> && ByteWriter<FileWriter>);
#endif

}  // namespace kvbackup::inline v1
