// SPDX-License-Identifier: Apache-2.0
// What the tests of codecs share: blocks, and their compressed form by a codec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

namespace codec_inputs {

/// Half text, half noise, the same in every run.
inline std::string block_of(std::size_t size) {
  std::string out;
  std::uint64_t state = size + 1;
  while (out.size() < size) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    if (out.size() / 64 % 2 == 0) {
      out += "row ";
    } else {
      out.push_back(static_cast<char>(state >> 56));
    }
  }
  out.resize(size);
  return out;
}

/// Noise from the first byte to the last.
inline std::string noise_of(std::size_t size) {
  std::string out;
  std::uint64_t state = size + 1;
  while (out.size() < size) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    out.push_back(static_cast<char>(state >> 56));
  }
  return out;
}

template <kvbackup::BlockCodec C>
std::string compressed(const C& codec, decltype(codec.compressor())& compressor,
                       kvbackup::ByteView in) {
  std::string out(codec.bound(in.size()), '\0');
  const std::optional<std::size_t> size = compressor.compress(in, out);
  REQUIRE(size.has_value());
  out.resize(*size);
  return out;
}

inline const std::vector<std::size_t> edge_sizes = {
    0,   1,   4,    5,    11,     12,     13,     14,     63,     64,     65,
    255, 256, 4095, 4096, 16'384, 65'535, 65'536, 65'546, 65'547, 65'548, 300'000};

}  // namespace codec_inputs
