// SPDX-License-Identifier: Apache-2.0
// The checksums that stand behind the blocks of an SST.
#pragma once

#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/crc32c.hpp"
#include "kvbackup/hash/xxhash.hpp"
#include "kvbackup/sst/concept.hpp"

namespace kvbackup::inline v1 {

/// No protection: readers take every block as it is.
struct NoneChecksum {
  static constexpr ChecksumKind kind = ChecksumKind::none;
  [[nodiscard]] static std::uint32_t of(ByteView /*payload_and_type*/) { return 0; }
};
static_assert(BlockChecksum<NoneChecksum>);

/// CRC-32C over the stored payload and its type, masked as RocksDB and LevelDB mask it.
struct Crc32cChecksum {
  static constexpr ChecksumKind kind = ChecksumKind::crc32c;
  [[nodiscard]] static std::uint32_t of(ByteView payload_and_type) {
    return crc32c_mask(crc32c(payload_and_type));
  }
};
static_assert(BlockChecksum<Crc32cChecksum>);

}  // namespace kvbackup::inline v1

#if KVBACKUP_WITH_XXHASH
namespace kvbackup::inline v1 {

/// XXH32 over the stored payload and its type.
struct XxHashChecksum {
  static constexpr ChecksumKind kind = ChecksumKind::xxhash;
  [[nodiscard]] static std::uint32_t of(ByteView payload_and_type) {
    return xxhash32(payload_and_type, 0);
  }
};
static_assert(BlockChecksum<XxHashChecksum>);

/// The low half of XXH64 over the stored payload and its type.
struct XxHash64Checksum {
  static constexpr ChecksumKind kind = ChecksumKind::xxhash64;
  [[nodiscard]] static std::uint32_t of(ByteView payload_and_type) {
    return static_cast<std::uint32_t>(xxhash64(payload_and_type, 0));
  }
};
static_assert(BlockChecksum<XxHash64Checksum>);

/// The low half of XXH3 over the stored payload, into which the type is mixed. RocksDB reads it
/// from 6.27 on, and writes it from 7.8 on.
struct Xxh3Checksum {
  static constexpr ChecksumKind kind = ChecksumKind::xxh3;
  [[nodiscard]] static std::uint32_t of(ByteView payload_and_type) {
    // RocksDB's kRandomPrime (table/format.cc)
    constexpr std::uint32_t prime = 0x6b9083d9;
    const auto type = static_cast<unsigned char>(payload_and_type.back());
    const ByteView payload = payload_and_type.substr(0, payload_and_type.size() - 1);
    return static_cast<std::uint32_t>(xxh3_64(payload)) ^ type * prime;
  }
};
static_assert(BlockChecksum<Xxh3Checksum>);

}  // namespace kvbackup::inline v1
#endif
