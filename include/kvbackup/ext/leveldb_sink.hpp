// SPDX-License-Identifier: Apache-2.0
// A new LevelDB store to put pairs into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <kvbackup/ext/detail/leveldb_common.hpp>
#include <kvbackup/ext/detail/restoring_folder.hpp>
#include <kvbackup/kvbackup.hpp>
#include <leveldb/db.h>
#include <leveldb/options.h>
#include <leveldb/write_batch.h>

namespace kvbackup::inline v1 {

/// How LeveldbSink builds a store.
struct LeveldbSinkOptions {
  /// Bytes of pairs a WriteBatch.
  std::size_t batch_bytes = std::size_t{1} << 20;
  /// LevelDB's write buffer; larger than its own 4 MiB makes fewer tables to merge.
  std::size_t write_buffer_bytes = std::size_t{32} << 20;
};

/// Builds a new LevelDB store, in the folder PATH.restoring, which gets its name by finish(), in
/// one step; abandoned, it goes away. Such a folder that a process left that died is used again.
///
/// Keys that do not strictly rise are out_of_order; a key and value of 2 GiB together
/// resource_exhausted.
class LeveldbSink {
 public:
  /// already_exists if `path` is there and is no empty folder; unavailable while another run builds
  /// it.
  [[nodiscard]] static Result<LeveldbSink> open(const std::string& path,
                                                const LeveldbSinkOptions& options = {}) {
    auto build = std::make_unique<Build>();
    if (Status status = build->folder.make(path); !status.ok()) return status;
    build->where = "leveldb:" + build->folder.target();
    build->batch_bytes = options.batch_bytes;
    leveldb::Options store;
    store.create_if_missing = true;
    store.error_if_exists = true;
    store.write_buffer_size = options.write_buffer_bytes;
    leveldb::DB* db = nullptr;
    const leveldb::Status opened = leveldb::DB::Open(store, build->folder.path(), &db);
    build->db.reset(db);
    if (!opened.ok()) {
      return detail::leveldb_status(opened, "create the LevelDB store", build->where);
    }
    return LeveldbSink(std::move(build));
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
    build_.reset();
  }

 private:
  struct Build {
    [[nodiscard]] Status put(ByteView key, ByteView value) {
      constexpr std::uint64_t most = std::uint64_t{2} << 30;  // LevelDB's lengths have 32 bits
      if (std::uint64_t{key.size()} + value.size() >= most) {
        return Status::error(StatusCode::resource_exhausted,
                             "the key and the value are too long: LevelDB's are below 2 GiB")
            .with_object(where)
            .with_key(key);
      }
      if (any && !(ByteView(last_key) < key)) {
        return Status::error(
                   StatusCode::out_of_order,
                   "cannot put the pair into LevelDB: its key is not above the one before it")
            .with_object(where)
            .with_key(key);
      }
      batch.Put(detail::leveldb_slice(key), detail::leveldb_slice(value));
      last_key.assign(key.data(), key.size());
      any = true;
      return batch.ApproximateSize() < batch_bytes ? Status() : write(false);
    }
    [[nodiscard]] Status write(bool sync) {
      leveldb::WriteOptions options;
      options.sync = sync;
      const leveldb::Status status = db->Write(options, &batch);
      batch.Clear();
      return detail::leveldb_status(status, "write to the LevelDB store", where);
    }
    /// A synced write syncs the log, and LevelDB syncs its tables itself.
    [[nodiscard]] Status finish() {
      if (Status status = write(true); !status.ok()) return status;
      db.reset();
      return folder.finish();
    }

    detail::RestoringFolder folder;  // goes after the store in it
    std::unique_ptr<leveldb::DB> db;
    std::string where;
    std::size_t batch_bytes = 0;
    leveldb::WriteBatch batch;
    std::string last_key;
    bool any = false;
  };

  explicit LeveldbSink(std::unique_ptr<Build> build) : build_(std::move(build)) {}

  std::unique_ptr<Build> build_;  // null once abandoned
  Status status_;
};

static_assert(Sink<LeveldbSink>);

}  // namespace kvbackup::inline v1
