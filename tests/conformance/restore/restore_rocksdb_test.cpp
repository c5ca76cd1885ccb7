// SPDX-License-Identifier: Apache-2.0
#include "restore_stores.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::many_pairs;
using test_support::TempDir;

namespace {

const Families& families() {
  static const Families all = [] {
    Families made{{"default", many_pairs(3000, 1)}, {"empty", {}}, {"users", many_pairs(500, 2)}};
    made["default"][""] = "the empty key";
    made["default"][std::string(3, '\0')] = "";
    made["default"][std::string(300, '\xff')] = std::string(100'000, 'v');
    return made;
  }();
  return all;
}

template <class Target = RocksdbRestore>
Target target_at(const std::string& path, RocksdbTarget kind = RocksdbTarget::fresh) {
  RocksdbSinkOptions options;
  options.target = kind;
  return must(Target::open(path, options));
}

/// Cancels once the last file is restored.
class CancelLate final : public RestoreObserver {
 public:
  explicit CancelLate(CancelToken& token) : token_(token) {}
  void on_progress(const RestoreProgress& progress) override {
    if (progress.files == progress.total_files) token_.cancel();
  }

 private:
  CancelToken& token_;
};

Store erased(Store store, const KeyRange& range) {
  std::erase_if(store, [&range](const auto& pair) { return range.contains(pair.first); });
  return store;
}
Store kept(Store store, const KeyRange& range) {
  std::erase_if(store, [&range](const auto& pair) { return !range.contains(pair.first); });
  return store;
}

}  // namespace

TEST_CASE("a backup of RocksDB becomes a new store that RocksDB reads, and stays as it is") {
  TempDir dir;
  make_rocksdb(dir.path("store"), families());
  for (const bool plain : {false, true}) {
    const std::string folder = dir.path(plain ? "plain" : "br");
    if (plain) {
      back_up_rocksdb(dir.path("store"), folder, 8192, PlainLayout{});
    } else {
      back_up_rocksdb(dir.path("store"), folder);
    }
    const auto before = digests_of(folder);
    REQUIRE(before.size() > 10);
    const std::string path = folder + "-restored";
    auto target = target_at(path);
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(std::filesystem::exists(path + ".restoring"));
    Threads threads;
    const auto result = restore(open_backup(folder), target, threads.options);
    REQUIRE(result.status().to_string() == "ok");
    CHECK_FALSE(std::filesystem::exists(path + ".restoring"));
    CHECK_FALSE(std::filesystem::exists(path + "/kvbackup-staging"));
    CHECK(rocksdb_content(path) == families());
    CHECK(check_restored(must(RocksdbSnapshot::open(path)), result.value()).to_string() == "ok");
    CHECK(digests_of(folder) == before);
  }
}

#if KVBACKUP_WITH_XXHASH
TEST_CASE(
    "files of the profile rocksdb are copied, and RocksDB reads the store that has them twice") {
  TempDir dir;
  make_rocksdb(dir.path("store"), families());
  back_up_rocksdb(dir.path("store"), dir.path("backup"), 8192, RocksdbLayout{});
  const auto before = digests_of(dir.path("backup"));
  auto target = target_at(dir.path("new"));
  REQUIRE(restore(open_backup(dir.path("backup")), target).ok());
  CHECK(rocksdb_content(dir.path("new")) == families());
  auto again = target_at(dir.path("new"), RocksdbTarget::existing);
  REQUIRE(restore(open_backup(dir.path("backup")), again).ok());
  CHECK(rocksdb_content(dir.path("new")) == families());
  CHECK(digests_of(dir.path("backup")) == before);
}

TEST_CASE(
    "a table with a session identity is written anew, since RocksDB tells blocks apart by it") {
  TempDir dir;
  TableIdentity identity;
  identity.session = "ABCDEFGHIJ0123456789";
  make_rocksdb(dir.path("store"), families());
  back_up_rocksdb(dir.path("store"), dir.path("backup"), 8192, RocksdbLayout{identity});
  auto target = target_at(dir.path("new"));
  REQUIRE(restore(open_backup(dir.path("backup")), target).ok());
  CHECK(rocksdb_content(dir.path("new")) == families());
  RawDb raw(dir.path("new"), {"default", "empty", "users"}, true);
  rocksdb::TablePropertiesCollection properties;
  must(raw.db().GetPropertiesOfAllTables(raw.cf(0), &properties));
  REQUIRE_FALSE(properties.empty());
  for (const auto& [file, each] : properties) CHECK(each->db_session_id != identity.session);
}
#endif

TEST_CASE("merged, a RocksDB store keeps what the backup does not have") {
  TempDir dir;
  make_rocksdb(dir.path("store"), families());
  back_up_rocksdb(dir.path("store"), dir.path("backup"));
  Families mine{{"default", {{"aaa", "mine"}, {families().at("default").begin()->first, "old"}}},
                {"other", {{"k", "v"}}},
                {"users", {{"zzz", "mine"}}}};
  make_rocksdb(dir.path("mine"), mine);
  const auto comparison =
      compare_with(open_backup(dir.path("backup")), must(RocksdbSnapshot::open(dir.path("mine"))));
  CHECK(must(comparison).present == 1);
  auto target = target_at(dir.path("mine"), RocksdbTarget::existing);
  REQUIRE(restore(open_backup(dir.path("backup")), target).ok());
  Families expected = families();
  expected["default"].emplace("aaa", "mine");
  expected["users"].emplace("zzz", "mine");
  expected["other"] = mine["other"];
  CHECK(rocksdb_content(dir.path("mine")) == expected);
  const auto after =
      compare_with(open_backup(dir.path("backup")), must(RocksdbSnapshot::open(dir.path("mine"))));
  CHECK(must(after).equal == 3503);
}

TEST_CASE("replaced, a RocksDB store loses in one step what it had in the restored ranges") {
  TempDir dir;
  make_rocksdb(dir.path("store"), families());
  back_up_rocksdb(dir.path("store"), dir.path("backup"));
  const Store mine = many_pairs(2000, 77);
  int number = 0;
  for (const auto& [start, end] : {std::pair<std::string, std::string>{"", ""},
                                   {"user/3", "user/6"},
                                   {"user/97/", ""},
                                   {"", "user/2"}}) {
    const KeyRange range{"default", start, end};
    const std::string path = dir.path(std::to_string(++number));
    make_rocksdb(path, {{"default", mine}});
    auto target = target_at(path, RocksdbTarget::existing);
    RestoreOptions options;
    options.ranges = {range};
    options.clear_ranges = true;
    const auto result = restore(open_backup(dir.path("backup")), target, options);
    REQUIRE(result.status().to_string() == "ok");
    Store expected = erased(mine, range);
    expected.merge(kept(families().at("default"), range));
    CHECK(rocksdb_content(path) == Families{{"default", expected}});
    CHECK(check_restored(must(RocksdbSnapshot::open(path)), result.value()).ok());
    // and compaction finds the same
    RawDb raw(path, {"default"});
    must(raw.db().CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
    const std::unique_ptr<rocksdb::Iterator> at(raw.db().NewIterator(rocksdb::ReadOptions()));
    std::size_t pairs = 0;
    for (at->SeekToFirst(); at->Valid(); at->Next()) ++pairs;
    CHECK(pairs == expected.size());
  }
}

TEST_CASE("a restore that fails leaves no new RocksDB store, and one that is there as it was") {
  TempDir dir;
  make_rocksdb(dir.path("store"), families());
  back_up_rocksdb(dir.path("store"), dir.path("backup"));
  const LocalBackup backup = open_backup(dir.path("backup"));
  const Families mine{{"default", many_pairs(100, 77)}};
  make_rocksdb(dir.path("mine"), mine);
  const auto fails = [&](StatusCode code, RestoreOptions options) {
    auto fresh = target_at(dir.path("new"));
    CHECK(restore(backup, fresh, options).status().code() == code);
    CHECK_FALSE(std::filesystem::exists(dir.path("new")));
    CHECK_FALSE(std::filesystem::exists(dir.path("new.restoring")));
    options.clear_ranges = true;
    auto existing = target_at(dir.path("mine"), RocksdbTarget::existing);
    CHECK(restore(backup, existing, options).status().code() == code);
    CHECK(rocksdb_content(dir.path("mine")) == mine);
    CHECK_FALSE(std::filesystem::exists(dir.path("mine/kvbackup-staging")));
  };
  Threads threads;
  CancelToken cancel;
  CancelLate late(cancel);
  threads.options.cancel = &cancel;
  threads.options.observer = &late;
  fails(StatusCode::cancelled, threads.options);
  const Damage damage(backup);
  fails(StatusCode::corruption, RestoreOptions());
}

TEST_CASE("a new store does not take the place of one that is there") {
  TempDir dir;
  make_rocksdb(dir.path("store"), {{"default", {{"k", "v"}}}});
  CHECK(RocksdbRestore::open(dir.path("store")).status().code() == StatusCode::already_exists);
  RocksdbSinkOptions options;
  options.target = RocksdbTarget::existing;
  CHECK(RocksdbRestore::open(dir.path("none"), options).status().code() == StatusCode::not_found);
  CHECK(dir.entries() == 1);
}
