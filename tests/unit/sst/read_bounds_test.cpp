// SPDX-License-Identifier: Apache-2.0
// How much of a file is read for what.
#include <map>
#include <random>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/reader_support.hpp"

using namespace kvbackup;
using namespace sst_test;

namespace {

using CountedReader = TableReader<CountedFile, BuiltDecoders>;

/// 250 bytes a pair, about 64 MiB, as a backup has them; values do not compress.
const std::string& large_table(const TableOptions& options) {
  static std::map<std::uint32_t, std::string> made;
  std::string& file = made[options.block_size];
  if (!file.empty()) return file;
  std::mt19937_64 random(3);
  TableWriter<NoneCodec, Crc32cChecksum, StringOutput> writer(options, {}, StringOutput{&file});
  char key[40];
  std::string value(218, '\0');
  for (unsigned i = 0; file.size() < std::size_t{64} << 20; ++i) {
    for (std::size_t at = 0; at < value.size(); at += 8) {
      const std::uint64_t bits = random();
      std::memcpy(value.data() + at, &bits, std::min<std::size_t>(8, value.size() - at));
    }
    const int size = std::snprintf(key, sizeof key, "zkey/%010u/with/a/tail/of/it", i * 2);
    REQUIRE(writer.add(ByteView(key, static_cast<std::size_t>(size)), value).ok());
  }
  REQUIRE(writer.finish().ok());
  return file;
}

struct Cost {
  std::uint64_t reads;
  std::uint64_t bytes;
};

void check_get_cost(const TableOptions& options) {
  const std::string& file = large_table(options);
  const auto count = std::make_shared<ReadCount>();
  auto cost = [&count, before = Cost{0, 0}]() mutable {
    const Cost now{count->reads, count->bytes};
    const Cost out{now.reads - before.reads, now.bytes - before.bytes};
    before = now;
    return out;
  };
  auto opened = CountedReader::open(CountedFile(MemoryFile::borrow(file), count));
  REQUIRE(opened.ok());
  const CountedReader reader = std::move(opened).value();
  CHECK(reader.get("zkey/0000200000/with/a/tail/of/it").value().found());
  const Cost first = cost();
  CHECK(first.reads <= 4);
  CHECK(first.bytes <= 200 * 1024);
  const std::uint64_t partition = options.index_type == IndexType::two_level ? 1 : 0;
  for (const char* key :
       {"zkey/0000200010/with/a/tail/of/it", "zkey/0000100000/with/a/tail/of/it",
        "zkey/0000300000/with/a/tail/of/it", "zkey/0000000000/with/a/tail/of/it"}) {
    CHECK(reader.get(key).value().found());
    const Cost next = cost();
    CHECK(next.reads <= 1 + partition);
    CHECK(next.bytes <= options.block_size + 6 * 1024);
  }
}

}  // namespace

TEST_CASE("a lookup reads the tail, the index and one block; the next one a block") {
  check_get_cost(TableOptions::br_default_cf());
}

TEST_CASE("with a two-level index a lookup reads as little from a table of small blocks") {
  TableOptions options;
  options.block_size = 4096;
  options.index_type = IndexType::two_level;
  check_get_cost(options);
}

TEST_CASE("a filter larger than a block is read once blocks as large were read in vain") {
  const std::string& file = large_table(TableOptions::br_default_cf());
  const auto count = std::make_shared<ReadCount>();
  auto opened = CountedReader::open(CountedFile(MemoryFile::borrow(file), count));
  REQUIRE(opened.ok());
  const CountedReader reader = std::move(opened).value();
  const std::uint64_t filter_size = reader.properties().filter_size;
  REQUIRE(filter_size > 5 * 64 * 1024);
  std::uint64_t in_vain = 0;
  for (unsigned i = 0; i < 1000; ++i) {
    const std::string number = std::to_string(1000000 + 2 * i * 200 + 1);
    const std::string key = "zkey/0000" + number.substr(1) + "/with/a/tail/of/it";
    CHECK(reader.get(key).value().outcome == Lookup::Outcome::absent);
    if (reader.counters().filter_checked == 0) ++in_vain;
  }
  CHECK(in_vain >= filter_size / (66 * 1024));
  CHECK(in_vain <= filter_size / (50 * 1024));
  CHECK(reader.counters().filter_useful > 900);
  CHECK(count->bytes < 6 * filter_size);
}

TEST_CASE("an iterator reads ahead only once it goes on, and forward alone") {
  const std::string& file = large_table(TableOptions::br_default_cf());
  const auto count = std::make_shared<ReadCount>();
  auto opened = CountedReader::open(CountedFile(MemoryFile::borrow(file), count));
  REQUIRE(opened.ok());
  const std::uint64_t reads = count->reads;
  const std::uint64_t bytes = count->bytes;
  auto it = opened.value().cursor();
  it.seek("zkey/0000200000");
  REQUIRE(it.valid());
  CHECK(count->reads == reads + 1);
  CHECK(count->bytes <= bytes + 66 * 1024);
  auto all = opened.value().entries();
  for (; all.valid(); all.next()) {
  }
  CHECK(all.status().ok());
  CHECK(count->reads < reads + 300);
  CHECK(count->bytes < file.size() + file.size() / 50);
}
