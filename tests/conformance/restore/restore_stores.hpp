// SPDX-License-Identifier: Apache-2.0
// Backups in folders, and RocksDB stores as RocksDB itself makes and reads them.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/ext/lmdb.hpp>
#include <kvbackup/ext/rocksdb.hpp>
#include <kvbackup/kvbackup.hpp>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "support/catch.hpp"
#include "support/stores.hpp"
#include "support/temp_dir.hpp"

namespace restore_test {

using test_support::Store;
using Families = std::map<std::string, Store>;
using LocalBackup = kvbackup::Backup<kvbackup::LocalBackend>;

inline void must(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}
inline void must(const kvbackup::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.to_string());
}
template <class T>
T must(kvbackup::Result<T> result) {
  must(result.status());
  return std::move(result).value();
}

/// A RocksDB store that RocksDB opens: with all of its column families, made where they are
/// missing.
class RawDb {
 public:
  RawDb(const std::string& path, const std::vector<std::string>& cfs, bool read_only = false) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const std::string& cf : cfs) descriptors.emplace_back(cf, options);
    rocksdb::DB* db = nullptr;
    must(read_only ? rocksdb::DB::OpenForReadOnly(options, path, descriptors, &handles_, &db)
                   : rocksdb::DB::Open(options, path, descriptors, &handles_, &db));
    db_.reset(db);
  }
  RawDb(const RawDb&) = delete;
  RawDb& operator=(const RawDb&) = delete;
  ~RawDb() {
    for (auto* const handle : handles_) must(db_->DestroyColumnFamilyHandle(handle));
  }
  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* cf(std::size_t index) { return handles_[index]; }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

inline void make_rocksdb(const std::string& path, const Families& families) {
  std::vector<std::string> cfs{"default"};
  for (const auto& [name, store] : families) {
    if (name != "default") cfs.push_back(name);
  }
  RawDb raw(path, cfs);
  for (std::size_t i = 0; i < cfs.size(); ++i) {
    const auto found = families.find(cfs[i]);
    if (found == families.end()) continue;
    for (const auto& [key, value] : found->second) {
      must(raw.db().Put(rocksdb::WriteOptions(), raw.cf(i), key, value));
    }
  }
}

/// What RocksDB iterates over; each pair is looked up as well, and every block proven.
inline Families rocksdb_content(const std::string& path) {
  std::vector<std::string> cfs;
  must(rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), path, &cfs));
  RawDb raw(path, cfs, true);
  Families families;
  for (std::size_t i = 0; i < cfs.size(); ++i) {
    Store& store = families[cfs[i]];
    const std::unique_ptr<rocksdb::Iterator> at(
        raw.db().NewIterator(rocksdb::ReadOptions(), raw.cf(i)));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      store.emplace_hint(store.end(), at->key().ToString(), at->value().ToString());
    }
    must(at->status());
    std::string value;
    for (const auto& [key, expected] : store) {
      must(raw.db().Get(rocksdb::ReadOptions(), raw.cf(i), key, &value));
      if (value != expected) throw std::runtime_error("Get and iteration differ");
    }
  }
  must(raw.db().VerifyChecksum());
  return families;
}

/// The SHA-256 of every file in a folder.
inline std::map<std::string, std::string> digests_of(const std::string& folder) {
  std::map<std::string, std::string> digests;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto digest =
        kvbackup::PortableSha256::of(test_support::read_file(entry.path().string()));
    digests[entry.path().filename().string()] = kvbackup::to_hex(kvbackup::as_bytes(digest));
    // nothing shares a file with the backup
    CHECK(std::filesystem::hard_link_count(entry.path()) == 1);
  }
  return digests;
}

/// Backs up what a snapshot holds.
template <class Layout = kvbackup::RawLayout, class Source>
void back_up(Source source, const std::string& folder, std::uint64_t part_size,
             Layout layout = {}) {
  kvbackup::BackupOptions options;
  options.part_size = part_size;
  kvbackup::BackupPipeline pipeline(std::move(source), kvbackup::Lz4Codec{}, kvbackup::FileHasher{},
                                    kvbackup::LocalBackend(folder), std::move(layout));
  must(pipeline.run(options).status());
}
template <class Layout = kvbackup::RawLayout>
void back_up_rocksdb(const std::string& store, const std::string& folder,
                     std::uint64_t part_size = 8192, Layout layout = {}) {
  back_up(must(kvbackup::RocksdbSnapshot::open(store)), folder, part_size, std::move(layout));
}
inline LocalBackup open_backup(const std::string& folder) {
  return must(LocalBackup::open(kvbackup::LocalBackend(folder)));
}

/// Two threads.
struct Threads {
  kvbackup::ThreadExecutor executor;
  kvbackup::RestoreOptions options;
  Threads() {
    options.executor = &executor;
    options.concurrency = 2;
  }
};

/// Turns a bit of the first SST of a backup over, and back when it goes.
class Damage {
 public:
  explicit Damage(const LocalBackup& backup)
      : path_(backup.url().substr(std::string("local://").size()) + "/" +
              backup.meta().files.back().name),
        good_(test_support::read_file(path_)) {
    std::string bad = good_;
    bad[bad.size() / 3] = static_cast<char>(bad[bad.size() / 3] ^ 4);
    test_support::write_file(path_, bad);
  }
  Damage(const Damage&) = delete;
  Damage& operator=(const Damage&) = delete;
  ~Damage() { test_support::write_file(path_, good_); }

 private:
  std::string path_;
  std::string good_;
};

}  // namespace restore_test
