// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/base/wait.hpp"

namespace kvbackup::inline v1 {

/// Holds all workers of a run together to so many bytes a second: one token bucket, thread-safe.
///
/// A request goes ahead once those before it are paid for, and is paid for by those after it, so
/// one of any size is allowed. In any time T at most bytes_per_second * (T + burst), and one
/// request, pass.
class RateLimiter {
 public:
  /// What may be caught up on after a pause: a tenth of a second's worth, the refill period of
  /// TiKV's own limiter.
  static constexpr std::uint64_t burst_ns = 100'000'000;

  /// `bytes_per_second` 0 is unlimited. `clock` is borrowed; its steady time must move.
  RateLimiter(std::uint64_t bytes_per_second, Clock& clock) noexcept
      : rate_(bytes_per_second), clock_(clock) {}
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  /// Returns when `bytes` may be sent. What it waited is added to `waited_ns`, if that is given.
  /// Errors: cancelled, within a slice of the token being set; invalid_argument if the clock
  /// stands still.
  Status acquire(std::uint64_t bytes, const CancelToken* cancel = nullptr,
                 std::uint64_t* waited_ns = nullptr) {
    if (rate_ == 0) return check_cancel(cancel);
    const std::uint64_t turn = reserve(bytes);
    const std::uint64_t before = clock_.steady_ns();
    Status status = wait_until(clock_, turn, cancel);
    if (waited_ns != nullptr && turn > before) *waited_ns += clock_.steady_ns() - before;
    return status;
  }

 private:
  /// Takes the place behind the requests before this one, and gives its time.
  std::uint64_t reserve(std::uint64_t bytes) {
    const MutexLock lock(mutex_);
    const std::uint64_t now = clock_.steady_ns();
    if (!started_) {
      started_ = true;
      free_at_ = now;
    }
    const std::uint64_t turn = std::max(free_at_, now - std::min(now, burst_ns));
    free_at_ = turn + std::min(cost_ns(bytes), farthest_ns - std::min(turn, farthest_ns));
    return turn;
  }

  [[nodiscard]] std::uint64_t cost_ns(std::uint64_t bytes) const noexcept {
    constexpr std::uint64_t second = 1'000'000'000;
    const std::uint64_t seconds = bytes / rate_;
    if (seconds >= farthest_ns / second) return farthest_ns;
    const double rest = static_cast<double>(bytes % rate_) / static_cast<double>(rate_);
    return seconds * second + static_cast<std::uint64_t>(rest * 1e9 + 0.5);
  }

  /// Times are kept below 2^62 ns (146 years), so that sums cannot overflow.
  static constexpr std::uint64_t farthest_ns = 1ull << 62;

  std::uint64_t rate_;
  Clock& clock_;
  Mutex mutex_;
  std::uint64_t free_at_ = 0;  // when all requests so far are paid for; under mutex_
  bool started_ = false;       // under mutex_
};

}  // namespace kvbackup::inline v1
