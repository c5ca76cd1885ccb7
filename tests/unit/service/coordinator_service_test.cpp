// SPDX-License-Identifier: Apache-2.0
// The coordinator over BackupService nodes of this process.
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/service_host.hpp"
#include "unit/service/scripted_node.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

/// The regions that a node leads; `error`, if set, is asked before each of its clips.
struct LedRegions {
  FixedRegions regions;
  std::function<std::optional<RegionError>(const RegionClip&)> error{};

  [[nodiscard]] std::vector<RegionClip> clips(const KeyRange& range) const {
    return regions.clips(range);
  }
  [[nodiscard]] std::optional<RegionError> check(const RegionClip& clip) const {
    return error ? error(clip) : std::nullopt;
  }
};

using Service = BackupService<MemoryHost, BuiltCodecs, FileHasher, LedRegions>;

/// A service whose process is killed behind an answer, and is away for some calls then.
struct MortalNode {
  Service& service;
  int answers_until_death = -1;
  int calls_away = 0;

  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken* cancel) {
    if (answers_until_death == 0 && calls_away > 0) {
      --calls_away;
      return Status::error(StatusCode::unavailable, "connection refused").as_retryable();
    }
    if (calls_away == 0) return service.backup(request, respond, cancel);
    return service.backup(
        request,
        [&](BackupResponse&& response) -> Status {
          // what is written and not told is an orphan that nobody knows of
          if (answers_until_death == 0) {
            return Status::error(StatusCode::unavailable, "connection reset").as_retryable();
          }
          --answers_until_death;
          return respond(std::move(response));
        },
        cancel);
  }
  [[nodiscard]] std::string_view address() const { return service.address(); }
};

/// A clock whose wall time is another one whenever it is asked.
class CountingClock final : public Clock {
 public:
  std::uint64_t unix_ms() override { return ++now_; }
  std::uint64_t steady_ns() override { return 0; }
  void sleep_ns(std::uint64_t /*duration*/) override {}

 private:
  std::atomic<std::uint64_t> now_{1'600'000'000'000};
};

}  // namespace

TEST_CASE("three services, one killed and back, one with region errors: a whole backup") {
  const Store store = many_pairs(20'000);
  Bench bench;
  ThreadExecutor threads;
  CountingClock service_clock;  // a region that is asked for again gets another file name
  // every third of the stretches of ten "user/NN/"
  std::vector<std::vector<RegionClip>> led(3);
  for (unsigned i = 0; i < 10; ++i) {
    const auto bound = [](unsigned at) { return "user/" + std::to_string(at * 10); };
    led[i % 3].push_back({.region_id = i + 1,
                          .version = 1,
                          .start = i < 2 ? (i == 0 ? "" : "user/1") : bound(i),
                          .end = i == 9 ? "" : (i == 0 ? "user/1" : bound(i + 1))});
  }
  std::atomic<int> errors{0};
  const auto service = [&](std::size_t number) {
    LedRegions regions{FixedRegions::of(led[number]).value()};
    if (number == 1) {
      regions.error = [&](const RegionClip&) -> std::optional<RegionError> {
        if (errors++ % 4 != 0) return std::nullopt;
        RegionError error;
        error.message = "moved";
        error.epoch_not_match.emplace();
        return error;
      };
    }
    return Service(MemoryHost{&store, bench.storage}, BuiltCodecs{}, FileHasher{}, service_clock,
                   &threads,
                   {.store_id = number + 1,
                    .part_size = 40'000,
                    .address = "store-" + std::to_string(number + 1)},
                   std::move(regions));
  };
  Service first = service(0);
  Service second = service(1);
  Service third = service(2);
  MortalNode mortal{third, 2, 3};
  bench.options.executor = &threads;
  bench.options.request.storage_backend = local_storage();
  const auto result = bench.run(first, second, mortal);
  INFO(result.status().to_string());
  REQUIRE(result.ok());
  CHECK(result.value().rounds > 2);
  CHECK(result.value().info.totals->kvs == store.size());

  const auto report = verify_backup(bench.storage, FileHasher{}, BuiltDecoders{}, {});
  REQUIRE(report.ok());
  for (const Finding& finding : report.value().findings) UNSCOPED_INFO(finding.to_string());
  CHECK(report.value().damages == 0);
  CHECK(report.value().is_whole());
  CHECK(report.value().pairs == store.size());
  // pair for pair
  auto backup = Backup<MemoryBackend>::open(bench.storage);
  REQUIRE(backup.ok());
  auto scan = backup.value().scan(KeyRange{});
  REQUIRE(scan.ok());
  Store read;
  for (auto& at = scan.value(); at.valid(); at.next()) read.emplace(at.key(), at.value());
  CHECK(read == store);
}

TEST_CASE("what a service refuses ends the run with its words") {
  const Store store{{"a", "1"}};
  Bench bench;
  bench.options.request.storage_backend = local_storage();
  SystemClock clock;
  Service service(MemoryHost{&store, bench.storage}, BuiltCodecs{}, FileHasher{}, clock, nullptr,
                  {.cluster_id = 5, .address = "store-1"}, LedRegions{});
  const auto outcome = [&](StatusCode code, std::string_view part) {
    const auto result = bench.run(service);
    REQUIRE_FALSE(result.ok());
    INFO(result.status().to_string());
    CHECK(result.status().code() == code);
    CHECK(result.status().object() == "store-1");
    CHECK(result.status().message().find(part) != std::string_view::npos);
  };
  SECTION("another cluster") {
    bench.options.request.cluster_id = 6;
    outcome(StatusCode::invalid_argument, "cluster 5, and cluster 6");
  }
  SECTION("a column family that is not there") {
    bench.options.request.cluster_id = 5;
    bench.options.request.cf = "strange";
    outcome(StatusCode::not_found, "strange");
  }
  SECTION("no storage") {
    bench.options.request.cluster_id = 5;
    bench.options.request.storage_backend.reset();
    outcome(StatusCode::io_error, "bad storage backend");
  }
  CHECK_FALSE(bench.has("backupmeta"));
}
