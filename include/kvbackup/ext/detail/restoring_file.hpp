// SPDX-License-Identifier: Apache-2.0
// The file in which a new store of one file is built: PATH.restoring, locked (flock) as long as it
// is built. One that nobody has locked and that is empty or begins as such a store does was left by
// a process that died: it is used again.
#pragma once

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <kvbackup/kvbackup.hpp>
#include <sys/file.h>
#include <sys/stat.h>

#if !KVBACKUP_WITH_POSIX
#error "kvbackup/ext: stores in files need KVBACKUP_WITH_POSIX=1"
#endif

namespace kvbackup::inline v1 {

namespace detail {

class RestoringFile {
 public:
  RestoringFile() = default;
  RestoringFile(const RestoringFile&) = delete;
  RestoringFile& operator=(const RestoringFile&) = delete;
  ~RestoringFile() { discard(); }

  /// Makes the file for `target`, which must not exist. A store of its kind has `magic` at byte
  /// `magic_at`. already_exists if something is in the way of either; unavailable while another run
  /// builds the same target.
  [[nodiscard]] Status make(std::string target, std::size_t magic_at, std::string_view magic) {
    target_ = std::move(target);
    struct stat info {};
    if (::lstat(target_.c_str(), &info) == 0) return in_the_way();
    std::string path = target_ + ".restoring";
    Result<FileHandle> file = FileHandle::open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
    if (!file.ok()) return std::move(file).status();
    const int descriptor = file.value().descriptor();
    struct stat held {};
    // whoever held it before may have linked or removed it between open and flock
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0 || ::fstat(descriptor, &held) != 0 ||
        ::lstat(path.c_str(), &info) != 0 || held.st_ino != info.st_ino ||
        held.st_dev != info.st_dev) {
      return Status::error(StatusCode::unavailable,
                           "another run is building this store; wait for it or choose another path")
          .with_object(path);
    }
    if (info.st_size > 0 && !begins_as(file.value(), magic_at, magic)) {
      return Status::error(StatusCode::already_exists,
                           "the file in which the store would be built is there already, and no "
                           "earlier run of this program made it; move it away")
          .with_object(path);
    }
    if (::ftruncate(descriptor, 0) != 0) return errno_status(errno, "empty the file", path);
    file_ = std::move(file).value();
    path_ = std::move(path);
    return {};
  }

  /// The file while it is built; "" before make() and after finish() or discard().
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Gives the file its name. Its bytes must be on the disk.
  [[nodiscard]] Status finish() {
    // a link takes nobody's place
    const int error = ::link(path_.c_str(), target_.c_str()) != 0 ? errno : 0;
    if (error == EEXIST) return in_the_way();
    if (error != 0) return errno_status(error, "name the finished store", target_);
    discard();
    return sync_folder_of(target_);
  }
  /// Removes the file.
  void discard() {
    if (!path_.empty()) ::unlink(path_.c_str());
    path_.clear();
    file_.close();
  }

 private:
  [[nodiscard]] static bool begins_as(const FileHandle& file, std::size_t at,
                                      std::string_view magic) {
    std::string bytes(magic.size(), '\0');
    return file.read_exact_at(at, bytes.data(), bytes.size()).ok() && bytes == magic;
  }
  [[nodiscard]] Status in_the_way() const {
    return Status::error(StatusCode::already_exists,
                         "something is there already; a new store of one file needs a path that "
                         "is not there")
        .with_object(target_);
  }

  std::string target_;
  std::string path_;
  FileHandle file_;
};

}  // namespace detail

}  // namespace kvbackup::inline v1
