// SPDX-License-Identifier: Apache-2.0
// The compression function of SHA-256 by the SHA extensions of x86 CPUs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/config.hpp"
#include "kvbackup/hash/detail/sha256_block.hpp"

#if KVBACKUP_DETAIL_X86_64
#include <cpuid.h>
#include <nmmintrin.h>

namespace kvbackup::inline v1::detail {

/// Whether this machine can run sha256_blocks_shani. Reads as false, which only costs speed, in
/// static initialisers that run before this one.
inline const bool cpu_has_shani = [] {
  constexpr unsigned sha_bit = 1u << 29;  // CPUID leaf 7, EBX
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.1") != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
         (b & sha_bit) != 0;
}();

// The three instructions by the names that g++ and clang share. The header of their intrinsics
// brings those of AVX-512 with it: a tenth of what the whole library takes to compile.
KVBACKUP_DETAIL_TARGET("sha,sse4.1")
inline __m128i sha256rnds2(__m128i cdgh, __m128i abef, __m128i sums) noexcept {
  return reinterpret_cast<__m128i>(__builtin_ia32_sha256rnds2(reinterpret_cast<__v4si>(cdgh),
                                                              reinterpret_cast<__v4si>(abef),
                                                              reinterpret_cast<__v4si>(sums)));
}
KVBACKUP_DETAIL_TARGET("sha,sse4.1")
inline __m128i sha256msg1(__m128i w0, __m128i w4) noexcept {
  return reinterpret_cast<__m128i>(
      __builtin_ia32_sha256msg1(reinterpret_cast<__v4si>(w0), reinterpret_cast<__v4si>(w4)));
}
KVBACKUP_DETAIL_TARGET("sha,sse4.1")
inline __m128i sha256msg2(__m128i sums, __m128i w12) noexcept {
  return reinterpret_cast<__m128i>(
      __builtin_ia32_sha256msg2(reinterpret_cast<__v4si>(sums), reinterpret_cast<__v4si>(w12)));
}

/// The eight state words in the order in which the instructions want them, highest lane first.
struct ShaniState {
  __m128i abef;
  __m128i cdgh;
};

/// Four rounds, with four words of the message schedule.
KVBACKUP_DETAIL_TARGET("sha,sse4.1")
inline void shani_rounds(ShaniState& state, __m128i words, std::size_t first_round) noexcept {
  const __m128i constants =
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(sha256_rounds.data() + first_round));
  const __m128i sums = _mm_add_epi32(words, constants);
  // each instruction does two rounds, after which the old abef is the new cdgh
  state.cdgh = sha256rnds2(state.cdgh, state.abef, sums);
  state.abef = sha256rnds2(state.abef, state.cdgh, _mm_shuffle_epi32(sums, 0x0e));
}

/// The four words of the message schedule that follow the sixteen given.
KVBACKUP_DETAIL_TARGET("sha,sse4.1")
inline __m128i shani_next(__m128i w0, __m128i w4, __m128i w8, __m128i w12) noexcept {
  const __m128i sums = _mm_add_epi32(sha256msg1(w0, w4), _mm_alignr_epi8(w12, w8, 4));
  return sha256msg2(sums, w12);
}

/// `state` after `count` blocks of 64 bytes at `p`.
KVBACKUP_DETAIL_TARGET("sha,sse4.1")
inline void sha256_blocks_shani(Sha256State& words, const char* p, std::size_t count) noexcept {
  auto* lanes = reinterpret_cast<__m128i*>(words.data());
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(lanes), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(lanes + 1), 0x1b);
  ShaniState state{_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  for (; count > 0; --count, p += sha256_block_size) {
    const ShaniState before = state;
    const auto* block = reinterpret_cast<const __m128i*>(p);
    __m128i w0 = _mm_shuffle_epi8(_mm_loadu_si128(block), big_endian);
    __m128i w4 = _mm_shuffle_epi8(_mm_loadu_si128(block + 1), big_endian);
    __m128i w8 = _mm_shuffle_epi8(_mm_loadu_si128(block + 2), big_endian);
    __m128i w12 = _mm_shuffle_epi8(_mm_loadu_si128(block + 3), big_endian);
    for (std::size_t round = 0;; round += 16) {
      shani_rounds(state, w0, round);
      shani_rounds(state, w4, round + 4);
      shani_rounds(state, w8, round + 8);
      shani_rounds(state, w12, round + 12);
      if (round == 48) break;
      w0 = shani_next(w0, w4, w8, w12);
      w4 = shani_next(w4, w8, w12, w0);
      w8 = shani_next(w8, w12, w0, w4);
      w12 = shani_next(w12, w0, w4, w8);
    }
    state.abef = _mm_add_epi32(state.abef, before.abef);
    state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
  }
  const __m128i feba = _mm_shuffle_epi32(state.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);
  _mm_storeu_si128(lanes, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(lanes + 1, _mm_alignr_epi8(dchg, feba, 8));
}

}  // namespace kvbackup::inline v1::detail
#endif
