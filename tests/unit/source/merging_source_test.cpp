// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_source.hpp>

#include "support/catch.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using test_support::many_pairs;
using test_support::Store;

namespace {

using Merge = MergingSource<RangeSource<const Store&>>;

Merge merged(const std::vector<Store>& stores, Duplicates duplicates = Duplicates::refuse) {
  std::vector<RangeSource<const Store&>> sources;
  for (const Store& store : stores) sources.emplace_back(store);
  return Merge(std::move(sources), duplicates);
}

template <class Source>
std::vector<std::pair<std::string, std::string>> drained(Source& source) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (; source.valid(); source.next()) pairs.emplace_back(source.key(), source.value());
  return pairs;
}
std::vector<std::pair<std::string, std::string>> pairs_of(const Store& store) {
  return {store.begin(), store.end()};
}

// The pairs of `store`, each in one of `count` stores, or in several with another value.
std::vector<Store> dealt(const Store& store, std::size_t count, bool repeat) {
  std::mt19937 random(7);
  std::vector<Store> out(count);
  for (const auto& [key, value] : store) {
    const std::size_t first = random() % count;
    out[first].emplace(key, value);
    if (!repeat || count == 1) continue;
    for (std::size_t i = first + 1; i < count; ++i) {
      if (random() % 3 == 0) out[i].emplace(key, "the loser's value");
    }
  }
  return out;
}

}  // namespace

TEST_CASE("merged sources give every pair once, in the order of the keys") {
  const Store store = many_pairs(3000);
  for (const std::size_t count : {1u, 2u, 3u, 8u, 50u}) {
    auto stores = dealt(store, count, false);
    stores.emplace_back();  // one without a pair
    auto source = merged(stores);
    CHECK(drained(source) == pairs_of(store));
    CHECK(source.status().ok());
  }
  auto nothing = merged({});
  CHECK_FALSE(nothing.valid());
  CHECK(nothing.status().ok());
}

TEST_CASE("merged sources keep the laws of sources, seek included") {
  const Store store = many_pairs(300);
  for (const std::size_t count : {1u, 3u, 20u}) {
    const auto stores = dealt(store, count, false);
    CHECK(to_string(testing::check_source([&] { return merged(stores); })) == "");
    const auto repeating = dealt(store, count, true);
    CHECK(to_string(testing::check_source(
              [&] { return merged(repeating, Duplicates::first_wins); })) == "");
  }
}

TEST_CASE("a key in two of the merged sources is an error that names it") {
  const std::vector<Store> stores{
      {{"a", "1"}, {"d", "1"}}, {{"b", "2"}}, {{"c", "3"}, {"d", "3"}, {"e", "3"}}};
  auto source = merged(stores);
  CHECK(drained(source).size() == 3);
  CHECK(source.status().code() == StatusCode::out_of_order);
  CHECK(source.status().key() == "d");
  // where it comes up first
  auto at_once = merged({{{"a", "1"}}, {{"a", "2"}}});
  CHECK_FALSE(at_once.valid());
  CHECK(at_once.status().key() == "a");
  // it is no error of a place where nobody was
  source.seek("e");
  REQUIRE(source.valid());
  CHECK(source.value() == "3");
  source.next();
  CHECK_FALSE(source.valid());
  CHECK(source.status().ok());
}

TEST_CASE("where the first one wins, the source that stands earlier gives the value") {
  const Store store = many_pairs(3000);
  for (const std::size_t count : {2u, 3u, 9u}) {
    const auto stores = dealt(store, count, true);
    auto kept = merged(stores, Duplicates::first_wins);
    CHECK(drained(kept) == pairs_of(store));
    CHECK(kept.status().ok());
  }
  const std::vector<Store> all_the_same(5, Store{{"a", "1"}, {"b", "2"}});
  auto source = merged(all_the_same, Duplicates::first_wins);
  CHECK(drained(source) == pairs_of(all_the_same.front()));
}

TEST_CASE("a merge ends with the failure of the first source that fails") {
  struct Failing {
    int left;
    std::string text;
    [[nodiscard]] bool valid() const { return left > 0; }
    [[nodiscard]] ByteView key() const { return text; }
    [[nodiscard]] ByteView value() const { return {}; }
    void next() {
      --left;
      text += 'x';
    }
    [[nodiscard]] Status status() const {
      return left > 0 ? Status() : Status::error(StatusCode::io_error, "source " + text);
    }
  };
  for (const Duplicates duplicates : {Duplicates::refuse, Duplicates::first_wins}) {
    MergingSource<Failing> source({{5, "a"}, {2, "b"}, {9, "c"}}, duplicates);
    CHECK(drained(source).size() == 5);
    CHECK_FALSE(source.valid());
    CHECK(source.status().message() == "source axxxxx");
    MergingSource<Failing> at_once({{5, "a"}, {0, "b"}}, duplicates);
    CHECK_FALSE(at_once.valid());
    CHECK(at_once.status().message() == "source b");
  }
}

TEST_CASE("a merge is backed up like any source") {
  const Store store = many_pairs(2000);
  const auto stores = dealt(store, 3, false);
  MemoryBackend expected;
  MemoryBackend backend;
  REQUIRE(BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, expected).run().ok());
  REQUIRE(BackupPipeline(merged(stores), NoneCodec{}, FileHasher{}, backend).run().ok());
  const std::string name = "1_1_1_default.sst";
  CHECK(backend.read(name).value() == expected.read(name).value());
}
