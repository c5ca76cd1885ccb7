// SPDX-License-Identifier: Apache-2.0
// The kits for sources and snapshots are worth what they catch: each law has a model here that
// breaks it.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_source.hpp>

#include "support/catch.hpp"

namespace source_kit_test {

using namespace kvbackup;
namespace source_law = kvbackup::testing::source_law;
namespace snapshot_law = kvbackup::testing::snapshot_law;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

enum class Flaw {
  none,
  // sources
  signed_order,
  same_key_twice,
  forgets_between_passes,
  reused_buffer,
  error_at_the_end,
  restarts_when_moved,
  seeks_past_equal,
  seeks_forward_only,
  // snapshots
  takes_end_too,
  misses_start,
  one_scan_only,
  shares_a_position,
  gives_any_cf,
  part_ranges,
  same_cf_twice,
  split_with_a_gap,
  split_with_an_overlap,
  split_loses_the_end,
  split_counts_calls,
};

Pairs store() {
  Pairs pairs;
  for (int i = 100; i < 160; ++i) pairs.emplace_back(std::to_string(i), "v");
  pairs.emplace_back("200\x7f", "high");
  pairs.emplace_back("200\x80", "");
  return pairs;
}

class FlawedSource {
 public:
  FlawedSource(Flaw flaw, Pairs pairs) : flaw_(flaw), pairs_(std::move(pairs)) {}
  FlawedSource(FlawedSource&& other) noexcept { *this = std::move(other); }
  FlawedSource& operator=(FlawedSource&& other) noexcept {
    flaw_ = other.flaw_;
    pairs_ = std::move(other.pairs_);
    at_ = flaw_ == Flaw::restarts_when_moved ? 0 : other.at_;
    other.at_ = 0;
    return *this;
  }

  bool valid() const { return at_ < pairs_.size(); }
  ByteView key() const { return pairs_[at_].first; }
  ByteView value() const {
    if (flaw_ != Flaw::reused_buffer) return pairs_[at_].second;
    buffer_ += 'x';
    return buffer_;
  }
  void next() { ++at_; }
  void seek(ByteView key) {
    const auto below = [&](const auto& pair) {
      return flaw_ == Flaw::seeks_past_equal ? ByteView(pair.first) <= key
                                             : ByteView(pair.first) < key;
    };
    const auto from =
        flaw_ == Flaw::seeks_forward_only
            ? pairs_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, pairs_.size()))
            : pairs_.begin();
    at_ = static_cast<std::size_t>(std::find_if_not(from, pairs_.end(), below) - pairs_.begin());
  }
  Status status() const {
    if (flaw_ != Flaw::error_at_the_end) return {};
    return Status::error(StatusCode::io_error, "the disk is gone");
  }

 private:
  Flaw flaw_ = Flaw::none;
  Pairs pairs_;
  std::size_t at_ = 0;
  mutable std::string buffer_;
};

testing::Violations violations_of_source(Flaw flaw) {
  int pass = 0;
  return testing::check_source([&] {
    Pairs pairs = store();
    ++pass;
    if (flaw == Flaw::signed_order) std::swap(pairs[pairs.size() - 1], pairs[pairs.size() - 2]);
    if (flaw == Flaw::same_key_twice) pairs.insert(pairs.begin() + 7, pairs[7]);
    if (flaw == Flaw::forgets_between_passes && pass > 1) pairs.pop_back();
    return FlawedSource(flaw, std::move(pairs));
  });
}

class FlawedSnapshot {
 public:
  explicit FlawedSnapshot(Flaw flaw) : flaw_(flaw), pairs_(store()) {}

  /// A scan whose position is its own, or shared with all others where that is the flaw.
  class Scan {
   public:
    Scan(Pairs pairs, std::shared_ptr<std::size_t> at, std::shared_ptr<std::atomic<int>> open)
        : pairs_(std::move(pairs)), at_(std::move(at)), open_(std::move(open)) {}
    Scan(Scan&&) = default;
    Scan& operator=(Scan&&) = default;
    ~Scan() {
      if (open_) --*open_;
    }
    bool valid() const { return *at_ < pairs_.size(); }
    ByteView key() const { return pairs_[*at_].first; }
    ByteView value() const { return pairs_[*at_].second; }
    void next() { ++*at_; }
    Status status() const { return {}; }

   private:
    Pairs pairs_;
    std::shared_ptr<std::size_t> at_;
    std::shared_ptr<std::atomic<int>> open_;
  };

  Result<Scan> scan(const KeyRange& range) const {
    if (range.cf != default_cf && flaw_ != Flaw::gives_any_cf) {
      return Status::error(StatusCode::not_found, "no such column family");
    }
    if (++*open_ > 1 && flaw_ == Flaw::one_scan_only) {
      --*open_;
      return Status::error(StatusCode::resource_exhausted, "one at a time");
    }
    Pairs pairs;
    for (const auto& pair : pairs_) {
      const bool at_start = !range.start.empty() && pair.first == range.start;
      const bool at_end = !range.end.empty() && pair.first == range.end;
      bool inside = range.contains(pair.first);
      if (flaw_ == Flaw::takes_end_too) inside = inside || at_end;
      if (flaw_ == Flaw::misses_start) inside = inside && !at_start;
      if (inside) pairs.push_back(pair);
    }
    if (flaw_ != Flaw::shares_a_position) {
      return Scan(std::move(pairs), std::make_shared<std::size_t>(0), open_);
    }
    *shared_at_ = 0;
    return Scan(std::move(pairs), shared_at_, open_);
  }
  Result<std::vector<KeyRange>> ranges() const {
    std::vector<KeyRange> ranges{KeyRange{}};
    if (flaw_ == Flaw::part_ranges) ranges[0].end = "150";
    if (flaw_ == Flaw::same_cf_twice) ranges.push_back(KeyRange{});
    return ranges;
  }
  Result<std::vector<KeyRange>> split(const KeyRange& range, std::uint64_t target) const {
    std::vector<KeyRange> parts = RangeSnapshot(pairs_).split(range, target).value();
    ++splits_;
    if (parts.size() < 2) return parts;
    if (flaw_ == Flaw::split_with_a_gap) parts[1].start += '\0';
    if (flaw_ == Flaw::split_with_an_overlap) parts[0].end += '\0';
    if (flaw_ == Flaw::split_loses_the_end) parts.pop_back();
    if (flaw_ == Flaw::split_counts_calls && splits_ % 2 == 0) {
      parts[0].end = parts[1].end;
      parts.erase(parts.begin() + 1);
    }
    return parts;
  }

 private:
  Flaw flaw_;
  Pairs pairs_;
  std::shared_ptr<std::atomic<int>> open_ = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::size_t> shared_at_ = std::make_shared<std::size_t>(0);
  mutable int splits_ = 0;
};

bool reports(const testing::Violations& violations, std::string_view broken) {
  return std::any_of(violations.begin(), violations.end(),
                     [&](const testing::Violation& v) { return v.law == broken; });
}

struct Case {
  Flaw flaw;
  const char* law;
};

}  // namespace

TEST_CASE("the kit has no complaint about a source and a snapshot that keep their contracts") {
  CHECK(testing::to_string(violations_of_source(Flaw::none)) == "");
  CHECK(testing::to_string(testing::check_snapshot(FlawedSnapshot(Flaw::none))) == "");
}

TEST_CASE("the kit catches a source that breaks a law") {
  const auto c = GENERATE(values<Case>({
      {Flaw::signed_order, source_law::rises},
      {Flaw::same_key_twice, source_law::rises},
      {Flaw::forgets_between_passes, source_law::repeats},
      {Flaw::reused_buffer, source_law::stable},
      {Flaw::error_at_the_end, source_law::ends_ok},
      {Flaw::restarts_when_moved, source_law::moved},
      {Flaw::seeks_past_equal, source_law::seeks},
      {Flaw::seeks_forward_only, source_law::seeks},
  }));
  const auto violations = violations_of_source(c.flaw);
  INFO(c.law << "\n" << testing::to_string(violations));
  CHECK(reports(violations, c.law));
}

TEST_CASE("the kit catches a snapshot that breaks a law") {
  const auto c = GENERATE(values<Case>({
      {Flaw::takes_end_too, snapshot_law::scans},
      {Flaw::misses_start, snapshot_law::scans},
      {Flaw::one_scan_only, snapshot_law::at_once},
      {Flaw::shares_a_position, snapshot_law::at_once},
      {Flaw::gives_any_cf, snapshot_law::unknown_cf},
      {Flaw::part_ranges, snapshot_law::ranges},
      {Flaw::same_cf_twice, snapshot_law::ranges},
      {Flaw::split_with_a_gap, snapshot_law::tiles},
      {Flaw::split_with_an_overlap, snapshot_law::tiles},
      {Flaw::split_loses_the_end, snapshot_law::tiles},
      {Flaw::split_counts_calls, snapshot_law::same_split},
  }));
  const auto violations = testing::check_snapshot(FlawedSnapshot(c.flaw));
  INFO(c.law << "\n" << testing::to_string(violations));
  CHECK(reports(violations, c.law));
}

TEST_CASE("the kit scans on the threads that it is given") {
  // every scan inside the executor finds that another executor runs it
  class Counting final : public Executor {
   public:
    void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
      runs += count;
      inside = true;
      for (std::size_t i = 0; i < count; ++i) task(i);
      inside = false;
    }
    std::size_t runs = 0;
    bool inside = false;
  } executor;
  struct FailsOnThreads {
    const Counting& executor;
    RangeSnapshot<Pairs> inner{store()};
    auto scan(const KeyRange& range) const -> decltype(inner.scan(range)) {
      if (executor.inside) return Status::error(StatusCode::unavailable, "not on this thread");
      return inner.scan(range);
    }
  };
  const auto violations = testing::check_snapshot(FailsOnThreads{executor}, executor, 3);
  CHECK(executor.runs == 3);
  CHECK(reports(violations, snapshot_law::threads));
}

}  // namespace source_kit_test
