// SPDX-License-Identifier: Apache-2.0
// A part whose object is lost in mid-write is built again, and nobody can tell from the result.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"

namespace rebuild_test {

using namespace kvbackup;
using test_support::FaultBackend;
using test_support::FixedClock;
using test_support::many_pairs;
using test_support::Operation;
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

Status gone_away() {
  return Status::error(StatusCode::unavailable, "the server went away").as_retryable();
}

struct Recorder final : Observer {
  std::vector<Status> losses;
  std::map<std::string, int> files;
  Progress last;
  CancelToken token;
  bool cancels = false;
  bool grows = true;

  void on_rebuild(const Status& lost) override {
    losses.push_back(lost);
    if (cancels) token.cancel();
  }
  void on_file(const File& file) override { ++files[file.name]; }
  void on_progress(const Progress& progress) override {
    grows = grows && progress.pairs >= last.pairs && progress.bytes >= last.bytes;
    last = progress;
  }
};

// Every pair in the first table; those with an even first byte of the value in a second one too.
class TwoTables : public PlainLayout {
 public:
  static std::vector<std::string> cfs(std::string_view) { return {"default", "write"}; }
  template <class Emit>
  Status store(const SourceEntry& entry, Emit&& emit) {
    if (Status status = emit(std::size_t{0}, entry.key, entry.value); !status.ok()) return status;
    return has_second(entry.value) ? emit(std::size_t{1}, entry.key, entry.value) : Status();
  }
  static std::optional<CountedPair> counted(const SourceEntry& entry) {
    return CountedPair{.table = 0, .key = entry.key, .value = entry.value};
  }

 private:
  static bool has_second(ByteView value) { return !value.empty() && value[0] % 2 == 0; }
};
static_assert(Layout<TwoTables>);

constexpr std::uint64_t part_size = 30'000;

template <class LayoutT = RawLayout>
Objects undisturbed(const Store& store) {
  MemoryBackend backend;
  FixedClock clock;
  BackupOptions options;
  options.clock = &clock;
  options.part_size = part_size;
  auto pipeline =
      BackupPipeline(RangeSnapshot(store), Lz4Codec{}, FileHasher{}, backend, LayoutT{});
  REQUIRE(pipeline.run(options).ok());
  return objects_of(backend);
}

// Runs a backup over `faulty`; what it leaves is in `backend`, which `faulty` passes everything to.
template <class LayoutT = RawLayout, class Backend>
Result<BackupResult> run(const Store& store, Backend& faulty, Recorder& observer, Clock* clock,
                         std::size_t workers = 1, std::uint32_t retries = 3) {
  ThreadExecutor threads;
  BackupOptions options;
  options.clock = clock;
  options.executor = &threads;
  options.concurrency = workers;
  options.part_size = part_size;
  options.part_retries = retries;
  options.observer = &observer;
  options.cancel = &observer.token;
  auto pipeline = BackupPipeline(RangeSnapshot(store), Lz4Codec{}, FileHasher{}, faulty, LayoutT{});
  return pipeline.run_detailed(options);
}

void check_same(const Store& store, const Result<BackupResult>& result, const Recorder& observer,
                std::uint64_t rebuilt) {
  REQUIRE(result.ok());
  CHECK(result.value().rebuilt_parts == rebuilt);
  CHECK(result.value().info.totals->kvs == store.size());
  CHECK(observer.losses.size() == rebuilt);
  CHECK(observer.last.rebuilt_parts == rebuilt);
  CHECK(observer.last.pairs == store.size());
  CHECK(observer.last.bytes == result.value().info.totals->bytes);
  CHECK(observer.last.files == result.value().meta.files.size());
  CHECK(observer.grows);
  for (const File& file : result.value().meta.files) CHECK(observer.files.at(file.name) == 1);
}

}  // namespace

TEST_CASE("a part is built again wherever its object is lost, and the output is the same bytes") {
  const Store store = many_pairs(4000);
  const Objects expected = undisturbed(store);
  REQUIRE(expected.size() > 5);
  for (const Operation operation : {Operation::create, Operation::append, Operation::commit}) {
    FaultBackend counting(MemoryBackend(), operation, 0);
    FixedClock still;
    Recorder nobody;
    REQUIRE(run(store, counting, nobody, &still).ok());
    // the last call is about backupmeta, which is no part
    const std::uint64_t calls = counting.calls(operation) - 1;
    REQUIRE(calls > 5);
    for (std::uint64_t n = 1; n <= calls; ++n) {
      for (const std::size_t workers : {1u, 4u}) {
        MemoryBackend backend;
        FaultBackend faulty(backend, operation, n, gone_away());
        FixedClock clock;
        Recorder observer;
        check_same(store, run(store, faulty, observer, &clock, workers), observer, 1);
        CHECK(objects_of(backend) == expected);
        CHECK(clock.slept_ns() > 0);
      }
    }
  }
}

TEST_CASE("a part that is lost again and again ends the run when its retries are used up") {
  const Store store = many_pairs(4000);
  const Objects expected = undisturbed(store);
  for (const std::size_t workers : {1u, 4u}) {
    for (const std::uint32_t retries : {0u, 1u, 3u}) {
      MemoryBackend backend;
      FaultBackend faulty(backend, Operation::commit, 1, gone_away(), retries);
      FixedClock clock;
      Recorder observer;
      // with several workers the failures may fall on several parts
      const auto result = run(store, faulty, observer, &clock, workers, retries);
      check_same(store, result, observer, retries);
      CHECK(objects_of(backend) == expected);
    }
    MemoryBackend backend;
    FaultBackend faulty(backend, Operation::commit, 3, gone_away(), 1'000'000);
    FixedClock clock;
    Recorder observer;
    const auto result = run(store, faulty, observer, &clock, workers, 2);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::unavailable);
    CHECK(result.status().to_string().find("built 3 times") != std::string::npos);
    CHECK(result.status().object().ends_with(".sst"));
    CHECK(result.status().has_key());
    CHECK(backend.list("").value().size() == 2);
    if (workers == 1) CHECK(observer.losses.size() == 2);
  }
}

TEST_CASE("the retries of one part are not taken from the next") {
  const Store store = many_pairs(4000);
  // every second commit fails: each part, and in the end backupmeta
  struct EverySecond {
    MemoryBackend inner;
    std::shared_ptr<int> commits = std::make_shared<int>(0);
    struct Writer {
      MemoryBackend::Writer inner;
      std::shared_ptr<int> commits;
      bool counts;
      Status append(ByteView bytes) { return inner.append(bytes); }
      Result<ObjectInfo> commit() {
        if (counts && ++*commits % 2 == 1) return gone_away();
        return inner.commit();
      }
      void abandon() { inner.abandon(); }
    };
    Result<Writer> create(std::string_view name, CreateOptions options) const {
      auto writer = inner.create(name, options);
      if (!writer.ok()) return writer.status();
      return Writer{std::move(writer).value(), commits, name != backupmeta_name};
    }
    [[nodiscard]] std::string url() const { return inner.url(); }
  };
  EverySecond backend;
  FixedClock clock;
  Recorder observer;
  const auto result = run(store, backend, observer, &clock, 1, 1);
  check_same(store, result, observer, undisturbed(store).size() - 1);
  CHECK(objects_of(backend.inner) == undisturbed(store));
}

TEST_CASE("a failure that another attempt would meet too is not retried") {
  const Store store = many_pairs(4000);
  for (const StatusCode code : {StatusCode::no_space, StatusCode::permission_denied}) {
    MemoryBackend backend;
    FaultBackend faulty(backend, Operation::append, 3, Status::error(code, "injected"));
    FixedClock clock;
    Recorder observer;
    const auto result = run(store, faulty, observer, &clock);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == code);
    CHECK(observer.losses.empty());
    CHECK(clock.slept_ns() == 0);
  }
}

TEST_CASE("cancel ends the pause before a part is built again") {
  const Store store = many_pairs(4000);
  for (const std::size_t workers : {1u, 4u}) {
    MemoryBackend backend;
    FaultBackend faulty(backend, Operation::append, 4, gone_away());
    FixedClock clock;
    Recorder observer;
    observer.cancels = true;
    const auto result = run(store, faulty, observer, &clock, workers);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::cancelled);
    CHECK(clock.slept_ns() <= workers * wait_slice_ns);
    CHECK_FALSE(backend.exists("backupmeta").value());
  }
}

TEST_CASE("without a clock, or with one that stands still, parts are built again all the same") {
  const Store store = many_pairs(4000);
  MemoryBackend backend;
  FaultBackend faulty(backend, Operation::append, 4, gone_away());
  Recorder observer;
  check_same(store, run(store, faulty, observer, nullptr), observer, 1);

  struct Still final : Clock {
    std::uint64_t unix_ms() override { return 1; }
    std::uint64_t steady_ns() override { return 0; }
    void sleep_ns(std::uint64_t) override {}
  } still;
  MemoryBackend other;
  FaultBackend again(other, Operation::append, 4, gone_away());
  Recorder second;
  const auto result = run(store, again, second, &still);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().code() == StatusCode::unavailable);
}

TEST_CASE("a source that can be read once says that its part cannot be built again") {
  const Store store = many_pairs(4000);
  MemoryBackend backend;
  FaultBackend faulty(backend, Operation::append, 4, gone_away());
  BackupOptions options;
  options.part_size = part_size;
  const auto result =
      BackupPipeline(RangeSource(store), Lz4Codec{}, FileHasher{}, faulty).run(options);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().code() == StatusCode::unavailable);
  CHECK(result.status().to_string().find("this source can be read once") != std::string::npos);
  CHECK_FALSE(backend.exists("backupmeta").value());
}

TEST_CASE("a source that fails is not taken for an object that is lost") {
  struct Flaky {
    const Store* store;
    struct Scan {
      RangeSource<const Store&> inner;
      int left = 100;
      [[nodiscard]] bool valid() const { return left > 0 && inner.valid(); }
      [[nodiscard]] ByteView key() const { return inner.key(); }
      [[nodiscard]] ByteView value() const { return inner.value(); }
      void next() {
        inner.next();
        --left;
      }
      [[nodiscard]] Status status() const { return left > 0 ? Status() : gone_away(); }
    };
    [[nodiscard]] Result<Scan> scan(const KeyRange&) const {
      return Scan{RangeSource<const Store&>(*store)};
    }
  };
  const Store store = many_pairs(4000);
  Recorder observer;
  BackupOptions options;
  options.observer = &observer;
  const auto result =
      BackupPipeline(Flaky{&store}, Lz4Codec{}, FileHasher{}, MemoryBackend()).run(options);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().code() == StatusCode::unavailable);
  CHECK(observer.losses.empty());
}

TEST_CASE("of a part with two tables the one that is committed stays when the other is lost") {
  const Store store = many_pairs(4000);
  const Objects expected = undisturbed<TwoTables>(store);
  REQUIRE(expected.size() > 10);
  for (const Operation operation : {Operation::create, Operation::append, Operation::commit}) {
    for (const std::uint64_t n : {1u, 2u, 3u, 4u, 5u, 6u, 8u}) {
      for (const std::size_t workers : {1u, 4u}) {
        MemoryBackend backend;
        FaultBackend faulty(backend, operation, n, gone_away());
        FixedClock clock;
        Recorder observer;
        const auto result = run<TwoTables>(store, faulty, observer, &clock, workers);
        CHECK(faulty.fired());
        check_same(store, result, observer, 1);
        CHECK(objects_of(backend) == expected);
      }
    }
  }
}

TEST_CASE("an object that was committed although its commit failed is known as ours") {
  const Store store = many_pairs(4000);
  for (const std::uint64_t n : {1u, 2u, 5u}) {
    MemoryBackend backend;
    FaultBackend faulty(backend, Operation::answer, n, gone_away());
    FixedClock clock;
    Recorder observer;
    check_same(store, run(store, faulty, observer, &clock), observer, 1);
    CHECK(objects_of(backend) == undisturbed(store));
  }
}

TEST_CASE("an object of somebody else is not taken for ours") {
  // of the right name and size, but of other bytes, put there while the part is built again
  struct Intruder final : Observer {
    MemoryBackend backend;
    std::string name;
    std::size_t size = 0;
    void on_rebuild(const Status&) override {
      auto writer = backend.create(name, {});
      REQUIRE(writer.value().append(std::string(size, 'x')).ok());
      REQUIRE(writer.value().commit().ok());
    }
  };
  const Store store = many_pairs(4000);
  const auto [name, bytes] = *undisturbed(store).begin();
  for (const std::size_t size : {bytes.size(), bytes.size() - 1}) {
    Intruder intruder;
    intruder.name = name;
    intruder.size = size;
    FaultBackend faulty(intruder.backend, Operation::commit, 1, gone_away());
    FixedClock clock;
    BackupOptions options;
    options.clock = &clock;
    options.part_size = part_size;
    options.observer = &intruder;
    const auto result =
        BackupPipeline(RangeSnapshot(store), Lz4Codec{}, FileHasher{}, faulty).run(options);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::already_exists);
    CHECK(intruder.backend.read(name).value() == std::string(size, 'x'));
  }
}

TEST_CASE("a snapshot whose second scan gives less than its first is found out") {
  struct Shrinking {
    const Store* store;
    std::shared_ptr<int> scans = std::make_shared<int>(0);
    [[nodiscard]] Result<BoundedSource<RangeSource<const Store&>>> scan(const KeyRange& r) const {
      const bool again = (*scans)++ > 0;
      return BoundedSource(RangeSource<const Store&>(*store), r.start,
                           again ? ByteView("user/1") : ByteView(r.end));
    }
  };
  const Store store = many_pairs(4000);
  MemoryBackend backend;
  FaultBackend faulty(backend, Operation::commit, 1, gone_away());
  const auto result = BackupPipeline(Shrinking{&store}, Lz4Codec{}, FileHasher{}, faulty).run();
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().code() == StatusCode::internal);
  CHECK_FALSE(backend.exists("backupmeta").value());
}

}  // namespace rebuild_test
