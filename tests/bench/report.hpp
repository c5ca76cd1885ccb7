// SPDX-License-Identifier: Apache-2.0
// What the benchmark programs print: one JSON object a run. MB = 10^6 bytes of raw key and value.
#pragma once

#include <cstdint>
#include <string_view>

#include "data_sets.hpp"
#include "measure.hpp"
#include "options.hpp"

namespace bench {

/// What a run did.
struct RunResult {
  std::uint64_t pairs = 0;
  std::uint64_t raw_bytes = 0;     ///< key and value lengths
  std::uint64_t output_bytes = 0;  ///< of the files written or read
  std::uint64_t files = 0;
  bool has_crc = false;
  std::uint64_t crc64xor = 0;

  void add(const RunResult& other) {
    pairs += other.pairs;
    raw_bytes += other.raw_bytes;
    output_bytes += other.output_bytes;
    files += other.files;
    has_crc = has_crc || other.has_crc;
    crc64xor ^= other.crc64xor;
  }
};

/// Mode `iterate`.
[[nodiscard]] inline RunResult iterate(const Arena& arena) {
  RunResult result;
  std::uint64_t touched = 0;
  for (auto at = arena.begin(); at.valid(); at.next()) {
    touched += static_cast<unsigned char>(at.key().back());
    touched += static_cast<unsigned char>(at.value().back());
    result.raw_bytes += at.key().size() + at.value().size();
    ++result.pairs;
  }
  keep(touched);
  return result;
}

/// The line of a run; `arena` is what it was given, or null.
inline void print_line(const char* tool, const Options& options, const RunResult& result,
                       const Section& section, const Arena* arena) {
  JsonLine line;
  line.text("tool", tool).text("mode", options.mode);
  line.text("dataset", std::string_view(&options.set, 1)).text("compression", options.codec);
  line.integer("block_size", options.block_size);
  line.integer("writers", static_cast<std::uint64_t>(options.writers));
  line.integer("threads", static_cast<std::uint64_t>(options.threads));
  line.integer("kvs", result.pairs).integer("raw_bytes", result.raw_bytes);
  line.integer("files", result.files).integer("output_bytes", result.output_bytes);
  line.number("seconds", section.seconds).number("cpu_seconds", section.cpu_seconds);
  line.number("others_busy_cores", section.others);
  line.number("raw_mb_s", static_cast<double>(result.raw_bytes) / section.seconds / 1e6);
  line.integer("peak_rss_kib", section.peak_rss_kib);
  line.integer("rss_before_kib", section.rss_before_kib);
  if (result.has_crc) line.digest("crc64xor", result.crc64xor);
  if (arena != nullptr) {
    line.digest("input_fingerprint", arena->fingerprint());
    line.integer("arena_bytes", arena->used_bytes());
  }
  line.print();
}

}  // namespace bench
