// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/config.hpp"
#include "kvbackup/hash/detail/crc_math.hpp"

namespace kvbackup::inline v1::detail {

/// The polynomial 0x42f0e1eba9ea3693 of ECMA-182 (annex B), reflected.
inline constexpr std::uint64_t crc64_polynomial = 0xc96c5795d7870f42;

template <int slices>
inline constexpr CrcTables<std::uint64_t, slices> crc64_tables{crc64_polynomial};

/// The inverted register after `size` bytes at `p`, on any machine.
inline std::uint64_t crc64_portable(std::uint64_t state, const char* p, std::size_t size) noexcept {
  return crc64_tables<KVBACKUP_DETAIL_CRC_SLICES>.update(state, p, size);
}

}  // namespace kvbackup::inline v1::detail
