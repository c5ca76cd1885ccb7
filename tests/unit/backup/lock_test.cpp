// SPDX-License-Identifier: Apache-2.0
// Of two runs that want one destination never both get it, however their steps interleave.
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "support/fixed_clock.hpp"

namespace lock_test {

using namespace kvbackup;
using test_support::FaultBackend;
using test_support::FixedClock;
using test_support::Operation;

namespace {

const std::string ids[2] = {"00000000000000aa", "00000000000000bb"};

/// Lets two threads take steps in a given order; one that has ended gives its turns away.
class Turns {
 public:
  explicit Turns(std::vector<int> order) : order_(std::move(order)) {}
  void step(int who) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return next(who); });
    if (at_ < order_.size()) ++at_;
    changed_.notify_all();
  }
  void end(int who) {
    const std::lock_guard lock(mutex_);
    ended_[who] = true;
    changed_.notify_all();
  }

 private:
  bool next(int who) {
    while (at_ < order_.size() && ended_[order_[at_]]) ++at_;
    return at_ == order_.size() || order_[at_] == who;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> order_;
  std::size_t at_ = 0;
  bool ended_[2] = {false, false};
};

/// A backend each of whose calls is a step of one of them.
class SteppedBackend {
 public:
  class Writer {
   public:
    Writer(MemoryBackend::Writer inner, Turns* turns, int who)
        : inner_(std::move(inner)), turns_(turns), who_(who) {}
    Status append(ByteView bytes) { return inner_.append(bytes); }
    Result<ObjectInfo> commit() {
      turns_->step(who_);
      return inner_.commit();
    }
    void abandon() { inner_.abandon(); }

   private:
    MemoryBackend::Writer inner_;
    Turns* turns_;
    int who_;
  };
  SteppedBackend(MemoryBackend inner, Turns& turns, int who)
      : inner_(std::move(inner)), turns_(&turns), who_(who) {}
  Result<Writer> create(std::string_view name, CreateOptions options = {}) {
    auto writer = inner_.create(name, options);
    if (!writer.ok()) return std::move(writer).status();
    return Writer(std::move(writer).value(), turns_, who_);
  }
  [[nodiscard]] std::string url() const { return inner_.url(); }
  Result<std::string> read(std::string_view name) { return stepped().read(name); }
  Result<std::string> read_range(std::string_view name, std::uint64_t at, std::uint64_t n) {
    return stepped().read_range(name, at, n);
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) { return stepped().list(prefix); }
  Result<bool> exists(std::string_view name) { return stepped().exists(name); }
  Status remove(std::string_view name) { return stepped().remove(name); }

 private:
  MemoryBackend& stepped() {
    turns_->step(who_);
    return inner_;
  }
  MemoryBackend inner_;
  Turns* turns_;
  int who_;
};

/// Every order of `a` steps of one and `b` of the other.
void orders(int a, int b, std::vector<int>& order, std::vector<std::vector<int>>& all) {
  if (a == 0 && b == 0) all.push_back(order);
  for (const int who : {0, 1}) {
    if ((who == 0 ? a : b) == 0) continue;
    order.push_back(who);
    orders(a - (who == 0 ? 1 : 0), b - (who == 1 ? 1 : 0), order, all);
    order.pop_back();
  }
}
std::vector<std::vector<int>> all_orders(int a, int b) {
  std::vector<std::vector<int>> all;
  std::vector<int> order;
  orders(a, b, order, all);
  return all;
}

void put(const MemoryBackend& backend, const std::string& name, const std::string& bytes) {
  auto writer = backend.create(name, {.size_hint = {}, .if_absent = false});
  REQUIRE(writer.value().append(bytes).ok());
  REQUIRE(writer.value().commit().ok());
}

DestinationLock lock_of(const std::string& run_id, std::uint64_t renewed_ms) {
  DestinationLock lock;
  lock.format = lock_format;
  lock.run_id = lock.job_id = run_id;
  lock.host = "elsewhere";
  lock.pid = 7;
  lock.started_unix_ms = lock.renewed_unix_ms = renewed_ms;
  lock.lease_ms = lock_lease_ms;
  return lock;
}

constexpr std::uint64_t now_ms = 1'600'000'000'000;

}  // namespace

TEST_CASE("two that take a destination at once never both get it") {
  int alone = 0;
  int none = 0;
  for (const std::vector<int>& order : all_orders(5, 5)) {
    const MemoryBackend memory;
    Turns turns(order);
    FixedClock clock(now_ms);
    bool got[2] = {false, false};
    std::vector<std::thread> threads;
    for (int who = 0; who < 2; ++who) {
      threads.emplace_back([&, who] {
        SteppedBackend backend(memory, turns, who);
        DestinationGuard<SteppedBackend> guard(backend, clock, ids[who], ids[who]);
        got[who] = guard.acquire().ok();
        turns.end(who);
      });
    }
    for (std::thread& each : threads) each.join();
    if (got[0] && got[1]) FAIL("both got it");
    // whoever did not get it left no lock
    const auto locks = memory.list(lock_prefix).value();
    REQUIRE(locks.size() == std::size_t{got[0] || got[1]});
    if (!locks.empty()) REQUIRE(locks[0].name == lock_name(ids[got[0] ? 0 : 1]));
    (got[0] || got[1] ? alone : none) += 1;
  }
  CHECK(alone > 0);
  CHECK(none > 0);  // both may withdraw
}

TEST_CASE("two backups into a destination at once never both succeed, and leave one whole") {
  const std::map<std::string, std::string> store{{"a", "1"}, {"b", "2"}};
  struct Stated : RangeSnapshot<const std::map<std::string, std::string>&> {
    using RangeSnapshot::RangeSnapshot;
    [[nodiscard]] std::string state() const { return "1"; }
  };
  int whole = 0;
  // of the orders of their some 20 steps each, those in which one is stopped once
  for (int first = 0; first < 26; ++first) {
    for (int second = 0; second < 26; ++second) {
      std::vector<int> order(static_cast<std::size_t>(first), 0);
      order.insert(order.end(), static_cast<std::size_t>(second), 1);
      order.insert(order.end(), 40, 0);
      const MemoryBackend memory;
      Turns turns(order);
      FixedClock clock(now_ms);
      bool got[2] = {false, false};
      std::vector<std::thread> threads;
      for (int who = 0; who < 2; ++who) {
        threads.emplace_back([&, who] {
          BackupOptions options;
          options.clock = &clock;
          options.checkpoint = true;
          options.run_id = ids[who];
          options.store_id = static_cast<std::uint64_t>(who) + 1;
          BackupPipeline pipeline(Stated(store), NoneCodec{}, FileHasher{},
                                  SteppedBackend(memory, turns, who));
          got[who] = pipeline.run(options).ok();
          turns.end(who);
        });
      }
      for (std::thread& each : threads) each.join();
      INFO(first << " steps of one, then " << second << " of the other");
      if (got[0] && got[1]) FAIL("both succeeded");
      if (!got[0] && !got[1]) continue;
      ++whole;
      // one backup, and nothing beside it
      const auto objects = memory.list("").value();
      REQUIRE(objects.size() == 2);
      REQUIRE(objects[0].name.starts_with(got[0] ? "1_" : "2_"));
      REQUIRE(objects[1].name == backupmeta_name);
    }
  }
  CHECK(whole > 100);
}

TEST_CASE("a live lock refuses, and says whose it is; a dead one does not") {
  FixedClock clock(now_ms);
  for (const bool live : {true, false}) {
    MemoryBackend backend;
    const std::uint64_t renewed = live ? now_ms - lock_lease_ms : now_ms - 2 * lock_lease_ms;
    put(backend, lock_name(ids[0]), encode_lock(lock_of(ids[0], renewed)));
    DestinationGuard<MemoryBackend> guard(backend, clock, ids[1], ids[1]);
    const Status status = guard.acquire();
    CHECK(status.ok() != live);
    if (live) {
      CHECK_THAT(status.to_string(), Catch::Matchers::Contains("process 7 on elsewhere"));
      CHECK(backend.list(lock_prefix).value().size() == 1);
      continue;
    }
    REQUIRE(guard.remove_dead().ok());
    CHECK(backend.list(lock_prefix).value().size() == 1);
    CHECK(backend.exists(guard.name()).value());
    REQUIRE(guard.release().ok());
  }
}

TEST_CASE("a lock that nobody can read is taken for a live one") {
  MemoryBackend backend;
  FixedClock clock(now_ms);
  put(backend, lock_name(ids[0]), "junk");
  put(backend, "kvbackup.lock.not-a-lock", "junk");
  DestinationGuard<MemoryBackend> guard(backend, clock, ids[1], ids[1]);
  CHECK(guard.acquire().code() == StatusCode::already_exists);
  REQUIRE(backend.remove(lock_name(ids[0])).ok());
  CHECK(guard.acquire().ok());
}

TEST_CASE("a holder renews its lock once a minute, and ends when it lost it") {
  MemoryBackend backend;
  FixedClock clock(now_ms);
  DestinationGuard<MemoryBackend> guard(backend, clock, ids[0], ids[0]);
  REQUIRE(guard.acquire().ok());
  const std::string first = backend.read(guard.name()).value();
  constexpr std::uint64_t ns_per_ms = 1'000'000;
  REQUIRE(backend.remove(guard.name()).ok());
  clock.sleep_ns((lock_renewal_ms - 1) * ns_per_ms);
  CHECK(guard.tick().ok());  // it is not due, and does not look
  clock.sleep_ns(ns_per_ms);
  CHECK(guard.tick().code() == StatusCode::not_found);
  CHECK_FALSE(backend.exists(guard.name()).value());  // it does not take back what it lost
  CHECK(guard.is_lost());
  CHECK_FALSE(guard.check().ok());
  // the same where another run lives
  DestinationGuard<MemoryBackend> other(backend, clock, ids[1], ids[1]);
  REQUIRE(other.acquire().ok());
  put(backend, lock_name(ids[0]), encode_lock(lock_of(ids[0], now_ms)));
  CHECK(other.check().code() == StatusCode::already_exists);
  CHECK(other.tick().ok());  // not due
}

TEST_CASE("a storage that cannot be reached is borne with until the lease is over") {
  constexpr std::uint64_t ns_per_ms = 1'000'000;
  MemoryBackend memory;
  FixedClock clock(now_ms);
  // acquire() lists once; every list after that fails
  FaultBackend<MemoryBackend> backend(memory, Operation::list, 2,
                                      Status::error(StatusCode::unavailable, "the network is down"),
                                      ~0ull);
  DestinationGuard<FaultBackend<MemoryBackend>> guard(backend, clock, ids[0], ids[0]);
  REQUIRE(guard.acquire().ok());
  for (std::uint64_t passed = 0; passed + 10'000 < lock_lease_ms; passed += 10'000) {
    clock.sleep_ns(10'000 * ns_per_ms);
    CHECK(guard.tick().ok());
  }
  CHECK(backend.calls(Operation::list) > 10);
  clock.sleep_ns(10'000 * ns_per_ms);
  CHECK(guard.tick().code() == StatusCode::unavailable);
  CHECK_FALSE(guard.check().ok());
}

}  // namespace lock_test
