// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// The longest sleep between two looks at a cancel token.
inline constexpr std::uint64_t wait_slice_ns = 20'000'000;

/// Sleeps until the steady time of `clock` is `steady_ns`, or not at all if that is past. Errors:
/// cancelled, within a slice of the token being set; invalid_argument if the clock stands still.
[[nodiscard]] inline Status wait_until(Clock& clock, std::uint64_t steady_ns,
                                       const CancelToken* cancel) {
  // sleeps in a row without a tick; a real clock moves during each
  constexpr int longest_still = 1000;
  std::uint64_t before = clock.steady_ns();
  for (int still = 0; before < steady_ns;) {
    if (Status status = check_cancel(cancel); !status.ok()) return status;
    clock.sleep_ns(std::min(steady_ns - before, wait_slice_ns));
    const std::uint64_t now = clock.steady_ns();
    still = now > before ? 0 : still + 1;
    if (still == longest_still) {
      return Status::error(StatusCode::invalid_argument,
                           "the clock's steady time stands still; a wait, such as a rate limit's, "
                           "needs one that moves, such as SystemClock");
    }
    before = std::max(before, now);
  }
  return check_cancel(cancel);
}

}  // namespace kvbackup::inline v1
