// SPDX-License-Identifier: Apache-2.0
// Which regions a node answers for: the policy that cuts a request into clips.
//
// A model gives clips(range) -> std::vector<RegionClip>: what it holds of the range, rising and not
// overlapping. What it leaves out is a hole, which the caller of the node finds. A model whose
// regions move may also give check(clip) -> std::optional<RegionError>, asked before a clip is
// read. Both are called from several threads at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/key_ranges.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// A region's part of a request: user keys, start <= key < end, an empty `end` is no bound.
struct RegionClip {
  std::uint64_t region_id = 1;
  std::uint64_t version = 1;  ///< of its epoch; stands in the names of files
  std::string start;
  std::string end;

  friend bool operator==(const RegionClip&, const RegionClip&) = default;
};

template <class R>
concept RegionLayout = requires(const R& regions, const KeyRange& range) {
  { regions.clips(range) } -> std::same_as<std::vector<RegionClip>>;
};

/// Regions that stay as they are: by default one, which holds every key.
class FixedRegions {
 public:
  FixedRegions() : regions_(1) {}

  /// As many regions as there are keys, and one; numbered from 1. Errors: invalid_argument, if the
  /// keys do not strictly rise or one is empty.
  [[nodiscard]] static Result<FixedRegions> split_at(std::vector<std::string> keys) {
    std::vector<RegionClip> regions(1);
    for (std::string& key : keys) {
      RegionClip next;
      next.region_id = regions.back().region_id + 1;
      next.start = key;
      regions.back().end = std::move(key);
      regions.push_back(std::move(next));
    }
    return of(std::move(regions));
  }

  /// The regions that one node of several holds. Errors: invalid_argument, if one has no room for a
  /// key, or if they do not rise or overlap.
  [[nodiscard]] static Result<FixedRegions> of(std::vector<RegionClip> regions) {
    for (std::size_t i = 0; i < regions.size(); ++i) {
      const RegionClip& region = regions[i];
      const bool room = region.end.empty() || ByteView(region.start) < ByteView(region.end);
      const bool behind = i == 0 || (!regions[i - 1].end.empty() &&
                                     ByteView(regions[i - 1].end) <= ByteView(region.start));
      if (room && behind) continue;
      return Status::error(StatusCode::invalid_argument,
                           room ? "the regions of a node must rise and not overlap"
                                : "the start of a region must be below its end; keys that split a "
                                  "store into regions strictly rise and are not empty")
          .with_range(region.start, region.end);
    }
    FixedRegions out;
    out.regions_ = std::move(regions);
    return out;
  }

  [[nodiscard]] std::vector<RegionClip> clips(const KeyRange& range) const {
    std::vector<RegionClip> out;
    // the first region that may hold a key of the range: those before it end at or before its start
    auto at =
        std::partition_point(regions_.begin(), regions_.end(), [&range](const RegionClip& region) {
          return !region.end.empty() && ByteView(region.end) <= ByteView(range.start);
        });
    for (; at != regions_.end(); ++at) {
      auto both = intersection(range, KeyRange{range.cf, at->start, at->end});
      if (!both) break;
      out.push_back({at->region_id, at->version, std::move(both->start), std::move(both->end)});
    }
    return out;
  }

 private:
  std::vector<RegionClip> regions_;
};
static_assert(RegionLayout<FixedRegions>);

}  // namespace kvbackup::inline v1
