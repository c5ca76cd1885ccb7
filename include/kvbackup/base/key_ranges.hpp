// SPDX-License-Identifier: Apache-2.0
// Lists of key ranges, as requests name them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// Sorts, checks and merges the ranges of one request: column families in the order in which they
/// are first named, keys rising. Errors: a range without room for a key, two
/// ranges of one column family that overlap.
[[nodiscard]] inline Result<std::vector<KeyRange>> normalize_ranges(std::vector<KeyRange> ranges) {
  std::map<std::string, std::size_t> cf_ranks;
  for (KeyRange& range : ranges) {
    if (range.cf.empty()) range.cf = default_cf;
    if (range.empty()) {
      return Status::error(StatusCode::invalid_argument,
                           "the start of a key range must be below its end")
          .with_object(range.cf)
          .with_range(range.start, range.end);
    }
    cf_ranks.try_emplace(range.cf, cf_ranks.size());
  }
  // by rank first, each looked up once
  std::vector<std::vector<KeyRange>> by_cf(cf_ranks.size());
  for (KeyRange& range : ranges) {
    by_cf[cf_ranks.find(range.cf)->second].push_back(std::move(range));
  }
  ranges.clear();
  for (std::vector<KeyRange>& of_cf : by_cf) {
    std::sort(of_cf.begin(), of_cf.end(), [](const KeyRange& a, const KeyRange& b) {
      return ByteView(a.start) < ByteView(b.start);
    });
    std::move(of_cf.begin(), of_cf.end(), std::back_inserter(ranges));
  }
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
