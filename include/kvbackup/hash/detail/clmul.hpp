// SPDX-License-Identifier: Apache-2.0
// Folding of reflected 64-bit CRCs by carry-less multiplication (PCLMULQDQ), after Gopal et al.,
// "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009).
//
// A 128-bit register holds 16 message bytes as they lie in memory. Moving it D bits forward in the
// message multiplies its polynomial by x^D: the half that comes first by x^(D+64), the other by
// x^D. A carry-less product of two reflected words is shifted by one, so the constants are
// x^(D+63) and x^(D-1), mod P.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/config.hpp"
#include "kvbackup/hash/detail/crc_math.hpp"

#if KVBACKUP_DETAIL_X86_64
#include <nmmintrin.h>
#include <wmmintrin.h>

namespace kvbackup::inline v1::detail {

/// Whether this machine can run the functions marked with KVBACKUP_DETAIL_TARGET("pclmul,sse4.2").
/// Reads as false, which only costs speed, in static initialisers that run before this one.
inline const bool cpu_has_clmul = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.2") != 0;
}();

/// The two constants that move a register `bits` forward.
struct FoldConstants {
  std::uint64_t first;
  std::uint64_t second;

  constexpr FoldConstants(std::uint64_t polynomial, unsigned bits) noexcept
      : first(reflected_power(polynomial, 64, bits + 63)),
        second(reflected_power(polynomial, 64, bits - 1)) {}
};

KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline __m128i register_of(std::uint64_t low, std::uint64_t high) noexcept {
  return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
}
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline __m128i load_register(const char* p) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
/// `value` moved forward by `constants`, added to `next`.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline __m128i fold(__m128i value, __m128i constants, __m128i next) noexcept {
  const __m128i first = _mm_clmulepi64_si128(value, constants, 0x00);
  const __m128i second = _mm_clmulepi64_si128(value, constants, 0x11);
  return _mm_xor_si128(_mm_xor_si128(first, second), next);
}

/// Folds the register `first` and the `size` >= 112 bytes at `p` that follow it in four lanes, and
/// moves `p` and `size` past what it took: 0..63 bytes are left. What it gives stands for all of
/// them: 16 bytes of the same remainder.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline __m128i fold_lanes(__m128i first, const char*& p, std::size_t& size, __m128i by_512,
                          __m128i by_128) noexcept {
  __m128i a = first;
  __m128i b = load_register(p);
  __m128i c = load_register(p + 16);
  __m128i d = load_register(p + 32);
  p += 48;
  size -= 48;
  for (; size >= 64; p += 64, size -= 64) {
    a = fold(a, by_512, load_register(p));
    b = fold(b, by_512, load_register(p + 16));
    c = fold(c, by_512, load_register(p + 32));
    d = fold(d, by_512, load_register(p + 48));
  }
  b = fold(a, by_128, b);
  c = fold(b, by_128, c);
  return fold(c, by_128, d);
}

}  // namespace kvbackup::inline v1::detail
#endif
