// SPDX-License-Identifier: Apache-2.0
// The versions that a transactional backup takes from a range of TiKV's column families write and
// default (TiKV components/backup, storage/mvcc/reader/scanner/forward.rs, LatestEntryPolicy).
//
// Of each user key, from its newest version at end_version on: a version at or before
// start_version, and one behind a GC fence, end the search with nothing; a Put is taken; a Delete
// is taken by an incremental backup and ends the search of a full one; Lock and Rollback say
// nothing of the value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/source/mvcc_entry.hpp"
#include "kvbackup/source/mvcc_keys.hpp"
#include "kvbackup/source/mvcc_options.hpp"
#include "kvbackup/source/mvcc_records.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// What an MvccSnapshot and its sources share.
template <class S>
struct MvccState {
  MvccState(S inner_, const MvccOptions& options)
      : inner(std::move(inner_)),
        start_version(options.start_version),
        end_version(options.end_version),
        watch(options),
        cancel(options.cancel) {}

  S inner;
  std::uint64_t start_version;
  std::uint64_t end_version;
  GcWatch watch;
  const CancelToken* cancel;
  std::string prefix;                       // before every key of the store
  std::vector<MvccLockedKey> memory_locks;  // that block end_version, by key
};

KVBACKUP_DETAIL_COLD inline Status no_mvcc_key(const char* cf, ByteView stored_key) {
  return Status::error(StatusCode::corruption,
                       std::string("a key of column family ") + cf +
                           " is not one of TiKV's: a memcomparable user key behind the data prefix "
                           "of the store's first key, with a timestamp unless it is a lock's")
      .with_key(stored_key);
}

}  // namespace detail

/// The pairs are user keys and packed versions (unpack_mvcc_entry), in the order of the user keys.
/// Made by an MvccSnapshot. A failure names the user key.
template <class S>
class MvccSource {
 public:
  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] ByteView key() const noexcept { return user_key_; }
  [[nodiscard]] ByteView value() const noexcept { return value_; }
  void next() {
    leave_row();
    find();
  }
  [[nodiscard]] Status status() const { return status_; }

 private:
  template <Snapshot Inner>
  friend class MvccSnapshot;
  using State = detail::MvccState<S>;
  using Scan = typename decltype(std::declval<const S&>().scan(KeyRange()))::value_type;

  /// Steps that are tried before a seek, which costs as much as some of them (TiKV's SEEK_BOUND,
  /// storage/kv/cursor.rs).
  static constexpr unsigned seek_bound = 8;
  /// The safe point is looked after about once that many bytes of keys and values.
  static constexpr std::uint64_t poll_interval = 64u << 10;

  MvccSource(std::shared_ptr<const State> state, Scan write, Scan large)
      : state_(std::move(state)), write_(std::move(write)), default_(std::move(large)) {
    find();
  }

  void find() {
    valid_ = false;
    for (; write_.valid(); leave_row()) {
      if (!enter_row() || !poll()) return;
      if (find_version()) {
        valid_ = true;
        return;
      }
      if (!status_.ok()) return;
    }
    status_ = write_.status();
  }

  // The row of the current record becomes the current row.
  [[nodiscard]] bool enter_row() {
    const ByteView stored = write_.key();
    const ByteView key = stored.substr(std::min(stored.size(), state_->prefix.size()));
    const auto split = split_mvcc_key(key);
    if (!stored.starts_with(state_->prefix) || !split ||
        !from_memcomparable(split->row, user_key_)) {
      status_ = detail::no_mvcc_key("write", stored);
      return false;
    }
    row_ = stored.substr(0, stored.size() - mvcc_ts_size);
    return true;
  }
  [[nodiscard]] bool in_row() const {
    if (!write_.valid()) return false;
    const ByteView stored = write_.key();
    return stored.size() == row_.size() + mvcc_ts_size && stored.starts_with(row_);
  }
  /// Of the current record, which is in the row.
  [[nodiscard]] std::uint64_t commit_ts() const {
    return ~load_be64(ByteView(write_.key()).data() + row_.size());
  }

  // To the first record of the row at or before `ts`, or out of it if there is none.
  void skip_to(std::uint64_t ts) {
    for (unsigned n = 0; in_row() && commit_ts() > ts; ++n) {
      if constexpr (SeekableSource<Scan>) {
        if (n == seek_bound) return write_.seek(version_key(ts));
      }
      write_.next();
    }
  }
  void leave_row() {
    skip_to(0);
    if (in_row()) write_.next();
  }

  // False where the row gives nothing, or with a status.
  [[nodiscard]] bool find_version() {
    for (skip_to(state_->end_version); in_row(); write_.next()) {
      if (commit_ts() <= state_->start_version) return false;
      auto write = parse_mvcc_write(write_.value());
      if (!write.ok()) return fail(std::move(write).status());
      if (write.value().is_fenced(state_->end_version)) return false;
      switch (write.value().type) {
        case MvccWriteType::put: return take(write.value());
        case MvccWriteType::remove: return state_->start_version != 0 && take(write.value());
        case MvccWriteType::lock:
        case MvccWriteType::rollback: break;
      }
    }
    return false;
  }

  [[nodiscard]] bool take(const MvccWrite& write) {
    ByteView large;
    if (write.has_large_value()) {
      if (!find_large_value(write.start_ts)) return false;
      large = default_.value();
    }
    pack_mvcc_entry(value_, commit_ts(), write_.value(), large);
    unpolled_ += value_.size();
    return true;
  }
  // Rows rise, and so do the keys that are looked for here.
  [[nodiscard]] bool find_large_value(std::uint64_t start_ts) {
    const ByteView wanted = version_key(start_ts);
    for (unsigned n = 0; default_.valid() && ByteView(default_.key()) < wanted; ++n) {
      if constexpr (SeekableSource<Scan>) {
        if (n == seek_bound) {
          default_.seek(wanted);
          break;
        }
      }
      default_.next();
    }
    if (default_.valid() && ByteView(default_.key()) == wanted) return true;
    if (!default_.valid()) {
      if (Status status = default_.status(); !status.ok()) return fail(std::move(status));
    }
    return fail(Status::error(StatusCode::corruption,
                              "the value that a Put of start_ts " + std::to_string(start_ts) +
                                  " left in column family default is not there"));
  }
  /// The stored key of the row's version `ts`; it lives until the next call.
  [[nodiscard]] ByteView version_key(std::uint64_t ts) {
    version_key_ = row_;
    append_mvcc_ts(version_key_, ts);
    return version_key_;
  }

  [[nodiscard]] bool poll() {
    unpolled_ += row_.size();
    if (unpolled_ < poll_interval) return true;
    unpolled_ = 0;
    status_ = check_cancel(state_->cancel);
    if (status_.ok()) status_ = state_->watch.poll();
    return status_.ok();
  }
  KVBACKUP_DETAIL_COLD bool fail(Status status) {
    status_ = std::move(status).with_key(user_key_);
    return false;
  }

  std::shared_ptr<const State> state_;
  Scan write_;
  Scan default_;
  std::string row_;  // the keys of its versions without their timestamps
  std::string user_key_;
  std::string value_;
  std::string version_key_;
  std::uint64_t unpolled_ = 0;
  Status status_;
  bool valid_ = false;
};

}  // namespace kvbackup::inline v1
