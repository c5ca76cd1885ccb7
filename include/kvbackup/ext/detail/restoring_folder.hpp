// SPDX-License-Identifier: Apache-2.0
// The folder in which a new store is built, beside the name that it gets when it is whole.
//
// For PATH it is PATH.restoring, with a marker file inside, and locked (flock) as long as it is
// built. One that carries the marker and is not locked was left by a process that died: it is
// emptied and used again. One without the marker is somebody else's and is not touched.
#pragma once

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <sys/file.h>
#include <sys/stat.h>

#if !KVBACKUP_WITH_POSIX
#error "kvbackup/ext: stores in folders need KVBACKUP_WITH_POSIX=1"
#endif

namespace kvbackup::inline v1 {

namespace detail {

/// Without slashes at the end, unless it is the root.
[[nodiscard]] inline std::string without_slashes_behind(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

class RestoringFolder {
 public:
  RestoringFolder() = default;
  RestoringFolder(const RestoringFolder&) = delete;
  RestoringFolder& operator=(const RestoringFolder&) = delete;
  ~RestoringFolder() { discard(); }

  /// Makes the folder for `target`, which must not exist or be an empty folder, whose owner and
  /// mode the new one gets. already_exists if something is in the way of either; invalid_argument
  /// where the target cannot be replaced, as a mount point; unavailable while another run builds
  /// the same target.
  [[nodiscard]] Status make(std::string target) {
    target_ = without_slashes_behind(std::move(target));
    if (target_.empty()) {
      return Status::error(StatusCode::invalid_argument, "the path of the store is empty");
    }
    struct stat info {};
    std::optional<struct stat> replaced;
    if (::lstat(target_.c_str(), &info) == 0) {
      if (!is_empty_folder(target_)) return in_the_way();
      if (!can_be_replaced(target_, info)) return cannot_be_replaced();
      replaced = info;
    }
    const std::string path = target_ + ".restoring";
    const bool made = ::mkdir(path.c_str(), replaced ? 0700 : 0755) == 0;
    const int error = made ? 0 : errno;
    if (!made && error != EEXIST) return errno_status(error, "make the folder", path);
    Result<FileHandle> folder = FileHandle::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!folder.ok()) return std::move(folder).status();
    if (::flock(folder.value().descriptor(), LOCK_EX | LOCK_NB) != 0) return being_built(path);
    // whoever held it before may have renamed or removed it between mkdir and flock
    struct stat held {};
    if (::fstat(folder.value().descriptor(), &held) != 0 || ::lstat(path.c_str(), &info) != 0 ||
        held.st_ino != info.st_ino || held.st_dev != info.st_dev) {
      return being_built(path);
    }
    if (!made) {
      if (Status status = empty_leftover(path); !status.ok()) return status;
    }
    // a folder that was prepared keeps its owner and who may look into it
    if (replaced &&
        (::fchown(folder.value().descriptor(), replaced->st_uid, replaced->st_gid) != 0 ||
         ::fchmod(folder.value().descriptor(), replaced->st_mode & 07777) != 0)) {
      const int failed = errno;
      if (made) ::rmdir(path.c_str());
      return errno_status(failed, "give the new store the owner and mode of the empty folder",
                          target_);
    }
    const Result<FileHandle> marker =
        FileHandle::open_at(folder.value(), marker_name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (!marker.ok()) return marker.status();
    folder_ = std::move(folder).value();
    path_ = path;
    return {};
  }

  /// The folder while it is built; "" before make() and after finish() or discard().
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& target() const noexcept { return target_; }

  /// Gives the folder its name, once everything in it is on the disk: stores leave some of their
  /// logs to the system.
  [[nodiscard]] Status finish() {
    if (Status status = sync_files(); !status.ok()) return status;
    if (Status status = synced(folder_); !status.ok()) return status;
    // rename(2) takes the place of an empty folder and of nothing else
    if (std::rename(path_.c_str(), target_.c_str()) != 0) {
      const int error = errno;
      if (error == EEXIST || error == ENOTEMPTY || error == ENOTDIR) return in_the_way();
      return errno_status(error, "name the finished store", target_);
    }
    path_.clear();
    // the name before the marker goes: were it lost alone, nobody would know the folder for ours
    Status status = sync_folder_of(target_);
    ::unlink(join_path(target_, marker_name).c_str());
    if (status.ok()) status = synced(folder_);
    folder_.close();
    return status;
  }
  /// Removes the folder with all that is in it.
  void discard() {
    if (!path_.empty()) {
      std::error_code ignored;
      std::filesystem::remove_all(path_, ignored);
      path_.clear();
    }
    folder_.close();
  }

 private:
  static constexpr const char* marker_name = "kvbackup.restoring";

  [[nodiscard]] static Status synced(const FileHandle& folder) {
    Status status = folder.sync();
    return status.native_code() == EINVAL ? Status() : status;  // not every file system can
  }
  [[nodiscard]] Status sync_files() const {
    std::error_code error;
    for (std::filesystem::directory_iterator at(path_, error), end; !error && at != end;
         at.increment(error)) {
      if (!at->is_regular_file(error)) continue;
      const auto file = FileHandle::open(at->path().string(), O_RDONLY);
      Status status = file.ok() ? file.value().sync() : file.status();
      if (!status.ok()) return status;
    }
    return error ? errno_status(error.value(), "read the folder", path_) : Status();
  }
  [[nodiscard]] static bool is_empty_folder(const std::string& path) {
    std::error_code error;
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
           std::filesystem::is_empty(path, error) && !error;
  }
  /// rename(2) replaces no mount point, and nothing by a name that is not its own.
  [[nodiscard]] static bool can_be_replaced(const std::string& path, const struct stat& info) {
    const std::size_t slash = path.rfind('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name.empty() || name == "." || name == "..") return false;
    struct stat parent {};
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    return ::stat(folder.c_str(), &parent) == 0 && parent.st_dev == info.st_dev;
  }
  [[nodiscard]] Status cannot_be_replaced() const {
    return Status::error(StatusCode::invalid_argument,
                         "the new store is built beside its path and takes its place in one step, "
                         "which a mount point, \".\" and \"..\" do not allow; name a path below it")
        .with_object(target_);
  }
  [[nodiscard]] static Status empty_leftover(const std::string& path) {
    struct stat info {};
    if (::lstat(join_path(path, marker_name).c_str(), &info) != 0 && !is_empty_folder(path)) {
      return Status::error(StatusCode::already_exists,
                           "the folder in which the store would be built is there already, and no "
                           "earlier run of this program made it; move it away")
          .with_object(path);
    }
    std::error_code error;
    std::vector<std::filesystem::path> entries;
    for (std::filesystem::directory_iterator at(path, error), end; !error && at != end;
         at.increment(error)) {
      if (at->path().filename() != marker_name) entries.push_back(at->path());
    }
    for (const std::filesystem::path& entry : entries) {
      if (!error) std::filesystem::remove_all(entry, error);
    }
    if (!error) return {};
    return errno_status(error.value(), "remove what a run that ended left", path);
  }
  [[nodiscard]] static Status being_built(const std::string& path) {
    return Status::error(StatusCode::unavailable,
                         "another run is building this store; wait for it or choose another path")
        .with_object(path);
  }
  [[nodiscard]] Status in_the_way() const {
    return Status::error(StatusCode::already_exists,
                         "something is there already; a new store needs a path that is not there, "
                         "or an empty folder")
        .with_object(target_);
  }

  std::string target_;
  std::string path_;
  FileHandle folder_;
};

}  // namespace detail

}  // namespace kvbackup::inline v1
