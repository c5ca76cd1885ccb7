// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/parsed_table.hpp"

using namespace kvbackup;
using namespace sst_test;

namespace {

/// Claims that every block has the length `saved` bytes below the plain one; stores its beginning.
struct ShrinkingCodec {
  BlockCompression kind = BlockCompression::zstd;
  std::size_t saved = 0;

  struct Compressor {
    std::size_t saved;
    std::optional<std::size_t> compress(ByteView in, std::span<char> out) {
      if (in.size() < saved) return std::nullopt;
      const std::size_t size = in.size() - saved;
      require(size <= out.size(), "no room for what bound() promised");
      std::memcpy(out.data(), in.data(), size);
      return size;
    }
  };
  struct Decompressor {
    Status decompress(ByteView, std::span<char>) { return {}; }
  };
  [[nodiscard]] BlockCompression type() const { return kind; }
  [[nodiscard]] std::string_view name() const { return "Test"; }
  [[nodiscard]] std::size_t bound(std::size_t n) const { return n; }
  [[nodiscard]] Compressor compressor() const { return {saved}; }
  [[nodiscard]] Decompressor decompressor() const { return {}; }
};

/// The bytes of the first block and its trailer's type. One pair: 12 bytes of overhead and 8 of
/// restarts around the value, whose length takes two bytes.
std::pair<std::string, int> first_block(const ShrinkingCodec& codec, std::size_t block_bytes) {
  const std::map<std::string, std::string> model{{"k", std::string(block_bytes - 21, 'v')}};
  const std::string file = write_table(model, TableOptions{}, codec);
  std::string_view tail = std::string_view(file).substr(file.size() - 53);
  Input footer{tail.substr(1)};
  take_handle(footer);
  const Handle index = take_handle(footer);
  Input entries{std::string_view(file).substr(index.offset, index.size)};
  entries.varint();
  const std::uint64_t key = entries.varint();
  entries.varint();
  entries.bytes(key);
  const Handle data = take_handle(entries);
  return {file.substr(data.offset, data.size), file[data.offset + data.size]};
}

}  // namespace

TEST_CASE("a compressed block is kept if it saves more than an eighth, length prefix included") {
  // 800 bytes: stored compressed below 700, of which the varint of 800 takes 2.
  const auto [kept, kept_type] = first_block({BlockCompression::zstd, 103}, 800);
  CHECK(kept_type == 7);
  CHECK(kept.size() == 699);
  CHECK(kept.substr(0, 2) == "\xa0\x06");
  const auto [plain, plain_type] = first_block({BlockCompression::zstd, 102}, 800);
  CHECK(plain_type == 0);
  CHECK(plain.size() == 800);
}

TEST_CASE("a Snappy block has no length prefix: its own format says the length") {
  CHECK(first_block({BlockCompression::snappy, 101}, 800).first.size() == 699);
  CHECK(first_block({BlockCompression::snappy, 101}, 800).second == 1);
  CHECK(first_block({BlockCompression::snappy, 100}, 800).second == 0);
}

TEST_CASE("without a codec nothing is compressed and the properties say so") {
  const std::map<std::string, std::string> model{{"k", std::string(100000, 'v')}};
  const ParsedTable table = parse_table(write_table(model, TableOptions{}));
  CHECK(table.properties.at("rocksdb.compression") == "NoCompression");
  CHECK(table.stored[0].type == 0);
  CHECK(table.index_block.type == 0);
}

#if KVBACKUP_WITH_LZ4
TEST_CASE("an LZ4 table names LZ4 even if every block is stored plain, as readers need it") {
  const std::map<std::string, std::string> model{{"k", "v"}};
  const ParsedTable table = parse_table(write_table(model, TableOptions{}, Lz4Codec{}));
  CHECK(table.properties.at("rocksdb.compression") == "LZ4");
  CHECK(table.stored[0].type == 0);
}

TEST_CASE("data and index blocks are compressed and give the pairs back") {
  std::map<std::string, std::string> model;
  for (int i = 0; i < 5000; ++i) {
    const std::string number = std::to_string(100000 + i);
    model.emplace("a long common prefix of keys/" + number, "value of " + number + number);
  }
  for (const bool exact : {false, true}) {
    TableOptions options;
    options.block_size = 4096;
    TableSummary summary;
    const ParsedTable table =
        parse_table(write_table(model, options, Lz4Codec{.exact = exact}, NoCollector{}, &summary));
    CHECK(table.pairs() == std::vector<Pair>(model.begin(), model.end()));
    CHECK(table.stored.front().type == 4);
    CHECK(table.index_block.type == 4);
    CHECK(table.index_block.stored_size < table.index_block.payload.size());
    CHECK(summary.index_size == table.index_block.payload.size() + 5);
  }
}
#endif
