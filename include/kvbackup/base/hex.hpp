// SPDX-License-Identifier: Apache-2.0
// Bytes as lower-case hex digits, as BR and this library print keys.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "kvbackup/base/bytes.hpp"

namespace kvbackup::inline v1 {

/// Two lower-case hex digits a byte, appended to `out`.
inline void append_hex(std::string& out, ByteView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  const std::size_t before = out.size();
  out.resize(before + bytes.size() * 2);
  char* to = out.data() + before;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    *to++ = digits[byte >> 4];
    *to++ = digits[byte & 15];
  }
}

/// Two lower-case hex digits a byte.
[[nodiscard]] inline std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  append_hex(out, bytes);
  return out;
}

/// The value of one hex digit of either case, or -1.
[[nodiscard]] constexpr int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The bytes that `text` spells; nothing if its length is odd or a character is no hex digit.
[[nodiscard]] inline std::optional<std::string> from_hex(ByteView text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

}  // namespace kvbackup::inline v1
