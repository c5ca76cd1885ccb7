// SPDX-License-Identifier: Apache-2.0
// Counts what the table writer allocates, through operator new of this program.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

namespace {

std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> live{0};
std::atomic<std::size_t> peak{0};

// Room for the size in front of each allocation.
constexpr std::size_t head = alignof(std::max_align_t);

void* counted_or_null(std::size_t size) noexcept {
  ++allocations;
  auto* raw = static_cast<char*>(std::malloc(size + head));
  if (raw == nullptr) return nullptr;
  *reinterpret_cast<std::size_t*>(raw) = size;
  const std::size_t now = live += size;
  if (now > peak) peak = now;
  return raw + head;
}
void* counted(std::size_t size) {
  if (void* p = counted_or_null(size)) return p;
  throw std::bad_alloc();
}
void give_back(void* p) noexcept {
  if (p == nullptr) return;
  char* raw = static_cast<char*>(p) - head;
  live -= *reinterpret_cast<std::size_t*>(raw);
  std::free(raw);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted_or_null(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted_or_null(size);
}
void operator delete(void* p) noexcept { give_back(p); }
void operator delete[](void* p) noexcept { give_back(p); }
void operator delete(void* p, std::size_t) noexcept { give_back(p); }
void operator delete[](void* p, std::size_t) noexcept { give_back(p); }

using namespace kvbackup;

namespace {

struct CountingOutput {
  Status append(ByteView bytes) {
    size += bytes.size();
    return {};
  }
  std::size_t size = 0;
};

void add_numbered(auto& writer, std::uint64_t first, std::uint64_t end) {
  char key[8];
  const char value[100] = {};
  std::size_t failures = 0;
  for (std::uint64_t i = first; i < end; ++i) {
    for (unsigned byte = 0; byte < 8; ++byte) key[byte] = static_cast<char>(i >> 8 * (7 - byte));
    failures += !writer.add(ByteView(key, 8), ByteView(value, sizeof value)).ok();
  }
  REQUIRE(failures == 0);
}

/// Sizes of pairs whose keys are numbered.
struct Sizes {
  std::size_t pairs;
  std::size_t key;    ///< at least 8
  std::size_t value;  ///< lengths are random up to this
};

/// The most that a writer held while it wrote such pairs.
template <class Codec>
std::size_t peak_of(const TableOptions& options, const Codec& codec, const Sizes& sizes,
                    TableContent& content) {
  content = {};
  const std::string fill(std::max(sizes.key, sizes.value), 'f');
  std::mt19937 random(1);
  std::string key = fill.substr(0, sizes.key);
  const std::size_t before = live;
  peak = before;
  {
    TableWriter<Codec, Crc32cChecksum, CountingOutput> writer(options, codec, CountingOutput{});
    std::size_t failures = 0;
    for (std::uint64_t i = 0; i < sizes.pairs; ++i) {
      for (unsigned b = 0; b < 8; ++b) key[b] = static_cast<char>(i >> 8 * (7 - b));
      const std::size_t value = sizes.value == 0 ? 0 : random() % (sizes.value + 1);
      failures += !writer.add(key, ByteView(fill).substr(0, value)).ok();
      content.pairs += 1;
      content.bytes += key.size() + value;
      content.largest_key = std::max<std::uint64_t>(content.largest_key, key.size());
      content.largest_value = std::max<std::uint64_t>(content.largest_value, value);
    }
    failures += !writer.finish().ok();
    REQUIRE(failures == 0);
  }
  REQUIRE(live == before);
  return peak - before;
}

std::vector<TableOptions> many_options() {
  std::vector<TableOptions> out;
  for (const std::uint32_t block_size : {1u, 512u, 4096u, 65536u}) {
    for (const unsigned form : {0u, 1u, 2u, 3u, 4u, 5u, 6u}) {
      TableOptions options = form % 2 == 0 ? TableOptions() : TableOptions::rocksdb();
      options.block_size = block_size;
      if (form == 2) options.prefix_extractor = PrefixExtractor::fixed_prefix(4);
      if (form == 3) options.filter = FilterKind::none;
      if (form == 4) options.block_align = true;
      if (form >= 5) {
        options.index_type = IndexType::two_level;
        options.metadata_block_size = 600;
        options.partition_filters = true;
        options.index_block_restart_interval = 4;
      }
      out.push_back(options);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("adding pairs allocates only for what grows: the index and, by pieces, the filter") {
  TableOptions options;
  options.block_size = 4096;
  TableWriter<NoneCodec, Crc32cChecksum, CountingOutput, TikvCollector> writer(
      options, NoneCodec{}, CountingOutput{}, TikvCollector::default_cf());
  add_numbered(writer, 0, 1000);
  const std::size_t before = allocations;
  add_numbered(writer, 1000, 401000);
  // 400000 hashes are 25 pieces of 64 KiB; index, restarts, list of pieces and range index double.
  CHECK(allocations - before < 80);
  CHECK(writer.output().size > 40000000);
  CHECK(writer.finish().ok());
}

TEST_CASE("no writer holds more than memory_bound() says") {
  for (const TableOptions& options : many_options()) {
    for (const Sizes& sizes : {Sizes{1, 8, 0}, Sizes{3000, 8, 0}, Sizes{3000, 30, 200},
                               Sizes{200, 2000, 50}, Sizes{100, 16, 100000}}) {
      CAPTURE(options.block_size, options.format_version, options.block_align,
              options.partition_filters, sizes.pairs, sizes.key, sizes.value);
      TableContent content;
      const std::size_t held = peak_of(options, NoneCodec{}, sizes, content);
      CHECK(held <= TableWriter<NoneCodec, Crc32cChecksum, CountingOutput>::memory_bound(
                        options, NoneCodec{}, content));
#if KVBACKUP_WITH_LZ4
      if (options.block_align) continue;
      const std::size_t with_lz4 = peak_of(options, Lz4Codec{}, sizes, content);
      CHECK(with_lz4 <= TableWriter<Lz4Codec, Crc32cChecksum, CountingOutput>::memory_bound(
                            options, Lz4Codec{}, content));
#endif
    }
  }
}

TEST_CASE("memory_bound() is of the size of what a large table takes") {
  for (const TableOptions& options : {TableOptions(), TableOptions::rocksdb()}) {
    TableContent content;
    const std::size_t held = peak_of(options, NoneCodec{}, {300000, 24, 100}, content);
    const std::uint64_t bound =
        TableWriter<NoneCodec, Crc32cChecksum, CountingOutput>::memory_bound(options, NoneCodec{},
                                                                             content);
    CHECK(held <= bound);
    CHECK(bound <= 4 * held);
  }
}

TEST_CASE("memory_bound() of more than there can be is the highest number, not a small one") {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  const auto bound = TableWriter<NoneCodec, Crc32cChecksum, CountingOutput>::memory_bound(
      TableOptions::rocksdb(), NoneCodec{}, {most, most, most, most});
  CHECK(bound == most);
}
