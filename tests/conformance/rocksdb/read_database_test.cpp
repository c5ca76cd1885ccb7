// SPDX-License-Identifier: Apache-2.0
// Files out of RocksDB databases: real sequence numbers, several versions of a key, single
// deletions, and files whose global sequence number the database wrote into them.
#include <random>
#include <string>
#include <vector>

#include <rocksdb/merge_operator.h>
#include <rocksdb/utilities/debug.h>

#include "conformance/rocksdb/read_support.hpp"

using namespace rocksdb_test;

namespace {

using Database = std::unique_ptr<rocksdb::DB>;

Database open_database(const std::string& path, rocksdb::Options options) {
  options.create_if_missing = true;
  options.disable_auto_compactions = true;
  rocksdb::DB* raw = nullptr;
  require_ok(rocksdb::DB::Open(options, path, &raw));
  return Database(raw);
}

std::vector<std::string> live_files(rocksdb::DB& db) {
  std::vector<rocksdb::LiveFileMetaData> files;
  db.GetLiveFilesMetaData(&files);
  std::vector<std::string> out;
  for (const auto& file : files) out.push_back(file.db_path + file.name);
  return out;
}

/// Every version of every key of the database, but for those that a range tombstone covers.
std::vector<StoredEntry> all_versions(rocksdb::DB& db) {
  std::vector<rocksdb::KeyVersion> versions;
  require_ok(rocksdb::GetAllKeyVersions(&db, "", std::string(40, '\xff'), 10'000'000, &versions));
  std::vector<StoredEntry> out;
  for (const auto& v : versions) out.push_back({v.user_key, v.sequence, v.type, v.value});
  return out;
}

/// The same of a file.
std::vector<StoredEntry> our_uncovered_entries(const FileReader& reader) {
  auto tombstones = reader.range_tombstones();
  require_ok(tombstones.status());
  std::vector<StoredEntry> out = our_entries(reader);
  std::erase_if(out, [&tombstones](const StoredEntry& e) {
    return std::any_of(tombstones.value().begin(), tombstones.value().end(), [&e](const auto& t) {
      return t.begin <= e.key && e.key < t.end && t.sequence > e.sequence;
    });
  });
  return out;
}

Model live_pairs(rocksdb::DB& db) {
  Model out;
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(rocksdb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    out.emplace(it->key().ToString(), it->value().ToString());
  }
  require_ok(it->status());
  return out;
}

rocksdb::Options options_of(std::uint32_t version, std::size_t block_size, bool two_level) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = version;
  table.block_size = block_size;
  table.index_block_restart_interval = version % 2 == 0 ? 1 : 8;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  if (two_level) {
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.metadata_block_size = 200;
    table.partition_filters = true;
  }
  rocksdb::Options options;
  options.compression = version % 2 == 0 ? rocksdb::kZSTD : rocksdb::kLZ4Compression;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

/// Writes to few keys many times; a snapshot now and then keeps old versions alive.
class Churn {
 public:
  Churn(rocksdb::DB& db, std::uint32_t seed, bool merges)
      : db_(db), random_(seed), merges_(merges) {}
  Churn(const Churn&) = delete;
  Churn& operator=(const Churn&) = delete;
  ~Churn() {
    for (const rocksdb::Snapshot* snapshot : snapshots_) db_.ReleaseSnapshot(snapshot);
  }

  void run(std::size_t operations) {
    for (std::size_t i = 0; i < operations; ++i) {
      const std::string key = "key/" + std::to_string(random_() % 400);
      const rocksdb::WriteOptions write;
      switch (random_() % (merges_ ? 12 : 10)) {
        case 0: require_ok(db_.Delete(write, key)); break;
        case 1: single_delete(); break;
        case 2:
          if (i % 20 == 0) {
            require_ok(db_.DeleteRange(write, db_.DefaultColumnFamily(), key, key + "5"));
            tombstones_.push_back({key, key + "5", db_.GetLatestSequenceNumber()});
            break;
          }
          [[fallthrough]];
        case 10:
        case 11:
          if (merges_) {
            require_ok(db_.Merge(write, key, std::to_string(i)));
            break;
          }
          [[fallthrough]];
        default: require_ok(db_.Put(write, key, std::string(random_() % 100, 'v')));
      }
      if (random_() % 50 == 0) snapshots_.push_back(db_.GetSnapshot());
    }
  }
  [[nodiscard]] const std::vector<kvbackup::RangeTombstone>& tombstones() const {
    return tombstones_;
  }

 private:
  /// Of a key that was put once, as SingleDelete asks.
  void single_delete() {
    const std::string key = "once/" + std::to_string(singles_++);
    require_ok(db_.Put(rocksdb::WriteOptions(), key, "once"));
    snapshots_.push_back(db_.GetSnapshot());
    if (singles_ % 3 != 0) require_ok(db_.SingleDelete(rocksdb::WriteOptions(), key));
  }

  rocksdb::DB& db_;
  std::mt19937 random_;
  bool merges_;
  std::size_t singles_ = 0;
  std::vector<const rocksdb::Snapshot*> snapshots_;
  std::vector<kvbackup::RangeTombstone> tombstones_;
};

void check_lookups(const FileReader& reader, rocksdb::DB& db,
                   const std::vector<StoredEntry>& versions) {
  std::size_t wrong = 0;
  std::string value;
  for (const StoredEntry& version : versions) {
    const auto ours = reader.get(version.key);
    require_ok(ours.status());
    const rocksdb::Status theirs = db.Get(rocksdb::ReadOptions(), version.key, &value);
    wrong += ours.value().found() != theirs.ok();
    if (theirs.ok()) wrong += ours.value().value != value;
  }
  CHECK(wrong == 0);
}

void check_database(std::uint32_t version, std::size_t block_size, bool two_level, bool merges,
                    std::size_t operations) {
  CAPTURE(version, block_size, two_level, merges);
  const TemporaryFolder folder;
  rocksdb::Options options = options_of(version, block_size, two_level);
  options.merge_operator = std::make_shared<JoiningOperator>();
  const Database db = open_database(folder.path("db"), options);
  Churn churn(*db, version, merges);
  churn.run(operations);
  require_ok(db->Flush(rocksdb::FlushOptions()));
  const std::vector<std::string> files = live_files(*db);
  REQUIRE(files.size() == 1);
  const FileReader reader = open_ours(files[0]);
  const std::vector<StoredEntry> versions = all_versions(*db);
  REQUIRE(versions.size() > operations / 2);
  REQUIRE(same_entries(our_uncovered_entries(reader), versions));
  CHECK(our_entries(reader).size() + reader.properties().num_range_deletions ==
        reader.properties().num_entries);
  check_seeks(reader, our_entries(reader));
  require_ok(reader.verify_blocks());
  rocksdb::TablePropertiesCollection properties;
  require_ok(db->GetPropertiesOfAllTables(&properties));
  REQUIRE(properties.size() == 1);
  check_properties(reader.properties(), *properties.begin()->second);

  auto tombstones = reader.range_tombstones();
  require_ok(tombstones.status());
  CHECK(tombstones.value().size() >= reader.properties().num_range_deletions);
  // RocksDB cuts overlapping ones at one another's bounds; what each key sees is the same
  std::size_t different = 0;
  for (const StoredEntry& v : versions) {
    std::uint64_t ours = 0;
    std::uint64_t theirs = 0;
    const auto newest = [&v](const std::vector<kvbackup::RangeTombstone>& all, std::uint64_t& out) {
      for (const auto& t : all) {
        if (t.begin <= v.key && v.key < t.end) out = std::max(out, t.sequence);
      }
    };
    newest(tombstones.value(), ours);
    newest(churn.tombstones(), theirs);
    different += ours != theirs;
  }
  CHECK(different == 0);
  if (merges) {
    CHECK(reader.source().status().code() == kvbackup::StatusCode::unsupported);
    return;
  }
  CHECK(our_live_pairs(reader) == live_pairs(*db));
  check_lookups(reader, *db, versions);

  // compacted: still the versions that snapshots hold
  rocksdb::CompactRangeOptions compact;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  require_ok(db->CompactRange(compact, nullptr, nullptr));
  REQUIRE(live_files(*db).size() == 1);
  const FileReader compacted = open_ours(live_files(*db)[0]);
  CHECK(same_entries(our_uncovered_entries(compacted), all_versions(*db)));
  CHECK(our_live_pairs(compacted) == live_pairs(*db));
}

}  // namespace

TEST_CASE("files of a database are read with every version, deletion and tombstone") {
  for (const std::uint32_t version : {0u, 1u, 2u, 3u, 4u, 5u}) {
    check_database(version, version == 2 ? 4096 : 150, version >= 4, version == 3, 4000);
  }
}

TEST_CASE("files of a database, in more forms", "[.full]") {
  for (const std::uint32_t version : {0u, 1u, 2u, 3u, 4u, 5u}) {
    for (const std::size_t block_size : {1u, 100u, 1000u, 65536u}) {
      for (const bool two_level : {false, true}) {
        check_database(version, block_size, two_level, false, 20'000);
        check_database(version, block_size, two_level, true, 20'000);
      }
    }
  }
}

TEST_CASE("a global sequence number that a database wrote into a file is what its entries have") {
  const TemporaryFolder folder;
  for (const std::uint32_t version : {2u, 5u}) {
    const std::string number = std::to_string(version);
    const rocksdb::Options options = options_of(version, 500, version == 5);
    const Database db = open_database(folder.path("db" + number), options);
    for (int i = 0; i < 100; ++i) {
      require_ok(db->Put(rocksdb::WriteOptions(), "key" + std::to_string(100 + i), "old"));
    }
    const std::string path = folder.path("external" + number);
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
    require_ok(writer.Open(path));
    require_ok(writer.DeleteRange("key120", "key140"));
    for (int i = 50; i < 150; ++i) {
      const std::string key = "key" + std::to_string(100 + i);
      require_ok(i % 10 == 0 ? writer.Delete(key) : writer.Put(key, "new"));
    }
    require_ok(writer.Finish());
    rocksdb::IngestExternalFileOptions ingest;
    ingest.write_global_seqno = true;
    require_ok(db->IngestExternalFile({path}, ingest));
    std::vector<rocksdb::LiveFileMetaData> files;
    db->GetLiveFilesMetaData(&files);
    std::size_t external = 0;
    for (const auto& file : files) {
      const FileReader reader = open_ours(file.db_path + file.name);
      if (reader.properties().external_version != 2) continue;
      ++external;
      const std::uint64_t assigned = file.smallest_seqno;
      REQUIRE(assigned > 100);
      CHECK(reader.properties().global_seqno == assigned);
      auto tombstones = reader.range_tombstones();
      require_ok(tombstones.status());
      CHECK(tombstones.value() ==
            std::vector<kvbackup::RangeTombstone>{{"key120", "key140", assigned}});
      std::vector<StoredEntry> of_file;
      for (const StoredEntry& v : all_versions(*db)) {
        if (v.sequence == assigned) of_file.push_back(v);
      }
      CHECK(of_file.size() == 100);
      CHECK(same_entries(our_entries(reader), of_file));
      require_ok(reader.verify_blocks());
    }
    CHECK(external == 1);
  }
}
