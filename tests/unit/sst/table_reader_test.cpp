// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"
#include "unit/sst/reader_support.hpp"

using namespace kvbackup;
using namespace sst_test;

namespace {

using Model = std::map<std::string, std::string>;

std::vector<Pair> as_pairs(const Model& model) { return {model.begin(), model.end()}; }

/// Forms that differ in what a reader must know of them.
std::vector<TableOptions> forms() {
  std::vector<TableOptions> out{TableOptions::br_default_cf(), TableOptions::br_write_cf(),
                                TableOptions::rocksdb()};
  for (const std::uint32_t version : {2u, 3u, 4u, 5u}) {
    for (const std::uint32_t interval : {1u, 4u}) {
      TableOptions options = TableOptions::rocksdb();
      options.format_version = version;
      options.filter = version < 5 ? FilterKind::legacy_bloom : FilterKind::fast_local_bloom;
      options.index_block_restart_interval = interval;
      options.block_size = 300;
      out.push_back(options);
      options.index_type = IndexType::two_level;
      options.metadata_block_size = 120;
      options.partition_filters = interval == 4;
      out.push_back(options);
      options.prefix_extractor = PrefixExtractor::fixed_prefix(8);
      options.whole_key_filtering = false;
      out.push_back(options);
    }
  }
  return out;
}

void check_all(const InMemoryTable& reader, const Model& model) {
  CHECK(pairs_of(reader.source()) == as_pairs(model));
  std::size_t wrong = 0;
  auto cursor = reader.cursor();
  for (auto it = model.begin(); it != model.end(); ++it) {
    const auto found = reader.get(it->first);
    REQUIRE(found.ok());
    wrong += !found.value().found() || found.value().value != it->second;
    cursor.seek(it->first);
    wrong += !cursor.valid() || cursor.key() != it->first || cursor.value() != it->second;
    const std::string absent = it->first + '\0';
    if (model.contains(absent)) continue;
    wrong += reader.get(absent).value().outcome != Lookup::Outcome::absent;
    cursor.seek(absent);
    const auto after = std::next(it);
    wrong += cursor.valid() ? after == model.end() || cursor.key() != after->first
                            : after != model.end();
  }
  CHECK(wrong == 0);
  CHECK(reader.verify_blocks().ok());
}

}  // namespace

TEST_CASE("what the writer wrote is read back, in each form of the table") {
  const Model model = counted_pairs(700);
  for (const TableOptions& options : forms()) {
    CAPTURE(options.format_version, options.index_block_restart_interval,
            static_cast<int>(options.index_type), options.partition_filters);
    TableSummary summary;
    const std::string file = write_table(model, options, NoneCodec{}, NoCollector{}, &summary);
    TableReaderOptions read;
    read.prefix_extractor = PrefixExtractor::fixed_suffix(8);
    read.filter = FilterUse::always;
    const InMemoryTable reader = open_table(file, read);
    CHECK(reader.format_version() == options.format_version);
    CHECK(reader.checksum_kind() == ChecksumKind::crc32c);
    CHECK(!reader.is_leveldb());
    CHECK(reader.properties().num_entries == model.size());
    CHECK(reader.properties().data_size == summary.data_size);
    check_all(reader, model);
    CHECK(reader.counters().filter_checked > 0);
  }
}

TEST_CASE("keys and values of every kind are read back") {
  const Model model{{"", ""},
                    {std::string(1, '\0'), "zero"},
                    {std::string(1, '\0') + "\xff", ""},
                    {"\xff", std::string(100'000, '\xff')},
                    {"\xff\xff", "last"},
                    {"k", std::string(3, '\0')},
                    {std::string(70'000, 'k'), "long key"},
                    {std::string(70'000, 'k') + "!", "and one behind it"}};
  for (const std::uint32_t block_size : {1u, 1000u, 1u << 20}) {
    TableOptions options;
    options.block_size = block_size;
    check_all(open_table(write_table(model, options)), model);
  }
}

#if KVBACKUP_WITH_LZ4 && KVBACKUP_WITH_SNAPPY && KVBACKUP_WITH_ZSTD && KVBACKUP_WITH_XXHASH
TEST_CASE("tables of every codec and checksum are read") {
  const Model model = counted_pairs(500);
  const auto check = [&model](const auto& codec, auto checksum) {
    std::string file;
    TableWriter<std::decay_t<decltype(codec)>, decltype(checksum), StringOutput> writer(
        TableOptions::rocksdb(), codec, StringOutput{&file});
    for (const auto& [key, value] : model) REQUIRE(writer.add(key, value).ok());
    REQUIRE(writer.finish().ok());
    const InMemoryTable reader = open_table(file);
    CHECK(reader.checksum_kind() == decltype(checksum)::kind);
    CHECK(reader.properties().compression == codec.name());
    check_all(reader, model);
  };
  check(SnappyCodec{}, XxHashChecksum{});
  check(Lz4Codec{}, XxHash64Checksum{});
  check(ZstdCodec{}, Xxh3Checksum{});
  check(ZstdCodec{}, NoneChecksum{});
}

TEST_CASE("a codec or a checksum that is not in the set is named") {
  std::string file;
  TableWriter<ZstdCodec, Xxh3Checksum, StringOutput> writer(TableOptions::rocksdb(), {},
                                                            StringOutput{&file});
  for (const auto& [key, value] : counted_pairs(100)) REQUIRE(writer.add(key, value).ok());
  REQUIRE(writer.finish().ok());

  using OnlyLz4 = TableDecoders<CodecSet<NoneCodec, Lz4Codec>, ChecksumSet<Xxh3Checksum>>;
  auto reader = TableReader<MemoryFile, OnlyLz4>::open(MemoryFile(file), {}, {.name = "t.sst"});
  const Status no_codec = reader.ok() ? reader.value().entries().status() : reader.status();
  CHECK(no_codec.code() == StatusCode::unsupported);
  CHECK_THAT(no_codec.to_string(), Catch::Matchers::Contains("codec zstd is not built in"));
  CHECK_THAT(no_codec.to_string(), Catch::Matchers::Contains("block at 0"));
  CHECK(no_codec.object() == "t.sst");

  using OnlyCrc = TableDecoders<CodecSet<ZstdCodec>, ChecksumSet<NoneChecksum, Crc32cChecksum>>;
  const auto refused =
      TableReader<MemoryFile, OnlyCrc>::open(MemoryFile(file), {}, {.name = "t.sst"});
  CHECK(refused.status().code() == StatusCode::unsupported);
  CHECK_THAT(refused.status().to_string(), Catch::Matchers::Contains("xxh3"));
  CHECK(refused.status().object() == "t.sst");
}
#endif

TEST_CASE("a source has the pairs of its range alone, and seeks within it") {
  const Model model = counted_pairs(300);
  TableOptions options;
  options.block_size = 200;
  const InMemoryTable reader = open_table(write_table(model, options));
  const auto expected = [&model](const std::string& start, const std::string& end) {
    return std::vector<Pair>(model.lower_bound(start),
                             end.empty() ? model.end() : model.lower_bound(end));
  };
  for (const std::string start : {"", "a", "key00000100", "key00000101", "z"}) {
    for (const std::string end : {"", "b", "key00000100", "key00000333", "z"}) {
      if (!end.empty() && start > end) continue;
      CHECK(pairs_of(reader.source(start, end)) == expected(start, end));
    }
  }
  auto source = reader.source("key00000100", "key00000200");
  source.seek("a");
  CHECK(source.key() == "key00000100");
  source.seek("key00000151");
  CHECK(source.key() == "key00000152");
  source.seek("key00000200");
  CHECK(!source.valid());
  CHECK(source.status().ok());
  source.seek("key00000120");
  CHECK(source.key() == "key00000120");
}

TEST_CASE("iterators outlive their reader and go with their owner") {
  const Model model = counted_pairs(300);
  std::optional<decltype(open_table("").source())> source;
  {
    const InMemoryTable reader = open_table(write_table(model, TableOptions()));
    source.emplace(reader.source());
  }
  auto moved = std::move(*source);
  CHECK(pairs_of(std::move(moved)) == as_pairs(model));
}

TEST_CASE("several threads iterate over and look up in one table", "[threads]") {
  const Model model = counted_pairs(2000);
  TableOptions options = TableOptions::rocksdb();
  options.block_size = 500;
  options.index_type = IndexType::two_level;
  options.metadata_block_size = 200;
  options.partition_filters = true;
  using Reader = TableReader<MemoryFile, BuiltDecoders, LruBlockCache>;
  auto opened =
      Reader::open(MemoryFile(write_table(model, options)), {},
                   {.tail_bytes = 1000, .filter = FilterUse::always}, LruBlockCache(20'000));
  REQUIRE(opened.ok());
  const Reader reader = std::move(opened).value();
  std::atomic<int> wrong{0};
  const auto work = [&](std::size_t start) {
    if (pairs_of(reader.source()) != as_pairs(model)) ++wrong;
    std::size_t i = 0;
    for (const auto& [key, value] : model) {
      if (++i % 4 != start) continue;
      const auto found = reader.get(key);
      if (!found.ok() || found.value().value != value) ++wrong;
      if (reader.get(key + "x").value().outcome != Lookup::Outcome::absent) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a file of the system is read like one in memory, and named in errors") {
  const test_support::TempDir folder;
  const Model model = counted_pairs(2000);
  std::string bytes = write_table(model, TableOptions());
  test_support::write_file(folder.path("t.sst"), bytes);
  using Reader = TableReader<PosixFile, BuiltDecoders>;
  {
    auto file = PosixFile::open(folder.path("t.sst"));
    REQUIRE(file.ok());
    auto reader = Reader::open(std::move(file).value());
    REQUIRE(reader.ok());
    CHECK(pairs_of(reader.value().source()) == as_pairs(model));
    CHECK(reader.value().verify_blocks().ok());
  }
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  test_support::write_file(folder.path("t.sst"), bytes);
  auto file = PosixFile::open(folder.path("t.sst"));
  REQUIRE(file.ok());
  auto reader = Reader::open(std::move(file).value());
  REQUIRE(reader.ok());
  const auto entries = reader.value().entries();
  for (const Status& status : {entries.status(), reader.value().verify_blocks()}) {
    CHECK(status.code() == StatusCode::corruption);
    CHECK(status.object() == folder.path("t.sst"));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("data block at 0"));
  }
  CHECK(PosixFile::open(folder.path("no.sst")).status().code() == StatusCode::not_found);
}

TEST_CASE("bytes outside of a file are refused with its size") {
  const MemoryFile file("0123456789");
  std::string scratch;
  CHECK(file.read(3, 7, scratch).value() == "3456789");
  CHECK(file.read(10, 0, scratch).value().empty());
  for (const auto& [offset, length] : std::vector<std::pair<std::uint64_t, std::size_t>>{
           {3, 8}, {11, 0}, {~std::uint64_t{0}, 2}, {0, ~std::size_t{0}}}) {
    const auto read = file.read(offset, length, scratch);
    CHECK(read.status().code() == StatusCode::corruption);
    CHECK_THAT(read.status().to_string(), Catch::Matchers::Contains("ends at byte 10"));
  }
}
