// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "kvbackup/base/bytes.hpp"

namespace kvbackup::inline v1::detail {

/// Whether `bytes` look like those of a cipher, as BR's encrypted backupmeta is (a 16-byte vector,
/// then AES-CTR): about half of them have their high bit set. In protobuf messages of names and
/// versions a tenth has, more only where keys are long and binary, so what every backupmeta names
/// must not be found either. Short ones are never taken for it; the bounds are four standard
/// deviations at 128 bytes.
[[nodiscard]] inline bool looks_random(ByteView bytes) {
  constexpr std::size_t fewest = 128;
  constexpr std::size_t most_looked_at = 64 * 1024;
  if (bytes.size() < fewest) return false;
  for (const std::string_view known : {".sst", "kvbackup", "Release Version"}) {
    if (bytes.find(known) != ByteView::npos) return false;
  }
  const ByteView sample = bytes.substr(0, most_looked_at);
  const auto high = static_cast<std::size_t>(std::count_if(
      sample.begin(), sample.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }));
  return high * 3 > sample.size() && high * 3 < sample.size() * 2;
}

}  // namespace kvbackup::inline v1::detail
