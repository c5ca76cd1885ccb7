// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_XXHASH
#include <cstdint>
#include <xxhash.h>

#if XXH_VERSION_NUMBER < 800
#error "kvbackup: XXH3 is final only since libxxhash 0.8.0; take that or a newer one"
#endif

namespace kvbackup::inline v1 {

/// XXH32 of `bytes`, by libxxhash.
[[nodiscard]] inline std::uint32_t xxhash32(ByteView bytes, std::uint32_t seed = 0) noexcept {
  return XXH32(bytes.data(), bytes.size(), seed);
}

/// XXH64 of `bytes`, by libxxhash.
[[nodiscard]] inline std::uint64_t xxhash64(ByteView bytes, std::uint64_t seed = 0) noexcept {
  return XXH64(bytes.data(), bytes.size(), seed);
}

/// The 64-bit XXH3 of `bytes` with seed 0, by libxxhash. RocksDB checks blocks with it; its filters
/// hash with xxph3_64, which is another function.
[[nodiscard]] inline std::uint64_t xxh3_64(ByteView bytes) noexcept {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace kvbackup::inline v1
#endif
