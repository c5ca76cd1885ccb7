// SPDX-License-Identifier: Apache-2.0
// What the tests of hashes share: input bytes, and CRCs computed in the most obvious way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace hash_inputs {

/// Bytes without a short period, the same in every run.
inline std::string bytes(std::size_t size) {
  std::string out;
  out.reserve(size);
  std::uint64_t state = 42;
  while (out.size() < size) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    out.push_back(static_cast<char>(state >> 56));
  }
  return out;
}

/// A reflected CRC's inverted register, one bit at a time.
template <class U>
struct BitwiseCrc {
  explicit BitwiseCrc(U reflected_polynomial) : polynomial(reflected_polynomial) {}

  U polynomial;
  U state = static_cast<U>(~U{0});

  void take(char c) {
    state ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      state = static_cast<U>(state >> 1 ^ ((state & 1) != 0 ? polynomial : U{0}));
    }
  }
};

}  // namespace hash_inputs
