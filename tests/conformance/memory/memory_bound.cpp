// SPDX-License-Identifier: Apache-2.0
// memory_bound MIB: backs up synthetic stores of MIB and of ten times MIB into noop, in parts of
// the default size, and holds the peak of the heap to what the README promises: below 64 MiB for
// one worker, and moved by less than 2 MiB by a store ten times as large.
#include <algorithm>
#include <cstdio>

#include <kvbackup/kvbackup.hpp>

#include "counted_heap.hpp"

namespace {

// The peak of a run over `mib` MiB of pairs, above what was allocated before; 0 if the run failed.
std::size_t peak_of_run(std::uint64_t mib) {
  kvbackup::GeneratorOptions generator;
  generator.key_size = 16;
  generator.value_size = 100;
  generator.count = (mib << 20) / (generator.key_size + generator.value_size);
  auto source = kvbackup::GeneratorSource::make(generator);
  if (!source.ok()) return 0;
  const std::size_t before = heap::live.load();
  heap::peak = before;
  std::size_t files = 0;
  {
    kvbackup::BackupPipeline pipeline(std::move(source).value(), kvbackup::Lz4Codec{},
                                      kvbackup::FileHasher{}, kvbackup::NoopBackend());
    const auto meta = pipeline.run();
    if (!meta.ok()) {
      std::fprintf(stderr, "%s\n", meta.status().to_string().c_str());
      return 0;
    }
    files = meta.value().files.size();
  }
  const std::size_t used = heap::peak.load() - before;
  std::printf("%llu MiB in %zu files: peak %.2f MiB\n", static_cast<unsigned long long>(mib), files,
              static_cast<double>(used) / (1 << 20));
  return used;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t mib = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 300;
  const std::size_t small = peak_of_run(mib);
  const std::size_t large = peak_of_run(mib * 10);
  constexpr std::size_t limit = 64u << 20;
  constexpr std::size_t drift = 2u << 20;
  if (small == 0 || large == 0) return 1;
  const std::size_t moved = std::max(small, large) - std::min(small, large);
  if (large < limit && moved < drift) return 0;
  std::fprintf(stderr, "the peak is not bounded as promised\n");
  return 1;
}
