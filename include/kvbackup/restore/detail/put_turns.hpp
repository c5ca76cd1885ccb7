// SPDX-License-Identifier: Apache-2.0
// What every way of putting pairs into a target does on the side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/rate_limiter.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/restore/progress.hpp"
#include "kvbackup/restore/restore_plan.hpp"
#include "kvbackup/sink/concept.hpp"

namespace kvbackup::inline v1::detail {

/// Hands what was done to the limiter, if there is one, and the observer, and looks at the cancel
/// token.
class PairMeter {
 public:
  PairMeter(RestoreReporter& reporter, RateLimiter* limiter, const CancelToken* cancel)
      : reporter_(reporter), limiter_(limiter), cancel_(cancel) {}

  [[nodiscard]] Status add(std::size_t bytes) {
    pairs_ += 1;
    bytes_ += bytes;
    // often enough for a limit of a few KiB a second, and for small pairs
    constexpr std::uint64_t step = 64 * 1024;
    constexpr std::uint64_t most_pairs = 1024;
    return bytes_ < step && pairs_ < most_pairs ? Status() : flush();
  }
  [[nodiscard]] Status flush() {
    const std::uint64_t bytes = std::exchange(bytes_, 0);
    reporter_.add_pairs(std::exchange(pairs_, 0), bytes);
    if (limiter_ == nullptr) return check_cancel(cancel_);
    std::uint64_t waited_ns = 0;
    Status status = limiter_->acquire(bytes, cancel_, &waited_ns);
    reporter_.add_throttled(waited_ns);
    return status;
  }

 private:
  RestoreReporter& reporter_;
  RateLimiter* limiter_;
  const CancelToken* cancel_;
  std::uint64_t pairs_ = 0;
  std::uint64_t bytes_ = 0;
};

template <class S>
inline constexpr bool has_cfs = requires(S sink, std::string_view cf) {
  sink.use(cf);
};

/// Tells a sink with column families which of them the next pairs belong to; those without pairs
/// have their turn too, so that they are there. `entered` counts the ranges that had theirs.
template <Sink S>
[[nodiscard]] Status enter_ranges(S& sink, const RestorePlan& plan, std::size_t& entered,
                                  std::size_t end) {
  if constexpr (has_cfs<S>) {
    for (; entered < end; ++entered) {
      const std::string& cf = plan.target_ranges[entered].cf;
      if (entered > 0 && plan.target_ranges[entered - 1].cf == cf) continue;
      if (Status status = sink.use(cf); !status.ok()) return status;
    }
  }
  return {};
}

/// A sink without column families takes pairs of one.
template <Sink S>
[[nodiscard]] Status check_cfs(const RestorePlan& plan) {
  if (has_cfs<S>) return {};
  for (const KeyRange& range : plan.target_ranges) {
    if (range.cf == plan.target_ranges.front().cf) continue;
    return Status::error(StatusCode::invalid_argument,
                         "the target holds one column family and the restore has several; name "
                         "the one to restore")
        .with_object(range.cf);
  }
  return {};
}

/// The column families of the plan are there, even without pairs.
template <class T>
[[nodiscard]] Status add_cfs(T& target, const RestorePlan& plan) {
  if constexpr (requires(std::string_view cf) { target.add_cf(cf); }) {
    for (const KeyRange& range : plan.target_ranges) {
      if (Status status = target.add_cf(range.cf); !status.ok()) return status;
    }
  }
  return {};
}

}  // namespace kvbackup::inline v1::detail
