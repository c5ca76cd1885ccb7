// SPDX-License-Identifier: Apache-2.0
// The conformance kit for SortedSource and Snapshot: run it over a store's source before a backup
// trusts it. It reads the store several times and keeps its pairs in memory, so give it a store of
// tens to thousands of pairs; with fewer than three it sees little.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/violation.hpp>

namespace kvbackup::inline v1::testing {

namespace source_law {
// The laws, as they stand in Violation::law.
inline constexpr const char* rises = "keys strictly rise as unsigned bytes";
inline constexpr const char* repeats = "two passes over one store give the same pairs";
inline constexpr const char* stable = "key and value stay until next";
inline constexpr const char* ends_ok = "status is ok at the end of a whole pass";
inline constexpr const char* moved = "a moved source goes on where it was";
inline constexpr const char* seeks = "seek goes to the first pair whose key is not below";
}  // namespace source_law

namespace snapshot_law {
inline constexpr const char* scans = "scan gives the pairs of its range and no others";
inline constexpr const char* at_once = "scans that are open at once do not disturb one another";
inline constexpr const char* threads = "scans on several threads give what one gives";
inline constexpr const char* unknown_cf = "a column family that is not there has no pairs";
inline constexpr const char* ranges = "ranges gives whole ranges that can be scanned";
inline constexpr const char* tiles = "split gives sub-ranges in key order that tile their range";
inline constexpr const char* same_split = "split depends on the data and the target only";
}  // namespace snapshot_law

namespace detail {

using PairList = std::vector<std::pair<std::string, std::string>>;

template <class... Parts>
[[nodiscard]] std::string joined(const Parts&... parts) {
  std::string out;
  (out.append(std::string_view(parts)), ...);
  return out;
}

class SourceKitBase {
 protected:
  void expect(bool kept, const char* law, std::string detail) {
    if (!kept) add_violation(found_, law, std::move(detail));
  }

  /// The rest of a source, whose status must then be ok. Stops behind a key that does not rise: a
  /// source that turns in a circle has no end.
  template <class S>
  PairList rest_of(S& source, const std::string& what) {
    PairList pairs;
    for (; source.valid(); source.next()) {
      pairs.emplace_back(std::string(ByteView(source.key())), ByteView(source.value()));
      if (pairs.size() > 1 && pairs[pairs.size() - 2].first >= pairs.back().first) return pairs;
    }
    const Status status = source.status();
    expect(status.ok(), source_law::ends_ok, joined(what, " ended with ", status.to_string()));
    return pairs;
  }
  static std::string first_difference(const PairList& a, const PairList& b) {
    const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    const auto shown = [](const PairList& list, PairList::const_iterator at) {
      return at == list.end() ? std::string("nothing") : joined("key ", to_hex(at->first));
    };
    return joined("at pair ", std::to_string(x - a.begin()), " one has ", shown(a, x),
                  ", the other ", shown(b, y));
  }
  void same(const PairList& a, const PairList& b, const char* law, const std::string& what) {
    if (a != b) expect(false, law, joined(what, ": ", first_difference(a, b)));
  }
  void check_rises(const PairList& pairs, const std::string& what) {
    for (std::size_t i = 1; i < pairs.size(); ++i) {
      if (ByteView(pairs[i - 1].first) < ByteView(pairs[i].first)) continue;
      return expect(
          false, source_law::rises,
          joined(what, ": key ", to_hex(pairs[i].first), " follows ", to_hex(pairs[i - 1].first)));
    }
  }
  /// The pairs of `all` in [start, end).
  static PairList between(const PairList& all, ByteView start, ByteView end) {
    PairList out;
    for (const auto& pair : all) {
      if (ByteView(pair.first) >= start && (end.empty() || ByteView(pair.first) < end)) {
        out.push_back(pair);
      }
    }
    return out;
  }

  Violations found_;
};

template <class Make, SortedSource S>
class SourceCheck : SourceKitBase {
 public:
  explicit SourceCheck(Make& make) : make_(make) {}

  Violations run() {
    const PairList all = pass("a pass");
    check_rises(all, "a pass");
    same(all, pass("a second pass"), source_law::repeats, "a second pass differs");
    if (!found_.empty()) return std::move(found_);
    check_stable();
    check_moved(all);
    if constexpr (SeekableSource<S>) check_seeks(all);
    return std::move(found_);
  }

 private:
  PairList pass(const std::string& what) {
    S source = make_();
    return rest_of(source, what);
  }
  void check_stable() {
    S source = make_();
    for (; source.valid(); source.next()) {
      const ByteView key = source.key();
      const ByteView value = source.value();
      const std::string key_before(key);
      const std::string value_before(value);
      const bool again = ByteView(source.key()) == ByteView(key_before) &&
                         ByteView(source.value()) == ByteView(value_before) && source.valid();
      if (again && key == ByteView(key_before) && value == ByteView(value_before)) continue;
      return expect(
          false, source_law::stable,
          joined("asked twice, the pair of key ", to_hex(key_before), " is not the same"));
    }
  }
  void check_moved(const PairList& all) {
    PairList seen;
    S source = make_();
    while (source.valid() && seen.size() <= all.size()) {
      S moved(std::move(source));
      if (!moved.valid()) break;
      seen.emplace_back(std::string(ByteView(moved.key())), ByteView(moved.value()));
      moved.next();
      source = std::move(moved);
    }
    same(all, seen, source_law::moved, "a pass that moves the source at every pair differs");
    source = make_();
    if (source.valid()) source.next();
    source = make_();
    same(all, rest_of(source, "a source that took another's place"), source_law::moved,
         "a source that took another's place differs");
  }
  void check_seeks(const PairList& all) {
    std::vector<std::string> targets{std::string(), std::string(1, '\0'), std::string(300, '\xff')};
    for (std::size_t i = 0; i < all.size(); i += all.size() / 50 + 1) {
      targets.push_back(all[i].first);
      targets.push_back(all[i].first + '\0');
      if (!all[i].first.empty()) targets.push_back(all[i].first.substr(0, all[i].first.size() - 1));
    }
    // forth and back
    S source = make_();
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const std::string& target = targets[i % 2 == 0 ? i : targets.size() - 1 - i];
      source.seek(target);
      const auto want = std::find_if(all.begin(), all.end(), [&target](const auto& pair) {
        return ByteView(pair.first) >= ByteView(target);
      });
      const bool right = want == all.end()
                             ? !source.valid() && source.status().ok()
                             : source.valid() && ByteView(source.key()) == want->first &&
                                   ByteView(source.value()) == want->second;
      if (right) continue;
      return expect(false, source_law::seeks,
                    joined("seek to ", to_hex(target), " gave ",
                           source.valid() ? to_hex(source.key()) : std::string("the end")));
    }
    source.seek({});
    same(all, rest_of(source, "the rest after a seek"), source_law::seeks,
         "a pass after a seek to the front differs");
  }

  Make& make_;
};

template <Snapshot S>
class SnapshotCheck : SourceKitBase {
 public:
  SnapshotCheck(const S& snapshot, Executor& executor, std::size_t at_once)
      : snapshot_(snapshot), executor_(executor), at_once_(at_once) {}

  Violations run() {
    std::vector<std::string> cfs{std::string(default_cf)};
    if constexpr (EnumerableSnapshot<S>) {
      cfs.clear();
      const Result<std::vector<KeyRange>> ranges = snapshot_.ranges();
      expect(ranges.ok(), snapshot_law::ranges, joined("it failed: ", ranges.status().to_string()));
      if (!ranges.ok()) return std::move(found_);
      for (const KeyRange& range : ranges.value()) {
        const bool twice = std::find(cfs.begin(), cfs.end(), range.cf) != cfs.end();
        expect(range.start.empty() && range.end.empty() && !twice, snapshot_law::ranges,
               joined("the range of ", range.cf, " is not whole, or is there twice"));
        cfs.push_back(range.cf);
      }
    }
    for (const std::string& cf : cfs) check_cf(cf);
    const KeyRange nowhere{"kvbackup no such column family", "", ""};
    const std::optional<PairList> none = scan(nowhere, nullptr);
    expect(!none || none->empty(), snapshot_law::unknown_cf, "a scan of one gave pairs");
    return std::move(found_);
  }

 private:
  /// The pairs of a range. Nothing if it cannot be scanned, which breaks `law` if there is one.
  std::optional<PairList> scan(const KeyRange& range, const char* law) {
    auto source = snapshot_.scan(range);
    if (source.ok()) return rest_of(source.value(), "a scan");
    if (law != nullptr) {
      expect(false, law, joined("scan of ", range.cf, " failed: ", source.status().to_string()));
    }
    return std::nullopt;
  }

  void check_cf(const std::string& cf) {
    const KeyRange whole{cf, "", ""};
    const std::optional<PairList> all = scan(whole, snapshot_law::ranges);
    if (!all) return;
    check_rises(*all, "a scan");
    if (const auto again = scan(whole, source_law::repeats)) {
      same(*all, *again, source_law::repeats, "a second scan differs");
    }
    check_bounds(cf, *all);
    check_at_once(cf, *all);
    check_threads(cf, *all);
    if constexpr (SplittableSnapshot<S>) check_split(cf, *all);
  }

  void check_bounds(const std::string& cf, const PairList& all) {
    std::vector<std::string> bounds{std::string()};
    for (const std::size_t at : {std::size_t{0}, all.size() / 3, all.size() / 2, all.size() - 1}) {
      if (at >= all.size()) continue;
      bounds.push_back(all[at].first);
      bounds.push_back(all[at].first + '\0');
    }
    bounds.push_back(std::string(300, '\xff'));
    for (const std::string& start : bounds) {
      for (const std::string& end : bounds) {
        const std::optional<PairList> got = scan({cf, start, end}, snapshot_law::scans);
        if (!got) return;
        const PairList want = between(all, start, end);
        if (*got == want) continue;
        return same(want, *got, snapshot_law::scans,
                    joined("of [", to_hex(start), ", ", to_hex(end), ")"));
      }
    }
  }
  /// Reads several scans in turn, one pair each.
  void check_at_once(const std::string& cf, const PairList& all) {
    using Source = typename decltype(snapshot_.scan(KeyRange{}))::value_type;
    std::vector<Source> sources;
    std::vector<PairList> seen(at_once_);
    for (std::size_t i = 0; i < at_once_; ++i) {
      auto source = snapshot_.scan({cf, "", ""});
      if (!source.ok()) {
        return expect(
            false, snapshot_law::at_once,
            joined("scan ", std::to_string(i + 1), " failed: ", source.status().to_string()));
      }
      sources.push_back(std::move(source).value());
    }
    for (bool any = true; any;) {
      any = false;
      for (std::size_t i = 0; i < sources.size(); ++i) {
        if (!sources[i].valid()) continue;
        any = true;
        seen[i].emplace_back(std::string(ByteView(sources[i].key())), ByteView(sources[i].value()));
        sources[i].next();
      }
    }
    for (const PairList& pairs : seen) {
      same(all, pairs, snapshot_law::at_once, "scans read in turn differ");
    }
  }
  void check_threads(const std::string& cf, const PairList& all) {
    std::vector<PairList> seen(at_once_);
    std::vector<Status> statuses(at_once_);
    executor_.run(at_once_, [&](std::size_t i) {
      auto source = snapshot_.scan({cf, "", ""});
      if (!source.ok()) {
        statuses[i] = source.status();
        return;
      }
      for (auto& s = source.value(); s.valid(); s.next()) {
        seen[i].emplace_back(std::string(ByteView(s.key())), ByteView(s.value()));
      }
      statuses[i] = source.value().status();
    });
    for (std::size_t i = 0; i < at_once_; ++i) {
      expect(statuses[i].ok(), snapshot_law::threads,
             joined("one failed: ", statuses[i].to_string()));
      same(all, seen[i], snapshot_law::threads, "one differs");
    }
  }

  void check_split(const std::string& cf, const PairList& all) {
    std::uint64_t bytes = 0;
    for (const auto& [key, value] : all) bytes += key.size() + value.size();
    const std::string middle = all.empty() ? std::string("m") : all[all.size() / 2].first;
    const std::string last = all.empty() ? std::string("z") : all.back().first;
    for (const KeyRange& range :
         {KeyRange{cf, "", ""}, KeyRange{cf, middle, ""}, KeyRange{cf, "", middle},
          KeyRange{cf, middle, last}, KeyRange{cf, std::string(300, '\xff'), ""}}) {
      for (const std::uint64_t target : {std::uint64_t{1}, bytes / 7 + 1, bytes + 1}) {
        if (!check_one_split(range, target, all)) return;
      }
    }
  }
  bool check_one_split(const KeyRange& range, std::uint64_t target, const PairList& all) {
    const auto broken = [&](const char* law, const std::string& what) {
      expect(false, law,
             joined("of [", to_hex(range.start), ", ", to_hex(range.end), ") by ",
                    std::to_string(target), " bytes: ", what));
      return false;
    };
    const Result<std::vector<KeyRange>> parts = snapshot_.split(range, target);
    if (!parts.ok()) return broken(snapshot_law::tiles, parts.status().to_string());
    const Result<std::vector<KeyRange>> again = snapshot_.split(range, target);
    if (!again.ok() || again.value() != parts.value()) {
      return broken(snapshot_law::same_split, "a second split differs");
    }
    if (parts.value().empty()) return broken(snapshot_law::tiles, "there is none");
    std::string at = range.start;
    PairList seen;
    for (std::size_t i = 0; i < parts.value().size(); ++i) {
      const KeyRange& part = parts.value()[i];
      const bool is_last = i + 1 == parts.value().size();
      const bool fits = part.cf == range.cf && part.start == at &&
                        (is_last ? part.end == range.end : !part.end.empty() && !part.empty());
      if (!fits) {
        return broken(snapshot_law::tiles, joined("sub-range ", std::to_string(i), " is [",
                                                  to_hex(part.start), ", ", to_hex(part.end), ")"));
      }
      at = part.end;
    }
    if (parts.value().size() > 200) return true;
    for (const KeyRange& part : parts.value()) {
      const std::optional<PairList> got = scan(part, snapshot_law::tiles);
      if (!got) return false;
      seen.insert(seen.end(), got->begin(), got->end());
    }
    const PairList want = between(all, range.start, range.end);
    return seen == want || broken(snapshot_law::tiles, first_difference(want, seen));
  }

  const S& snapshot_;
  Executor& executor_;
  std::size_t at_once_;
};

}  // namespace detail

/// The laws of SortedSource, and of SeekableSource where it is one, that the sources of `make`
/// break. `make()` gives a new source over the same store, at its first pair, each time.
template <class Make>
requires SortedSource<std::invoke_result_t<Make&>>
[[nodiscard]] Violations check_source(Make make) {
  return detail::SourceCheck<Make, std::invoke_result_t<Make&>>(make).run();
}

/// The laws of Snapshot and of what it offers beside it that `snapshot` breaks. `executor` runs
/// scans at the same time (a ThreadExecutor does), `at_once` of them.
template <Snapshot S>
[[nodiscard]] Violations check_snapshot(const S& snapshot, Executor& executor,
                                        std::size_t at_once = 2) {
  return detail::SnapshotCheck<S>(snapshot, executor, at_once).run();
}
/// The same with scans one after the other only.
template <Snapshot S>
[[nodiscard]] Violations check_snapshot(const S& snapshot) {
  InlineExecutor executor;
  return check_snapshot(snapshot, executor);
}

}  // namespace kvbackup::inline v1::testing
