// SPDX-License-Identifier: Apache-2.0
// The one percent-coder: column family names in object names, parts of URLs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/hex.hpp"

namespace kvbackup::inline v1 {

/// RFC 3986 unreserved characters: the ones that never need coding.
[[nodiscard]] constexpr bool is_unreserved(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

/// `text` with every byte that is neither unreserved nor in `keep` as %XX (upper-case digits).
[[nodiscard]] inline std::string percent_encode(ByteView text, ByteView keep = {}) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c) || keep.find(c) != ByteView::npos) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

/// The bytes that `text` stands for; nothing if a % is not followed by two hex digits.
[[nodiscard]] inline std::optional<std::string> percent_decode(ByteView text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return out;
}

}  // namespace kvbackup::inline v1
