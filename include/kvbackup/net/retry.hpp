// SPDX-License-Identifier: Apache-2.0
// The one retry policy: what is sent again, and after which wait.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/time_text.hpp"

namespace kvbackup::inline v1 {

/// Exponential back-off with full jitter: before attempt n + 1 a wait of 0 to
/// min(first_wait_ms * 2^(n-1), longest_wait_ms), or what the server's Retry-After asks if that is
/// longer.
struct RetryOptions {
  std::uint32_t attempts = 10;             ///< at most, the first included; 0 counts as 1
  std::uint32_t first_wait_ms = 200;       ///< bound of the first wait
  std::uint32_t longest_wait_ms = 20'000;  ///< bound of every wait but for Retry-After
  /// No attempt begins later than this after the first one did; 0 is no limit.
  std::uint64_t budget_ms = 15 * 60 * 1'000;
};

/// HTTP statuses that a server gives for a while only.
[[nodiscard]] constexpr bool is_retryable_http_status(int status) noexcept {
  switch (status) {
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504: return true;
    default: return false;
  }
}

/// What the Retry-After header asks, in milliseconds from now; nothing if it is absent or is none.
[[nodiscard]] inline std::optional<std::uint64_t> retry_after_ms(const HttpResponse& response,
                                                                 std::uint64_t now_unix_ms) {
  const auto text = response.header("Retry-After");
  if (!text) return std::nullopt;
  std::uint32_t seconds = 0;
  const auto [rest, failed] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (failed == std::errc() && rest == text->data() + text->size()) {
    return std::uint64_t{seconds} * 1'000;
  }
  const auto at = parse_http_date(*text);
  if (!at) return std::nullopt;
  return *at - std::min(*at, now_unix_ms);
}

/// The seams of a retry. All are borrowed; cancel and observer may be null, and `operation` is for
/// the observer.
struct RetrySeams {
  Clock* clock = nullptr;
  RandomSource* random = nullptr;
  const CancelToken* cancel = nullptr;
  NetObserver* observer = nullptr;
  std::string_view operation = {};
};

/// Counts the attempts of one request.
///
///     for (Retry retry(options, seams);;) {
///       Status status = attempt();
///       if (status.ok() || !retry.again(status, retry_after)) return status;
///     }
class Retry {
 public:
  /// The longest sleep between two looks at the cancel token.
  static constexpr std::uint64_t slice_ms = 20;

  Retry(const RetryOptions& options, const RetrySeams& seams)
      : options_(options), seams_(seams), began_ns_(seams.clock->steady_ns()) {}

  /// Attempts that failed so far.
  [[nodiscard]] std::uint32_t failures() const noexcept { return failures_; }

  /// Whether to try again after `failure`; the wait is over when it says yes. False if the failure
  /// is not retryable(), attempts or budget are used up, or the token is set; `failure` then says
  /// so.
  [[nodiscard]] bool again(Status& failure, std::optional<std::uint64_t> retry_after = {}) {
    ++failures_;
    if (!failure.retryable() || failures_ >= options_.attempts) return false;
    const std::uint64_t wait = std::max(jitter(), retry_after.value_or(0));
    if (options_.budget_ms != 0) {
      const std::uint64_t spent = (seams_.clock->steady_ns() - began_ns_) / 1'000'000;
      if (spent >= options_.budget_ms || wait > options_.budget_ms - spent) return false;
    }
    if (seams_.observer != nullptr) seams_.observer->on_retry(seams_.operation, failure, wait);
    Status status = sleep(wait);
    if (status.ok()) return true;
    failure = std::move(status);
    return false;
  }

 private:
  [[nodiscard]] std::uint64_t jitter() {
    const std::uint64_t doublings = std::min<std::uint64_t>(failures_ - 1, 31);
    const std::uint64_t bound = std::min<std::uint64_t>(
        std::uint64_t{options_.first_wait_ms} << doublings, options_.longest_wait_ms);
    return seams_.random->next() % (bound + 1);
  }

  Status sleep(std::uint64_t wait_ms) {
    while (wait_ms != 0) {
      if (Status status = check_cancel(seams_.cancel); !status.ok()) return status;
      const std::uint64_t slice = std::min(wait_ms, slice_ms);
      seams_.clock->sleep_ns(slice * 1'000'000);
      wait_ms -= slice;
    }
    return check_cancel(seams_.cancel);
  }

  const RetryOptions& options_;
  RetrySeams seams_;
  std::uint64_t began_ns_;
  std::uint32_t failures_ = 0;
};

}  // namespace kvbackup::inline v1
