// SPDX-License-Identifier: Apache-2.0
// What TableOptions offers beside TiKV's own settings. Whole files are compared with RocksDB's in
// conformance/rocksdb.
#include <cstdint>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/parsed_table.hpp"

namespace table_forms_test {

using namespace kvbackup;
using namespace sst_test;

namespace {

std::vector<Pair> numbered(std::size_t count) {
  std::vector<Pair> out;
  for (std::size_t i = 0; i < count; ++i) {
    out.emplace_back("key" + std::to_string(100000 + i), std::string(i % 50, 'v'));
  }
  return out;
}

TableOptions partitioned() {
  TableOptions options = TableOptions::rocksdb();
  options.block_size = 200;
  options.index_type = IndexType::two_level;
  options.metadata_block_size = 200;
  options.partition_filters = true;
  return options;
}

/// The message with which the first call refuses such options.
template <class Codec = NoneCodec, class Change>
std::string refusal(Change change, const Codec& codec = {}) {
  TableOptions options = TableOptions::rocksdb();
  change(options);
  std::string file;
  TableWriter<Codec, Crc32cChecksum, StringOutput> writer(options, codec, StringOutput{&file});
  const Status status = writer.add("k", "v");
  CHECK(status.code() == StatusCode::invalid_argument);
  return std::string(status.message());
}
bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// The properties block of a table with crc32c, whatever its other parts are.
std::vector<Pair> properties_of(std::string_view file) {
  Input footer{file.substr(file.size() - 53 + 1)};
  for (const auto& [name, value] : entries_of(read_block(file, take_handle(footer)).payload, 1)) {
    Input in{value};
    const Handle handle = take_handle(in);
    if (name == "rocksdb.properties") return entries_of(read_block(file, handle).payload, 1u << 31);
  }
  throw std::runtime_error("no properties");
}
const std::string* find(const std::vector<Pair>& properties, const std::string& name) {
  for (const auto& [key, value] : properties) {
    if (key == name) return &value;
  }
  return nullptr;
}

struct FailingOutput {
  int allowed;
  Status append(ByteView /*bytes*/) {
    if (allowed-- > 0) return {};
    return Status::error(StatusCode::no_space, "the disk is full");
  }
};

}  // namespace

TEST_CASE("block checksums are RocksDB's") {
  // RocksDB's own values for the payload "hello", stored plain and as zstd
  const std::string plain("hello\0", 6);
  const std::string zstd("hello\7", 6);
  CHECK(NoneChecksum::of(plain) == 0);
  CHECK(Crc32cChecksum::of(plain) == 0x838fa897);
  CHECK(Crc32cChecksum::of(zstd) == 0xcb5dff03);
#if KVBACKUP_WITH_XXHASH
  CHECK(XxHashChecksum::of(plain) == 0x76c3f8e8);
  CHECK(XxHashChecksum::of(zstd) == 0x60b84af6);
  CHECK(XxHash64Checksum::of(plain) == 0x2fec4e26);
  CHECK(XxHash64Checksum::of(zstd) == 0xe49851e1);
  CHECK(Xxh3Checksum::of(plain) == 0x5c62dcfd);
  CHECK(Xxh3Checksum::of(zstd) == 0xac914612);
#endif
}

#if KVBACKUP_WITH_XXHASH
TEST_CASE("the table of one pair by RocksDB's defaults has the blocks that RocksDB writes") {
  std::string file;
  TableWriter<NoneCodec, Xxh3Checksum, StringOutput> writer(TableOptions::rocksdb(), NoneCodec{},
                                                            StringOutput{&file});
  REQUIRE(writer.add("k", "v").ok());
  REQUIRE(writer.finish().ok());
  const std::string hex = to_hex(file);
  CHECK(hex.substr(0, 2 * 26) ==
        "0009016b01000000000000007600000000"
        "01000000"
        "00f97f803c");
  CHECK(hex.substr(2 * (26 + 64), 2 * 10) ==
        "ff00060000"
        "006a95197a");
  CHECK(hex.substr(2 * 100, 2 * 18) ==
        "00016b00150000000001000000"
        "00cc0919fd");
  CHECK(hex.substr(hex.size() - 2 * 12) == "05000000f7cff485b741e288");
}
#endif

TEST_CASE("each form that cannot be written is refused with what to do") {
  using O = TableOptions;
  CHECK(contains(refusal([](O& o) { o.format_version = 1; }), "format_version"));
  CHECK(contains(refusal([](O& o) { o.format_version = 6; }), "format_version"));
  CHECK(contains(refusal([](O& o) { o.format_version = 4; }), "take legacy_bloom"));
  CHECK(contains(refusal([](O& o) { o.index_type = static_cast<IndexType>(1); }), "index_type"));
  CHECK(contains(refusal([](O& o) { o.index_block_restart_interval = 0; }), "index_block_restart"));
  CHECK(contains(refusal([](O& o) { o.metadata_block_size = 0; }), "metadata_block_size"));
  CHECK(contains(refusal([](O& o) { o.partition_filters = true; }), "two_level"));
  CHECK(contains(refusal([](O& o) {
                   o.block_align = true;
                   o.block_size = 3000;
                 }),
                 "power of two"));
  CHECK(contains(refusal([](O& o) {
                   o.block_align = true;
                   o.index_value_is_delta_encoded = true;
                 }),
                 "exclude each other"));
#if KVBACKUP_WITH_LZ4
  CHECK(contains(refusal([](O& o) { o.block_align = true; }, Lz4Codec{}), "no compression"));
#endif
}

TEST_CASE("a session identity that could make two tables share cached blocks is refused") {
  using O = TableOptions;
  const auto with_session = [](const char* session, std::uint64_t number) {
    return refusal([=](O& o) {
      o.identity.session = session;
      o.identity.file_number = number;
    });
  };
  CHECK(contains(with_session("ABC", 1), "13 to 24"));
  CHECK(contains(with_session("0123456789ABCDEFGHIJKLMNO", 1), "13 to 24"));
  CHECK(contains(with_session("0123456789abcdefghij", 1), "0-9 and A-Z"));
  CHECK(contains(with_session("0123456789ABCDEFGHIJ", 0), "file_number"));
  CHECK(
      contains(refusal([](O& o) { o.identity.session = "0123456789ABCDEFGHIJ"; }), "file_number"));
}

TEST_CASE("what names the writer stands in a table only if the host gives it") {
  const std::vector<Pair> pairs = numbered(10);
  const std::vector<std::string> names{
      "rocksdb.creating.db.identity", "rocksdb.creating.session.identity",
      "rocksdb.creating.host.identity", "rocksdb.original.file.number"};
  for (TableOptions options : {TableOptions(), TableOptions::rocksdb()}) {
    const auto without = properties_of(write_table(pairs, options));
    for (const std::string& name : names) CHECK(find(without, name) == nullptr);
    options.identity = {"db", "0123456789ABCDEFGHIJ", "host", 300};
    const auto with = properties_of(write_table(pairs, options));
    REQUIRE(with.size() == without.size() + 4);
    CHECK(*find(with, names[0]) == "db");
    CHECK(*find(with, names[1]) == "0123456789ABCDEFGHIJ");
    CHECK(*find(with, names[2]) == "host");
    CHECK(*find(with, names[3]) == "\xac\x02");
  }
}

TEST_CASE("the host's properties stand among the others, each name once") {
  TableOptions options;
  options.user_properties = {{"zebra", std::string("\0\xff", 2)}, {"aardvark", ""}};
  const auto properties = properties_of(write_table(numbered(3), options));
  CHECK(properties.front() == Pair{"aardvark", ""});
  CHECK(properties.back() == Pair{"zebra", std::string("\0\xff", 2)});

  options.user_properties.emplace_back("rocksdb.data.size", "1");
  std::string file;
  TableWriter<NoneCodec, Crc32cChecksum, StringOutput> writer(options, NoneCodec{},
                                                              StringOutput{&file});
  REQUIRE(writer.add("k", "v").ok());
  const auto result = writer.finish();
  CHECK(result.status().code() == StatusCode::invalid_argument);
  CHECK(contains(std::string(result.status().message()), "user_properties"));
}

TEST_CASE("dialects differ in the properties that RocksDB got later") {
  const auto tikv = properties_of(write_table(numbered(10), TableOptions()));
  const auto newer = properties_of(write_table(numbered(10), TableOptions::rocksdb()));
  CHECK(find(tikv, "rocksdb.num.filter_entries") == nullptr);
  CHECK(*find(newer, "rocksdb.num.filter_entries") == "\x0a");
  CHECK(*find(tikv, "rocksdb.filter.policy") == "rocksdb.BuiltinBloomFilter");
  CHECK(*find(newer, "rocksdb.filter.policy") == "bloomfilter");
}

TEST_CASE("with block_align every data block begins at a page") {
  TableOptions options;
  options.block_size = 8192;
  options.block_align = true;
  TableSummary summary;
  write_table(numbered(5000), options, NoneCodec{}, NoCollector{}, &summary);
  CHECK(summary.num_data_blocks > 10);
  CHECK(summary.data_size % 4096 == 0);
  CHECK(summary.data_size <= summary.num_data_blocks * 8192);
}

TEST_CASE("partitions are counted, and their sizes with what finds them") {
  TableSummary summary;
  const auto properties = properties_of(
      write_table(numbered(3000), partitioned(), NoneCodec{}, NoCollector{}, &summary));
  CHECK(summary.index_partitions > 10);
  CHECK(summary.index_partitions < summary.num_data_blocks);
  CHECK(summary.top_level_index_size > 0);
  CHECK(summary.top_level_index_size < summary.index_size);
  CHECK(summary.num_filter_entries == 3000);
  CHECK(Input{*find(properties, "rocksdb.index.partitions")}.varint() == summary.index_partitions);
}

TEST_CASE("an output's failure is passed on from every block of a partitioned table") {
  const std::vector<Pair> pairs = numbered(300);
  for (int allowed = 0;; ++allowed) {
    TableWriter<NoneCodec, Crc32cChecksum, FailingOutput> writer(partitioned(), NoneCodec{},
                                                                 FailingOutput{allowed});
    for (const auto& [key, value] : pairs) {
      if (!writer.add(key, value).ok()) break;
    }
    const auto result = writer.finish();
    if (result.ok()) {
      REQUIRE(allowed > 60);
      break;
    }
    REQUIRE(result.status().code() == StatusCode::no_space);
  }
}

}  // namespace table_forms_test
