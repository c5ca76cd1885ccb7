// SPDX-License-Identifier: Apache-2.0
// What a run will do, decided before any worker starts: which ranges, cut into which sub-ranges.
// A function of the source's data and the options, never of the number of threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backup/options.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/key_ranges.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

/// What a run will scan, and how it is divided among workers; made by make_plan().
struct BackupPlan {
  /// The ranges of the backup: column families in the order asked for, keys rising, adjacent
  /// merged.
  std::vector<KeyRange> ranges;
  /// What the workers take, in the order of backupmeta. They tile `ranges`.
  std::vector<KeyRange> sub_ranges;
  /// What the source expects to give.
  SizeEstimate total;
};

namespace detail {

/// Adds up estimates; a total is known only where every part is.
inline void add_estimate(SizeEstimate& sum, const SizeEstimate& part) {
  const auto add = [](std::optional<std::uint64_t>& a, const std::optional<std::uint64_t>& b) {
    a = a && b ? std::optional(*a + *b) : std::nullopt;
  };
  add(sum.pairs, part.pairs);
  add(sum.bytes, part.bytes);
}

/// Whether `parts` follow one another from range.start to range.end without gap, overlap or empty
/// one.
[[nodiscard]] inline bool tiles(const KeyRange& range, const std::vector<KeyRange>& parts) {
  const std::string* at = &range.start;
  for (const KeyRange& part : parts) {
    if (part.cf != range.cf || part.start != *at || part.empty()) return false;
    if (part.end.empty() && &part != &parts.back()) return false;
    at = &part.end;
  }
  return !parts.empty() && *at == range.end;
}

/// The sub-ranges of one range. Those without a pair are joined to a neighbour, so that each makes
/// at least one file and the files tile the range.
template <Snapshot S>
[[nodiscard]] Result<std::vector<KeyRange>> split_range(const S& snapshot, const KeyRange& range,
                                                        std::uint64_t target_bytes) {
  std::vector<KeyRange> out;
  if constexpr (SplittableSnapshot<S>) {
    auto split = snapshot.split(range, target_bytes);
    if (!split.ok()) return std::move(split).status();
    if (!tiles(range, split.value())) {
      return Status::error(StatusCode::internal,
                           "the sub-ranges of the source's split() do not tile the range")
          .with_object(range.cf)
          .with_range(range.start, range.end);
    }
    bool out_has_pairs = false;
    for (KeyRange& part : split.value()) {
      bool has_pairs = true;
      if (split.value().size() > 1) {
        auto scan = snapshot.scan(part);
        if (!scan.ok()) return std::move(scan).status();
        has_pairs = scan.value().valid();
        if (Status status = scan.value().status(); !status.ok()) return status;
      }
      if (!out.empty() && (!has_pairs || !out_has_pairs)) {
        out.back().end = std::move(part.end);
      } else {
        out.push_back(std::move(part));
      }
      out_has_pairs = out_has_pairs || has_pairs;
    }
  } else {
    out.push_back(range);
  }
  return out;
}

}  // namespace detail

/// The plan of a run over `source`, a Snapshot or a plain source.
template <class Source>
[[nodiscard]] Result<BackupPlan> make_plan(const Source& source, const BackupOptions& options) {
  std::vector<KeyRange> asked = options.ranges;
  if constexpr (EnumerableSnapshot<Source>) {
    if (asked.empty()) {
      auto all = source.ranges();
      if (!all.ok()) return std::move(all).status();
      asked = std::move(all).value();
    }
  } else {
    if (asked.empty()) asked.emplace_back();
  }
  auto ranges = normalize_ranges(std::move(asked));
  if (!ranges.ok()) return std::move(ranges).status();
  if constexpr (PartialSnapshot<Source>) {
    if (Status status = source.check_held(ranges.value()); !status.ok()) return status;
  }

  BackupPlan plan;
  plan.ranges = std::move(ranges).value();
  if constexpr (Snapshot<Source>) {
    plan.total = {.pairs = 0, .bytes = 0};
    for (const KeyRange& range : plan.ranges) {
      auto parts = detail::split_range(source, range, options.part_size);
      if (!parts.ok()) return std::move(parts).status();
      std::move(parts.value().begin(), parts.value().end(), std::back_inserter(plan.sub_ranges));
      SizeEstimate estimate;
      if constexpr (EstimatingSnapshot<Source>) estimate = source.estimate(range);
      detail::add_estimate(plan.total, estimate);
    }
  } else {
    if (plan.ranges.size() > 1) {
      return Status::error(StatusCode::invalid_argument,
                           "a source that can be read once takes one key range; give a Snapshot to "
                           "back up several");
    }
    plan.sub_ranges = plan.ranges;
  }
  return plan;
}

}  // namespace kvbackup::inline v1
