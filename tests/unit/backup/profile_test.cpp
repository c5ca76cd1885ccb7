// SPDX-License-Identifier: Apache-2.0
// The profile rocksdb, and that no profile's output depends on the number of workers.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using test_support::many_pairs;
using test_support::Store;

namespace {

using Objects = std::map<std::string, std::string>;

Objects objects_of(const MemoryBackend& backend) {
  Objects objects;
  for (const ObjectInfo& info : backend.list("").value()) {
    objects[info.name] = backend.read(info.name).value();
  }
  return objects;
}

// Column families with a container each.
class ManyStores {
  using One = RangeSnapshot<const Store&>;

 public:
  explicit ManyStores(const std::map<std::string, Store>& stores) {
    for (const auto& [cf, store] : stores) families_.emplace_back(cf, One(store, cf));
  }
  [[nodiscard]] auto scan(const KeyRange& range) const { return one(range.cf).scan(range); }
  [[nodiscard]] auto split(const KeyRange& range, std::uint64_t target) const {
    return one(range.cf).split(range, target);
  }
  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    std::vector<KeyRange> out;
    for (const auto& [cf, store] : families_) out.push_back({.cf = cf, .start = "", .end = ""});
    return out;
  }

 private:
  [[nodiscard]] const One& one(const std::string& cf) const {
    for (const auto& [name, store] : families_) {
      if (name == cf) return store;
    }
    return families_.front().second;  // which answers not_found
  }
  std::vector<std::pair<std::string, One>> families_;
};
static_assert(SplittableSnapshot<ManyStores> && EnumerableSnapshot<ManyStores>);

template <class LayoutT>
void check_workers() {
  const std::map<std::string, Store> stores{{"default", many_pairs(4000, 1)},
                                            {"empty", {}},
                                            {"one pair", {{"k", "v"}}},
                                            {"write", many_pairs(6000, 2)}};
  Objects first;
  for (const bool disturbed : {false, true}) {
    for (const std::size_t workers : {1u, 2u, 7u}) {
      MemoryBackend backend;
      test_support::FaultBackend faulty(
          backend, test_support::Operation::append, disturbed ? 9 : 0,
          Status::error(StatusCode::unavailable, "gone").as_retryable(), 3);
      test_support::FixedClock clock;
      ThreadExecutor threads;
      BackupOptions options;
      options.clock = &clock;
      options.executor = &threads;
      options.concurrency = workers;
      options.part_size = 30'000;
      auto pipeline =
          BackupPipeline(ManyStores(stores), Lz4Codec{}, FileHasher{}, faulty, LayoutT{});
      const auto result = pipeline.run_detailed(options);
      REQUIRE(result.ok());
      CHECK(result.value().rebuilt_parts == (disturbed ? 3 : 0));
      CHECK(result.value().info.ranges.size() == stores.size());
      if (first.empty()) first = objects_of(backend);
      CHECK(first.size() > 10);
      CHECK(objects_of(backend) == first);
    }
  }
}

}  // namespace

TEST_CASE("several column families are the same bytes for any number of workers: br") {
  check_workers<RawLayout>();
}

TEST_CASE("several column families are the same bytes for any number of workers: rocksdb") {
  check_workers<RocksdbLayout>();
}

TEST_CASE("the profile rocksdb writes RocksDB's tables with keys as they are, and no raw range") {
  const Store store{{"k1", "v1"}, {"k2", "v2"}};
  MemoryBackend backend;
  auto pipeline =
      BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, backend, RocksdbLayout{});
  const auto result = pipeline.run_detailed();
  REQUIRE(result.ok());
  CHECK(result.value().info.profile == "rocksdb");
  CHECK(result.value().info.key_prefix.empty());
  CHECK(result.value().info.ranges.size() == 1);
  CHECK(result.value().meta.raw_ranges.empty());
  const std::string object = backend.read(result.value().meta.files.at(0).name).value();
  CHECK(object[object.size() - footer_size] == static_cast<char>(ChecksumKind::xxh3));
  CHECK(object.find("zk1") == std::string::npos);
}

TEST_CASE("a session identity that RocksDB could not read is refused, and nothing is written") {
  const Store store = many_pairs(100);
  TableIdentity identity;
  identity.session = "short";
  MemoryBackend backend;
  const auto refused = BackupPipeline(RangeSnapshot(store), NoneCodec{}, FileHasher{}, backend,
                                      RocksdbLayout(identity))
                           .run();
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == StatusCode::invalid_argument);
  CHECK(backend.list("").value().empty());
}

TEST_CASE("a limit of reading holds for the whole run, whatever is stored of it") {
  Store store;
  for (int i = 10'000; i < 14'000; ++i) store.emplace(std::to_string(i), std::string(100, 'v'));
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : store) bytes += key.size() + value.size();
  const auto seconds_of = [&](auto source, std::size_t workers, std::vector<KeyRange> ranges) {
    test_support::FixedClock clock;
    ThreadExecutor threads;
    BackupOptions options;
    options.clock = &clock;
    options.executor = &threads;
    options.concurrency = workers;
    options.part_size = 20'000;
    options.read_rate_limit = 50'000;
    options.ranges = std::move(ranges);
    const auto meta =
        BackupPipeline(std::move(source), Lz4Codec{}, FileHasher{}, NoopBackend()).run(options);
    REQUIRE(meta.ok());
    return static_cast<double>(clock.slept_ns()) * 1e-9;
  };
  const double least = static_cast<double>(bytes) / 50'000;
  // what was read last is paid for by nobody, see RateLimiter
  const double last = 20'000.0 / 50'000;
  CHECK(seconds_of(RangeSource(store), 1, {}) >= least - last);
  CHECK(seconds_of(RangeSource(store), 1, {}) <= least + 0.1);
  // threads that wait for one moment share the sleep of a clock that only sleeping moves
  CHECK(seconds_of(RangeSnapshot(store), 4, {}) >= least - 4 * last);
  // pairs before the range are read too where the source cannot seek
  struct Forward {
    RangeSource<const Store&> inner;
    [[nodiscard]] bool valid() const { return inner.valid(); }
    [[nodiscard]] ByteView key() const { return inner.key(); }
    [[nodiscard]] ByteView value() const { return inner.value(); }
    void next() { inner.next(); }
    [[nodiscard]] Status status() const { return inner.status(); }
  };
  const std::vector<KeyRange> tail{{.start = "13999", .end = ""}};
  CHECK(seconds_of(Forward{RangeSource<const Store&>(store)}, 1, tail) >= least - last);
  CHECK(seconds_of(RangeSource(store), 1, tail) < 0.1);
}

TEST_CASE("cancel ends a wait for the limit of reading") {
  const Store store = many_pairs(5000);
  struct Cancelling final : Clock {
    CancelToken token;
    std::uint64_t now = 0;
    std::uint64_t unix_ms() override { return 1; }
    std::uint64_t steady_ns() override { return now; }
    void sleep_ns(std::uint64_t duration) override {
      now += duration;
      token.cancel();
    }
  } clock;
  MemoryBackend backend;
  BackupOptions options;
  options.clock = &clock;
  options.cancel = &clock.token;
  options.read_rate_limit = 1;
  const auto result =
      BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, backend).run(options);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().code() == StatusCode::cancelled);
  CHECK(clock.now <= wait_slice_ns);
}
