// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kvbackup/base/bytes.hpp"

namespace kvbackup::inline v1 {

namespace detail {
[[nodiscard]] inline std::string base64_of(ByteView bytes, std::string_view digits, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t taken = bytes.size() - i < 3 ? bytes.size() - i : 3;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < taken ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      if (k <= taken) {
        out += digits[group >> (18 - 6 * k) & 63];
      } else if (pad) {
        out += '=';
      }
    }
  }
  return out;
}
}  // namespace detail

/// RFC 4648 base64, padded.
[[nodiscard]] inline std::string base64_encode(ByteView bytes) {
  return detail::base64_of(
      bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true);
}

/// RFC 4648 base64url without padding, as tokens have it.
[[nodiscard]] inline std::string base64url_encode(ByteView bytes) {
  return detail::base64_of(
      bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false);
}

}  // namespace kvbackup::inline v1
