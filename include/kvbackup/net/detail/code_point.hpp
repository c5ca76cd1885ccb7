// SPDX-License-Identifier: Apache-2.0
// The characters that XML and JSON spell as numbers.
#pragma once

#include <cstdint>
#include <string>

namespace kvbackup::inline v1::detail {

/// Appends the UTF-8 of a code point; false if it is none.
inline bool append_code_point(std::string& out, std::uint32_t point) {
  if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0 | point >> 6);
    put(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    put(0xe0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  } else {
    put(0xf0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3f));
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  }
  return true;
}

}  // namespace kvbackup::inline v1::detail
