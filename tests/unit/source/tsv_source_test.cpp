// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_source.hpp>

#include "support/catch.hpp"
#include "support/stores.hpp"
#include "support/temp_dir.hpp"

namespace tsv_source_test {

using namespace kvbackup;
using test_support::many_pairs;
using test_support::Store;

namespace {

TsvSource<MemoryReader> reading(ByteView text, KeyFormat format = KeyFormat::hex,
                                std::size_t longest_line = 1000) {
  TsvOptions options;
  options.format = format;
  options.longest_line = longest_line;
  options.name = "pairs.tsv";
  return TsvSource(MemoryReader(text), options);
}
template <class Source>
Store drained(Source source) {
  Store store;
  for (; source.valid(); source.next()) {
    store.emplace(std::string(source.key()), std::string(source.value()));
  }
  CHECK(source.status().to_string() == "ok");
  return store;
}
/// What a text that is not all right ends with, and after how many pairs.
std::pair<std::string, int> failing(ByteView text, KeyFormat format = KeyFormat::hex,
                                    std::size_t longest_line = 1000) {
  auto source = reading(text, format, longest_line);
  int pairs = 0;
  for (; source.valid(); source.next()) ++pairs;
  return {source.status().to_string(), pairs};
}

}  // namespace

TEST_CASE("lines of each format are pairs") {
  CHECK(drained(reading("6b31\t7631\n6B32\t\n")) == Store{{"k1", "v1"}, {"k2", ""}});
  CHECK(drained(reading("k1\tv 1\nk2\t\n", KeyFormat::raw)) == Store{{"k1", "v 1"}, {"k2", ""}});
  CHECK(drained(reading("a\\tb\\x00\\377\t\\n\\r\\\\\\\"\\'\\a\\b\\f\\v\nb\tc\n",
                        KeyFormat::escaped)) ==
        Store{{std::string("a\tb\0\xff", 5), "\n\r\\\"'\a\b\f\v"}, {"b", "c"}});
  CHECK(drained(reading("\t\n61\t\n")) == Store{{"", ""}, {"a", ""}});
  CHECK(drained(reading("")).empty());
}

TEST_CASE("the end of a line may have a CR, the last line no LF") {
  CHECK(drained(reading("6b31\t7631\r\n6b32\t7632\r\n")) == Store{{"k1", "v1"}, {"k2", "v2"}});
  CHECK(drained(reading("6b31\t7631\n6b32\t7632")) == Store{{"k1", "v1"}, {"k2", "v2"}});
  CHECK(drained(reading("6b31\t7631\n6b32\t7632\r")) == Store{{"k1", "v1"}, {"k2", "v2"}});
  CHECK(drained(reading("k\tv\r\r\n", KeyFormat::raw)) == Store{{"k", "v\r"}});
}

TEST_CASE("what is wrong with a line is said with its number") {
  using Failure = std::pair<std::string, int>;
  CHECK(failing("61\t\n62\t\n6z\t\n") ==
        Failure{"corruption: line 3: the key is not hex: it has a character that is no hex digit: "
                "object pairs.tsv",
                2});
  CHECK(failing("61\t\n62\t616\n") ==
        Failure{"corruption: line 2: the value is not hex: it has an odd number of digits: object "
                "pairs.tsv",
                1});
  CHECK(failing("61\t\n62\n") ==
        Failure{"corruption: line 2 has no TAB between a key and a value: object pairs.tsv", 1});
  CHECK(failing("\n61\t\n") ==
        Failure{"corruption: line 1 has no TAB between a key and a value: object pairs.tsv", 0});
  CHECK(failing("61\t61\t61\n") ==
        Failure{"corruption: line 1 has more than one TAB; use the format escaped or hex for bytes "
                "like these: object pairs.tsv",
                0});
  CHECK(failing("62\t\n61\t\n") ==
        Failure{"out_of_order: line 2 is out of order: its key is below the one before it: object "
                "pairs.tsv, key 61",
                1});
  CHECK(failing("61\t\n61\t61\n") ==
        Failure{"out_of_order: line 2 has the same key as the line before it: object pairs.tsv, "
                "key 61",
                1});
  CHECK(failing("\\400\t\n", KeyFormat::escaped).first.find("line 1: the key is not escaped") !=
        std::string::npos);
  CHECK(failing("a\t\\\n", KeyFormat::escaped).first.find("line 1: the value is not escaped") !=
        std::string::npos);
}

TEST_CASE("keys rise as unsigned bytes") {
  CHECK(drained(reading("7f\t\n80\t\n")).size() == 2);
  CHECK(failing("80\t\n7f\t\n").first.find("line 2 is out of order") != std::string::npos);
}

TEST_CASE("a line is never longer than its limit") {
  const std::string fits = "k\t" + std::string(98, 'v');
  const std::string message =
      "resource_exhausted: line 2 is longer than 100 bytes: object pairs.tsv";
  CHECK(drained(reading(fits + "\n", KeyFormat::raw, 100)).size() == 1);
  CHECK(failing(fits + "\nl" + fits + "\n", KeyFormat::raw, 100).first == message);
  // a line without end is refused long before it is read
  std::size_t given = 0;
  TsvOptions options;
  options.longest_line = std::size_t{1} << 20;
  TsvSource endless(CallableReader([&given](char* out, std::size_t size) -> Result<std::size_t> {
                      std::fill_n(out, size, 'a');
                      given += size;
                      return size;
                    }),
                    options);
  CHECK_FALSE(endless.valid());
  CHECK(endless.status().code() == StatusCode::resource_exhausted);
  CHECK(given < (std::size_t{2} << 20));
}

TEST_CASE("how the bytes arrive does not show, and a failure of the reader is passed on") {
  const Store store = many_pairs(3000);
  std::string text;
  TsvSink sink{StringWriter(text)};
  for (const auto& [key, value] : store) REQUIRE(sink.put(key, value).ok());
  REQUIRE(sink.finish().ok());
  for (const std::size_t most : {std::size_t{1}, std::size_t{7}, std::size_t{65536}}) {
    MemoryReader memory(text);
    CHECK(drained(TsvSource(CallableReader([&](char* out, std::size_t size) {
            return memory.read(out, std::min(size, most));
          }))) == store);
  }
  MemoryReader memory(text);
  std::size_t reads = 0;
  TsvSource broken(CallableReader([&](char* out, std::size_t size) -> Result<std::size_t> {
    if (++reads > 100) return Status::error(StatusCode::io_error, "cannot read on");
    return memory.read(out, std::min(size, std::size_t{100}));
  }));
  std::size_t pairs = 0;
  for (; broken.valid(); broken.next()) ++pairs;
  CHECK(broken.status().to_string() == "io_error: cannot read on: object TSV input");
  CHECK(pairs > 10);
  CHECK(pairs < store.size());
}

TEST_CASE("a TSV source keeps the contract") {
  std::string text;
  TsvSink sink(StringWriter(text), KeyFormat::escaped);
  for (const auto& [key, value] : many_pairs(200)) REQUIRE(sink.put(key, value).ok());
  REQUIRE(sink.finish().ok());
  CHECK(testing::to_string(
            testing::check_source([&] { return reading(text, KeyFormat::escaped); })) == "");
}

TEST_CASE("a file is read by its path, a descriptor without closing it") {
  test_support::TempDir dir;
  test_support::write_file(dir.path("pairs"), "61\t62\n63\t64\n");
  auto source = open_tsv(dir.path("pairs"));
  REQUIRE(source.ok());
  CHECK(drained(std::move(source).value()) == Store{{"a", "b"}, {"c", "d"}});

  const auto missing = open_tsv(dir.path("nothing"));
  CHECK(missing.status().code() == StatusCode::not_found);
  CHECK(missing.status().object() == dir.path("nothing"));
  CHECK(open_tsv(dir.path()).status().code() == StatusCode::invalid_argument);

  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  REQUIRE(::write(pipe_ends[1], "61\t62\n", 6) == 6);
  ::close(pipe_ends[1]);
  CHECK(drained(TsvSource(FdReader::borrow(pipe_ends[0], "the pipe"))) == Store{{"a", "b"}});
  CHECK(::close(pipe_ends[0]) == 0);
  TsvSource closed(FdReader::borrow(pipe_ends[0], "the pipe"));
  CHECK(closed.status().code() == StatusCode::io_error);
  CHECK(closed.status().object() == "the pipe");
}

TEST_CASE("a cancelled read ends, also one that waits for a pipe") {
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  REQUIRE(::write(pipe_ends[1], "61\t62\n", 6) == 6);
  CancelToken cancel;
  FdReader reader = FdReader::borrow(pipe_ends[0], "the pipe");
  reader.cancel_on(&cancel);
  TsvSource source(std::move(reader));
  REQUIRE(source.valid());
  std::thread host([&cancel] { cancel.cancel(); });
  source.next();  // nothing more ever comes
  host.join();
  CHECK_FALSE(source.valid());
  CHECK(source.status().code() == StatusCode::cancelled);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}

}  // namespace tsv_source_test
