// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/source/mvcc_keys.hpp"
#include "kvbackup/source/mvcc_records.hpp"

namespace kvbackup::inline v1::detail {

/// What one transactional backup has of each user key of a range: its newest version, which may be
/// a deletion. A SortedSource whose values are records of column family write. Borrows the backup.
template <class Backup>
class VersionSource {
  using Records = typename Backup::Source;

 public:
  /// `records` are those of column family write in `range`.
  VersionSource(const Backup& backup, Records records, KeyRange range)
      : backup_(&backup), records_(std::move(records)), range_(std::move(range)) {
    look();
  }

  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] ByteView key() const { return user_key_; }
  [[nodiscard]] ByteView value() const { return records_.value(); }
  void next() {
    last_.swap(user_key_);
    do {
      records_.next();
      look();
    } while (valid_ && user_key_ == last_);  // older versions
  }
  [[nodiscard]] const Status& status() const { return status_; }

  [[nodiscard]] bool is_deletion() const { return write_.type != MvccWriteType::put; }
  /// Whether a reader at `ts` finds no value.
  [[nodiscard]] bool is_hidden(std::uint64_t ts) const {
    return is_deletion() || write_.is_fenced(ts);
  }
  /// The value of the version, which is a put; the view dies when the source moves. corruption,
  /// which names the key, if it is large and not there.
  [[nodiscard]] Result<ByteView> user_value() {
    if (write_.short_value) return *write_.short_value;
    wanted_ = row();
    append_mvcc_ts(wanted_, write_.start_ts);
    if (Status status = find_large_value(); !status.ok()) return status;
    if (values_->valid() && values_->key() == ByteView(wanted_)) return values_->value();
    return missing_value();
  }

 private:
  void look() {
    valid_ = records_.valid();
    status_ = records_.status();
    if (!valid_) return;
    const auto key = split_mvcc_key(records_.key());
    if (!key || !from_memcomparable(key->row, user_key_)) {
      return fail("a key that is none of a version in TiKV's form");
    }
    auto write = parse_mvcc_write(records_.value());
    if (!write.ok()) return fail("a record that is none of column family write");
    write_ = write.value();
    if (write_.type == MvccWriteType::lock || write_.type == MvccWriteType::rollback) {
      fail("a record that says nothing of a value");
    }
  }

  /// The current user key as it stands in the files.
  [[nodiscard]] ByteView row() const {
    const ByteView key = records_.key();
    return key.substr(0, key.size() - mvcc_ts_size);
  }

  KVBACKUP_DETAIL_COLD void fail(const char* wrong) {
    valid_ = false;
    std::string message("it holds ");
    message += wrong;
    message += ", which no backup writes; verify the backup";
    status_ = Status::error(StatusCode::corruption, std::move(message))
                  .with_object(backup_->url())
                  .with_key(user_key_);
  }
  KVBACKUP_DETAIL_COLD [[nodiscard]] Status missing_value() const {
    return Status::error(StatusCode::corruption,
                         "the backup has a version of this key whose value is too large for the "
                         "record, and no file of column family default holds it; verify the "
                         "backup, and take it from another copy")
        .with_object(backup_->url())
        .with_key(user_key_);
  }

  /// To the first large value that is not before wanted_: they come in the order of the records, so
  /// that most of the time it is the next one or stands little behind it.
  [[nodiscard]] Status find_large_value() {
    constexpr int steps_before_seek = 16;
    for (int step = 0; values_ && step < steps_before_seek; ++step) {
      if (!values_->valid() || values_->key() >= ByteView(wanted_)) break;
      values_->next();
    }
    if (!values_ || (values_->valid() && values_->key() < ByteView(wanted_))) {
      if (Status status = seek_large_value(); !status.ok()) return status;
    }
    return values_->valid() ? Status() : Status(values_->status());
  }
  [[nodiscard]] Status seek_large_value() {
    if (!values_) {
      auto values = backup_->scan_versions({std::string(default_cf), range_.start, range_.end});
      if (!values.ok()) return std::move(values).status();
      values_.emplace(std::move(values).value());
    }
    values_->seek(user_key_);
    while (values_->valid() && values_->key() < ByteView(wanted_)) values_->next();
    return {};
  }

  const Backup* backup_;
  Records records_;
  KeyRange range_;
  std::string user_key_;
  MvccWrite write_;  // views of the record
  std::string last_;
  bool valid_ = false;
  Status status_;
  std::optional<Records> values_;  // of column family default, opened for the first large value
  std::string wanted_;
};

}  // namespace kvbackup::inline v1::detail
