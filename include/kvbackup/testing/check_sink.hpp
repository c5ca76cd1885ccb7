// SPDX-License-Identifier: Apache-2.0
// The conformance kit for Sink.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/violation.hpp>

namespace kvbackup::inline v1::testing {

namespace sink_law {
// The laws, as they stand in Violation::law.
inline constexpr const char* keeps = "what was put and finished is there";
inline constexpr const char* copies = "put keeps no view of the bytes it was given";
inline constexpr const char* moved = "a moved sink carries its pairs on";
inline constexpr const char* ended = "a sink that has ended refuses to go on";
inline constexpr const char* sticky = "after a failed put every call fails the same way";
inline constexpr const char* abandoned = "an abandoned sink leaves nothing";
inline constexpr const char* destroyed = "a sink destroyed before finish leaves nothing";
}  // namespace sink_law

/// What check_sink puts.
struct SinkCheckOptions {
  /// In rising order of keys; the default has bytes of every kind.
  std::vector<std::pair<std::string, std::string>> pairs = {{std::string(1, '\0'), "zero byte"},
                                                            {"a\tb\nc", "tab, newline"},
                                                            {"empty value", ""},
                                                            {"k", std::string(100'000, 'v')},
                                                            {"k\xff", "\r\n"},
                                                            {"\xff\xff", std::string("\0\xff", 2)}};
  /// False for a sink that cannot take back what was put, such as a callable.
  bool undoes = true;
};

namespace detail {

template <class Make, class Read, Sink S>
class SinkCheck {
 public:
  using PairList = std::vector<std::pair<std::string, std::string>>;

  SinkCheck(Make& make, Read& read, const SinkCheckOptions& options)
      : make_(make), read_(read), options_(options) {}

  Violations run() {
    check_keeps();
    check_copies();
    check_moved();
    check_ended();
    check_sticky();
    if (options_.undoes) check_undone();
    return std::move(found_);
  }

 private:
  void expect(bool kept, const char* law, std::string detail) {
    if (!kept) add_violation(found_, law, std::move(detail));
  }
  void succeeds(const Status& status, const char* law, const char* what) {
    expect(status.ok(), law, std::string(what) + " failed: " + status.to_string());
  }
  void put_all(S& sink, const char* law) {
    for (const auto& [key, value] : options_.pairs) succeeds(sink.put(key, value), law, "put");
  }
  void holds(const PairList& want, const char* law, const std::string& when) {
    const PairList got = read_();
    if (got == want) return;
    expect(false, law,
           when + " there are " + std::to_string(got.size()) + " pairs, not the " +
               std::to_string(want.size()) + " that were put");
  }

  void check_keeps() {
    {
      S sink = make_();
      put_all(sink, sink_law::keeps);
      succeeds(sink.finish(), sink_law::keeps, "finish");
      holds(options_.pairs, sink_law::keeps, "after finish");
    }
    holds(options_.pairs, sink_law::keeps, "after finish and destruction");
    S empty = make_();
    succeeds(empty.finish(), sink_law::keeps, "finish without a pair");
    holds({}, sink_law::keeps, "without a pair");
  }
  void check_copies() {
    std::string buffer;  // one place for all pairs, so that a view of an older one shows the newer
    for (const auto& [key, value] : options_.pairs) {
      buffer.resize(std::max(buffer.size(), key.size() + value.size()));
    }
    S sink = make_();
    for (const auto& [key, value] : options_.pairs) {
      buffer.replace(0, key.size(), key);
      buffer.replace(key.size(), value.size(), value);
      const ByteView bytes = buffer;
      succeeds(sink.put(bytes.substr(0, key.size()), bytes.substr(key.size(), value.size())),
               sink_law::copies, "put");
      buffer.assign(buffer.size(), '?');
    }
    succeeds(sink.finish(), sink_law::copies, "finish");
    holds(options_.pairs, sink_law::copies, "with the caller's bytes overwritten");
  }
  void check_moved() {
    S sink = make_();
    for (const auto& [key, value] : options_.pairs) {
      S other(std::move(sink));
      succeeds(other.put(key, value), sink_law::moved, "put after a move");
      sink = std::move(other);
    }
    succeeds(sink.finish(), sink_law::moved, "finish after a move");
    holds(options_.pairs, sink_law::moved, "after moves");
  }
  void check_ended() {
    const std::string above(64, '\xff');
    S finished = make_();
    put_all(finished, sink_law::ended);
    succeeds(finished.finish(), sink_law::ended, "finish");
    expect(!finished.put(above, "v").ok(), sink_law::ended, "put after finish is ok");
    expect(!finished.finish().ok(), sink_law::ended, "finish after finish is ok");
    finished.abandon();
    holds(options_.pairs, sink_law::ended, "after finish and abandon");
    S abandoned = make_();
    abandoned.abandon();
    expect(!abandoned.put(above, "v").ok(), sink_law::ended, "put after abandon is ok");
    expect(!abandoned.finish().ok(), sink_law::ended, "finish after abandon is ok");
  }
  /// A sink may refuse a key that does not rise; if it does, that is final.
  void check_sticky() {
    if (options_.pairs.size() < 2) return;
    S sink = make_();
    const auto& [low, low_value] = options_.pairs[0];
    const auto& [high, high_value] = options_.pairs[1];
    succeeds(sink.put(high, high_value), sink_law::sticky, "put");
    const Status refused = sink.put(low, low_value);
    if (refused.ok()) return;
    const std::string above(64, '\xff');
    for (const Status& later : {sink.put(above, "v"), sink.finish()}) {
      expect(later.code() == refused.code(), sink_law::sticky,
             "after " + refused.to_string() + " came " + later.to_string());
    }
  }
  void check_undone() {
    {
      S sink = make_();
      put_all(sink, sink_law::abandoned);
      sink.abandon();
      holds({}, sink_law::abandoned, "after abandon");
    }
    {
      S sink = make_();
      put_all(sink, sink_law::destroyed);
    }
    holds({}, sink_law::destroyed, "after destruction");
  }

  Make& make_;
  Read& read_;
  const SinkCheckOptions& options_;
  Violations found_;
};

}  // namespace detail

/// The laws of Sink that the sinks of `make` break. `make()` gives a new sink onto an empty
/// destination each time; `read()` gives the pairs that the destination of the last one holds, in
/// order, as a vector of pairs of std::string; it is called while the sink may still live.
template <class Make, class Read>
requires Sink<std::invoke_result_t<Make&>>
[[nodiscard]] Violations check_sink(Make make, Read read, const SinkCheckOptions& options = {}) {
  return detail::SinkCheck<Make, Read, std::invoke_result_t<Make&>>(make, read, options).run();
}

}  // namespace kvbackup::inline v1::testing
