// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/source/bounded_source.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/source/range_source.hpp"

namespace kvbackup::inline v1 {

/// A container in memory as a snapshot of one column family, so that several threads back it up.
///
/// `RangeSnapshot(lvalue)` borrows: the container outlives the snapshot and its scans and is not
/// changed meanwhile. `RangeSnapshot(rvalue)` owns it; the snapshot then outlives its scans. The
/// elements are sorted by key as unsigned bytes, which is not checked here.
template <class R>
requires PairRange<const std::remove_reference_t<R>> &&
    std::ranges::forward_range<const std::remove_reference_t<R>> &&
    detail::Searchable<const std::remove_reference_t<R>>
class RangeSnapshot {
  using Range = const std::remove_reference_t<R>;

 public:
  explicit RangeSnapshot(R&& range, std::string cf = std::string(default_cf))
      : range_(std::forward<R>(range)), cf_(std::move(cf)) {}

  /// not_found for another column family.
  [[nodiscard]] Result<BoundedSource<RangeSource<Range&>>> scan(const KeyRange& range) const {
    if (Status status = check_cf(range); !status.ok()) return status;
    return bounded(range);
  }
  /// Sub-ranges of at least `target_bytes` of keys and values, but for the last.
  [[nodiscard]] Result<std::vector<KeyRange>> split(const KeyRange& range,
                                                    std::uint64_t target_bytes) const {
    if (Status status = check_cf(range); !status.ok()) return status;
    std::vector<KeyRange> parts{range};
    std::uint64_t bytes = 0;
    for (auto source = bounded(range); source.valid(); source.next()) {
      if (bytes > 0 && bytes >= target_bytes) {
        std::string cut(source.key());
        parts.back().end = cut;
        parts.push_back(KeyRange{range.cf, std::move(cut), range.end});
        bytes = 0;
      }
      bytes += source.key().size() + source.value().size();
    }
    return parts;
  }
  [[nodiscard]] SizeEstimate estimate(const KeyRange& range) const {
    SizeEstimate estimate;
    if (range.cf != cf_) return estimate;
    std::uint64_t pairs = 0;
    std::uint64_t bytes = 0;
    for (auto source = bounded(range); source.valid(); source.next()) {
      ++pairs;
      bytes += source.key().size() + source.value().size();
    }
    estimate.pairs = pairs;
    estimate.bytes = bytes;
    return estimate;
  }
  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    KeyRange whole;
    whole.cf = cf_;
    return std::vector<KeyRange>{std::move(whole)};
  }

 private:
  [[nodiscard]] BoundedSource<RangeSource<Range&>> bounded(const KeyRange& range) const {
    return {RangeSource<Range&>(range_.get()), range.start, range.end};
  }
  [[nodiscard]] Status check_cf(const KeyRange& range) const {
    if (range.cf == cf_) return {};
    return Status::error(StatusCode::not_found, "the container is not that column family")
        .with_object(range.cf);
  }

  detail::RangeHolder<R> range_;
  std::string cf_;
};

template <class R>
RangeSnapshot(R&&) -> RangeSnapshot<R>;
template <class R>
RangeSnapshot(R&&, std::string) -> RangeSnapshot<R>;

namespace detail {
using SnapshotOfVector = RangeSnapshot<const std::vector<std::pair<std::string, std::string>>&>;
}
static_assert(SplittableSnapshot<detail::SnapshotOfVector> &&
              EstimatingSnapshot<detail::SnapshotOfVector> &&
              EnumerableSnapshot<detail::SnapshotOfVector>);

}  // namespace kvbackup::inline v1
