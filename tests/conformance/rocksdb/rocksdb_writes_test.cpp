// SPDX-License-Identifier: Apache-2.0
// Tables that RocksDB's SstFileWriter wrote, in every form that it has: we read the entries, the
// tombstones and the properties that RocksDB itself reads.
#include <array>
#include <string>
#include <vector>

#include <rocksdb/merge_operator.h>

#include "conformance/rocksdb/covering_array.hpp"
#include "conformance/rocksdb/read_support.hpp"

namespace rocksdb_writes_test {

using namespace rocksdb_test;
using kvbackup::StatusCode;

namespace {

struct CodecChoice {
  rocksdb::CompressionType type;
  const char* unsupported = nullptr;  // how we call it if we cannot read it
};
const std::vector<CodecChoice> codecs{
    {rocksdb::kNoCompression},
    {rocksdb::kSnappyCompression, KVBACKUP_WITH_SNAPPY ? nullptr : "snappy"},
    {rocksdb::kLZ4Compression, KVBACKUP_WITH_LZ4 ? nullptr : "lz4"},
    {rocksdb::kLZ4HCCompression, KVBACKUP_WITH_LZ4 ? nullptr : "lz4"},
    {rocksdb::kZSTD, KVBACKUP_WITH_ZSTD ? nullptr : "zstd"},
    {rocksdb::kZSTDNotFinalCompression, KVBACKUP_WITH_ZSTD ? nullptr : "zstd"},
    {rocksdb::kZlibCompression, "zlib"},
    {rocksdb::kBZip2Compression, "bzip2"}};

enum class Filter { none, bloom, ribbon };
struct FilterChoice {
  Filter filter;
  bool whole_keys = true;
  bool partitioned = false;
};
const std::vector<FilterChoice> filters{{Filter::bloom},
                                        {Filter::none},
                                        {Filter::ribbon},
                                        {Filter::bloom, false},
                                        {Filter::ribbon, false},
                                        {Filter::bloom, true, true},
                                        {Filter::ribbon, true, true},
                                        {Filter::bloom, false, true}};

struct DictionaryChoice {
  std::uint32_t bytes;
  std::uint32_t training_bytes;
};
const std::vector<DictionaryChoice> dictionaries{{0, 0}, {4096, 0}, {8192, 100'000}};

const std::vector<rocksdb::BlockBasedTableOptions::IndexType> indexes{
    rocksdb::BlockBasedTableOptions::kBinarySearch,
    rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch,
    rocksdb::BlockBasedTableOptions::kBinarySearchWithFirstKey,
    rocksdb::BlockBasedTableOptions::kHashSearch};

constexpr std::array<int, 3> restarts{16, 1, 5};
constexpr std::array<int, 3> index_restarts{1, 2, 16};
constexpr std::array<std::size_t, 3> block_sizes{4096, 300, 65536};
enum class Extractor { fixed, capped, suffix };

enum Dimension : std::size_t {
  codec_of,
  checksum_of,
  version_of,
  filter_of,
  index_of,
  extractor_of,
  dictionary_of,
  restart_of,
  index_restart_of,
  block_size_of,
  hash_blocks_of,
  shortening_of,
  delta_of,
  content_of,
  align_of,
  dimensions
};

bool allowed(const Row& row) {
  if (filters[row[filter_of]].partitioned && row[index_of] != 1) return false;
  // the hash index asks that every key has a prefix
  if (row[index_of] == 3 && row[extractor_of] != 1) return false;
  return row[align_of] == 0 || row[codec_of] == 0;
}

CoveringArray covering_array() {
  std::vector<std::size_t> counts(dimensions, 2);
  counts[codec_of] = codecs.size();
  counts[checksum_of] = 5;
  counts[version_of] = 6;
  counts[filter_of] = filters.size();
  counts[index_of] = indexes.size();
  counts[extractor_of] = 3;
  counts[dictionary_of] = dictionaries.size();
  counts[restart_of] = restarts.size();
  counts[index_restart_of] = index_restarts.size();
  counts[block_size_of] = block_sizes.size();
  counts[shortening_of] = 3;
  counts[content_of] = 3;
  return {counts, allowed};
}

/// Extractors as both sides see them.
std::shared_ptr<const rocksdb::SliceTransform> their_extractor(Extractor extractor) {
  using Pointer = std::shared_ptr<const rocksdb::SliceTransform>;
  switch (extractor) {
    case Extractor::fixed: return Pointer(rocksdb::NewFixedPrefixTransform(9));
    case Extractor::capped: return Pointer(rocksdb::NewCappedPrefixTransform(11));
    case Extractor::suffix: break;
  }
  return std::make_shared<FixedSuffixTransform>(4);
}

rocksdb::Options options_of(const Row& row) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = static_cast<std::uint32_t>(row[version_of]);
  table.checksum = static_cast<rocksdb::ChecksumType>(row[checksum_of]);
  const FilterChoice& filter = filters[row[filter_of]];
  if (filter.filter == Filter::bloom) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  if (filter.filter == Filter::ribbon) {
    table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(10));
  }
  table.whole_key_filtering = filter.whole_keys;
  table.partition_filters = filter.partitioned;
  table.index_type = indexes[row[index_of]];
  table.metadata_block_size = 500;
  table.block_restart_interval = restarts[row[restart_of]];
  table.index_block_restart_interval = index_restarts[row[index_restart_of]];
  table.block_size = block_sizes[row[block_size_of]];
  if (row[hash_blocks_of] == 1) {
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  }
  table.index_shortening =
      static_cast<rocksdb::BlockBasedTableOptions::IndexShorteningMode>(row[shortening_of]);
  table.use_delta_encoding = row[delta_of] == 0;
  table.block_align = row[align_of] == 1;
  if (table.block_align) table.block_size = 4096;
  rocksdb::Options options;
  options.compression = codecs[row[codec_of]].type;
  options.compression_opts.max_dict_bytes = dictionaries[row[dictionary_of]].bytes;
  options.compression_opts.zstd_max_train_bytes = dictionaries[row[dictionary_of]].training_bytes;
  options.prefix_extractor = their_extractor(static_cast<Extractor>(row[extractor_of]));
  options.merge_operator = std::make_shared<JoiningOperator>();
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

struct Content {
  std::vector<StoredEntry> entries;
  std::vector<kvbackup::RangeTombstone> tombstones;
};

Content content_of_kind(std::size_t kind, std::size_t count) {
  Content out;
  std::size_t number = 0;
  for (const auto& [key, value] : random_model(count, static_cast<std::uint32_t>(5 + kind))) {
    const int type = kind == 0 ? 1 : number % 5 == 1 ? 0 : kind == 2 && number % 7 == 2 ? 2 : 1;
    out.entries.push_back({key, 0, type, type == 0 ? "" : value});
    if (kind == 2 && number % 50 == 3) {
      out.tombstones.push_back({key, key + std::string(number % 3, 'z') + "~", 0});
    }
    ++number;
  }
  return out;
}

void write_theirs(const std::string& path, const rocksdb::Options& options,
                  const Content& content) {
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
  require_ok(writer.Open(path));
  for (const kvbackup::RangeTombstone& t : content.tombstones) {
    require_ok(writer.DeleteRange(t.begin, t.end));
  }
  for (const StoredEntry& e : content.entries) {
    switch (e.type) {
      case 0: require_ok(writer.Delete(e.key)); break;
      case 2: require_ok(writer.Merge(e.key, e.value)); break;
      default: require_ok(writer.Put(e.key, e.value));
    }
  }
  require_ok(writer.Finish());
}

/// Keys that are in no table, with the prefixes of those that are and with others.
std::vector<std::string> absent_keys(const Content& content) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < content.entries.size(); i += content.entries.size() / 300 + 1) {
    std::string key = content.entries[i].key + "?absent?";
    std::string other = "absent" + key;
    const auto there = [&content](const std::string& k) {
      return std::binary_search(
          content.entries.begin(), content.entries.end(), StoredEntry{k, 0, 0, ""},
          [](const StoredEntry& a, const StoredEntry& b) { return a.key < b.key; });
    };
    if (!there(key)) out.push_back(std::move(key));
    if (!there(other)) out.push_back(std::move(other));
  }
  return out;
}

void check_gets(const FileReader& reader, const Content& content) {
  using Outcome = kvbackup::Lookup::Outcome;
  std::size_t wrong = 0;
  for (const StoredEntry& e : content.entries) {
    const auto found = reader.get(e.key);
    if (e.type == 2) {
      wrong += found.status().code() != StatusCode::unsupported || found.status().key() != e.key;
    } else {
      require_ok(found.status());
      wrong += found.value().outcome != (e.type == 0 ? Outcome::deleted : Outcome::found);
      wrong += found.value().value != e.value;
    }
  }
  CHECK(wrong == 0);
  const kvbackup::TableReaderCounters before = reader.counters();
  std::size_t seen = 0;
  const std::vector<std::string> absent = absent_keys(content);
  for (const std::string& key : absent) {
    const auto found = reader.get(key);
    require_ok(found.status());
    const bool covered =
        std::any_of(content.tombstones.begin(), content.tombstones.end(),
                    [&key](const auto& t) { return t.begin <= key && key < t.end; });
    seen += found.value().outcome != (covered ? Outcome::deleted : Outcome::absent);
  }
  CHECK(seen == 0);
  const auto after = reader.counters();
  CHECK(after.filter_useful <= after.filter_checked);
  CHECK(after.data_blocks_read - before.data_blocks_read +
            (after.filter_useful - before.filter_useful) <=
        absent.size());
}

void check_filter_use(const FileReader& reader, const FilterChoice& filter) {
  const kvbackup::TableReaderCounters counters = reader.counters();
  if (filter.filter == Filter::none) {
    CHECK(counters.filter_checked == 0);
    return;
  }
  CHECK(counters.filter_checked > 0);
  if (reader.properties().num_entries > 1000) CHECK(counters.filter_useful > 100);
}

void check_row(const Row& row, std::size_t count, const std::string& path) {
  CAPTURE(row);
  const rocksdb::Options options = options_of(row);
  const Content content = content_of_kind(row[content_of], count);
  write_theirs(path, options, content);
  rocksdb::SstFileReader theirs(options);
  require_ok(theirs.Open(path));

  kvbackup::TableReaderOptions ours;
  ours.filter = kvbackup::FilterUse::always;
  ours.prefix_extractor = kvbackup::PrefixExtractor::fixed_suffix(4);
  const CodecChoice& codec = codecs[row[codec_of]];
  if (codec.unsupported != nullptr) {
    // the index may be compressed too, so it can be open() that says it
    auto file = kvbackup::PosixFile::open(path);
    require_ok(file.status());
    auto reader = FileReader::open(std::move(file).value());
    const kvbackup::Status status =
        reader.ok() ? status_at_end(reader.value().entries()) : reader.status();
    CHECK(status.code() == StatusCode::unsupported);
    const std::string message = "codec " + std::string(codec.unsupported) + " is not built in";
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(message));
    CHECK(status.object() == path);
    if (!reader.ok()) return;
    // the partitions of an index may be compressed as well
    const kvbackup::Status verified = reader.value().verify_blocks();
    CHECK((verified.ok() || verified.code() == StatusCode::unsupported));
    return;
  }
  const FileReader reader = open_ours(path, ours);
  // RocksDB writes version 1 in place of 0 where the checksum is not that of 0
  CHECK(reader.format_version() ==
        (row[version_of] == 0 && row[checksum_of] != 1 ? 1 : row[version_of]));
  CHECK(static_cast<std::size_t>(reader.checksum_kind()) == row[checksum_of]);
  check_properties(reader.properties(), *theirs.GetTableProperties());
  REQUIRE(same_entries(our_entries(reader), content.entries));
  auto tombstones = reader.range_tombstones();
  require_ok(tombstones.status());
  CHECK(tombstones.value() == content.tombstones);
  check_seeks(reader, content.entries);
  check_gets(reader, content);
  check_filter_use(reader, filters[row[filter_of]]);
  require_ok(reader.verify_blocks());
}

}  // namespace

TEST_CASE("what SstFileWriter wrote is read as it was written: every pair of option values") {
  const TemporaryFolder folder;
  CoveringArray cases = covering_array();
  for (const Row& row : cases.rows(0)) check_row(row, 1500, folder.path("theirs.sst"));
}

TEST_CASE("what SstFileWriter wrote is read as it was written: more values at random", "[.full]") {
  const TemporaryFolder folder;
  CoveringArray cases = covering_array();
  const std::vector<Row>& rows = cases.rows(cases.pairwise() + 120);
  for (std::size_t i = cases.pairwise(); i < rows.size(); ++i) {
    check_row(rows[i], i % 5 == 0 ? 30'000 : 3000, folder.path("theirs.sst"));
  }
}

TEST_CASE("a table of range tombstones alone has no entries and all its tombstones") {
  const TemporaryFolder folder;
  const Content content{{}, {{"b", "d", 0}, {"a", "c", 0}}};
  write_theirs(folder.path("t.sst"), rocksdb::Options(), content);
  const FileReader reader = open_ours(folder.path("t.sst"));
  CHECK(our_entries(reader).empty());
  CHECK(our_live_pairs(reader).empty());
  auto tombstones = reader.range_tombstones();
  require_ok(tombstones.status());
  CHECK(tombstones.value() == content.tombstones);
  CHECK(reader.get("b").value().outcome == kvbackup::Lookup::Outcome::deleted);
  CHECK(reader.get("d").value().outcome == kvbackup::Lookup::Outcome::absent);
}

TEST_CASE("a table in another order is iterated as it is, and not sought in") {
  const TemporaryFolder folder;
  rocksdb::Options options;
  options.comparator = rocksdb::ReverseBytewiseComparator();
  const Content content{{{"c", 0, 1, "3"}, {"b", 0, 1, "2"}, {"a", 0, 1, "1"}}, {}};
  write_theirs(folder.path("t.sst"), options, content);
  const FileReader reader = open_ours(folder.path("t.sst"));
  CHECK(same_entries(our_entries(reader), content.entries));
  CHECK(reader.get("b").status().code() == StatusCode::unsupported);
  CHECK(reader.source().status().code() == StatusCode::unsupported);
}

}  // namespace rocksdb_writes_test
