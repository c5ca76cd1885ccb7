// SPDX-License-Identifier: Apache-2.0
// Which versions a transactional backup takes: the cases of TiKV's own scanner, literally, and
// random histories against a replay of them.
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_source.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/mvcc_check.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

using Memory = MvccSnapshot<MvccStore>;

KeyRange keys(std::string start, std::string end = {}) {
  return {std::string(default_cf), std::move(start), std::move(end)};
}

Result<Memory> snapshot_of(const MvccStore& store, std::uint64_t start, std::uint64_t end) {
  return Memory::of(store, {.start_version = start, .end_version = end});
}
/// "k@10=v" for a Put, "k@20-" for a Delete, an error's code.
std::string scan_text(const MvccStore& store, std::uint64_t start, std::uint64_t end,
                      const KeyRange& range = {}) {
  auto snapshot = snapshot_of(store, start, end);
  REQUIRE(snapshot.ok());
  const MvccScan scan = read_versions(snapshot.value().scan(range), store);
  if (!scan.status.ok()) return std::string(to_string(scan.status.code()));
  CHECK_FALSE(scan.foreign);
  std::string out;
  for (const MvccVersion& version : scan.versions) {
    out += (out.empty() ? "" : " ") + version.key + '@' + std::to_string(version.commit_ts);
    out += version.value ? '=' + *version.value : "-";
  }
  return out;
}

struct Host final : MvccHost {
  std::uint64_t safe_point = 0;
  Status failure;
  std::vector<MvccLockedKey> locks;
  std::atomic<int> asked{0};
  std::vector<std::string> calls;

  Result<std::uint64_t> gc_safe_point() override {
    ++asked;
    if (!failure.ok()) return failure;
    return safe_point;
  }
  Result<std::vector<MvccLockedKey>> memory_locks(std::uint64_t end_version) override {
    calls.push_back("locks " + std::to_string(end_version));
    return locks;
  }
};

}  // namespace

TEST_CASE("a Put and a later Delete, at every end and start") {
  MvccStore store;
  store.put("k", 9, 10, "v");
  store.mark("k", 19, 20, MvccWriteType::remove);
  CHECK(scan_text(store, 0, 9) == "");
  CHECK(scan_text(store, 0, 10) == "k@10=v");
  CHECK(scan_text(store, 0, 15) == "k@10=v");
  CHECK(scan_text(store, 0, 20) == "");
  CHECK(scan_text(store, 10, 20) == "k@20-");
  CHECK(scan_text(store, 5, 20) == "k@20-");
  CHECK(scan_text(store, 5, 15) == "k@10=v");
  CHECK(scan_text(store, 10, 15) == "");
  CHECK(scan_text(store, 20, 30) == "");
}

TEST_CASE("Rollback and Lock records say nothing of the value") {
  MvccStore store;
  store.put("k", 9, 10, "v");
  store.mark("k", 20, 20, MvccWriteType::rollback);
  store.mark("k", 24, 25, MvccWriteType::lock);
  CHECK(scan_text(store, 0, 30) == "k@10=v");
  CHECK(scan_text(store, 9, 30) == "k@10=v");
  CHECK(scan_text(store, 10, 30) == "");
}

TEST_CASE("a GC fence ends what its record says") {
  MvccStore store;
  store.put("k", 9, 10, "v", 20);
  CHECK(scan_text(store, 0, 19) == "k@10=v");
  CHECK(scan_text(store, 0, 20) == "");
  CHECK(scan_text(store, 5, 20) == "");
  store.put("k", 9, 10, "v", 0);  // an overlapped rollback while it was the newest
  CHECK(scan_text(store, 0, 20) == "k@10=v");
}

TEST_CASE("a value of 256 bytes is found in column family default, of 255 in the record") {
  MvccStore store;
  store.put("a", 1, 2, std::string(255, 's'));
  store.put("b", 3, 4, std::string(256, 'l'));
  store.put("c", 5, 6, "");
  CHECK(store.families["default"].size() == 1);
  CHECK(scan_text(store, 0, 9) ==
        "a@2=" + std::string(255, 's') + " b@4=" + std::string(256, 'l') + " c@6=");
}

TEST_CASE("a large value that is missing is an error that names its key") {
  MvccStore store;
  store.put("a", 1, 2, "v");
  store.put("big", 3, 4, std::string(256, 'l'));
  store.put("big", 5, 6, std::string(256, 'm'));
  store.families["default"].erase("z" + mvcc_key("big", 3));
  CHECK(scan_text(store, 0, 9) != "corruption");  // nobody asks for that version
  CHECK(scan_text(store, 0, 4) == "corruption");
  auto source = snapshot_of(store, 0, 4).value().scan({});
  REQUIRE(source.value().valid());
  source.value().next();
  CHECK_FALSE(source.value().valid());
  CHECK(source.value().status().key() == "big");
  CHECK(std::string(source.value().status().message()).find("start_ts 3") != std::string::npos);
}

TEST_CASE("a lock conflicts if its transaction may commit by the end of the backup") {
  MvccStore store;
  store.put("k", 9, 10, "v");
  MvccLock lock;
  lock.primary = "p";
  lock.ts = 20;
  store.lock("k", lock);
  CHECK(scan_text(store, 0, 19) == "k@10=v");
  CHECK(scan_text(store, 0, 20) == "unavailable");
  CHECK(scan_text(store, 10, 20) == "unavailable");
  lock.min_commit_ts = 31;
  store.lock("k", lock);
  CHECK(scan_text(store, 0, 30) == "k@10=v");
  CHECK(scan_text(store, 0, 31) == "unavailable");
  for (const MvccLockType type : {MvccLockType::lock, MvccLockType::pessimistic}) {
    lock.type = type;
    store.lock("k", lock);
    CHECK(scan_text(store, 0, 40) == "k@10=v");
  }
  // a lock on a key that was never written, and one out of the range
  lock.type = MvccLockType::remove;
  store.families["lock"].clear();
  store.lock("x", lock);
  CHECK(scan_text(store, 0, 40) == "unavailable");
  CHECK(scan_text(store, 0, 40, keys("", "x")) == "k@10=v");
}

TEST_CASE("a lock that conflicts is given as TiKV tells its client of it") {
  MvccStore store;
  MvccLock lock;
  lock.type = MvccLockType::remove;
  lock.primary = "p";
  lock.ts = 20;
  lock.ttl = 3000;
  lock.txn_size = 2;
  lock.for_update_ts = 21;
  lock.min_commit_ts = 22;
  lock.use_async_commit = true;
  lock.secondaries = {"s"};
  store.lock("k", lock);
  auto snapshot = snapshot_of(store, 0, 30);
  const auto found = snapshot.value().find_lock({});
  REQUIRE((found.ok() && found.value()));
  const LockInfo info = to_lock_info(*found.value());
  CHECK(info.key == "k");
  CHECK(info.primary_lock == "p");
  CHECK(info.lock_version == 20);
  CHECK(info.lock_ttl == 3000);
  CHECK(info.txn_size == 2);
  CHECK(info.lock_type == LockOp::del);
  CHECK(info.lock_for_update_ts == 21);
  CHECK(info.min_commit_ts == 22);
  CHECK(info.use_async_commit);
  CHECK(info.secondaries == std::vector<std::string>{"s"});
  CHECK_FALSE(snapshot.value().find_lock(keys("l")).value());
}

TEST_CASE("locks in memory are asked for before the state is taken") {
  MvccStore store;
  store.put("k", 9, 10, "v");
  Host host;
  MvccLock lock;
  lock.ts = 20;
  host.locks = {{"q", lock}, {"m", lock}};
  host.locks[0].lock.min_commit_ts = 99;
  auto snapshot = Memory::take({.end_version = 30, .host = &host}, [&] {
    host.calls.push_back("state");
    return Result<MvccStore>(store);
  });
  REQUIRE(snapshot.ok());
  CHECK(host.calls == std::vector<std::string>{"locks 30", "state"});
  CHECK(snapshot.value().scan({}).status().key() == "m");
  CHECK(snapshot.value().scan(keys("n")).ok());
  store.lock("a", lock);  // a stored one before it comes first
  auto another = Memory::of(store, {.end_version = 30, .host = &host});
  CHECK(another.value().find_lock({}).value()->key == "a");
  CHECK(another.value().find_lock(keys("b")).value()->key == "m");
}

TEST_CASE("versions between which nothing can lie are refused, unless TiKV's answer is asked for") {
  MvccStore store;
  store.put("k", 9, 10, "v");
  using Versions = std::pair<std::uint64_t, std::uint64_t>;
  for (const auto& [start, end] : {Versions{0, 0}, Versions{20, 10}, Versions{10, 10}}) {
    MvccOptions options{.start_version = start, .end_version = end};
    CHECK(Memory::of(store, options).status().code() == StatusCode::invalid_argument);
    options.bad_versions_give_nothing = true;
    auto snapshot = Memory::of(store, options);
    REQUIRE(snapshot.ok());
    auto scan = snapshot.value().scan({});
    REQUIRE(scan.ok());
    CHECK_FALSE(scan.value().valid());
    CHECK(scan.value().status().ok());
  }
  const Status status = Memory::of(store, {.start_version = 20, .end_version = 10}).status();
  CHECK(std::string(status.message()).find("20") != std::string::npos);
  CHECK(std::string(status.message()).find("10") != std::string::npos);
}

TEST_CASE("a backup whose versions may be collected is refused with both numbers") {
  MvccStore store;
  Host host;
  host.safe_point = 50;
  const auto take = [&](std::uint64_t start, std::uint64_t end) {
    return Memory::of(store, {.start_version = start, .end_version = end, .host = &host}).status();
  };
  CHECK(take(0, 50).ok());
  CHECK(take(50, 60).ok());
  CHECK(take(0, 49).code() == StatusCode::not_found);
  const Status status = take(49, 60);
  CHECK(status.code() == StatusCode::not_found);
  CHECK(std::string(status.message()).find("49 is below the GC safe point 50") !=
        std::string::npos);
}

TEST_CASE("the safe point is asked for every five seconds of a scan, and at its end") {
  MvccStore store;
  for (int i = 0; i < 2000; ++i)
    store.put("k" + std::to_string(10000 + i), 1, 2, std::string(200, 'v'));
  Host host;
  FixedClock clock;
  auto snapshot = Memory::of(store, {.end_version = 50, .host = &host, .clock = &clock});
  REQUIRE(snapshot.ok());
  const auto read_all = [&](std::uint64_t step_ns) {
    const int before = host.asked;
    auto scan = snapshot.value().scan({});
    for (; scan.value().valid(); scan.value().next()) clock.sleep_ns(step_ns);
    return std::pair(scan.value().status().code(), host.asked - before);
  };
  CHECK(read_all(0) == std::pair(StatusCode::ok, 0));
  // 20 seconds, in 6 or 7 looks at the clock
  const auto [code, asked] = read_all(10'000'000);
  CHECK(code == StatusCode::ok);
  CHECK(asked >= 3);
  CHECK(asked <= 4);
  host.failure = Status::error(StatusCode::unavailable, "no answer").as_retryable();
  CHECK(read_all(10'000'000).first == StatusCode::ok);  // it may answer again
  CHECK(snapshot.value().confirm().code() == StatusCode::unavailable);
  host.failure = {};
  CHECK(snapshot.value().confirm().ok());
  host.safe_point = 51;
  CHECK(read_all(10'000'000).first == StatusCode::not_found);
  CHECK(snapshot.value().confirm().code() == StatusCode::not_found);
}

TEST_CASE("the data prefix is told by the first key, and 'z' may begin a user key too") {
  for (const std::string prefix : {"", "z"}) {
    for (const std::string key : {"", "a", "z", "zzzzzzzzz"}) {
      MvccStore store;
      store.prefix = prefix;
      store.put(key, 1, 2, "v");
      auto snapshot = snapshot_of(store, 0, 9);
      REQUIRE(snapshot.ok());
      CHECK(snapshot.value().data_prefix() == prefix);
      CHECK(scan_text(store, 0, 9) == key + "@2=v");
      MvccStore locked;
      locked.prefix = prefix;
      locked.lock(key, {});
      CHECK(snapshot_of(locked, 0, 9).value().data_prefix() == prefix);
    }
  }
  CHECK(snapshot_of(MvccStore(), 0, 9).value().data_prefix() == "z");
}

TEST_CASE("keys of TiKV's own beside the data are not seen") {
  MvccStore store;
  store.put("k", 1, 2, std::string(300, 'v'));
  store.families["default"]["\x01\x01"] = "store ident";
  store.families["default"]["{"] = "past the data";
  CHECK(scan_text(store, 0, 9).size() == 4 + 300);
}

TEST_CASE("a store that is not in TiKV's layout is refused by name") {
  MvccStore store;
  store.families["write"]["no key of TiKV"] = "";
  CHECK(snapshot_of(store, 0, 9).status().code() == StatusCode::corruption);
  store.families.erase("write");
  CHECK(snapshot_of(store, 0, 9).status().code() == StatusCode::not_found);
  store = {};
  store.put("k", 1, 2, "v");
  CHECK(snapshot_of(store, 0, 9).value().scan(KeyRange{"write", "", ""}).status().code() ==
        StatusCode::invalid_argument);
  store.families["write"]["zx"] = "P\x01";  // behind the first key
  CHECK(scan_text(store, 0, 9) == "corruption");
  store = {};
  store.put("k", 1, 2, "v");
  store.families["write"]["z" + mvcc_key("k", 2)] = "?";
  CHECK(scan_text(store, 0, 9) == "corruption");
  store = {};
  store.families["lock"]["z" + to_memcomparable("k")] = "?";
  CHECK(scan_text(store, 0, 9) == "corruption");
}

namespace {

/// Counts how a scan moves.
struct CountingStore {
  MvccStore* store = nullptr;
  int* nexts = nullptr;
  int* seeks = nullptr;

  struct Scan {
    MvccStore::Scan scan;
    int* nexts;
    int* seeks;
    [[nodiscard]] bool valid() const { return scan.valid(); }
    [[nodiscard]] ByteView key() const { return scan.key(); }
    [[nodiscard]] ByteView value() const { return scan.value(); }
    void next() {
      ++*nexts;
      scan.next();
    }
    void seek(ByteView key) {
      ++*seeks;
      scan.seek(key);
    }
    [[nodiscard]] Status status() const { return scan.status(); }
  };
  [[nodiscard]] Result<Scan> scan(const KeyRange& range) const {
    auto scan = store->scan(range);
    if (!scan.ok()) return scan.status();
    return Scan{std::move(scan).value(), nexts, seeks};
  }
};

}  // namespace

TEST_CASE("long chains of versions are passed by seeks, short ones by steps") {
  MvccStore store;
  for (const std::string key : {"a", "b"}) {
    for (std::uint64_t ts = 1; ts <= 10'000; ++ts)
      store.put(key, 2 * ts, 2 * ts + 1, std::string(256, 'v'));
  }
  int nexts = 0;
  int seeks = 0;
  auto snapshot =
      MvccSnapshot<CountingStore>::of({&store, &nexts, &seeks}, {.end_version = 10'000});
  nexts = seeks = 0;
  auto scan = snapshot.value().scan({});
  int versions = 0;
  for (; scan.value().valid(); scan.value().next()) ++versions;
  CHECK(versions == 2);
  CHECK(nexts < 60);
  CHECK(seeks <= 6);  // over the newer, to the value, over the older; for both keys
}

TEST_CASE("a split cuts between user keys and gives every version once") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    MvccModel model(seed);
    model.store.families["lock"].clear();
    auto snapshot = snapshot_of(model.store, 0, model.now() + 1);
    const auto parts = snapshot.value().split({}, model.number(1, 2000));
    REQUIRE(parts.ok());
    REQUIRE(detail::tiles({}, parts.value()));
    std::vector<MvccVersion> together;
    for (const KeyRange& part : parts.value()) {
      for (auto& version : read_versions(snapshot.value().scan(part), model.store).versions)
        together.push_back(std::move(version));
    }
    REQUIRE(together == model.expected(0, model.now() + 1, {}));
  }
}

TEST_CASE("the view of a store keeps the laws of a snapshot") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    MvccModel model(seed);
    model.store.families["lock"].clear();
    ThreadExecutor threads;
    auto snapshot = snapshot_of(model.store, 0, model.now() + 1);
    REQUIRE(snapshot.ok());
    CHECK(testing::to_string(testing::check_snapshot(snapshot.value(), threads)) == "");
  }
}

TEST_CASE("random histories give what a replay of them gives") {
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    MvccModel model(seed);
    for (int i = 0; i < 4; ++i) {
      INFO("seed " << seed);
      REQUIRE(check_against(model, [&](const MvccOptions& options) {
                return Memory::of(model.store, options);
              }) == "");
    }
  }
}

TEST_CASE("random damage to a store is an error or another answer, and no more") {
  std::mt19937_64 random(1);
  int failures = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    MvccModel model(seed);
    for (auto& [name, family] : model.store.families) {
      MvccStore::Family damaged;
      for (const auto& [stored_key, stored_value] : family) {
        std::string key = stored_key;
        std::string value = stored_value;
        for (std::string* bytes : {&key, &value}) {
          if (random() % 16 != 0 || bytes->empty()) continue;
          (*bytes)[random() % bytes->size()] = static_cast<char>(random());
          if (random() % 2 == 0) bytes->resize(random() % bytes->size());
        }
        damaged[key] = value;
      }
      family = std::move(damaged);
    }
    auto snapshot = snapshot_of(model.store, model.number(0, 5), model.now() + 1);
    if (!snapshot.ok()) continue;
    const MvccScan scan = read_versions(snapshot.value().scan({}), model.store);
    failures += scan.status.ok() ? 0 : 1;
  }
  CHECK(failures > 500);
}

TEST_CASE("a scan is cancelled where it passes over what is no part of the backup") {
  MvccStore store;
  for (int i = 0; i < 10'000; ++i) {
    store.mark("key " + std::to_string(100'000 + i), 9, 10, MvccWriteType::remove);
  }
  CancelToken cancel;
  const MvccOptions options{.end_version = 20, .cancel = &cancel};
  auto snapshot = Memory::of(store, options);
  REQUIRE(snapshot.ok());
  CHECK(snapshot.value().scan(keys("")).value().status().ok());
  cancel.cancel();
  const auto scan = snapshot.value().scan(keys(""));
  REQUIRE(scan.ok());
  CHECK_FALSE(scan.value().valid());
  CHECK(scan.value().status().code() == StatusCode::cancelled);
}
