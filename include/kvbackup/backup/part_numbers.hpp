// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvbackup::inline v1::detail {

/// The number of a part stands where TiKV has the region's id. It rises with the part's key and
/// depends on the plan and the data only: sub-ranges are numbered a million parts apart.
inline constexpr std::uint64_t parts_of_a_sub_range = 1'000'000;

/// The number of a part, `index` in its sub-range; both counted from 0.
[[nodiscard]] constexpr std::uint64_t part_number_of(std::uint64_t sub_range, std::uint64_t index) {
  return sub_range * parts_of_a_sub_range + index + 1;
}

/// No part of a plan of that many sub-ranges has a higher number.
[[nodiscard]] constexpr std::uint64_t last_part_number(std::size_t sub_ranges) {
  return (std::uint64_t{sub_ranges} + 1) * parts_of_a_sub_range;
}

}  // namespace kvbackup::inline v1::detail
