// SPDX-License-Identifier: Apache-2.0
// Random histories of transactions, and what a backup of them is, told by replaying the history and
// without a look at what the store has left of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/mvcc_store.hpp"

namespace test_support {

/// What a backup gives of one key.
struct MvccVersion {
  std::string key;
  std::uint64_t commit_ts = 0;
  std::optional<std::string> value;  ///< nothing where the key was removed

  friend bool operator==(const MvccVersion&, const MvccVersion&) = default;
};

/// A history, and the store after it, from which the garbage collector has taken what it may.
class MvccModel {
 public:
  explicit MvccModel(std::uint64_t seed) : random_(seed) {
    const std::size_t transactions = number(1, 60);
    for (std::size_t i = 0; i < transactions; ++i) run_transaction();
    for (std::size_t i = number(0, 3); i > 0; --i) leave_lock();
    safe_point = number(0, now_);
    for (auto& [key, versions] : history_) collect(key, versions);
  }

  MvccStore store;
  std::uint64_t safe_point = 0;

  [[nodiscard]] std::uint64_t number(std::uint64_t least, std::uint64_t most) {
    return least + random_() % (most - least + 1);
  }
  [[nodiscard]] std::uint64_t now() const { return now_; }
  [[nodiscard]] std::string key() {
    static const std::vector<std::string> keys{"",          std::string(1, '\0'),
                                               "a",         std::string("a\0", 2),
                                               "a\xff",     "aaaaaaaa",
                                               "aaaaaaaab", std::string(8, '\xff'),
                                               "t\x80row",  "z",
                                               "zz",        std::string(17, 'k')};
    return keys[number(0, keys.size() - 1)];
  }

  /// What a backup of (start, end] gives of the keys of a range.
  [[nodiscard]] std::vector<MvccVersion> expected(std::uint64_t start, std::uint64_t end,
                                                  const kvbackup::KeyRange& range) const {
    std::vector<MvccVersion> out;
    for (const auto& [key, versions] : history_) {
      if (!range.contains(key)) continue;
      // the map is the order of the commits, so this is the state at `end`
      const auto after = versions.upper_bound(end);
      if (after == versions.begin()) continue;
      const auto& [commit_ts, version] = *std::prev(after);
      if (commit_ts <= start || (start == 0 && !version.value)) continue;
      out.push_back({key, commit_ts, version.value});
    }
    return out;
  }
  /// The first key of the range whose lock leaves open what a reader at `end` sees.
  [[nodiscard]] std::optional<std::string> expected_lock(std::uint64_t end,
                                                         const kvbackup::KeyRange& range) const {
    for (const auto& [key, lock] : locks_) {
      const bool changes_data =
          lock.type == kvbackup::MvccLockType::put || lock.type == kvbackup::MvccLockType::remove;
      const std::uint64_t earliest_commit = std::max(lock.ts, lock.min_commit_ts);
      if (range.contains(key) && changes_data && earliest_commit <= end) return key;
    }
    return std::nullopt;
  }

 private:
  struct Version {
    std::uint64_t start_ts = 0;
    std::optional<std::string> value;
    std::optional<std::uint64_t> gc_fence;
  };
  using Versions = std::map<std::uint64_t, Version>;  // Put and Delete, by commit_ts

  void run_transaction() {
    const std::string at = key();
    const std::uint64_t start_ts = now_ += number(1, 3);
    const std::uint64_t commit_ts = now_ += number(1, 3);
    switch (number(0, 9)) {
      case 0: store.mark(at, start_ts, commit_ts, kvbackup::MvccWriteType::lock); break;
      case 1: store.mark(at, start_ts, start_ts, kvbackup::MvccWriteType::rollback); break;
      case 2: overlap_rollback(at); break;
      case 3:
      case 4:
        store.mark(at, start_ts, commit_ts, kvbackup::MvccWriteType::remove);
        history_[at][commit_ts] = {start_ts, std::nullopt, {}};
        break;
      default: {
        static constexpr std::size_t sizes[] = {0, 1, 40, 255, 256, 700};
        std::string value(sizes[number(0, 5)], 'v');
        if (!value.empty()) value[0] = static_cast<char>(number(0, 255));
        store.put(at, start_ts, commit_ts, value);
        history_[at][commit_ts] = {start_ts, std::move(value), {}};
      }
    }
  }
  // A transaction that began when another committed is rolled back: its record would stand where
  // the other's is. What the collector may do to the next version is kept in mind by the fence.
  void overlap_rollback(const std::string& at) {
    Versions& versions = history_[at];
    if (versions.empty()) return;
    auto victim = std::next(versions.begin(), static_cast<long>(number(0, versions.size() - 1)));
    if (!victim->second.value) return;
    const auto newer = std::next(victim);
    const std::uint64_t fence = newer == versions.end() ? 0 : newer->first;
    victim->second.gc_fence = fence;
    store.put(at, victim->second.start_ts, victim->first, *victim->second.value, fence);
  }
  void leave_lock() {
    static constexpr kvbackup::MvccLockType types[] = {
        kvbackup::MvccLockType::put, kvbackup::MvccLockType::remove, kvbackup::MvccLockType::lock,
        kvbackup::MvccLockType::pessimistic};
    kvbackup::MvccLock lock;
    lock.type = types[number(0, 3)];
    lock.primary = key();
    lock.ts = number(now_ / 2, now_ + 5);
    if (number(0, 1) == 0) lock.min_commit_ts = lock.ts + number(0, 9);
    const std::string at = key();
    locks_[at] = lock;
    store.lock(at, lock);
  }

  // Versions at and before the safe point that are not the newest such: each may be gone or not.
  // Where that newest one is a Delete, it may be gone too, whatever is left behind a fence.
  void collect(const std::string& at, const Versions& versions) {
    const auto after = versions.upper_bound(safe_point);
    if (after == versions.begin()) return;
    const auto newest = std::prev(after);
    bool is_all_gone = true;
    for (auto version = versions.begin(); version != newest; ++version) {
      const bool is_fenced = version->second.gc_fence.value_or(0) != 0;
      if (!is_fenced && number(0, 1) == 0) {
        erase(at, version->first, version->second);
      } else {
        is_all_gone = is_all_gone && is_fenced;
      }
    }
    if (!newest->second.value && is_all_gone) erase(at, newest->first, newest->second);
  }
  void erase(const std::string& at, std::uint64_t commit_ts, const Version& version) {
    store.families["write"].erase(store.prefix + kvbackup::mvcc_key(at, commit_ts));
    store.families["default"].erase(store.prefix + kvbackup::mvcc_key(at, version.start_ts));
  }

  std::mt19937_64 random_;
  std::uint64_t now_ = 0;
  std::map<std::string, Versions> history_;
  std::map<std::string, kvbackup::MvccLock> locks_;
};

}  // namespace test_support
