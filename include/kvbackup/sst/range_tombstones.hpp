// SPDX-License-Identifier: Apache-2.0
// The range deletions of a table.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"

namespace kvbackup::inline v1 {

/// Deletes the keys k with begin <= k < end that are older than it.
struct RangeTombstone {
  std::string begin;
  std::string end;
  std::uint64_t sequence = 0;
  friend bool operator==(const RangeTombstone&, const RangeTombstone&) = default;
};

namespace detail {

/// Tombstones cut at one another's bounds: for each key the newest one that covers it is found by
/// one search.
class TombstoneMap {
 public:
  TombstoneMap() = default;
  explicit TombstoneMap(const std::vector<RangeTombstone>& tombstones) {
    std::vector<Bound> bounds;
    for (const RangeTombstone& t : tombstones) {
      if (t.begin >= t.end) continue;
      bounds.push_back({t.begin, t.sequence, true});
      bounds.push_back({t.end, t.sequence, false});
    }
    std::sort(bounds.begin(), bounds.end(),
              [](const Bound& a, const Bound& b) { return a.key < b.key; });
    std::multiset<std::uint64_t> open;
    for (std::size_t i = 0; i < bounds.size();) {
      const ByteView key = bounds[i].key;
      for (; i < bounds.size() && bounds[i].key == key; ++i) {
        if (bounds[i].opens) {
          open.insert(bounds[i].sequence);
        } else {
          open.erase(open.find(bounds[i].sequence));  // its begin is a smaller key
        }
      }
      fragments_.push_back({std::string(key), open.empty() ? 0 : *open.rbegin() + 1});
    }
  }

  [[nodiscard]] bool empty() const { return fragments_.empty(); }
  /// Whether a tombstone newer than `sequence` covers `key`.
  [[nodiscard]] bool deletes(ByteView key, std::uint64_t sequence) const {
    return newest_plus_one(key) > sequence + 1;
  }
  /// Whether any tombstone covers it.
  [[nodiscard]] bool covers(ByteView key) const { return newest_plus_one(key) > 0; }

 private:
  [[nodiscard]] std::uint64_t newest_plus_one(ByteView key) const {
    const auto after = std::upper_bound(
        fragments_.begin(), fragments_.end(), key,
        [](ByteView k, const Fragment& fragment) { return k < ByteView(fragment.begin); });
    return after == fragments_.begin() ? 0 : std::prev(after)->newest_plus_one;
  }

  struct Bound {
    ByteView key;
    std::uint64_t sequence;
    bool opens;
  };
  struct Fragment {
    std::string begin;                  // up to the next one's
    std::uint64_t newest_plus_one = 0;  // 0 = nothing covers it
  };
  std::vector<Fragment> fragments_;
};

}  // namespace detail
}  // namespace kvbackup::inline v1
