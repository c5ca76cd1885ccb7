// SPDX-License-Identifier: Apache-2.0
#pragma once

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

/// The logical pairs of a range of a backup, file after file: a SeekableSource. Borrows the backup.
/// A key outside of its file's range ends it with corruption.
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
    std::size_t at = 0;
    while (at < files_.size() && !detail::begins_before(target, file(at).end_key)) ++at;
    enter(at, target);
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
    stored_ = detail::stored_range(state_->manifest, opened.start_key, opened.end_key);
    scan_end_.clear();
    if (!range_.end.empty()) {
      scan_end_ = detail::key_prefix_of(state_->manifest);
      scan_end_ += range_.end;
    }
    source_.emplace(table_->source());
    if (from > ByteView(opened.start_key)) {
      std::string stored(detail::key_prefix_of(state_->manifest));
      stored += from;
      source_->seek(stored);
    }
    return true;
  }

  // What the source of the open file stands at.
  void look() {
    for (;;) {
      if (source_->valid()) {
        const ByteView stored = source_->key();
        const bool inside = stored >= ByteView(stored_.low) &&
                            (stored_.high.empty() || stored < ByteView(stored_.high));
        valid_ = inside && (scan_end_.empty() || stored < ByteView(scan_end_));
        if (!inside && (scan_end_.empty() || stored < ByteView(scan_end_))) fail_outside();
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
  detail::StoredRange stored_;  // of the open file
  std::string scan_end_;        // as stored; empty is unbounded
  bool valid_ = false;
  Status status_;
};

}  // namespace kvbackup::inline v1
