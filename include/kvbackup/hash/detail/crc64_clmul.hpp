// SPDX-License-Identifier: Apache-2.0
// CRC-64/XZ by carry-less multiplication, shaped for keys and values of a few to a few hundred
// bytes: no step of it loops over single bytes or goes through memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/base/coding.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/detail/clmul.hpp"
#include "kvbackup/hash/detail/crc64_portable.hpp"
#include "kvbackup/hash/detail/crc_math.hpp"

#if KVBACKUP_DETAIL_X86_64

namespace kvbackup::inline v1::detail {

/// floor(x^128 / P) without its leading x^64, reflected: what Barrett's reduction multiplies by.
[[nodiscard]] constexpr std::uint64_t crc64_barrett_quotient() noexcept {
  std::uint64_t quotient = 0;
  std::uint64_t remainder = crc64_polynomial;  // of x^64, which the leading term leaves
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t carry = remainder & 1;
    quotient |= carry << bit;
    remainder = remainder >> 1 ^ (carry != 0 ? crc64_polynomial : 0);
  }
  return quotient;
}

struct Crc64Constants {
  FoldConstants by_512{crc64_polynomial, 512};
  FoldConstants by_128{crc64_polynomial, 128};
  // 65-bit polynomials, reflected; bit 64 of each (its x^0) is left to the code that uses it
  std::uint64_t quotient = crc64_barrett_quotient() << 1 | 1;
  std::uint64_t polynomial = crc64_polynomial << 1 | 1;
};
inline constexpr Crc64Constants crc64_constants{};

/// Bytes for PSHUFB: loaded at offset n (0..16), they move a register up by 16-n bytes; at offset
/// 16+n, down by n bytes. Zeros come in.
inline constexpr unsigned char byte_moves[48] = {
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};

/// `value` moved up by `bytes` (0..16): towards the end of the message.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline __m128i moved_up(__m128i value, std::size_t bytes) noexcept {
  const unsigned char* moves = byte_moves + (16 - bytes);
  return _mm_shuffle_epi8(value, _mm_loadu_si128(reinterpret_cast<const __m128i*>(moves)));
}
/// `value` moved down by `bytes` (0..16): towards the start of the message.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline __m128i moved_down(__m128i value, std::size_t bytes) noexcept {
  const unsigned char* moves = byte_moves + (16 + bytes);
  return _mm_shuffle_epi8(value, _mm_loadu_si128(reinterpret_cast<const __m128i*>(moves)));
}

/// The `size` (0..7) bytes at `p` as the low bytes of a word.
inline std::uint64_t load_up_to_7(const char* p, std::size_t size) noexcept {
  if (size >= 4) {
    const std::uint64_t last = load_le32(p + size - 4);
    return load_le32(p) | last << (8 * (size - 4));
  }
  if (size == 0) return 0;
  const auto byte = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])}; };
  return byte(0) | byte(size / 2) << (8 * (size / 2)) | byte(size - 1) << (8 * (size - 1));
}

/// The remainder of 16 bytes whose first eight matter only through Barrett's quotient: the CRC
/// register that they leave.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint64_t crc64_barrett(__m128i value) noexcept {
  const __m128i constants = register_of(crc64_constants.quotient, crc64_constants.polynomial);
  const __m128i quotient = _mm_clmulepi64_si128(value, constants, 0x00);
  const __m128i product = _mm_clmulepi64_si128(quotient, constants, 0x10);
  // the polynomial's bit 64 times the quotient
  const __m128i top = _mm_slli_si128(quotient, 8);
  const __m128i rest = _mm_xor_si128(_mm_xor_si128(product, top), value);
  return static_cast<std::uint64_t>(_mm_extract_epi64(rest, 1));
}

/// The CRC register that the 16 bytes `value` leave.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint64_t crc64_reduce(__m128i value) noexcept {
  const __m128i by_64 = register_of(crc64_constants.by_128.second, 0);
  return crc64_barrett(
      _mm_xor_si128(_mm_clmulepi64_si128(value, by_64, 0x00), _mm_srli_si128(value, 8)));
}

/// The register after fewer than 16 bytes.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint64_t crc64_clmul_short(std::uint64_t state, const char* p,
                                       std::size_t size) noexcept {
  if (size == 0) return state;
  // the message is moved up to end where a register ends; zeros before it change nothing
  if (size < 8) {
    const std::uint64_t word = (load_up_to_7(p, size) ^ state) << (64 - 8 * size);
    return crc64_barrett(register_of(word, 0)) ^ state >> (8 * size);
  }
  const std::uint64_t last = load_le64(p + size - 8);
  if (size == 8) return crc64_barrett(register_of(last ^ state, 0));
  const std::uint64_t first = (load_le64(p) ^ state) << (128 - 8 * size);
  return crc64_reduce(register_of(first, last ^ state >> (8 * size - 64)));
}

/// The CRC register that `value` and the `size` bytes at `p` that follow it leave. The 16 bytes
/// before `p + size` must be readable.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint64_t crc64_clmul_rest(__m128i value, const char* p, std::size_t size) noexcept {
  const __m128i by_128 = register_of(crc64_constants.by_128.first, crc64_constants.by_128.second);
  if (size >= 112) {
    const __m128i by_512 = register_of(crc64_constants.by_512.first, crc64_constants.by_512.second);
    value = fold_lanes(value, p, size, by_512, by_128);
  }
  for (; size >= 16; p += 16, size -= 16) value = fold(value, by_128, load_register(p));
  if (size > 0) {
    // all moved so that the message ends where a register ends; the last load overlaps what was
    // folded already, which the mask takes out
    const __m128i all_ones = _mm_set1_epi8(-1);
    const __m128i tail = _mm_and_si128(load_register(p + size - 16), moved_up(all_ones, 16 - size));
    const __m128i last = _mm_or_si128(moved_down(value, size), tail);
    value = fold(moved_up(value, 16 - size), by_128, last);
  }
  return crc64_reduce(value);
}

/// The inverted register after `size` bytes at `p`.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint64_t crc64_clmul(std::uint64_t state, const char* p, std::size_t size) noexcept {
  if (size < 16) return crc64_clmul_short(state, p, size);
  const __m128i value = _mm_xor_si128(load_register(p), register_of(state, 0));
  return crc64_clmul_rest(value, p + 16, size - 16);
}

/// The inverted register after `key_size` bytes at `key`, then `size` bytes at `p`. The register
/// that spans the seam is put together from both, so that the pair costs one reduction.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint64_t crc64_clmul_pair(std::uint64_t state, const char* key, std::size_t key_size,
                                      const char* p, std::size_t size) noexcept {
  if (key_size < 16 || size < 16) {
    return crc64_clmul(crc64_clmul(state, key, key_size), p, size);
  }
  const __m128i by_128 = register_of(crc64_constants.by_128.first, crc64_constants.by_128.second);
  __m128i value = _mm_xor_si128(load_register(key), register_of(state, 0));
  key += 16;
  key_size -= 16;
  for (; key_size >= 16; key += 16, key_size -= 16) {
    value = fold(value, by_128, load_register(key));
  }
  if (key_size > 0) {
    const __m128i before = moved_down(load_register(key + key_size - 16), 16 - key_size);
    const __m128i after = moved_up(load_register(p), key_size);
    value = fold(value, by_128, _mm_or_si128(before, after));
    p += 16 - key_size;
    size -= 16 - key_size;
  }
  return crc64_clmul_rest(value, p, size);
}

}  // namespace kvbackup::inline v1::detail
#endif
