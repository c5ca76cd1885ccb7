// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/detail/xxh3_avx2.hpp"

#if KVBACKUP_WITH_XXHASH
#include <cstddef>
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

/// The 64-bit XXH3 of `bytes` with seed 0, by libxxhash or, where they are long and the machine has
/// it, by AVX2. RocksDB checks blocks with it; its filters hash with xxph3_64, which is another
/// function.
[[nodiscard]] inline std::uint64_t xxh3_64(ByteView bytes) noexcept {
#if KVBACKUP_DETAIL_X86_64
  constexpr std::size_t long_input = 240;  // up to it XXH3 has other ways
  if (bytes.size() > long_input && detail::cpu_has_avx2) {
    return detail::xxh3_64_avx2(bytes.data(), bytes.size());
  }
#endif
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace kvbackup::inline v1
#endif
