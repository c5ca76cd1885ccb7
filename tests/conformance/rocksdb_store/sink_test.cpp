// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/testing/check_sink.hpp>
#include <rocksdb/merge_operator.h>

#include "store_support.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using namespace rocksdb_store_test;
using test_support::TempDir;

namespace {

/// What the program uses: smaller files with RocksDB's own checksum.
using LoadSink = BasicRocksdbSink<Xxh3Checksum, Lz4Codec>;

RocksdbSinkOptions with(RocksdbTarget target, RocksdbWay way) {
  RocksdbSinkOptions options;
  options.target = target;
  options.way = way;
  options.file_bytes = 1;  // the least, 1 MiB
  return options;
}

template <class S = RocksdbSink>
S sink_of(const std::string& path, const RocksdbSinkOptions& options = {}) {
  auto sink = S::open(path, options);
  REQUIRE(sink.status().to_string() == "ok");
  return std::move(sink).value();
}

template <class S>
void put_all(S& sink, const Pairs& pairs) {
  for (const auto& [key, value] : pairs) REQUIRE(sink.put(key, value).to_string() == "ok");
}

template <class S>
Status first_failure(S& sink, const Pairs& pairs) {
  for (const auto& [key, value] : pairs) {
    if (Status status = sink.put(key, value); !status.ok()) return status;
  }
  return sink.finish();
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

Pairs large_pairs() {
  Pairs pairs = test_support::many_pairs(5000);
  for (int i = 0; i < 40; ++i) pairs["large" + std::to_string(i)] = std::string(100'000, 'l');
  pairs[""] = "the empty key";
  return pairs;
}

template <class S>
std::string violations(RocksdbWay way) {
  TempDir dir;
  const std::string path = dir.path("db");
  return testing::to_string(testing::check_sink(
      [&] {
        std::filesystem::remove_all(path);
        return sink_of<S>(path, with(RocksdbTarget::fresh, way));
      },
      [&] {
        std::vector<std::pair<std::string, std::string>> pairs;
        if (!exists(path)) return pairs;
        for (auto& pair : scanned(opened(path))) pairs.emplace_back(pair);
        return pairs;
      }));
}

}  // namespace

TEST_CASE("sinks of RocksDB keep the contract") {
  CHECK(violations<RocksdbSink>(RocksdbWay::ingest) == "");
  CHECK(violations<LoadSink>(RocksdbWay::ingest) == "");
  CHECK(violations<RocksdbSink>(RocksdbWay::write_batch) == "");
}

TEST_CASE("a new store holds what was put, by RocksDB's own reading, and compacts") {
  const auto way = GENERATE(RocksdbWay::ingest, RocksdbWay::write_batch);
  TempDir dir;
  const std::string path = dir.path("db");
  const Pairs pairs = large_pairs();
  const Pairs users = numbered(1000, "user", "u");
  {
    LoadSink sink = sink_of<LoadSink>(path + "///", with(RocksdbTarget::fresh, way));
    REQUIRE(sink.use("users").ok());
    put_all(sink, Pairs(users.begin(), users.find("user000500")));
    REQUIRE(sink.use("empty").ok());
    REQUIRE(sink.use("default").ok());
    put_all(sink, pairs);
    REQUIRE(sink.use("users").ok());
    put_all(sink, Pairs(users.find("user000500"), users.end()));
    CHECK_FALSE(exists(path));
    CHECK(exists(path + ".restoring"));
    REQUIRE(sink.finish().to_string() == "ok");
  }
  CHECK(dir.entries() == 1);
  RawStore store(path);
  CHECK(store.pairs() == pairs);
  CHECK(store.pairs("users") == users);
  CHECK(store.pairs("empty").empty());
  must(store.get()->VerifyChecksum());
  rocksdb::CompactRangeOptions all;
  all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  must(store.get()->CompactRange(all, nullptr, nullptr));
  CHECK(store.pairs() == pairs);
  std::string value;
  CHECK(store.get()->Get({}, "nowhere", &value).IsNotFound());
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    CHECK(entry.path().filename().string().find("kvbackup") == std::string::npos);
  }
}

TEST_CASE("an abandoned store leaves nothing, not even where it would have stood") {
  TempDir dir;
  {
    RocksdbSink sink = sink_of(dir.path("db"));
    put_all(sink, numbered(1000, "k", "v"));
    sink.abandon();
    CHECK(dir.entries() == 0);
    put_all(sink = sink_of(dir.path("db")), numbered(1000, "k", "v"));
  }
  CHECK(dir.entries() == 0);
}

TEST_CASE("what a dead run left is used again, what is somebody else's is not touched") {
  TempDir dir;
  const std::string restoring = dir.path("db.restoring");
  {
    RocksdbSink alive = sink_of(dir.path("db"));
    const auto second = RocksdbSink::open(dir.path("db"));
    CHECK(second.status().code() == StatusCode::unavailable);
    CHECK(second.status().object() == restoring);
    // the files of a run that was killed
    std::filesystem::copy(restoring, dir.path("killed"), std::filesystem::copy_options::recursive);
  }
  std::filesystem::rename(dir.path("killed"), restoring);
  {
    RocksdbSink sink = sink_of(dir.path("db"));
    put_all(sink, {{"k", "v"}});
    REQUIRE(sink.finish().to_string() == "ok");
  }
  CHECK(scanned(opened(dir.path("db"))) == Pairs{{"k", "v"}});
  CHECK(RocksdbSink::open(dir.path("db")).status().code() == StatusCode::already_exists);

  std::filesystem::remove_all(dir.path("db"));
  std::filesystem::create_directory(restoring);
  test_support::write_file(restoring + "/mine", "precious");
  const auto refused = RocksdbSink::open(dir.path("db"));
  CHECK(refused.status().code() == StatusCode::already_exists);
  CHECK(refused.status().object() == restoring);
  CHECK(test_support::read_file(restoring + "/mine") == "precious");
}

TEST_CASE("an existing store is merged into, in one step by ingestion") {
  const auto way = GENERATE(RocksdbWay::ingest, RocksdbWay::write_batch);
  TempDir dir;
  const std::string path = dir.path("db");
  Pairs model = numbered(3000, "key", "old ");
  { RawStore(path).put("default", model); }
  if (way == RocksdbWay::ingest) {
    RocksdbSink sink = sink_of(path, with(RocksdbTarget::existing, way));
    put_all(sink, numbered(2000, "key", "dropped "));
    REQUIRE(sink.use("new").ok());
    put_all(sink, {{"k", "v"}});
  }
  {
    const RocksdbSnapshot snapshot = opened(path);
    CHECK(cfs_of(snapshot) == std::vector<std::string>{"default"});
    CHECK(scanned(snapshot) == model);
  }
  {
    RocksdbSink sink = sink_of(path, with(RocksdbTarget::existing, way));
    put_all(sink, numbered(2000, "key", "new "));
    REQUIRE(sink.use("other").ok());
    put_all(sink, {{"k", "v"}});
    REQUIRE(sink.finish().to_string() == "ok");
  }
  for (const auto& [key, value] : numbered(2000, "key", "new ")) model[key] = value;
  RawStore store(path);
  CHECK(store.pairs() == model);
  CHECK(store.pairs("other") == Pairs{{"k", "v"}});
  CHECK_FALSE(exists(path + "/kvbackup-staging"));
}

TEST_CASE("ranges of an existing store are cleared before they are put anew") {
  const bool flushed = GENERATE(true, false);
  TempDir dir;
  const std::string path = dir.path("db");
  Pairs model = numbered(3000, "key", "old ");
  {
    RawStore store(path);
    store.put("default", model);
    store.put("all", model);
    if (flushed) store.flush();
    if (flushed) must(store.get()->CompactRange({}, nullptr, nullptr));
  }
  {
    RocksdbSink sink = sink_of(path, with(RocksdbTarget::existing, RocksdbWay::ingest));
    CHECK(sink.clear_range({"all", "", ""}).to_string() == "ok");
    CHECK(sink.clear_range({"default", "key000100", "key000200"}).to_string() == "ok");
    CHECK(sink.clear_range({"nowhere", "", ""}).to_string() == "ok");
    put_all(sink, {{"key000150", "new"}});
    REQUIRE(sink.finish().to_string() == "ok");
  }
  model.erase(model.find("key000100"), model.find("key000200"));
  model["key000150"] = "new";
  RawStore store(path);
  CHECK(store.pairs() == model);
  CHECK(store.pairs("all").empty());
}

TEST_CASE("files that are ready are moved into the store") {
  TempDir dir;
  const Pairs pairs = numbered(1000, "k", "v");
  const std::string file = dir.path("ready.sst");
  rocksdb::SstFileWriter writer({}, {});
  must(writer.Open(file));
  for (const auto& [key, value] : pairs) must(writer.Put(key, value));
  must(writer.Finish());
  {
    RocksdbSink abandoned = sink_of(dir.path("other"));
    REQUIRE(abandoned.ingest_files("default", {file}).ok());
  }
  CHECK(exists(file));
  RocksdbSink sink = sink_of(dir.path("db"));
  REQUIRE(sink.ingest_files("users", {file}).ok());
  REQUIRE(sink.finish().to_string() == "ok");
  CHECK_FALSE(exists(file));
  CHECK(scanned(opened(dir.path("db")), "users") == pairs);
}

TEST_CASE("what cannot be put leaves no store and says why") {
  TempDir dir;
  RocksdbSink sink = sink_of(dir.path("db"));
  REQUIRE(sink.put("b", "").ok());
  const Status status = sink.put("a", "");
  CHECK(status.code() == StatusCode::out_of_order);
  CHECK(status.object() == "rocksdb:" + dir.path("db") + "?cf=default");
  CHECK(sink.finish().code() == StatusCode::out_of_order);
  sink.abandon();
  CHECK(dir.entries() == 0);

  RocksdbSinkOptions nameless;
  nameless.cf = "";
  CHECK(RocksdbSink::open(dir.path("db"), nameless).status().code() ==
        StatusCode::invalid_argument);

  RocksdbSink damaged = sink_of(dir.path("db"));
  test_support::write_file(dir.path("bad.sst"), "no table at all");
  REQUIRE(damaged.ingest_files("default", {dir.path("bad.sst")}).ok());
  CHECK(damaged.finish().code() == StatusCode::corruption);
  damaged.abandon();
  CHECK(dir.entries() == 1);
}

TEST_CASE("a store that is not there, or held, or not to be understood is not written") {
  TempDir dir;
  const auto existing = with(RocksdbTarget::existing, RocksdbWay::ingest);
  CHECK(RocksdbSink::open(dir.path("nothing"), existing).status().code() == StatusCode::not_found);
  CHECK(dir.entries() == 0);

  {
    RawStore store(dir.path("db"));
    const auto before = state_of(dir.path("db"));
    const auto held = RocksdbSink::open(dir.path("db"), existing);
    CHECK(held.status().code() == StatusCode::unavailable);
    CHECK(held.status().message().find("this process has it open") != std::string_view::npos);
    CHECK(before == state_of(dir.path("db")));
  }
  class Unknown final : public rocksdb::AssociativeMergeOperator {
    bool Merge(const rocksdb::Slice&, const rocksdb::Slice*, const rocksdb::Slice&, std::string*,
               rocksdb::Logger*) const override {
      return true;
    }
    const char* Name() const override { return "test.Unknown"; }
  };
  rocksdb::Options options;
  options.merge_operator = std::make_shared<Unknown>();
  { RawStore(dir.path("own"), options).put("default", {{"k", "v"}}); }
  const auto unknown = RocksdbSink::open(dir.path("own"), existing);
  CHECK_FALSE(unknown.ok());
  CHECK(unknown.status().message().find("test.Unknown") != std::string_view::npos);
}
