// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_sink.hpp>
#include <sys/stat.h>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"

using namespace kvbackup;
using test_support::read_file;
using test_support::TempDir;
using Pairs = std::vector<std::pair<std::string, std::string>>;

namespace {

Pairs pairs_in(ByteView text, KeyFormat format) {
  TsvOptions options;
  options.format = format;
  Pairs pairs;
  TsvSource source(MemoryReader(text), options);
  for (; source.valid(); source.next()) pairs.emplace_back(source.key(), source.value());
  CHECK(source.status().ok());
  return pairs;
}

}  // namespace

TEST_CASE("a pair is a line of key, TAB and value in the format") {
  const auto [format, text] = GENERATE(table<KeyFormat, const char*>(
      {{KeyFormat::hex, "6b31\t7609\n6b32\t\n"}, {KeyFormat::escaped, "k1\tv\\t\nk2\t\n"}}));
  std::string out = "before ";
  TsvSink sink(StringWriter(out), format);
  CHECK(sink.put("k1", "v\t").ok());
  CHECK(sink.put("k2", "").ok());
  CHECK(sink.finish().ok());
  CHECK(out == std::string("before ") + text);
}

TEST_CASE("TSV sinks keep the contract, in memory and in a file") {
  const KeyFormat format = GENERATE(KeyFormat::hex, KeyFormat::escaped);
  std::string out;
  CHECK(testing::to_string(testing::check_sink(
            [&] {
              out.clear();
              return TsvSink(StringWriter(out), format);
            },
            [&] { return pairs_in(out, format); })) == "");
  TempDir dir;
  const std::string path = dir.path("pairs.tsv");
  CHECK(testing::to_string(testing::check_sink(
            [&] {
              std::filesystem::remove(path);
              return create_tsv(path, format).value();
            },
            [&] { return pairs_in(read_file(path), format); })) == "");
  std::filesystem::remove(path);
  CHECK(dir.entries() == 0);
}

TEST_CASE("the raw format refuses what it cannot hold and names those that can") {
  const auto [key, value] = GENERATE(table<const char*, const char*>(
      {{"a\tb", "v"}, {"a\nb", "v"}, {"k", "v\tw"}, {"k", "v\nw"}, {"k", "v\r"}}));
  std::string out;
  TsvSink sink(StringWriter(out), KeyFormat::raw);
  REQUIRE(sink.put("a", "b").ok());
  const Status refused = sink.put(key, value);
  CHECK(refused.code() == StatusCode::unsupported);
  CHECK(refused.key() == key);
  CHECK(refused.message() ==
        "cannot write the pair as raw text: it has a TAB or a newline, or its value ends in CR; "
        "use the format escaped or hex");
  CHECK(sink.finish().code() == StatusCode::unsupported);
}

TEST_CASE("what the raw format holds comes back") {
  const Pairs pairs = {{"", "empty key"}, {"a\r", "\rb"}, {"k\xff", std::string("\0", 1)}};
  std::string out;
  TsvSink sink(StringWriter(out), KeyFormat::raw);
  for (const auto& [key, value] : pairs) REQUIRE(sink.put(key, value).ok());
  REQUIRE(sink.finish().ok());
  CHECK(pairs_in(out, KeyFormat::raw) == pairs);
}

TEST_CASE("a key that does not rise is refused") {
  std::string out;
  TsvSink sink{StringWriter(out)};
  REQUIRE(sink.put("b", "").ok());
  const Status status = sink.put("b", "");
  CHECK(status.code() == StatusCode::out_of_order);
  CHECK(status.key() == "b");
  CHECK(sink.put("c", "").code() == StatusCode::out_of_order);
}

TEST_CASE("a file is seen only once it is whole, and never replaced unasked") {
  TempDir dir;
  const std::string path = dir.path("pairs.tsv");
  auto sink = create_tsv(path).value();
  REQUIRE(sink.put("k", std::string(1'000'000, 'v')).ok());
  CHECK_FALSE(std::filesystem::exists(path));
  auto rival = create_tsv(path).value();
  REQUIRE(rival.put("rival", "").ok());
  REQUIRE(rival.finish().ok());
  CHECK(sink.finish().code() == StatusCode::already_exists);
  CHECK(read_file(path) == "726976616c\t\n");
  CHECK(dir.entries() == 1);

  const auto again = create_tsv(path);
  CHECK(again.status().code() == StatusCode::already_exists);
  CHECK(again.status().object() == path);
  auto replacing = create_tsv(path, KeyFormat::hex, true).value();
  REQUIRE(replacing.put("new", "").ok());
  CHECK(read_file(path) == "726976616c\t\n");
  REQUIRE(replacing.finish().ok());
  CHECK(read_file(path) == "6e6577\t\n");
  CHECK(dir.entries() == 1);
  CHECK(create_tsv(dir.path("no/such/folder")).status().code() == StatusCode::not_found);
}

TEST_CASE("a writer that fails makes the sink fail for good") {
  int calls = 0;
  TsvSink sink{CallableWriter([&](ByteView) {
    ++calls;
    return Status::error(StatusCode::no_space, "the disk is full");
  })};
  Status status;
  for (char c = 'a'; status.ok() && c < 'z'; ++c) {
    status = sink.put(std::string(1, c), std::string(10'000, 'v'));
  }
  CHECK(status.code() == StatusCode::no_space);
  CHECK(sink.finish().code() == StatusCode::no_space);
  CHECK(calls == 1);
}

TEST_CASE("a full device is said by its errno") {
  const int full = ::open("/dev/full", O_WRONLY);
  if (full < 0) return;  // not every system has one
  auto sink = tsv_to_fd(full, "standard output");
  REQUIRE(sink.put("k", "v").ok());
  const Status status = sink.finish();
  CHECK(status.code() == StatusCode::no_space);
  CHECK(status.native_code() == ENOSPC);
  CHECK(status.object() == "standard output");
  CHECK(::close(full) == 0);
}

TEST_CASE("a callable takes the pairs and may refuse one for good") {
  Pairs seen;
  CallableSink sink([&](ByteView key, ByteView value) {
    if (key == "bad") return Status::error(StatusCode::io_error, "no");
    seen.emplace_back(key, value);
    return Status();
  });
  CHECK(sink.put("a", "1").ok());
  CHECK(sink.put("bad", "").code() == StatusCode::io_error);
  CHECK(sink.put("c", "3").code() == StatusCode::io_error);
  CHECK(sink.finish().code() == StatusCode::io_error);
  CHECK(seen == Pairs{{"a", "1"}});
}
