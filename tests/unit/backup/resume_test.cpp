// SPDX-License-Identifier: Apache-2.0
// A backup that ended anywhere is gone on with, and nobody can tell from the result.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/counting_backend.hpp"
#include "support/fault_backend.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"
#include "support/temp_dir.hpp"

namespace resume_test {

using namespace kvbackup;
using test_support::CountingBackend;
using test_support::FaultBackend;
using test_support::FixedClock;
using test_support::many_pairs;
using test_support::Operation;
using test_support::Store;

namespace {

using Objects = std::map<std::string, std::string>;
constexpr std::uint64_t begun_ms = 1'600'000'000'000;
constexpr std::uint64_t later_ms = begun_ms + longest_lease_ms;

template <class Backend>
Objects objects_of(Backend backend) {
  Objects objects;
  for (const ObjectInfo& info : backend.list("").value()) {
    objects[info.name] = backend.read(info.name).value();
  }
  return objects;
}

/// A store that tells its state.
class Stated : public RangeSnapshot<const Store&> {
 public:
  explicit Stated(const Store& store, std::string state = "store@1")
      : RangeSnapshot<const Store&>(store), state_(std::move(state)) {}
  [[nodiscard]] std::string state() const { return state_; }

 private:
  std::string state_;
};
static_assert(StatefulSource<Stated>);

/// The same in two tables, so that a part has two files.
class TwoTables : public PlainLayout {
 public:
  static std::vector<std::string> cfs(std::string_view) { return {"default", "write"}; }
  template <class Emit>
  Status store(const SourceEntry& entry, Emit&& emit) {
    if (Status status = emit(std::size_t{0}, entry.key, entry.value); !status.ok()) return status;
    return emit(std::size_t{1}, entry.key, entry.value);
  }
  static std::optional<CountedPair> counted(const SourceEntry& entry) {
    return CountedPair{.table = 0, .key = entry.key, .value = entry.value};
  }
};
static_assert(Layout<TwoTables>);

BackupOptions options_of(Clock& clock, bool resume = false) {
  BackupOptions options;
  options.part_size = 20'000;
  options.clock = &clock;
  options.checkpoint = true;
  options.resume = resume;
  options.checkpoint_interval_ms = 0;
  options.part_retries = 0;
  return options;
}

template <class LayoutT = RawLayout, class Source, class Backend>
Result<BackupResult> back_up(Source source, Backend backend, const BackupOptions& options) {
  return BackupPipeline(std::move(source), NoneCodec{}, FileHasher{}, std::move(backend), LayoutT{})
      .run_detailed(options);
}

template <class LayoutT = RawLayout>
Objects undisturbed(const Store& store, std::uint64_t unix_ms = begun_ms) {
  const MemoryBackend backend;
  FixedClock clock(unix_ms);
  BackupOptions options = options_of(clock);
  options.checkpoint = false;
  REQUIRE(back_up<LayoutT>(Stated(store), backend, options).ok());
  return objects_of(backend);
}

/// A backend whose process is gone from its call number `at` on: nothing reaches the storage.
template <class B>
FaultBackend<B> killed(B backend, std::uint64_t at) {
  return FaultBackend<B>(std::move(backend), Operation::any, at,
                         Status::error(StatusCode::io_error, "the process is gone"), ~0ull);
}

std::size_t recorded_files(const MemoryBackend& backend) {
  std::size_t files = 0;
  for (const ObjectInfo& each : backend.list(checkpoint_prefix).value()) {
    if (parse_checkpoint_name(each.name)->number == 0) continue;
    const auto parts = decode_checkpoint_parts(each.name, backend.read(each.name).value());
    for (const CheckpointPart& part : parts.value().parts) files += part.files.size();
  }
  return files;
}

template <class LayoutT>
void check_every_kill(const Store& store) {
  const Objects expected = undisturbed<LayoutT>(store);
  const Objects expected_later = undisturbed<LayoutT>(store, later_ms);
  for (std::uint64_t at = 1;; ++at) {
    INFO("killed at call " << at);
    const MemoryBackend backend;
    FixedClock clock(begun_ms);
    auto dying = killed(backend, at);
    const bool whole = back_up<LayoutT>(Stated(store), dying, options_of(clock)).ok();
    if (!dying.fired()) {
      CHECK(at > 20);
      CHECK(objects_of(backend) == expected);
      break;
    }
    const Objects left = objects_of(backend);
    const bool has_backup = left.contains("backupmeta");
    CHECK(whole == has_backup);
    const std::size_t recorded = recorded_files(backend);
    const bool has_header = !backend.list(checkpoint_prefix).value().empty();
    FixedClock later(later_ms);
    // without resume it is refused, and nothing changes
    const auto refused = back_up<LayoutT>(Stated(store), backend, options_of(later));
    if (has_header && !has_backup) {
      CHECK(refused.status().code() == StatusCode::already_exists);
      CHECK_THAT(refused.status().to_string(), Catch::Matchers::Contains("--resume"));
      CHECK(objects_of(backend) == left);
    }
    if (!has_header) continue;
    const FaultBackend<MemoryBackend> counting(backend, Operation::any, 0);
    const auto resumed = back_up<LayoutT>(Stated(store), counting, options_of(later, true));
    REQUIRE(resumed.status().to_string() == "ok");
    CHECK(objects_of(backend) == expected);
    if (has_backup) continue;
    CHECK(resumed.value().resumed_files == recorded);
    // the lock, the parts and their records, and backupmeta
    const std::size_t written = expected.size() - 1 - recorded;
    CHECK(counting.calls(Operation::create) <= 1 + 2 * written + 1);
    CHECK(counting.calls(Operation::create) >= 1 + written + 1);
  }
  // killed before there was a checkpoint, a resumed run is a new one
  const MemoryBackend backend;
  FixedClock clock(begun_ms);
  auto dying = killed(backend, 7);
  CHECK_FALSE(back_up<LayoutT>(Stated(store), dying, options_of(clock)).ok());
  CHECK(backend.list(lock_prefix).value().size() == 1);
  FixedClock later(later_ms);
  REQUIRE(back_up<LayoutT>(Stated(store), backend, options_of(later, true)).ok());
  CHECK(objects_of(backend) == expected_later);
}

/// Gives each object a proof, and tells what was read.
class ProvingBackend : public MemoryBackend {
 public:
  class Writer {
   public:
    Writer(MemoryBackend::Writer inner, std::shared_ptr<std::map<std::string, std::string>> proofs)
        : inner_(std::move(inner)), proofs_(std::move(proofs)) {}
    Status append(ByteView bytes) { return inner_.append(bytes); }
    Result<ObjectInfo> commit() {
      auto committed = inner_.commit();
      if (!committed.ok()) return committed;
      std::string& proof = (*proofs_)[committed.value().name];
      proof += "+";
      committed.value().proof = proof;
      return committed;
    }
    void abandon() { inner_.abandon(); }

   private:
    MemoryBackend::Writer inner_;
    std::shared_ptr<std::map<std::string, std::string>> proofs_;
  };
  Result<Writer> create(std::string_view name, CreateOptions options = {}) const {
    auto writer = MemoryBackend::create(name, options);
    if (!writer.ok()) return std::move(writer).status();
    return Writer(std::move(writer).value(), proofs_);
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) const {
    auto listed = MemoryBackend::list(prefix);
    for (ObjectInfo& each : listed.value()) each.proof = (*proofs_)[each.name];
    return listed;
  }
  Result<std::string> read_range(std::string_view name, std::uint64_t at, std::uint64_t n) const {
    ++*reads_;
    return MemoryBackend::read_range(name, at, n);
  }
  [[nodiscard]] int reads() const { return *reads_; }

 private:
  std::shared_ptr<std::map<std::string, std::string>> proofs_ =
      std::make_shared<std::map<std::string, std::string>>();
  std::shared_ptr<int> reads_ = std::make_shared<int>(0);
};

/// A destination with a backup that ended in its middle.
template <class Backend = MemoryBackend>
Backend half_done(const Store& store) {
  Backend backend;
  FixedClock clock(begun_ms);
  auto failing = FaultBackend<Backend>(backend, Operation::commit, 9);
  CHECK_FALSE(back_up(Stated(store), failing, options_of(clock)).ok());
  CHECK(failing.fired());
  CHECK(backend.list(lock_prefix).value().empty());
  return backend;
}

}  // namespace

TEST_CASE("killed at any call, a backup is gone on with and comes out the same") {
  const Store store = many_pairs(2'000);
  check_every_kill<RawLayout>(store);
  check_every_kill<TwoTables>(store);
}

TEST_CASE("failed at any call, a backup is gone on with and comes out the same") {
  const Store store = many_pairs(1'500);
  const Objects expected = undisturbed(store);
  for (std::uint64_t at = 1;; ++at) {
    INFO("failed at call " << at);
    const MemoryBackend backend;
    FixedClock clock(begun_ms);
    auto failing = FaultBackend<MemoryBackend>(backend, Operation::any, at);
    const auto first = back_up(Stated(store), failing, options_of(clock));
    if (!failing.fired()) break;
    if (first.ok()) continue;  // what failed was to remove the checkpoint
    // nothing but a lock can be in the way, where the failure was to remove it
    const std::size_t locks = backend.list(lock_prefix).value().size();
    FixedClock later(locks == 0 ? begun_ms : later_ms);
    REQUIRE(back_up(Stated(store), backend, options_of(later, true)).status().to_string() == "ok");
    if (locks == 0) CHECK(objects_of(backend) == expected);
    CHECK(backend.list("kvbackup.").value().empty());
  }
}

TEST_CASE("a run that fails before it writes leaves nothing") {
  const Store store = many_pairs(100);
  const MemoryBackend backend;
  FixedClock clock(begun_ms);
  // the lock and the checkpoint's number 0, then the first file
  auto failing = FaultBackend<MemoryBackend>(backend, Operation::create, 3);
  CHECK_FALSE(back_up(Stated(store), failing, options_of(clock)).ok());
  CHECK(backend.list("").value().empty());
}

TEST_CASE("whatever differs from the unfinished backup is refused by its name") {
  const Store store = many_pairs(2'000);
  const MemoryBackend backend = half_done(store);
  const Objects before = objects_of(backend);
  FixedClock clock(begun_ms);
  using Change = void (*)(BackupOptions&);
  const std::pair<const char*, Change> changes[] = {
      {"part size", [](BackupOptions& o) { o.part_size += 1; }},
      {"store id", [](BackupOptions& o) { o.store_id = 9; }},
      {"region id", [](BackupOptions& o) { o.region_id = 9; }},
      {"region epoch", [](BackupOptions& o) { o.region_epoch = 9; }},
      {"store folder", [](BackupOptions& o) { o.store_folder = true; }},
      {"cluster id", [](BackupOptions& o) { o.cluster_id = 9; }},
      {"cluster version", [](BackupOptions& o) { o.cluster_version = "9"; }},
      {"key ranges", [](BackupOptions& o) {
         o.ranges = {{"default", "a", ""}};
       }}};
  for (const auto& [name, change] : changes) {
    INFO(name);
    BackupOptions options = options_of(clock, true);
    change(options);
    const auto refused = back_up(Stated(store), backend, options);
    CHECK(refused.status().code() == StatusCode::already_exists);
    CHECK_THAT(refused.status().to_string(), Catch::Matchers::Contains(name));
    CHECK(objects_of(backend) == before);
  }
  const auto other_state = back_up(Stated(store, "store@2"), backend, options_of(clock, true));
  CHECK_THAT(other_state.status().to_string(),
             Catch::Matchers::Contains("state of the source is \"store@2\" and was \"store@1\""));
  const auto other_layout = back_up<PlainLayout>(Stated(store), backend, options_of(clock, true));
  CHECK_THAT(other_layout.status().to_string(), Catch::Matchers::Contains("key prefix"));
  CHECK(objects_of(backend) == before);
  REQUIRE(back_up(Stated(store), backend, options_of(clock, true)).ok());
}

TEST_CASE("a file of a finished part that is not what was written is refused by its name") {
  const Store store = many_pairs(2'000);
  for (const bool removed : {false, true}) {
    const MemoryBackend backend = half_done(store);
    const std::string name = backend.list("1_").value().front().name;
    std::string bytes = backend.read(name).value();
    REQUIRE(backend.remove(name).ok());
    if (!removed) {
      bytes[40] = static_cast<char>(bytes[40] ^ 1);
      auto writer = backend.create(name);
      REQUIRE(writer.value().append(bytes).ok());
      REQUIRE(writer.value().commit().ok());
    }
    FixedClock clock(begun_ms);
    const auto refused = back_up(Stated(store), backend, options_of(clock, true));
    CHECK(refused.status().code() == StatusCode::corruption);
    CHECK_THAT(refused.status().to_string(), Catch::Matchers::Contains(name));
    CHECK_FALSE(backend.exists("backupmeta").value());
  }
}

TEST_CASE("where the storage knows its bytes again, nothing is read to prove them") {
  const Store store = many_pairs(2'000);
  const ProvingBackend backend = half_done<ProvingBackend>(store);
  FixedClock clock(begun_ms);
  const auto resumed = back_up(Stated(store), backend, options_of(clock, true));
  REQUIRE(resumed.ok());
  CHECK(resumed.value().resumed_files > 0);
  CHECK(backend.reads() == 0);
  // written again, byte for byte the same, it is not taken for what was recorded
  const ProvingBackend other = half_done<ProvingBackend>(store);
  const std::string name = other.list("1_").value().front().name;
  const std::string bytes = other.read(name).value();
  auto writer = other.create(name, {.size_hint = {}, .if_absent = false});
  REQUIRE(writer.value().append(bytes).ok());
  REQUIRE(writer.value().commit().ok());
  CHECK(back_up(Stated(store), other, options_of(clock, true)).status().code() ==
        StatusCode::corruption);
}

TEST_CASE("a damaged or foreign checkpoint is refused, and nothing is touched") {
  const Store store = many_pairs(2'000);
  FixedClock clock(begun_ms);
  const MemoryBackend backend = half_done(store);
  const auto put = [](const MemoryBackend& to, const std::string& name, const std::string& bytes) {
    auto writer = to.create(name, {.size_hint = {}, .if_absent = false});
    REQUIRE(writer.value().append(bytes).ok());
    REQUIRE(writer.value().commit().ok());
  };
  const Objects before = objects_of(backend);
  const std::string header = backend.list(checkpoint_prefix).value().front().name;
  for (const auto& [name, bytes] : before) {
    if (!is_checkpoint_name(name)) continue;
    INFO(name);
    put(backend, name, bytes.substr(0, bytes.size() - 1));
    const auto refused = back_up(Stated(store), backend, options_of(clock, true));
    CHECK(refused.status().code() == StatusCode::corruption);
    put(backend, name, bytes);
    CHECK(objects_of(backend) == before);
  }
  // a name that the job does not give
  CheckpointParts parts;
  const auto name = parse_checkpoint_name(header);
  parts = decode_checkpoint_parts(checkpoint_name(name->job_id, 1),
                                  before.at(checkpoint_name(name->job_id, 1)))
              .value();
  parts.parts[0].files[0].file->name = "../../etc/passwd";
  put(backend, checkpoint_name(name->job_id, 1), encode_checkpoint(parts));
  CHECK(back_up(Stated(store), backend, options_of(clock, true)).status().code() ==
        StatusCode::corruption);
  // two jobs
  put(backend, checkpoint_name("0123456789abcdef", 0), "x");
  CHECK_THAT(back_up(Stated(store), backend, options_of(clock, true)).status().to_string(),
             Catch::Matchers::Contains("more than one"));
}

TEST_CASE("a lost record of parts costs their work, and nothing else") {
  const Store store = many_pairs(2'000);
  const MemoryBackend backend = half_done(store);
  const auto objects = backend.list(checkpoint_prefix).value();
  REQUIRE(objects.size() >= 3);
  REQUIRE(backend.remove(objects[1].name).ok());
  FixedClock clock(begun_ms);
  REQUIRE(back_up(Stated(store), backend, options_of(clock, true)).status().to_string() == "ok");
  CHECK(objects_of(backend) == undisturbed(store));
}

TEST_CASE("BR's lock is respected") {
  const Store store = many_pairs(10);
  const MemoryBackend backend;
  auto writer = backend.create(backup_lock_name);
  REQUIRE(writer.value().append(backup_lock_text).ok());
  REQUIRE(writer.value().commit().ok());
  FixedClock clock(begun_ms);
  for (const bool resume : {false, true}) {
    const auto refused = back_up(Stated(store), backend, options_of(clock, resume));
    CHECK_THAT(refused.status().to_string(), Catch::Matchers::Contains("backup.lock"));
  }
  BackupOptions plain = options_of(clock);
  plain.checkpoint = false;
  CHECK_FALSE(back_up(Stated(store), backend, plain).ok());
  CHECK(backend.list("").value().size() == 1);
}

TEST_CASE("a source that cannot tell its state is refused") {
  const Store store = many_pairs(10);
  const MemoryBackend backend;
  FixedClock clock(begun_ms);
  CHECK(back_up(Stated(store, ""), backend, options_of(clock)).status().code() ==
        StatusCode::invalid_argument);
  BackupOptions locked = options_of(clock);
  locked.checkpoint = false;
  locked.lock = true;
  CHECK(back_up(Stated(store, ""), backend, locked).ok());
  CHECK(backend.list("kvbackup.").value().empty());
  BackupOptions no_clock = options_of(clock);
  no_clock.clock = nullptr;
  CHECK(back_up(Stated(store), MemoryBackend(), no_clock).status().code() ==
        StatusCode::invalid_argument);
}

TEST_CASE("a plain source goes on behind what was finished") {
  const Store store = many_pairs(1'000);
  class Plain : public RangeSource<const Store&> {
   public:
    using RangeSource<const Store&>::RangeSource;
    [[nodiscard]] std::string state() const { return "1"; }
  };
  FixedClock clock(begun_ms);
  const MemoryBackend whole;
  BackupOptions options = options_of(clock);
  REQUIRE(back_up(Plain(store), whole, options).ok());
  const MemoryBackend backend;
  auto failing = FaultBackend<MemoryBackend>(backend, Operation::commit, 6);
  CHECK_FALSE(back_up(Plain(store), failing, options).ok());
  CHECK(recorded_files(backend) > 0);
  const auto resumed = back_up(Plain(store), backend, options_of(clock, true));
  REQUIRE(resumed.status().to_string() == "ok");
  CHECK(resumed.value().resumed_files > 0);
  CHECK(objects_of(backend) == objects_of(whole));
}

#if KVBACKUP_WITH_POSIX
TEST_CASE("on disk finished files keep their inode, and temporary files go") {
  const Store store = many_pairs(1'500);
  const Objects expected = undisturbed(store);
  for (std::uint64_t at = 8;; at += 3) {
    INFO("killed at call " << at);
    const test_support::TempDir dir;
    const LocalBackend backend(dir.path() + "/backup");
    FixedClock clock(begun_ms);
    auto dying = killed(backend, at);
    (void)back_up(Stated(store), dying, options_of(clock));
    if (!dying.fired()) break;
    if (backend.list(checkpoint_prefix).value().empty()) continue;
    // what a killed writer leaves
    const std::string name = expected.begin()->first;
    REQUIRE(FileHandle::open(dir.path() + "/backup/." + name + ".tmp0123456789abcdef",
                             O_WRONLY | O_CREAT, 0644)
                .ok());
    CHECK(backend.list_unfinished("").value().size() == 1);
    std::map<std::string, ino_t> inodes;
    for (const ObjectInfo& each : backend.list("1_").value()) {
      inodes[each.name] = FileHandle::open(dir.path() + "/backup/" + each.name, O_RDONLY)
                              .value()
                              .status()
                              .value()
                              .st_ino;
    }
    // the lock is judged by its file's time and by the process, which is this one
    for (const ObjectInfo& each : backend.list(lock_prefix).value()) {
      REQUIRE(backend.remove(each.name).ok());
    }
    REQUIRE(back_up(Stated(store), backend, options_of(clock, true)).status().to_string() == "ok");
    CHECK(objects_of(backend) == expected);
    CHECK(backend.list_unfinished("").value().empty());
    for (const auto& [file, inode] : inodes) {
      CHECK(FileHandle::open(dir.path() + "/backup/" + file, O_RDONLY)
                .value()
                .status()
                .value()
                .st_ino == inode);
    }
  }
}
#endif

}  // namespace resume_test
