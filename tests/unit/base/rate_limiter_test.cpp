// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"

using namespace kvbackup;
using test_support::FixedClock;

namespace {
constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t mib = 1u << 20;

// Remembers its sleeps; may cancel at one of them.
class WatchedClock final : public Clock {
 public:
  std::uint64_t unix_ms() override { return 0; }
  std::uint64_t steady_ns() override { return now; }
  void sleep_ns(std::uint64_t duration) override {
    sleeps.push_back(duration);
    now += duration;
    if (token != nullptr && sleeps.size() == cancel_at) token->cancel();
  }

  std::uint64_t now = 12345;
  std::vector<std::uint64_t> sleeps;
  CancelToken* token = nullptr;
  std::size_t cancel_at = 0;
};
}  // namespace

TEST_CASE("the time that many requests take is their bytes over the rate") {
  FixedClock clock;
  RateLimiter limiter(10 * mib, clock);
  for (int i = 0; i < 1600; ++i) REQUIRE(limiter.acquire(mib / 16).ok());
  // 100 MiB at 10 MiB/s; the last request is let go before it is paid for
  CHECK(clock.slept_ns() <= 10 * second);
  CHECK(clock.slept_ns() >= 10 * second - second / 160 - 1600);
}

TEST_CASE("a request larger than a second's worth goes ahead and is paid for by the next") {
  FixedClock clock;
  RateLimiter limiter(mib, clock);
  std::uint64_t waited_ns = 7;  // of others
  REQUIRE(limiter.acquire(30 * mib, nullptr, &waited_ns).ok());
  CHECK(clock.slept_ns() == 0);
  CHECK(waited_ns == 7);
  REQUIRE(limiter.acquire(1, nullptr, &waited_ns).ok());
  CHECK(clock.slept_ns() == 30 * second);
  CHECK(waited_ns == 30 * second + 7);
}

TEST_CASE("a pause is caught up on by no more than the burst") {
  WatchedClock clock;
  RateLimiter limiter(1000, clock);
  REQUIRE(limiter.acquire(1).ok());
  clock.now += 3600 * second;
  const std::uint64_t after_pause = clock.now;
  for (int i = 0; i < 1000; ++i) REQUIRE(limiter.acquire(1).ok());
  const std::uint64_t took = clock.now - after_pause;
  CHECK(took <= second);
  CHECK(took >= second - RateLimiter::burst_ns - second / 1000);
}

TEST_CASE("a wait is cut in slices and ends when the run is cancelled") {
  WatchedClock clock;
  CancelToken token;
  clock.token = &token;
  clock.cancel_at = 3;
  RateLimiter limiter(mib, clock);
  REQUIRE(limiter.acquire(1000 * mib, &token).ok());
  CHECK(limiter.acquire(1, &token).code() == StatusCode::cancelled);
  REQUIRE(clock.sleeps.size() == 3);
  CHECK(*std::max_element(clock.sleeps.begin(), clock.sleeps.end()) <= wait_slice_ns);
  CHECK(wait_slice_ns <= 20'000'000);
}

TEST_CASE("a cancelled run gets nothing even where there is nothing to wait for") {
  FixedClock clock;
  CancelToken token;
  token.cancel();
  RateLimiter limited(mib, clock);
  RateLimiter unlimited(0, clock);
  CHECK(limited.acquire(1, &token).code() == StatusCode::cancelled);
  CHECK(unlimited.acquire(1, &token).code() == StatusCode::cancelled);
}

TEST_CASE("a rate of zero is no limit") {
  FixedClock clock;
  RateLimiter limiter(0, clock);
  for (int i = 0; i < 100; ++i) REQUIRE(limiter.acquire(~std::uint64_t{0}).ok());
  CHECK(clock.slept_ns() == 0);
}

TEST_CASE("sizes and rates at the ends of their range do not overflow") {
  const std::uint64_t most = ~std::uint64_t{0};
  FixedClock clock;
  RateLimiter fast(most, clock);
  for (int i = 0; i < 10; ++i) REQUIRE(fast.acquire(most).ok());
  CHECK(clock.slept_ns() == 9 * second);
  CancelToken token;
  RateLimiter slow(1, clock);
  REQUIRE(slow.acquire(most, &token).ok());
  token.cancel();
  CHECK(slow.acquire(most, &token).code() == StatusCode::cancelled);
  CHECK(slow.acquire(most, &token).code() == StatusCode::cancelled);
}

TEST_CASE("a clock that stands still is an error and not an endless wait") {
  class StoppedClock final : public Clock {
   public:
    std::uint64_t unix_ms() override { return 0; }
    std::uint64_t steady_ns() override { return 5; }
    void sleep_ns(std::uint64_t) override {}
  };
  StoppedClock clock;
  RateLimiter limiter(mib, clock);
  REQUIRE(limiter.acquire(mib).ok());
  CHECK(limiter.acquire(mib).code() == StatusCode::invalid_argument);
}

TEST_CASE("workers of one run share one limit") {
  // Time moves only while somebody sleeps, and moves further the more sleep: so only a lower bound
  // on it says something.
  FixedClock clock;
  RateLimiter limiter(mib, clock);
  std::vector<std::thread> workers;
  std::atomic<int> failed{0};
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) failed += limiter.acquire(mib / 10).ok() ? 0 : 1;
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(failed == 0);
  // the last request waits for the 399 before it, which are 39.9 MiB
  CHECK(clock.slept_ns() >= 39 * second);
}
