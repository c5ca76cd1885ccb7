// SPDX-License-Identifier: Apache-2.0
// Whole files are what RocksDB's SstFileWriter writes, byte for byte, once our writer is told what
// RocksDB chose by itself: the identities of database, session, host and file.
#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "conformance/rocksdb/covering_array.hpp"
#include "conformance/rocksdb/rocksdb_support.hpp"
#include "support/catch.hpp"

namespace same_bytes_test {

using namespace rocksdb_test;
using kvbackup::ChecksumKind;
using kvbackup::FilterKind;
using kvbackup::IndexShortening;
using kvbackup::IndexType;
using kvbackup::PrefixExtractor;
using kvbackup::TableOptions;

namespace {

constexpr int default_level = rocksdb::CompressionOptions::kDefaultCompressionLevel;

struct CodecChoice {
  AnyExactCodec ours;
  rocksdb::CompressionType theirs;
  int level = default_level;
};
std::vector<CodecChoice> codecs() {
  std::vector<CodecChoice> out{{kvbackup::NoneCodec{}, rocksdb::kNoCompression}};
#if KVBACKUP_WITH_SNAPPY
  out.push_back({kvbackup::SnappyCodec{}, rocksdb::kSnappyCompression});
#endif
#if KVBACKUP_WITH_LZ4
  out.push_back({kvbackup::Lz4Codec{.exact = true}, rocksdb::kLZ4Compression});
#endif
#if KVBACKUP_WITH_ZSTD
  out.push_back({kvbackup::ZstdCodec{.level = 3, .exact = true}, rocksdb::kZSTD});
  out.push_back({kvbackup::ZstdCodec{.level = 7, .exact = true}, rocksdb::kZSTD, 7});
  out.push_back({kvbackup::ZstdCodec{.level = -3, .exact = true}, rocksdb::kZSTD, -3});
#endif
  return out;
}

struct FilterChoice {
  std::uint32_t bits;
  bool whole_keys = true;
  PrefixExtractor extractor{};
};
const std::vector<FilterChoice> filters{{10},
                                        {0},
                                        {1},
                                        {23},
                                        {10, false, PrefixExtractor::fixed_prefix(9)},
                                        {7, true, PrefixExtractor::fixed_prefix(9)},
                                        {10, false, PrefixExtractor::fixed_suffix(8)},
                                        {14, true, PrefixExtractor::fixed_suffix(8)}};

struct IndexChoice {
  IndexType type;
  std::uint32_t partition_size = 4096;
  bool partition_filters = false;
};
const std::vector<IndexChoice> indexes{
    {IndexType::binary_search},        {IndexType::two_level},
    {IndexType::two_level, 300},       {IndexType::two_level, 4096, true},
    {IndexType::two_level, 700, true}, {IndexType::two_level, 60, true}};

constexpr std::array<ChecksumKind, 5> checksums{ChecksumKind::none, ChecksumKind::crc32c,
                                                ChecksumKind::xxhash, ChecksumKind::xxhash64,
                                                ChecksumKind::xxh3};
constexpr std::array<std::uint32_t, 5> block_sizes{4096, 1, 256, 1024, 65536};
constexpr std::array<std::uint32_t, 4> deviations{10, 0, 50, 100};
constexpr std::array<std::uint32_t, 3> restarts{16, 1, 3};
constexpr std::array<std::uint32_t, 3> index_restarts{1, 2, 16};

const std::vector<Model>& models() {
  static const std::vector<Model> all{
      random_model(3000, 3),
      Model{{"k", "v"}},
      Model{{"", ""}, {"\x01", ""}, {std::string("\x01\0", 2), "v"}, {"\xff\xff", "x"}},
      even_model(5000),
      ff_model(3000),
      random_model(20000, 4)};
  return all;
}

/// Options as the rows of the covering array number them.
enum Dimension : std::size_t {
  codec_of,
  align_of,
  checksum_of,
  version_of,
  filter_of,
  index_of,
  index_restart_of,
  block_size_of,
  deviation_of,
  restart_of,
  shortening_of,
  model_of,
  dimensions
};

CoveringArray covering_array() {
  std::vector<std::size_t> counts(dimensions);
  counts[codec_of] = codecs().size();
  counts[align_of] = 2;
  counts[checksum_of] = checksums.size();
  counts[version_of] = 4;
  counts[filter_of] = filters.size();
  counts[index_of] = indexes.size();
  counts[index_restart_of] = index_restarts.size();
  counts[block_size_of] = block_sizes.size();
  counts[deviation_of] = deviations.size();
  counts[restart_of] = restarts.size();
  counts[shortening_of] = 3;
  counts[model_of] = models().size();
  return {counts, [](const Row& row) { return row[align_of] == 0 || row[codec_of] == 0; }};
}

struct Case {
  TableOptions options;
  CodecChoice codec;
  ChecksumKind checksum;
};

Case case_of(const Row& row) {
  Case out{TableOptions::rocksdb(), codecs()[row[codec_of]], checksums[row[checksum_of]]};
  TableOptions& o = out.options;
  o.format_version = static_cast<std::uint32_t>(2 + row[version_of]);
  o.block_align = row[align_of] == 1;
  o.block_size = block_sizes[row[block_size_of]];
  o.block_size_deviation = deviations[row[deviation_of]];
  o.block_restart_interval = restarts[row[restart_of]];
  o.index_block_restart_interval = index_restarts[row[index_restart_of]];
  o.index_shortening = static_cast<IndexShortening>(row[shortening_of]);
  const IndexChoice& index = indexes[row[index_of]];
  o.index_type = index.type;
  o.metadata_block_size = index.partition_size;
  o.partition_filters = index.partition_filters;
  const FilterChoice& filter = filters[row[filter_of]];
  // RocksDB has the old filter before format_version 5, and the new one from it on
  if (o.format_version < 5) o.filter = FilterKind::legacy_bloom;
  o.filter_bits_per_key = filter.bits;
  o.whole_key_filtering = filter.whole_keys;
  o.prefix_extractor = filter.extractor;
  if (out.codec.level != default_level) {
    const std::string before = "level=32767";
    o.compression_options.replace(o.compression_options.find(before), before.size(),
                                  "level=" + std::to_string(out.codec.level));
  }
  return out;
}

/// Emits one property; the other one comes from the options.
class NoteCollector {
 public:
  void add(kvbackup::ByteView, kvbackup::ByteView) { ++pairs_; }
  void finish(kvbackup::PropertyEmit emit) { emit("a.count", std::to_string(pairs_)); }
  static std::string name() { return "notes"; }

 private:
  std::size_t pairs_ = 0;
};
const std::pair<std::string, std::string> own_property{"z.own", std::string("\0\xff text", 7)};

class TheirNoteCollector final : public rocksdb::TablePropertiesCollector {
 public:
  rocksdb::Status AddUserKey(const rocksdb::Slice&, const rocksdb::Slice&, rocksdb::EntryType,
                             rocksdb::SequenceNumber, std::uint64_t) override {
    ++pairs_;
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties* out) override {
    out->emplace("a.count", std::to_string(pairs_));
    out->insert(own_property);
    return rocksdb::Status::OK();
  }
  [[nodiscard]] rocksdb::UserCollectedProperties GetReadableProperties() const override {
    return {};
  }
  [[nodiscard]] const char* Name() const override { return "notes"; }

 private:
  std::size_t pairs_ = 0;
};
class TheirNoteFactory final : public rocksdb::TablePropertiesCollectorFactory {
 public:
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context) override {
    return new TheirNoteCollector;
  }
  [[nodiscard]] const char* Name() const override { return "notes"; }
};

struct TheirFile {
  std::string bytes;
  kvbackup::TableIdentity identity;
};

/// What SstFileWriter writes, into memory, and the identities that it chose.
TheirFile write_theirs(const Model& model, rocksdb::Options options) {
  const std::unique_ptr<rocksdb::Env> memory(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  options.env = memory.get();
  options.table_properties_collector_factories.push_back(std::make_shared<TheirNoteFactory>());
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
  require_ok(writer.Open("/theirs.sst"));
  for (const auto& [key, value] : model) require_ok(writer.Put(key, value));
  require_ok(writer.Finish());
  TheirFile file;
  require_ok(rocksdb::ReadFileToString(memory.get(), "/theirs.sst", &file.bytes));
  rocksdb::SstFileReader reader(options);
  require_ok(reader.Open("/theirs.sst"));
  const auto properties = reader.GetTableProperties();
  file.identity = {properties->db_id, properties->db_session_id, properties->db_host_id,
                   properties->orig_file_number};
  return file;
}

/// Without Catch's own comparison, which would print megabytes.
bool same_bytes(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  UNSCOPED_INFO("sizes " << a.size() << " and " << b.size() << ", first difference at " << at);
  return false;
}

void check_same(const Row& row, const Model& model) {
  Case test = case_of(row);
  const TableOptions& o = test.options;
  const std::string codec(test.codec.ours.name());
  CAPTURE(codec, test.codec.level, static_cast<int>(test.checksum), o.format_version, o.block_align,
          o.block_size, o.block_size_deviation, o.block_restart_interval,
          o.index_block_restart_interval, static_cast<int>(o.index_shortening),
          static_cast<int>(o.index_type), o.metadata_block_size, o.partition_filters,
          o.filter_bits_per_key, o.whole_key_filtering, o.prefix_extractor.name(), model.size());
  rocksdb::Options theirs =
      rocksdb_options(o, rocksdb_extractor(o.prefix_extractor), test.codec.theirs, test.checksum);
  theirs.compression_opts.level = test.codec.level;
  const TheirFile expected = write_theirs(model, theirs);
  test.options.identity = expected.identity;
  test.options.user_properties.push_back(own_property);
  const std::string file =
      write_ours(model, test.options, test.codec.ours, nullptr, NoteCollector(), test.checksum);
  REQUIRE(same_bytes(file, expected.bytes));
}

}  // namespace

TEST_CASE("whole files are RocksDB's own bytes: every pair of option values") {
  CoveringArray cases = covering_array();
  for (const Row& row : cases.rows(0)) check_same(row, models()[row[model_of]]);
}

TEST_CASE("whole files are RocksDB's own bytes: more option values at random", "[.full]") {
  CoveringArray cases = covering_array();
  const std::vector<Row>& rows = cases.rows(std::max<std::size_t>(300, cases.pairwise() + 150));
  const Model large = random_model(20000, 5);
  const Model even = even_model(20000);
  for (std::size_t i = cases.pairwise(); i < rows.size(); ++i) {
    check_same(rows[i], i % 4 == 0 ? large : i % 4 == 1 ? even : models()[rows[i][model_of]]);
  }
}

TEST_CASE("whole files are RocksDB's own bytes: a million pairs", "[.full]") {
  CoveringArray cases = covering_array();
  const std::vector<Row>& rows = cases.rows(0);
  const Model random = random_model(1'000'000, 6);
  const Model even = even_model(1'000'000);
  // the first rows are those that hold the most pairs of values
  for (std::size_t i = 0; i < 8; ++i) {
    Row row = rows[i];
    if (row[block_size_of] == 1) row[block_size_of] = 0;  // a block a pair says nothing more here
    check_same(row, i % 2 == 0 ? random : even);
  }
}

}  // namespace same_bytes_test
