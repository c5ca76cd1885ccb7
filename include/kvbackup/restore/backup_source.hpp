// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/key_domain.hpp"
#include "kvbackup/restore/file_index.hpp"

namespace kvbackup::inline v1 {

/// The pairs of a range of a backup, file after file: a SeekableSource. Borrows the backup. Of a
/// transactional one they are the records of a column family, whose keys are in TiKV's form; range
/// and seek() are in user keys all the same. A key outside of its file's range ends it with
/// corruption.
template <class State>
class BackupSource {
  using Table = typename State::Table;
  using TableSource = decltype(std::declval<const Table&>().source());

 public:
  /// `files` answer for the keys of `range`, in key order.
  BackupSource(State& state, std::span<const std::size_t> files, KeyRange range)
      : state_(&state),
        files_(files),
        range_(std::move(range)),
        prefix_size_(detail::key_prefix_of(state.manifest).size()) {
    enter(0, range_.start);
  }

  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] ByteView key() const { return source_->key().substr(prefix_size_); }
  [[nodiscard]] ByteView value() const { return source_->value(); }
  void next() {
    source_->next();
    look();
  }
  void seek(ByteView key) {
    const ByteView target = key < ByteView(range_.start) ? ByteView(range_.start) : key;
    const auto at = std::partition_point(files_.begin(), files_.end(), [&](std::size_t index) {
      return !detail::begins_before(target, state_->manifest.meta.files[index].end_key);
    });
    enter(static_cast<std::size_t>(at - files_.begin()), target);
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  [[nodiscard]] const File& file(std::size_t at) const {
    return state_->manifest.meta.files[files_[at]];
  }

  /// To the first pair of files_[at] and those behind it whose key is not below `from`.
  void enter(std::size_t at, ByteView from) {
    const std::string target(from);  // `from` may be of the file that is left
    valid_ = false;
    status_ = {};
    at_ = at;
    if (at_ < files_.size() && open(target)) look();
  }

  /// Opens files_[at_]; false if that failed.
  bool open(ByteView from) {
    source_.reset();
    const File& opened = file(at_);
    auto table = state_->table(files_[at_]);
    if (!table.ok()) {
      status_ = std::move(table).status();
      return false;
    }
    table_ = std::move(table).value();
    detail::StoredRange stored =
        detail::stored_range(state_->manifest, opened.start_key, opened.end_key);
    low_ = std::move(stored.low);
    stop_ = std::move(stored.high);
    ends_at_stop_ = !range_.end.empty() && !detail::ends_within(opened.end_key, range_.end);
    if (ends_at_stop_) stop_ = detail::stored_key(state_->manifest, range_.end);
    std::string first;
    if (from > ByteView(opened.start_key)) first = detail::stored_key(state_->manifest, from);
    source_.emplace(table_->source(first));
    if (source_->valid() && source_->key() < ByteView(low_)) {
      fail_outside();
      return false;
    }
    return true;
  }

  // What the source of the open file stands at.
  void look() {
    for (;;) {
      if (source_->valid()) {
        valid_ = stop_.empty() || source_->key() < ByteView(stop_);
        if (!valid_ && !ends_at_stop_) fail_outside();
        return;
      }
      valid_ = false;
      if (Status status = source_->status(); !status.ok()) {
        status_ = std::move(status).with_object(file(at_).name);
        return;
      }
      if (++at_ == files_.size() || !open({})) return;
    }
  }

  KVBACKUP_DETAIL_COLD void fail_outside() {
    valid_ = false;
    const File& damaged = file(at_);
    status_ = Status::error(StatusCode::corruption,
                            "a file of the backup holds a key outside of its key range; verify it, "
                            "and take it from another copy")
                  .with_object(damaged.name)
                  .with_range(damaged.start_key, damaged.end_key);
  }

  State* state_;
  std::span<const std::size_t> files_;
  KeyRange range_;
  std::size_t prefix_size_;
  std::size_t at_ = 0;
  std::shared_ptr<const Table> table_;
  std::optional<TableSource> source_;
  // of the open file, as its keys are stored; an empty stop is none
  std::string low_;
  std::string stop_;
  bool ends_at_stop_ = false;  // the range ends there; else the file does
  bool valid_ = false;
  Status status_;
};

}  // namespace kvbackup::inline v1
