// SPDX-License-Identifier: Apache-2.0
// Transactional backups restored to RocksDB and LMDB, judged by these libraries.
#include "restore_stores.hpp"
#include "support/txn_history.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::history_in;
using test_support::random_history;
using test_support::state_at;
using test_support::TempDir;
using test_support::txn_backup;
using test_support::TxnBackupOptions;
using test_support::TxnHistory;

namespace {

/// A full backup at 40 and the incremental ones to 70 and 100, in parts of a few keys.
std::vector<MemoryBackend> backups_of(const TxnHistory& history) {
  std::vector<MemoryBackend> out;
  for (const auto& [start, end] : {std::pair(0, 40), std::pair(38, 70), std::pair(70, 100)}) {
    TxnBackupOptions options;
    options.start_ts = static_cast<std::uint64_t>(start);
    options.end_ts = static_cast<std::uint64_t>(end);
    options.keys_a_part = 40;
    out.push_back(txn_backup(history, options));
  }
  return out;
}
TxnBackup<MemoryBackend> chain_of(const std::vector<MemoryBackend>& backends, TxnView view,
                                  std::string prefix = "z") {
  std::vector<Backup<MemoryBackend>> members;
  for (const MemoryBackend& backend : backends) {
    members.push_back(must(Backup<MemoryBackend>::open(backend)));
  }
  TxnReadOptions options;
  options.view = view;
  options.key_prefix = std::move(prefix);
  return must(TxnBackup<MemoryBackend>::open(std::move(members), options));
}
TxnHistory some_history(std::uint32_t seed) {
  std::mt19937 random(seed);
  return random_history(random, 1000, 100);
}

}  // namespace

TEST_CASE("RocksDB reads out of a restored store of TiKV's the state at every version backed up") {
  const TempDir dir;
  const TxnHistory history = some_history(1);
  const auto backends = backups_of(history);
  for (const std::string prefix : {"z", ""}) {
    const std::string path = dir.path("store" + prefix);
    const auto backup = chain_of(backends, TxnView::tikv, prefix);
    Threads threads;
    auto target = must(RocksdbRestore::open(path));
    const auto result = restore(backup, target, threads.options);
    REQUIRE(result.status().to_string() == "ok");
    CHECK(check_restored(must(RocksdbSnapshot::open(path)), result.value()).to_string() == "ok");
    const Families families = rocksdb_content(path);
    CHECK(families.size() == 2);
    const TxnHistory found = history_in(families, prefix);
    for (const std::uint64_t version : {std::uint64_t{40}, std::uint64_t{70}, std::uint64_t{100}}) {
      CHECK(state_at(found, version) == state_at(history, version));
    }
  }
}

TEST_CASE("what is backed up again out of a restored store of TiKV's is the same state") {
  const TempDir dir;
  const TxnHistory history = some_history(2);
  auto target = must(RocksdbRestore::open(dir.path("store")));
  must(restore(chain_of(backups_of(history), TxnView::tikv), target).status());
  // a store of TiKV's has a column family of locks too
  { const RawDb raw(dir.path("store"), {"default", "write", "lock"}); }
  MvccOptions versions;
  versions.end_version = 100;
  auto snapshot = MvccSnapshot<RocksdbSnapshot>::take(
      versions, [&] { return RocksdbSnapshot::open(dir.path("store")); });
  must(snapshot.status());
  MemoryBackend again;
  must(BackupPipeline(std::move(snapshot).value(), NoneCodec{}, FileHasher{}, again, MvccLayout{})
           .run()
           .status());
  Store found;
  must(restore(chain_of({again}, TxnView::flat), [&found](ByteView key, ByteView value) {
         found.emplace(key, value);
       }).status());
  CHECK(found == state_at(history, 100));
}

TEST_CASE("the newest values go into RocksDB and LMDB, and into part of a store that is there") {
  const TempDir dir;
  const TxnHistory history = some_history(3);
  const auto backup = chain_of(backups_of(history), TxnView::flat);
  Store expected = state_at(history, 100);
  Threads threads;
  auto rocksdb = must(RocksdbRestore::open(dir.path("rocksdb")));
  must(restore(backup, rocksdb, threads.options).status());
  CHECK(rocksdb_content(dir.path("rocksdb")) == Families{{"default", expected}});

  expected.erase("");
  RestoreOptions options;
  options.ranges = {{"default", std::string(1, '\0'), ""}};
  auto lmdb = must(LmdbSink::open(dir.path("lmdb")));
  const auto result = restore(backup, lmdb, options);
  must(result.status());
  CHECK(result.value().total.pairs == expected.size());
  CHECK(check_restored(must(LmdbSnapshot::open(dir.path("lmdb"))), result.value()).ok());

  const std::string start = std::next(expected.begin(), 100)->first;
  const std::string end = std::next(expected.begin(), 200)->first;
  make_rocksdb(dir.path("mine"), {{"default", {{start + "!", "stale"}, {"zzz", "mine"}}}});
  RocksdbSinkOptions existing;
  existing.target = RocksdbTarget::existing;
  auto mine = must(RocksdbRestore::open(dir.path("mine"), existing));
  options = threads.options;
  options.ranges = {{"default", start, end}};
  options.clear_ranges = true;
  must(restore(backup, mine, options).status());
  Store part(expected.find(start), expected.find(end));
  part["zzz"] = "mine";
  CHECK(rocksdb_content(dir.path("mine")) == Families{{"default", part}});
}
