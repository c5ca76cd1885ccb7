// SPDX-License-Identifier: Apache-2.0
// The command line that the benchmark programs share:
//
//   PROGRAM <A|B|C|D> <none|snappy|lz4|zstd> PATH RAW_MIB [--mode=NAME] [options]
//
//   --level=N           codec level (default: the codec's own, zstd: 3)
//   --block-size=BYTES  default 4096
//   --file-mb=N         a new file after N MiB of raw pairs: PATH.0, PATH.1 ...
//   --writers=N         N threads, each its own part of the data to files of its own
//   --threads=N         kvbackup: threads of each pipeline, which has one range
//   --parallel=N        RocksDB: threads of a writer's codec, or of its BackupEngine
//   --checksum=NAME     RocksDB: crc32c or xxh3 (default: xxh3)
//   --bloom=BITS        a bloom filter
//   --keep-cache        RocksDB: SstFileWriter leaves the page cache alone
//   --pin               threads go to the CPUs in turn
//   --pairs=N           mode `generated`: how many
//   --value-size=BYTES  mode `generated`: default 100
//   --repeat=N          one JSON line for each repetition
//   --seed=N            default 42
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "measure.hpp"

namespace bench {

struct Options {
  char set = 'A';
  std::string codec;
  std::string path;
  std::uint64_t raw_mib = 0;
  std::string mode;
  std::string checksum = "xxh3";
  std::uint64_t seed = 42;
  std::uint64_t file_mb = 0;
  std::uint64_t block_size = 4096;
  std::uint64_t pairs = 0;
  std::uint64_t value_size = 100;
  int level = 0;  ///< 0 = the codec's own
  int parallel = 1;
  int writers = 1;
  int threads = 1;
  int repeat = 1;
  int bloom = 0;
  bool keep_cache = false;
  bool pin = false;

  /// Raw bytes after which a new file begins.
  [[nodiscard]] std::uint64_t file_bytes() const {
    return file_mb != 0 ? file_mb << 20 : ~std::uint64_t{0};
  }
  [[nodiscard]] std::string file_name(std::uint64_t n) const {
    return file_mb != 0 ? path + '.' + std::to_string(n) : path;
  }
};

/// False: there is no such option.
inline bool take_option(Options& options, const std::string& name, const std::string& value) {
  const auto number = std::strtoull(value.c_str(), nullptr, 10);
  const int small = std::atoi(value.c_str());
  if (name == "--mode")
    options.mode = value;
  else if (name == "--checksum")
    options.checksum = value;
  else if (name == "--seed")
    options.seed = number;
  else if (name == "--file-mb")
    options.file_mb = number;
  else if (name == "--block-size")
    options.block_size = number;
  else if (name == "--pairs")
    options.pairs = number;
  else if (name == "--value-size")
    options.value_size = number;
  else if (name == "--level")
    options.level = small;
  else if (name == "--parallel")
    options.parallel = small;
  else if (name == "--writers")
    options.writers = small;
  else if (name == "--threads")
    options.threads = small;
  else if (name == "--repeat")
    options.repeat = small;
  else if (name == "--bloom")
    options.bloom = small;
  else if (name == "--keep-cache")
    options.keep_cache = true;
  else if (name == "--pin")
    options.pin = true;
  else
    return false;
  return true;
}

[[nodiscard]] inline Options parse_options(int argc, char** argv, const char* default_mode) {
  if (argc < 5) {
    die("usage: " + std::string(argv[0]) +
        " <A|B|C|D> <none|snappy|lz4|zstd> PATH RAW_MIB [--mode=NAME] [options]; "
        "tests/bench/options.hpp tells them");
  }
  Options options;
  options.set = argv[1][0];
  options.codec = argv[2];
  options.path = argv[3];
  options.raw_mib = std::strtoull(argv[4], nullptr, 10);
  options.mode = default_mode;
  for (int i = 5; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = std::min(argument.find('='), argument.size());
    const std::string value =
        equals < argument.size() ? argument.substr(equals + 1) : std::string();
    if (!take_option(options, argument.substr(0, equals), value)) {
      die("there is no option " + argument);
    }
  }
  return options;
}

}  // namespace bench
