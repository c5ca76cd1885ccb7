// SPDX-License-Identifier: Apache-2.0
// Lists of key ranges, as requests name them.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// Sorts, checks and merges the ranges of one request. Errors: a range without room for a key, two
/// ranges of one column family that overlap.
[[nodiscard]] inline Result<std::vector<KeyRange>> normalize_ranges(std::vector<KeyRange> ranges) {
  std::vector<std::string> cfs;
  for (KeyRange& range : ranges) {
    if (range.cf.empty()) range.cf = default_cf;
    if (range.empty()) {
      return Status::error(StatusCode::invalid_argument,
                           "the start of a key range must be below its end")
          .with_object(range.cf)
          .with_range(range.start, range.end);
    }
    if (std::find(cfs.begin(), cfs.end(), range.cf) == cfs.end()) cfs.push_back(range.cf);
  }
  const auto cf_rank = [&cfs](const KeyRange& range) {
    return std::find(cfs.begin(), cfs.end(), range.cf) - cfs.begin();
  };
  std::sort(ranges.begin(), ranges.end(), [&](const KeyRange& a, const KeyRange& b) {
    return std::pair(cf_rank(a), ByteView(a.start)) < std::pair(cf_rank(b), ByteView(b.start));
  });
  std::vector<KeyRange> merged;
  for (KeyRange& range : ranges) {
    if (merged.empty() || merged.back().cf != range.cf) {
      merged.push_back(std::move(range));
      continue;
    }
    KeyRange& before = merged.back();
    if (before.end.empty() || before.end > range.start) {
      return Status::error(StatusCode::invalid_argument,
                           "two key ranges of one column family overlap; ask for their union")
          .with_object(range.cf)
          .with_range(range.start, range.end);
    }
    if (before.end == range.start) {
      before.end = std::move(range.end);
    } else {
      merged.push_back(std::move(range));
    }
  }
  return merged;
}

/// The keys that lie in both ranges, which are of one column family; nothing where there can be
/// none.
[[nodiscard]] inline std::optional<KeyRange> intersection(const KeyRange& a, const KeyRange& b) {
  if (a.cf != b.cf) return std::nullopt;
  KeyRange both = a;
  if (both.start < b.start) both.start = b.start;
  if (both.end.empty() || (!b.end.empty() && b.end < both.end)) both.end = b.end;
  if (both.empty()) return std::nullopt;
  return both;
}

}  // namespace kvbackup::inline v1
