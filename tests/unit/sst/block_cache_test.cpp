// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/reader_support.hpp"

using namespace kvbackup;
using namespace sst_test;

namespace {
CachedBlockPtr block_of(std::size_t size, char fill = 'b') {
  return std::make_shared<const CachedBlock>(std::string(size, fill));
}
}  // namespace

TEST_CASE("a cache keeps what was used last, up to its size") {
  const LruBlockCache cache(3500);
  const std::uint64_t file = cache.new_file();
  for (const std::uint64_t offset : {0u, 1u, 2u}) cache.insert(file, offset, block_of(1000));
  CHECK(cache.find(file, 0) != nullptr);
  cache.insert(file, 3, block_of(1000));
  CHECK(cache.find(file, 0) != nullptr);
  CHECK(cache.find(file, 1) == nullptr);
  CHECK(cache.find(file, 2) != nullptr);
  CHECK(cache.find(file, 3) != nullptr);
  CHECK(cache.used_bytes() <= 3500);
  cache.insert(file, 4, block_of(10'000));
  CHECK(cache.find(file, 4) == nullptr);
  CHECK(cache.find(file, 3) != nullptr);
}

TEST_CASE("a block that is in use lives on when the cache lets it go") {
  const LruBlockCache cache(1300);
  const std::uint64_t file = cache.new_file();
  cache.insert(file, 0, block_of(1000, 'x'));
  const CachedBlockPtr held = cache.find(file, 0);
  cache.insert(file, 1, block_of(1000));
  CHECK(cache.find(file, 0) == nullptr);
  CHECK(held->view() == std::string(1000, 'x'));
}

TEST_CASE("readers that share a cache have blocks of their own") {
  const LruBlockCache cache(1 << 20);
  const LruBlockCache copy = cache;
  const std::uint64_t a = cache.new_file();
  const std::uint64_t b = copy.new_file();
  CHECK(a != b);
  cache.insert(a, 0, block_of(10, 'a'));
  copy.insert(b, 0, block_of(10, 'b'));
  CHECK(copy.find(a, 0)->view() == "aaaaaaaaaa");
  CHECK(cache.find(b, 0)->view() == "bbbbbbbbbb");
}

TEST_CASE("a second lookup in a block reads nothing with a cache") {
  const auto pairs = counted_pairs(20'000);
  TableOptions options = TableOptions::rocksdb();
  options.index_type = IndexType::two_level;
  const std::string file = write_table(pairs, options);
  const auto count = std::make_shared<ReadCount>();
  using Reader = TableReader<CountedFile, BuiltDecoders, LruBlockCache>;
  auto opened = Reader::open(CountedFile(MemoryFile::borrow(file), count), {}, {.tail_bytes = 4096},
                             LruBlockCache(1 << 20));
  REQUIRE(opened.ok());
  CHECK(opened.value().get("key00000100").value().found());
  const std::uint64_t reads = count->reads;
  CHECK(opened.value().get("key00000100").value().found());
  CHECK(opened.value().get("key00000102").value().found());
  CHECK(count->reads == reads);
}
