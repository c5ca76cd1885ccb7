// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/source/mvcc_keys.hpp"
#include "kvbackup/source/mvcc_options.hpp"
#include "kvbackup/source/mvcc_records.hpp"
#include "kvbackup/source/mvcc_source.hpp"

namespace kvbackup::inline v1 {

/// The column families of a store in TiKV's MVCC layout.
inline constexpr std::string_view mvcc_default_cf = default_cf;
inline constexpr std::string_view mvcc_write_cf = "write";
inline constexpr std::string_view mvcc_lock_cf = "lock";

/// The transactional view of a store in TiKV's MVCC layout: of each user key the version that a
/// backup of (start_version, end_version] takes. `S` is a snapshot of the store with the column
/// families default, write and lock, all of ONE state.
///
/// Ranges are of raw user keys and of column family "default", which stands for all of the store.
/// MvccLayout stores what scans give.
template <Snapshot S>
class MvccSnapshot {
  using State = detail::MvccState<S>;

 public:
  /// Takes the view of the state that `take_state()` gives, a `Result<S>`. It is called last: what
  /// the host knows of locks in memory must be older than the state.
  ///
  /// invalid_argument for versions that can give nothing; not_found for versions that may be
  /// collected, and where column families are missing; corruption where the first key is not one of
  /// TiKV's.
  template <class TakeState>
  requires requires(TakeState take_state) {
    { take_state() } -> std::same_as<Result<S>>;
  }
  [[nodiscard]] static Result<MvccSnapshot> take(const MvccOptions& options,
                                                 TakeState&& take_state) {
    if (Status status = options.validate(); !status.ok()) return status;
    std::vector<MvccLockedKey> locks;
    if (options.host != nullptr) {
      auto in_memory = options.host->memory_locks(options.end_version);
      if (!in_memory.ok()) return std::move(in_memory).status();
      locks = std::move(in_memory).value();
    }
    auto inner = take_state();
    if (!inner.ok()) return std::move(inner).status();
    auto state = std::make_shared<State>(std::move(inner).value(), options);
    if (Status status = state->watch.ask(); !status.ok()) return status;
    state->memory_locks = blocking(std::move(locks), options.end_version);
    auto prefix = find_prefix(state->inner, options.prefix);
    if (!prefix.ok()) return std::move(prefix).status();
    state->prefix = std::move(prefix).value();
    return MvccSnapshot(std::move(state));
  }
  /// The same of a state that is taken already, for a host without locks in memory.
  [[nodiscard]] static Result<MvccSnapshot> of(S inner, const MvccOptions& options) {
    return take(options, [&inner] { return Result<S>(std::move(inner)); });
  }

  /// unavailable, naming the key, where a lock stands in the way: find_lock() tells more of it.
  [[nodiscard]] Result<MvccSource<S>> scan(const KeyRange& range) const {
    auto lock = find_lock(range);
    if (!lock.ok()) return std::move(lock).status();
    if (lock.value()) return locked(*lock.value());
    auto write = state_->inner.scan(stored(mvcc_write_cf, range));
    if (!write.ok()) return std::move(write).status();
    auto large = state_->inner.scan(stored(mvcc_default_cf, range));
    if (!large.ok()) return std::move(large).status();
    return MvccSource<S>(state_, std::move(write).value(), std::move(large).value());
  }

  /// The first lock in the range that blocks a reader at end_version, stored or in memory; nothing
  /// where scan() can give the range.
  [[nodiscard]] Result<std::optional<MvccLockedKey>> find_lock(const KeyRange& range) const {
    using Found = std::optional<MvccLockedKey>;
    if (Status status = check_range(range); !status.ok()) return status;
    Found found = lock_in_memory(range);
    auto scan = state_->inner.scan(stored(mvcc_lock_cf, range));
    if (!scan.ok()) return std::move(scan).status();
    auto& at = scan.value();
    MvccLockedKey locked;
    for (; at.valid(); at.next()) {
      const ByteView stored_key = at.key();
      if (!stored_key.starts_with(state_->prefix) ||
          !from_memcomparable(stored_key.substr(state_->prefix.size()), locked.key)) {
        return detail::no_mvcc_key("lock", stored_key);
      }
      if (found && found->key < locked.key) return found;
      auto lock = parse_mvcc_lock(at.value());
      if (!lock.ok()) return std::move(lock).status().with_key(locked.key);
      if (!lock.value().blocks(state_->end_version)) continue;
      locked.lock = std::move(lock).value();
      return Found(std::move(locked));
    }
    if (Status status = at.status(); !status.ok()) return status;
    return found;
  }

  /// Cuts between user keys, by the larger of column families write and default.
  [[nodiscard]] Result<std::vector<KeyRange>> split(
      const KeyRange& range, std::uint64_t target_bytes) const requires SplittableSnapshot<S> {
    if (Status status = check_range(range); !status.ok()) return status;
    std::vector<KeyRange> parts;
    for (const std::string_view cf : {mvcc_write_cf, mvcc_default_cf}) {
      auto stored_parts = state_->inner.split(stored(cf, range), target_bytes);
      if (!stored_parts.ok()) return std::move(stored_parts).status();
      std::vector<KeyRange> cut = cut_at(range, stored_parts.value());
      if (cut.size() > parts.size()) parts = std::move(cut);
    }
    return parts;
  }
  /// Of a full backup: the bytes of all versions, which is more than it takes.
  [[nodiscard]] SizeEstimate estimate(const KeyRange& range) const requires EstimatingSnapshot<S> {
    SizeEstimate sum;
    if (state_->start_version != 0) return sum;
    const auto write = state_->inner.estimate(stored(mvcc_write_cf, range)).bytes;
    const auto large = state_->inner.estimate(stored(mvcc_default_cf, range)).bytes;
    if (write && large) sum.bytes = *write + *large;
    return sum;
  }
  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    return std::vector<KeyRange>{KeyRange()};
  }

  [[nodiscard]] std::uint64_t start_version() const noexcept { return state_->start_version; }
  [[nodiscard]] std::uint64_t end_version() const noexcept { return state_->end_version; }
  /// Whether the versions of this view are still all there: not_found once the garbage collector
  /// has passed them.
  [[nodiscard]] Status confirm() const { return state_->watch.ask(); }
  /// What stands before every key of the store: "z" or nothing.
  [[nodiscard]] std::string_view data_prefix() const noexcept { return state_->prefix; }

  [[nodiscard]] std::string kind() const requires IdentifiedSource<S> {
    return state_->inner.kind();
  }
  [[nodiscard]] std::string identity() const requires IdentifiedSource<S> {
    return state_->inner.identity();
  }
  [[nodiscard]] std::string state() const requires StatefulSource<S> {
    return state_->inner.state();
  }
  [[nodiscard]] std::vector<std::string> notes() const {
    std::vector<std::string> notes;
    if constexpr (AnnotatedSource<S>) notes = state_->inner.notes();
    std::string versions = "versions at timestamp " + std::to_string(state_->end_version);
    if (state_->start_version != 0) {
      versions = "versions committed after timestamp " + std::to_string(state_->start_version) +
                 " and by " + std::to_string(state_->end_version);
    }
    notes.push_back(std::move(versions));
    return notes;
  }
  /// A scan of this has two of the store open.
  [[nodiscard]] std::size_t workers() const requires requires(const S& s) { s.workers(); }
  { return std::max(std::size_t{1}, state_->inner.workers() / 2); }

 private:
  explicit MvccSnapshot(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  [[nodiscard]] static Status check_range(const KeyRange& range) {
    if (range.cf == default_cf) return {};
    return Status::error(StatusCode::invalid_argument,
                         "the ranges of a transactional backup are of user keys, which have no "
                         "column family")
        .with_object(range.cf);
  }

  /// The keys of `cf` that belong to the user keys of `range`.
  [[nodiscard]] KeyRange stored(std::string_view cf, const KeyRange& range) const {
    KeyRange out{std::string(cf), state_->prefix, state_->prefix};
    if (!range.start.empty()) append_memcomparable(out.start, range.start);
    if (!range.end.empty()) {
      append_memcomparable(out.end, range.end);
    } else if (!out.end.empty()) {
      // of one byte that is not the last there is
      out.end.back() = static_cast<char>(out.end.back() + 1);
    }
    return out;
  }

  /// `range`, cut at the user keys at whose versions `stored_parts` begin.
  [[nodiscard]] std::vector<KeyRange> cut_at(const KeyRange& range,
                                             const std::vector<KeyRange>& stored_parts) const {
    std::vector<KeyRange> parts{range};
    std::string user_key;
    for (const KeyRange& part : stored_parts) {
      ByteView key = part.start;
      key.remove_prefix(std::min(key.size(), state_->prefix.size()));
      // a store may cut at what is only a part of a key
      key = key.substr(0, key.size() - key.size() % (memcomparable_group + 1));
      if (!from_row_start(key, user_key)) continue;
      if (user_key <= parts.back().start || !range.contains(user_key)) continue;
      parts.back().end = user_key;
      parts.push_back(KeyRange{range.cf, user_key, range.end});
    }
    return parts;
  }
  /// The user key whose memcomparable form `key` begins with, or the beginning of one.
  [[nodiscard]] static bool from_row_start(ByteView key, std::string& user_key) {
    user_key.clear();
    for (; key.size() > memcomparable_group; key.remove_prefix(memcomparable_group + 1)) {
      if (key[memcomparable_group] != '\xff') {
        std::string tail;
        if (!from_memcomparable(key.substr(0, memcomparable_group + 1), tail)) return false;
        user_key += tail;
        return true;
      }
      user_key.append(key.substr(0, memcomparable_group));
    }
    return true;
  }

  [[nodiscard]] std::optional<MvccLockedKey> lock_in_memory(const KeyRange& range) const {
    for (const MvccLockedKey& locked : state_->memory_locks) {
      if (range.contains(locked.key)) return locked;
    }
    return std::nullopt;
  }
  [[nodiscard]] static std::vector<MvccLockedKey> blocking(std::vector<MvccLockedKey> locks,
                                                           std::uint64_t end_version) {
    std::erase_if(locks, [end_version](const MvccLockedKey& locked) {
      return !locked.lock.blocks(end_version);
    });
    std::sort(locks.begin(), locks.end(),
              [](const MvccLockedKey& a, const MvccLockedKey& b) { return a.key < b.key; });
    return locks;
  }
  KVBACKUP_DETAIL_COLD static Status locked(const MvccLockedKey& locked) {
    return Status::error(
               StatusCode::unavailable,
               "a transaction that has not ended has locked a key of this range: start_ts " +
                   std::to_string(locked.lock.ts) + ", ttl " + std::to_string(locked.lock.ttl) +
                   " ms; wait for it or resolve its lock, and take the backup from a new state")
        .with_key(locked.key);
  }

  /// By the first key of column family write, or else of lock.
  [[nodiscard]] static Result<std::string> find_prefix(const S& inner, MvccPrefix prefix) {
    const std::string tikv = "z";
    if (prefix == MvccPrefix::none) return std::string();
    if (prefix == MvccPrefix::tikv) return tikv;
    for (const auto& [cf, ts_size] :
         {std::pair(mvcc_write_cf, mvcc_ts_size), std::pair(mvcc_lock_cf, std::size_t{0})}) {
      auto scan = inner.scan(KeyRange{std::string(cf), "", ""});
      if (!scan.ok()) {
        return std::move(scan).status().with_note(
            "a transactional backup is of a store in TiKV's layout, with column families default, "
            "write and lock");
      }
      if (!scan.value().valid()) {
        if (Status status = scan.value().status(); !status.ok()) return status;
        continue;
      }
      const ByteView key = scan.value().key();
      const std::size_t rest = key.size() < ts_size ? 2 : (key.size() - ts_size) % 9;
      if (rest == 0) return std::string();
      if (rest == 1 && key.starts_with(tikv)) return tikv;
      return detail::no_mvcc_key(cf.data(), key);
    }
    return tikv;
  }

  std::shared_ptr<const State> state_;
};

}  // namespace kvbackup::inline v1
