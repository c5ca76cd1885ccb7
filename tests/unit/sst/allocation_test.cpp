// SPDX-License-Identifier: Apache-2.0
// Counts what the table writer allocates, through operator new of this program.
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size > 0 ? size : 1)) return p;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

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
