// SPDX-License-Identifier: Apache-2.0
// The checksums that stand behind the blocks of an SST.
#pragma once

#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/hash/crc32c.hpp"
#include "kvbackup/sst/concept.hpp"

namespace kvbackup::inline v1 {

/// CRC-32C over the stored payload and its type, masked as RocksDB and LevelDB mask it.
struct Crc32cChecksum {
  static constexpr ChecksumKind kind = ChecksumKind::crc32c;

  [[nodiscard]] static std::uint32_t of(ByteView payload, std::uint8_t type) {
    const char last = static_cast<char>(type);
    return crc32c_mask(crc32c(ByteView(&last, 1), crc32c(payload)));
  }
};
static_assert(BlockChecksum<Crc32cChecksum>);

}  // namespace kvbackup::inline v1
