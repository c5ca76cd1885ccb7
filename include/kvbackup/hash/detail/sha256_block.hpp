// SPDX-License-Identifier: Apache-2.0
// The compression function of SHA-256 (FIPS 180-4, 6.2.2), as plain C++.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "kvbackup/base/coding.hpp"

namespace kvbackup::inline v1::detail {

inline constexpr std::size_t sha256_block_size = 64;

using Sha256State = std::array<std::uint32_t, 8>;

/// FIPS 180-4, 5.3.3: fractions of the square roots of the first 8 primes.
inline constexpr Sha256State sha256_start = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/// FIPS 180-4, 4.2.2: fractions of the cube roots of the first 64 primes.
inline constexpr std::array<std::uint32_t, 64> sha256_rounds = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// `state` after one block of 64 bytes at `p`.
inline void sha256_block(Sha256State& state, const char* p) noexcept {
  std::uint32_t schedule[16];  // the last 16 words of the message schedule, as a ring
  auto [a, b, c, d, e, f, g, h] = state;
  for (std::size_t round = 0; round < sha256_rounds.size(); ++round) {
    std::uint32_t& word = schedule[round % 16];
    if (round < 16) {
      word = load<std::uint32_t>(p + 4 * round, std::endian::big);
    } else {
      const std::uint32_t w2 = schedule[(round + 14) % 16];
      const std::uint32_t w15 = schedule[(round + 1) % 16];
      word += (std::rotr(w2, 17) ^ std::rotr(w2, 19) ^ w2 >> 10) + schedule[(round + 9) % 16] +
              (std::rotr(w15, 7) ^ std::rotr(w15, 18) ^ w15 >> 3);
    }
    const std::uint32_t choice = (e & f) ^ (~e & g);
    const std::uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
    const std::uint32_t sum1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                               choice + sha256_rounds[round] + word;
    const std::uint32_t sum2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + majority;
    h = g;
    g = f;
    f = e;
    e = d + sum1;
    d = c;
    c = b;
    b = a;
    a = sum1 + sum2;
  }
  const Sha256State added = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < state.size(); ++i) state[i] += added[i];
}

/// `state` after `count` blocks of 64 bytes at `p`.
inline void sha256_blocks_portable(Sha256State& state, const char* p, std::size_t count) noexcept {
  for (; count > 0; --count, p += sha256_block_size) sha256_block(state, p);
}

}  // namespace kvbackup::inline v1::detail
