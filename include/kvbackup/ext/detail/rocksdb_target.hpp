// SPDX-License-Identifier: Apache-2.0
// A RocksDB store that is written: one that is built, or one that is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/restoring_folder.hpp>
#include <kvbackup/ext/detail/rocksdb_common.hpp>
#include <kvbackup/ext/detail/rocksdb_open.hpp>
#include <kvbackup/ext/detail/store_lock.hpp>
#include <kvbackup/kvbackup.hpp>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/write_batch.h>

namespace kvbackup::inline v1 {

/// Where RocksdbSink puts pairs.
enum class RocksdbTarget : std::uint8_t {
  fresh,     ///< a new store: nothing may be at its path but an empty folder
  existing,  ///< a store that is there and that no process has open
};

/// How RocksdbSink puts pairs.
enum class RocksdbWay : std::uint8_t {
  ingest,       ///< as SST files of our own, all ingested in one step by finish()
  write_batch,  ///< as writes, batch by batch
};

/// How RocksdbSink builds or fills a store.
struct RocksdbSinkOptions {
  /// The column family that pairs of the column family "default" go to.
  std::string cf{default_cf};
  RocksdbTarget target = RocksdbTarget::fresh;
  RocksdbWay way = RocksdbWay::ingest;
  /// Bytes of a file to ingest, 1 MiB at least.
  std::uint64_t file_bytes = std::uint64_t{64} << 20;
  /// Bytes of pairs a WriteBatch.
  std::size_t batch_bytes = std::size_t{1} << 20;
};

namespace detail {

/// What of RocksdbSink does not depend on its policies.
class RocksdbStoreWriter {
 public:
  struct Family {
    std::string name;
    rocksdb::ColumnFamilyHandle* handle = nullptr;  // null: not there before create()
    bool any = false;
    std::string last_key;
    std::vector<std::string> files;  // to be ingested
  };

  explicit RocksdbStoreWriter(const RocksdbSinkOptions& options) : options_(options) {}
  RocksdbStoreWriter(const RocksdbStoreWriter&) = delete;
  RocksdbStoreWriter& operator=(const RocksdbStoreWriter&) = delete;
  ~RocksdbStoreWriter() { discard(); }

  [[nodiscard]] Status begin(const std::string& path) {
    Status status = is_fresh() ? open_fresh(path) : open_existing(path);
    if (!status.ok()) return status;
    staging_ = join_path(db_path_, "kvbackup-staging");
    std::error_code error;
    std::filesystem::remove_all(staging_, error);  // of a run that ended
    if (!error) std::filesystem::create_directory(staging_, error);
    if (error) return errno_status(error.value(), "make a folder for files", staging_);
    return {};
  }
  [[nodiscard]] const std::string& staging() const { return staging_; }
  [[nodiscard]] bool is_fresh() const { return options_.target == RocksdbTarget::fresh; }

  /// The column family that pairs of `cf` go to. invalid_argument for a name that cannot be.
  [[nodiscard]] Result<std::size_t> family(std::string_view cf) {
    const std::string name(cf == default_cf ? std::string_view(options_.cf) : cf);
    if (name.empty()) {
      return Status::error(StatusCode::invalid_argument,
                           "a column family of RocksDB has a name that is not empty")
          .with_object(where_);
    }
    for (std::size_t i = 0; i < families_.size(); ++i) {
      if (families_[i].name != name) continue;
      Status status = families_[i].handle == nullptr
                          ? Status()
                          : check_rocksdb_order(families_[i].handle->GetComparator(), where_of(i));
      if (!status.ok()) return status;
      return i;
    }
    add_family(name, nullptr);
    return families_.size() - 1;
  }
  [[nodiscard]] Family& at(std::size_t index) { return families_[index]; }
  [[nodiscard]] std::string where_of(std::size_t index) const {
    return where_ + "?cf=" + families_[index].name;
  }

  /// What RocksDB's lengths can hold, and rising keys.
  [[nodiscard]] Status check(const Family& family, ByteView key, ByteView value) const {
    constexpr std::uint64_t longest = std::numeric_limits<std::uint32_t>::max();
    if (key.size() >= longest || value.size() >= longest) {
      return Status::error(StatusCode::resource_exhausted,
                           "the key or the value is too long: RocksDB's are below 4 GiB")
          .with_key(key);
    }
    if (!family.any || ByteView(family.last_key) < key) return {};
    return Status::error(StatusCode::out_of_order,
                         "cannot put the pair into RocksDB: its key is not above the one before it")
        .with_key(key);
  }
  [[nodiscard]] Status write(std::size_t index, ByteView key, ByteView value) {
    if (Status status = create(index); !status.ok()) return status;
    const rocksdb::Status put =
        batch_.Put(families_[index].handle, rocksdb_slice(key), rocksdb_slice(value));
    if (!put.ok()) return rocksdb_status(put, "put the pair into a batch", where_of(index));
    return batch_.GetDataSize() < options_.batch_bytes ? Status() : write_batch();
  }
  [[nodiscard]] Status clear_range(std::size_t index, const KeyRange& range);
  /// The same, but by a table of its own that is ingested with the others, before them: the range
  /// is cleared in the step in which they come.
  [[nodiscard]] Status stage_clearing(std::size_t index, const KeyRange& range);
  [[nodiscard]] Status finish();
  void discard() {
    batch_.Clear();
    handles_.close().PermitUncheckedError();
    remove_staging();
    folder_.discard();
  }

 private:
  [[nodiscard]] Status open_fresh(const std::string& path) {
    if (Status status = folder_.make(path); !status.ok()) return status;
    where_ = "rocksdb:" + folder_.target();
    db_path_ = folder_.path();
    rocksdb::Options options;
    // not error_if_exists: the store keeps its options, and whoever opens it by them would fail
    options.create_if_missing = true;
    std::vector<rocksdb::ColumnFamilyDescriptor> cfs;
    cfs.emplace_back(rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions());
    return open_db(options, cfs, "create the RocksDB store");
  }
  [[nodiscard]] Status open_existing(const std::string& path) {
    db_path_ = without_slashes_behind(path);
    where_ = "rocksdb:" + db_path_;
    Status status = refuse_held_store(db_path_, "RocksDB store for writing",
                                      "write to it from within that process, or end it first");
    RocksdbLayout layout;
    if (status.ok()) status = rocksdb_layout(db_path_, RocksdbUnknown::refused, where_, layout);
    if (!status.ok()) return std::move(status).with_object(where_);
    layout.options.create_if_missing = false;
    layout.options.error_if_exists = false;
    return open_db(layout.options, layout.cfs, "open the RocksDB store for writing");
  }
  [[nodiscard]] Status open_db(const rocksdb::DBOptions& options,
                               const std::vector<rocksdb::ColumnFamilyDescriptor>& cfs,
                               const char* doing) {
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(options, db_path_, cfs, &handles_.cfs, &db);
    handles_.db.reset(db);
    if (!status.ok()) {
      handles_.cfs.clear();
      return rocksdb_status(status, doing, where_);
    }
    for (rocksdb::ColumnFamilyHandle* const handle : handles_.cfs) {
      add_family(handle->GetName(), handle);
    }
    return {};
  }

  void add_family(std::string name, rocksdb::ColumnFamilyHandle* handle) {
    Family family;
    family.name = std::move(name);
    family.handle = handle;
    families_.push_back(std::move(family));
  }
  [[nodiscard]] Status create(std::size_t index) {
    Family& family = families_[index];
    if (family.handle != nullptr) return {};
    const rocksdb::Status status = handles_.db->CreateColumnFamily(rocksdb::ColumnFamilyOptions(),
                                                                   family.name, &family.handle);
    if (!status.ok()) {
      family.handle = nullptr;
      return rocksdb_status(status, "create the column family", where_of(index));
    }
    handles_.cfs.push_back(family.handle);
    created_.push_back(family.handle);
    return {};
  }
  [[nodiscard]] Status write_batch() {
    if (batch_.Count() == 0) return {};
    rocksdb::WriteOptions options;
    // a new store is nobody's before it is whole, so it needs no log
    options.disableWAL = is_fresh();
    const rocksdb::Status status = handles_.db->Write(options, &batch_);
    batch_.Clear();
    return rocksdb_status(status, "write to the RocksDB store", where_);
  }
  [[nodiscard]] Status ingest() {
    std::vector<rocksdb::IngestExternalFileArg> arguments;
    for (Family& family : families_) {
      if (family.files.empty()) continue;
      rocksdb::IngestExternalFileArg argument;
      argument.column_family = family.handle;
      argument.external_files = family.files;
      argument.options.move_files = true;
      argument.options.write_global_seqno = false;  // only RocksDB before 5.16 needs it in the file
      arguments.push_back(std::move(argument));
    }
    if (arguments.empty()) return {};
    const rocksdb::Status status = handles_.db->IngestExternalFiles(arguments);
    return rocksdb_status(status, "ingest SST files into the RocksDB store", where_);
  }
  /// Everything written is on the disk.
  [[nodiscard]] Status persist() {
    rocksdb::Status status;
    if (is_fresh() && options_.way == RocksdbWay::write_batch) {
      status = handles_.db->Flush(rocksdb::FlushOptions(), handles_.cfs);
    } else if (options_.way == RocksdbWay::write_batch) {
      status = handles_.db->FlushWAL(true);
    }
    if (status.ok()) status = handles_.close();
    return rocksdb_status(status, "write the RocksDB store to the disk", where_);
  }
  /// The end of `range` as RocksDB takes it, which knows no open one: behind the last key there is.
  /// Empty where there is nothing in the range.
  [[nodiscard]] rocksdb::Status end_of(rocksdb::ColumnFamilyHandle* handle, const KeyRange& range,
                                       std::string& end) {
    end = range.end;
    if (!end.empty()) return {};
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    const std::unique_ptr<rocksdb::Iterator> last(handles_.db->NewIterator(options, handle));
    last->SeekToLast();
    if (last->Valid() && range.start <= last->key().ToString()) end = last->key().ToString() + '\0';
    return last->status();
  }
  [[nodiscard]] Status refuse_empty(std::size_t index, const KeyRange& range) const {
    return Status::error(StatusCode::invalid_argument,
                         "the start of a key range must be below its end")
        .with_object(where_of(index))
        .with_range(range.start, range.end);
  }
  void drop_created() {
    for (rocksdb::ColumnFamilyHandle* const handle : created_) {
      handles_.db->DropColumnFamily(handle).PermitUncheckedError();
    }
  }
  void remove_staging() {
    std::error_code ignored;
    if (!staging_.empty()) std::filesystem::remove_all(staging_, ignored);
    staging_.clear();
  }

  RocksdbSinkOptions options_;
  RestoringFolder folder_;  // of a fresh store
  std::string db_path_;
  std::string where_;
  std::string staging_;
  RocksdbHandles handles_;
  std::vector<Family> families_;
  std::vector<rocksdb::ColumnFamilyHandle*> created_;
  rocksdb::WriteBatch batch_;
  std::size_t clearings_ = 0;
};

inline Status RocksdbStoreWriter::clear_range(std::size_t index, const KeyRange& range) {
  if (range.empty()) return refuse_empty(index, range);
  if (Status status = write_batch(); !status.ok()) return status;
  rocksdb::ColumnFamilyHandle* const handle = families_[index].handle;
  if (handle == nullptr) return {};
  const rocksdb::Slice start(range.start);
  const rocksdb::Slice end(range.end);
  rocksdb::Status status =
      rocksdb::DeleteFilesInRange(handles_.db.get(), handle, range.start.empty() ? nullptr : &start,
                                  range.end.empty() ? nullptr : &end, false);
  std::string past;
  if (status.ok()) status = end_of(handle, range, past);
  if (status.ok() && !past.empty()) {
    rocksdb::WriteOptions options;
    options.sync = true;
    status = handles_.db->DeleteRange(options, handle, start, past);
  }
  return rocksdb_status(status, "clear a key range of the RocksDB store", where_of(index));
}

inline Status RocksdbStoreWriter::stage_clearing(std::size_t index, const KeyRange& range) {
  if (range.empty()) return refuse_empty(index, range);
  Family& family = families_[index];
  if (family.handle == nullptr) return {};
  std::string end;
  rocksdb::Status status = end_of(family.handle, range, end);
  if (status.ok() && !end.empty()) {
    const std::string path =
        join_path(staging_, "clearing-" + std::to_string(++clearings_) + ".sst");
    rocksdb::SstFileWriter writer{rocksdb::EnvOptions(), rocksdb::Options()};
    status = writer.Open(path);
    if (status.ok()) status = writer.DeleteRange(range.start, end);
    if (status.ok()) status = writer.Finish();
    // of tables that overlap in one ingestion, the later ones hold the newer entries
    family.files.insert(family.files.begin(), path);
  }
  return rocksdb_status(status, "clear a key range of the RocksDB store", where_of(index));
}

inline Status RocksdbStoreWriter::finish() {
  Status status = write_batch();
  for (std::size_t i = 0; status.ok() && i < families_.size(); ++i) status = create(i);
  if (status.ok()) status = ingest();
  if (!status.ok()) {
    if (!is_fresh() && options_.way == RocksdbWay::ingest) drop_created();
    return status;
  }
  status = persist();
  if (!status.ok()) return status;
  remove_staging();
  return is_fresh() ? folder_.finish() : Status();
}

}  // namespace detail

}  // namespace kvbackup::inline v1
