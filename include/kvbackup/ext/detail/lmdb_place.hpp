// SPDX-License-Identifier: Apache-2.0
// Which files an LMDB environment is, and its lock file.
//
// LMDB names the lock file after the way the environment is opened: lock.mdb in a folder, FILE-lock
// beside a single file (MDB_NOSUBDIR). A reader is safe from the writer's reuse of pages only if
// both use the same one.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <lmdb.h>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/lmdb_common.hpp>
#include <kvbackup/kvbackup.hpp>
#include <sys/stat.h>

namespace kvbackup::inline v1 {

namespace detail {

/// One way to open an environment.
struct LmdbPlace {
  std::string path;          // what mdb_env_open is given
  std::string data;          // the files it then uses
  std::string lock;          //
  bool single_file = false;  // with MDB_NOSUBDIR
};

[[nodiscard]] inline LmdbPlace lmdb_folder_place(const std::string& folder) {
  return {folder, folder + "/data.mdb", folder + "/lock.mdb", false};
}
[[nodiscard]] inline LmdbPlace lmdb_file_place(const std::string& file) {
  return {file, file, file + "-lock", true};
}

/// Whether there is something of that name, even a link that leads nowhere.
[[nodiscard]] inline bool lmdb_file_exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

/// The ways in which the writer may have opened the regular file `path`: as a single file, or
/// through the folder that it is the data.mdb of; by this name, or by the one that a link leads to.
[[nodiscard]] inline std::vector<LmdbPlace> lmdb_places_of_file(const std::string& path) {
  std::vector<std::string> names{path};
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode)) {
    if (char* const real = ::realpath(path.c_str(), nullptr); real != nullptr) {
      names.emplace_back(real);
      std::free(real);
    }
  }
  std::vector<LmdbPlace> places;
  for (const std::string& name : names) {
    places.push_back(lmdb_file_place(name));
    const std::size_t slash = name.rfind('/');
    if (name.substr(slash == std::string::npos ? 0 : slash + 1) != "data.mdb") continue;
    places.push_back(lmdb_folder_place(slash == std::string::npos ? "."
                                       : slash == 0               ? "/"
                                                                  : name.substr(0, slash)));
  }
  return places;
}

/// Refuses an environment with lock files of two ways to open it.
[[nodiscard]] inline Status lmdb_two_locks(const LmdbPlace& one, const LmdbPlace& other) {
  std::string message("cannot tell which lock file the writer of this LMDB environment uses, ");
  message += one.lock;
  message += " or ";
  message += other.lock;
  message +=
      "; name the environment's folder if programs open the folder, or remove the lock file "
      "that no program uses";
  return Status::error(StatusCode::invalid_argument, std::move(message));
}

/// Finds the environment at `path`, which is a folder or a regular file. The lock file that exists
/// tells how its writer opens it; without one, a data.mdb belongs to its folder. A folder is taken
/// at its word where it has a lock.mdb.
[[nodiscard]] inline Status lmdb_find_place(const std::string& path, bool is_folder,
                                            LmdbPlace& place) {
  if (is_folder) {
    place = lmdb_folder_place(path);
    const LmdbPlace file = lmdb_file_place(place.data);
    if (lmdb_file_exists(place.lock) || !lmdb_file_exists(file.lock)) return {};
    std::string message("cannot open this LMDB environment through its folder: its lock file is ");
    message += file.lock;
    message +=
        ", so programs open the file data.mdb; name that file, or remove the lock file if no "
        "program uses it";
    return Status::error(StatusCode::invalid_argument, std::move(message));
  }
  const std::vector<LmdbPlace> places = lmdb_places_of_file(path);
  const LmdbPlace* locked = nullptr;
  const LmdbPlace* likely = &places.front();
  for (const LmdbPlace& each : places) {
    if (!each.single_file && likely->single_file) likely = &each;
    if (!lmdb_file_exists(each.lock)) continue;
    if (locked != nullptr) return lmdb_two_locks(*locked, each);
    locked = &each;
  }
  place = locked != nullptr ? *locked : *likely;
  return {};
}

/// What a lock file of a store with this data file may be: whoever can write the one must be able
/// to write the other, and its owner always can.
[[nodiscard]] inline mode_t lmdb_lock_mode(const struct stat& data) {
  return (data.st_mode & 0666U) | 0600U;
}

/// Whether a lock file of `mode` and this owner and group is open to those who may write the data.
[[nodiscard]] inline bool lmdb_lock_serves(const struct stat& lock, const struct stat& data,
                                           mode_t mode) {
  if ((mode & 0006U) == 0006U) return true;
  const bool same_group = lock.st_gid == data.st_gid;
  const bool owner = lock.st_uid == data.st_uid || (same_group && (mode & 0060U) == 0060U);
  return owner && (same_group || (mode & 0020U) == 0);
}

/// Makes the lock file if there is none, for the users of the data file: LMDB would make it ours,
/// and a backup by root would lock the store's owner out. Nothing on a read-only file system, where
/// LMDB goes without.
[[nodiscard]] inline Status lmdb_make_lock_file(const LmdbPlace& place, const struct stat& data,
                                                const std::string& object) {
  if (lmdb_file_exists(place.lock)) return {};
  // only ours until its owner and mode are right, so that no one else has it open if it must go
  const int descriptor = ::open(place.lock.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    const int error = errno;
    if (error == EEXIST || error == EROFS) return {};
    return errno_status(error, "create the lock file " + place.lock, object);
  }
  const FileHandle file(descriptor, place.lock);
  const mode_t mode = lmdb_lock_mode(data);
  struct stat lock {};
  int rc = ::fstat(descriptor, &lock);
  if (rc == 0 && (lock.st_uid != data.st_uid || lock.st_gid != data.st_gid)) {
    // who is not root can give it at most one of his own groups
    if (::fchown(descriptor, data.st_uid, data.st_gid) == 0 ||
        ::fchown(descriptor, static_cast<uid_t>(-1), data.st_gid) == 0) {
      rc = ::fstat(descriptor, &lock);
    }
  }
  const bool serves = rc == 0 && lmdb_lock_serves(lock, data, mode);
  if (serves && (lock.st_mode & mode) != mode) rc = ::fchmod(descriptor, mode);
  if (serves && rc == 0) return {};
  const int error = errno;
  ::unlink(place.lock.c_str());
  if (rc != 0) return errno_status(error, "give the lock file its mode: " + place.lock, object);
  std::string message("cannot create the lock file ");
  message += place.lock;
  message +=
      ": it would lock out the owner or the group of the data file; run this as the owner of "
      "the store, or let the owner open the store once";
  return Status::error(StatusCode::permission_denied, std::move(message)).with_object(object);
}

/// Opens `env` with `flags`. The caller closes it.
[[nodiscard]] inline int lmdb_open_at(MDB_env*& env, const LmdbPlace& place, unsigned flags,
                                      unsigned handles, mode_t mode) {
  if (place.single_file) flags |= MDB_NOSUBDIR;
  int rc = mdb_env_create(&env);
  if (rc == MDB_SUCCESS) rc = mdb_env_set_maxdbs(env, handles);
  return rc == MDB_SUCCESS ? mdb_env_open(env, place.path.c_str(), flags, mode) : rc;
}

/// Opens the environment at `path` read-only, with room for `handles` databases. `env` is to be
/// closed whatever is returned, unless it is null. With `lock`, first without a lock file: a file
/// that is no LMDB environment must not get one, and what fails second is the lock file's fault.
[[nodiscard]] inline Status lmdb_open_reader(MDB_env*& env, const std::string& path, bool lock,
                                             unsigned handles, const std::string& object) {
  constexpr unsigned flags = MDB_RDONLY | MDB_NOTLS;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return errno_status(errno, "open the LMDB environment", object);
  }
  const bool is_folder = S_ISDIR(info.st_mode);
  if (!is_folder && !S_ISREG(info.st_mode)) {
    return Status::error(StatusCode::invalid_argument,
                         "an LMDB environment is a folder or a file, and this is neither");
  }
  LmdbPlace place = is_folder ? lmdb_folder_place(path) : lmdb_file_place(path);
  if (lock) {
    Status status = lmdb_find_place(path, is_folder, place);
    if (!status.ok()) return status;
  }
  if (::stat(place.data.c_str(), &info) != 0) {
    return errno_status(errno, "open the LMDB data file " + place.data, object);
  }
  if (info.st_size == 0) {
    return Status::error(StatusCode::not_found, "there is no LMDB environment yet: the data file " +
                                                    place.data + " is empty");
  }
  int rc = lmdb_open_at(env, place, flags | MDB_NOLOCK, handles, 0);
  if (rc != MDB_SUCCESS) return lmdb_status(rc, "open the LMDB data file " + place.data, object);
  if (!lock) return {};
  mdb_env_close(std::exchange(env, nullptr));
  Status status = lmdb_make_lock_file(place, info, object);
  if (!status.ok()) return status;
  rc = lmdb_open_at(env, place, flags, handles, lmdb_lock_mode(info));
  if (rc == MDB_SUCCESS) return {};
  return lmdb_status(rc, "open the LMDB lock file " + place.lock, object);
}

}  // namespace detail

}  // namespace kvbackup::inline v1
