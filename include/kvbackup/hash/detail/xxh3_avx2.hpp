// SPDX-License-Identifier: Apache-2.0
// XXH3 of long inputs by AVX2. A libxxhash that is built for every x86-64 machine has SSE2 only,
// which takes longer for a plain block than all else that is done to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kvbackup/config.hpp"
#include "kvbackup/hash/xxph3.hpp"

#if KVBACKUP_DETAIL_X86_64

namespace kvbackup::inline v1::detail {

/// Whether this machine can run xxh3_64_avx2. Reads as false, which only costs speed, in static
/// initialisers that run before this one.
inline const bool cpu_has_avx2 = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}();

/// Four of the eight running sums, or what is added to them. With the instructions by the names
/// that g++ and clang share: the header of their intrinsics brings those of AVX-512 with it.
using Xxh3Words [[gnu::vector_size(32)]] = unsigned long long;
using Xxh3Halves [[gnu::vector_size(32)]] = int;

/// The eight running sums of an input over 240 bytes.
class Xxh3Lanes {
 public:
  KVBACKUP_DETAIL_TARGET("avx2")
  KVBACKUP_DETAIL_ALWAYS_INLINE void add_stripe(const char* p, const unsigned char* key) noexcept {
    low_ += taken(load(p), load(key));
    high_ += taken(load(p + 32), load(key + 32));
  }
  KVBACKUP_DETAIL_TARGET("avx2")
  KVBACKUP_DETAIL_ALWAYS_INLINE void scramble() noexcept {
    low_ = scrambled(low_, load(xxph3::secret_bytes + 128));
    high_ = scrambled(high_, load(xxph3::secret_bytes + 160));
  }
  KVBACKUP_DETAIL_TARGET("avx2")
  KVBACKUP_DETAIL_ALWAYS_INLINE void store(std::uint64_t* sums) const noexcept {
    std::memcpy(sums, &low_, sizeof low_);
    std::memcpy(sums + 4, &high_, sizeof high_);
  }

 private:
  KVBACKUP_DETAIL_TARGET("avx2")
  KVBACKUP_DETAIL_ALWAYS_INLINE static Xxh3Words load(const void* p) noexcept {
    Xxh3Words words;
    std::memcpy(&words, p, sizeof words);
    return words;
  }
  /// Products of the low halves of each two words.
  KVBACKUP_DETAIL_TARGET("avx2")
  KVBACKUP_DETAIL_ALWAYS_INLINE static Xxh3Words multiply(Xxh3Words a, Xxh3Words b) noexcept {
    return reinterpret_cast<Xxh3Words>(__builtin_ia32_pmuludq256(reinterpret_cast<Xxh3Halves>(a),
                                                                 reinterpret_cast<Xxh3Halves>(b)));
  }
  KVBACKUP_DETAIL_TARGET("avx2")
  KVBACKUP_DETAIL_ALWAYS_INLINE static Xxh3Words taken(Xxh3Words data, Xxh3Words key) noexcept {
    constexpr int neighbours = 0x4e;  // each two words change places
    const Xxh3Words keyed = data ^ key;
    const auto crossed = reinterpret_cast<Xxh3Words>(
        __builtin_ia32_pshufd256(reinterpret_cast<Xxh3Halves>(data), neighbours));
    return multiply(keyed, keyed >> 32) + crossed;
  }
  KVBACKUP_DETAIL_TARGET("avx2")
  KVBACKUP_DETAIL_ALWAYS_INLINE static Xxh3Words scrambled(Xxh3Words sums, Xxh3Words key) noexcept {
    const Xxh3Words prime = Xxh3Words{} + xxph3::prime32_1;
    sums ^= sums >> 47 ^ key;
    return multiply(sums, prime) + (multiply(sums >> 32, prime) << 32);
  }
  Xxh3Words low_ = {xxph3::prime32_3, xxph3::prime64_1, xxph3::prime64_2, xxph3::prime64_3};
  Xxh3Words high_ = {xxph3::prime64_4, xxph3::prime32_2, xxph3::prime64_5, xxph3::prime32_1};
};

/// The 64-bit XXH3, seed 0, of `n` > 240 bytes at `p`.
KVBACKUP_DETAIL_TARGET("avx2")
inline std::uint64_t xxh3_64_avx2(const char* p, std::size_t n) noexcept {
  constexpr std::size_t stripe = 64;
  constexpr std::size_t block = 16 * stripe;
  const unsigned char* const key = xxph3::secret_bytes;
  Xxh3Lanes lanes;
  std::size_t at = 0;
  // one byte at least is left for the last stripe, which may overlap what was taken
  for (; n - at > block; at += block) {
    for (std::size_t i = 0; i < 16; ++i) lanes.add_stripe(p + at + stripe * i, key + 8 * i);
    lanes.scramble();
  }
  for (std::size_t i = 0; n - at > stripe; ++i, at += stripe) lanes.add_stripe(p + at, key + 8 * i);
  lanes.add_stripe(p + n - stripe, key + 121);

  std::uint64_t sums[8];
  lanes.store(sums);
  std::uint64_t sum = n * xxph3::prime64_1;
  for (std::size_t i = 0; i < 4; ++i) {
    sum += xxph3::fold(sums[2 * i] ^ xxph3::secret(11 + 16 * i),
                       sums[2 * i + 1] ^ xxph3::secret(19 + 16 * i));
  }
  sum ^= sum >> 37;
  sum *= 0x165667919e3779f9;  // one bit from XXPH3's prime64_3
  return sum ^ sum >> 32;
}

}  // namespace kvbackup::inline v1::detail
#endif
