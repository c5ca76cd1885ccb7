// SPDX-License-Identifier: Apache-2.0
// Who holds the LOCK file of a RocksDB or LevelDB store, found out without touching it.
//
// Both take it with fcntl(F_SETLK) over the whole file. POSIX drops a process's lock as soon as it
// closes ANY descriptor of the file, so a LOCK that this process may hold is never opened here:
// first its own descriptors are looked through, and a store that it has open keeps its LOCK open.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

#include <kvbackup/kvbackup.hpp>
#include <sys/stat.h>

#if !KVBACKUP_WITH_POSIX
#error "kvbackup/ext: stores in folders need KVBACKUP_WITH_POSIX=1"
#endif

namespace kvbackup::inline v1 {

namespace detail {

enum class StoreLock : std::uint8_t {
  free,     ///< nobody holds it, or there is no such file
  other,    ///< another process does
  own,      ///< this process has the file open
  unknown,  ///< the system does not tell
};

struct StoreLockHolder {
  StoreLock state = StoreLock::unknown;
  pid_t process = 0;  ///< of `other`; 0 where the system does not tell
};

/// Whether one of this process's descriptors is of that file. Nothing where /dev/fd cannot be read.
[[nodiscard]] inline std::optional<bool> has_open(const struct stat& file) {
  DIR* const folder = ::opendir("/dev/fd");
  if (folder == nullptr) return std::nullopt;
  bool found = false;
  while (const dirent* const entry = ::readdir(folder)) {
    char* end = nullptr;
    const long descriptor = std::strtol(entry->d_name, &end, 10);
    struct stat info {};
    if (end == entry->d_name || *end != '\0' || ::fstat(static_cast<int>(descriptor), &info) != 0) {
      continue;
    }
    found = found || (info.st_dev == file.st_dev && info.st_ino == file.st_ino);
  }
  ::closedir(folder);
  return found;
}

/// Who holds `folder`/LOCK. While this runs, no thread of this process opens that store.
[[nodiscard]] inline StoreLockHolder store_lock_holder(const std::string& folder) {
  const std::string path = join_path(folder, "LOCK");
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return {errno == ENOENT ? StoreLock::free : StoreLock::unknown, 0};
  }
  const std::optional<bool> own = has_open(info);
  if (!own) return {};
  if (*own) return {StoreLock::own, ::getpid()};
  const auto file = FileHandle::open(path, O_RDONLY);
  if (!file.ok()) return {};
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file.value().descriptor(), F_GETLK, &lock) != 0) return {};
  if (lock.l_type == F_UNLCK) return {StoreLock::free, 0};
  return {StoreLock::other, lock.l_pid > 0 ? lock.l_pid : 0};
}

/// Refuses to open the store for writing while somebody holds it. `kind` is the store's name, such
/// as "RocksDB". Opening it would be refused as well, but only after its info log was moved away.
[[nodiscard]] inline Status refuse_held_store(const std::string& folder, const char* kind,
                                              const char* advice) {
  const StoreLockHolder holder = store_lock_holder(folder);
  if (holder.state != StoreLock::other && holder.state != StoreLock::own) return {};
  std::string message("cannot open this ");
  message += kind;
  if (holder.state == StoreLock::own) {
    message += ": this process has it open already";
  } else {
    message += ": another process holds its LOCK file";
    if (holder.process > 0) message += " (process " + std::to_string(holder.process) + ")";
  }
  message += "; ";
  message += advice;
  return Status::error(StatusCode::unavailable, std::move(message)).with_object(folder);
}

}  // namespace detail

}  // namespace kvbackup::inline v1
