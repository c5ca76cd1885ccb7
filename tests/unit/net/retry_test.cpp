// SPDX-License-Identifier: Apache-2.0
// When a request is sent again, and after which wait; no test here sleeps.
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"

using namespace kvbackup;
using test_support::FixedClock;
using test_support::FixedRandom;
using test_support::Recorder;

namespace {
Status busy() { return Status::error(StatusCode::unavailable, "busy").as_retryable(); }
constexpr std::uint64_t ms = 1'000'000;
}  // namespace

TEST_CASE("a wait doubles up to its bound and is drawn from all of it") {
  FixedClock clock;
  FixedRandom random(~std::uint64_t{0});
  Recorder observer;
  const RetryOptions options{.attempts = 6, .first_wait_ms = 100, .longest_wait_ms = 500};
  for (const std::uint64_t drawn : {0u, 1'000'000u}) {
    random.value = drawn;
    Retry retry(options, {&clock, &random, nullptr, &observer, "ask"});
    Status status = busy();
    while (retry.again(status)) {
    }
    CHECK(retry.failures() == 6);
  }
  CHECK(observer.operations == std::vector<std::string>(10, "ask"));
  // 1,000,000 modulo 101, 201, 401, 501, 501
  CHECK(observer.waits == std::vector<std::uint64_t>{0, 0, 0, 0, 0, 1'000'000 % 101,
                                                     1'000'000 % 201, 1'000'000 % 401,
                                                     1'000'000 % 501, 1'000'000 % 501});
}

TEST_CASE("what the server asks for is waited for, and no less") {
  FixedClock clock;
  FixedRandom random(0);
  const RetryOptions options;
  Retry retry(options, {&clock, &random});
  Status status = busy();
  CHECK(retry.again(status, 3'000));
  CHECK(clock.slept_ns() == 3'000 * ms);
}

TEST_CASE("a retry ends with its attempts, its budget, and at once where none helps") {
  FixedClock clock;
  FixedRandom random(0);
  Status status = busy();
  const RetryOptions once{.attempts = 1};
  CHECK_FALSE(Retry(once, {&clock, &random}).again(status));
  const RetryOptions tight{.attempts = 100, .budget_ms = 1'000};
  Retry retry(tight, {&clock, &random});
  CHECK(retry.again(status, 900));
  CHECK_FALSE(retry.again(status, 200));
  CHECK(status.message() == "busy");
  Status lasting = Status::error(StatusCode::permission_denied, "no");
  CHECK_FALSE(Retry(tight, {&clock, &random}).again(lasting));
  CHECK(clock.slept_ns() == 900 * ms);
}

TEST_CASE("a cancelled run does not wait") {
  FixedClock clock;
  FixedRandom random(0);
  CancelToken cancel;
  cancel.cancel();
  const RetryOptions options;
  Retry retry(options, {&clock, &random, &cancel});
  Status status = busy();
  CHECK_FALSE(retry.again(status, 60'000));
  CHECK(status.code() == StatusCode::cancelled);
  CHECK(clock.slept_ns() == 0);
}

TEST_CASE("Retry-After is seconds or a date") {
  const auto after = [](const char* text) {
    return retry_after_ms({503, {{"retry-after", text}}, ""}, 1'369'353'600'000);
  };
  CHECK(after("120") == 120'000u);
  CHECK(after("Fri, 24 May 2013 00:00:30 GMT") == 30'000u);
  CHECK(after("Thu, 23 May 2013 00:00:30 GMT") == 0u);
  CHECK_FALSE(after("soon").has_value());
  CHECK_FALSE(after("-1").has_value());
  CHECK_FALSE(retry_after_ms({503, {}, ""}, 0).has_value());
}

TEST_CASE("only statuses of trouble that passes are worth a retry") {
  for (const int status : {408, 425, 429, 500, 502, 503, 504})
    CHECK(is_retryable_http_status(status));
  for (const int status : {200, 301, 400, 401, 403, 404, 409, 412, 416, 501, 505}) {
    CHECK_FALSE(is_retryable_http_status(status));
  }
}

TEST_CASE("random numbers of the process differ") {
  ProcessRandom random;
  CHECK(random.next() != random.next());
}
