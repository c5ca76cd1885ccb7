// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kvbackup/base/bytes.hpp"

namespace kvbackup::inline v1 {

/// Whether `bytes` are UTF-8 by RFC 3629: shortest forms only, no surrogates, nothing over
/// U+10FFFF.
[[nodiscard]] inline bool is_utf8(ByteView bytes) noexcept {
  std::size_t i = 0;
  const std::size_t size = bytes.size();
  const auto at = [&](std::size_t index) { return static_cast<unsigned char>(bytes[index]); };
  while (i < size) {
    std::uint64_t word = 0;
    if (size - i >= sizeof word) {
      std::memcpy(&word, bytes.data() + i, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        i += sizeof word;
        continue;
      }
    }
    const unsigned char lead = at(i++);
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const std::size_t tail = lead < 0xe0 ? 1u : lead < 0xf0 ? 2u : 3u;
    if (size - i < tail) return false;
    // The byte after the lead rules out long forms, surrogates and what lies past the last
    // character.
    const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at(i) < low || at(i) > high) return false;
    for (std::size_t k = 1; k < tail; ++k) {
      if ((at(i + k) & 0xc0) != 0x80) return false;
    }
    i += tail;
  }
  return true;
}

}  // namespace kvbackup::inline v1
