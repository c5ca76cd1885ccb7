// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/testing/check_source.hpp>
#include <rocksdb/slice_transform.h>

#include "store_support.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using namespace rocksdb_store_test;
using test_support::TempDir;

namespace {

/// Tables in several levels, deletions, and what is in the log only.
void fill(RawStore& store, const std::string& cf, int count) {
  store.put(cf, numbered(count, "key", "old "));
  store.flush();
  must(store.get()->CompactRange({}, store.cf(cf), nullptr, nullptr));
  store.put(cf, numbered(count / 2, "key", "new "));
  must(store.get()->DeleteRange({}, store.cf(cf), "key000010", "key000020"));
  store.flush();
  must(store.get()->Delete({}, store.cf(cf), "key000005"));
  store.put(cf, {{"zz in the log", "v"}, {"empty", ""}});
}

rocksdb::Options small_tables() {
  rocksdb::Options options;
  options.target_file_size_base = 64 * 1024;
  options.compression = rocksdb::kNoCompression;
  return options;
}

using Objects = std::map<std::string, std::string>;

Objects backed_up(const std::string& path, std::size_t workers) {
  test_support::FixedClock clock;
  ThreadExecutor threads;
  const MemoryBackend backend;
  BackupPipeline pipeline(opened(path), Lz4Codec{}, FileHasher{}, MemoryBackend(backend));
  BackupOptions options;
  options.concurrency = workers;
  options.executor = &threads;
  options.clock = &clock;
  options.part_size = 100'000;
  const auto meta = pipeline.run(options);
  REQUIRE(meta.status().to_string() == "ok");
  Objects objects;
  const auto list = backend.list("");
  for (const ObjectInfo& object : list.value()) {
    objects[object.name] = std::move(backend.read(object.name)).value();
  }
  return objects;
}

}  // namespace

TEST_CASE("a store that nobody holds is read as RocksDB reads it, and not touched") {
  TempDir dir;
  const std::string path = dir.path("db");
  Cfs model;
  {
    RawStore store(path, small_tables());
    for (const char* cf : {"default", "users", "a/b"}) {
      fill(store, cf, 3000);
      model[cf] = store.pairs(cf);
    }
  }
  const auto before = state_of(path);
  {
    const RocksdbSnapshot snapshot = opened(path);
    CHECK(cfs_of(snapshot) == std::vector<std::string>{"default", "a/b", "users"});
    for (const auto& [cf, pairs] : model) CHECK(scanned(snapshot, cf) == pairs);
    CHECK_FALSE(snapshot.is_secondary());
    CHECK(snapshot.kind() == "rocksdb");
    CHECK(snapshot.identity() == opened(path).identity());
    CHECK(snapshot.identity().ends_with("@" + std::to_string(snapshot.sequence())));
    CHECK(snapshot.estimate({"users", "", ""}).pairs.value() > 1000);
    CHECK(snapshot.estimate({"users", "", ""}).bytes.value() > 30'000);
    CHECK(snapshot.estimate({"users", "zzz", ""}).bytes == 0u);
    CHECK(snapshot.notes().size() == 1);
  }
  CHECK(before == state_of(path));

  RocksdbSnapshotOptions options;
  options.cf = "users";
  const RocksdbSnapshot one = opened(path, options);
  CHECK(cfs_of(one) == std::vector<std::string>{"users"});
  CHECK(scanned(one, "users", "key000100", "key000200") ==
        Pairs(model["users"].find("key000100"), model["users"].find("key000200")));
  CHECK(scanned(one, "users", "l", "k").empty());
  CHECK(one.scan({"default", "", ""}).status().code() == StatusCode::not_found);
}

TEST_CASE("snapshots of RocksDB keep the contract on many threads") {
  TempDir dir;
  const std::string path = dir.path("db");
  ThreadExecutor threads;
  {
    RawStore store(path, small_tables());
    store.put("default", test_support::many_pairs(400));
    store.put("in memory", numbered(50, "m", "v"));
    store.put("empty", {});
    store.flush();
    fill(store, "fill", 300);
    const auto live = RocksdbSnapshot::from_db(store.get(), store.all());
    REQUIRE(live.status().to_string() == "ok");
    CHECK(testing::to_string(testing::check_snapshot(live.value(), threads, 4)) == "");
  }
  const RocksdbSnapshot snapshot = opened(path);
  CHECK(testing::to_string(testing::check_snapshot(snapshot, threads, 4)) == "");
  CHECK(testing::to_string(testing::check_source([&] {
          return snapshot.scan({"fill", "key000050", "key000250"}).value();
        })) == "");
}

TEST_CASE("a snapshot of the host's store stays while the host writes, flushes and compacts") {
  TempDir dir;
  RawStore store(dir.path("db"), small_tables());
  fill(store, "default", 2000);
  const Pairs before = store.pairs();
  const auto snapshot = RocksdbSnapshot::from_db(store.get());
  REQUIRE(snapshot.status().to_string() == "ok");
  const auto parts = snapshot.value().split({}, 64 * 1024);
  for (int round = 0; round < 5; ++round) {
    store.put("default", numbered(4000, "key", "later " + std::to_string(round)));
    must(store.get()->CompactRange({}, nullptr, nullptr));
    CHECK(scanned(snapshot.value()) == before);
  }
  CHECK(snapshot.value().split({}, 64 * 1024).value() == parts.value());
}

TEST_CASE("a prefix extractor and blob files hide no pair") {
  TempDir dir;
  rocksdb::Options options;
  options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(4));
  options.enable_blob_files = true;
  options.min_blob_size = 100;
  Pairs pairs = numbered(2000, "prefix", std::string(200, 'b'));
  pairs["k"] = "shorter than the prefix";
  {
    RawStore store(dir.path("db"), options);
    store.put("default", pairs);
    store.flush();
  }
  CHECK(scanned(opened(dir.path("db"))) == pairs);
  CHECK(scanned(opened(dir.path("db")), "default", "pref", "prefix000100").size() == 100);
}

TEST_CASE("sub-ranges have about the size asked for and are the same for one store") {
  TempDir dir;
  const std::string path = dir.path("db");
  const bool one_table = GENERATE(true, false);
  const bool long_prefix = GENERATE(true, false);
  rocksdb::Options options = small_tables();
  if (one_table) options.target_file_size_base = 64 << 20;
  {
    RawStore store(path, options);
    const std::string prefix(long_prefix ? 40 : 1, 'p');
    store.put("default", numbered(20'000, prefix, std::string(100, 'v')));
    store.flush();
    must(store.get()->CompactRange({}, nullptr, nullptr));
  }
  const RocksdbSnapshot snapshot = opened(path);
  constexpr std::uint64_t target = 200'000;
  const auto parts = snapshot.split({}, target);
  REQUIRE(parts.status().to_string() == "ok");
  CHECK(parts.value() == opened(path).split({}, target).value());
  std::uint64_t total = 0;
  std::vector<std::uint64_t> sizes;
  for (const KeyRange& part : parts.value()) {
    std::uint64_t bytes = 0;
    for (const auto& [key, value] : scanned(snapshot, "default", part.start, part.end)) {
      bytes += key.size() + value.size();
    }
    sizes.push_back(bytes);
    total += bytes;
  }
  CHECK(sizes.size() >= total / target / 2);
  CHECK(sizes.size() <= total / target * 2);
  for (const std::uint64_t bytes : sizes) CHECK(bytes < 2 * target);
}

TEST_CASE("one store gives the same bytes with 1, 2 and 7 workers, and twice") {
  TempDir dir;
  const std::string path = dir.path("db");
  {
    RawStore store(path, small_tables());
    fill(store, "default", 20'000);
    fill(store, "users", 5'000);
    store.put("empty", {});
  }
  const Objects once = backed_up(path, 1);
  CHECK(once.size() > 8);
  CHECK(once == backed_up(path, 2));
  CHECK(once == backed_up(path, 7));
  CHECK(once == backed_up(path, 7));
}

TEST_CASE("a copy of a store that names its own folder for its log is read by its own log") {
  const TempDir dir;
  const std::string original = dir.path() + "/original";
  const std::string copy = dir.path() + "/copy";
  rocksdb::Options options;
  options.wal_dir = original;
  { RawStore(original, options).put("default", {{"k1", "v1"}}); }
  std::filesystem::copy(original, copy, std::filesystem::copy_options::recursive);
  { RawStore(original, options).put("default", {{"k2", "v2"}}); }
  const auto before = state_of(original);
  CHECK(scanned(opened(copy)) == Pairs{{"k1", "v1"}});

  auto sink = RocksdbSink::open(copy, {.target = RocksdbTarget::existing});
  REQUIRE(sink.status().to_string() == "ok");
  REQUIRE(sink.value().put("k3", "v3").ok());
  REQUIRE(sink.value().finish().to_string() == "ok");
  CHECK(state_of(original) == before);
  CHECK(RawStore(original, options).pairs() == Pairs{{"k1", "v1"}, {"k2", "v2"}});
  options.wal_dir.clear();
  CHECK(RawStore(copy, options).pairs() == Pairs{{"k1", "v1"}, {"k3", "v3"}});

  // moved, so that the folder it names is gone
  std::filesystem::rename(original, dir.path() + "/moved");
  CHECK(scanned(opened(dir.path() + "/moved")) == Pairs{{"k1", "v1"}, {"k2", "v2"}});
}

TEST_CASE("a store whose log may be another store's is refused") {
  const TempDir dir;
  const std::string path = dir.path() + "/store";
  rocksdb::Options options;
  options.wal_dir = dir.path() + "/logs";
  { RawStore(path, options).put("default", {{"k1", "v1"}}); }
  CHECK(scanned(opened(path)) == Pairs{{"k1", "v1"}});
  const auto refusal = [&path] {
    const auto snapshot = RocksdbSnapshot::open(path, {});
    return std::pair(snapshot.status().code(), std::string(snapshot.status().message()));
  };
  test_support::write_file(path + "/000999.log", "");
  CHECK(refusal().first == StatusCode::unsupported);
  CHECK(refusal().second.find("/logs") != std::string::npos);
  std::filesystem::remove(path + "/000999.log");
  test_support::write_file(dir.path() + "/logs/CURRENT", "");
  CHECK(refusal().first == StatusCode::unsupported);
  CHECK_FALSE(RocksdbSink::open(path, {.target = RocksdbTarget::existing}).ok());
  std::filesystem::remove_all(dir.path() + "/logs");
  CHECK(refusal().first == StatusCode::not_found);
}

TEST_CASE("a scan that another takes the place of ends before its store does") {
  const TempDir dir;
  { RawStore(dir.path() + "/a").put("default", {{"k1", "v1"}}); }
  { RawStore(dir.path() + "/b").put("default", {{"k2", "v2"}}); }
  const auto only_scan = [](const std::string& path) {
    return opened(path).scan({"default", "", ""}).value();  // keeps the store open by itself
  };
  auto scan = only_scan(dir.path() + "/a");
  REQUIRE(scan.valid());
  scan = only_scan(dir.path() + "/b");
  CHECK(drained(std::move(scan)) == Pairs{{"k2", "v2"}});
}
