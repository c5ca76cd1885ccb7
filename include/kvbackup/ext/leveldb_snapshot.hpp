// SPDX-License-Identifier: Apache-2.0
// LevelDB stores as a snapshot to back up. LevelDB has one key space: the column family "default".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/approximate_split.hpp>
#include <kvbackup/ext/detail/leveldb_common.hpp>
#include <kvbackup/ext/detail/store_lock.hpp>
#include <kvbackup/kvbackup.hpp>
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/iterator.h>
#include <leveldb/options.h>

namespace kvbackup::inline v1 {

namespace detail {

/// What a snapshot and its scans share.
struct LeveldbShared {
  LeveldbShared() = default;
  LeveldbShared(const LeveldbShared&) = delete;
  LeveldbShared& operator=(const LeveldbShared&) = delete;
  ~LeveldbShared() {
    if (snapshot != nullptr) db->ReleaseSnapshot(snapshot);
  }

  std::unique_ptr<leveldb::Logger> silence;  // outlives the store
  std::unique_ptr<leveldb::DB> owned;        // null where the store is the host's
  leveldb::DB* db = nullptr;
  const leveldb::Snapshot* snapshot = nullptr;
  std::string where;  // for messages
  SplitMemory splits;
};

}  // namespace detail

/// The pairs of a LevelDB store, or a part of it, in key order. Blocks are read with their
/// checksums verified and stay out of the block cache.
class LeveldbSource {
 public:
  LeveldbSource(LeveldbSource&&) = default;
  LeveldbSource& operator=(LeveldbSource&& other) noexcept {
    if (this == &other) return *this;
    iterator_.reset();  // before the store that it reads, which may go with the next line
    shared_ = std::move(other.shared_);
    start_ = std::move(other.start_);
    end_ = std::move(other.end_);
    iterator_ = std::move(other.iterator_);
    valid_ = other.valid_;
    return *this;
  }
  ~LeveldbSource() = default;

  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] ByteView key() const { return detail::leveldb_view(iterator_->key()); }
  [[nodiscard]] ByteView value() const { return detail::leveldb_view(iterator_->value()); }
  void next() {
    iterator_->Next();
    settle();
  }
  void seek(ByteView key) {
    iterator_->Seek(detail::leveldb_slice(std::max(key, ByteView(start_))));
    settle();
  }
  [[nodiscard]] Status status() const {
    return detail::leveldb_status(iterator_->status(), "read on in the LevelDB store",
                                  shared_->where);
  }

 private:
  friend class LeveldbSnapshot;

  LeveldbSource(std::shared_ptr<detail::LeveldbShared> shared, const KeyRange& range)
      : shared_(std::move(shared)), start_(range.start), end_(range.end) {
    leveldb::ReadOptions options;
    options.verify_checksums = true;
    options.fill_cache = false;
    options.snapshot = shared_->snapshot;
    iterator_.reset(shared_->db->NewIterator(options));
    seek({});
  }
  void settle() { valid_ = iterator_->Valid() && (end_.empty() || key() < ByteView(end_)); }

  std::shared_ptr<detail::LeveldbShared> shared_;
  std::string start_;
  std::string end_;
  std::unique_ptr<leveldb::Iterator> iterator_;
  bool valid_ = false;
};

/// One state of a LevelDB store, scanned by any number of threads at once.
class LeveldbSnapshot {
 public:
  /// Opens the store at `path`. LevelDB has no way to open a store for reading only: it takes the
  /// LOCK and, where the store was not closed cleanly or compactions are due, writes tables and a
  /// new MANIFEST. A store that a process has open is refused as unavailable, before anything of it
  /// is touched; back it up from within that process, with from_db().
  ///
  /// not_found without a store; unsupported for a comparator other than leveldb.BytewiseComparator,
  /// which LevelDB itself refuses.
  [[nodiscard]] static Result<LeveldbSnapshot> open(const std::string& path) {
    auto shared = std::make_shared<detail::LeveldbShared>();
    shared->where = "leveldb:" + path;
    std::error_code error;
    if (!std::filesystem::exists(detail::join_path(path, "CURRENT"), error)) {
      if (error) return errno_status(error.value(), "open the LevelDB store", shared->where);
      return Status::error(StatusCode::not_found, "there is no LevelDB store (no file CURRENT)")
          .with_object(shared->where);
    }
    Status status = detail::refuse_held_store(
        path, "LevelDB store",
        "LevelDB stores are opened by one process at a time: end it first, or back up from within "
        "it");
    if (!status.ok()) return status;
    shared->silence = detail::leveldb_silence();
    leveldb::Options options;
    options.create_if_missing = false;
    options.paranoid_checks = true;
    options.info_log = shared->silence.get();
    leveldb::DB* db = nullptr;
    const leveldb::Status opened = leveldb::DB::Open(options, path, &db);
    if (!opened.ok()) return failed_open(opened, shared->where);
    shared->owned.reset(db);
    return take(std::move(shared), db);
  }
  /// The same of a store that the host has open, and keeps open until the snapshot and its sources
  /// are gone. Its comparator must be LevelDB's own, which cannot be seen from outside; other keys
  /// come out of order and the backup says so.
  [[nodiscard]] static Result<LeveldbSnapshot> from_db(leveldb::DB* db) {
    if (db == nullptr) {
      return Status::error(StatusCode::invalid_argument,
                           "cannot take a snapshot of a LevelDB store: there is none (null)");
    }
    auto shared = std::make_shared<detail::LeveldbShared>();
    shared->where = "leveldb:";
    return take(std::move(shared), db);
  }

  /// not_found for a column family other than "default".
  [[nodiscard]] Result<LeveldbSource> scan(const KeyRange& range) const {
    if (Status status = check_cf(range); !status.ok()) return status;
    return LeveldbSource(shared_, range);
  }
  /// Cuts by LevelDB's approximate sizes, which are of stored bytes. What is in memory only counts
  /// for nothing. Asked again, a snapshot answers the same.
  [[nodiscard]] Result<std::vector<KeyRange>> split(const KeyRange& range,
                                                    std::uint64_t target_bytes) const {
    if (Status status = check_cf(range); !status.ok()) return status;
    return shared_->splits.get(range, target_bytes, [&] { return cut(range, target_bytes); });
  }
  /// Stored bytes, by LevelDB's own estimate.
  [[nodiscard]] SizeEstimate estimate(const KeyRange& range) const {
    SizeEstimate estimate;
    if (range.cf != default_cf || range.empty()) return estimate;
    estimate.bytes = size(range.start, range.end.empty() ? std::string(64, '\xff') : range.end);
    return estimate;
  }
  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    return std::vector<KeyRange>{KeyRange{}};
  }
  [[nodiscard]] std::string kind() const { return "leveldb"; }
  /// LevelDB tells neither an identity of the store nor the number of a snapshot.
  [[nodiscard]] std::string identity() const { return {}; }

 private:
  using Shared = detail::LeveldbShared;

  explicit LeveldbSnapshot(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  [[nodiscard]] static Result<LeveldbSnapshot> take(std::shared_ptr<Shared> shared,
                                                    leveldb::DB* db) {
    shared->db = db;
    shared->snapshot = db->GetSnapshot();
    return LeveldbSnapshot(std::move(shared));
  }
  [[nodiscard]] static Status failed_open(const leveldb::Status& opened, const std::string& where) {
    const std::string text = opened.ToString();
    if (text.find("does not match existing comparator") == std::string::npos) {
      return detail::leveldb_status(opened, "open the LevelDB store", where);
    }
    return Status::error(
               StatusCode::unsupported,
               "cannot back up the store: it has a comparator of its own, so its keys are "
               "in another order than a backup's (" +
                   text + ")")
        .with_object(where);
  }
  [[nodiscard]] Status check_cf(const KeyRange& range) const {
    if (range.cf == default_cf) return {};
    return Status::error(StatusCode::not_found,
                         "a LevelDB store has one key space, the column family default")
        .with_object(shared_->where + "?cf=" + range.cf);
  }
  [[nodiscard]] std::uint64_t size(const std::string& start, const std::string& end) const {
    const leveldb::Range asked(start, end);
    std::uint64_t bytes = 0;
    shared_->db->GetApproximateSizes(&asked, 1, &bytes);
    return bytes;
  }
  [[nodiscard]] Result<std::vector<KeyRange>> cut(const KeyRange& range,
                                                  std::uint64_t target_bytes) const {
    LeveldbSource source(shared_, range);
    if (!source.valid()) {
      if (Status status = source.status(); !status.ok()) return status;
      return std::vector<KeyRange>{range};
    }
    const std::string first(source.key());
    std::string past = range.end;
    if (past.empty()) {
      source.iterator_->SeekToLast();
      if (Status status = source.status(); !status.ok()) return status;
      past = std::string(source.key()) + '\0';
    }
    const auto size_of = [this](const std::string& start, const std::string& end) {
      return size(start, end);
    };
    detail::ApproximateSplitter splitter(size_of, target_bytes);
    splitter.add(first, past, size(first, past));
    return splitter.parts_of(range);
  }

  std::shared_ptr<Shared> shared_;
};

static_assert(SeekableSource<LeveldbSource>);
static_assert(SplittableSnapshot<LeveldbSnapshot> && EstimatingSnapshot<LeveldbSnapshot> &&
              EnumerableSnapshot<LeveldbSnapshot> && IdentifiedSource<LeveldbSnapshot>);

}  // namespace kvbackup::inline v1
