// SPDX-License-Identifier: Apache-2.0
// The bits of RocksDB's two bloom filters. In both, all probes of a key fall into one line of 64
// bytes; they differ in the hash, in the number of lines and in what stands behind the bits.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/legacy_bloom_hash.hpp"
#include "kvbackup/hash/xxph3.hpp"
#include "kvbackup/sst/detail/chunked_array.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/footer.hpp"

namespace kvbackup::inline v1::detail {

inline constexpr std::size_t bloom_line_bytes = 64;

/// Sets bit `bit` (0..511) of a line, counted from the low bit of its first byte.
inline void set_bloom_bit(char* line, std::uint32_t bit) noexcept {
  char* const word = line + bit / 64 * 8;
  store_le64(word, load_le64(word) | std::uint64_t{1} << bit % 64);
}

inline constexpr std::size_t bloom_metadata_size = 5;

/// The filter of all RocksDB versions ("full filter", the only kind before RocksDB 6.6).
class LegacyBloomForm {
 public:
  using Hash = std::uint32_t;

  explicit LegacyBloomForm(std::uint32_t bits_per_key) : bits_per_key_(bits_per_key) {}

  [[nodiscard]] static Hash hash(ByteView key) { return legacy_bloom_hash(key); }
  [[nodiscard]] std::uint32_t probes() const {
    // 0.69 = ln 2, as RocksDB rounds it: the number of probes with the fewest false positives.
    return std::clamp(static_cast<std::uint32_t>(bits_per_key_ * 0.69), 1u, 30u);
  }
  [[nodiscard]] std::uint32_t lines(std::uint64_t keys) const {
    if (keys == 0) return 0;
    // An odd number of lines lets more bits of the hash take part in choosing one. Readers count
    // the bits in 32 bits; a filter that would need more only answers "may be there" more often.
    constexpr std::uint64_t line_bits = 8 * bloom_line_bytes;
    const std::uint64_t bits = std::min(keys * bits_per_key_, most_bits);
    return static_cast<std::uint32_t>((bits + line_bits - 1) / line_bits | 1);
  }
  /// The most keys whose filter takes no more than `size` bytes.
  [[nodiscard]] std::uint64_t keys_that_fit(std::uint64_t size) const {
    std::uint64_t keys = std::min(8 * size, most_bits) / bits_per_key_ + 1;
    while (keys > 0 && lines(keys) * bloom_line_bytes + bloom_metadata_size > size) --keys;
    return keys;
  }
  void store_metadata(char* p, std::uint32_t lines) const {
    *p = static_cast<char>(probes());
    store_le32(p + 1, lines);
  }

  [[nodiscard]] static std::uint32_t line_of(Hash hash, std::uint32_t lines) {
    return hash % lines;
  }
  /// The bits of its line that a hash chooses, one after another.
  class Bits {
   public:
    explicit Bits(Hash hash) : hash_(hash), delta_(std::rotr(hash, 17)) {}
    [[nodiscard]] std::uint32_t next() {
      const std::uint32_t bit = hash_ % (8 * bloom_line_bytes);
      hash_ += delta_;
      return bit;
    }

   private:
    Hash hash_;
    std::uint32_t delta_;
  };

 private:
  static constexpr std::uint64_t most_bits = 0xffff0000;
  std::uint32_t bits_per_key_;
};

/// The filter of RocksDB 6.6 and later ("FastLocalBloom").
class FastLocalBloomForm {
 public:
  using Hash = std::uint64_t;

  explicit FastLocalBloomForm(std::uint32_t bits_per_key)
      : millibits_per_key_(1000 * bits_per_key) {}

  [[nodiscard]] static Hash hash(ByteView key) { return xxph3_64(key); }
  [[nodiscard]] std::uint32_t probes() const {
    // RocksDB's choice (FastLocalBloomImpl::ChooseNumProbes): the most thousandths of bits a key
    // for which 1, 2, ... probes do best in lines of 64 bytes.
    constexpr std::uint32_t most_millibits[] = {2080,  3580,  5100,  6640,  8300,  10070,
                                                11720, 14001, 16050, 18300, 22001, 25501};
    if (millibits_per_key_ > 50000) return 24;
    if (millibits_per_key_ > 25501) return (millibits_per_key_ - 1) / 2000 - 1;
    const auto* found =
        std::lower_bound(std::begin(most_millibits), std::end(most_millibits), millibits_per_key_);
    return static_cast<std::uint32_t>(found - most_millibits) + 1;
  }
  [[nodiscard]] std::uint32_t lines(std::uint64_t keys) const {
    const std::uint64_t bytes = std::min((keys * millibits_per_key_ + 7999) / 8000, most_bytes);
    return static_cast<std::uint32_t>((bytes + bloom_line_bytes - 1) / bloom_line_bytes);
  }
  [[nodiscard]] std::uint64_t keys_that_fit(std::uint64_t size) const {
    if (size < bloom_metadata_size) return 0;
    const std::uint64_t lines = (size - bloom_metadata_size) / bloom_line_bytes;
    return 8000 * std::min(lines * bloom_line_bytes, most_bytes) / millibits_per_key_;
  }
  void store_metadata(char* p, std::uint32_t /*lines*/) const {
    const auto probes_byte = static_cast<char>(probes());
    // -1 says that it is no legacy filter, 0 which of the new ones, then the probes in lines of 64
    const char bytes[bloom_metadata_size] = {'\xff', 0, probes_byte, 0, 0};
    std::memcpy(p, bytes, sizeof bytes);
  }

  [[nodiscard]] static std::uint32_t line_of(Hash hash, std::uint32_t lines) {
    return static_cast<std::uint32_t>((hash & 0xffffffff) * lines >> 32);
  }
  /// The bits of its line that a hash chooses, one after another.
  class Bits {
   public:
    explicit Bits(Hash hash) : h_(static_cast<std::uint32_t>(hash >> 32)) {}
    [[nodiscard]] std::uint32_t next() {
      const std::uint32_t bit = h_ >> 23;
      h_ *= 0x9e3779b9;  // 2^32 over the golden ratio, odd: runs through all values
      return bit;
    }

   private:
    std::uint32_t h_;
  };

 private:
  static constexpr std::uint64_t most_bytes = 0xffffffc0;
  std::uint32_t millibits_per_key_;
};

/// Collects the hashes of keys, each once where equal ones follow one another, and makes a filter
/// of them.
template <class Form>
class BloomBits {
 public:
  explicit BloomBits(std::uint32_t bits_per_key) : form_(bits_per_key) {}

  [[nodiscard]] bool empty() const { return hashes_.empty(); }
  /// Keys that count.
  [[nodiscard]] std::uint64_t size() const { return hashes_.size(); }
  [[nodiscard]] const Form& form() const { return form_; }
  void add(ByteView key) {
    const auto hash = Form::hash(key);
    if (hashes_.empty() || hashes_.back() != hash) hashes_.push_back(hash);
  }

  /// The filter block's payload, in `out`, which is empty; the builder is empty after it. Without
  /// keys there are no lines, in which readers find nothing.
  void finish(GrowingBuffer& out) {
    const std::uint32_t lines = form_.lines(hashes_.size());
    const std::size_t size = std::size_t{lines} * bloom_line_bytes;
    char* bits = out.room(size + bloom_metadata_size + block_trailer_size);
    std::memset(bits, 0, size);
    const std::uint32_t probes = form_.probes();
    hashes_.for_each_chunk([&](const typename Form::Hash* hashes, std::size_t n) {
      if (probes == usual_probes) {
        set_bits(bits, lines, hashes, n, [](char* line, Bits at) { set_usual_probes(line, at); });
      } else {
        set_bits(bits, lines, hashes, n, [probes](char* line, Bits at) {
          for (std::uint32_t probe = 0; probe < probes; ++probe) set_bloom_bit(line, at.next());
        });
      }
    });
    form_.store_metadata(bits + size, lines);
    out.set_end(bits + size + bloom_metadata_size);
    hashes_.clear();
  }

 private:
  using Bits = typename Form::Bits;

  /// Of 10 bits a key, in both forms: without a loop they take a third less.
  static constexpr std::uint32_t usual_probes = 6;
  static void set_usual_probes(char* line, Bits at) {
    set_bloom_bit(line, at.next());
    set_bloom_bit(line, at.next());
    set_bloom_bit(line, at.next());
    set_bloom_bit(line, at.next());
    set_bloom_bit(line, at.next());
    set_bloom_bit(line, at.next());
  }

  /// `set_probes(line, Bits)` sets the bits of one hash.
  template <class SetProbes>
  static void set_bits(char* bits, std::uint32_t lines, const typename Form::Hash* hashes,
                       std::size_t n, SetProbes&& set_probes) {
    // The lines of a group are asked for before the first is used, so that their cache misses
    // overlap.
    constexpr std::size_t group_size = 16;
    char* line[group_size];
    for (std::size_t done = 0; done < n; done += group_size) {
      const std::size_t group = std::min(group_size, n - done);
      for (std::size_t i = 0; i < group; ++i) {
        line[i] = bits + std::size_t{Form::line_of(hashes[done + i], lines)} * bloom_line_bytes;
        KVBACKUP_DETAIL_PREFETCH_TO_WRITE(line[i]);
      }
      for (std::size_t i = 0; i < group; ++i) set_probes(line[i], Bits(hashes[done + i]));
    }
  }

  ChunkedArray<typename Form::Hash> hashes_;
  Form form_;
};

using LegacyBloomBits = BloomBits<LegacyBloomForm>;
using FastLocalBloomBits = BloomBits<FastLocalBloomForm>;

}  // namespace kvbackup::inline v1::detail
