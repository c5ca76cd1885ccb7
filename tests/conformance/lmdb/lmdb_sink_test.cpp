// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/testing/check_sink.hpp>

#include "raw_env.hpp"

using namespace kvbackup;
using namespace lmdb_test;
using test_support::TempDir;

namespace {

LmdbSink sink_at(const std::string& path, const LmdbSinkOptions& options = {}) {
  auto sink = LmdbSink::open(path, options);
  REQUIRE(sink.status().to_string() == "ok");
  return std::move(sink).value();
}
void put_all(LmdbSink& sink, const Pairs& pairs) {
  for (const auto& [key, value] : pairs) REQUIRE(sink.put(key, value).to_string() == "ok");
}
void finish(LmdbSink& sink) { REQUIRE(sink.finish().to_string() == "ok"); }

}  // namespace

TEST_CASE("what is put into LMDB is what mdb_dump reads, and nothing is seen before the end") {
  TempDir dir;
  Pairs pairs = numbered(5000, "key", std::string(100, 'v'));
  pairs["a"] = "";
  pairs["b"] = std::string(500'000, 'b');
  pairs[std::string(511, 'z')] = "longest";
  LmdbSink sink = sink_at(dir.path("env"));
  put_all(sink, pairs);
  CHECK_FALSE(std::filesystem::exists(dir.path("env")));
  finish(sink);
  CHECK(dumped(dir.path("env"), "") == pairs);
  CHECK(dir.entries() == 1);
  CHECK(sink.put("zzzz", "v").code() == StatusCode::invalid_argument);
  CHECK(sink.finish().code() == StatusCode::invalid_argument);
  sink.abandon();
  CHECK(scanned(opened(dir.path("env")), "default") == pairs);
}

TEST_CASE("the map grows under a store many times larger than it began") {
  TempDir dir;
  LmdbSinkOptions options;
  options.map_size = 1;
  options.batch_bytes = GENERATE(std::size_t{1} << 20, std::size_t{64} << 20);
  const std::size_t value_size = GENERATE(std::size_t{10}, std::size_t{1500}, std::size_t{2100},
                                          std::size_t{70'000}, std::size_t{5'000'000});
  const int count = static_cast<int>(std::min<std::size_t>(200'000, 60'000'000 / value_size));
  LmdbSink sink = sink_at(dir.path("env"), options);
  const std::string value(value_size, 'v');
  Pairs pairs = numbered(count, "k", "");
  for (const auto& [key, number] : pairs) REQUIRE(sink.put(key, value).to_string() == "ok");
  finish(sink);
  const LmdbSnapshot snapshot = opened(dir.path("env"));
  CHECK(snapshot.estimate({}).pairs == pairs.size());
  auto source = snapshot.scan({}).value();
  for (const auto& [key, number] : pairs) {
    REQUIRE(source.key() == key);
    REQUIRE(source.value() == value);
    source.next();
  }
  CHECK_FALSE(source.valid());
}

TEST_CASE("column families become databases, and come back") {
  TempDir dir;
  const Pairs plain = numbered(3000, "k", "plain");
  const Pairs users = numbered(2000, "k", "user");
  Pairs first(plain.begin(), plain.find("k001000"));
  Pairs second(plain.find("k001000"), plain.end());
  LmdbSink sink = sink_at(dir.path("env"));
  put_all(sink, first);
  REQUIRE(sink.use("users").ok());
  put_all(sink, users);
  REQUIRE(sink.use("k0005").ok());  // its record stands among the keys of default
  REQUIRE(sink.use("default").ok());
  put_all(sink, second);
  finish(sink);
  const LmdbSnapshot snapshot = opened(dir.path("env"));
  CHECK(cfs_of(snapshot) == std::vector<std::string>{"default", "k0005", "users"});
  CHECK(scanned(snapshot, "default") == plain);
  CHECK(scanned(snapshot, "users") == dumped(dir.path("env"), "users"));
  CHECK(scanned(snapshot, "users") == users);
}

TEST_CASE("the option db names the database of the default column family") {
  TempDir dir;
  LmdbSinkOptions options;
  options.db = "store";
  LmdbSink sink = sink_at(dir.path("env"), options);
  put_all(sink, {{"k", "v"}});
  finish(sink);
  CHECK(dumped(dir.path("env"), "store") == Pairs{{"k", "v"}});
  CHECK(cfs_of(opened(dir.path("env"))) == std::vector<std::string>{"store"});
}

TEST_CASE("a single file is built as well") {
  TempDir dir;
  LmdbSinkOptions options;
  options.single_file = true;
  LmdbSink sink = sink_at(dir.path("file.mdb"), options);
  put_all(sink, {{"k", "v"}});
  finish(sink);
  CHECK(dir.entries() == 1);
  CHECK(dumped(dir.path("file.mdb"), "", true) == Pairs{{"k", "v"}});
  CHECK(LmdbSink::open(dir.path("file.mdb"), options).status().code() ==
        StatusCode::already_exists);
}

TEST_CASE("what LMDB cannot hold is refused with its key and its limit") {
  TempDir dir;
  {
    LmdbSink sink = sink_at(dir.path("env"));
    const Status status = sink.put("", "v");
    CHECK(status.code() == StatusCode::unsupported);
    CHECK(status.message() == "the key is empty: LMDB's keys have 1 to 511 bytes");
    CHECK(sink.put("k", "v").code() == StatusCode::unsupported);
    CHECK(sink.finish().code() == StatusCode::unsupported);
  }
  {
    LmdbSink sink = sink_at(dir.path("env"));
    const Status status = sink.put(std::string(512, 'k'), "v");
    CHECK(status.message() == "the key is too long: LMDB's keys have 1 to 511 bytes");
    CHECK(status.key() == std::string(512, 'k'));
  }
  for (const char* key : {"b", "a"}) {
    LmdbSink sink = sink_at(dir.path("env"));
    put_all(sink, {{"b", "v"}});
    const Status status = sink.put(key, "v");
    CHECK(status.code() == StatusCode::out_of_order);
    CHECK(status.key() == key);
  }
  {
    LmdbSink sink = sink_at(dir.path("env"));
    put_all(sink, {{"users", "v"}});
    CHECK(sink.use("users").code() == StatusCode::unsupported);
  }
  {
    LmdbSink sink = sink_at(dir.path("env"));
    REQUIRE(sink.use("users").ok());
    REQUIRE(sink.use("default").ok());
    const Status status = sink.put("users", "v");
    CHECK(status.code() == StatusCode::unsupported);
    CHECK(status.key() == "users");
  }
  for (const std::string& cf : {std::string(), std::string("a\0b", 3), std::string(512, 'n')}) {
    LmdbSink sink = sink_at(dir.path("env"));
    CHECK(sink.use(cf).code() == StatusCode::invalid_argument);
  }
  CHECK(dir.entries() == 0);
}

TEST_CASE("an unfinished environment leaves nothing behind") {
  TempDir dir;
  const bool single_file = GENERATE(false, true);
  LmdbSinkOptions options;
  options.single_file = single_file;
  {
    LmdbSink sink = sink_at(dir.path("env"), options);
    put_all(sink, numbered(1000, "k", "v"));
    CHECK(dir.entries() == 1);
  }
  CHECK(dir.entries() == 0);
  LmdbSink sink = sink_at(dir.path("env"), options);
  put_all(sink, numbered(10, "k", "v"));
  sink.abandon();
  CHECK(dir.entries() == 0);
  CHECK(sink.put("z", "v").code() == StatusCode::invalid_argument);
  CHECK(sink.finish().code() == StatusCode::invalid_argument);
  CHECK(dir.entries() == 0);
}

TEST_CASE("only an empty folder gives way to a new environment") {
  TempDir dir;
  std::filesystem::create_directories(dir.path("empty"));
  LmdbSink sink = sink_at(dir.path("empty/"));
  put_all(sink, {{"k", "v"}});
  finish(sink);
  CHECK(dumped(dir.path("empty"), "") == Pairs{{"k", "v"}});

  const auto again = LmdbSink::open(dir.path("empty"));
  CHECK(again.status().code() == StatusCode::already_exists);
  CHECK(again.status().object() == dir.path("empty"));
  test_support::write_file(dir.path("file"), "x");
  CHECK(LmdbSink::open(dir.path("file")).status().code() == StatusCode::already_exists);
  CHECK(LmdbSink::open(dir.path("no/such/env")).status().code() == StatusCode::not_found);
  CHECK(LmdbSink::open("").status().code() == StatusCode::invalid_argument);
  CHECK(dir.entries() == 2);
}

TEST_CASE("what appears at the target while an environment is built stays") {
  TempDir dir;
  LmdbSink folder = sink_at(dir.path("folder"));
  std::filesystem::create_directories(dir.path("folder/other"));
  CHECK(folder.finish().code() == StatusCode::already_exists);
  LmdbSinkOptions options;
  options.single_file = true;
  LmdbSink file = sink_at(dir.path("file"), options);
  test_support::write_file(dir.path("file"), "other");
  CHECK(file.finish().code() == StatusCode::already_exists);
  folder.abandon();
  file.abandon();
  CHECK(test_support::read_file(dir.path("file")) == "other");
  CHECK(dir.entries() == 2);
}

TEST_CASE("an LMDB sink keeps the contract") {
  TempDir dir;
  const std::string path = dir.path("env");
  CHECK(testing::to_string(testing::check_sink(
            [&] {
              std::filesystem::remove_all(path);
              return sink_at(path);
            },
            [&] {
              std::vector<std::pair<std::string, std::string>> pairs;
              if (!std::filesystem::exists(path)) return pairs;
              for (auto& pair : scanned(opened(path), "default")) pairs.emplace_back(pair);
              return pairs;
            })) == "");
}
