// SPDX-License-Identifier: Apache-2.0
// CRC-64/XZ (ECMA-182, reflected), which BR takes of every pair.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/detail/crc64_clmul.hpp"
#include "kvbackup/hash/detail/crc64_portable.hpp"

namespace kvbackup::inline v1 {

/// CRC-64/XZ of `bytes`, or of whatever `init` is the CRC-64/XZ of followed by `bytes`:
/// crc64_xz(b, crc64_xz(a)) == crc64_xz(a + b).
[[nodiscard]] inline std::uint64_t crc64_xz(ByteView bytes, std::uint64_t init = 0) noexcept {
#if KVBACKUP_DETAIL_X86_64
  if (detail::cpu_has_clmul) return ~detail::crc64_clmul(~init, bytes.data(), bytes.size());
#endif
  return ~detail::crc64_portable(~init, bytes.data(), bytes.size());
}

/// CRC-64/XZ of `key` followed by `value`, without putting them side by side.
[[nodiscard]] inline std::uint64_t crc64_xz_pair(ByteView key, ByteView value) noexcept {
  constexpr std::uint64_t start = ~std::uint64_t{0};
#if KVBACKUP_DETAIL_X86_64
  if (detail::cpu_has_clmul) {
    return ~detail::crc64_clmul_pair(start, key.data(), key.size(), value.data(), value.size());
  }
#endif
  const std::uint64_t state = detail::crc64_portable(start, key.data(), key.size());
  return ~detail::crc64_portable(state, value.data(), value.size());
}

}  // namespace kvbackup::inline v1
