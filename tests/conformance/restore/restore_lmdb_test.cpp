// SPDX-License-Identifier: Apache-2.0
#include "restore_stores.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::many_pairs;
using test_support::TempDir;

namespace {

/// All pairs of all databases.
Families lmdb_content(const std::string& path) {
  const LmdbSnapshot snapshot = must(LmdbSnapshot::open(path));
  Families families;
  for (const KeyRange& range : must(snapshot.ranges())) {
    Store& store = families[range.cf];
    auto source = must(snapshot.scan(range));
    for (; source.valid(); source.next()) store.emplace(source.key(), source.value());
    must(source.status());
  }
  return families;
}
void make_lmdb(const std::string& path, const Families& families) {
  LmdbSink sink = must(LmdbSink::open(path));
  for (const auto& [cf, store] : families) {
    must(sink.use(cf));
    for (const auto& [key, value] : store) must(sink.put(key, value));
  }
  must(sink.finish());
}
LmdbUpdateSink update_at(const std::string& path, LmdbUpdateOptions options = {}) {
  return must(LmdbUpdateSink::open(path, options));
}

}  // namespace

TEST_CASE("a backup of LMDB becomes a new environment with the same databases") {
  TempDir dir;
  const Families families{
      {"default", many_pairs(3000, 1)}, {"empty", {}}, {"users", many_pairs(500, 2)}};
  make_lmdb(dir.path("store"), families);
  back_up(must(LmdbSnapshot::open(dir.path("store"))), dir.path("backup"), 8192);
  const auto before = digests_of(dir.path("backup"));
  LmdbSink sink = must(LmdbSink::open(dir.path("new")));
  CHECK(std::filesystem::exists(dir.path("new.restoring")));
  Threads threads;
  const auto result = restore(open_backup(dir.path("backup")), sink, threads.options);
  REQUIRE(result.status().to_string() == "ok");
  CHECK(lmdb_content(dir.path("new")) == families);
  CHECK(check_restored(must(LmdbSnapshot::open(dir.path("new"))), result.value()).ok());
  CHECK_FALSE(std::filesystem::exists(dir.path("new.restoring")));
  CHECK(digests_of(dir.path("backup")) == before);
}

TEST_CASE("a key that LMDB cannot hold is named with the limit, and nothing is committed") {
  TempDir dir;
  for (const std::string& key : {std::string(), std::string(512, 'k')}) {
    const Families families{{"default", {{"a", "1"}, {key, "2"}}}};
    const std::string name = "of" + std::to_string(key.size());
    make_rocksdb(dir.path(name), families);
    back_up_rocksdb(dir.path(name), dir.path(name + "-backup"));
    LmdbSink sink = must(LmdbSink::open(dir.path("new")));
    const Status status = restore(open_backup(dir.path(name + "-backup")), sink).status();
    CHECK(status.code() == StatusCode::unsupported);
    CHECK(status.key() == key);
    CHECK(status.message().find("LMDB's keys have 1 to 511 bytes") != std::string_view::npos);
    CHECK_FALSE(std::filesystem::exists(dir.path("new")));
    CHECK_FALSE(std::filesystem::exists(dir.path("new.restoring")));

    const Families mine{{"default", {{"mine", "1"}}}};
    make_lmdb(dir.path("mine"), mine);
    LmdbUpdateSink update = update_at(dir.path("mine"));
    CHECK(restore(open_backup(dir.path(name + "-backup")), update).status().code() ==
          StatusCode::unsupported);
    CHECK(lmdb_content(dir.path("mine")) == mine);
    std::filesystem::remove_all(dir.path("mine"));
  }
}

TEST_CASE(
    "an LMDB environment is merged with a backup, or its ranges replaced, in one transaction") {
  TempDir dir;
  const Families families{{"default", many_pairs(2000, 1)}, {"users", many_pairs(500, 2)}};
  make_lmdb(dir.path("store"), families);
  back_up(must(LmdbSnapshot::open(dir.path("store"))), dir.path("backup"), 8192);
  const Families mine{{"default", many_pairs(1000, 77)}, {"other", {{"k", "v"}}}};
  for (const bool replace : {false, true}) {
    const std::string path = dir.path(replace ? "replaced" : "merged");
    make_lmdb(path, mine);
    RestoreOptions options;
    options.clear_ranges = replace;
    options.ranges = {{"default", "user/3", "user/7"}, {"users", "", ""}};
    const LocalBackup backup = open_backup(dir.path("backup"));
    {
      Damage damage(backup);
      LmdbUpdateSink sink = update_at(path);
      CHECK(restore(backup, sink, options).status().code() == StatusCode::corruption);
      CHECK(lmdb_content(path) == mine);
    }
    LmdbUpdateSink sink = update_at(path);
    const auto result = restore(backup, sink, options);
    REQUIRE(result.status().to_string() == "ok");
    Families expected = families;
    std::erase_if(expected["default"],
                  [&](const auto& pair) { return !options.ranges[0].contains(pair.first); });
    for (const auto& [key, value] : mine.at("default")) {
      if (!replace || !options.ranges[0].contains(key)) expected["default"].emplace(key, value);
    }
    expected["other"] = mine.at("other");
    CHECK(lmdb_content(path) == expected);
    const LmdbSnapshot snapshot = must(LmdbSnapshot::open(path));
    CHECK(must(compare_with(backup, snapshot, options)).equal == result.value().total.pairs);
    CHECK(check_restored(snapshot, result.value()).ok() == replace);
  }
}

TEST_CASE("clearing all of the unnamed LMDB database leaves the named ones there") {
  TempDir dir;
  const Store long_values{{"b", std::string(48, 'x')}, {"k", "v"}, {"zz", std::string(48, 'y')}};
  make_lmdb(dir.path("env"),
            {{"default", long_values}, {"m", {{"in", "m"}}}, {"z", {{"in", "z"}}}});
  LmdbUpdateSink sink = update_at(dir.path("env"));
  must(sink.clear_range({"default", "", ""}));
  must(sink.put("new", "pair"));
  must(sink.clear_range({"z", "in", "io"}));
  must(sink.finish());
  CHECK(lmdb_content(dir.path("env")) ==
        Families{{"default", {{"new", "pair"}}}, {"m", {{"in", "m"}}}, {"z", {}}});
}

TEST_CASE("an LMDB environment grows for what is put into it") {
  TempDir dir;
  LmdbSinkOptions small;
  small.map_size = std::size_t{1} << 20;
  {
    LmdbSink sink = must(LmdbSink::open(dir.path("env"), small));
    must(sink.put("a", "1"));
    must(sink.finish());
  }
  const std::string value(10'000, 'v');
  LmdbUpdateOptions options;
  options.expected_pairs = 30'000;
  options.expected_bytes = 300'000'000;
  LmdbUpdateSink sink = update_at(dir.path("env"), options);
  for (int i = 0; i < 30'000; ++i) must(sink.put(std::to_string(1'000'000 + i), value));
  must(sink.finish());
  CHECK(must(LmdbSnapshot::open(dir.path("env"))).estimate({}).pairs == 30'001);

  LmdbUpdateSink unprepared = update_at(dir.path("env"));
  Status status;
  for (int i = 0; i < 1'000'000 && status.ok(); ++i) {
    status = unprepared.put(std::to_string(2'000'000 + i), value);
  }
  CHECK(status.code() == StatusCode::resource_exhausted);
  unprepared.abandon();
  CHECK(must(LmdbSnapshot::open(dir.path("env"))).estimate({}).pairs == 30'001);
}

TEST_CASE("an update that is abandoned, or of no environment, leaves things as they are") {
  TempDir dir;
  const Families mine{{"default", {{"a", "1"}}}};
  make_lmdb(dir.path("env"), mine);
  {
    LmdbUpdateSink sink = update_at(dir.path("env"));
    must(sink.clear_range({"default", "", ""}));
    must(sink.use("made"));
    must(sink.put("b", "2"));
  }
  CHECK(lmdb_content(dir.path("env")) == mine);
  CHECK(LmdbUpdateSink::open(dir.path("none")).status().code() == StatusCode::not_found);
  CHECK(dir.entries() == 1);
  LmdbUpdateSink sink = update_at(dir.path("env"));
  must(sink.put("b", "2"));
  CHECK(sink.put("a", "3").code() == StatusCode::out_of_order);
  CHECK(sink.finish().code() == StatusCode::out_of_order);
  sink.abandon();
  CHECK(lmdb_content(dir.path("env")) == mine);
}

TEST_CASE(
    "what a dead process left where an LMDB environment is built is used again, and else nothing") {
  TempDir dir;
  LmdbSinkOptions file;
  file.single_file = true;
  {
    LmdbSink sink = must(LmdbSink::open(dir.path("file"), file));
    CHECK(LmdbSink::open(dir.path("file"), file).status().code() == StatusCode::unavailable);
    must(sink.put("a", "1"));
    must(sink.finish());
  }
  std::filesystem::copy_file(dir.path("file"), dir.path("other.restoring"));
  {
    LmdbSink sink = must(LmdbSink::open(dir.path("other"), file));
    must(sink.put("b", "2"));
    must(sink.finish());
  }
  CHECK(lmdb_content(dir.path("other")) == Families{{"default", {{"b", "2"}}}});
  test_support::write_file(dir.path("third.restoring"), "somebody's own notes, long enough");
  CHECK(LmdbSink::open(dir.path("third"), file).status().code() == StatusCode::already_exists);
  CHECK(test_support::read_file(dir.path("third.restoring")).starts_with("somebody"));
}
