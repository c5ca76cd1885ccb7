// SPDX-License-Identifier: Apache-2.0
// LMDB environments as a snapshot to back up.
//
// A column family here is an LMDB database: its name, or "default" for the unnamed one. The unnamed
// database also holds one record for each named database; such records are never pairs.
//
// LMDB forbids opening one environment twice in a process: where the host has it open, give the
// open one to LmdbSnapshot::from_env(). A snapshot is a read transaction, so a live store cannot
// reuse the pages it frees until the snapshot is gone. A custom comparator (mdb_set_compare) cannot
// be seen from outside; its keys come out of order and the backup says so.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <lmdb.h>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/lmdb_common.hpp>
#include <kvbackup/ext/detail/lmdb_place.hpp>
#include <kvbackup/kvbackup.hpp>
#include <sys/stat.h>

namespace kvbackup::inline v1 {

namespace detail {

struct LmdbDatabase {
  std::string cf;
  MDB_dbi dbi = 0;
  std::uint64_t pairs = 0;
  std::uint64_t bytes = 0;  // of its leaf and overflow pages
  bool is_unnamed = false;

  friend bool operator==(const LmdbDatabase& a, const LmdbDatabase& b) {
    return a.cf == b.cf && a.dbi == b.dbi && a.is_unnamed == b.is_unnamed;
  }
};

/// What a snapshot and its scans share.
struct LmdbShared {
  LmdbShared() = default;
  LmdbShared(const LmdbShared&) = delete;
  LmdbShared& operator=(const LmdbShared&) = delete;
  ~LmdbShared() {
    end_transactions();
    if (owned && env != nullptr) mdb_env_close(env);
  }
  void end_transactions() {
    for (MDB_txn* const txn : txns) mdb_txn_abort(txn);
    txns.clear();
  }

  MDB_env* env = nullptr;
  bool owned = true;
  std::string where;  // for messages
  std::vector<LmdbDatabase> databases;
  std::vector<std::string> records;  // keys of the unnamed database that are databases, sorted
  std::vector<MDB_txn*> txns;        // all see one state
  Mutex mutex;                       // guards free
  std::vector<std::size_t> free;     // indexes of txns that no scan holds
};

}  // namespace detail

/// How a snapshot of an LMDB environment is taken.
struct LmdbSnapshotOptions {
  /// Only this database: a name, or "" for the unnamed one. "default" is the unnamed one if there
  /// is no database of that name. Without it, all that hold pairs.
  std::optional<std::string> db;
  /// Scans that can be open at once, 1 to 126 (LMDB's default number of readers); each is a read
  /// transaction of its own. A snapshot takes at most half of the environment's reader slots that
  /// are free (but one at least), so that the store's own readers find some: 63 of an idle default
  /// environment.
  std::size_t workers = 1;
  /// True: no more workers than there are databases to scan; for a caller that scans a database
  /// with one thread only, as ranges() divide them.
  bool one_scan_a_database = false;
  /// False: no lock file, for a folder that cannot be written. Nobody may write the store then.
  bool lock = true;
};

/// The pairs of one database, or a part of it, in key order. Holds one of its snapshot's
/// transactions until it is destroyed. Keys and values stay readable as long as the snapshot lives.
class LmdbSource {
 public:
  LmdbSource(LmdbSource&& other) noexcept
      : shared_(std::move(other.shared_)),
        database_(other.database_),
        slot_(other.slot_),
        cursor_(std::exchange(other.cursor_, nullptr)),
        start_(std::move(other.start_)),
        end_(std::move(other.end_)),
        valid_(other.valid_),
        key_(other.key_),
        value_(other.value_),
        status_(std::move(other.status_)) {}
  LmdbSource& operator=(LmdbSource&& other) noexcept {
    if (this == &other) return *this;
    release();
    shared_ = std::move(other.shared_);
    database_ = other.database_;
    slot_ = other.slot_;
    cursor_ = std::exchange(other.cursor_, nullptr);
    start_ = std::move(other.start_);
    end_ = std::move(other.end_);
    valid_ = other.valid_;
    key_ = other.key_;
    value_ = other.value_;
    status_ = std::move(other.status_);
    return *this;
  }
  ~LmdbSource() { release(); }

  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] ByteView key() const noexcept { return detail::lmdb_view(key_); }
  [[nodiscard]] ByteView value() const noexcept { return detail::lmdb_view(value_); }
  void next() { get(MDB_NEXT); }
  void seek(ByteView key) {
    const ByteView from = std::max(key, ByteView(start_));
    if (from.empty()) return get(MDB_FIRST);
    key_ = detail::lmdb_val(from);
    get(MDB_SET_RANGE);
  }
  [[nodiscard]] Status status() const { return status_; }

 private:
  friend class LmdbSnapshot;

  LmdbSource(std::shared_ptr<detail::LmdbShared> shared, const detail::LmdbDatabase& database,
             std::size_t slot, const KeyRange& range)
      : shared_(std::move(shared)),
        database_(&database),
        slot_(slot),
        start_(range.start),
        end_(range.end) {
    const int rc = mdb_cursor_open(shared_->txns[slot_], database.dbi, &cursor_);
    if (rc == MDB_SUCCESS) {
      seek({});
    } else {
      cursor_ = nullptr;
      status_ = failed(rc);
    }
  }

  void get(MDB_cursor_op op) {
    valid_ = false;
    if (cursor_ == nullptr) return;
    int rc = mdb_cursor_get(cursor_, &key_, &value_, op);
    while (rc == MDB_SUCCESS && is_record()) {
      rc = mdb_cursor_get(cursor_, &key_, &value_, MDB_NEXT);
    }
    status_ = rc == MDB_SUCCESS || rc == MDB_NOTFOUND ? Status() : failed(rc);
    valid_ = rc == MDB_SUCCESS && (end_.empty() || key() < ByteView(end_));
  }
  [[nodiscard]] bool is_record() const {
    return database_->is_unnamed && value_.mv_size == detail::lmdb_record_size &&
           std::binary_search(shared_->records.begin(), shared_->records.end(), key());
  }
  [[nodiscard]] Status failed(int rc) const {
    return detail::lmdb_status(rc, "read on in the LMDB database",
                               shared_->where + "?db=" + database_->cf);
  }
  void release() {
    if (!shared_) return;
    if (cursor_ != nullptr) mdb_cursor_close(std::exchange(cursor_, nullptr));
    {
      const MutexLock lock(shared_->mutex);
      shared_->free.push_back(slot_);
    }
    shared_.reset();
  }

  std::shared_ptr<detail::LmdbShared> shared_;  // null once moved from
  const detail::LmdbDatabase* database_;
  std::size_t slot_;
  MDB_cursor* cursor_ = nullptr;
  std::string start_;
  std::string end_;
  bool valid_ = false;
  MDB_val key_{};
  MDB_val value_{};
  Status status_;
};

/// One state of an LMDB environment, scanned by several threads at once.
///
/// Databases whose keys LMDB does not order as unsigned bytes, or that hold several values a key
/// (MDB_DUPSORT, MDB_INTEGERKEY, MDB_REVERSEKEY), are refused by name as unsupported. Taking the
/// snapshot reads the unnamed database through once, unless a named database is asked for: only
/// that tells its pairs from the records of databases.
class LmdbSnapshot {
 public:
  /// Opens the environment at `path`, a folder or (MDB_NOSUBDIR) a file, read-only. A file data.mdb
  /// is opened through its folder, unless its lock file is data.mdb-lock. not_found for a path
  /// without an environment and for an unknown database; invalid_argument where lock files do not
  /// tell how programs open it. A missing lock file is made with the owner and the permissions of
  /// the data file; permission_denied where this user cannot make one that its owner can use.
  [[nodiscard]] static Result<LmdbSnapshot> open(const std::string& path,
                                                 const LmdbSnapshotOptions& options = {}) {
    // handles cost memory in every transaction, so begin with few
    for (unsigned handles = 128;; handles *= 16) {
      auto shared = std::make_shared<detail::LmdbShared>();
      shared->where = "lmdb:" + path;
      Status status =
          detail::lmdb_open_reader(shared->env, path, options.lock, handles, shared->where);
      if (!status.ok()) return std::move(status).with_object(shared->where);
      status = take(*shared, options);
      if (status.ok()) return LmdbSnapshot(std::move(shared));
      if (status.native_code() != MDB_DBS_FULL || handles > most_handles) return status;
    }
  }
  /// The same of an environment that the host has open, and keeps open until the snapshot and its
  /// sources are gone. It must be open with MDB_NOTLS, and mdb_env_set_maxdbs must leave room for a
  /// handle of each database; while this runs the host opens no handle.
  [[nodiscard]] static Result<LmdbSnapshot> from_env(MDB_env* env,
                                                     const LmdbSnapshotOptions& options = {}) {
    unsigned flags = 0;
    if (env == nullptr || mdb_env_get_flags(env, &flags) != 0 || (flags & MDB_NOTLS) == 0) {
      return Status::error(StatusCode::invalid_argument,
                           "cannot take a snapshot of this LMDB environment: open it with "
                           "MDB_NOTLS, so that a transaction is not bound to a thread");
    }
    auto shared = std::make_shared<detail::LmdbShared>();
    shared->env = env;
    shared->owned = false;
    const char* path = nullptr;
    mdb_env_get_path(env, &path);
    shared->where = std::string("lmdb:") + (path != nullptr ? path : "");
    Status status = take(*shared, options);
    if (!status.ok()) return status;
    return LmdbSnapshot(std::move(shared));
  }

  /// not_found for a database that is not in the snapshot; resource_exhausted when as many sources
  /// are alive as there are workers().
  [[nodiscard]] Result<LmdbSource> scan(const KeyRange& range) const {
    const detail::LmdbDatabase* const database = find(range.cf);
    if (database == nullptr) {
      return Status::error(StatusCode::not_found, "there is no such LMDB database in the snapshot")
          .with_object(shared_->where + "?db=" + range.cf);
    }
    std::size_t slot = 0;
    {
      const MutexLock lock(shared_->mutex);
      if (shared_->free.empty()) return none_free();
      slot = shared_->free.back();
      shared_->free.pop_back();
    }
    return LmdbSource(shared_, *database, slot, range);
  }
  /// Of a whole database: its pairs, and the bytes of the pages they fill. Nothing for a part.
  [[nodiscard]] SizeEstimate estimate(const KeyRange& range) const {
    SizeEstimate estimate;
    const detail::LmdbDatabase* const database = find(range.cf);
    if (database == nullptr || !range.start.empty() || !range.end.empty()) return estimate;
    estimate.pairs = database->pairs;
    estimate.bytes = database->bytes;
    return estimate;
  }
  /// One whole range a database, "default" first, then by name.
  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    std::vector<KeyRange> ranges;
    for (const detail::LmdbDatabase& database : shared_->databases) {
      KeyRange range;
      range.cf = database.cf;
      ranges.push_back(std::move(range));
    }
    return ranges;
  }
  [[nodiscard]] std::string kind() const { return "lmdb"; }
  /// The id of the last transaction that the snapshot sees, in decimal.
  [[nodiscard]] std::string identity() const {
    return std::to_string(mdb_txn_id(shared_->txns.front()));
  }
  /// The same, and the file that the environment lies in; empty if that cannot be asked.
  [[nodiscard]] std::string state() const {
    mdb_filehandle_t file = 0;
    struct stat info {};
    if (mdb_env_get_fd(mdb_txn_env(shared_->txns.front()), &file) != MDB_SUCCESS ||
        ::fstat(file, &info) != 0) {
      return {};
    }
    return "file " + std::to_string(info.st_dev) + ':' + std::to_string(info.st_ino) +
           ", transaction " + identity();
  }
  /// Sources that can be alive at once: as many as asked for, or fewer where LMDB had too few free
  /// reader slots, or a busy writer never let that many transactions begin in one state.
  [[nodiscard]] std::size_t workers() const noexcept { return shared_->txns.size(); }

 private:
  using Shared = detail::LmdbShared;

  static constexpr std::size_t most_workers = 126;  // LMDB's default reader table
  static constexpr unsigned most_handles = 128 * 256;
  static constexpr int rounds = 64;  // tries to find many transactions in one state

  explicit LmdbSnapshot(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  [[nodiscard]] const detail::LmdbDatabase* find(ByteView cf) const {
    for (const detail::LmdbDatabase& database : shared_->databases) {
      if (database.cf == cf) return &database;
    }
    return nullptr;
  }
  [[nodiscard]] Status none_free() const {
    return Status::error(StatusCode::resource_exhausted,
                         "every read transaction of the LMDB snapshot is in use; take it with more "
                         "workers or scan with fewer threads")
        .with_object(shared_->where);
  }

  /// Opens the handles and begins the transactions. Handles opened in one transaction serve only
  /// those that begin after it, so the transactions begin second, and where the store has moved on
  /// between, the list of databases is read again and must be the same.
  [[nodiscard]] static Status take(Shared& shared, const LmdbSnapshotOptions& options) {
    for (int round = 0; round < rounds; ++round) {
      shared.end_transactions();
      MDB_txn* first = nullptr;
      Status status = begin(shared, first);
      if (!status.ok()) return status;
      const std::size_t id = mdb_txn_id(first);
      const bool exact = is_exact(shared, first);
      status = list_databases(shared, first, options);
      mdb_txn_commit(first);
      if (status.ok()) status = begin_agreeing(shared, options);
      if (status.native_code() == MDB_MAP_RESIZED && shared.owned) continue;
      if (!status.ok()) return std::move(status).with_object(shared.where);
      if (exact && mdb_txn_id(shared.txns.front()) == id) return ready(shared);
      const std::vector<detail::LmdbDatabase> before = std::move(shared.databases);
      const std::vector<std::string> records_before = std::move(shared.records);
      status = list_databases(shared, shared.txns.front(), options);
      if (!status.ok()) return status;
      if (before == shared.databases && records_before == shared.records) return ready(shared);
    }
    return Status::error(StatusCode::unavailable,
                         "databases of the LMDB environment come and go faster than a snapshot can "
                         "be taken; try again")
        .with_object(shared.where)
        .as_retryable();
  }
  [[nodiscard]] static Status ready(Shared& shared) {
    shared.free.clear();
    for (std::size_t i = shared.txns.size(); i-- > 0;) shared.free.push_back(i);
    return {};
  }
  /// A read transaction; makes room for it where that is possible.
  [[nodiscard]] static Status begin(Shared& shared, MDB_txn*& txn) {
    int rc = mdb_txn_begin(shared.env, nullptr, MDB_RDONLY, &txn);
    if (rc == MDB_READERS_FULL) {
      int dead = 0;
      mdb_reader_check(shared.env, &dead);  // clears slots of processes that have died
      rc = mdb_txn_begin(shared.env, nullptr, MDB_RDONLY, &txn);
    }
    // another process has grown the store; only without transactions can the map follow
    if (rc == MDB_MAP_RESIZED && shared.owned && shared.txns.empty()) {
      rc = mdb_env_set_mapsize(shared.env, 0);
      if (rc == MDB_SUCCESS) rc = mdb_txn_begin(shared.env, nullptr, MDB_RDONLY, &txn);
    }
    if (rc == MDB_SUCCESS) return {};
    return detail::lmdb_status(rc, "begin a read transaction of the LMDB environment",
                               shared.where);
  }
  /// Half of the reader slots that nobody holds; any number where there are no slots.
  [[nodiscard]] static std::size_t fair_share(const Shared& shared) {
    unsigned flags = 0;
    if (mdb_env_get_flags(shared.env, &flags) == 0 && (flags & MDB_NOLOCK) != 0) {
      return most_workers;
    }
    int dead = 0;
    mdb_reader_check(shared.env, &dead);
    unsigned slots = 0;
    std::size_t used = 0;
    if (mdb_env_get_maxreaders(shared.env, &slots) != 0) return 1;
    if (mdb_reader_list(shared.env, count_reader, &used) < 0) return 1;
    return slots > used ? (slots - used) / 2 : 0;
  }
  /// mdb_reader_list gives a line a reader, which begins with its process id, and a heading.
  static int count_reader(const char* line, void* count) {
    while (*line == ' ') ++line;
    if (*line >= '0' && *line <= '9') ++*static_cast<std::size_t*>(count);
    return 0;
  }
  [[nodiscard]] static Status begin_agreeing(Shared& shared, const LmdbSnapshotOptions& options) {
    std::size_t workers = std::min({options.workers, most_workers, fair_share(shared)});
    if (options.one_scan_a_database) workers = std::min(workers, shared.databases.size());
    workers = std::max(workers, std::size_t{1});
    while (shared.txns.size() < workers) {
      MDB_txn* txn = nullptr;
      Status status = begin(shared, txn);
      if (status.native_code() == MDB_READERS_FULL && !shared.txns.empty()) break;
      if (!status.ok()) return status;
      shared.txns.push_back(txn);
    }
    std::vector<bool> exact;
    for (MDB_txn* const txn : shared.txns) exact.push_back(is_exact(shared, txn));
    for (int round = 0; round < rounds; ++round) {
      const std::size_t newest = newest_of(shared);
      bool agree = true;
      for (std::size_t i = 0; i < shared.txns.size(); ++i) {
        MDB_txn* const txn = shared.txns[i];
        if (exact[i] && mdb_txn_id(txn) == newest) continue;
        agree = false;
        mdb_txn_reset(txn);
        const int rc = mdb_txn_renew(txn);
        if (rc != MDB_SUCCESS) {
          return detail::lmdb_status(rc, "begin a read transaction of LMDB again", shared.where);
        }
        exact[i] = is_exact(shared, txn);
      }
      if (agree) return {};
    }
    keep_agreeing(shared, exact);
    return {};
  }
  [[nodiscard]] static std::size_t newest_of(const Shared& shared) {
    std::size_t newest = 0;
    for (MDB_txn* const txn : shared.txns) newest = std::max(newest, mdb_txn_id(txn));
    return newest;
  }
  /// Whether a transaction that has just begun surely sees the state of its own id. LMDB takes the
  /// id first and then the roots of the databases, which two commits in between replace by those of
  /// a later state. Where nothing was committed since, nothing came between.
  [[nodiscard]] static bool is_exact(const Shared& shared, MDB_txn* txn) {
    MDB_envinfo info{};
    return mdb_env_info(shared.env, &info) == 0 && info.me_last_txnid == mdb_txn_id(txn);
  }
  /// For a writer that is too fast for that many transactions: keeps those that happen to agree.
  static void keep_agreeing(Shared& shared, const std::vector<bool>& exact) {
    std::size_t newest = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      if (exact[i]) newest = std::max(newest, mdb_txn_id(shared.txns[i]));
    }
    std::vector<MDB_txn*> kept;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      MDB_txn* const txn = shared.txns[i];
      // a single transaction is one state, whatever its id
      const bool keep = newest == 0 ? i == 0 : exact[i] && mdb_txn_id(txn) == newest;
      if (keep) {
        kept.push_back(txn);
      } else {
        mdb_txn_abort(txn);
      }
    }
    shared.txns = std::move(kept);
  }

  [[nodiscard]] static Status list_databases(Shared& shared, MDB_txn* txn,
                                             const LmdbSnapshotOptions& options) {
    shared.databases.clear();
    shared.records.clear();
    if (options.db && !options.db->empty()) {
      MDB_dbi dbi = 0;
      const int rc = open_named(shared, txn, *options.db, dbi);
      if (rc == MDB_SUCCESS) return add(shared, txn, dbi, *options.db, false);
      const bool absent = rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE || rc == MDB_BAD_VALSIZE;
      if (!absent || *options.db != default_cf) {
        return absent ? Status::error(StatusCode::not_found, "there is no such LMDB database")
                            .with_object(shared.where + "?db=" + *options.db)
                      : failed_open(shared, rc, *options.db);
      }
    }
    return list_all(shared, txn, options.db.has_value());
  }
  [[nodiscard]] static int open_named(const Shared& shared, MDB_txn* txn, const std::string& name,
                                      MDB_dbi& dbi) {
    if (!detail::lmdb_name_fits(name, mdb_env_get_maxkeysize(shared.env))) return MDB_BAD_VALSIZE;
    return mdb_dbi_open(txn, name.c_str(), 0, &dbi);
  }
  /// Walks the unnamed database: each entry is a pair, or the record of a named database, which
  /// opens by its name where a pair does not (MDB_INCOMPATIBLE).
  [[nodiscard]] static Status list_all(Shared& shared, MDB_txn* txn, bool only_unnamed) {
    MDB_dbi unnamed = 0;
    MDB_cursor* cursor = nullptr;
    int rc = mdb_dbi_open(txn, nullptr, 0, &unnamed);
    if (rc == MDB_SUCCESS) rc = mdb_cursor_open(txn, unnamed, &cursor);
    if (rc != MDB_SUCCESS) return failed_open(shared, rc, "");
    Status status;
    bool pairs = false;
    MDB_val key{};
    MDB_val value{};
    while (status.ok() && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
      MDB_dbi dbi = 0;
      std::string name;
      int opened = MDB_INCOMPATIBLE;
      if (value.mv_size == detail::lmdb_record_size) {
        name = detail::lmdb_view(key);
        opened = open_named(shared, txn, name, dbi);
      }
      if (opened == MDB_SUCCESS) {
        shared.records.push_back(name);
        if (!only_unnamed) status = add(shared, txn, dbi, name, false);
      } else if (opened == MDB_INCOMPATIBLE || opened == MDB_BAD_VALSIZE ||
                 opened == MDB_NOTFOUND) {
        pairs = true;
      } else {
        status = failed_open(shared, opened, name);
      }
    }
    mdb_cursor_close(cursor);
    if (!status.ok()) return status;
    if (rc != MDB_NOTFOUND) return failed_open(shared, rc, "");
    std::sort(shared.records.begin(), shared.records.end());
    std::sort(shared.databases.begin(), shared.databases.end(),
              [](const auto& a, const auto& b) { return a.cf < b.cf; });
    if (!pairs && !only_unnamed && !shared.records.empty()) return {};
    return add(shared, txn, unnamed, std::string(default_cf), true);
  }
  [[nodiscard]] static Status add(Shared& shared, MDB_txn* txn, MDB_dbi dbi, const std::string& cf,
                                  bool is_unnamed) {
    unsigned flags = 0;
    MDB_stat stat{};
    int rc = mdb_dbi_flags(txn, dbi, &flags);
    if (rc == MDB_SUCCESS) rc = mdb_stat(txn, dbi, &stat);
    if (rc != MDB_SUCCESS) return failed_open(shared, rc, cf);
    const char* const flag = detail::lmdb_foreign_order(flags);
    if (flag != nullptr) {
      std::string message("cannot back up the LMDB database: it has the flag ");
      message += flag;
      message += ", so it is no plain store of one value a key in the order of its bytes";
      return Status::error(StatusCode::unsupported, std::move(message))
          .with_object(shared.where + "?db=" + (is_unnamed ? std::string() : cf));
    }
    for (const detail::LmdbDatabase& other : shared.databases) {
      if (other.cf != cf) continue;
      return Status::error(StatusCode::unsupported,
                           "the unnamed LMDB database holds pairs and there is a database named "
                           "default too; back them up one by one, with db= and db=default")
          .with_object(shared.where);
    }
    detail::LmdbDatabase database;
    database.cf = cf;
    database.dbi = dbi;
    database.is_unnamed = is_unnamed;
    database.pairs = stat.ms_entries - (is_unnamed ? shared.records.size() : 0);
    database.bytes = std::uint64_t{stat.ms_psize} * (stat.ms_leaf_pages + stat.ms_overflow_pages);
    shared.databases.insert(is_unnamed ? shared.databases.begin() : shared.databases.end(),
                            std::move(database));
    return {};
  }
  [[nodiscard]] static Status failed_open(const Shared& shared, int rc, const std::string& name) {
    return detail::lmdb_status(rc, "open the LMDB database", shared.where + "?db=" + name);
  }

  std::shared_ptr<Shared> shared_;
};

static_assert(SeekableSource<LmdbSource>);
static_assert(EstimatingSnapshot<LmdbSnapshot> && EnumerableSnapshot<LmdbSnapshot> &&
              IdentifiedSource<LmdbSnapshot>);

}  // namespace kvbackup::inline v1
