// SPDX-License-Identifier: Apache-2.0
// What reflected CRCs are computed with, derived from the polynomial at compile time.
//
// A polynomial over GF(2) stands here in a 64-bit register with the coefficient of x^0 in the top
// bit ("reflected"); a CRC narrower than 64 bits uses the upper bits of the register.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"

namespace kvbackup::inline v1::detail {

/// x^exponent mod P, reflected; P has degree `width` and `polynomial` is its reflected low part.
[[nodiscard]] constexpr std::uint64_t reflected_power(std::uint64_t polynomial, unsigned width,
                                                      unsigned exponent) noexcept {
  const unsigned last = 64 - width;  // the register's bit of x^(width-1)
  std::uint64_t power = std::uint64_t{1} << 63;
  for (unsigned i = 0; i < exponent; ++i) {
    const bool carry = (power >> last & 1) != 0;
    power = power >> 1 >> last << last;
    if (carry) power ^= polynomial;
  }
  return power;
}

/// Tables that take a CRC forward: entry [j][b] is the CRC register after byte b and j zero bytes.
/// Eight of them take eight bytes in one step ("slicing by 8"), one takes one.
template <class U, int slices>
struct CrcTables {
  static_assert(slices == 1 || slices == 8);
  U entry[slices][256];

  /// `polynomial` is reflected, in the width of U.
  constexpr explicit CrcTables(U polynomial) noexcept : entry() {
    for (unsigned byte = 0; byte < 256; ++byte) {
      U value = byte;
      for (int bit = 0; bit < 8; ++bit) {
        value = static_cast<U>(value >> 1 ^ ((value & 1) != 0 ? polynomial : 0));
      }
      entry[0][byte] = value;
    }
    for (int j = 1; j < slices; ++j) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        const U before = entry[j - 1][byte];
        entry[j][byte] = static_cast<U>(before >> 8 ^ entry[0][before & 0xff]);
      }
    }
  }

  /// The register `state` after `size` bytes at `p`.
  [[nodiscard]] U update(U state, const char* p, std::size_t size) const noexcept {
    if constexpr (slices == 8) {
      for (; size >= 8; p += 8, size -= 8) {
        const std::uint64_t word = load_le64(p) ^ state;
        state = entry[7][word & 0xff] ^ entry[6][word >> 8 & 0xff] ^ entry[5][word >> 16 & 0xff] ^
                entry[4][word >> 24 & 0xff] ^ entry[3][word >> 32 & 0xff] ^
                entry[2][word >> 40 & 0xff] ^ entry[1][word >> 48 & 0xff] ^ entry[0][word >> 56];
      }
    }
    for (; size > 0; ++p, --size) {
      const auto byte = static_cast<unsigned char>(*p);
      state = static_cast<U>(state >> 8 ^ entry[0][(state ^ byte) & 0xff]);
    }
    return state;
  }
};

}  // namespace kvbackup::inline v1::detail
