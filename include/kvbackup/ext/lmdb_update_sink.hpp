// SPDX-License-Identifier: Apache-2.0
// Puts pairs into an LMDB environment that is there.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <lmdb.h>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/lmdb_common.hpp>
#include <kvbackup/ext/detail/lmdb_place.hpp>
#include <kvbackup/ext/detail/restoring_folder.hpp>
#include <kvbackup/kvbackup.hpp>
#include <sys/stat.h>

namespace kvbackup::inline v1 {

/// How LmdbUpdateSink fills an environment.
struct LmdbUpdateOptions {
  /// The database that pairs of the column family "default" go to; "" is the unnamed one.
  std::string db;
  /// What will be put, as far as it is known: the map is made large enough for it, since it cannot
  /// grow once pairs were put. That takes address space, not disk.
  std::uint64_t expected_pairs = 0;
  std::uint64_t expected_bytes = 0;
};

/// Puts pairs into an LMDB environment, and removes ranges of them, in one write transaction:
/// finish() commits all of it, abandon() leaves the environment as it was.
///
/// A put takes the place of the pair of that key. Waits while another process writes to the
/// environment, and others wait as long as the sink is open; readers do not. LMDB keeps up to 512
/// MiB of changed pages in memory. A transaction is bound to its thread, so the sink is used by the
/// one that opened it. Limits are those of LmdbSink.
class LmdbUpdateSink {
 public:
  static constexpr bool all_or_nothing = true;

  /// `path` is the environment's folder, or its file. not_found if there is none.
  [[nodiscard]] static Result<LmdbUpdateSink> open(std::string path,
                                                   const LmdbUpdateOptions& options = {}) {
    auto update = std::make_unique<Update>();
    update->options = options;
    update->where = "lmdb:" + detail::without_slashes_behind(std::move(path));
    Status status = update->begin();
    if (status.ok()) status = update->use(default_cf);
    if (!status.ok()) return std::move(status).with_object(update->where);
    return LmdbUpdateSink(std::move(update));
  }

  /// The column family that the next pairs belong to; "default" to begin with. Its database is made
  /// if it is not there. One that had its turn before goes on where it was.
  [[nodiscard]] Status use(std::string_view cf) {
    if (status_.ok()) status_ = update_->use(cf);
    return status_;
  }
  [[nodiscard]] Status put(ByteView key, ByteView value) {
    if (status_.ok()) status_ = update_->put(key, value);
    return status_;
  }
  /// Removes the pairs of `range` that are there. Comes before use(), which is "default" after it.
  [[nodiscard]] Status clear_range(const KeyRange& range) {
    if (status_.ok()) status_ = update_->use(range.cf);
    if (status_.ok()) status_ = update_->clear(range);
    if (status_.ok()) status_ = update_->use(default_cf);
    return status_;
  }
  [[nodiscard]] Status finish() {
    if (!status_.ok()) return status_;
    status_ = update_->finish();
    if (!status_.ok()) return status_;
    status_ = detail::sink_is_closed();
    return {};
  }
  void abandon() {
    if (status_.ok()) status_ = detail::sink_is_closed();
    if (update_) update_->discard();
  }

 private:
  struct Database {
    std::string name;  // empty: the unnamed one
    MDB_dbi dbi = 0;
    bool any = false;
    std::string last_key;
  };

  struct Update {
    Update() = default;
    Update(const Update&) = delete;
    Update& operator=(const Update&) = delete;
    ~Update() { discard(); }

    [[nodiscard]] Status begin();
    [[nodiscard]] Status use(std::string_view cf);
    [[nodiscard]] Status put(ByteView key, ByteView value);
    [[nodiscard]] Status clear(const KeyRange& range);
    [[nodiscard]] Status finish();
    void discard();

    [[nodiscard]] Status make_room();
    [[nodiscard]] bool is_record(const MDB_val& key, const MDB_val& value) const;
    [[nodiscard]] Status failed(int rc, const char* doing) const;

    LmdbUpdateOptions options;
    std::string where;  // lmdb:PATH
    MDB_env* env = nullptr;
    MDB_txn* txn = nullptr;
    std::vector<Database> databases;
    std::size_t current = 0;
  };

  explicit LmdbUpdateSink(std::unique_ptr<Update> update) : update_(std::move(update)) {}

  std::unique_ptr<Update> update_;
  Status status_;
};

inline Status LmdbUpdateSink::Update::begin() {
  const std::string path = where.substr(where.find(':') + 1);
  // proves that there is an environment, and makes its lock file for the users it belongs to
  MDB_env* reader = nullptr;
  constexpr unsigned handles = 1024;
  Status status = detail::lmdb_open_reader(reader, path, true, handles, where);
  if (reader != nullptr) mdb_env_close(reader);
  if (!status.ok()) return status;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno_status(errno, "open the environment", where);
  detail::LmdbPlace place;
  status = detail::lmdb_find_place(path, S_ISDIR(info.st_mode), place);
  if (!status.ok()) return status;
  int rc = detail::lmdb_open_at(env, place, 0, handles, detail::lmdb_lock_mode(info));
  if (rc != MDB_SUCCESS) return failed(rc, "open the LMDB environment for writing");
  status = make_room();
  if (!status.ok()) return status;
  rc = mdb_txn_begin(env, nullptr, 0, &txn);
  return rc == MDB_SUCCESS ? Status() : failed(rc, "begin a write transaction of LMDB");
}

/// The most that the map can have to hold: a page that is changed is written anew, and what it held
/// is free only for later transactions; a page may be half full; a value above half a page has
/// pages of its own.
inline Status LmdbUpdateSink::Update::make_room() {
  MDB_envinfo info{};
  MDB_stat stat{};
  int rc = mdb_env_info(env, &info);
  if (rc == MDB_SUCCESS) rc = mdb_env_stat(env, &stat);
  if (rc != MDB_SUCCESS) return failed(rc, "look at the LMDB environment");
  constexpr std::uint64_t spare = std::uint64_t{64} << 20;
  constexpr std::uint64_t a_pair = 128;
  constexpr std::uint64_t most = std::numeric_limits<std::size_t>::max() / 16;
  const std::uint64_t used = std::uint64_t{stat.ms_psize} * (std::uint64_t{info.me_last_pgno} + 1);
  const std::uint64_t pairs = std::min(options.expected_pairs, most / a_pair);
  const std::uint64_t bytes = std::min(options.expected_bytes, most);
  const std::uint64_t need = 2 * std::min(used, most) + 4 * bytes + a_pair * pairs + spare;
  if (need <= info.me_mapsize) return {};
  const std::uint64_t page = std::max(stat.ms_psize, 4096U);
  rc = mdb_env_set_mapsize(env, static_cast<std::size_t>((need / page + 1) * page));
  return rc == MDB_SUCCESS ? Status() : failed(rc, "enlarge the map of the LMDB environment");
}

inline Status LmdbUpdateSink::Update::use(std::string_view cf) {
  const std::string name(cf == default_cf ? std::string_view(options.db) : cf);
  const bool unnamed = cf == default_cf && name.empty();
  for (current = 0; current < databases.size(); ++current) {
    if (databases[current].name == name) return {};
  }
  if (!unnamed && !detail::lmdb_name_fits(name, mdb_env_get_maxkeysize(env))) {
    return Status::error(StatusCode::invalid_argument,
                         "LMDB cannot have a database of that name: it is empty, too long or has a "
                         "zero byte")
        .with_object(name);
  }
  Database database;
  database.name = name;
  int rc = mdb_dbi_open(txn, unnamed ? nullptr : name.c_str(), MDB_CREATE, &database.dbi);
  unsigned flags = 0;
  if (rc == MDB_SUCCESS) rc = mdb_dbi_flags(txn, database.dbi, &flags);
  if (rc != MDB_SUCCESS) return detail::lmdb_status(rc, "open the LMDB database", name);
  if (const char* const flag = detail::lmdb_foreign_order(flags); flag != nullptr) {
    return Status::error(
               StatusCode::unsupported,
               std::string("cannot put pairs into the LMDB database: it has the flag ") + flag)
        .with_object(name);
  }
  databases.push_back(std::move(database));
  return {};
}

inline Status LmdbUpdateSink::Update::put(ByteView key, ByteView value) {
  if (Status status = detail::lmdb_check_pair(env, key, value); !status.ok()) return status;
  Database& database = databases[current];
  if (database.any && !(ByteView(database.last_key) < key)) {
    return Status::error(StatusCode::out_of_order,
                         "cannot put the pair into LMDB: its key is not above the one before it")
        .with_key(key);
  }
  MDB_val k = detail::lmdb_val(key);
  MDB_val v = detail::lmdb_val(value);
  const int rc = mdb_put(txn, database.dbi, &k, &v, 0);
  if (rc == MDB_INCOMPATIBLE) {
    return Status::error(StatusCode::unsupported,
                         "cannot put the pair into the unnamed LMDB database: its key is the name "
                         "of a database")
        .with_key(key);
  }
  if (rc != MDB_SUCCESS) return failed(rc, "put the pair into LMDB").with_key(key);
  database.last_key.assign(key.data(), key.size());
  database.any = true;
  return {};
}

inline Status LmdbUpdateSink::Update::clear(const KeyRange& range) {
  MDB_cursor* cursor = nullptr;
  int rc = mdb_cursor_open(txn, databases[current].dbi, &cursor);
  if (rc != MDB_SUCCESS) return failed(rc, "look into the LMDB database");
  MDB_val key = detail::lmdb_val(range.start);
  MDB_val value{};
  rc = mdb_cursor_get(cursor, &key, &value, range.start.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (rc == MDB_SUCCESS && (range.end.empty() || detail::lmdb_view(key) < ByteView(range.end))) {
    // after a removal the cursor stands at the next pair, and MDB_NEXT stays there
    if (!is_record(key, value)) rc = mdb_cursor_del(cursor, 0);
    if (rc == MDB_SUCCESS) rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  mdb_cursor_close(cursor);
  if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND) return {};
  return failed(rc, "clear a key range of the LMDB database").with_range(range.start, range.end);
}

/// Whether an entry of the unnamed database is the record of a named one, which opens by its name.
inline bool LmdbUpdateSink::Update::is_record(const MDB_val& key, const MDB_val& value) const {
  if (!databases[current].name.empty() || value.mv_size != detail::lmdb_record_size) return false;
  const std::string name(detail::lmdb_view(key));
  MDB_dbi dbi = 0;
  return detail::lmdb_name_fits(name, mdb_env_get_maxkeysize(env)) &&
         mdb_dbi_open(txn, name.c_str(), 0, &dbi) == MDB_SUCCESS;
}

inline Status LmdbUpdateSink::Update::finish() {
  const int rc = mdb_txn_commit(std::exchange(txn, nullptr));
  if (rc != MDB_SUCCESS) return failed(rc, "commit to LMDB");
  mdb_env_close(std::exchange(env, nullptr));
  return {};
}

inline void LmdbUpdateSink::Update::discard() {
  if (txn != nullptr) mdb_txn_abort(std::exchange(txn, nullptr));
  if (env != nullptr) mdb_env_close(std::exchange(env, nullptr));
}

inline Status LmdbUpdateSink::Update::failed(int rc, const char* doing) const {
  Status status = detail::lmdb_status(rc, doing, where);
  if (rc != MDB_MAP_FULL) return status;
  return std::move(status).with_note(
      "nothing was changed; say how much will be put (LmdbUpdateOptions), or put less at once");
}

static_assert(Sink<LmdbUpdateSink>);

}  // namespace kvbackup::inline v1
