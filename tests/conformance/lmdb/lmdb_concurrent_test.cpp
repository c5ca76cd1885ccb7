// SPDX-License-Identifier: Apache-2.0
// A writer that never stops: every transaction sets every value of two databases to the same
// number, so a scan that mixes two states shows two numbers.
#include <atomic>
#include <csignal>
#include <set>
#include <thread>
#include <unistd.h>

#include <sys/wait.h>

#include "raw_env.hpp"

using namespace kvbackup;
using namespace lmdb_test;
using test_support::TempDir;

namespace {

// odd: in the XOR of the CRCs of an even number of pairs a value that all of them have cancels out
constexpr int pairs_a_database = 401;

void write_generation(RawEnv& env, const std::vector<MDB_dbi>& databases, int generation) {
  const std::string number = std::to_string(generation);
  MDB_txn* txn = nullptr;
  must(mdb_txn_begin(env.get(), nullptr, 0, &txn));
  for (const MDB_dbi dbi : databases) {
    for (int i = 0; i < pairs_a_database; ++i) {
      const std::string key = "key" + std::to_string(1000 + i);
      MDB_val k{key.size(), const_cast<char*>(key.data())};
      MDB_val v{number.size(), const_cast<char*>(number.data())};
      must(mdb_put(txn, dbi, &k, &v, 0));
    }
  }
  must(mdb_txn_commit(txn));
}

std::pair<MDB_dbi, MDB_dbi> open_two(RawEnv& env) {
  MDB_txn* txn = nullptr;
  MDB_dbi a = 0;
  MDB_dbi b = 0;
  must(mdb_txn_begin(env.get(), nullptr, 0, &txn));
  must(mdb_dbi_open(txn, "a", MDB_CREATE, &a));
  must(mdb_dbi_open(txn, "b", MDB_CREATE, &b));
  must(mdb_txn_commit(txn));
  return {a, b};
}

/// The values that one thread a half of each database sees.
std::set<std::string> values_seen(const LmdbSnapshot& snapshot, std::size_t& pairs) {
  const std::vector<KeyRange> ranges = {
      {"a", "", "key1200"}, {"a", "key1200", ""}, {"b", "", "key1200"}, {"b", "key1200", ""}};
  std::vector<std::set<std::string>> seen(ranges.size());
  std::vector<std::size_t> counts(ranges.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    threads.emplace_back([&, i] {
      auto source = snapshot.scan(ranges[i]);
      if (!source.ok()) return;
      for (auto& s = source.value(); s.valid(); s.next()) {
        seen[i].insert(std::string(s.value()));
        ++counts[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> all;
  pairs = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    all.insert(seen[i].begin(), seen[i].end());
    pairs += counts[i];
  }
  return all;
}

/// The generation whose pairs a file of a backup holds, by its CRC-64 of them; -1 if it is none.
int generation_of(const File& file, int newest) {
  for (int generation = newest; generation >= 0 && file.total_kvs == pairs_a_database;
       --generation) {
    std::uint64_t crc = 0;
    for (int i = 0; i < pairs_a_database; ++i) {
      crc ^= crc64_xz_pair("key" + std::to_string(1000 + i), std::to_string(generation));
    }
    if (crc == file.crc64xor) return generation;
  }
  return -1;
}

/// The generations in a backup by four workers.
std::set<int> generations_in_backup(LmdbSnapshot snapshot, int newest) {
  ThreadExecutor threads;
  BackupPipeline pipeline(std::move(snapshot), NoneCodec{}, FileHasher{}, MemoryBackend{});
  BackupOptions options;
  options.concurrency = 4;
  options.executor = &threads;
  const auto meta = pipeline.run(options);
  CHECK(meta.status().to_string() == "ok");
  if (!meta.ok()) return {};
  CHECK(meta.value().files.size() == 4);
  std::set<int> generations;
  for (const File& file : meta.value().files) generations.insert(generation_of(file, newest));
  return generations;
}

}  // namespace

TEST_CASE("four threads see one state while another process writes") {
  TempDir dir;
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t writer = fork();
  REQUIRE(writer >= 0);
  if (writer == 0) {
    RawEnv env(dir.path("env"));
    const auto [a, b] = open_two(env);
    for (int generation = 0;; ++generation) {
      write_generation(env, {a, b}, generation);
      if (generation == 3 && write(ready[1], "x", 1) != 1) _exit(1);
    }
  }
  char byte = 0;
  CHECK(read(ready[0], &byte, 1) == 1);
  std::set<std::string> identities;
  std::size_t most_workers = 0;
  for (int round = 0; round < 30; ++round) {
    LmdbSnapshotOptions options;
    options.workers = 4;
    auto snapshot = LmdbSnapshot::open(dir.path("env"), options);
    CHECK(snapshot.status().to_string() == "ok");
    if (!snapshot.ok()) break;
    most_workers = std::max(most_workers, snapshot.value().workers());
    identities.insert(snapshot.value().identity());
    if (snapshot.value().workers() < 4) continue;
    std::size_t pairs = 0;
    CHECK(values_seen(snapshot.value(), pairs).size() == 1);
    CHECK(pairs == 2 * pairs_a_database);
  }
  kill(writer, SIGKILL);
  waitpid(writer, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  CHECK(most_workers == 4);
  CHECK(identities.size() > 1);  // the writer really wrote between the snapshots
}

TEST_CASE(
    "four databases written by one transaction show one counter in a backup by four workers") {
  TempDir dir;
  RawEnv env(dir.path("env"), MDB_NOTLS);
  const auto [a, b] = open_two(env);
  MDB_txn* txn = nullptr;
  std::vector<MDB_dbi> more(2);
  must(mdb_txn_begin(env.get(), nullptr, 0, &txn));
  must(mdb_dbi_open(txn, "c", MDB_CREATE, &more[0]));
  must(mdb_dbi_open(txn, "d", MDB_CREATE, &more[1]));
  must(mdb_txn_commit(txn));
  const std::vector<MDB_dbi> databases{a, b, more[0], more[1]};
  write_generation(env, databases, 0);
  std::atomic<bool> stop{false};
  std::atomic<int> generation{0};
  std::thread writer([&] {
    while (!stop) write_generation(env, databases, ++generation);
  });
  std::set<int> seen;
  for (int round = 0; round < 8; ++round) {
    // each backup sees the writer at work
    for (const int before = generation; generation < before + 3;) std::this_thread::yield();
    LmdbSnapshotOptions taken;
    taken.workers = 4;
    const int oldest = generation - 1;  // the newest may not be committed yet
    auto snapshot = LmdbSnapshot::from_env(env.get(), taken);
    const int newest = generation;
    CHECK(snapshot.status().to_string() == "ok");
    if (!snapshot.ok()) break;
    const std::set<int> generations = generations_in_backup(std::move(snapshot).value(), newest);
    CHECK(generations.size() == 1);
    if (generations.empty()) break;
    CHECK(*generations.begin() >= oldest);
    seen.insert(generations.begin(), generations.end());
  }
  stop = true;
  writer.join();
  CHECK(seen.size() == 8);
  CHECK_FALSE(seen.contains(-1));
}

TEST_CASE("a snapshot of the host's own open environment stays while the host writes") {
  TempDir dir;
  RawEnv without_notls(dir.path("tls"));
  CHECK(LmdbSnapshot::from_env(without_notls.get()).status().code() ==
        StatusCode::invalid_argument);
  CHECK(LmdbSnapshot::from_env(nullptr).status().code() == StatusCode::invalid_argument);

  RawEnv env(dir.path("env"), MDB_NOTLS);
  const auto [a, b] = open_two(env);
  write_generation(env, {a, b}, 7);
  LmdbSnapshotOptions options;
  options.workers = 4;
  auto snapshot = LmdbSnapshot::from_env(env.get(), options);
  REQUIRE(snapshot.status().to_string() == "ok");
  std::atomic<bool> stop{false};
  std::thread writer([&, a = a, b = b] {
    for (int generation = 100; !stop; ++generation) write_generation(env, {a, b}, generation);
  });
  for (int round = 0; round < 20; ++round) {
    std::size_t pairs = 0;
    CHECK(values_seen(snapshot.value(), pairs) == std::set<std::string>{"7"});
    CHECK(pairs == 2 * pairs_a_database);
  }
  stop = true;
  writer.join();
}
