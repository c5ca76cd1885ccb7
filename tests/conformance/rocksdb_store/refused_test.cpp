// SPDX-License-Identifier: Apache-2.0
// What cannot be backed up is refused by name, and nothing of it becomes visible.
#include <fcntl.h>
#include <optional>

#include <rocksdb/comparator.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/version.h>

#include "store_support.hpp"

using namespace kvbackup;
using namespace rocksdb_store_test;
using test_support::TempDir;

namespace {

/// An operator that no other program has.
class OwnOperator final : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice& /*key*/, const rocksdb::Slice* old, const rocksdb::Slice& value,
             std::string* out, rocksdb::Logger* /*log*/) const override {
    *out = (old != nullptr ? old->ToString() : std::string()) + value.ToString();
    return true;
  }
  const char* Name() const override { return "test.OwnOperator"; }
};

/// An order that no other program has.
class OwnOrder final : public rocksdb::Comparator {
 public:
  int Compare(const rocksdb::Slice& a, const rocksdb::Slice& b) const override {
    return b.compare(a);
  }
  const char* Name() const override { return "test.OwnOrder"; }
  void FindShortestSeparator(std::string*, const rocksdb::Slice&) const override {}
  void FindShortSuccessor(std::string*) const override {}
};

/// Keys with eight bytes of a timestamp behind them.
class StampedOrder final : public rocksdb::Comparator {
 public:
  StampedOrder() : rocksdb::Comparator(8) {}
  int Compare(const rocksdb::Slice& a, const rocksdb::Slice& b) const override {
    const int order = CompareWithoutTimestamp(a, true, b, true);
    return order != 0 ? order : -CompareTimestamp(last8(a), last8(b));
  }
  using rocksdb::Comparator::CompareWithoutTimestamp;
  int CompareWithoutTimestamp(const rocksdb::Slice& a, bool a_has_ts, const rocksdb::Slice& b,
                              bool b_has_ts) const override {
    return plain(a, a_has_ts).compare(plain(b, b_has_ts));
  }
  int CompareTimestamp(const rocksdb::Slice& a, const rocksdb::Slice& b) const override {
    return a.compare(b);
  }
  const char* Name() const override { return "test.StampedOrder"; }
  void FindShortestSeparator(std::string*, const rocksdb::Slice&) const override {}
  void FindShortSuccessor(std::string*) const override {}

 private:
  static rocksdb::Slice plain(const rocksdb::Slice& key, bool has_ts) {
    return {key.data(), key.size() - (has_ts ? 8 : 0)};
  }
  static rocksdb::Slice last8(const rocksdb::Slice& key) {
    return {key.data() + key.size() - 8, 8};
  }
};

bool says(const Status& status, const std::string& words) {
  return status.to_string().find(words) != std::string::npos;
}

/// The failure of a backup. No backupmeta and no half object is left.
Status failed_backup(RocksdbSnapshot snapshot) {
  const MemoryBackend backend;
  BackupPipeline pipeline(std::move(snapshot), NoneCodec{}, FileHasher{}, MemoryBackend(backend));
  const auto meta = pipeline.run();
  const auto list = backend.list("");
  CHECK(list.value().empty());
  return meta.status();
}

}  // namespace

TEST_CASE("a comparator other than the bytewise one is refused by name") {
  static const OwnOrder own_order;
  TempDir dir;
  rocksdb::ColumnFamilyOptions odd;
  const bool known = GENERATE(true, false);
  odd.comparator = known ? rocksdb::ReverseBytewiseComparator() : &own_order;
  {
    RawStore store(dir.path("db"), {}, {{"odd", odd}, {"fine", {}}});
    store.put("odd", {{"a", "1"}});
    store.put("fine", {{"b", "2"}});
    store.flush();
    const auto live = RocksdbSnapshot::from_db(store.get(), store.all());
    CHECK(live.status().code() == StatusCode::unsupported);
    CHECK(says(live.status(), odd.comparator->Name()));
    CHECK(live.status().object() == "rocksdb:" + dir.path("db") + "?cf=odd");
  }
  const auto refused = RocksdbSnapshot::open(dir.path("db"));
  CHECK(refused.status().code() == StatusCode::unsupported);
  CHECK(says(refused.status(), odd.comparator->Name()));
  RocksdbSnapshotOptions options;
  options.cf = "fine";
  CHECK(scanned(opened(dir.path("db"), options), "fine") == Pairs{{"b", "2"}});
}

TEST_CASE("user-defined timestamps are refused by name") {
  TempDir dir;
  rocksdb::ColumnFamilyOptions stamped;
  static const StampedOrder order;
  stamped.comparator = &order;
  {
    RawStore store(dir.path("db"), {}, {{"stamped", stamped}});
    must(store.get()->Put({}, store.cf("stamped"), "k", std::string(8, '\1'), "v"));
    store.flush();
    const auto live = RocksdbSnapshot::from_db(store.get(), {store.cf("stamped")});
    CHECK(live.status().code() == StatusCode::unsupported);
    CHECK(says(live.status(), "user-defined timestamps (test.StampedOrder)"));
    CHECK(live.status().object() == "rocksdb:" + dir.path("db") + "?cf=stamped");
  }
  const auto refused = RocksdbSnapshot::open(dir.path("db"));
  CHECK(refused.status().code() == StatusCode::unsupported);
  CHECK(says(refused.status(), "test.StampedOrder"));
}

TEST_CASE("merge operands whose operator is not there are refused by name") {
  TempDir dir;
  rocksdb::Options options;
  options.merge_operator = std::make_shared<OwnOperator>();
  const bool flushed = GENERATE(true, false);
  const bool held = GENERATE(true, false);
  std::optional<RawStore> holder;
  {
    RawStore store(dir.path("db"), options);
    store.put("default", {{"a", "1"}, {"b", "0"}});
    store.flush();  // so that the next flush cannot know that there is no older value
    must(store.get()->Merge({}, "b", "x"));
    must(store.get()->Merge({}, "b", "y"));
    if (flushed) store.flush();
    // in the process that has the operator it is a pair as any other
    const auto live = RocksdbSnapshot::from_db(store.get());
    CHECK(scanned(live.value()) == Pairs{{"a", "1"}, {"b", "0xy"}});
  }
  if (held) holder.emplace(dir.path("db"), options);
  if (held && !flushed) must(holder->get()->Merge({}, "b", "z"));
  auto snapshot = RocksdbSnapshot::open(dir.path("db"));
  // operands in the log cannot even be replayed
  const Status status =
      snapshot.ok() ? failed_backup(std::move(snapshot).value()) : snapshot.status();
  CHECK(status.code() == StatusCode::unsupported);
  CHECK(says(status, "merge operator is not in this program"));
  CHECK(says(status, "rocksdb:" + dir.path("db")));
}

TEST_CASE("operands of an operator that RocksDB has itself are merged") {
  TempDir dir;
  rocksdb::Options options;
  must(rocksdb::MergeOperator::CreateFromString({}, "uint64add", &options.merge_operator));
  const std::string one("\1\0\0\0\0\0\0\0", 8);
  {
    RawStore store(dir.path("db"), options);
    must(store.get()->Merge({}, "n", one));
    must(store.get()->Merge({}, "n", one));
    store.flush();
  }
  CHECK(scanned(opened(dir.path("db")))["n"][0] == 2);
}

#if ROCKSDB_MAJOR * 100 + ROCKSDB_MINOR >= 708
TEST_CASE("wide columns are refused by name and key") {
  TempDir dir;
  {
    RawStore store(dir.path("db"));
    store.put("default", {{"a", "1"}});
    must(store.get()->PutEntity({}, store.cf(), "b", {{"", "plain"}, {"x", "1"}}));
    store.flush();
  }
  const Status status = failed_backup(opened(dir.path("db")));
  CHECK(status.code() == StatusCode::unsupported);
  CHECK(says(status, "wide columns"));
  CHECK(says(status, "?cf=default, key 62"));
}
#endif

TEST_CASE("a damaged block is RocksDB's corruption, and no backup") {
  TempDir dir;
  rocksdb::Options options;
  options.compression = rocksdb::kNoCompression;
  {
    RawStore store(dir.path("db"), options);
    store.put("default", numbered(5000, "key", std::string(100, 'v')));
    store.flush();
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir.path("db"))) {
    if (entry.path().extension() != ".sst") continue;
    std::string bytes = test_support::read_file(entry.path().string());
    bytes.replace(bytes.size() / 2, 8, "damaged!");
    test_support::write_file(entry.path().string(), bytes);
  }
  const Status status = failed_backup(opened(dir.path("db")));
  CHECK(status.code() == StatusCode::corruption);
  CHECK(says(status, "rocksdb:" + dir.path("db") + "?cf=default"));
  CHECK(says(status, "block checksum mismatch"));
}

TEST_CASE("a log whose last record is torn ends before it; a damaged one is corruption") {
  const bool torn = GENERATE(true, false);
  const bool held = GENERATE(true, false);
  TempDir dir;
  std::filesystem::path log;
  {
    RawStore store(dir.path("db"));
    for (int i = 0; i < 100; ++i) store.put("default", {{"key" + std::to_string(100 + i), "v"}});
    for (const auto& entry : std::filesystem::directory_iterator(dir.path("db"))) {
      if (entry.path().extension() == ".log") log = entry.path();
    }
    std::string bytes = test_support::read_file(log.string());
    REQUIRE(bytes.size() > 2500);
    if (torn) {
      bytes.resize(bytes.size() - 5);
    } else {
      bytes[bytes.size() / 2] ^= 1;
    }
    std::filesystem::copy(dir.path("db"), dir.path("crashed"));
    test_support::write_file(dir.path("crashed/") + log.filename().string(), bytes);
  }
  FileHandle lock;
  if (held) lock = FileHandle::open(dir.path("crashed/LOCK"), O_RDWR).value();
  const auto snapshot = RocksdbSnapshot::open(dir.path("crashed"));
  if (torn) {
    REQUIRE(snapshot.status().to_string() == "ok");
    CHECK(snapshot.value().is_secondary() == held);
    CHECK(scanned(snapshot.value()).size() == 99);
  } else {
    CHECK(snapshot.status().code() == StatusCode::corruption);
    CHECK(snapshot.status().object() == "rocksdb:" + dir.path("crashed"));
  }
}

TEST_CASE("what is not there is said by name") {
  TempDir dir;
  for (const char* name : {"nothing", ""}) {
    const auto missing = RocksdbSnapshot::open(dir.path(name));
    CHECK(missing.status().code() == StatusCode::not_found);
    CHECK(missing.status().object() == "rocksdb:" + dir.path(name));
  }
  CHECK(dir.entries() == 0);
  { RawStore(dir.path("db")).put("users", {{"k", "v"}}); }
  RocksdbSnapshotOptions options;
  options.cf = "nobody";
  const auto unknown = RocksdbSnapshot::open(dir.path("db"), options);
  CHECK(unknown.status().code() == StatusCode::not_found);
  CHECK(unknown.status().to_string() ==
        "not_found: there is no such column family; the store has default, users: object rocksdb:" +
            dir.path("db") + "?cf=nobody");
  RawStore store(dir.path("db"));
  const auto live = RocksdbSnapshot::from_db(store.get(), store.all(), options);
  CHECK(live.status().code() == StatusCode::not_found);
  CHECK(RocksdbSnapshot::from_db(nullptr).status().code() == StatusCode::invalid_argument);
}

TEST_CASE("a store without lasting snapshots is refused") {
  TempDir dir;
  rocksdb::Options options;
  options.allow_concurrent_memtable_write = false;
  options.inplace_update_support = true;
  RawStore in_place(dir.path("a"), options);
  CHECK(RocksdbSnapshot::from_db(in_place.get()).status().code() == StatusCode::unsupported);
  rocksdb::Options unordered;
  unordered.unordered_write = true;
  RawStore store(dir.path("b"), unordered);
  CHECK(RocksdbSnapshot::from_db(store.get()).status().code() == StatusCode::unsupported);
}
