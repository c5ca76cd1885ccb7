// SPDX-License-Identifier: Apache-2.0
// One source of tokens for several threads.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"
#include "support/scripted_transport.hpp"

using namespace kvbackup;
using test_support::FakeEnvironment;
using test_support::FixedClock;
using test_support::FixedRandom;

TEST_CASE("threads may ask for tokens and refuse them at the same time") {
  struct Endpoint {
    Result<HttpResponse> perform(const HttpRequest&) {
      return test_support::answer(
          200, R"({"expires_in":3600,"access_token":"t)" + std::to_string(++given) + "\"}");
    }
    std::atomic<int> given{0};
  };
  Endpoint endpoint;
  FakeEnvironment environment;
  FixedClock clock;
  FixedRandom random{0};
  GoogleTokenSource<Endpoint> tokens(
      endpoint,
      R"({"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"})",
      false, environment, {}, {&clock, &random, nullptr, nullptr}, {});
  std::vector<std::thread> threads;
  std::atomic<int> got{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        const auto token = tokens.token();
        if (token.ok() && token.value().starts_with('t')) ++got;
        if (n % 20 == 0) tokens.refused(token.ok() ? token.value() : "");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(got == 800);
  CHECK(endpoint.given <= 4 * (1 + 10));
}
