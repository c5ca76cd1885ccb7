// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/proto/wire.hpp"

namespace kvbackup::inline v1::detail {

/// Whether the lists of `message` have no more entries than its bytes can honestly spell. An entry
/// takes some hundred bytes of memory and may be spelled by two, so that a small object would cost
/// much memory before anything of it is looked at. Fields [first, last] are lists of File.
[[nodiscard]] inline bool entries_fit(ByteView message, std::uint32_t first, std::uint32_t last) {
  // a File has a SHA-256 (34 bytes) and a name, a range or a schema at least a name or a key
  constexpr std::size_t least_file = 32;
  constexpr std::size_t least_entry = 8;
  constexpr std::size_t always = 1000;  // lists as short cost little, whatever is in them
  std::size_t files = 0;
  std::size_t others = 0;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.wire_type != WireType::length_delimited) continue;
    ++(field.number >= first && field.number <= last ? files : others);
  }
  return files <= message.size() / least_file + always &&
         others <= message.size() / least_entry + always;
}

}  // namespace kvbackup::inline v1::detail
