// SPDX-License-Identifier: Apache-2.0
// A new LMDB environment to put pairs into.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <lmdb.h>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/lmdb_common.hpp>
#include <kvbackup/ext/detail/restoring_file.hpp>
#include <kvbackup/ext/detail/restoring_folder.hpp>
#include <kvbackup/kvbackup.hpp>

namespace kvbackup::inline v1 {

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

/// Builds a new LMDB environment, in PATH.restoring, which gets its name by finish(), in one step;
/// abandoned, it goes away. What a process that died left under that name is used again.
///
/// Keys are 1 to 511 bytes as LMDB is built by default (mdb_env_get_maxkeysize), values below 4
/// GiB: others are refused as unsupported; keys that do not strictly rise are out_of_order.
class LmdbSink {
 public:
  /// already_exists if `path` is there and is not an empty folder; unavailable while another run
  /// builds it; not_found if its folder is not there.
  [[nodiscard]] static Result<LmdbSink> open(std::string path,
                                             const LmdbSinkOptions& options = {}) {
    auto build = std::make_unique<Build>();
    build->options = options;
    build->path = detail::without_slashes_behind(std::move(path));
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

    [[nodiscard]] Status check(ByteView key, ByteView value) const;
    [[nodiscard]] Status begin_txn();
    [[nodiscard]] Status commit();
    [[nodiscard]] Status make_room(std::size_t bytes);

    LmdbSinkOptions options;
    std::string path;
    detail::RestoringFolder folder;  // one of the two
    detail::RestoringFile file;
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
  // the magic number of LMDB's meta page, behind the page's header (lmdb: mdb.c, MDB_MAGIC)
  constexpr std::size_t magic_at = 16;
  constexpr std::string_view magic("\xde\xc0\xef\xbe");
  Status made = options.single_file ? file.make(path, magic_at, magic) : folder.make(path);
  if (!made.ok()) return made;
  const std::string& temporary = options.single_file ? file.path() : folder.path();
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
  if (Status status = detail::lmdb_check_pair(env, key, value); !status.ok()) return status;
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
  return options.single_file ? file.finish() : folder.finish();
}

inline void LmdbSink::Build::discard() {
  if (txn != nullptr) mdb_txn_abort(std::exchange(txn, nullptr));
  if (env != nullptr) mdb_env_close(std::exchange(env, nullptr));
  folder.discard();
  file.discard();
}

static_assert(Sink<LmdbSink>);

}  // namespace kvbackup::inline v1
