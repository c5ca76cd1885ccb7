// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "unit/restore/restored_families.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::many_pairs;

namespace {

const Families& two_families() {
  static const Families families{
      {"default", many_pairs(3000, 1)}, {"empty", {}}, {"other", many_pairs(500, 2)}};
  return families;
}

Store part_of(const Store& store, const std::string& start, const std::string& end) {
  Store out;
  for (const auto& [key, value] : store) {
    if (KeyRange{"", start, end}.contains(key)) out.emplace(key, value);
  }
  return out;
}

/// The first file's name, and its bytes with one bit turned over.
std::pair<std::string, std::string> flipped(const MemoryBackend& backend, std::size_t file) {
  const std::string name =
      decode_manifest(backend.read("backupmeta").value()).value().meta.files[file].name;
  std::string bytes = backend.read(name).value();
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
  return {name, bytes};
}

/// Sets a token at its n-th pair.
class CancelSink : public FamiliesSink {
 public:
  CancelSink(Families& target, CancelToken& token, std::uint64_t at)
      : FamiliesSink(target), token_(&token), at_(at) {}
  Status put(ByteView key, ByteView value) {
    if (puts + 1 == at_) token_->cancel();
    return FamiliesSink::put(key, value);
  }

 private:
  CancelToken* token_;
  std::uint64_t at_;
};

}  // namespace

TEST_CASE("what was backed up is restored, column family by column family") {
  const MemoryBackend backend = backed_up(two_families());
  const auto before = objects_of(backend);
  REQUIRE(before.size() > 10);
  CHECK(restored(opened(backend)) == two_families());
  CHECK(objects_of(backend) == before);
}

TEST_CASE("files that are proven ahead, or read twice, restore the same") {
  const MemoryBackend backend = backed_up(two_families());
  ThreadExecutor threads;
  RestoreOptions options;
  options.executor = &threads;
  options.concurrency = 3;
  CHECK(restored(opened(backend), options) == two_families());
  options.file_memory = 0;
  CHECK(restored(opened(backend), options) == two_families());
}

TEST_CASE("keys that hold every byte, the empty key and empty values are restored") {
  Store store{{"", ""}, {std::string(1, '\0'), "zero"}, {"\xff\xff", ""}, {"\xff\xff\xff", "x"}};
  for (int byte = 0; byte < 256; ++byte) store[std::string(2, static_cast<char>(byte))] = "";
  const Families families{{"default", store}};
  CHECK(restored(opened(backed_up(families, 64))) == families);
}

TEST_CASE("a backup with keys as they are is restored as one with a prefix") {
  const Families families{{"default", many_pairs(1000)}};
  CHECK(restored(opened(backed_up(families, 4096, {}, PlainLayout{}))) == families);
}

TEST_CASE("the pairs of a range are restored, out of the files that they need alone") {
  const Store& store = two_families().at("default");
  const MemoryBackend backend = backed_up(two_families());
  for (const auto& [start, end] : {std::pair<std::string, std::string>{"user/3", "user/5"},
                                   {"", "user/15/"},
                                   {"user/70/a", ""},
                                   {"user/42/", "user/42/zz"}}) {
    RestoreOptions options;
    options.ranges = {{"default", start, end}};
    test_support::FaultBackend<MemoryBackend> counted(backend, test_support::Operation::any, 0);
    auto backup = Backup<decltype(counted)>::open(counted);
    REQUIRE(backup.ok());
    const auto reads = counted.calls(test_support::Operation::read);
    Families target;
    FamiliesSink sink(target);
    const auto result = restore(backup.value(), sink, options);
    REQUIRE(result.ok());
    CHECK(target == Families{{"default", part_of(store, start, end)}});
    // each file is smaller than what one read takes
    CHECK(counted.calls(test_support::Operation::read) - reads == result.value().files);
    CHECK(result.value().files < backup.value().meta().files.size());
    CHECK(result.value().total.pairs == target["default"].size());
  }
}

TEST_CASE("several ranges are restored in key order, whatever order they are asked in") {
  const MemoryBackend backend = backed_up(two_families(), 1 << 20);
  RestoreOptions options;
  options.ranges = {
      {"other", "user/5", ""}, {"default", "user/8", "user/81"}, {"default", "user/1", "user/2"}};
  Families expected;
  expected["other"] = part_of(two_families().at("other"), "user/5", "");
  expected["default"] = part_of(two_families().at("default"), "user/8", "user/81");
  expected["default"].merge(part_of(two_families().at("default"), "user/1", "user/2"));
  CHECK(restored(opened(backend), options) == expected);
}

TEST_CASE(
    "with a prefix to rewrite, only keys that begin with it are restored, under the new one") {
  const MemoryBackend backend = backed_up(two_families());
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"user/4", "tenant-b/"},
                                 {"user/42/", ""},
                                 {"", "copy of "},
                                 {"user/99/", "\xff\xff"}}) {
    RestoreOptions options;
    options.ranges = {{"default", "", ""}};
    options.rewrite_prefix = {from, to};
    Store expected;
    for (const auto& [key, value] : two_families().at("default")) {
      if (key.starts_with(from)) expected[to + key.substr(from.size())] = value;
    }
    REQUIRE_FALSE(expected.empty());
    const Families target = restored(opened(backend), options);
    CHECK(target == Families{{"default", expected}});
    const auto counted = count_restore(opened(backend), options);
    REQUIRE(counted.ok());
    PairSums sums;
    for (const auto& [key, value] : expected) sums.add(key, value);
    CHECK(counted.value().pairs == sums.pairs);
    CHECK(counted.value().bytes == sums.bytes);
  }
}

TEST_CASE("one column family can be restored to another") {
  RestoreOptions options;
  options.ranges = {{"other", "", ""}};
  options.target_cf = "somewhere";
  const Families expected{{"somewhere", two_families().at("other")}};
  CHECK(restored(opened(backed_up(two_families())), options) == expected);
  options.ranges.clear();
  Families target;
  FamiliesSink sink(target);
  CHECK(restore(opened(backed_up(two_families())), sink, options).status().code() ==
        StatusCode::invalid_argument);
  CHECK(sink.abandoned);
}

TEST_CASE("pairs go to any function; one without column families takes one only") {
  const MemoryBackup backup = opened(backed_up(two_families()));
  Store got;
  RestoreOptions options;
  options.ranges = {{"default", "", ""}};
  const auto take = [&got](ByteView key, ByteView value) {
    got.emplace_hint(got.end(), std::string(key), std::string(value));
  };
  REQUIRE(restore(backup, take, options).ok());
  CHECK(got == two_families().at("default"));
  got.clear();
  CHECK(restore(backup, take).status().code() == StatusCode::invalid_argument);
  CHECK(got.empty());
  std::string text;
  TsvSink tsv{StringWriter(text)};
  options.ranges = {{"other", "", ""}};
  REQUIRE(restore(backup, tsv, options).ok());
  CHECK(std::count(text.begin(), text.end(), '\n') == 500);
}

TEST_CASE(
    "keys that the backup does not hold are an error, of a range that it holds in part that part "
    "counts") {
  const MemoryBackend backend = backed_up(two_families(), 4096, {{"default", "user/3", "user/6"}});
  const MemoryBackup backup = opened(backend);
  RestoreOptions options;
  options.ranges = {{"default", "user/5", ""}};
  CHECK(restored(backup, options) ==
        Families{{"default", part_of(two_families().at("default"), "user/5", "user/6")}});
  Families target;
  for (const KeyRange& range : {KeyRange{"default", "user/7", ""}, KeyRange{"nosuch", "", ""}}) {
    FamiliesSink sink(target);
    options.ranges = {range};
    CHECK(restore(backup, sink, options).status().code() == StatusCode::not_found);
  }
  FamiliesSink sink(target);
  options.ranges.clear();
  options.rewrite_prefix = {"tenant/", "x"};
  CHECK(restore(backup, sink, options).status().code() == StatusCode::not_found);
}

TEST_CASE("of a damaged file nothing is restored, and the target is abandoned") {
  const MemoryBackend backend = backed_up(two_families());
  const std::size_t files = opened(backend).meta().files.size();
  for (const std::size_t file : {std::size_t{0}, files / 2, files - 1}) {
    const auto [name, bytes] = flipped(backend, file);
    const std::string good = backend.read(name).value();
    for (const std::string& bad : {bytes, good.substr(0, good.size() - 1), good + "x"}) {
      put_object(backend, name, bad);
      for (const std::uint64_t memory : {std::uint64_t{0}, std::uint64_t{1} << 20}) {
        Families target;
        FamiliesSink sink(target);
        RestoreOptions options;
        options.file_memory = memory;
        const auto result = restore(opened(backend), sink, options);
        CHECK(result.status().code() == StatusCode::corruption);
        CHECK(result.status().object() == name);
        CHECK(sink.abandoned);
        CHECK_FALSE(sink.finished);
        // its first key was not put, and no file of another size is even begun
        std::size_t before = 0;
        for (std::size_t i = 0; i < file; ++i) before += opened(backend).meta().files[i].total_kvs;
        CHECK(sink.puts == (bad.size() == good.size() ? before : 0));
      }
    }
    put_object(backend, name, good);
  }
  const auto [name, bytes] = flipped(backend, 1);
  REQUIRE(backend.remove(name).ok());
  Families target;
  FamiliesSink sink(target);
  CHECK(restore(opened(backend), sink).status().code() == StatusCode::corruption);
  CHECK(sink.puts == 0);
}

TEST_CASE("a restore of other keys does not mind a damaged file") {
  const MemoryBackend backend = backed_up(two_families());
  const auto [name, bytes] = flipped(backend, 0);
  put_object(backend, name, bytes);
  RestoreOptions options;
  options.ranges = {{"other", "", ""}};
  CHECK(restored(opened(backend), options) == Families{{"other", two_families().at("other")}});
}

TEST_CASE("a failed read ends the restore, wherever it happens") {
  const Families families{{"default", many_pairs(300)}};
  const MemoryBackend backend = backed_up(families, 1000);
  for (std::uint64_t at = 1;; ++at) {
    test_support::FaultBackend<MemoryBackend> faulty(backend, test_support::Operation::any, at);
    auto backup = Backup<decltype(faulty)>::open(faulty);
    Families target;
    FamiliesSink sink(target);
    RestoreOptions options;
    options.file_memory = at % 2 == 0 ? 0 : 1 << 20;
    if (backup.ok()) {
      const auto result = restore(backup.value(), sink, options);
      CHECK(result.ok() == !faulty.fired());
      CHECK(sink.finished == result.ok());
    }
    if (!faulty.fired()) break;
    CHECK(target.empty());
    REQUIRE(at < 1000);
  }
}

TEST_CASE("cancelled at any pair, a restore leaves the target alone") {
  const MemoryBackend backend = backed_up(two_families());
  for (const std::uint64_t at : {1u, 2u, 1500u, 3499u, 3500u}) {
    CancelToken cancel;
    RestoreOptions options;
    options.cancel = &cancel;
    Families target{{"default", {{"mine", "1"}}}};
    CancelSink sink(target, cancel, at);
    CHECK(restore(opened(backend), sink, options).status().code() == StatusCode::cancelled);
    CHECK(sink.abandoned);
    CHECK_FALSE(sink.finished);
    CHECK(sink.puts < at + 1100);
    CHECK(target == Families{{"default", {{"mine", "1"}}}});
  }
}

TEST_CASE("what a sink refuses ends the restore with its status") {
  const MemoryBackup backup = opened(backed_up(two_families()));
  std::size_t puts = 0;
  RestoreOptions options;
  options.ranges = {{"default", "", ""}};
  const auto result = restore(
      backup,
      [&puts](ByteView, ByteView) -> Status {
        return ++puts < 100 ? Status() : Status::error(StatusCode::no_space, "the store is full");
      },
      options);
  CHECK(result.status().code() == StatusCode::no_space);
  CHECK(puts == 100);
}

TEST_CASE("a rate limit spreads the pairs over time") {
  const MemoryBackup backup = opened(backed_up({{"default", many_pairs(20'000)}}, 1 << 20));
  test_support::FixedClock clock;
  RestoreOptions options;
  options.clock = &clock;
  options.rate_limit = 10'000;
  options.ranges = {{"default", "", ""}};
  struct Last final : RestoreObserver {
    RestoreProgress progress;
    void on_progress(const RestoreProgress& p) override { progress = p; }
  } last;
  options.observer = &last;
  PairSums sums;
  const auto result = restore(
      backup, [&sums](ByteView k, ByteView v) { sums.add(k, v); }, options);
  REQUIRE(result.ok());
  CHECK(result.value().total == sums);
  CHECK(last.progress.throttled_ns == clock.slept_ns());
  const double seconds = static_cast<double>(clock.slept_ns()) * 1e-9;
  const double expected = static_cast<double>(sums.bytes) / 10'000;
  CAPTURE(seconds, expected);
  CHECK(seconds <= expected);
  // what was taken last, at most 64 KiB, is paid for by nobody
  CHECK(seconds >= expected - 64 * 1024 / 10'000.0);
  CHECK(seconds > expected * 0.9);
}

TEST_CASE("options that cannot work are refused before anything is read") {
  const MemoryBackup backup = opened(backed_up(two_families()));
  Families target;
  const auto refused = [&](const RestoreOptions& options) {
    FamiliesSink sink(target);
    CHECK(restore(backup, sink, options).status().code() == StatusCode::invalid_argument);
    CHECK(sink.abandoned);
  };
  RestoreOptions options;
  options.concurrency = 0;
  refused(options);
  options.concurrency = 2;
  refused(options);
  options = {};
  options.rate_limit = 1;
  refused(options);
  options = {};
  options.ranges = {{"default", "b", "a"}};
  refused(options);
  options.ranges = {{"default", "a", "c"}, {"default", "b", "d"}};
  refused(options);
}

TEST_CASE("an observer sees every file and pair") {
  class Last final : public RestoreObserver {
   public:
    void on_progress(const RestoreProgress& progress) override { seen = progress; }
    RestoreProgress seen;
  } observer;
  const MemoryBackend backend = backed_up(two_families());
  RestoreOptions options;
  options.observer = &observer;
  restored(opened(backend), options);
  CHECK(observer.seen.files == opened(backend).meta().files.size());
  CHECK(observer.seen.total_files == observer.seen.files);
  CHECK(observer.seen.pairs == 3500);
  CHECK(observer.seen.stored_bytes == observer.seen.total_stored_bytes);
}
