// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"

namespace kvbackup::inline v1 {

/// The seed with which RocksDB's legacy bloom filter hashes its keys (RocksDB util/hash.h,
/// BloomHash).
inline constexpr std::uint32_t legacy_bloom_seed = 0xbc9f1d34;

/// RocksDB's 32-bit `Hash`, murmur-like. Trailing bytes are sign-extended, as RocksDB does it;
/// LevelDB's hash of the same name does not, so the two differ for a tail with bytes >= 0x80.
[[nodiscard]] inline std::uint32_t legacy_bloom_hash(
    ByteView bytes, std::uint32_t seed = legacy_bloom_seed) noexcept {
  constexpr std::uint32_t multiplier = 0xc6a4a793;
  // the length counts modulo 2^32
  std::uint32_t hash = seed ^ static_cast<std::uint32_t>(bytes.size()) * multiplier;
  const char* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 4; p += 4, left -= 4) {
    hash += load_le32(p);
    hash *= multiplier;
    hash ^= hash >> 16;
  }
  if (left == 0) return hash;
  const auto sign_extended = [p](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(static_cast<signed char>(p[i])));
  };
  if (left == 3) hash += sign_extended(2) << 16;
  if (left >= 2) hash += sign_extended(1) << 8;
  hash += sign_extended(0);
  hash *= multiplier;
  hash ^= hash >> 24;
  return hash;
}

}  // namespace kvbackup::inline v1
