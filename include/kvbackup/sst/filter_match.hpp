// SPDX-License-Identifier: Apache-2.0
// Asks the filters of RocksDB whether a key may be in a table.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/hash/legacy_bloom_hash.hpp"
#include "kvbackup/hash/xxph3.hpp"
#include "kvbackup/sst/bloom_bits.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// The bits of a legacy bloom filter. True for what is none.
[[nodiscard]] inline bool legacy_bloom_may_match(ByteView bits, std::uint32_t probes,
                                                 std::uint32_t lines, ByteView key) {
  if (lines == 0 || bits.size() % lines != 0) return true;
  // A line is one of the writing CPU's cache.
  const std::size_t line_bytes = bits.size() / lines;
  if (!std::has_single_bit(line_bytes) || line_bytes > 4096) return true;
  std::uint32_t hash = legacy_bloom_hash(key);
  const char* const line = bits.data() + std::size_t{hash % lines} * line_bytes;
  const std::uint32_t delta = std::rotr(hash, 17);
  const auto mask = static_cast<std::uint32_t>(8 * line_bytes - 1);
  for (std::uint32_t probe = 0; probe < probes; ++probe) {
    const std::uint32_t bit = hash & mask;
    if ((line[bit / 8] >> bit % 8 & 1) == 0) return false;
    hash += delta;
  }
  return true;
}

/// The same for the filter of RocksDB 6.6 and later; `form` are the four bytes behind its mark.
[[nodiscard]] inline bool fast_local_bloom_may_match(ByteView bits, const char* form,
                                                     ByteView key) {
  const auto probes_byte = static_cast<unsigned char>(form[1]);
  const std::uint32_t probes = probes_byte & 31u;
  // other forms, for which RocksDB left room, and other lengths of a line
  if (form[0] != 0 || probes_byte >> 5 != 0 || form[2] != 0 || form[3] != 0) return true;
  if (probes < 1 || probes > 30) return true;
  const std::size_t lines = bits.size() / bloom_line_bytes;
  if (lines == 0 || bits.size() % bloom_line_bytes != 0 || lines > 0xffffffff) return true;
  const std::uint64_t hash = xxph3_64(key);
  const char* const line =
      bits.data() +
      bloom_line_bytes * FastLocalBloomForm::line_of(hash, static_cast<std::uint32_t>(lines));
  FastLocalBloomForm::Bits chosen(hash);
  for (std::uint32_t probe = 0; probe < probes; ++probe) {
    const std::uint32_t bit = chosen.next();
    if ((line[bit / 8] >> bit % 8 & 1) == 0) return false;
  }
  return true;
}

/// 128 bits, of which a ribbon filter's rows are made.
struct Bits128 {
  std::uint64_t low;
  std::uint64_t high;

  [[nodiscard]] static Bits128 load(const char* p) { return {load_le64(p), load_le64(p + 8)}; }
  /// `by` is below 128.
  [[nodiscard]] Bits128 shifted_up(std::uint32_t by) const {
    if (by == 0) return *this;
    if (by >= 64) return {0, low << (by - 64)};
    return {low << by, high << by | low >> (64 - by)};
  }
  [[nodiscard]] Bits128 shifted_down(std::uint32_t by) const {
    if (by == 0) return *this;
    if (by >= 64) return {high >> (by - 64), 0};
    return {low >> by | high << (64 - by), high >> by};
  }
  [[nodiscard]] bool odd_in_common(const Bits128& other) const {
    return std::popcount((low & other.low) ^ (high & other.high)) % 2 != 0;
  }
};

/// The same for Ribbon128 (RocksDB util/ribbon_alg.h, "interleaved solution"); `form` are the four
/// bytes behind its mark: seed, number of blocks of 128 starts.
[[nodiscard]] inline bool ribbon_may_match(ByteView bits, const char* form, ByteView key) {
  constexpr std::size_t segment_bytes = 16;
  constexpr std::uint64_t coefficient_bits = 128;
  constexpr std::uint64_t most_columns = 32;
  const std::uint32_t word = load_le32(form);
  const std::uint64_t seed = word & 0xff;
  const std::uint64_t blocks = word >> 8;
  const std::uint64_t segments = bits.size() / segment_bytes;
  if (blocks < 2 || segments == 0 || bits.size() % segment_bytes != 0) return true;
  const std::uint64_t upper = std::min(most_columns, (segments + blocks - 1) / blocks);
  if (upper * blocks < segments) return true;
  const std::uint64_t lower_blocks = upper * blocks - segments;  // these have a column less
  const std::uint64_t starts = blocks * coefficient_bits - (coefficient_bits - 1);

  // RocksDB's constants of StandardRehasherAdapter and StandardHasher
  std::uint64_t raw_seed = seed * 0xc78219a23eeadd03;
  raw_seed ^= (raw_seed & 0xf0f0f0f0f0f0f0f0) >> 4;
  const std::uint64_t hash = (xxph3_64(key) ^ (raw_seed & 0xffffffff)) * 0x6193d459236a3a0d;
  // the high half of hash * starts, which is below 2^32
  const std::uint64_t start = ((hash >> 32) * starts + ((hash & 0xffffffff) * starts >> 32)) >> 32;
  const std::uint64_t a = hash * 0xc28f82822b650bed;
  const Bits128 coefficients{(a ^ 0xc367844a6e52731d) | 1, a};
  const auto expected = static_cast<std::uint32_t>(byte_swapped(a));

  const std::uint64_t block = start / coefficient_bits;
  const auto bit = static_cast<std::uint32_t>(start % coefficient_bits);
  const std::uint64_t segment = block * upper - std::min(block, lower_blocks);
  const std::uint64_t columns = block < lower_blocks ? upper - 1 : upper;
  if (segment + (bit > 0 ? 2 : 1) * columns > segments) return true;
  const char* const p = bits.data() + segment * segment_bytes;
  const Bits128 here = coefficients.shifted_up(bit);
  // with bit 0 the row ends with its block
  const auto rest = static_cast<std::uint32_t>(coefficient_bits) - bit;
  const Bits128 there = bit > 0 ? coefficients.shifted_down(rest) : Bits128{0, 0};
  for (std::uint64_t i = 0; i < columns; ++i) {
    bool odd = Bits128::load(p + i * segment_bytes).odd_in_common(here);
    if (bit > 0) odd ^= Bits128::load(p + (columns + i) * segment_bytes).odd_in_common(there);
    if (odd != (expected >> i & 1)) return false;
  }
  return true;
}

}  // namespace detail

/// False only if a key or prefix `entry` is not among those that `filter`, a whole filter or a
/// partition of one, was made of. True for filters of kinds that are not known.
[[nodiscard]] inline bool filter_may_match(ByteView filter, ByteView entry) {
  using namespace detail;
  if (filter.size() <= bloom_metadata_size) return true;
  const ByteView bits = filter.substr(0, filter.size() - bloom_metadata_size);
  const char* const form = bits.data() + bits.size();
  const auto kind = static_cast<signed char>(form[0]);
  if (kind >= 1) {
    return legacy_bloom_may_match(bits, static_cast<std::uint32_t>(kind), load_le32(form + 1),
                                  entry);
  }
  if (kind == -1) return fast_local_bloom_may_match(bits, form + 1, entry);
  if (kind == -2) return ribbon_may_match(bits, form + 1, entry);
  return true;
}

}  // namespace kvbackup::inline v1
