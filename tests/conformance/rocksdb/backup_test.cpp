// SPDX-License-Identifier: Apache-2.0
// Whole backups, put back by RocksDB alone.
#include <memory>

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

// Verifies and ingests every file that backupmeta names, and reads the database whole.
Store ingested(LocalBackend& backend, const std::string& backup_path, const std::string& db_path) {
  const auto manifest = read_manifest(backend);
  require_ok(manifest.status());
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* raw = nullptr;
  require_ok(rocksdb::DB::Open(options, db_path, &raw));
  const std::unique_ptr<rocksdb::DB> db(raw);
  std::vector<std::string> files;
  for (const File& file : manifest.value().meta.files) {
    files.push_back(backup_path + "/" + file.name);
    rocksdb::SstFileReader reader(options);
    require_ok(reader.Open(files.back()));
    require_ok(reader.VerifyChecksum());
  }
  rocksdb::IngestExternalFileOptions ingest;
  ingest.verify_checksums_before_ingest = true;
  require_ok(db->IngestExternalFile(files, ingest));
  require_ok(db->VerifyChecksum());
  Store store;
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions()));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    store.emplace(at->key().ToString(), at->value().ToString());
  }
  require_ok(at->status());
  return store;
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
