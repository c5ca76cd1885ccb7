// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/testing/check_source.hpp>

#include "raw_env.hpp"

using namespace kvbackup;
using namespace lmdb_test;
using test_support::TempDir;
using Cfs = std::vector<std::string>;

TEST_CASE("an environment of plain pairs is the column family default") {
  TempDir dir;
  Pairs pairs = numbered(3000, "key", std::string(40, 'v'));
  pairs["big"] = std::string(300'000, 'b');
  pairs["empty"] = "";
  pairs[std::string(511, 'z')] = "longest key";
  RawEnv(dir.path("env")).put("", pairs);

  const LmdbSnapshot snapshot = opened(dir.path("env"));
  CHECK(cfs_of(snapshot) == Cfs{"default"});
  CHECK(scanned(snapshot, "default") == pairs);
  CHECK(scanned(snapshot, "default") == dumped(dir.path("env"), ""));
  CHECK(snapshot.estimate({}).pairs == pairs.size());
  CHECK(snapshot.estimate({}).bytes.value() > 400'000);
  CHECK_FALSE(snapshot.estimate({"default", "a", ""}).pairs.has_value());
  CHECK(snapshot.kind() == "lmdb");
  CHECK(snapshot.identity() == "1");
}

TEST_CASE("a scan gives the keys of its range and no others") {
  TempDir dir;
  const Pairs pairs = numbered(1000, "k", "v");
  RawEnv(dir.path("env")).put("", pairs);
  const LmdbSnapshot snapshot = opened(dir.path("env"));
  CHECK(scanned(snapshot, "default", "k000100", "k000200") ==
        Pairs(pairs.find("k000100"), pairs.find("k000200")));
  CHECK(scanned(snapshot, "default", "k0009995", "") == Pairs{});
  CHECK(scanned(snapshot, "default", "", "k") == Pairs{});
  CHECK(scanned(snapshot, "default", "k000500", "k000500") == Pairs{});
  CHECK(scanned(snapshot, "default", "l", "k") == Pairs{});
  CHECK(scanned(snapshot, "default", std::string(5000, 'k'), "").empty());

  auto source = snapshot.scan({"default", "k000100", "k000200"});
  source.value().seek("k0001505");
  CHECK(source.value().key() == "k000151");
  source.value().seek("a");
  CHECK(source.value().key() == "k000100");
  source.value().seek("k000200");
  CHECK_FALSE(source.value().valid());
  CHECK(source.value().status().ok());
}

TEST_CASE("named databases are column families of one state") {
  TempDir dir;
  const Pairs users = numbered(500, "user", "u");
  const Pairs posts = numbered(700, "post", "p");
  {
    RawEnv env(dir.path("env"));
    env.put("users", users);
    env.put("posts", posts);
    env.put("empty", {});
  }
  const LmdbSnapshot snapshot = opened(dir.path("env"));
  CHECK(cfs_of(snapshot) == Cfs{"empty", "posts", "users"});
  CHECK(scanned(snapshot, "users") == users);
  CHECK(scanned(snapshot, "posts") == dumped(dir.path("env"), "posts"));
  CHECK(scanned(snapshot, "empty").empty());
  CHECK(snapshot.estimate({"posts", "", ""}).pairs == 700u);
  const auto missing = snapshot.scan({"default", "", ""});
  CHECK(missing.status().code() == StatusCode::not_found);
  CHECK(missing.status().object() == "lmdb:" + dir.path("env") + "?db=default");

  LmdbSnapshotOptions options;
  options.db = "users";
  const LmdbSnapshot one = opened(dir.path("env"), options);
  CHECK(cfs_of(one) == Cfs{"users"});
  CHECK(scanned(one, "users") == users);
}

TEST_CASE("records of databases among plain pairs are not pairs") {
  TempDir dir;
  // values as long as a record, keys around, below and equal in prefix to the names
  Pairs plain = numbered(2000, "p", std::string(44, 'v'));
  plain["db"] = std::string(48, 'x');
  plain["db1x"] = std::string(48, 'x');
  plain[std::string("db1\0x", 5)] = std::string(48, 'y');
  plain["zz"] = std::string(48, 'z');
  const Pairs inner = numbered(10, "i", "n");
  {
    RawEnv env(dir.path("env"));
    env.put("", plain);
    env.put("db1", inner);
    env.put("p000500x", inner);
    env.put("zzz", {});
  }
  const LmdbSnapshot snapshot = opened(dir.path("env"));
  CHECK(cfs_of(snapshot) == Cfs{"default", "db1", "p000500x", "zzz"});
  CHECK(scanned(snapshot, "default") == plain);
  CHECK(snapshot.estimate({}).pairs == plain.size());
  CHECK(scanned(snapshot, "db1") == inner);
  CHECK(scanned(snapshot, "default", "db1", "db2") ==
        Pairs{{"db1x", std::string(48, 'x')}, {std::string("db1\0x", 5), std::string(48, 'y')}});

  LmdbSnapshotOptions options;
  options.db = "";
  CHECK(cfs_of(opened(dir.path("env"), options)) == Cfs{"default"});
  options.db = "default";
  CHECK(scanned(opened(dir.path("env"), options), "default") == plain);
}

TEST_CASE("pairs and a database named default cannot share one column family") {
  TempDir dir;
  const Pairs inner{{"k", "inner"}};
  const Pairs plain{{"k", "plain"}};
  {
    RawEnv env(dir.path("env"));
    env.put("default", inner);
  }
  CHECK(scanned(opened(dir.path("env")), "default") == inner);
  RawEnv(dir.path("env")).put("", plain);
  const auto both = LmdbSnapshot::open(dir.path("env"));
  CHECK(both.status().code() == StatusCode::unsupported);
  LmdbSnapshotOptions options;
  options.db = "default";
  CHECK(scanned(opened(dir.path("env"), options), "default") == inner);
  options.db = "";
  CHECK(scanned(opened(dir.path("env"), options), "default") == plain);
}

TEST_CASE("an environment in a single file opens, and so does an empty one") {
  TempDir dir;
  const Pairs pairs = numbered(100, "k", "v");
  RawEnv(dir.path("file.mdb"), MDB_NOSUBDIR).put("", pairs);
  CHECK(scanned(opened(dir.path("file.mdb")), "default") == pairs);
  { RawEnv env(dir.path("empty")); }
  const LmdbSnapshot empty = opened(dir.path("empty"));
  CHECK(cfs_of(empty) == Cfs{"default"});
  CHECK(scanned(empty, "default").empty());
}

TEST_CASE("more databases than the first number of handles are all found") {
  TempDir dir;
  {
    RawEnv env(dir.path("env"));
    for (int i = 0; i < 300; ++i) {
      env.put("db" + std::to_string(i), {{"k", std::to_string(i)}});
    }
  }
  const LmdbSnapshot snapshot = opened(dir.path("env"));
  CHECK(cfs_of(snapshot).size() == 300);
  CHECK(scanned(snapshot, "db299") == Pairs{{"k", "299"}});
}

TEST_CASE("databases that are no plain sorted store are refused by name") {
  const auto [flag, name] =
      GENERATE(table<unsigned, const char*>({{MDB_DUPSORT, "MDB_DUPSORT"},
                                             {MDB_INTEGERKEY, "MDB_INTEGERKEY"},
                                             {MDB_REVERSEKEY, "MDB_REVERSEKEY"}}));
  TempDir dir;
  const Pairs pairs{{"12345678", "v"}};
  {
    RawEnv env(dir.path("named"));
    env.put("fine", pairs);
    env.put("odd", pairs, flag);
  }
  const auto refused = LmdbSnapshot::open(dir.path("named"));
  CHECK(refused.status().code() == StatusCode::unsupported);
  CHECK(refused.status().object() == "lmdb:" + dir.path("named") + "?db=odd");
  CHECK(refused.status().message().find(name) != std::string_view::npos);

  LmdbSnapshotOptions options;
  options.db = "odd";
  CHECK(LmdbSnapshot::open(dir.path("named"), options).status().code() == StatusCode::unsupported);
  options.db = "fine";
  CHECK(scanned(opened(dir.path("named"), options), "fine") == pairs);

  RawEnv(dir.path("unnamed")).put("", pairs, flag);
  const auto unnamed = LmdbSnapshot::open(dir.path("unnamed"));
  CHECK(unnamed.status().code() == StatusCode::unsupported);
  CHECK(unnamed.status().object() == "lmdb:" + dir.path("unnamed") + "?db=");
  CHECK(unnamed.status().message().find(name) != std::string_view::npos);
}

TEST_CASE("what is not there or no environment is said by name") {
  TempDir dir;
  const auto missing = LmdbSnapshot::open(dir.path("nothing"));
  CHECK(missing.status().code() == StatusCode::not_found);
  CHECK(missing.status().object() == "lmdb:" + dir.path("nothing"));

  std::filesystem::create_directories(dir.path("folder"));
  CHECK(LmdbSnapshot::open(dir.path("folder")).status().code() == StatusCode::not_found);
  CHECK(std::filesystem::is_empty(dir.path("folder")));

  test_support::write_file(dir.path("text"), std::string(100'000, 'x'));
  CHECK(LmdbSnapshot::open(dir.path("text")).status().code() == StatusCode::corruption);
  CHECK(LmdbSnapshot::open("/dev/null").status().code() == StatusCode::invalid_argument);

  RawEnv(dir.path("env")).put("", {{"plain", "v"}, {"users", std::string(48, 'v')}});
  LmdbSnapshotOptions options;
  for (const char* name : {"nobody", "users", "plain"}) {
    options.db = name;
    const auto unknown = LmdbSnapshot::open(dir.path("env"), options);
    CHECK(unknown.status().code() == StatusCode::not_found);
    CHECK(unknown.status().object() == "lmdb:" + dir.path("env") + "?db=" + name);
  }
  options.db = std::string("a\0b", 3);
  CHECK(LmdbSnapshot::open(dir.path("env"), options).status().code() == StatusCode::not_found);
}

TEST_CASE("a transaction is never shared: one scan too many is refused until one ends") {
  TempDir dir;
  RawEnv(dir.path("env")).put("", {{"k", "v"}});
  LmdbSnapshotOptions options;
  options.workers = 2;
  const LmdbSnapshot snapshot = opened(dir.path("env"), options);
  CHECK(snapshot.workers() == 2);
  auto first = snapshot.scan({});
  {
    auto second = snapshot.scan({});
    REQUIRE(second.ok());
    const auto third = snapshot.scan({});
    CHECK(third.status().code() == StatusCode::resource_exhausted);
    CHECK(third.status().to_string() ==
          "resource_exhausted: every read transaction of the LMDB snapshot is in use; take it with "
          "more workers or scan with fewer threads: object lmdb:" +
              dir.path("env"));
  }
  CHECK(snapshot.scan({}).ok());
  LmdbSource moved = std::move(first).value();
  CHECK(moved.key() == "k");
  moved = std::move(snapshot.scan({})).value();
  CHECK(snapshot.scan({}).ok());
}

TEST_CASE("an LMDB snapshot keeps the contract on many threads") {
  TempDir dir;
  {
    RawEnv env(dir.path("env"));
    env.put("", numbered(300, "k", std::string(42, 'v')));
    env.put("users", numbered(200, "u", "v"));
    env.put("empty", {});
  }
  LmdbSnapshotOptions options;
  options.workers = 4;
  const LmdbSnapshot snapshot = opened(dir.path("env"), options);
  ThreadExecutor threads;
  CHECK(testing::to_string(testing::check_snapshot(snapshot, threads, 4)) == "");
  CHECK(testing::to_string(testing::check_source([&] {
          return snapshot.scan({"default", "k000050", "k000250"}).value();
        })) == "");
}
