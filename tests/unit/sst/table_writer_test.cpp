// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/parsed_table.hpp"

namespace table_writer_test {

using namespace kvbackup;
using namespace sst_test;

namespace {

using Model = std::map<std::string, std::string>;

TableOptions small_blocks(std::uint32_t block_size = 1024) {
  TableOptions options;
  options.block_size = block_size;
  return options;
}

/// Keys that share prefixes, look like the tail of an internal key, or run to 0xff.
Model awkward_pairs(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  Model model;
  model.emplace("", "empty key");
  model.emplace("k", "");
  std::string key;
  while (model.size() < count) {
    if (random() % 4 == 0) key.clear();
    static constexpr char alphabet[] = {'\0', '\x01', 'a', 'b', '\x7f', '\x80', '\xff'};
    const std::size_t more = 1 + random() % 10;
    for (std::size_t i = 0; i < more; ++i) key.push_back(alphabet[random() % sizeof alphabet]);
    if (random() % 8 == 0) key.append("\x01\0\0\0\0\0\0", 8);
    std::string value(random() % 3 == 0 ? 0 : random() % 200, 'x');
    if (random() % 50 == 0) value.assign(5000, '\xff');
    for (std::size_t i = 0; i < value.size(); i += 3) value[i] = static_cast<char>(random());
    model.emplace(key, std::move(value));
  }
  return model;
}

std::vector<Pair> as_pairs(const Model& model) { return {model.begin(), model.end()}; }

/// Takes `allowed` calls, then fails.
struct FailingOutput {
  int allowed;
  Status append(ByteView) {
    if (allowed-- > 0) return {};
    return Status::error(StatusCode::no_space, "cannot write: the disk is full");
  }
};

template <class Output>
using PlainWriter = TableWriter<NoneCodec, Crc32cChecksum, Output>;

}  // namespace

TEST_CASE("a table holds the pairs that it was given, whatever the block size") {
  const Model model = awkward_pairs(3000, 1);
  for (const std::uint32_t block_size : {1u, 64u, 1000u, 4096u, 65536u, 1u << 30}) {
    for (const std::uint32_t restart_interval : {1u, 2u, 16u, 100000u}) {
      TableOptions options = small_blocks(block_size);
      options.block_restart_interval = restart_interval;
      TableSummary summary;
      const std::string file = write_table(model, options, NoneCodec{}, NoCollector{}, &summary);
      const ParsedTable table = parse_table(file, restart_interval);
      CHECK(table.pairs() == as_pairs(model));
      CHECK(summary.num_entries == model.size());
      CHECK(summary.num_data_blocks == table.blocks.size());
      if (block_size == 1) CHECK(table.blocks.size() == model.size());
      if (block_size == 1u << 30) CHECK(table.blocks.size() == 1);
    }
  }
}

TEST_CASE("sizes and counts of the summary are those of the properties and of the file") {
  const Model model = awkward_pairs(500, 2);
  TableSummary summary;
  const std::string file = write_table(model, small_blocks(), NoneCodec{}, NoCollector{}, &summary);
  const ParsedTable table = parse_table(file);
  std::uint64_t keys = 0;
  std::uint64_t values = 0;
  for (const auto& [key, value] : model) {
    keys += key.size() + 8;
    values += value.size();
  }
  CHECK(summary.raw_key_size == keys);
  CHECK(summary.raw_value_size == values);
  CHECK(summary.filter_size == table.filter.size());
  CHECK(summary.index_size == table.index_block.payload.size() + 5);
  CHECK(summary.data_size == table.stored.back().offset + table.stored.back().stored_size + 5);
  CHECK(table.number("rocksdb.raw.key.size") == keys);
  CHECK(table.number("rocksdb.raw.value.size") == values);
  CHECK(table.number("rocksdb.num.entries") == model.size());
  CHECK(table.number("rocksdb.num.data.blocks") == table.blocks.size());
  CHECK(table.number("rocksdb.data.size") == summary.data_size);
  CHECK(table.number("rocksdb.index.size") == summary.index_size);
  CHECK(table.number("rocksdb.filter.size") == summary.filter_size);
}

TEST_CASE("an index key stands between the block it names and the next") {
  const Model model = awkward_pairs(2000, 3);
  for (const auto shortening : {IndexShortening::none, IndexShortening::separators,
                                IndexShortening::separators_and_successor}) {
    TableOptions options = small_blocks(200);
    options.index_shortening = shortening;
    const ParsedTable table = parse_table(write_table(model, options));
    REQUIRE(table.index.size() == table.blocks.size());
    const std::string value_tail("\x01\0\0\0\0\0\0", 8);
    const std::string seek_tail("\x11\xff\xff\xff\xff\xff\xff\xff");
    std::size_t shortened = 0;
    for (std::size_t i = 0; i < table.index.size(); ++i) {
      const std::string& internal = table.index[i].first;
      const std::string& last = table.blocks[i].back().first;
      const bool whole = internal == last + value_tail;
      if (whole) continue;
      ++shortened;
      const std::string key = user_key(internal, seek_tail);
      CHECK(key > last);
      CHECK(key.size() <= last.size());
      if (i + 1 < table.blocks.size()) CHECK(key < table.blocks[i + 1].front().first);
    }
    CHECK((shortened > 0) == (shortening != IndexShortening::none));
    const bool last_whole = table.index.back().first == model.rbegin()->first + value_tail;
    const bool has_successor = model.rbegin()->first.find_first_not_of('\xff') != std::string::npos;
    CHECK(last_whole ==
          (shortening != IndexShortening::separators_and_successor || !has_successor));
  }
}

TEST_CASE("equal pairs give equal bytes") {
  const Model model = awkward_pairs(300, 4);
  CHECK(write_table(model, small_blocks()) == write_table(model, small_blocks()));
}

TEST_CASE("a table of one pair with empty key and empty value is legal") {
  const ParsedTable table = parse_table(write_table(Model{{"", ""}}, TableOptions{}));
  CHECK(table.pairs() == std::vector<Pair>{{"", ""}});
}

TEST_CASE("a value larger than a block has a block for itself") {
  const std::string large(300000, 'v');
  const Model model{{"a", "1"}, {"b", large}, {"c", "2"}};
  TableOptions options = small_blocks(4096);
  options.block_size_deviation = 0;
  const ParsedTable table = parse_table(write_table(model, options));
  CHECK(table.pairs() == as_pairs(model));
  // "a" is too small to be closed before "b"; nothing follows "b" in its block.
  REQUIRE(table.blocks.size() == 2);
  CHECK(table.blocks[1].front().first == "c");
}

TEST_CASE("a key that is not above the one before it is refused in every build, with the key") {
  struct Case {
    const char* before;
    const char* key;
  };
  for (const auto& [before, key] :
       {Case{"b", "a"}, Case{"b", "b"}, Case{"bc", "b"}, Case{"a", ""}, Case{"", ""},
        Case{"\xff", "\x7f"}, Case{"aaaaaaaaab", "aaaaaaaaaa"}}) {
    std::string file;
    PlainWriter<StringOutput> writer(TableOptions{}, NoneCodec{}, StringOutput{&file});
    REQUIRE(writer.add(before, "v").ok());
    const Status status = writer.add(key, "v");
    CHECK(status.code() == StatusCode::out_of_order);
    CHECK(status.has_key());
    CHECK(status.key() == key);
    CHECK(status.message().find(key == std::string_view(before) ? "twice" : "strictly rise") !=
          std::string_view::npos);
    CHECK(writer.add("zzz", "v").code() == StatusCode::out_of_order);
    CHECK(writer.finish().status().code() == StatusCode::out_of_order);
    CHECK(file.empty());
  }
}

TEST_CASE("bytes of keys compare as unsigned") {
  const Model model{{"\x7f", "1"}, {"\x80", "2"}, {"\xff", "3"}, {"\xff\xff", "4"}};
  CHECK(parse_table(write_table(model, TableOptions{})).pairs() == as_pairs(model));
}

TEST_CASE("a table without entries is an error") {
  std::string file;
  PlainWriter<StringOutput> writer(TableOptions{}, NoneCodec{}, StringOutput{&file});
  const auto result = writer.finish();
  CHECK(result.status().code() == StatusCode::invalid_argument);
  CHECK(file.empty());
  CHECK(writer.add("k", "v").code() == StatusCode::invalid_argument);
}

TEST_CASE("nothing can be added to a finished table") {
  std::string file;
  PlainWriter<StringOutput> writer(TableOptions{}, NoneCodec{}, StringOutput{&file});
  REQUIRE(writer.add("k", "v").ok());
  REQUIRE(writer.finish().ok());
  const std::size_t size = file.size();
  CHECK(writer.add("l", "v").code() == StatusCode::invalid_argument);
  CHECK(writer.finish().status().code() == StatusCode::invalid_argument);
  CHECK(file.size() == size);
}

TEST_CASE("a pair that fits no block below 4 GiB is refused before it is read") {
  std::string file;
  PlainWriter<StringOutput> writer(TableOptions{}, NoneCodec{}, StringOutput{&file});
  REQUIRE(writer.add("a", "v").ok());
  const char byte = 'x';
  const Status status = writer.add("b", ByteView(&byte, std::size_t{0xffffffff}));
  CHECK(status.code() == StatusCode::resource_exhausted);
  CHECK(status.key() == "b");
  CHECK(writer.finish().status().code() == StatusCode::resource_exhausted);
}

TEST_CASE("an output's failure is passed on and stays, wherever it comes") {
  const Model model = awkward_pairs(200, 5);
  for (int allowed = 0;; ++allowed) {
    PlainWriter<FailingOutput> writer(small_blocks(512), NoneCodec{}, FailingOutput{allowed});
    Status status;
    for (const auto& [key, value] : model) {
      status = writer.add(key, value);
      if (!status.ok()) break;
    }
    const auto result = writer.finish();
    if (result.ok()) {
      REQUIRE(allowed > 20);
      break;
    }
    if (!status.ok()) CHECK(status.message() == result.status().message());
    CHECK(result.status().code() == StatusCode::no_space);
    CHECK(result.status().message() == "cannot write: the disk is full");
    CHECK(writer.add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "").code() ==
          StatusCode::no_space);
  }
}

TEST_CASE("options that cannot work are refused by the first call") {
  const auto refusal = [](auto change) {
    TableOptions options;
    change(options);
    std::string file;
    PlainWriter<StringOutput> writer(options, NoneCodec{}, StringOutput{&file});
    const Status status = writer.add("k", "v");
    CHECK(status.code() == StatusCode::invalid_argument);
    CHECK(writer.finish().status().code() == StatusCode::invalid_argument);
    return std::string(status.message());
  };
  using O = TableOptions;
  CHECK(refusal([](O& o) { o.block_size = 0; }).find("block_size") != std::string::npos);
  CHECK(refusal([](O& o) { o.block_size = (1u << 30) + 1; }).find("block_size") !=
        std::string::npos);
  CHECK(refusal([](O& o) { o.block_size_deviation = 101; }).find("deviation") != std::string::npos);
  CHECK(refusal([](O& o) { o.block_restart_interval = 0; }).find("restart") != std::string::npos);
  CHECK(refusal([](O& o) { o.filter_bits_per_key = 101; }).find("filter") != std::string::npos);
}

TEST_CASE("a writer can be moved while its table is open") {
  const Model model = awkward_pairs(500, 6);
  std::string file;
  std::optional<PlainWriter<StringOutput>> writer(std::in_place, small_blocks(), NoneCodec{},
                                                  StringOutput{&file});
  for (const auto& [key, value] : model) {
    PlainWriter<StringOutput> moved(std::move(*writer));
    REQUIRE(moved.add(key, value).ok());
    writer.emplace(std::move(moved));
  }
  REQUIRE(writer->finish().ok());
  CHECK(file == write_table(model, small_blocks()));
}

}  // namespace table_writer_test
