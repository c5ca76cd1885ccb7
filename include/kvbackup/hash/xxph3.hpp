// SPDX-License-Identifier: Apache-2.0
// XXPH3: the preview of XXH3 that RocksDB froze into its filters (RocksDB util/xxph3.h). It equals
// the final XXH3 at no length, so libxxhash cannot stand in for it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

namespace detail::xxph3 {

// The primes of xxHash, 64 and 32 bits wide.
inline constexpr std::uint64_t prime64_1 = 0x9e3779b185ebca87;
inline constexpr std::uint64_t prime64_2 = 0xc2b2ae3d27d4eb4f;
inline constexpr std::uint64_t prime64_3 = 0x165667b19e3779f9;
inline constexpr std::uint64_t prime64_4 = 0x85ebca77c2b2ae63;
inline constexpr std::uint64_t prime64_5 = 0x27d4eb2f165667c5;
inline constexpr std::uint64_t prime32_1 = 0x9e3779b1;
inline constexpr std::uint64_t prime32_2 = 0x85ebca77;
inline constexpr std::uint64_t prime32_3 = 0xc2b2ae3d;

/// XXH3's default secret, 192 bytes; every 8 that are used are loaded little-endian.
inline constexpr unsigned char secret_bytes[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e};

[[nodiscard]] inline std::uint64_t secret(std::size_t at) noexcept {
  return load_le64(reinterpret_cast<const char*>(secret_bytes) + at);
}

/// Both halves of a * b, XORed.
[[nodiscard]] inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
#if KVBACKUP_DETAIL_INT128
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#else
  constexpr std::uint64_t low_half = 0xffffffff;
  const std::uint64_t low = (a & low_half) * (b & low_half);
  const std::uint64_t mid_a = (a >> 32) * (b & low_half) + (low >> 32);
  const std::uint64_t mid_b = (a & low_half) * (b >> 32) + (mid_a & low_half);
  const std::uint64_t high = (a >> 32) * (b >> 32) + (mid_a >> 32) + (mid_b >> 32);
  return (mid_b << 32 | (low & low_half)) ^ high;
#endif
}

[[nodiscard]] inline std::uint64_t avalanche(std::uint64_t h) noexcept {
  h ^= h >> 37;
  h *= prime64_3;
  return h ^ h >> 32;
}

/// 16 bytes of input against 16 of the secret.
[[nodiscard]] inline std::uint64_t mix(const char* p, std::size_t secret_at) noexcept {
  return fold(load_le64(p) ^ secret(secret_at), load_le64(p + 8) ^ secret(secret_at + 8));
}

[[nodiscard]] inline std::uint64_t upto_16(const char* p, std::size_t n) noexcept {
  if (n > 8) {
    const std::uint64_t u = load_le64(p) ^ secret(0);
    const std::uint64_t v = load_le64(p + n - 8) ^ secret(8);
    return avalanche(n + u + v + fold(u, v));
  }
  if (n >= 4) {
    const std::uint64_t ends = load_le32(p) | static_cast<std::uint64_t>(load_le32(p + n - 4))
                                                  << 32;
    const std::uint64_t keyed = ends ^ secret(0);
    const std::uint64_t m = n + (keyed ^ keyed >> 51) * prime32_1;
    return avalanche((m ^ m >> 47) * prime64_2);
  }
  if (n == 0) return fold(secret(0), prime64_2);
  const auto byte = [p](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(p[i]));
  };
  const std::uint32_t all =
      byte(0) | byte(n >> 1) << 8 | byte(n - 1) << 16 | static_cast<std::uint32_t>(n) << 24;
  return avalanche((all ^ (secret(0) & 0xffffffff)) * prime64_1);
}

[[nodiscard]] inline std::uint64_t upto_128(const char* p, std::size_t n) noexcept {
  std::uint64_t sum = n * prime64_1;
  if (n > 32) {
    if (n > 64) {
      if (n > 96) sum += mix(p + 48, 96) + mix(p + n - 64, 112);
      sum += mix(p + 32, 64) + mix(p + n - 48, 80);
    }
    sum += mix(p + 16, 32) + mix(p + n - 32, 48);
  }
  sum += mix(p, 0) + mix(p + n - 16, 16);
  return avalanche(sum);
}

[[nodiscard]] inline std::uint64_t upto_240(const char* p, std::size_t n) noexcept {
  std::uint64_t sum = n * prime64_1;
  for (std::size_t i = 0; i < 8; ++i) sum += mix(p + 16 * i, 16 * i);
  sum = avalanche(sum);
  for (std::size_t i = 8; i < n / 16; ++i) sum += mix(p + 16 * i, 16 * (i - 8) + 3);
  return avalanche(sum + mix(p + n - 16, 119));
}

/// The eight running sums of an input over 240 bytes.
class Lanes {
 public:
  void add_stripe(const char* p, std::size_t secret_at) noexcept {
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint64_t data = load_le64(p + 8 * i);
      const std::uint64_t keyed = data ^ secret(secret_at + 8 * i);
      sums_[i] += data + (keyed & 0xffffffff) * (keyed >> 32);
    }
  }
  void scramble() noexcept {
    for (std::size_t i = 0; i < 8; ++i) {
      sums_[i] = (sums_[i] ^ sums_[i] >> 47 ^ secret(128 + 8 * i)) * prime32_1;
    }
  }
  [[nodiscard]] std::uint64_t merged(std::size_t n) const noexcept {
    std::uint64_t sum = n * prime64_1;
    for (std::size_t i = 0; i < 4; ++i) {
      sum += fold(sums_[2 * i] ^ secret(11 + 16 * i), sums_[2 * i + 1] ^ secret(19 + 16 * i));
    }
    return avalanche(sum);
  }

 private:
  std::array<std::uint64_t, 8> sums_ = {prime32_3, prime64_1, prime64_2, prime64_3,
                                        prime64_4, prime32_2, prime64_5, prime32_1};
};

[[nodiscard]] inline std::uint64_t over_240(const char* p, std::size_t n) noexcept {
  constexpr std::size_t stripe = 64;
  constexpr std::size_t stripes_a_block = 16;
  Lanes lanes;
  std::size_t at = 0;
  for (; n - at >= stripe * stripes_a_block; at += stripe * stripes_a_block) {
    for (std::size_t i = 0; i < stripes_a_block; ++i) lanes.add_stripe(p + at + stripe * i, 8 * i);
    lanes.scramble();
  }
  for (std::size_t i = 0; n - at >= stripe; ++i, at += stripe) lanes.add_stripe(p + at, 8 * i);
  if (at != n) lanes.add_stripe(p + n - stripe, 121);
  return lanes.merged(n);
}

}  // namespace detail::xxph3

/// The 64-bit XXPH3 of `bytes`, seed 0: what RocksDB's filters since 6.6 hash keys with. The same
/// on any machine.
[[nodiscard]] inline std::uint64_t xxph3_64(ByteView bytes) noexcept {
  const char* const p = bytes.data();
  const std::size_t n = bytes.size();
  if (n <= 16) return detail::xxph3::upto_16(p, n);
  if (n <= 128) return detail::xxph3::upto_128(p, n);
  if (n <= 240) return detail::xxph3::upto_240(p, n);
  return detail::xxph3::over_240(p, n);
}

}  // namespace kvbackup::inline v1
