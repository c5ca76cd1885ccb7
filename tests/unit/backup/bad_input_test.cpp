// SPDX-License-Identifier: Apache-2.0
// What can go wrong in a run: each is a clear error, and no backupmeta is ever left behind it.
#include <memory>
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

using Pairs = std::vector<std::pair<std::string, std::string>>;

template <class Source>
Status run_status(Source source, MemoryBackend& backend, const BackupOptions& options = {}) {
  return BackupPipeline(std::move(source), NoneCodec{}, FileHasher{}, backend)
      .run(options)
      .status();
}

void check_nothing_half_written(MemoryBackend& backend) {
  CHECK_FALSE(backend.exists("backupmeta").value());
  for (const ObjectInfo& object : backend.list("").value()) {
    CHECK(object.name.ends_with(".sst"));
    // an SST is whole if it ends with the magic number of its footer
    const std::string bytes = backend.read(object.name).value();
    CHECK(to_hex(bytes.substr(bytes.size() - 8)) == "f7cff485b741e288");
  }
}

bool says(const Status& status, std::string_view text) {
  return status.to_string().find(text) != std::string::npos;
}

// Gives `good` pairs, then fails.
class FailingSource {
 public:
  explicit FailingSource(int good) : good_(good) {}
  [[nodiscard]] bool valid() const { return at_ < good_; }
  [[nodiscard]] ByteView key() const { return key_; }
  [[nodiscard]] ByteView value() const { return "v"; }
  void next() { key_ = "k" + std::to_string(100000 + ++at_); }
  [[nodiscard]] Status status() const {
    if (valid()) return {};
    return Status::error(StatusCode::io_error, "the disk under the store is gone");
  }

 private:
  int good_;
  int at_ = 0;
  std::string key_ = "k100000";
};

}  // namespace

TEST_CASE("an unsorted source is an error that names the key") {
  MemoryBackend backend;
  const Status status = run_status(RangeSource(Pairs{{"b", ""}, {"a", ""}}), backend);
  CHECK(status.code() == StatusCode::out_of_order);
  CHECK(status.key() == "a");
  CHECK(says(status, "strictly rise"));
  check_nothing_half_written(backend);
}

TEST_CASE("a repeated key is an error") {
  MemoryBackend backend;
  const Status status = run_status(RangeSource(Pairs{{"a", "1"}, {"a", "2"}}), backend);
  CHECK(status.code() == StatusCode::out_of_order);
  CHECK(status.key() == "a");
}

TEST_CASE("parts that backupmeta cannot describe end the run, and early") {
  // each part names its key twice, as its start and as the end of the one before
  class LongKeys {
   public:
    LongKeys() { set_key(); }
    [[nodiscard]] bool valid() const { return at_ < 1000; }
    [[nodiscard]] ByteView key() const { return key_; }
    [[nodiscard]] ByteView value() const { return ""; }
    void next() {
      ++at_;
      ++*taken;
      set_key();
    }
    [[nodiscard]] static Status status() { return {}; }
    std::shared_ptr<int> taken = std::make_shared<int>(0);

   private:
    void set_key() {
      key_ = std::to_string(10000 + at_);
      key_.resize(4u << 20, 'k');
    }
    int at_ = 0;
    std::string key_;
  };
  BackupOptions options;
  options.part_size = 1;
  const LongKeys source;
  const auto taken = source.taken;
  const Status status =
      BackupPipeline(source, NoneCodec{}, FileHasher{}, NoopBackend{}).run(options).status();
  CHECK(status.code() == StatusCode::resource_exhausted);
  CHECK(says(status, "--file-size"));
  CHECK(static_cast<std::uint64_t>(*taken) <= max_backupmeta_size / (8u << 20) + 1);
}

TEST_CASE("a source that turns back where a part ends is an error too") {
  MemoryBackend backend;
  BackupOptions options;
  options.part_size = 1;
  const Status status =
      run_status(RangeSource(Pairs{{"a", "1"}, {"c", "1"}, {"b", "1"}}), backend, options);
  CHECK(status.code() == StatusCode::out_of_order);
  CHECK(status.key() == "b");
  check_nothing_half_written(backend);
}

TEST_CASE("a source that fails midway ends the run with its own error") {
  MemoryBackend backend;
  BackupOptions options;
  options.part_size = 1000;
  const Status status = run_status(FailingSource(5000), backend, options);
  CHECK(status.code() == StatusCode::io_error);
  CHECK(says(status, "the disk under the store is gone"));
  check_nothing_half_written(backend);
  CHECK(backend.list("").value().size() > 1);
}

TEST_CASE("a destination that holds a backup is refused and stays as it is") {
  MemoryBackend backend;
  REQUIRE(run_status(RangeSource(Pairs{{"a", ""}}), backend).ok());
  const std::string before = backend.read("backupmeta").value();
  const Status status = run_status(RangeSource(Pairs{{"b", ""}}), backend);
  CHECK(status.code() == StatusCode::already_exists);
  CHECK(says(status, "already holds a backup"));
  CHECK(backend.read("backupmeta").value() == before);
}

TEST_CASE("a file left by a run that failed is not replaced") {
  MemoryBackend backend;
  auto writer = backend.create("1_1_1_default.sst", {});
  REQUIRE(writer.value().append("left over").ok());
  REQUIRE(writer.value().commit().ok());
  const Status status = run_status(RangeSource(Pairs{{"a", ""}}), backend);
  CHECK(status.code() == StatusCode::already_exists);
  CHECK(status.object() == "1_1_1_default.sst");
  CHECK(backend.read("1_1_1_default.sst").value() == "left over");
  CHECK_FALSE(backend.exists("backupmeta").value());
}

TEST_CASE("options that cannot work are refused before anything is done") {
  MemoryBackend backend;
  const auto refused = [&backend](const BackupOptions& options) {
    const Status status = run_status(RangeSource(Pairs{{"a", ""}}), backend, options);
    CHECK(status.code() == StatusCode::invalid_argument);
    CHECK(backend.list("").value().empty());
    return status.to_string();
  };
  BackupOptions options;
  options.part_size = 0;
  CHECK(refused(options).find("part_size") != std::string::npos);
  options = {};
  options.concurrency = 0;
  CHECK(refused(options).find("concurrency") != std::string::npos);
  options.concurrency = 2;
  CHECK(refused(options).find("executor") != std::string::npos);
  options = {};
  options.rate_limit = 1;
  CHECK(refused(options).find("clock") != std::string::npos);
  options = {};
  options.read_rate_limit = 1;
  CHECK(refused(options).find("read_rate_limit needs a clock") != std::string::npos);
  options = {};
  options.ranges = {{.start = "b", .end = "a"}};
  CHECK(refused(options).find("start of a key range must be below its end") != std::string::npos);
  options.ranges = {{.start = "a", .end = "b"}, {.start = "c", .end = "d"}};
  CHECK(refused(options).find("one key range") != std::string::npos);
}

TEST_CASE("a source that can be read once is not silently read twice") {
  const Store store = many_pairs(10);
  auto pipeline = BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, NoopBackend());
  REQUIRE(pipeline.run().ok());
  const auto again = pipeline.run();
  REQUIRE_FALSE(again.ok());
  CHECK(again.status().code() == StatusCode::invalid_argument);
}

TEST_CASE("a cancelled run says so and leaves no backup") {
  struct CancelAtFirstFile final : Observer {
    CancelToken token;
    void on_file(const File&) override { token.cancel(); }
  } observer;
  const Store store = many_pairs(5000);
  MemoryBackend backend;
  BackupOptions options;
  options.part_size = 10'000;
  options.observer = &observer;
  options.cancel = &observer.token;
  const Status status = run_status(RangeSource(store), backend, options);
  CHECK(status.code() == StatusCode::cancelled);
  check_nothing_half_written(backend);
  CHECK(backend.list("").value().size() == 1);
}

TEST_CASE("a backend that fails at any operation ends the run without a backup") {
  const Store store = many_pairs(300);
  BackupOptions options;
  options.part_size = 3000;
  const Status fault = Status::error(StatusCode::no_space, "injected");
  for (std::uint64_t n = 0;; ++n) {
    MemoryBackend backend;
    test_support::FaultBackend faulty(backend, test_support::Operation::any, n + 1, fault);
    const auto result =
        BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, faulty).run(options);
    if (result.ok()) {
      CHECK(n > 10);
      CHECK(backend.exists("backupmeta").value());
      break;
    }
    CHECK(result.status().code() == StatusCode::no_space);
    check_nothing_half_written(backend);
  }
}

TEST_CASE("a column family whose name backupmeta or a file's name cannot hold is refused at once") {
  const Store store = many_pairs(10);
  for (const std::string& cf : {std::string("caf\xe9"), std::string(200, 'x')}) {
    MemoryBackend backend;
    const auto result =
        BackupPipeline(RangeSnapshot(store, cf), NoneCodec{}, FileHasher{}, backend).run();
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::unsupported);
    CHECK(result.status().object() == cf);
    CHECK(backend.list("").value().empty());
  }
  MemoryBackend backend;
  BackupOptions options;
  options.cluster_version = "\xff";
  CHECK(run_status(RangeSource(store), backend, options).code() == StatusCode::invalid_argument);
}

TEST_CASE("an executor that drops tasks makes no backup") {
  struct Dropping final : Executor {
    void run(std::size_t, FunctionRef<void(std::size_t)>) override {}
  } dropping;
  const Store store = many_pairs(2000);
  MemoryBackend backend;
  BackupOptions options;
  options.part_size = 10'000;
  options.concurrency = 2;
  options.executor = &dropping;
  const auto result =
      BackupPipeline(RangeSnapshot(store), NoneCodec{}, FileHasher{}, backend).run(options);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().code() == StatusCode::internal);
  CHECK(backend.list("").value().empty());
}

TEST_CASE("a snapshot that gives pairs outside the range asked is found out") {
  // gives everything, whatever it is asked for
  struct Careless {
    const Store* store;
    [[nodiscard]] auto scan(const KeyRange&) const {
      return Result<RangeSource<const Store&>>(RangeSource<const Store&>(*store));
    }
  };
  static_assert(Snapshot<Careless>);
  const Store store{{"b", ""}, {"c", ""}, {"z", ""}};
  for (const KeyRange& range : {KeyRange{"default", "a", "d"}, KeyRange{"default", "bb", ""}}) {
    MemoryBackend backend;
    BackupOptions options;
    options.ranges = {range};
    const auto result =
        BackupPipeline(Careless{&store}, NoneCodec{}, FileHasher{}, backend).run(options);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::internal);
    check_nothing_half_written(backend);
  }
}

TEST_CASE("cancel ends the search for the first key of a range too") {
  struct Endless {
    std::uint64_t n = 0;
    CancelToken* token = nullptr;
    std::string text = "a";
    [[nodiscard]] bool valid() const { return true; }
    [[nodiscard]] ByteView key() const { return text; }
    [[nodiscard]] ByteView value() const { return {}; }
    void next() {
      if (++n == 10'000) token->cancel();
      text = "a" + std::to_string(1'000'000 + n);
    }
    [[nodiscard]] Status status() const { return {}; }
  };
  CancelToken token;
  MemoryBackend backend;
  BackupOptions options;
  options.cancel = &token;
  options.ranges = {{.start = "b", .end = ""}};
  const Status status = run_status(Endless{0, &token, "a"}, backend, options);
  CHECK(status.code() == StatusCode::cancelled);
}
