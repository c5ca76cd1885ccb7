// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

namespace range_tree_test {

using namespace kvbackup;

namespace {

AnsweredRange answer(std::string start, std::string end, const std::string& name = {}) {
  AnsweredRange range{std::move(start), std::move(end), {}};
  if (!name.empty()) {
    range.files.emplace_back();
    range.files.back().name = name;
  }
  return range;
}

// Keys are 'a' + number; "" at the end is past the last one.
std::string key(unsigned number) { return number == 0 ? "" : std::string(1, char('a' + number)); }

struct CountingLess {
  using is_transparent = void;
  std::uint64_t* count;
  bool operator()(ByteView a, ByteView b) const {
    ++*count;
    return a < b;
  }
};

}  // namespace

TEST_CASE("an empty tree has the whole range as its gap") {
  const RangeTree tree;
  const std::vector<KeyRange> gaps = tree.gaps({"default", "b", ""});
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0] == KeyRange{"default", "b", ""});
}

TEST_CASE("gaps are what lies between answers, each in one piece") {
  RangeTree tree;
  CHECK(tree.insert(answer("b", "c")).empty());
  CHECK(tree.insert(answer("c", "d")).empty());
  CHECK(tree.insert(answer("x", "")).empty());
  CHECK(tree.gaps({"f", "", ""}) == std::vector<KeyRange>{{"f", "", "b"}, {"f", "d", "x"}});
  CHECK(tree.gaps({"f", "bb", "f"}) == std::vector<KeyRange>{{"f", "d", "f"}});
  CHECK(tree.gaps({"f", "b", "d"}).empty());
  CHECK(tree.gaps({"f", "y", ""}).empty());
}

TEST_CASE("an answer puts out every older one that it shares keys with, and gives them back") {
  RangeTree tree;
  (void)tree.insert(answer("a", "f", "one"));
  (void)tree.insert(answer("f", "h", "two"));
  (void)tree.insert(answer("h", "", "three"));
  const std::vector<AnsweredRange> older = tree.insert(answer("e", "g", "four"));
  REQUIRE(older.size() == 2);
  CHECK(older[0] == answer("a", "f", "one"));
  CHECK(older[1] == answer("f", "h", "two"));
  CHECK(tree.gaps({"", "a", ""}) == std::vector<KeyRange>{{"", "a", "e"}, {"", "g", "h"}});
  CHECK(tree.insert(answer("", "", "all")).size() == 2);
  CHECK(tree.size() == 1);
  CHECK(tree.take() == std::vector<AnsweredRange>{answer("", "", "all")});
  CHECK(tree.size() == 0);
}

TEST_CASE("the tree agrees with a list of keys, whatever comes in") {
  constexpr unsigned keys = 20;
  for (std::uint32_t seed = 0; seed < 3000; ++seed) {
    std::mt19937 engine(seed);
    const auto random = [&engine] { return static_cast<unsigned>(engine()); };
    RangeTree tree;
    std::map<unsigned, unsigned> owner;  // key number -> answer
    for (unsigned step = 1; step < 12; ++step) {
      const unsigned first = random() % keys;
      const bool unbounded = random() % 8 == 0;
      const unsigned last = unbounded ? keys : first + 1 + random() % (keys - first);
      std::set<unsigned> expected;
      for (unsigned k = first; k < last; ++k) {
        if (owner.contains(k)) expected.insert(owner[k]);
      }
      std::erase_if(owner, [&](const auto& entry) { return expected.contains(entry.second); });
      for (unsigned k = first; k < last; ++k) owner[k] = step;
      std::set<unsigned> older;
      for (const AnsweredRange& each :
           tree.insert(answer(key(first), last == keys ? "" : key(last), std::to_string(step)))) {
        older.insert(static_cast<unsigned>(std::stoul(each.files[0].name)));
      }
      REQUIRE(older == expected);
    }
    std::set<unsigned> uncovered;
    for (unsigned k = 0; k < keys; ++k) {
      if (!owner.contains(k)) uncovered.insert(k);
    }
    std::set<unsigned> in_gaps;
    std::string before = "none";
    for (const KeyRange& gap : tree.gaps({"", "", ""})) {
      REQUIRE(gap.start != before);  // or it would be one gap with the one before
      before = gap.end;
      for (unsigned k = 0; k < keys; ++k) {
        if (gap.contains(key(k))) in_gaps.insert(k);
      }
    }
    REQUIRE(in_gaps == uncovered);
  }
}

TEST_CASE("an answer costs some comparisons a doubling of the tree") {
  std::mt19937 random(7);
  for (const std::size_t size : {1'000u, 10'000u, 100'000u}) {
    std::uint64_t comparisons = 0;
    BasicRangeTree<CountingLess> tree(CountingLess{&comparisons});
    std::vector<std::uint32_t> order(size);
    for (std::uint32_t i = 0; i < size; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    const auto key_of = [](std::uint32_t i) {
      std::string out;
      append_be64(out, i);
      return out;
    };
    std::uint64_t most = 0;
    for (const std::uint32_t i : order) {
      const std::uint64_t before = comparisons;
      CHECK(tree.insert({key_of(i), key_of(i + 1), {}}).empty());
      most = std::max(most, comparisons - before);
    }
    // a red-black tree is at most twice as deep as it must be; the hint costs three more
    const double depth = 2 * std::log2(static_cast<double>(size + 1));
    CHECK(static_cast<double>(most) <= depth + 6);
    CHECK(tree.gaps({"", key_of(0), key_of(static_cast<std::uint32_t>(size))}).empty());
  }
}

}  // namespace range_tree_test
