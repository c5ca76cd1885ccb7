// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/key_ranges.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/restore/file_index.hpp"

namespace kvbackup::inline v1::detail {

KVBACKUP_DETAIL_COLD [[nodiscard]] inline Status no_such_cf(std::string_view cf) {
  return Status::error(StatusCode::not_found, "the backup does not hold this column family")
      .with_object(cf);
}

/// `held`, the ranges of a backup, merged and sorted.
[[nodiscard]] inline Result<std::vector<KeyRange>> sorted_held(std::vector<KeyRange> held) {
  auto sorted = normalize_ranges(std::move(held));
  if (sorted.ok()) return sorted;
  return Status::error(StatusCode::corruption,
                       "backupmeta names ranges that overlap or have no room for a key")
      .with_range(sorted.status().key(), sorted.status().key_end());
}

/// not_found unless all of `asked` lies in `held`, the ranges of a backup. What a backup does not
/// hold was not empty where it was made: nobody knows.
[[nodiscard]] inline Status check_held(std::vector<KeyRange> held,
                                       const std::vector<KeyRange>& asked) {
  // merged, so that whatever is covered lies in one of them
  auto merged = sorted_held(std::move(held));
  if (!merged.ok()) return std::move(merged).status();
  std::vector<KeyRange>& all = merged.value();
  const auto before = [](const KeyRange& a, const KeyRange& b) {
    return std::pair(std::string_view(a.cf), ByteView(a.start)) <
           std::pair(std::string_view(b.cf), ByteView(b.start));
  };
  std::sort(all.begin(), all.end(), before);
  for (const KeyRange& range : asked) {
    const auto after = std::upper_bound(all.begin(), all.end(), range, before);
    if (after != all.begin()) {
      const KeyRange& holder = *std::prev(after);
      if (holder.cf == range.cf && ends_within(range.end, holder.end)) continue;
    }
    return Status::error(StatusCode::not_found,
                         "the key range reaches outside of what was backed up")
        .with_object(range.cf)
        .with_range(range.start, range.end);
  }
  return {};
}

}  // namespace kvbackup::inline v1::detail
