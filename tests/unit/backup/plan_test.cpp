// SPDX-License-Identifier: Apache-2.0
#include <map>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

KeyRange range(std::string start, std::string end, std::string cf = "default") {
  return {.cf = std::move(cf), .start = std::move(start), .end = std::move(end)};
}

// A Snapshot of a map, cut where it is told.
struct CutSnapshot {
  std::map<std::string, std::string> pairs;
  std::vector<std::string> cuts;

  struct Scan {
    std::map<std::string, std::string>::const_iterator at;
    std::map<std::string, std::string>::const_iterator end;
    [[nodiscard]] bool valid() const { return at != end; }
    [[nodiscard]] ByteView key() const { return at->first; }
    [[nodiscard]] ByteView value() const { return at->second; }
    void next() { ++at; }
    [[nodiscard]] Status status() const { return {}; }
  };
  [[nodiscard]] Result<Scan> scan(const KeyRange& r) const {
    return Scan{pairs.lower_bound(r.start), r.end.empty() ? pairs.end() : pairs.lower_bound(r.end)};
  }
  [[nodiscard]] Result<std::vector<KeyRange>> split(const KeyRange& r, std::uint64_t) const {
    std::vector<KeyRange> out;
    std::string start = r.start;
    for (const std::string& cut : cuts) {
      out.push_back(range(start, cut, r.cf));
      start = cut;
    }
    out.push_back(range(start, r.end, r.cf));
    return out;
  }
};

}  // namespace

TEST_CASE("adjacent ranges of one column family are merged, in the order of their keys") {
  const auto merged = normalize_ranges({range("m", "t"), range("a", "c", "x"), range("c", "m"),
                                        range("u", ""), range("c", "d", "x")});
  REQUIRE(merged.ok());
  CHECK(merged.value() ==
        std::vector<KeyRange>{range("c", "t"), range("u", ""), range("a", "d", "x")});
}

TEST_CASE("column families stand as they were first named, however many there are") {
  // with work that grows as the square of them this would take half an hour
  constexpr std::size_t count = 100'000;
  std::vector<KeyRange> ranges;
  for (const char* start : {"m", "a"}) {
    for (std::size_t i = count; i-- > 0;)
      ranges.push_back(range(start, std::string(start) + "z", std::to_string(i)));
  }
  const auto sorted = normalize_ranges(std::move(ranges));
  REQUIRE(sorted.ok());
  REQUIRE(sorted.value().size() == 2 * count);
  bool as_expected = true;
  for (std::size_t i = 0; i < 2 * count; ++i) {
    const KeyRange& each = sorted.value()[i];
    as_expected = as_expected && each.cf == std::to_string(count - 1 - i / 2) &&
                  each.start == (i % 2 == 0 ? "a" : "m");
  }
  CHECK(as_expected);
}

TEST_CASE("a range without room for a key is refused") {
  for (const KeyRange& bad : {range("b", "a"), range("a", "a")}) {
    const auto result = normalize_ranges({bad});
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::invalid_argument);
    CHECK(result.status().key() == ByteView(bad.start));
    CHECK(result.status().to_string().find("start of a key range must be below its end") !=
          std::string::npos);
  }
}

TEST_CASE("overlapping ranges of one column family are refused, of two they are not") {
  CHECK_FALSE(normalize_ranges({range("a", "c"), range("b", "d")}).ok());
  CHECK_FALSE(normalize_ranges({range("a", ""), range("b", "d")}).ok());
  CHECK(normalize_ranges({range("a", "c"), range("b", "d", "other")}).ok());
}

TEST_CASE("sub-ranges without a pair are joined to a neighbour") {
  CutSnapshot snapshot;
  snapshot.pairs = {{"f", ""}, {"g", ""}, {"r", ""}};
  snapshot.cuts = {"b", "e", "k", "n", "t", "y"};
  const auto plan = make_plan(snapshot, {});
  REQUIRE(plan.ok());
  CHECK(plan.value().sub_ranges == std::vector<KeyRange>{range("", "n"), range("n", "")});
}

TEST_CASE("a split of nothing but empty sub-ranges is one sub-range") {
  CutSnapshot snapshot;
  snapshot.cuts = {"b", "e"};
  const auto plan = make_plan(snapshot, {});
  REQUIRE(plan.ok());
  CHECK(plan.value().sub_ranges == std::vector<KeyRange>{range("", "")});
}

TEST_CASE("a split that leaves a gap or turns back is an error, not a backup with a hole") {
  CutSnapshot snapshot;
  for (const auto& cuts : {std::vector<std::string>{"e", "b"}, std::vector<std::string>{"b", "b"},
                           std::vector<std::string>{""}}) {
    snapshot.cuts = cuts;
    const auto plan = make_plan(snapshot, {});
    REQUIRE_FALSE(plan.ok());
    CHECK(plan.status().code() == StatusCode::internal);
  }
}
