// SPDX-License-Identifier: Apache-2.0
// Runs that have more threads than sub-ranges: what they write, how they fail and end.
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "support/fixed_clock.hpp"

namespace shared_run_test {
namespace {

using namespace kvbackup;
using test_support::FaultBackend;
using test_support::Operation;

using Store = std::map<std::string, std::string>;

const Store& store() {
  static const Store pairs = [] {
    std::mt19937 random(5);
    Store out;
    for (unsigned n = 0; n < 6'000; ++n) {
      std::string value(random() % (n % 100 == 0 ? 20'000 : 500), 'v');
      for (std::size_t i = 0; i < value.size(); i += 3) value[i] = static_cast<char>(random());
      out.emplace("key/" + std::to_string(100'000 + n), std::move(value));
    }
    return out;
  }();
  return pairs;
}

// One sub-range, whose entries make two tables each.
class TwoTables : public PlainLayout {
 public:
  [[nodiscard]] std::vector<std::string> cfs(std::string_view) const { return {"a", "b"}; }
  template <class Emit>
  [[nodiscard]] Status store(const SourceEntry& entry, Emit&& emit) {
    if (Status status = emit(std::size_t{0}, entry.key, entry.value); !status.ok()) return status;
    return emit(std::size_t{1}, entry.key, entry.key);
  }
};
static_assert(Layout<TwoTables>);

std::map<std::string, std::string> objects_of(MemoryBackend& backend) {
  std::map<std::string, std::string> objects;
  for (const ObjectInfo& info : backend.list("").value()) {
    objects[info.name] = backend.read(info.name).value();
  }
  return objects;
}

BackupOptions options_of(std::size_t threads, Executor& executor, Clock& clock) {
  BackupOptions options;
  options.concurrency = threads;
  options.executor = &executor;
  options.clock = &clock;
  options.part_size = 700'000;
  return options;
}

template <class Codec, class LayoutT>
void check_same(const Codec& codec, const LayoutT& layout) {
  std::map<std::string, std::string> expected;
  for (const std::size_t threads : {1u, 2u, 3u, 7u}) {
    MemoryBackend backend;
    test_support::FixedClock clock;
    ThreadExecutor executor;
    const auto meta = BackupPipeline(RangeSource(store()), codec, FileHasher{}, backend, layout)
                          .run(options_of(threads, executor, clock));
    REQUIRE(meta.ok());
    auto objects = objects_of(backend);
    CHECK(objects.size() > 2);
    if (threads == 1) expected = std::move(objects);
    CAPTURE(codec.name(), threads);
    if (threads > 1) CHECK((objects == expected));
  }
}

/// Cancels in call number `at`, and counts.
struct Trigger {
  std::size_t at;
  CancelToken* cancel;
  std::atomic<std::size_t> calls{0};
};
struct TriggerCodec {
  Lz4Codec inner;
  Trigger* trigger;
  struct Compressor {
    Lz4Codec::Compressor inner;
    Trigger* trigger;
    std::optional<std::size_t> compress(ByteView in, std::span<char> out) {
      if (++trigger->calls == trigger->at) trigger->cancel->cancel();
      return inner.compress(in, out);
    }
  };
  [[nodiscard]] BlockCompression type() const { return inner.type(); }
  [[nodiscard]] std::string_view name() const { return inner.name(); }
  [[nodiscard]] std::size_t bound(std::size_t n) const { return inner.bound(n); }
  [[nodiscard]] Compressor compressor() const { return {inner.compressor(), trigger}; }
  [[nodiscard]] Lz4Codec::Decompressor decompressor() const { return inner.decompressor(); }
};

}  // namespace

TEST_CASE("one sub-range makes the same objects, whatever the number of threads") {
  check_same(NoneCodec{}, RawLayout{});
  check_same(SnappyCodec{}, RocksdbLayout{});
  check_same(Lz4Codec{}, RocksdbLayout{});
  check_same(Lz4Codec{}, TwoTables{});
  check_same(ZstdCodec{}, RawLayout{});
}

TEST_CASE(
    "a run with more threads than sub-ranges fails with the first fault, and leaves no backup") {
  std::size_t failed = 0;
  for (const std::uint64_t n : {1u, 2u, 3u, 9u, 20u, 30u, 33u}) {
    MemoryBackend backend;
    FaultBackend faulty(backend, Operation::any, n,
                        Status::error(StatusCode::no_space, "injected"));
    test_support::FixedClock clock;
    ThreadExecutor executor;
    const auto result = BackupPipeline(RangeSource(store()), Lz4Codec{}, FileHasher{}, faulty)
                            .run(options_of(3, executor, clock));
    CHECK(result.ok() != faulty.fired());
    if (result.ok()) continue;
    ++failed;
    CHECK(result.status().code() == StatusCode::no_space);
    CHECK_FALSE(backend.exists("backupmeta").value());
  }
  CHECK(failed >= 5);
}

TEST_CASE("an object that is lost in mid-write is built again with helpers, the same bytes") {
  const auto objects_with = [](std::size_t threads, std::uint64_t fault) {
    MemoryBackend backend;
    FaultBackend faulty(backend, Operation::append, fault,
                        Status::error(StatusCode::unavailable, "injected").as_retryable());
    test_support::FixedClock clock;
    ThreadExecutor executor;
    const auto result = BackupPipeline(RangeSnapshot(store()), ZstdCodec{}, FileHasher{}, faulty)
                            .run_detailed(options_of(threads, executor, clock));
    REQUIRE(result.ok());
    CHECK(result.value().rebuilt_parts == (fault == 0 ? 0 : 1));
    return objects_of(backend);
  };
  const auto expected = objects_with(1, 0);
  for (const std::uint64_t fault : {1u, 10u, 25u}) {
    CAPTURE(fault);
    CHECK((objects_with(7, fault) == expected));
  }
}

TEST_CASE("a cancelled run ends within a block for each thread, helpers too") {
  for (const std::size_t at : {1u, 10u, 25u}) {
    constexpr std::size_t threads = 3;
    CancelToken cancel;
    Trigger trigger{.at = at, .cancel = &cancel};
    MemoryBackend backend;
    test_support::FixedClock clock;
    ThreadExecutor executor;
    BackupOptions options = options_of(threads, executor, clock);
    options.cancel = &cancel;
    const auto result =
        BackupPipeline(RangeSource(store()), TriggerCodec{{}, &trigger}, FileHasher{}, backend)
            .run(options);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::cancelled);
    CHECK(trigger.calls <= at + threads);
    CHECK_FALSE(backend.exists("backupmeta").value());
  }
}

TEST_CASE("a source that fails while helpers are at work ends the run with its own status") {
  ThreadExecutor executor;
  test_support::FixedClock clock;
  std::vector<std::pair<std::string, std::string>> pairs(store().begin(), store().end());
  std::swap(pairs[5'000], pairs[5'001]);
  MemoryBackend backend;
  const auto result = BackupPipeline(RangeSource(pairs), Lz4Codec{}, FileHasher{}, backend)
                          .run(options_of(4, executor, clock));
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().code() == StatusCode::out_of_order);
  CHECK_FALSE(backend.exists("backupmeta").value());
}

}  // namespace shared_run_test
