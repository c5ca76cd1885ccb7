// SPDX-License-Identifier: Apache-2.0
// A backup to S3 that ends at any of its requests or answers: it is not there, or it is whole.
#include <cstdint>
#include <optional>
#include <string>

#include "crash_support.hpp"
#include "support/net_seams.hpp"
#include "support/scripted_transport.hpp"
#include "support/tiny_s3.hpp"

namespace crash_test {

namespace {

using S3 = BasicS3Backend<test_support::ScriptedTransport>;
using test_support::TinyS3;

struct Bucket {
  Bucket() {
    options.endpoint = "http://127.0.0.1:9000";
    options.bucket = "b";
    options.access_key = "AKID";
    options.secret_access_key = "SECRET";
    options.retry.attempts = 3;
    options.clock = &clock;
    options.random = &random;
  }
  S3 backend() { return S3(options, server.transport()); }

  test_support::FixedClock clock;
  test_support::FixedRandom random{7};
  S3Options options;
  TinyS3 server;
};

std::uint64_t fail_everywhere(bool after_the_request, bool for_good, TinyS3::Response failure) {
  const auto store = small_store();
  for (std::uint64_t n = 1;; ++n) {
    INFO("request " << n);
    Bucket bucket;
    std::uint64_t count = 0;
    bucket.server.fault = [&](const test_support::SentRequest&,
                              bool done) -> std::optional<TinyS3::Response> {
      if (!done) ++count;
      if (count < n || (count > n && !for_good)) return std::nullopt;
      // for good: the process is gone, so nothing that follows reaches the server
      if (done != after_the_request && (count == n || done)) return std::nullopt;
      return failure;
    };
    const Status status = back_up(store, bucket.backend());
    bucket.server.fault = nullptr;
    const bool is_there = bucket.backend().exists(backupmeta_name).value();
    INFO(status.to_string());
    if (is_there) {
      CHECK(holds(bucket.backend(), store));
    } else {
      CHECK_FALSE(status.ok());
    }
    CHECK(bucket.server.uploads.empty());
    if (count < n) {
      CHECK(status.ok());
      return n;
    }
  }
}

}  // namespace

TEST_CASE("a run whose requests end at any one leaves a whole backup or none") {
  for (const bool after : {false, true}) {
    CHECK(fail_everywhere(after, true, test_support::lost()) > 6);
  }
}

TEST_CASE(
    "a request that is lost or refused, before or after it is done, leaves a whole backup or "
    "none") {
  for (const bool after : {false, true}) {
    CHECK(fail_everywhere(after, false, test_support::lost()) > 6);
    CHECK(fail_everywhere(after, false, test_support::s3_error(403, "AccessDenied")) > 6);
  }
}

TEST_CASE("a bucket that is removed meanwhile is named") {
  for (std::uint64_t n = 1; n <= 6; ++n) {
    Bucket bucket;
    std::uint64_t count = 0;
    bucket.server.fault = [&](const test_support::SentRequest&,
                              bool done) -> std::optional<TinyS3::Response> {
      if (done || ++count < n) return std::nullopt;
      return test_support::s3_error(404, "NoSuchBucket");
    };
    const Status status = back_up(small_store(), bucket.backend());
    INFO(n << ": " << status.to_string());
    CHECK_FALSE(status.ok());
    CHECK(status.to_string().find("NoSuchBucket") != std::string::npos);
  }
}

}  // namespace crash_test
