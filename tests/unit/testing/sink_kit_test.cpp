// SPDX-License-Identifier: Apache-2.0
// The kit for sinks is worth what it catches: each law has a model here that breaks it.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_sink.hpp>

#include "support/catch.hpp"

namespace sink_kit_test {

using namespace kvbackup;
namespace law = kvbackup::testing::sink_law;

namespace {

enum class Flaw {
  none,
  loses_the_last,
  keeps_views,
  loses_pairs_when_moved,
  goes_on_after_finish,
  goes_on_after_abandon,
  forgets_the_failure,
  keeps_abandoned,
  keeps_destroyed,
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Gathers pairs and shows them at finish().
class FlawedSink {
 public:
  FlawedSink(Flaw flaw, Pairs& shown) : flaw_(flaw), shown_(&shown) { shown.clear(); }
  FlawedSink(FlawedSink&& other) noexcept { *this = std::move(other); }
  FlawedSink& operator=(FlawedSink&& other) noexcept {
    flaw_ = other.flaw_;
    shown_ = std::exchange(other.shown_, nullptr);
    pairs_ = std::move(other.pairs_);
    views_ = std::move(other.views_);
    if (flaw_ == Flaw::loses_pairs_when_moved) pairs_.clear();
    status_ = other.status_;
    return *this;
  }
  ~FlawedSink() {
    if (shown_ != nullptr && flaw_ == Flaw::keeps_destroyed && status_.ok()) *shown_ = pairs_;
  }

  Status put(ByteView key, ByteView value) {
    if (!status_.ok()) return status_;
    if (!pairs_.empty() && key <= ByteView(pairs_.back().first)) {
      const Status refused = Status::error(StatusCode::out_of_order, "not above");
      if (flaw_ != Flaw::forgets_the_failure) status_ = refused;
      return refused;
    }
    pairs_.emplace_back(key, value);
    if (flaw_ == Flaw::keeps_views) views_.push_back(value);
    return {};
  }
  Status finish() {
    if (!status_.ok()) return status_;
    if (flaw_ == Flaw::loses_the_last && !pairs_.empty()) pairs_.pop_back();
    for (std::size_t i = 0; i < views_.size(); ++i) pairs_[i].second = views_[i];
    *shown_ = pairs_;
    if (flaw_ != Flaw::goes_on_after_finish) end();
    return {};
  }
  void abandon() {
    if (flaw_ == Flaw::keeps_abandoned && status_.ok()) *shown_ = pairs_;
    if (flaw_ != Flaw::goes_on_after_abandon) end();
  }

 private:
  void end() {
    if (status_.ok()) status_ = Status::error(StatusCode::invalid_argument, "it has ended");
  }

  Flaw flaw_ = Flaw::none;
  Pairs* shown_ = nullptr;
  Pairs pairs_;
  std::vector<ByteView> views_;
  Status status_;
};

testing::Violations violations_of(Flaw flaw) {
  Pairs shown;
  return testing::check_sink([&] { return FlawedSink(flaw, shown); }, [&] { return shown; });
}

}  // namespace

TEST_CASE("the kit has no complaint about a sink that keeps the contract") {
  CHECK(testing::to_string(violations_of(Flaw::none)) == "");
}

TEST_CASE("the kit catches a sink that breaks a law") {
  struct Case {
    Flaw flaw;
    const char* law;
  };
  const auto c = GENERATE(values<Case>({
      {Flaw::loses_the_last, law::keeps},
      {Flaw::keeps_views, law::copies},
      {Flaw::loses_pairs_when_moved, law::moved},
      {Flaw::goes_on_after_finish, law::ended},
      {Flaw::goes_on_after_abandon, law::ended},
      {Flaw::forgets_the_failure, law::sticky},
      {Flaw::keeps_abandoned, law::abandoned},
      {Flaw::keeps_destroyed, law::destroyed},
  }));
  const auto violations = violations_of(c.flaw);
  INFO(c.law << "\n" << testing::to_string(violations));
  CHECK(std::any_of(violations.begin(), violations.end(),
                    [&](const testing::Violation& v) { return v.law == std::string(c.law); }));
}

TEST_CASE("a sink that cannot undo is held to the other laws") {
  Pairs seen;
  testing::SinkCheckOptions options;
  options.undoes = false;
  const auto violations = testing::check_sink(
      [&] {
        seen.clear();
        return CallableSink([&](ByteView key, ByteView value) { seen.emplace_back(key, value); });
      },
      [&] { return seen; }, options);
  CHECK(testing::to_string(violations) == "");
}

}  // namespace sink_kit_test
