// SPDX-License-Identifier: Apache-2.0
// RocksDB used directly: the other side of every test here.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/ext/rocksdb.hpp>
#include <kvbackup/kvbackup.hpp>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"

namespace rocksdb_store_test {

using Pairs = std::map<std::string, std::string>;
using Cfs = std::map<std::string, Pairs>;

inline void must(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
}

/// A store open for writing.
class RawStore {
 public:
  explicit RawStore(const std::string& path, rocksdb::Options options = {},
                    std::map<std::string, rocksdb::ColumnFamilyOptions> own = {}) {
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    std::vector<std::string> names;
    std::vector<rocksdb::ColumnFamilyDescriptor> cfs;
    if (!rocksdb::DB::ListColumnFamilies(options, path, &names).ok()) names = {"default"};
    for (const auto& [name, cf_options] : own) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    for (const std::string& name : names) {
      cfs.emplace_back(name,
                       own.contains(name) ? own[name] : rocksdb::ColumnFamilyOptions(options));
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    must(rocksdb::DB::Open(options, path, cfs, &handles, &db));
    db_.reset(db);
    for (auto* const handle : handles) handles_[handle->GetName()] = handle;
  }
  RawStore(const RawStore&) = delete;
  RawStore& operator=(const RawStore&) = delete;
  ~RawStore() {
    for (const auto& [name, handle] : handles_) {
      db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    db_->Close().PermitUncheckedError();
  }

  rocksdb::DB* get() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* cf(const std::string& name = "default") {
    if (!handles_.contains(name)) must(db_->CreateColumnFamily({}, name, &handles_[name]));
    return handles_[name];
  }
  std::vector<rocksdb::ColumnFamilyHandle*> all() const {
    std::vector<rocksdb::ColumnFamilyHandle*> out;
    for (const auto& [name, handle] : handles_) out.push_back(handle);
    return out;
  }
  void put(const std::string& name, const Pairs& pairs) {
    rocksdb::WriteBatch batch;
    for (const auto& [key, value] : pairs) must(batch.Put(cf(name), key, value));
    must(db_->Write({}, &batch));
  }
  void flush() { must(db_->Flush({}, all())); }
  Pairs pairs(const std::string& name = "default") {
    Pairs out;
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, cf(name)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      out[it->key().ToString()] = it->value().ToString();
    }
    must(it->status());
    return out;
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, rocksdb::ColumnFamilyHandle*> handles_;
};

inline Pairs numbered(int count, const std::string& prefix, const std::string& value) {
  Pairs pairs;
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    pairs[prefix + std::string(6 - number.size(), '0') + number] = value + number;
  }
  return pairs;
}

template <class Source>
Pairs drained(Source source) {
  Pairs pairs;
  std::string last;
  for (; source.valid(); source.next()) {
    const std::string key(source.key());
    REQUIRE((pairs.empty() || last < key));
    pairs[key] = std::string(source.value());
    last = key;
  }
  REQUIRE(source.status().to_string() == "ok");
  return pairs;
}
template <class Snapshot>
Pairs scanned(const Snapshot& snapshot, const std::string& cf = "default",
              const std::string& start = "", const std::string& end = "") {
  auto source = snapshot.scan({cf, start, end});
  REQUIRE(source.status().to_string() == "ok");
  return drained(std::move(source).value());
}
template <class Snapshot>
std::vector<std::string> cfs_of(const Snapshot& snapshot) {
  std::vector<std::string> cfs;
  const auto ranges = snapshot.ranges();
  for (const kvbackup::KeyRange& range : ranges.value()) cfs.push_back(range.cf);
  return cfs;
}
inline kvbackup::RocksdbSnapshot opened(const std::string& path,
                                        const kvbackup::RocksdbSnapshotOptions& options = {}) {
  auto snapshot = kvbackup::RocksdbSnapshot::open(path, options);
  REQUIRE(snapshot.status().to_string() == "ok");
  return std::move(snapshot).value();
}

/// Every file below a folder: its size, times and content.
inline std::map<std::string, std::string> state_of(const std::string& folder) {
  std::map<std::string, std::string> state;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const auto time = entry.last_write_time().time_since_epoch().count();
    state[entry.path().string()] =
        std::to_string(time) +
        (entry.is_regular_file() ? test_support::read_file(entry.path().string()) : std::string());
  }
  return state;
}

/// The pairs of a backup's files, as RocksDB reads them.
inline Cfs read_back(const kvbackup::BackupMeta& meta, const std::string& folder) {
  Cfs cfs;
  for (const kvbackup::File& file : meta.files) {
    rocksdb::SstFileReader reader{rocksdb::Options()};
    must(reader.Open(folder + "/" + file.name));
    must(reader.VerifyChecksum());
    const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator({}));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const std::string key = it->key().ToString();
      REQUIRE(key.substr(0, 1) == "z");
      REQUIRE(cfs[file.cf].emplace(key.substr(1), it->value().ToString()).second);
    }
    must(it->status());
  }
  return cfs;
}

}  // namespace rocksdb_store_test
