// SPDX-License-Identifier: Apache-2.0
// A new LMDB environment to put pairs into.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <lmdb.h>
#include <memory>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/lmdb_common.hpp>
#include <kvbackup/kvbackup.hpp>
#include <sys/stat.h>

namespace kvbackup::inline v1 {

namespace detail {
[[nodiscard]] inline bool is_empty_folder(const std::string& path) {
  DIR* const folder = ::opendir(path.c_str());
  if (folder == nullptr) return false;
  bool empty = true;
  while (const dirent* const entry = ::readdir(folder)) {
    const std::string_view name(entry->d_name);
    empty = empty && (name == "." || name == "..");
  }
  ::closedir(folder);
  return empty;
}
}  // namespace detail

/// How LmdbSink builds an environment.
struct LmdbSinkOptions {
  /// The database that pairs of the column family "default" go to; "" is the unnamed one.
  std::string db;
  /// The map size to begin with, bytes; it grows as it must.
  std::size_t map_size = std::size_t{64} << 20;
  /// Bytes of pairs a write transaction, 1 MiB to 256 MiB: the sink's memory is about twice that.
  std::size_t batch_bytes = std::size_t{16} << 20;
  /// A single file (MDB_NOSUBDIR) instead of a folder.
  bool single_file = false;
};

/// Builds a new LMDB environment. Until finish() it has a temporary name beside the target, and
/// goes away with the sink; finish() gives it its name in one step.
///
/// Keys are 1 to 511 bytes as LMDB is built by default (mdb_env_get_maxkeysize), values below 4
/// GiB: others are refused as unsupported; keys that do not strictly rise are out_of_order.
class LmdbSink {
 public:
  /// already_exists if `path` is there and is not an empty folder; not_found if its folder is not.
  [[nodiscard]] static Result<LmdbSink> open(std::string path,
                                             const LmdbSinkOptions& options = {}) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    auto build = std::make_unique<Build>();
    build->options = options;
    build->path = std::move(path);
    Status status = build->begin();
    if (status.ok()) status = build->use(default_cf);
    if (!status.ok()) return std::move(status).with_object(build->path);
    return LmdbSink(std::move(build));
  }

  /// The column family that the next pairs belong to; "default" to begin with. One that had its
  /// turn before goes on where it was.
  [[nodiscard]] Status use(std::string_view cf) {
    if (status_.ok()) status_ = build_->use(cf);
    return status_;
  }
  [[nodiscard]] Status put(ByteView key, ByteView value) {
    if (status_.ok()) status_ = build_->put(key, value);
    return status_;
  }
  [[nodiscard]] Status finish() {
    if (!status_.ok()) return status_;
    status_ = build_->finish();
    if (!status_.ok()) return status_;
    status_ = detail::sink_is_closed();
    return {};
  }
  void abandon() {
    if (status_.ok()) status_ = detail::sink_is_closed();
    if (build_) build_->discard();
  }

 private:
  struct Database {
    std::string name;  // empty: the unnamed one
    MDB_dbi dbi = 0;
    bool any = false;
    std::string last_key;
  };

  /// The environment under construction. Without LMDB's locks, since nobody else knows its name;
  /// so it may also move between threads.
  struct Build {
    Build() = default;
    Build(const Build&) = delete;
    Build& operator=(const Build&) = delete;
    ~Build() { discard(); }

    [[nodiscard]] Status begin();
    [[nodiscard]] Status use(std::string_view cf);
    [[nodiscard]] Status put(ByteView key, ByteView value);
    [[nodiscard]] Status finish();
    void discard();

    [[nodiscard]] Status make_temporary();
    [[nodiscard]] Status check(ByteView key, ByteView value) const;
    [[nodiscard]] Status begin_txn();
    [[nodiscard]] Status commit();
    [[nodiscard]] Status make_room(std::size_t bytes);
    [[nodiscard]] Status give_name();
    [[nodiscard]] Status in_the_way() const {
      return Status::error(StatusCode::already_exists,
                           "something is there already; an LMDB environment is only built anew")
          .with_object(path);
    }

    LmdbSinkOptions options;
    std::string path;
    std::string temporary;  // empty when there is none
    MDB_env* env = nullptr;
    MDB_txn* txn = nullptr;
    std::size_t map_size = 0;
    std::size_t page_size = 0;
    std::size_t last_page = 0;     // of the file, when txn began
    std::size_t pages_before = 0;  // of the current database, when txn began
    std::size_t batch = 0;         // bytes put into txn
    std::vector<Database> databases;
    std::size_t current = 0;
  };

  explicit LmdbSink(std::unique_ptr<Build> build) : build_(std::move(build)) {}

  std::unique_ptr<Build> build_;
  Status status_;
};

inline Status LmdbSink::Build::begin() {
  if (path.empty()) {
    return Status::error(StatusCode::invalid_argument, "the path of the LMDB environment is empty");
  }
  options.batch_bytes =
      std::clamp(options.batch_bytes, std::size_t{1} << 20, std::size_t{256} << 20);
  if (Status status = make_temporary(); !status.ok()) return status;
  // 2 MiB: room for the pages that every environment begins with
  map_size = std::max(options.map_size, std::size_t{2} << 20);
  unsigned flags = MDB_NOSYNC | MDB_NOLOCK | MDB_NOTLS;
  if (options.single_file) flags |= MDB_NOSUBDIR;
  int rc = mdb_env_create(&env);
  if (rc == MDB_SUCCESS) rc = mdb_env_set_mapsize(env, map_size);
  if (rc == MDB_SUCCESS) rc = mdb_env_set_maxdbs(env, 1024);
  if (rc == MDB_SUCCESS) rc = mdb_env_open(env, temporary.c_str(), flags, 0644);
  MDB_stat stat{};
  if (rc == MDB_SUCCESS) rc = mdb_env_stat(env, &stat);
  if (rc != MDB_SUCCESS) return detail::lmdb_status(rc, "create the LMDB environment", path);
  page_size = stat.ms_psize;
  return {};
}

inline Status LmdbSink::Build::make_temporary() {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    // a finished folder can take the place of an empty one
    if (options.single_file || !S_ISDIR(info.st_mode) || !detail::is_empty_folder(path)) {
      return in_the_way();
    }
  }
  // 100: more leftovers of dead processes of one id than anybody has
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string name = path + ".restoring-" + std::to_string(::getpid()) + '-';
    name += std::to_string(attempt);
    int error = 0;
    if (options.single_file) {
      const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      error = fd < 0 ? errno : 0;
      if (fd >= 0) ::close(fd);
    } else if (::mkdir(name.c_str(), 0755) != 0) {
      error = errno;
    }
    if (error == EEXIST) continue;
    if (error != 0) return errno_status(error, "create the LMDB environment", path);
    temporary = std::move(name);
    return {};
  }
  return errno_status(EEXIST, "find a free temporary name beside the LMDB environment", path);
}

inline Status LmdbSink::Build::use(std::string_view cf) {
  const std::string name(cf == default_cf ? std::string_view(options.db) : cf);
  const bool unnamed = cf == default_cf && name.empty();
  if (!unnamed && !detail::lmdb_name_fits(name, mdb_env_get_maxkeysize(env))) {
    return Status::error(StatusCode::invalid_argument,
                         "LMDB cannot have a database of that name: it is empty, too long or has a "
                         "zero byte")
        .with_object(name);
  }
  if (Status status = commit(); !status.ok()) return status;
  for (current = 0; current < databases.size(); ++current) {
    if (databases[current].name == name) return begin_txn();
  }
  if (Status status = begin_txn(); !status.ok()) return status;
  MDB_dbi dbi = 0;
  const int rc = mdb_dbi_open(txn, unnamed ? nullptr : name.c_str(), MDB_CREATE, &dbi);
  if (rc == MDB_INCOMPATIBLE) {
    return Status::error(StatusCode::unsupported,
                         "cannot create the LMDB database: the unnamed database has a pair whose "
                         "key is that name")
        .with_object(name);
  }
  if (rc != MDB_SUCCESS) {
    return detail::lmdb_status(rc, "create the LMDB database", name);
  }
  Database database;
  database.name = name;
  database.dbi = dbi;
  databases.push_back(std::move(database));
  if (Status status = commit(); !status.ok()) return status;
  return begin_txn();
}

inline Status LmdbSink::Build::check(ByteView key, ByteView value) const {
  const int longest = mdb_env_get_maxkeysize(env);
  if (key.empty() || key.size() > static_cast<std::size_t>(longest)) {
    std::string message(key.empty() ? "the key is empty" : "the key is too long");
    message += ": LMDB's keys have 1 to ";
    message += std::to_string(longest);
    message += " bytes";
    return Status::error(StatusCode::unsupported, std::move(message)).with_key(key);
  }
  if (value.size() > UINT32_MAX) {
    return Status::error(StatusCode::unsupported, "the value is too long: LMDB's are below 4 GiB")
        .with_key(key);
  }
  const Database& database = databases[current];
  if (database.any && !(ByteView(database.last_key) < key)) {
    return Status::error(StatusCode::out_of_order,
                         "cannot put the pair into LMDB: its key is not above the one before it")
        .with_key(key);
  }
  return {};
}

inline Status LmdbSink::Build::put(ByteView key, ByteView value) {
  Status status = check(key, value);
  if (status.ok()) status = make_room(key.size() + value.size());
  if (!status.ok()) return status;
  Database& database = databases[current];
  // records of named databases stand among the keys of the unnamed one
  const bool append = !database.name.empty() || databases.size() == 1;
  MDB_val k = detail::lmdb_val(key);
  MDB_val v = detail::lmdb_val(value);
  const int rc = mdb_put(txn, database.dbi, &k, &v, append ? MDB_APPEND : 0);
  if (rc == MDB_INCOMPATIBLE) {
    return Status::error(StatusCode::unsupported,
                         "cannot put the pair into the unnamed LMDB database: its key is the name "
                         "of a database")
        .with_key(key);
  }
  if (rc != MDB_SUCCESS) {
    return detail::lmdb_status(rc, "put the pair into LMDB", path).with_key(key);
  }
  database.last_key.assign(key.data(), key.size());
  database.any = true;
  batch += key.size() + value.size();
  if (batch < options.batch_bytes) return {};
  status = commit();
  return status.ok() ? begin_txn() : status;
}

inline Status LmdbSink::Build::begin_txn() {
  MDB_envinfo info{};
  int rc = mdb_env_info(env, &info);
  if (rc == MDB_SUCCESS) rc = mdb_txn_begin(env, nullptr, 0, &txn);
  MDB_stat stat{};
  if (rc == MDB_SUCCESS && current < databases.size()) {
    rc = mdb_stat(txn, databases[current].dbi, &stat);
  }
  if (rc != MDB_SUCCESS) {
    return detail::lmdb_status(rc, "begin a write transaction of LMDB", path);
  }
  last_page = info.me_last_pgno;
  pages_before = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
  batch = 0;
  return {};
}

inline Status LmdbSink::Build::commit() {
  if (txn == nullptr) return {};
  const int rc = mdb_txn_commit(std::exchange(txn, nullptr));
  if (rc == MDB_SUCCESS) return {};
  return detail::lmdb_status(rc, "commit to LMDB", path);
}

/// A transaction that meets the end of the map is lost, so the map grows before: the pages that the
/// transaction has added to its database are known, and 256 more cover what it rewrites of older
/// pages and the list of free ones.
inline Status LmdbSink::Build::make_room(std::size_t bytes) {
  MDB_stat stat{};
  int rc = mdb_stat(txn, databases[current].dbi, &stat);
  const std::size_t pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
  const std::size_t added = pages > pages_before ? pages - pages_before : 0;
  const std::size_t need = last_page + added + bytes / page_size + 256;
  if (rc == MDB_SUCCESS && need < map_size / page_size) return {};
  if (rc == MDB_SUCCESS) {
    if (Status status = commit(); !status.ok()) return status;
    std::size_t wanted = map_size;
    while (wanted / page_size <= need && wanted < SIZE_MAX / 4) wanted *= 2;
    rc = mdb_env_set_mapsize(env, wanted);
    map_size = wanted;
  }
  if (rc == MDB_SUCCESS) return begin_txn();
  return detail::lmdb_status(rc, "grow the map of the LMDB environment", path);
}

inline Status LmdbSink::Build::finish() {
  if (Status status = commit(); !status.ok()) return status;
  const int rc = mdb_env_sync(env, 1);
  if (rc != MDB_SUCCESS) {
    return detail::lmdb_status(rc, "write the LMDB environment to the disk", path);
  }
  mdb_env_close(std::exchange(env, nullptr));
  return give_name();
}

inline Status LmdbSink::Build::give_name() {
  if (!options.single_file) {
    if (Status status = detail::sync_folder_of(temporary + "/data.mdb"); !status.ok()) {
      return status;
    }
  }
  // a folder takes the place of an empty folder only; a link takes nobody's
  const int named = options.single_file ? ::link(temporary.c_str(), path.c_str())
                                        : std::rename(temporary.c_str(), path.c_str());
  const int error = named != 0 ? errno : 0;
  if (error == EEXIST || error == ENOTEMPTY || error == ENOTDIR) return in_the_way();
  if (error != 0) return errno_status(error, "name the finished LMDB environment", path);
  if (options.single_file) ::unlink(temporary.c_str());
  temporary.clear();
  return detail::sync_folder_of(path);
}

inline void LmdbSink::Build::discard() {
  if (txn != nullptr) mdb_txn_abort(std::exchange(txn, nullptr));
  if (env != nullptr) mdb_env_close(std::exchange(env, nullptr));
  if (temporary.empty()) return;
  ::unlink((temporary + "/data.mdb").c_str());
  if (options.single_file) {
    ::unlink(temporary.c_str());
  } else {
    ::rmdir(temporary.c_str());
  }
  temporary.clear();
}

static_assert(Sink<LmdbSink>);

}  // namespace kvbackup::inline v1
