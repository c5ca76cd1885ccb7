// SPDX-License-Identifier: Apache-2.0
// Builds the bloom filter of a table.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/legacy_bloom_hash.hpp"
#include "kvbackup/sst/detail/chunked_array.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/options.hpp"

namespace kvbackup::inline v1::detail {

/// The bits of RocksDB's legacy bloom filter ("full filter", the only kind before RocksDB 6.6): all
/// probes of a key fall into one line of 64 bytes. Keeps 4 bytes a key until finish().
class LegacyBloomBits {
 public:
  explicit LegacyBloomBits(std::uint32_t bits_per_key) : bits_per_key_(bits_per_key) {}

  [[nodiscard]] bool empty() const { return hashes_.size() == 0; }
  void add(ByteView key) {
    const std::uint32_t hash = legacy_bloom_hash(key);
    if (hashes_.size() == 0 || hashes_.back() != hash) hashes_.push_back(hash);
  }

  /// The filter block's payload, in `out`, which is empty; the builder is empty after it.
  void finish(GrowingBuffer& out) {
    const std::uint32_t lines = line_count();
    const std::size_t size = std::size_t{lines} * line_bytes;
    char* bits = out.room(size + metadata_size);
    std::memset(bits, 0, size);
    const std::uint32_t probes = probe_count();
    hashes_.for_each_chunk([&](const std::uint32_t* hashes, std::size_t n) {
      set_bits(bits, lines, probes, hashes, n);
    });
    bits[size] = static_cast<char>(probes);
    store_le32(bits + size + 1, lines);
    out.set_end(bits + size + metadata_size);
    hashes_.clear();
  }

 private:
  static constexpr std::size_t line_bytes = 64;
  static constexpr std::size_t metadata_size = 5;

  [[nodiscard]] std::uint32_t probe_count() const {
    // 0.69 = ln 2, as RocksDB rounds it: the number of probes with the fewest false positives.
    return std::clamp(static_cast<std::uint32_t>(bits_per_key_ * 0.69), 1u, 30u);
  }
  [[nodiscard]] std::uint32_t line_count() const {
    // An odd number of lines lets more bits of the hash take part in choosing one. Readers count
    // the bits in 32 bits; a filter that would need more only answers "may be there" more often.
    constexpr std::uint64_t most_bits = 0xffff0000;
    constexpr std::uint64_t line_bits = 8 * line_bytes;
    const std::uint64_t bits = std::min(hashes_.size() * bits_per_key_, most_bits);
    return static_cast<std::uint32_t>((bits + line_bits - 1) / line_bits | 1);
  }

  static void set_bits(char* bits, std::uint32_t lines, std::uint32_t probes,
                       const std::uint32_t* hashes, std::size_t n) {
    // The lines of a group are asked for before the first is used, so that their cache misses
    // overlap.
    constexpr std::size_t group_size = 16;
    char* line[group_size];
    for (std::size_t done = 0; done < n; done += group_size) {
      const std::size_t group = std::min(group_size, n - done);
      for (std::size_t i = 0; i < group; ++i) {
        line[i] = bits + std::size_t{hashes[done + i] % lines} * line_bytes;
        KVBACKUP_DETAIL_PREFETCH_TO_WRITE(line[i]);
      }
      for (std::size_t i = 0; i < group; ++i) {
        std::uint32_t h = hashes[done + i];
        const std::uint32_t delta = std::rotr(h, 17);
        for (std::uint32_t probe = 0; probe < probes; ++probe) {
          const std::uint32_t bit = h % (8 * line_bytes);
          line[i][bit / 8] = static_cast<char>(line[i][bit / 8] | 1 << bit % 8);
          h += delta;
        }
      }
    }
  }

  ChunkedArray<std::uint32_t> hashes_;
  std::uint32_t bits_per_key_;
};

/// Chooses what the filter remembers of each key: all of it, its prefix, or both.
class FilterBuilder {
 public:
  explicit FilterBuilder(const TableOptions& options)
      : bits_(options.filter_bits_per_key),
        extractor_(options.prefix_extractor),
        whole_keys_(options.whole_key_filtering),
        enabled_(options.filter_bits_per_key > 0) {}

  [[nodiscard]] bool enabled() const { return enabled_; }
  [[nodiscard]] bool empty() const { return bits_.empty(); }

  /// The next key of the table.
  void add(ByteView user_key) {
    if (whole_keys_) bits_.add(user_key);
    if (extractor_.in_domain(user_key)) add_prefix(extractor_.transform(user_key));
  }
  void finish(GrowingBuffer& out) { bits_.finish(out); }

 private:
  void add_prefix(ByteView prefix) {
    if (whole_keys_) {
      // Prefixes alternate with keys, so equal ones are not neighbours among the hashes.
      if (has_last_prefix_ && last_prefix_ == prefix) return;
      last_prefix_ = prefix;
      has_last_prefix_ = true;
    }
    bits_.add(prefix);
  }

  LegacyBloomBits bits_;
  PrefixExtractor extractor_;
  std::string last_prefix_;
  bool has_last_prefix_ = false;
  bool whole_keys_;
  bool enabled_;
};

}  // namespace kvbackup::inline v1::detail
