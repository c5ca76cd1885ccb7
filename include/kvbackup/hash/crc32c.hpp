// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli), the block checksum of LevelDB and of RocksDB's `crc32c`, as in RFC 3720.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/detail/clmul.hpp"
#include "kvbackup/hash/detail/crc_math.hpp"

#if KVBACKUP_DETAIL_ARM_CRC32
#include <arm_acle.h>
#endif

namespace kvbackup::inline v1 {

namespace detail {

/// x^32 + x^28 + x^27 + x^26 + x^25 + x^23 + x^22 + x^20 + x^19 + x^18 + x^14 + x^13 + x^11 + x^10
/// + x^9 + x^8 + x^6 + 1, reflected (RFC 3720, 12.1).
inline constexpr std::uint32_t crc32c_polynomial = 0x82f63b78;

template <int slices>
inline constexpr CrcTables<std::uint32_t, slices> crc32c_tables{crc32c_polynomial};

// Each form takes and gives the inverted register, and gives the same value as every other.

inline std::uint32_t crc32c_portable(std::uint32_t state, const char* p,
                                     std::size_t size) noexcept {
  return crc32c_tables<KVBACKUP_DETAIL_CRC_SLICES>.update(state, p, size);
}

#if KVBACKUP_DETAIL_X86_64
/// Eight bytes an instruction, for CPUs without PCLMULQDQ and for short inputs.
KVBACKUP_DETAIL_TARGET("sse4.2")
inline std::uint32_t crc32c_sse42(std::uint32_t state, const char* p, std::size_t size) noexcept {
  std::uint64_t wide = state;
  for (; size >= 8; p += 8, size -= 8) wide = _mm_crc32_u64(wide, load_le64(p));
  state = static_cast<std::uint32_t>(wide);
  if (size >= 4) {
    state = _mm_crc32_u32(state, load_le32(p));
    p += 4;
    size -= 4;
  }
  for (; size > 0; ++p, --size) state = _mm_crc32_u8(state, static_cast<unsigned char>(*p));
  return state;
}

/// What crc32c_moved multiplies a register by to move it `bytes` forward in the message: 33 is
/// what the carry-less product of two reflected words and the CRC instruction add by themselves.
[[nodiscard]] constexpr std::uint64_t crc32c_distance(unsigned bytes) noexcept {
  return reflected_power(std::uint64_t{crc32c_polynomial} << 32, 32, 8 * bytes - 33) >> 32;
}
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint64_t crc32c_moved(std::uint64_t state, std::uint64_t distance) noexcept {
  const __m128i product =
      _mm_clmulepi64_si128(register_of(state, 0), register_of(distance, 0), 0x00);
  return _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(product)));
}

/// Takes 3 * `length` bytes a step for as long as they last, as three independent streams: the CRC
/// instruction can start every cycle, but its result takes three.
template <unsigned length>
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint64_t
    crc32c_three_streams(std::uint64_t state, const char*& p, std::size_t& size) noexcept {
  constexpr std::uint64_t by_one = crc32c_distance(length);
  constexpr std::uint64_t by_two = crc32c_distance(2 * length);
  for (; size >= 3 * length; p += 3 * length, size -= 3 * length) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (unsigned i = 0; i < length; i += 8) {
      state = _mm_crc32_u64(state, load_le64(p + i));
      second = _mm_crc32_u64(second, load_le64(p + length + i));
      third = _mm_crc32_u64(third, load_le64(p + 2 * length + i));
    }
    state = crc32c_moved(state, by_two) ^ crc32c_moved(second, by_one) ^ third;
  }
  return state;
}

/// Three streams in long, then in short steps, then one.
KVBACKUP_DETAIL_TARGET("pclmul,sse4.2")
inline std::uint32_t crc32c_clmul(std::uint32_t state, const char* p, std::size_t size) noexcept {
  if (size >= 3 * 64) {
    std::uint64_t wide = crc32c_three_streams<1024>(state, p, size);
    wide = crc32c_three_streams<64>(wide, p, size);
    state = static_cast<std::uint32_t>(wide);
  }
  return crc32c_sse42(state, p, size);
}

/// Whether this machine can run crc32c_sse42; like cpu_has_clmul.
inline const bool cpu_has_sse42 = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") != 0;
}();
#endif

#if KVBACKUP_DETAIL_ARM_CRC32
inline std::uint32_t crc32c_arm(std::uint32_t state, const char* p, std::size_t size) noexcept {
  for (; size >= 8; p += 8, size -= 8) state = __crc32cd(state, load_le64(p));
  for (; size > 0; ++p, --size) state = __crc32cb(state, static_cast<unsigned char>(*p));
  return state;
}
#endif

inline std::uint32_t crc32c_update(std::uint32_t state, const char* p, std::size_t size) noexcept {
#if KVBACKUP_DETAIL_X86_64
  if (cpu_has_clmul) return crc32c_clmul(state, p, size);
  if (cpu_has_sse42) return crc32c_sse42(state, p, size);
  return crc32c_portable(state, p, size);
#elif KVBACKUP_DETAIL_ARM_CRC32
  return crc32c_arm(state, p, size);
#else
  return crc32c_portable(state, p, size);
#endif
}

}  // namespace detail

/// CRC-32C of `bytes`, or of whatever `init` is the CRC-32C of followed by `bytes`:
/// crc32c(b, crc32c(a)) == crc32c(a + b).
[[nodiscard]] inline std::uint32_t crc32c(ByteView bytes, std::uint32_t init = 0) noexcept {
  return ~detail::crc32c_update(~init, bytes.data(), bytes.size());
}

/// What RocksDB adds to a rotated CRC before it stores it, so that a CRC over bytes that hold CRCs
/// stays sound (RocksDB util/crc32c.h).
inline constexpr std::uint32_t crc32c_mask_delta = 0xa282ead8;

/// The stored form of a CRC.
[[nodiscard]] constexpr std::uint32_t crc32c_mask(std::uint32_t crc) noexcept {
  return std::rotr(crc, 15) + crc32c_mask_delta;
}
/// The CRC that crc32c_mask made `masked` of.
[[nodiscard]] constexpr std::uint32_t crc32c_unmask(std::uint32_t masked) noexcept {
  return std::rotl(masked - crc32c_mask_delta, 15);
}

}  // namespace kvbackup::inline v1
