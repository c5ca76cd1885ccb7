// SPDX-License-Identifier: Apache-2.0
// RocksDB stores as a snapshot to back up.
//
// In the process that has the store open: RocksdbSnapshot::from_db(), a snapshot of RocksDB's own.
// A store that another process holds, or nobody: RocksdbSnapshot::open(). Neither writes to the
// store's folder.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/approximate_split.hpp>
#include <kvbackup/ext/detail/rocksdb_common.hpp>
#include <kvbackup/ext/detail/rocksdb_open.hpp>
#include <kvbackup/kvbackup.hpp>
#include <rocksdb/db.h>
#include <rocksdb/iterator.h>
#include <rocksdb/metadata.h>
#include <rocksdb/options.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/table_properties.h>
#include <rocksdb/version.h>

namespace kvbackup::inline v1 {

namespace detail {

struct RocksdbFamily {
  std::string name;
  rocksdb::ColumnFamilyHandle* handle = nullptr;
};

/// What a snapshot and its scans share.
struct RocksdbShared {
  RocksdbShared() = default;
  RocksdbShared(const RocksdbShared&) = delete;
  RocksdbShared& operator=(const RocksdbShared&) = delete;
  ~RocksdbShared() {
    if (snapshot != nullptr) db->ReleaseSnapshot(snapshot);
    if (frozen) frozen->handles.close().PermitUncheckedError();
  }

  std::unique_ptr<RocksdbFrozen> frozen;  // null where the store is the host's
  rocksdb::DB* db = nullptr;
  const rocksdb::Snapshot* snapshot = nullptr;  // null where the store is frozen
  std::uint64_t sequence = 0;
  std::string where;  // for messages
  std::vector<RocksdbFamily> families;
  SplitMemory splits;
};

}  // namespace detail

/// How a snapshot of a RocksDB store is taken.
struct RocksdbSnapshotOptions {
  /// Only this column family. Without it, all of them, at one sequence number.
  std::optional<std::string> cf;
  /// Bytes that a scan reads ahead at once.
  std::size_t readahead = std::size_t{2} << 20;
};

/// The pairs of one column family, or a part of it, in key order. Blocks are read with their
/// checksums verified and stay out of the block cache.
class RocksdbSource {
 public:
  RocksdbSource(RocksdbSource&&) = default;
  RocksdbSource& operator=(RocksdbSource&& other) noexcept {
    if (this == &other) return *this;
    iterator_.reset();  // before the store that it reads, which may go with the next line
    shared_ = std::move(other.shared_);
    family_ = other.family_;
    bounds_ = std::move(other.bounds_);
    iterator_ = std::move(other.iterator_);
    refused_ = std::move(other.refused_);
    valid_ = other.valid_;
    return *this;
  }
  ~RocksdbSource() = default;

  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] ByteView key() const { return detail::rocksdb_view(iterator_->key()); }
  [[nodiscard]] ByteView value() const { return detail::rocksdb_view(iterator_->value()); }
  void next() {
    iterator_->Next();
    settle();
  }
  void seek(ByteView key) {
    if (!refused_.ok()) return;
    iterator_->Seek(detail::rocksdb_slice(std::max(key, ByteView(bounds_->start))));
    settle();
  }
  /// unsupported, naming the column family, at a value that is no single one: wide columns, or
  /// merge operands whose operator is not there.
  [[nodiscard]] Status status() const {
    if (!refused_.ok()) return refused_;
    return detail::rocksdb_status(iterator_->status(), "read on in the column family", where());
  }

 private:
  friend class RocksdbSnapshot;

  /// The iterator keeps pointers to it.
  struct Bounds {
    std::string start;
    std::string end;
    rocksdb::Slice upper;
  };

  RocksdbSource(std::shared_ptr<detail::RocksdbShared> shared, const detail::RocksdbFamily& family,
                const KeyRange& range, std::size_t readahead)
      : shared_(std::move(shared)),
        family_(&family),
        bounds_(std::make_unique<Bounds>(Bounds{range.start, range.end, {}})) {
    bounds_->upper = bounds_->end;
    rocksdb::ReadOptions options;
    options.snapshot = shared_->snapshot;
    if (!range.end.empty()) options.iterate_upper_bound = &bounds_->upper;
    options.verify_checksums = true;
    options.fill_cache = false;
    options.readahead_size = readahead;
    // a prefix extractor would hide keys
    options.total_order_seek = true;
    options.auto_prefix_mode = false;
    options.background_purge_on_iterator_cleanup = true;
    iterator_.reset(shared_->db->NewIterator(options, family.handle));
    seek({});
  }

  void settle() {
    valid_ = iterator_->Valid();
#if ROCKSDB_MAJOR * 100 + ROCKSDB_MINOR >= 708
    if (valid_) check_columns(iterator_->columns());
#endif
  }
#if ROCKSDB_MAJOR * 100 + ROCKSDB_MINOR >= 708
  void check_columns(const rocksdb::WideColumns& columns) {
    if (columns.size() == 1 && columns.front().name().empty()) return;
    refused_ = Status::error(StatusCode::unsupported,
                             "cannot back up the column family: a value has wide columns "
                             "(PutEntity), which a plain pair cannot represent")
                   .with_object(where())
                   .with_key(key());
    valid_ = false;
  }
#endif
  [[nodiscard]] std::string where() const { return shared_->where + "?cf=" + family_->name; }

  std::shared_ptr<detail::RocksdbShared> shared_;
  const detail::RocksdbFamily* family_;
  std::unique_ptr<Bounds> bounds_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  Status refused_;
  bool valid_ = false;
};

/// One state of a RocksDB store, all its column families at one sequence number, scanned by any
/// number of threads at once.
///
/// What plain pairs cannot represent is refused as unsupported, by name: another comparator than
/// leveldb.BytewiseComparator and user-defined timestamps when the snapshot is taken, wide columns
/// and merge operands without their operator when a scan meets one.
class RocksdbSnapshot {
 public:
  /// Opens the store at `path`: read-only if no process holds its LOCK, else as a secondary of the
  /// process that does. The store's folder is not written to. Its options are taken from its own
  /// OPTIONS file; what that names and this RocksDB has not is left out.
  ///
  /// A secondary sees what the store's owner has handed to the system: not what it wrote without a
  /// log (disableWAL) since its last flush, nor what it holds back (manual_wal_flush).
  ///
  /// not_found for a path without a store and for an unknown column family, whose message lists
  /// those that there are; unavailable if the store's files kept changing under every try to open
  /// it. While this runs no thread of this process opens or closes that store.
  [[nodiscard]] static Result<RocksdbSnapshot> open(const std::string& path,
                                                    const RocksdbSnapshotOptions& options = {}) {
    auto shared = std::make_shared<Shared>();
    shared->where = "rocksdb:" + path;
    shared->frozen = std::make_unique<detail::RocksdbFrozen>();
    detail::RocksdbOpener opener(path, options.cf, shared->where);
    if (Status status = opener.open(*shared->frozen); !status.ok()) return status;
    shared->db = shared->frozen->handles.db.get();
    shared->sequence = shared->db->GetLatestSequenceNumber();
    for (rocksdb::ColumnFamilyHandle* const handle : shared->frozen->handles.cfs) {
      if (options.cf && handle->GetName() != *options.cf) continue;
      shared->families.push_back({handle->GetName(), handle});
    }
    return RocksdbSnapshot(std::move(shared), options.readahead);
  }

  /// The same of a store that the host has open, and keeps open until the snapshot and its sources
  /// are gone; the handles too. Without `handles` the column family "default". The host may write,
  /// flush and compact meanwhile. `options.cf` chooses among the handles.
  ///
  /// unsupported where the store has no lasting snapshots: unordered_write, inplace_update_support,
  /// and a secondary.
  [[nodiscard]] static Result<RocksdbSnapshot> from_db(
      rocksdb::DB* db, std::vector<rocksdb::ColumnFamilyHandle*> handles = {},
      const RocksdbSnapshotOptions& options = {}) {
    if (db == nullptr) {
      return Status::error(StatusCode::invalid_argument,
                           "cannot take a snapshot of a RocksDB store: there is none (null)");
    }
    if (handles.empty()) handles.push_back(db->DefaultColumnFamily());
    auto shared = std::make_shared<Shared>();
    shared->where = "rocksdb:" + db->GetName();
    shared->db = db;
    for (rocksdb::ColumnFamilyHandle* const handle : handles) {
      if (options.cf && handle->GetName() != *options.cf) continue;
      Status status = detail::check_rocksdb_order(handle->GetComparator(),
                                                  shared->where + "?cf=" + handle->GetName());
      if (!status.ok()) return status;
      shared->families.push_back({handle->GetName(), handle});
    }
    if (shared->families.empty()) return unknown_cf(*shared, *options.cf);
    if (db->GetDBOptions().unordered_write) return no_snapshots(*shared, "unordered_write is set");
    shared->snapshot = db->GetSnapshot();
    if (shared->snapshot == nullptr) {
      return no_snapshots(*shared, "it has inplace_update_support, or is a secondary");
    }
    shared->sequence = shared->snapshot->GetSequenceNumber();
    return RocksdbSnapshot(std::move(shared), options.readahead);
  }

  /// not_found for a column family that is not in the snapshot.
  [[nodiscard]] Result<RocksdbSource> scan(const KeyRange& range) const {
    const detail::RocksdbFamily* const family = find(range.cf);
    if (family == nullptr) return unknown_cf(*shared_, range.cf);
    return RocksdbSource(shared_, *family, range, readahead_);
  }
  /// Cuts by the approximate sizes of the store's tables. What is in memory only counts for
  /// nothing, since RocksDB's guess of that is not the same twice. Asked again, a snapshot answers
  /// the same.
  [[nodiscard]] Result<std::vector<KeyRange>> split(const KeyRange& range,
                                                    std::uint64_t target_bytes) const {
    const detail::RocksdbFamily* const family = find(range.cf);
    if (family == nullptr) return unknown_cf(*shared_, range.cf);
    return shared_->splits.get(range, target_bytes,
                               [&] { return cut(*family, range, target_bytes); });
  }
  /// Keys of a whole column family, and bytes of any range, by RocksDB's own estimates.
  [[nodiscard]] SizeEstimate estimate(const KeyRange& range) const {
    SizeEstimate estimate;
    const detail::RocksdbFamily* const family = find(range.cf);
    if (family == nullptr || range.empty()) return estimate;
    std::uint64_t keys = 0;
    if (range.start.empty() && range.end.empty() &&
        shared_->db->GetIntProperty(family->handle, rocksdb::DB::Properties::kEstimateNumKeys,
                                    &keys)) {
      estimate.pairs = keys;
    }
    double logical_per_stored = 1;
    std::string end = range.end;
    if (end.empty()) end = past_all_keys(*family);
    std::uint64_t bytes = 0;
    rocksdb::SizeApproximationOptions sizes;
    sizes.include_memtables = true;
    const rocksdb::Range asked(range.start, end);
    if (!logical_ratio(*family, logical_per_stored).ok() ||
        !shared_->db->GetApproximateSizes(sizes, family->handle, &asked, 1, &bytes).ok()) {
      return estimate;
    }
    estimate.bytes = static_cast<std::uint64_t>(static_cast<double>(bytes) * logical_per_stored);
    return estimate;
  }
  /// One whole range a column family, "default" first, then by name (from_db: in the order given).
  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    std::vector<KeyRange> ranges;
    for (const detail::RocksdbFamily& family : shared_->families) {
      KeyRange range;
      range.cf = family.name;
      ranges.push_back(std::move(range));
    }
    return ranges;
  }
  [[nodiscard]] std::string kind() const { return "rocksdb"; }
  /// The store's identity (its file IDENTITY), '@' and the sequence number of the state.
  [[nodiscard]] std::string identity() const {
    std::string id;
    if (!shared_->db->GetDbIdentity(id).ok()) id.clear();
    return id + '@' + std::to_string(shared_->sequence);
  }
  /// The sequence number of the state: the last write that is in it.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return shared_->sequence; }
  /// Whether another process holds the store, so that it was opened as a secondary.
  [[nodiscard]] bool is_secondary() const noexcept {
    return shared_->frozen && shared_->frozen->holder.state != detail::StoreLock::free;
  }
  /// How the store was read and what a reader of the backup should know of it.
  [[nodiscard]] std::vector<std::string> notes() const {
    const std::string number = std::to_string(shared_->sequence);
    if (!is_secondary()) return {"RocksDB read at sequence number " + number};
    return {"RocksDB read as a secondary, since another process holds it, at sequence number " +
            number +
            "; writes that are not in its log (disableWAL, or not yet flushed to it) are "
            "not in the backup"};
  }

 private:
  using Shared = detail::RocksdbShared;

  RocksdbSnapshot(std::shared_ptr<Shared> shared, std::size_t readahead)
      : shared_(std::move(shared)), readahead_(readahead) {}

  [[nodiscard]] const detail::RocksdbFamily* find(ByteView cf) const {
    for (const detail::RocksdbFamily& family : shared_->families) {
      if (family.name == cf) return &family;
    }
    return nullptr;
  }
  [[nodiscard]] static Status unknown_cf(const Shared& shared, const std::string& cf) {
    std::string message("there is no such column family in the snapshot");
    const char* separator = "; it has ";
    for (const detail::RocksdbFamily& family : shared.families) {
      message += separator + family.name;
      separator = ", ";
    }
    return Status::error(StatusCode::not_found, std::move(message))
        .with_object(shared.where + "?cf=" + cf);
  }
  [[nodiscard]] static Status no_snapshots(const Shared& shared, const char* why) {
    std::string message("cannot back up this RocksDB store: it gives no lasting snapshot (");
    message += why;
    message += ')';
    return Status::error(StatusCode::unsupported, std::move(message)).with_object(shared.where);
  }

  /// Just past the last key of any table or, where the rest is in memory, an end that is past all
  /// but the most unusual keys. For estimates.
  [[nodiscard]] std::string past_all_keys(const detail::RocksdbFamily& family) const {
    std::string last(64, '\xff');
    rocksdb::ColumnFamilyMetaData meta;
    shared_->db->GetColumnFamilyMetaData(family.handle, &meta);
    for (const rocksdb::LevelMetaData& level : meta.levels) {
      for (const rocksdb::SstFileMetaData& file : level.files)
        last = std::max(last, file.largestkey);
    }
    return last + '\0';
  }
  /// Bytes of keys and values for a stored byte, as the tables' properties tell it.
  [[nodiscard]] Status logical_ratio(const detail::RocksdbFamily& family, double& ratio) const {
    rocksdb::TablePropertiesCollection tables;
    const rocksdb::Status status = shared_->db->GetPropertiesOfAllTables(family.handle, &tables);
    if (!status.ok()) {
      return detail::rocksdb_status(status, "read the properties of the store's tables",
                                    shared_->where + "?cf=" + family.name);
    }
    double logical = 0;
    double stored = 0;
    for (const auto& [file, table] : tables) {
      // keys stand in a table with 8 bytes of sequence number and type
      logical += static_cast<double>(table->raw_key_size) +
                 static_cast<double>(table->raw_value_size) -
                 8 * static_cast<double>(table->num_entries);
      stored += static_cast<double>(table->data_size);
    }
    ratio = logical > 0 && stored > 0 ? logical / stored : 1;
    return {};
  }
  /// The ends of the store's tables within the range, which are good places to begin.
  [[nodiscard]] std::vector<std::string> table_bounds(const detail::RocksdbFamily& family,
                                                      const KeyRange& range) const {
    std::vector<std::string> bounds;
    rocksdb::ColumnFamilyMetaData meta;
    shared_->db->GetColumnFamilyMetaData(family.handle, &meta);
    for (const rocksdb::LevelMetaData& level : meta.levels) {
      for (const rocksdb::SstFileMetaData& file : level.files) {
        for (std::string key : {file.smallestkey, file.largestkey + '\0'}) {
          if (key < range.start) key = range.start;
          if (!range.end.empty() && key > range.end) key = range.end;
          bounds.push_back(std::move(key));
        }
      }
    }
    std::sort(bounds.begin(), bounds.end());
    bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
    return bounds;
  }
  [[nodiscard]] Result<std::vector<KeyRange>> cut(const detail::RocksdbFamily& family,
                                                  const KeyRange& range,
                                                  std::uint64_t target_bytes) const {
    double ratio = 1;
    if (Status status = logical_ratio(family, ratio); !status.ok()) return status;
    rocksdb::Status failure;
    const auto sizes = [&](const std::vector<rocksdb::Range>& asked) {
      std::vector<std::uint64_t> bytes(asked.size());
      const rocksdb::Status status = shared_->db->GetApproximateSizes(
          rocksdb::SizeApproximationOptions(), family.handle, asked.data(),
          static_cast<int>(asked.size()), bytes.data());
      if (!status.ok()) failure = status;
      return bytes;
    };
    const auto size = [&](const std::string& start, const std::string& end) {
      return sizes({rocksdb::Range(start, end)}).front();
    };
    const double stored_target = std::min(static_cast<double>(target_bytes) / ratio, 1e18);
    detail::ApproximateSplitter splitter(size, static_cast<std::uint64_t>(stored_target));
    const std::vector<std::string> bounds = table_bounds(family, range);
    std::vector<rocksdb::Range> pieces;
    for (std::size_t i = 1; i < bounds.size(); ++i) pieces.emplace_back(bounds[i - 1], bounds[i]);
    if (pieces.empty()) return std::vector<KeyRange>{range};
    const std::vector<std::uint64_t> bytes = sizes(pieces);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      splitter.add(bounds[i], bounds[i + 1], bytes[i]);
    }
    if (!failure.ok()) {
      return detail::rocksdb_status(failure, "ask for the sizes of key ranges",
                                    shared_->where + "?cf=" + family.name);
    }
    return splitter.parts_of(range);
  }

  std::shared_ptr<Shared> shared_;
  std::size_t readahead_;
};

static_assert(SeekableSource<RocksdbSource>);
static_assert(SplittableSnapshot<RocksdbSnapshot> && EstimatingSnapshot<RocksdbSnapshot> &&
              EnumerableSnapshot<RocksdbSnapshot> && IdentifiedSource<RocksdbSnapshot> &&
              AnnotatedSource<RocksdbSnapshot>);

}  // namespace kvbackup::inline v1
