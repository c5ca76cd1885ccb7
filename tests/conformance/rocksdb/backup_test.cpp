// SPDX-License-Identifier: Apache-2.0
// Whole backups, put back by RocksDB alone.
#include <map>
#include <memory>
#include <set>
#include <string>

#include <kvbackup/kvbackup.hpp>
#include <rocksdb/db.h>

#include "conformance/rocksdb/rocksdb_support.hpp"
#include "support/catch.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using rocksdb_test::require_ok;
using rocksdb_test::TemporaryFolder;
using test_support::many_pairs;
using test_support::Store;

namespace {

std::unique_ptr<rocksdb::DB> opened(const rocksdb::Options& options, const std::string& path) {
  rocksdb::DB* db = nullptr;
  require_ok(rocksdb::DB::Open(options, path, &db));
  return std::unique_ptr<rocksdb::DB>(db);
}

Store read_whole(rocksdb::DB& db) {
  Store store;
  const std::unique_ptr<rocksdb::Iterator> at(db.NewIterator(rocksdb::ReadOptions()));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    store.emplace(at->key().ToString(), at->value().ToString());
  }
  require_ok(at->status());
  return store;
}

// Verifies every file that backupmeta names and ingests it into `db`.
void ingest_backup(LocalBackend& backend, const std::string& backup_path, rocksdb::DB& db) {
  const auto manifest = read_manifest(backend);
  require_ok(manifest.status());
  const rocksdb::Options options;
  std::vector<std::string> files;
  for (const File& file : manifest.value().meta.files) {
    files.push_back(backup_path + "/" + file.name);
    rocksdb::SstFileReader reader(options);
    require_ok(reader.Open(files.back()));
    require_ok(reader.VerifyChecksum());
  }
  rocksdb::IngestExternalFileOptions ingest;
  ingest.verify_checksums_before_ingest = true;
  require_ok(db.IngestExternalFile(files, ingest));
  require_ok(db.VerifyChecksum());
}

// What a new database has after a backup was ingested into it.
Store ingested(LocalBackend& backend, const std::string& backup_path, const std::string& db_path) {
  rocksdb::Options options;
  options.create_if_missing = true;
  const auto db = opened(options, db_path);
  ingest_backup(backend, backup_path, *db);
  return read_whole(*db);
}

// Backs `store` up in the profile rocksdb, in many parts.
BackupMeta rocksdb_backup(const Store& store, LocalBackend& backend, TableIdentity identity = {}) {
  ThreadExecutor threads;
  BackupOptions options;
  options.part_size = 100'000;
  options.concurrency = 3;
  options.executor = &threads;
  auto pipeline = BackupPipeline(RangeSnapshot(store), SnappyCodec{}, FileHasher{}, backend,
                                 RocksdbLayout(std::move(identity)));
  auto meta = pipeline.run(options);
  require_ok(meta.status());
  REQUIRE(meta.value().files.size() > 5);
  return std::move(meta).value();
}

}  // namespace

TEST_CASE("RocksDB verifies and ingests a backup of many parts, and has every pair, behind the z") {
  const Store store = many_pairs(30'000);
  const TemporaryFolder folder;
  LocalBackend backend(folder.path("backup"));
  ThreadExecutor threads;
  BackupOptions options;
  options.part_size = 100'000;
  options.concurrency = 3;
  options.executor = &threads;
  const auto meta =
      BackupPipeline(RangeSnapshot(store), Lz4Codec{}, FileHasher{}, backend).run(options);
  REQUIRE(meta.ok());
  REQUIRE(meta.value().files.size() > 5);
  Store expected;
  for (const auto& [key, value] : store) expected.emplace("z" + key, value);
  CHECK(ingested(backend, folder.path("backup"), folder.path("db")) == expected);
}

TEST_CASE("a backup with plain keys is ingested as the store itself") {
  const Store store = many_pairs(5'000);
  const TemporaryFolder folder;
  LocalBackend backend(folder.path("backup"));
  const auto meta =
      BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, backend, PlainLayout{}).run();
  REQUIRE(meta.ok());
  CHECK(ingested(backend, folder.path("backup"), folder.path("db")) == store);
}

TEST_CASE(
    "RocksDB ingests a backup in its own profile as it is, uses its filters and compacts it") {
  const Store store = many_pairs(30'000);
  const TemporaryFolder folder;
  LocalBackend backend(folder.path("backup"));
  rocksdb_backup(store, backend);
  rocksdb::Options options;
  options.create_if_missing = true;
  options.statistics = rocksdb::CreateDBStatistics();
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  auto db = opened(options, folder.path("db"));
  ingest_backup(backend, folder.path("backup"), *db);
  CHECK(read_whole(*db) == store);
  std::string value;
  std::uint64_t present = 0;
  for (const auto& [key, expected] : store) {
    require_ok(db->Get(rocksdb::ReadOptions(), key, &value));
    REQUIRE(value == expected);
    const bool has_next = store.contains(key + "?");
    REQUIRE(has_next == db->Get(rocksdb::ReadOptions(), key + "?", &value).ok());
    present += has_next ? 2 : 1;
  }
  // most keys that are not there are told by the filter alone
  CHECK(options.statistics->getTickerCount(rocksdb::BLOOM_FILTER_USEFUL) > store.size() * 9 / 10);
  CHECK(options.statistics->getTickerCount(rocksdb::BLOOM_FILTER_FULL_TRUE_POSITIVE) == present);
  require_ok(db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
  CHECK(read_whole(*db) == store);
  db.reset();
  CHECK(read_whole(*opened(options, folder.path("db"))) == store);
}

TEST_CASE("tables of the profile rocksdb have a session only where the host gives one") {
  const Store store = many_pairs(30'000);
  const TemporaryFolder folder;
  TableIdentity identity;
  identity.database = "some database";
  identity.session = "ABCDEFGHIJKLMNOPQRST";
  identity.file_number = 7;  // the pipeline gives each table its own
  for (const bool given : {false, true}) {
    const std::string path = folder.path(given ? "with" : "without");
    LocalBackend backend(path);
    const BackupMeta meta = rocksdb_backup(store, backend, given ? identity : TableIdentity());
    std::set<std::uint64_t> numbers;
    for (const File& file : meta.files) {
      rocksdb::SstFileReader reader{rocksdb::Options()};
      require_ok(reader.Open(path + "/" + file.name));
      const auto properties = reader.GetTableProperties();
      CHECK(properties->db_session_id == (given ? identity.session : ""));
      CHECK(properties->db_id == (given ? identity.database : ""));
      numbers.insert(properties->orig_file_number);
    }
    if (given) CHECK(numbers.size() == meta.files.size());
    rocksdb::Options options;
    options.create_if_missing = true;
    const auto db = opened(options, folder.path(given ? "db with" : "db without"));
    ingest_backup(backend, path, *db);
    CHECK(read_whole(*db) == store);
  }
}
