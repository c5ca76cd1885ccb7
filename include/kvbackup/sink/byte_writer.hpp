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
#include "kvbackup/base/file.hpp"
#include "kvbackup/base/movable_box.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX
#include <cerrno>
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

  [[nodiscard]] Status append(ByteView bytes) { return (*f_)(bytes); }
  [[nodiscard]] Status finish() { return {}; }
  void abandon() {}

 private:
  detail::MovableBox<F> f_;
};

static_assert(ByteWriter<StringWriter>);
static_assert(ByteWriter<CallableWriter<Status (*)(ByteView)>>);

#if KVBACKUP_WITH_POSIX
namespace detail {
/// Makes a finished rename or link in the folder of `path` survive a power cut.
[[nodiscard]] inline Status sync_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? std::string(1, '.') : path.substr(0, slash + 1);
  Result<FileHandle> handle = FileHandle::open(std::move(folder), O_RDONLY | O_DIRECTORY);
  if (!handle.ok()) return std::move(handle).status();
  Status status = handle.value().sync();
  if (status.native_code() == EINVAL) return {};  // some file systems cannot sync a folder
  return status;
}
}  // namespace detail

/// Writes to a descriptor that stays open and the caller's, such as standard output. What went out
/// is out: abandon() takes nothing back.
class FdWriter {
 public:
  /// `name` is for messages.
  FdWriter(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  [[nodiscard]] Status append(ByteView bytes) {
    FileHandle borrowed(fd_, name_);
    Status status = borrowed.write_all(bytes);
    (void)borrowed.release();
    return status;
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
    for (int attempt = 0;; ++attempt) {
      std::string temporary(path);
      temporary += ".writing-";
      temporary += std::to_string(::getpid());
      temporary += '-';
      temporary += std::to_string(attempt);
      Result<FileHandle> file = FileHandle::open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
      if (file.ok()) {
        return FileWriter(std::move(file).value(), path, std::move(temporary), replace);
      }
      // 100: more leftovers of dead processes of one id than anybody has
      if (file.status().code() != StatusCode::already_exists || attempt == 100) {
        return std::move(file).status();
      }
    }
  }

  FileWriter(FileWriter&& other) noexcept
      : file_(std::move(other.file_)),
        replace_(other.replace_),
        path_(std::move(other.path_)),
        temporary_(std::exchange(other.temporary_, std::string())) {}
  FileWriter& operator=(FileWriter&& other) noexcept {
    if (this == &other) return *this;
    abandon();
    file_ = std::move(other.file_);
    replace_ = other.replace_;
    path_ = std::move(other.path_);
    temporary_ = std::exchange(other.temporary_, std::string());
    return *this;
  }
  ~FileWriter() { abandon(); }

  [[nodiscard]] Status append(ByteView bytes) { return file_.write_all(bytes); }
  [[nodiscard]] Status finish() {
    if (Status status = file_.sync(); !status.ok()) return status;
    file_.close();
    // a link never replaces; a rename always does
    const int named = replace_ ? std::rename(temporary_.c_str(), path_.c_str())
                               : ::link(temporary_.c_str(), path_.c_str());
    const int error = named != 0 ? errno : 0;
    if (replace_ && error == 0) temporary_.clear();
    abandon();
    if (error == EEXIST) return in_the_way(path_);
    if (error != 0) return errno_status(error, "name the finished file", path_);
    return detail::sync_folder_of(path_);
  }
  void abandon() {
    file_.close();
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }

 private:
  FileWriter(FileHandle file, const std::string& path, std::string temporary, bool replace)
      : file_(std::move(file)), replace_(replace), path_(path), temporary_(std::move(temporary)) {}

  KVBACKUP_DETAIL_COLD [[nodiscard]] static Status in_the_way(const std::string& path) {
    return Status::error(StatusCode::already_exists,
                         "a file of that name is there; remove it or choose another name")
        .with_object(path);
  }

  FileHandle file_;
  bool replace_;
  std::string path_;
  std::string temporary_;  // empty once it is gone
};

static_assert(ByteWriter<FdWriter> && ByteWriter<FileWriter>);
#endif

}  // namespace kvbackup::inline v1
