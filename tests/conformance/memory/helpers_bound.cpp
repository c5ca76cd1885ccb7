// SPDX-License-Identifier: Apache-2.0
// Writes tables with a helper that is held up in its first block as long as the writer can go on
// without it, which is when most batches are in flight, and holds the peak of the heap to 14 MiB
// above what one thread takes.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>

#include <kvbackup/kvbackup.hpp>

#include "counted_heap.hpp"

namespace {

using namespace kvbackup;

struct NoOutput {
  Status append(ByteView) { return {}; }
};

/// What the helper waits for in its first block.
struct Hold {
  std::thread::id owner = std::this_thread::get_id();
  std::atomic<std::uint64_t> by_owner{0};
  std::uint64_t enough = 0;
};

/// LZ4 that holds helpers up.
struct HoldingCodec {
  Hold* hold;
  struct Compressor {
    Lz4Codec::Compressor inner;
    Hold* hold;
    std::optional<std::size_t> compress(ByteView in, std::span<char> out) {
      if (std::this_thread::get_id() == hold->owner) hold->by_owner += in.size();
      while (std::this_thread::get_id() != hold->owner && hold->by_owner < hold->enough) {
        std::this_thread::yield();
      }
      return inner.compress(in, out);
    }
  };
  [[nodiscard]] BlockCompression type() const { return BlockCompression::lz4; }
  [[nodiscard]] std::string_view name() const { return "LZ4"; }
  [[nodiscard]] std::size_t bound(std::size_t n) const { return Lz4Codec{}.bound(n); }
  [[nodiscard]] Compressor compressor() const { return {Lz4Codec{}.compressor(), hold}; }
  [[nodiscard]] Lz4Codec::Decompressor decompressor() const { return {}; }
};

/// The peak above what was allocated before, of a table of values from `least` to `most` bytes.
std::size_t peak_of(std::size_t least, std::size_t most, bool compressible, HelperPool* helpers) {
  std::mt19937 random(1);
  std::string noise(most, '\0');
  for (char& c : noise) c = compressible ? 'v' : static_cast<char>(random());
  Hold hold;
  // all that may wait, less the batch that is held up, whatever its size
  if (helpers != nullptr) hold.enough = 2u << 20;
  const std::size_t before = heap::live.load();
  heap::peak = before;
  {
    TableWriter<HoldingCodec, Crc32cChecksum, NoOutput> writer(
        TableOptions::rocksdb(), HoldingCodec{&hold}, NoOutput{}, {}, helpers);
    std::uint64_t written = 0;
    for (std::uint64_t n = 1'000'000; written < (24u << 20); ++n) {
      const std::size_t size = least + random() % (most - least + 1);
      if (!writer.add(std::to_string(n), ByteView(noise).substr(0, size)).ok()) return 0;
      written += size;
    }
    if (!writer.finish().ok()) return 0;
  }
  return heap::peak.load() - before;
}

}  // namespace

int main() {
  constexpr std::size_t limit = 14u << 20;
  HelperPool pool;
  std::thread helper([&] { pool.help(); });
  while (pool.helpers() == 0) std::this_thread::yield();
  bool bounded = true;
  struct Sizes {
    std::size_t least;
    std::size_t most;
  };
  for (const Sizes& sizes : {Sizes{100, 100}, Sizes{0, 20'000}, Sizes{0, 500'000},
                             Sizes{260'000, 260'000}, Sizes{500'000, 520'000}}) {
    for (const bool compressible : {false, true}) {
      const std::size_t alone = peak_of(sizes.least, sizes.most, compressible, nullptr);
      const std::size_t helped = peak_of(sizes.least, sizes.most, compressible, &pool);
      const std::size_t more = helped - std::min(alone, helped);
      std::printf("values of %zu to %zu bytes: peak %.2f MiB, with a helper %.2f\n", sizes.least,
                  sizes.most, static_cast<double>(alone) / (1 << 20),
                  static_cast<double>(helped) / (1 << 20));
      bounded = bounded && alone > 0 && helped > 0 && more <= limit;
    }
  }
  pool.close();
  helper.join();
  if (bounded) return 0;
  std::fprintf(stderr, "what is in flight is not bounded as promised\n");
  return 1;
}
