// SPDX-License-Identifier: Apache-2.0
// Folders of the local backend: finding and making them, names of temporary files, and the move of
// a finished file to its name.
//
// Only the base folder may be reached through symbolic links. Below it none is followed, so an
// object cannot lie outside, whatever somebody else puts there.
#pragma once

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/file.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <stdio.h>
#include <string>
#include <string_view>
#include <time.h>
#include <unistd.h>
#include <vector>

#include <sys/stat.h>
#include <sys/syscall.h>

namespace kvbackup::inline v1::detail {

/// NAME_MAX of every file system that Linux writes.
inline constexpr std::size_t longest_file_name = 255;

/// A temporary file stands beside the object it becomes and is called ".NAME.tmp" and 16 hex
/// digits; of a long NAME only the start.
inline constexpr std::string_view temporary_mark = ".tmp";
inline constexpr std::size_t temporary_digits = 16;

[[nodiscard]] inline bool is_temporary_name(std::string_view file_name) noexcept {
  constexpr std::size_t tail = temporary_mark.size() + temporary_digits;
  if (file_name.size() <= tail || file_name.front() != '.') return false;
  const std::string_view end = file_name.substr(file_name.size() - tail);
  return end.starts_with(temporary_mark) &&
         std::all_of(end.begin() + temporary_mark.size(), end.end(),
                     [](char c) { return hex_digit(c) >= 0; });
}

/// NAME of ".NAME.tmp..."; of a long one only the start.
[[nodiscard]] inline std::string_view name_of_temporary(std::string_view file_name) noexcept {
  constexpr std::size_t tail = temporary_mark.size() + temporary_digits;
  return file_name.substr(1, file_name.size() - tail - 1);
}

/// A temporary name that no other open file of this process has, and hardly one of another process;
/// whoever creates the file asks for O_EXCL.
[[nodiscard]] inline std::string temporary_name(std::string_view file_name) {
  constexpr std::size_t kept = 200;
  static std::atomic<std::uint64_t> counter{0};
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  char id[8];
  store_le64(id, (static_cast<std::uint64_t>(now.tv_nsec) << 34) ^
                     (static_cast<std::uint64_t>(now.tv_sec) << 44) ^
                     (static_cast<std::uint64_t>(::getpid()) << 16) ^
                     counter.fetch_add(1, std::memory_order_relaxed));
  std::string name(1, '.');
  name += file_name.substr(0, kept);
  name += temporary_mark;
  append_hex(name, ByteView(id, sizeof id));
  return name;
}

/// The folder part of an object's name ("" if it has none), and the rest.
[[nodiscard]] inline std::string_view folder_of(std::string_view name) noexcept {
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}
[[nodiscard]] inline std::string_view file_of(std::string_view name) noexcept {
  return name.substr(name.rfind('/') + 1);
}

/// fsync of a folder; one that its file system cannot sync (EINVAL) counts as synced.
[[nodiscard]] inline Status sync_folder(const FileHandle& folder) {
  Status status = folder.sync();
  if (status.native_code() == EINVAL) return {};
  return status;
}

/// mkdirat with BR's mode: 0755 whatever the umask is. An errno value, or 0.
inline int make_folder(int parent, const char* name) {
  constexpr mode_t mode = 0755;
  if (::mkdirat(parent, name, mode) != 0) return errno;
  const FileHandle made(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                        name);
  struct stat info {};
  if (made.is_open() && ::fstat(made.descriptor(), &info) == 0 && (info.st_mode & mode) != mode) {
    if (::fchmod(made.descriptor(), (info.st_mode | mode) & 07777) != 0) return errno;
  }
  return 0;
}

/// Makes `path` and the parents it lacks, and syncs each parent that got an entry where that may be
/// opened.
[[nodiscard]] inline Status make_folders(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  // From the end, so that nothing is asked of parents that are there: they may be unreadable.
  std::vector<std::size_t> missing;
  for (std::size_t end = path.size();;) {
    const int error = make_folder(AT_FDCWD, path.substr(0, end).c_str());
    if (error == 0) missing.push_back(end);
    if (error == 0 || error == EEXIST) break;
    const std::size_t slash = path.rfind('/', end - 1);
    if (error != ENOENT || slash == 0 || slash == std::string::npos) {
      return errno_status(error, "create the folder", path.substr(0, end));
    }
    missing.push_back(end);
    end = path.find_last_not_of('/', slash) + 1;
    if (end == 0) break;
  }
  std::reverse(missing.begin(), missing.end());
  for (const std::size_t end : missing) {
    const std::string folder = path.substr(0, end);
    const int error = make_folder(AT_FDCWD, folder.c_str());
    if (error != 0 && error != EEXIST) return errno_status(error, "create the folder", folder);
    const std::size_t slash = folder.rfind('/');
    const std::string parent =
        slash == std::string::npos ? "." : folder.substr(0, std::max<std::size_t>(slash, 1));
    const auto opened = FileHandle::open(parent, O_RDONLY | O_DIRECTORY);
    if (!opened.ok()) continue;
    if (Status status = sync_folder(opened.value()); !status.ok()) return status;
  }
  return {};
}

/// Opens the folder `relative` below the base; "" is the base. not_found where one is missing.
/// With `make`, whatever is missing is made.
[[nodiscard]] inline Result<FileHandle> open_folder(const std::string& base,
                                                    std::string_view relative, bool make) {
  constexpr int flags = O_RDONLY | O_DIRECTORY;
  auto folder = FileHandle::open(base, flags);
  if (make && folder.status().code() == StatusCode::not_found) {
    if (Status status = make_folders(base); !status.ok()) return status;
    folder = FileHandle::open(base, flags);
  }
  while (folder.ok() && !relative.empty()) {
    const std::string component(relative.substr(0, relative.find('/')));
    relative.remove_prefix(std::min(relative.size(), component.size() + 1));
    auto next = FileHandle::open_at(folder.value(), component, flags | O_NOFOLLOW);
    if (make && next.status().code() == StatusCode::not_found) {
      const int error = make_folder(folder.value().descriptor(), component.c_str());
      if (error != 0 && error != EEXIST) {
        return errno_status(error, "create a folder in it", folder.value().path());
      }
      if (Status status = sync_folder(folder.value()); !status.ok()) return status;
      next = FileHandle::open_at(folder.value(), component, flags | O_NOFOLLOW);
    }
    folder = std::move(next);
  }
  return folder;
}

/// Gives `from` the name `to` by link(2), which never replaces. An errno value, or 0.
inline int link_no_replace(int folder, const char* from, const char* to) noexcept {
  if (::linkat(folder, from, folder, to, 0) != 0) {
    const int error = errno;
    // A network file system may have done it and lost the answer; then `to` is our own file.
    struct stat ours {};
    struct stat theirs {};
    const bool done = error == EEXIST && ::fstatat(folder, from, &ours, AT_SYMLINK_NOFOLLOW) == 0 &&
                      ::fstatat(folder, to, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
                      ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
    if (!done) return error;
  }
  ::unlinkat(folder, from, 0);
  return 0;
}

/// Renames without replacing: EEXIST if `to` is there, decided by the file system in one step. An
/// errno value, or 0.
inline int rename_no_replace(int folder, const char* from, const char* to) noexcept {
#if defined(SYS_renameat2)
  constexpr unsigned no_replace = 1;  // RENAME_NOREPLACE of <linux/fs.h>
  if (::syscall(SYS_renameat2, folder, from, folder, to, no_replace) == 0) return 0;
  // EINVAL: the file system cannot; ENOSYS, and EPERM under some sandboxes: the kernel cannot
  if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return errno;
#endif
  return link_no_replace(folder, from, to);
}

}  // namespace kvbackup::inline v1::detail

#endif
