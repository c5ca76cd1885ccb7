// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <kvbackup/ext/leveldb.hpp>
#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_sink.hpp>
#include <kvbackup/testing/check_source.hpp>
#include <leveldb/comparator.h>

#include "support/catch.hpp"
#include "support/stores.hpp"
#include "support/temp_dir.hpp"

using namespace kvbackup;
using test_support::TempDir;

namespace {

using Pairs = std::map<std::string, std::string>;

void must(const leveldb::Status& status) {
  if (!status.ok()) throw std::runtime_error("LevelDB: " + status.ToString());
}

/// A store open for writing.
std::unique_ptr<leveldb::DB> raw_store(const std::string& path, leveldb::Options options = {}) {
  options.create_if_missing = true;
  leveldb::DB* db = nullptr;
  must(leveldb::DB::Open(options, path, &db));
  return std::unique_ptr<leveldb::DB>(db);
}
void put(leveldb::DB& db, const Pairs& pairs) {
  for (const auto& [key, value] : pairs) must(db.Put({}, key, value));
}
Pairs read_all(leveldb::DB& db) {
  Pairs pairs;
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  const std::unique_ptr<leveldb::Iterator> it(db.NewIterator(options));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    pairs[it->key().ToString()] = it->value().ToString();
  }
  must(it->status());
  return pairs;
}
Pairs numbered(int count, const std::string& value) {
  Pairs pairs;
  for (int i = 0; i < count; ++i) pairs["key" + std::to_string(100'000 + i)] = value;
  return pairs;
}

LeveldbSnapshot opened(const std::string& path) {
  auto snapshot = LeveldbSnapshot::open(path);
  REQUIRE(snapshot.status().to_string() == "ok");
  return std::move(snapshot).value();
}
Pairs scanned(const LeveldbSnapshot& snapshot, const std::string& start = "",
              const std::string& end = "") {
  auto source = snapshot.scan({"default", start, end});
  REQUIRE(source.status().to_string() == "ok");
  Pairs pairs;
  auto& s = source.value();
  for (; s.valid(); s.next()) pairs[std::string(s.key())] = std::string(s.value());
  CHECK(s.status().to_string() == "ok");
  return pairs;
}

/// The order of no other program.
class OwnOrder final : public leveldb::Comparator {
 public:
  int Compare(const leveldb::Slice& a, const leveldb::Slice& b) const override {
    return b.compare(a);
  }
  const char* Name() const override { return "test.OwnOrder"; }
  void FindShortestSeparator(std::string*, const leveldb::Slice&) const override {}
  void FindShortSuccessor(std::string*) const override {}
};

}  // namespace

TEST_CASE("a snapshot of LevelDB gives what LevelDB reads, and keeps the contract") {
  TempDir dir;
  ThreadExecutor threads;
  Pairs model = test_support::many_pairs(400);
  {
    const auto db = raw_store(dir.path("db"));
    put(*db, model);
    db->CompactRange(nullptr, nullptr);
    must(db->Put({}, "late", "in the log"));
    must(db->Delete({}, model.begin()->first));
    model = read_all(*db);
    const auto live = LeveldbSnapshot::from_db(db.get());
    REQUIRE(live.status().to_string() == "ok");
    put(*db, numbered(100, "written after the snapshot"));
    CHECK(scanned(live.value()) == model);
    CHECK(testing::to_string(testing::check_snapshot(live.value(), threads, 4)) == "");
    model = read_all(*db);
  }
  const LeveldbSnapshot snapshot = opened(dir.path("db"));
  CHECK(scanned(snapshot) == model);
  CHECK(scanned(snapshot, "key100010", "key100020").size() == 10);
  CHECK(snapshot.kind() == "leveldb");
  CHECK(snapshot.scan({"users", "", ""}).status().code() == StatusCode::not_found);
  CHECK(LeveldbSnapshot::from_db(nullptr).status().code() == StatusCode::invalid_argument);
}

TEST_CASE("one LevelDB store is cut the same way twice, into parts of about the size asked for") {
  TempDir dir;
  leveldb::Options options;
  options.compression = leveldb::kNoCompression;
  {
    const auto db = raw_store(dir.path("db"), options);
    put(*db, numbered(20'000, std::string(200, 'v')));
    db->CompactRange(nullptr, nullptr);
  }
  std::vector<KeyRange> parts;
  {
    const LeveldbSnapshot snapshot = opened(dir.path("db"));
    parts = snapshot.split({}, 400'000).value();
    CHECK(snapshot.estimate({}).bytes.value() > 3'000'000);
  }
  CHECK(parts == opened(dir.path("db")).split({}, 400'000).value());
  CHECK(parts.size() >= 6);
  CHECK(parts.size() <= 20);
}

TEST_CASE("a LevelDB store that is held, missing, damaged or of another order is refused by name") {
  TempDir dir;
  const auto missing = LeveldbSnapshot::open(dir.path("nothing"));
  CHECK(missing.status().code() == StatusCode::not_found);
  CHECK(missing.status().object() == "leveldb:" + dir.path("nothing"));
  CHECK(dir.entries() == 0);
  {
    const auto db = raw_store(dir.path("db"));
    put(*db, numbered(20'000, std::string(100, 'v')));
    db->CompactRange(nullptr, nullptr);
    const auto held = LeveldbSnapshot::open(dir.path("db"));
    CHECK(held.status().code() == StatusCode::unavailable);
    CHECK(held.status().message().find("this process has it open") != std::string_view::npos);
  }
  {
    static const OwnOrder order;
    leveldb::Options options;
    options.comparator = &order;
    put(*raw_store(dir.path("odd"), options), {{"k", "v"}});
    const auto odd = LeveldbSnapshot::open(dir.path("odd"));
    CHECK(odd.status().code() == StatusCode::unsupported);
    CHECK(odd.status().message().find("test.OwnOrder") != std::string_view::npos);
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir.path("db"))) {
    if (entry.path().extension() != ".ldb") continue;
    std::string bytes = test_support::read_file(entry.path().string());
    bytes.replace(bytes.size() / 2, 8, "damaged!");
    test_support::write_file(entry.path().string(), bytes);
  }
  const MemoryBackend backend;
  BackupPipeline pipeline(opened(dir.path("db")), NoneCodec{}, FileHasher{},
                          MemoryBackend(backend));
  CHECK(pipeline.run().status().code() == StatusCode::corruption);
  const auto left = backend.list("");
  CHECK(left.value().empty());
}

TEST_CASE("a store that LeveldbSink made holds what was put, by LevelDB's own reading") {
  TempDir dir;
  Pairs pairs = test_support::many_pairs(5000);
  pairs[""] = "the empty key";
  pairs["large"] = std::string(3'000'000, 'l');
  auto sink = LeveldbSink::open(dir.path("db"));
  REQUIRE(sink.status().to_string() == "ok");
  for (const auto& [key, value] : pairs) REQUIRE(sink.value().put(key, value).ok());
  CHECK_FALSE(std::filesystem::exists(dir.path("db")));
  REQUIRE(sink.value().finish().to_string() == "ok");
  CHECK(dir.entries() == 1);
  CHECK(read_all(*raw_store(dir.path("db"))) == pairs);
  CHECK(LeveldbSink::open(dir.path("db")).status().code() == StatusCode::already_exists);
}

TEST_CASE("LeveldbSink keeps the contract and leaves nothing when it is abandoned") {
  TempDir dir;
  CHECK(testing::to_string(testing::check_sink(
            [&] {
              std::filesystem::remove_all(dir.path("db"));
              return LeveldbSink::open(dir.path("db")).value();
            },
            [&] {
              std::vector<std::pair<std::string, std::string>> pairs;
              if (!std::filesystem::exists(dir.path("db"))) return pairs;
              for (auto& pair : scanned(opened(dir.path("db")))) pairs.emplace_back(pair);
              return pairs;
            })) == "");
  std::filesystem::remove_all(dir.path("db"));
  CHECK(dir.entries() == 0);
}
