// SPDX-License-Identifier: Apache-2.0
// Many workers write what one writes.
#include <atomic>
#include <map>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using test_support::many_pairs;
using test_support::Store;

namespace {

// An observer that notices two calls at once.
struct Exclusive final : Observer {
  std::atomic<int> inside{0};
  std::atomic<bool> overlapped{false};
  std::size_t files = 0;
  Progress last;

  void on_file(const File&) override {
    enter();
    ++files;
    inside.fetch_sub(1);
  }
  void on_progress(const Progress& progress) override {
    enter();
    last = progress;
    inside.fetch_sub(1);
  }

 private:
  void enter() {
    if (inside.fetch_add(1) != 0) overlapped = true;
  }
};

std::map<std::string, std::string> objects_of(MemoryBackend& backend) {
  std::map<std::string, std::string> objects;
  for (const ObjectInfo& info : backend.list("").value()) {
    objects[info.name] = backend.read(info.name).value();
  }
  return objects;
}

}  // namespace

TEST_CASE("all objects are the same bytes, whatever the number of workers") {
  const Store store = many_pairs(20'000);
  std::map<std::string, std::string> first;
  for (const std::size_t workers : {1u, 2u, 7u}) {
    MemoryBackend backend;
    test_support::FixedClock clock;
    ThreadExecutor threads;
    Exclusive observer;
    BackupOptions options;
    options.clock = &clock;
    options.executor = &threads;
    options.observer = &observer;
    options.concurrency = workers;
    options.part_size = 30'000;
    const auto meta =
        BackupPipeline(RangeSnapshot(store), Lz4Codec{}, FileHasher{}, backend).run(options);
    REQUIRE(meta.ok());
    CHECK_FALSE(observer.overlapped);
    CHECK(observer.files == meta.value().files.size());
    CHECK(observer.last.pairs == store.size());
    CHECK(observer.last.ranges == observer.last.total_ranges);
    const auto objects = objects_of(backend);
    CHECK(objects.size() > 20);
    if (workers == 1) first = objects;
    CHECK(objects == first);
    const auto& files = meta.value().files;
    CHECK(files.front().start_key.empty());
    CHECK(files.back().end_key.empty());
    for (std::size_t i = 1; i < files.size(); ++i) {
      CHECK(files[i].start_key == files[i - 1].end_key);
    }
  }
}

TEST_CASE("the workers of a run share one rate limit") {
  const Store store = many_pairs(5000);
  MemoryBackend backend;
  test_support::FixedClock clock;
  ThreadExecutor threads;
  BackupOptions options;
  options.clock = &clock;
  options.executor = &threads;
  options.concurrency = 4;
  options.part_size = 20'000;
  options.rate_limit = 50'000;
  const auto meta =
      BackupPipeline(RangeSnapshot(store), NoneCodec{}, FileHasher{}, backend).run(options);
  REQUIRE(meta.ok());
  std::uint64_t stored = 0;
  for (const File& file : meta.value().files) stored += file.size;
  const double seconds = static_cast<double>(clock.slept_ns()) * 1e-9;
  CHECK(seconds >= static_cast<double>(stored) / 50'000 - 1.01);
}

TEST_CASE("when one worker fails the others stop, and there is no backup") {
  const Store store = many_pairs(20'000);
  for (const std::uint64_t n : {5u, 17u, 40u}) {
    MemoryBackend backend;
    test_support::FaultBackend faulty(backend, test_support::Operation::any, n + 1,
                                      Status::error(StatusCode::io_error, "injected"));
    ThreadExecutor threads;
    BackupOptions options;
    options.executor = &threads;
    options.concurrency = 3;
    options.part_size = 30'000;
    const auto result =
        BackupPipeline(RangeSnapshot(store), NoneCodec{}, FileHasher{}, faulty).run(options);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::io_error);
    CHECK(result.status().has_key());
    CHECK_FALSE(backend.exists("backupmeta").value());
  }
}
