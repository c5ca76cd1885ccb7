// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/hash/crc64.hpp"

namespace kvbackup::inline v1 {

/// What proves a set of pairs, in whatever order they come: the sums that backupmeta has of a file.
struct PairSums {
  std::uint64_t pairs = 0;
  std::uint64_t bytes = 0;     ///< key and value lengths
  std::uint64_t crc64xor = 0;  ///< XOR over the pairs of CRC-64/XZ(key || value)

  void add(ByteView key, ByteView value) {
    pairs += 1;
    bytes += key.size() + value.size();
    crc64xor ^= crc64_xz_pair(key, value);
  }
  void add(const PairSums& other) {
    pairs += other.pairs;
    bytes += other.bytes;
    crc64xor ^= other.crc64xor;
  }

  friend bool operator==(const PairSums&, const PairSums&) = default;
};

}  // namespace kvbackup::inline v1
