// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_source.hpp>

#include "support/catch.hpp"
#include "support/stores.hpp"

namespace range_source_test {

using namespace kvbackup;
using test_support::many_pairs;
using test_support::Store;

namespace {

template <class Source>
Store drained(Source source) {
  Store store;
  for (; source.valid(); source.next()) {
    store.emplace(std::string(source.key()), std::string(source.value()));
  }
  CHECK(source.status().ok());
  return store;
}

/// Has nothing but data() and size(), as a store's own slice type might.
class Slice {
 public:
  explicit Slice(std::string text) : text_(std::move(text)) {}
  const char* data() const { return text_.data(); }
  std::size_t size() const { return text_.size(); }

 private:
  std::string text_;
};
struct Record {
  Slice first;
  Slice second;
};

/// A range whose elements are made when they are asked for, forward only.
struct Squares {
  struct Iterator {
    using value_type = std::pair<std::string, std::string>;
    using difference_type = std::ptrdiff_t;
    int number = 0;
    value_type operator*() const {
      return {"square " + std::to_string(100 + number), std::to_string(number * number)};
    }
    Iterator& operator++() {
      ++number;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++number;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;
  };
  Iterator begin() const { return {}; }
  Iterator end() const { return {count}; }
  int count = 10;
};

}  // namespace

TEST_CASE("a source over a map gives what the map holds, borrowed or owned") {
  const Store store = many_pairs(2000);
  Store mine = store;
  CHECK(drained(RangeSource(store)) == store);
  CHECK(drained(RangeSource(mine)) == store);
  CHECK(mine.size() == store.size());
  CHECK(drained(RangeSource(std::move(mine))) == store);
  CHECK(drained(RangeSource(Store())).empty());
}

TEST_CASE("sources over ranges of every kind keep the contract") {
  const Store store = many_pairs(300);
  const std::vector<std::pair<std::string, std::string>> list(store.begin(), store.end());
  CHECK(testing::to_string(testing::check_source([&] { return RangeSource(store); })) == "");
  CHECK(testing::to_string(testing::check_source([&] { return RangeSource(Store(store)); })) == "");
  CHECK(testing::to_string(testing::check_source([&] { return RangeSource(list); })) == "");
  CHECK(testing::to_string(testing::check_source([&] {
          return RangeSource(
              std::deque<std::pair<std::string, std::string>>(list.begin(), list.end()));
        })) == "");
  const std::map<std::string, std::string, std::less<>> transparent(store.begin(), store.end());
  CHECK(testing::to_string(testing::check_source([&] { return RangeSource(transparent); })) == "");
  const std::map<std::u8string, std::string> bytes = [&] {
    std::map<std::u8string, std::string> out;
    for (const auto& [key, value] : store) out[std::u8string(key.begin(), key.end())] = value;
    return out;
  }();
  CHECK(testing::to_string(testing::check_source([&] { return RangeSource(bytes); })) == "");
  const std::list<std::pair<std::string, std::string>> linked(store.begin(), store.end());
  CHECK(testing::to_string(testing::check_source([&] { return RangeSource(linked); })) == "");
  CHECK(testing::to_string(testing::check_source([&] { return RangeSource(std::span(list)); })) ==
        "");
  CHECK(testing::to_string(testing::check_source([] { return RangeSource(Squares{}); })) == "");
}

TEST_CASE("a source seeks where its range can search and only there") {
  using Vector = std::vector<std::pair<std::string, std::string>>;
  STATIC_REQUIRE(SeekableSource<RangeSource<Store>>);
  STATIC_REQUIRE(SeekableSource<RangeSource<const Vector&>>);
  STATIC_REQUIRE(SeekableSource<RangeSource<std::span<const std::pair<ByteView, ByteView>>>>);
  STATIC_REQUIRE(SortedSource<RangeSource<std::list<std::pair<std::string, std::string>>>>);
  STATIC_REQUIRE_FALSE(SeekableSource<RangeSource<std::list<std::pair<std::string, std::string>>>>);
  STATIC_REQUIRE_FALSE(SeekableSource<RangeSource<Squares>>);
  STATIC_REQUIRE_FALSE(PairRange<std::vector<std::string>>);
  STATIC_REQUIRE_FALSE(PairRange<std::vector<std::pair<int, std::string>>>);
}

TEST_CASE("elements may be any pair or tuple of anything with bytes") {
  const std::vector<Record> records = {{Slice("a"), Slice("1")}, {Slice("b"), Slice("2")}};
  CHECK(drained(RangeSource(records)) == Store{{"a", "1"}, {"b", "2"}});
  const std::array<std::tuple<std::string_view, std::vector<std::byte>>, 2> tuples = {
      {{"a", {std::byte{0}, std::byte{255}}}, {"b", {}}}};
  CHECK(drained(RangeSource(tuples)) == Store{{"a", std::string("\0\xff", 2)}, {"b", ""}});
  const std::pair<const char*, const char*> array[] = {{"a", "1"}, {"b", "2"}};
  CHECK(drained(RangeSource(array)) == Store{{"a", "1"}, {"b", "2"}});
}

TEST_CASE("the order of a range is the caller's promise") {
  // whoever writes a table refuses it
  const std::vector<std::pair<std::string, std::string>> unsorted = {{"b", ""}, {"a", ""}};
  RangeSource source(unsorted);
  CHECK(source.key() == "b");
  source.next();
  CHECK(source.key() == "a");
}

TEST_CASE("a bounded source shows its part of another, by seeking or by skipping") {
  const Store store = many_pairs(500);
  const std::string low = std::next(store.begin(), 100)->first;
  const std::string high = std::next(store.begin(), 400)->first;
  const std::list<std::pair<std::string, std::string>> linked(store.begin(), store.end());
  for (const auto& [start, end] : {std::pair(low, high),
                                   {"", high},
                                   {low, ""},
                                   {"", ""},
                                   {low, low},
                                   {high, low},
                                   {low + '\0', high + '\0'}}) {
    Store want;
    for (const auto& [key, value] : store) {
      if (key >= start && (end.empty() || key < end)) want.emplace(key, value);
    }
    CHECK(drained(BoundedSource(RangeSource(store), start, end)) == want);
    CHECK(drained(BoundedSource(RangeSource(linked), start, end)) == want);
  }
  STATIC_REQUIRE(SeekableSource<BoundedSource<RangeSource<const Store&>>>);
  CHECK(testing::to_string(testing::check_source(
            [&] { return BoundedSource(RangeSource(store), low, high); })) == "");
}

TEST_CASE("a bounded source passes a failure on, but not one behind its end") {
  struct Failing {
    int at = 0;
    bool valid() const { return at < 3; }
    std::string name = "k0";
    ByteView key() const { return name; }
    ByteView value() const { return "v"; }
    void next() { name.back() = static_cast<char>('0' + ++at); }
    Status status() const { return Status::error(StatusCode::io_error, "gone"); }
  };
  BoundedSource whole(Failing{}, "", "");
  while (whole.valid()) whole.next();
  CHECK(whole.status().code() == StatusCode::io_error);
  BoundedSource part(Failing{}, "", "k2");
  while (part.valid()) part.next();
  CHECK(part.status().ok());
  BoundedSource behind(Failing{}, "k9", "");
  CHECK_FALSE(behind.valid());
  CHECK(behind.status().code() == StatusCode::io_error);
}

TEST_CASE("a snapshot of a container keeps the contract on many threads") {
  const Store store = many_pairs(400);
  ThreadExecutor threads;
  const RangeSnapshot borrowed(store);
  CHECK(testing::to_string(testing::check_snapshot(borrowed, threads, 4)) == "");
  const RangeSnapshot owned(Store(store), "users");
  CHECK(testing::to_string(testing::check_snapshot(owned, threads, 4)) == "");
  CHECK(owned.ranges().value() == std::vector<KeyRange>{{"users", "", ""}});
  CHECK(owned.scan({"default", "", ""}).status().code() == StatusCode::not_found);
  CHECK(owned.split({"default", "", ""}, 1).status().code() == StatusCode::not_found);
  CHECK_FALSE(owned.estimate({"default", "", ""}).pairs.has_value());
  CHECK(testing::to_string(testing::check_snapshot(RangeSnapshot(Store()))) == "");

  std::uint64_t bytes = 0;
  for (const auto& [key, value] : store) bytes += key.size() + value.size();
  CHECK(borrowed.estimate({}).bytes == bytes);
  CHECK(borrowed.estimate({}).pairs == store.size());
  CHECK(borrowed.split({}, bytes / 4).value().size() == 4);
  CHECK(borrowed.split({}, 0).value().size() == store.size());
}

}  // namespace range_source_test
