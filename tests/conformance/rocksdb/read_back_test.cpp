// SPDX-License-Identifier: Apache-2.0
// RocksDB opens, verifies, iterates, ingests, looks up and compacts what we write.
#include "conformance/rocksdb/rocksdb_support.hpp"
#include "support/catch.hpp"

using namespace rocksdb_test;
using kvbackup::ChecksumKind;
using kvbackup::FilterKind;
using kvbackup::IndexType;
using kvbackup::PrefixExtractor;
using kvbackup::TableOptions;
using kvbackup::TableSummary;

namespace {

struct Case {
  std::string name;
  TableOptions options;
  std::shared_ptr<const rocksdb::SliceTransform> extractor;
  ChecksumKind checksum = ChecksumKind::crc32c;
};

TableOptions blocks_of(std::uint32_t block_size) {
  TableOptions options;
  options.block_size = block_size;
  return options;
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const std::uint32_t block_size : {1024u, 4096u, 65536u}) {
    out.push_back({"whole keys", blocks_of(block_size), nullptr});
  }
  TableOptions no_filter = blocks_of(4096);
  no_filter.filter_bits_per_key = 0;
  out.push_back({"no filter", no_filter, nullptr});

  TableOptions prefix = blocks_of(4096);
  prefix.whole_key_filtering = false;
  prefix.prefix_extractor = PrefixExtractor::fixed_prefix(9);
  out.push_back(
      {"prefixes", prefix,
       std::shared_ptr<const rocksdb::SliceTransform>(rocksdb::NewFixedPrefixTransform(9))});
  TableOptions both = prefix;
  both.whole_key_filtering = true;
  out.push_back({"whole keys and prefixes", both, out.back().extractor});

  TableOptions suffix = TableOptions::br_write_cf();
  suffix.block_size = 4096;
  out.push_back({"write column family", suffix, std::make_shared<FixedSuffixTransform>(8)});

  TableOptions restarts = blocks_of(4096);
  restarts.block_restart_interval = 1;
  restarts.index_shortening = kvbackup::IndexShortening::none;
  out.push_back({"every key whole", restarts, nullptr});
  TableOptions successor = blocks_of(1024);
  successor.index_shortening = kvbackup::IndexShortening::separators_and_successor;
  out.push_back({"short last index key", successor, nullptr});
  return out;
}

/// What TiKV 5.x does not write: newer versions, checksums, filters and indexes.
std::vector<Case> newer_cases() {
  std::vector<Case> out;
  const auto add = [&out](std::string name, const TableOptions& options, ChecksumKind checksum) {
    out.push_back(
        {std::move(name), options, rocksdb_extractor(options.prefix_extractor), checksum});
  };
  const TableOptions rocksdb = TableOptions::rocksdb();
  add("RocksDB's defaults", rocksdb, ChecksumKind::xxh3);

  TableOptions identified = rocksdb;
  identified.identity = {"a database", "0123456789ABCDEFGHIJ", "a host", 7};
  identified.user_properties = {{"own", "property"}};
  add("with an identity", identified, ChecksumKind::xxhash);

  for (const std::uint32_t version : {2u, 3u, 4u, 5u}) {
    TableOptions options = rocksdb;
    options.format_version = version;
    options.filter = version < 5 ? FilterKind::legacy_bloom : FilterKind::fast_local_bloom;
    options.index_type = IndexType::two_level;
    options.metadata_block_size = 300;
    options.partition_filters = true;
    add("partitions", options, ChecksumKind::xxhash64);
    options.index_block_restart_interval = 16;
    options.prefix_extractor = PrefixExtractor::fixed_prefix(9);
    add("partitions, also with prefixes", options, ChecksumKind::none);
    options.whole_key_filtering = false;
    add("partitions with prefixes", options, ChecksumKind::crc32c);
  }
  // Forms of the index that RocksDB does not write in these versions, and reads in each.
  for (const bool user_keys : {false, true}) {
    for (const bool deltas : {false, true}) {
      for (const std::uint32_t version : {2u, 5u}) {
        TableOptions options = rocksdb;
        options.format_version = version;
        options.filter = FilterKind::legacy_bloom;
        options.index_key_is_user_key = user_keys;
        options.index_value_is_delta_encoded = deltas;
        options.index_block_restart_interval = 4;
        add("chosen form of the index", options, ChecksumKind::xxh3);
      }
    }
  }
  return out;
}

void check_reader(const std::string& path, const rocksdb::Options& options, const Model& model,
                  const TableOptions& ours, const TableSummary& summary,
                  const std::string& compression) {
  rocksdb::SstFileReader reader(options);
  require_ok(reader.Open(path));
  require_ok(reader.VerifyChecksum());
  rocksdb::ReadOptions read;
  read.total_order_seek = true;
  std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(read));
  auto expected = model.begin();
  std::size_t wrong = 0;
  for (it->SeekToFirst(); it->Valid() && expected != model.end(); it->Next(), ++expected) {
    wrong += it->key() != expected->first || it->value() != expected->second;
  }
  require_ok(it->status());
  CHECK(wrong == 0);
  CHECK(!it->Valid());
  CHECK(expected == model.end());

  const auto properties = reader.GetTableProperties();
  CHECK(properties->num_entries == model.size());
  CHECK(properties->num_entries == summary.num_entries);
  CHECK(properties->raw_key_size == summary.raw_key_size);
  CHECK(properties->raw_value_size == summary.raw_value_size);
  CHECK(properties->data_size == summary.data_size);
  CHECK(properties->index_size == summary.index_size);
  CHECK(properties->filter_size == summary.filter_size);
  CHECK(properties->num_data_blocks == summary.num_data_blocks);
  CHECK(properties->num_deletions == 0);
  CHECK(properties->num_range_deletions == 0);
  CHECK(properties->index_key_is_user_key == (ours.user_keys_in_index() ? 1 : 0));
  CHECK(properties->index_value_is_delta_encoded == (ours.delta_handles_in_index() ? 1 : 0));
  CHECK(properties->index_partitions == summary.index_partitions);
  CHECK(properties->top_level_index_size == summary.top_level_index_size);
  CHECK(properties->db_session_id == ours.identity.session);
  CHECK(properties->orig_file_number == ours.identity.file_number.value_or(0));
  CHECK(properties->comparator_name == "leveldb.BytewiseComparator");
  CHECK(properties->compression_name == compression);
  CHECK(properties->property_collectors_names == "[]");
  CHECK(properties->column_family_id == 0x7fffffff);
}

/// Keys between those of the model that are not in it.
std::vector<std::string> absent_keys(const Model& model) {
  std::vector<std::string> out;
  for (const auto& [key, value] : model) {
    std::string other = key + "?absent?";
    if (!model.contains(other)) out.push_back(std::move(other));
    if (out.size() == 2000) break;
  }
  return out;
}

void check_lookups(rocksdb::DB& db, const Model& model) {
  std::string value;
  std::size_t lost = 0;
  for (const auto& [key, expected] : model) {
    const rocksdb::Status status = db.Get(rocksdb::ReadOptions(), key, &value);
    lost += !status.ok() || value != expected;
  }
  CHECK(lost == 0);
  std::size_t found = 0;
  for (const std::string& key : absent_keys(model)) {
    found += !db.Get(rocksdb::ReadOptions(), key, &value).IsNotFound();
  }
  CHECK(found == 0);
}

void check_database(const std::string& file, rocksdb::Options options, const Model& model,
                    const TableOptions& ours, const std::string& folder) {
  options.create_if_missing = true;
  options.statistics = rocksdb::CreateDBStatistics();
  rocksdb::DB* raw = nullptr;
  require_ok(rocksdb::DB::Open(options, folder, &raw));
  std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::IngestExternalFileOptions ingest;
  ingest.verify_checksums_before_ingest = true;
  require_ok(db->IngestExternalFile({file}, ingest));
  check_lookups(*db, model);
  if (ours.has_filter() && model.size() > 100) {
    const auto ticker = [&](rocksdb::Tickers t) { return options.statistics->getTickerCount(t); };
    if (ours.whole_key_filtering) CHECK(ticker(rocksdb::BLOOM_FILTER_USEFUL) > 0);
    if (!ours.whole_key_filtering) {
      CHECK(ticker(rocksdb::BLOOM_FILTER_PREFIX_CHECKED) + ticker(rocksdb::BLOOM_FILTER_USEFUL) >
            0);
    }
  }
  rocksdb::CompactRangeOptions compact;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  require_ok(db->CompactRange(compact, nullptr, nullptr));
  db.reset();
  require_ok(rocksdb::DB::Open(options, folder, &raw));
  db.reset(raw);
  check_lookups(*db, model);
  require_ok(db->VerifyChecksum());
}

/// Where RocksDB works: in memory, which spares its many fsyncs, or on the disk.
enum class Place { memory, disk };

template <class Codec>
void check_case(const Case& test, const Model& model, const Codec& codec,
                rocksdb::CompressionType compression, Place place) {
  CAPTURE(test.name, test.options.block_size, model.size(), std::string(codec.name()));
  const TemporaryFolder folder;
  const std::unique_ptr<rocksdb::Env> memory(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  rocksdb::Options options =
      rocksdb_options(test.options, test.extractor, compression, test.checksum);
  if (place == Place::memory) options.env = memory.get();

  TableSummary summary;
  const std::string path = folder.path("ours.sst");
  const std::string file =
      write_ours(model, test.options, codec, &summary, kvbackup::NoCollector(), test.checksum);
  require_ok(rocksdb::WriteStringToFile(options.env, file, path));
  check_reader(path, options, model, test.options, summary, std::string(codec.name()));
  check_database(path, options, model, test.options, folder.path("db"));
}

template <class Codec>
void check_codec(const Codec& codec, rocksdb::CompressionType compression) {
  for (const Case& test : cases()) {
    check_case(test, Model{{"key", "value"}}, codec, compression, Place::memory);
    check_case(test, random_model(5000, 1), codec, compression, Place::memory);
  }
  check_case(cases()[1], random_model(200000, 2), codec, compression, Place::disk);
}

}  // namespace

TEST_CASE("RocksDB takes tables without compression and finds every key") {
  check_codec(kvbackup::NoneCodec{}, rocksdb::kNoCompression);
}

#if KVBACKUP_WITH_LZ4
TEST_CASE("RocksDB takes LZ4 tables and finds every key") {
  check_codec(kvbackup::Lz4Codec{}, rocksdb::kLZ4Compression);
}
#endif

#if KVBACKUP_WITH_SNAPPY
TEST_CASE("RocksDB takes Snappy tables and finds every key") {
  check_codec(kvbackup::SnappyCodec{}, rocksdb::kSnappyCompression);
}
#endif

#if KVBACKUP_WITH_ZSTD
TEST_CASE("RocksDB takes Zstandard tables and finds every key") {
  check_codec(kvbackup::ZstdCodec{}, rocksdb::kZSTD);
}
#endif

#if KVBACKUP_WITH_SNAPPY && KVBACKUP_WITH_XXHASH
TEST_CASE("RocksDB takes tables of the newer forms and finds every key") {
  for (const Case& test : newer_cases()) {
    check_case(test, Model{{"key", "value"}}, kvbackup::NoneCodec{}, rocksdb::kNoCompression,
               Place::memory);
    check_case(test, random_model(5000, 8), kvbackup::SnappyCodec{}, rocksdb::kSnappyCompression,
               Place::memory);
  }
}

TEST_CASE("RocksDB takes tables whose blocks are filled up to pages") {
  TableOptions options = TableOptions::rocksdb();
  options.block_align = true;
  check_case({"block_align", options, nullptr, ChecksumKind::xxh3}, random_model(5000, 9),
             kvbackup::NoneCodec{}, rocksdb::kNoCompression, Place::memory);
}
#endif

TEST_CASE("RocksDB finds the user properties of TiKV's collectors") {
  Model model;
  for (int i = 0; i < 3000; ++i) {
    std::string key = "zrow" + std::to_string(100000 + i);
    kvbackup::append_be64(key, ~std::uint64_t{400000000});
    model.emplace(std::move(key), "P value");
  }
  const std::unique_ptr<rocksdb::Env> memory(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  rocksdb::Options options;
  options.env = memory.get();
  require_ok(rocksdb::WriteStringToFile(
      memory.get(),
      write_ours(model, TableOptions::br_write_cf(), kvbackup::NoneCodec{}, nullptr,
                 kvbackup::TikvCollector::write_cf()),
      "/ours.sst"));
  rocksdb::SstFileReader reader(options);
  require_ok(reader.Open("/ours.sst"));
  require_ok(reader.VerifyChecksum());
  const auto& properties = reader.GetTableProperties()->user_collected_properties;
  CHECK(kvbackup::load_be64(properties.at("tikv.num_puts").data()) == 3000);
  CHECK(kvbackup::load_be64(properties.at("tikv.max_ts").data()) == 400000000);
  CHECK(properties.contains("tikv.range_index"));
}
