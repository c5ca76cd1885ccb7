// SPDX-License-Identifier: Apache-2.0
// Stores that are written while they are backed up. One counter a WriteBatch goes to every key of
// four column families, so a backup that mixes two states shows two numbers.
#include <array>
#include <atomic>
#include <csignal>
#include <set>
#include <thread>
#include <unistd.h>

#include <sys/wait.h>

#include "store_support.hpp"

using namespace kvbackup;
using namespace rocksdb_store_test;
using test_support::TempDir;

namespace {

const std::array<const char*, 4> families{"default", "cf1", "cf2", "cf3"};
constexpr int keys_a_family = 100;
constexpr int generations_a_step = 20;

void write_generation(RawStore& store, int generation) {
  rocksdb::WriteBatch batch;
  const std::string number = std::to_string(generation);
  for (const char* cf : families) {
    for (int i = 0; i < keys_a_family; ++i) {
      must(batch.Put(store.cf(cf), "key" + std::to_string(1000 + i), number));
    }
  }
  must(store.get()->Write({}, &batch));
}

/// Small buffers, so that tables are written and replaced all the time.
rocksdb::Options busy() {
  rocksdb::Options options;
  options.write_buffer_size = 1024 * 1024;
  options.target_file_size_base = 32 * 1024;
  options.level0_file_num_compaction_trigger = 2;
  options.compression = rocksdb::kNoCompression;
  return options;
}

/// Writes generation after generation, flushes and compacts.
void write_on(RawStore& store, int generation) {
  write_generation(store, generation);
  const char* const cf = families[static_cast<std::size_t>(generation) % families.size()];
  if (generation % 20 == 0) must(store.get()->Flush({}, store.cf(cf)));
  if (generation % 100 == 0) must(store.get()->CompactRange({}, store.cf(cf), nullptr, nullptr));
}

/// Another process that has a store open: this program, at its hidden case "the writer". It writes
/// as much as it was allowed to, however slow or fast it and the test are.
class Writer {
 public:
  explicit Writer(const std::string& path) {
    REQUIRE(pipe(ready_) == 0);
    REQUIRE(pipe(orders_) == 0);
    process_ = fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      setenv("KVBACKUP_TEST_STORE", path.c_str(), 1);
      setenv("KVBACKUP_TEST_READY", std::to_string(ready_[1]).c_str(), 1);
      setenv("KVBACKUP_TEST_ORDERS", std::to_string(orders_[0]).c_str(), 1);
      close(ready_[0]);
      close(orders_[1]);
      execl("/proc/self/exe", "writer", "the writer", static_cast<char*>(nullptr));
      _exit(127);
    }
    close(ready_[1]);
    close(orders_[0]);
    allow(1);
    await(1);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    close(ready_[0]);
    close(orders_[1]);
  }
  /// Lets it write so many steps of generations; it begins at once.
  void allow(int steps) const {
    for (int i = 0; i < steps; ++i) REQUIRE(write(orders_[1], "x", 1) == 1);
  }
  /// Waits until it has done so many steps more.
  void await(int steps) const {
    char byte = 0;
    for (int i = 0; i < steps; ++i) REQUIRE(read(ready_[0], &byte, 1) == 1);
  }
  /// Stops it where it stands, lock and all.
  void pause() const {
    kill(process_, SIGSTOP);
    waitpid(process_, nullptr, WUNTRACED);
  }
  void go_on() const { kill(process_, SIGCONT); }
  pid_t process() const { return process_; }

 private:
  int ready_[2];
  int orders_[2];
  pid_t process_ = -1;
};

/// The one number that a backup of the four column families holds.
std::string only_number(const Cfs& cfs) {
  std::set<std::string> numbers;
  CHECK(cfs.size() == families.size());
  for (const auto& [cf, pairs] : cfs) {
    CHECK(pairs.size() == keys_a_family);
    for (const auto& [key, value] : pairs) numbers.insert(value);
  }
  CHECK(numbers.size() == 1);
  return numbers.empty() ? std::string() : *numbers.begin();
}

Cfs backed_up(RocksdbSnapshot snapshot, const std::string& folder) {
  ThreadExecutor threads;
  BackupPipeline pipeline(std::move(snapshot), Lz4Codec{}, FileHasher{}, LocalBackend(folder));
  BackupOptions options;
  options.concurrency = 4;
  options.executor = &threads;
  options.part_size = 64 * 1024;
  const auto meta = pipeline.run(options);
  REQUIRE(meta.status().to_string() == "ok");
  return read_back(meta.value(), folder);
}

}  // namespace

TEST_CASE("the writer", "[.child]") {
  const char* const path = std::getenv("KVBACKUP_TEST_STORE");
  if (path == nullptr) return;
  const int ready = std::atoi(std::getenv("KVBACKUP_TEST_READY"));
  const int orders = std::atoi(std::getenv("KVBACKUP_TEST_ORDERS"));
  RawStore store(path, busy());
  for (const char* cf : families) store.cf(cf);
  char byte = 0;
  for (int generation = 1; read(orders, &byte, 1) == 1;) {
    for (int i = 0; i < generations_a_step; ++i) write_on(store, generation++);
    if (write(ready, "x", 1) != 1) return;
  }
}

TEST_CASE("four column families written by one batch show one counter in a backup") {
  TempDir dir;
  RawStore store(dir.path("db"), busy());
  write_generation(store, 0);
  std::atomic<bool> stop{false};
  std::atomic<int> generation{0};
  std::thread writer([&] {
    while (!stop) write_on(store, ++generation);
  });
  std::set<std::string> numbers;
  for (int round = 0; round < 8; ++round) {
    // each backup sees the writer at work
    for (const int before = generation; generation < before + 20;) std::this_thread::yield();
    auto snapshot = RocksdbSnapshot::from_db(store.get(), store.all());
    CHECK(snapshot.status().to_string() == "ok");
    if (!snapshot.ok()) break;
    numbers.insert(
        only_number(backed_up(std::move(snapshot).value(), dir.path("b" + std::to_string(round)))));
  }
  stop = true;
  writer.join();
  CHECK(numbers.size() == 8);
}

TEST_CASE("a store that another process writes, flushes and compacts gives a state that existed") {
  TempDir dir;
  const std::string path = dir.path("db");
  int last = 0;
  {
    const Writer writer(path);
    for (int round = 0; round < 6; ++round) {
      // while it is opened and read, the store gets new tables and loses old ones
      constexpr int steps = 6;
      writer.allow(steps);
      auto snapshot = RocksdbSnapshot::open(path);
      REQUIRE(snapshot.status().to_string() == "ok");
      CHECK(snapshot.value().is_secondary());
      CHECK(snapshot.value().notes().front().find("as a secondary") != std::string::npos);
      const std::string sequence = std::to_string(snapshot.value().sequence());
      CHECK(snapshot.value().identity().ends_with("@" + sequence));
      // every generation writes as many records, so the number tells which one the state is
      const std::uint64_t written = snapshot.value().sequence();
      CHECK(written % (families.size() * keys_a_family) == 0);
      const int number = std::stoi(only_number(
          backed_up(std::move(snapshot).value(), dir.path("b" + std::to_string(round)))));
      CHECK(static_cast<std::uint64_t>(number) == written / (families.size() * keys_a_family));
      // no older than what was written before it was opened
      CHECK(number >= generations_a_step * (1 + steps * round));
      CHECK(number <= generations_a_step * (1 + steps * (round + 1)));
      last = number;
      writer.await(steps);
    }
  }
  // the store is whole, and all its owner wrote before is there
  RawStore store(path, busy());
  CHECK(std::stoi(store.pairs("cf3")["key1000"]) >= last);
}

TEST_CASE("a held store is not disturbed: its files stay as they are, and its owner goes on") {
  TempDir dir;
  const std::string path = dir.path("db");
  const Writer writer(path);
  writer.allow(3);
  writer.pause();
  const auto before = state_of(path);
  const auto folders = std::filesystem::temp_directory_path();
  const auto leftovers = [&] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folders)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("kvbackup-")) names.insert(name);
    }
    return names;
  };
  const auto leftovers_before = leftovers();
  {
    auto snapshot = RocksdbSnapshot::open(path);
    REQUIRE(snapshot.status().to_string() == "ok");
    CHECK(leftovers() != leftovers_before);
    only_number(backed_up(std::move(snapshot).value(), dir.path("backup")));

    RocksdbSinkOptions options;
    options.target = RocksdbTarget::existing;
    const auto sink = RocksdbSink::open(path, options);
    CHECK(sink.status().code() == StatusCode::unavailable);
    CHECK(sink.status().object() == path);
    CHECK(sink.status().message().find("another process holds its LOCK file (process " +
                                       std::to_string(writer.process()) + ")") !=
          std::string_view::npos);
  }
  CHECK(leftovers() == leftovers_before);
  CHECK(before == state_of(path));
  writer.go_on();
  writer.await(3);
}

TEST_CASE("a store of this very process is read without giving up its lock") {
  TempDir dir;
  const std::string path = dir.path("db");
  RawStore store(path);
  store.put("default", {{"k", "v"}});
  CHECK(opened(path).is_secondary());
  CHECK(scanned(opened(path)) == Pairs{{"k", "v"}});
  // another process still cannot take it
  const pid_t child = fork();
  if (child == 0) {
    const int file = open((path + "/LOCK").c_str(), O_RDWR);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    _exit(file >= 0 && fcntl(file, F_SETLK, &lock) != 0 ? 0 : 1);
  }
  int result = -1;
  CHECK(waitpid(child, &result, 0) == child);
  CHECK(result == 0);
}
