// SPDX-License-Identifier: Apache-2.0
// The user properties that TiKV 5.x puts into its tables (TiKV
// components/engine_rocks/src/{properties,mvcc_properties}.rs). TiKV estimates sizes, finds split
// keys and decides on garbage collection by them; they are hints, never needed to read a table.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/sst/concept.hpp"

namespace kvbackup::inline v1 {

/// `tikv.range_index`: keys at about equal distances with the size and number of pairs up to them.
class TikvRangeCollector {
 public:
  static constexpr std::uint64_t size_distance = 4 * 1024 * 1024;  ///< bytes of keys and values
  static constexpr std::uint64_t keys_distance = 40 * 1024;

  void add(ByteView user_key, ByteView value) {
    size_ += user_key.size() + value.size();
    ++keys_;
    if (last_key_.empty() || size_ - point_size_ >= size_distance ||
        keys_ - point_keys_ >= keys_distance) {
      add_point(user_key);
    }
    last_key_ = user_key;
  }
  void finish(PropertyEmit emit) {
    if (size_ > point_size_ || keys_ > point_keys_) add_point(last_key_);
    emit("tikv.range_index", index_);
  }
  [[nodiscard]] static std::string name() { return "tikv.range-properties-collector"; }

 private:
  void add_point(ByteView key) {
    point_size_ = size_;
    point_keys_ = keys_;
    append_be64(index_, key.size());
    index_ += key;
    append_be64(index_, size_);
    append_be64(index_, keys_);
  }

  std::string index_;
  std::string last_key_;
  std::uint64_t size_ = 0;
  std::uint64_t keys_ = 0;
  std::uint64_t point_size_ = 0;
  std::uint64_t point_keys_ = 0;
};
static_assert(PropertyCollector<TikvRangeCollector>);

/// What TiKV records of its write column family, whose keys are 'z' ‖ row ‖ be64(~commit_ts) and
/// whose values begin with the type of the write: P, D, L or R.
class TikvMvccCollector {
 public:
  static constexpr std::uint64_t rows_distance = 10000;

  void add(ByteView user_key, ByteView value) {
    if (user_key.empty() || user_key[0] != 'z' || user_key.size() < timestamp_size) {
      ++num_errors_;
      return;
    }
    const std::size_t row_size = user_key.size() - timestamp_size;
    const std::uint64_t ts = ~load_be64(user_key.data() + row_size);
    min_ts_ = std::min(min_ts_, ts);
    max_ts_ = std::max(max_ts_, ts);
    ++num_versions_;
    count_version_of(user_key.substr(0, row_size));
    count_write(value);
  }

  void finish(PropertyEmit emit) {
    if (rows_since_point_ > 0) add_point();
    emit_number(emit, "tikv.min_ts", min_ts_);
    emit_number(emit, "tikv.max_ts", max_ts_);
    emit_number(emit, "tikv.num_rows", num_rows_);
    emit_number(emit, "tikv.num_puts", num_puts_);
    emit_number(emit, "tikv.num_deletes", num_deletes_);
    emit_number(emit, "tikv.num_versions", num_versions_);
    emit_number(emit, "tikv.max_row_versions", max_row_versions_);
    emit_number(emit, "tikv.num_errors", num_errors_);
    emit("tikv.rows_index", index_);
  }
  [[nodiscard]] static std::string name() { return "tikv.mvcc-properties-collector"; }

 private:
  static constexpr std::size_t timestamp_size = 8;

  void count_version_of(ByteView row) {
    if (row == last_row_) {
      ++row_versions_;
    } else {
      ++num_rows_;
      row_versions_ = 1;
      last_row_ = row;
    }
    max_row_versions_ = std::max(max_row_versions_, row_versions_);
  }

  void count_write(ByteView value) {
    const char type = value.empty() ? '\0' : value[0];
    switch (type) {
      case 'P': ++num_puts_; break;
      case 'D': ++num_deletes_; break;
      case 'L':
      case 'R': break;
      default: ++num_errors_; return;
    }
    if (row_versions_ != 1) return;
    ++rows_;
    ++rows_since_point_;
    if (rows_ == 1 || rows_since_point_ >= rows_distance) add_point();
  }

  void add_point() {
    append_be64(index_, last_row_.size());
    index_ += last_row_;
    append_be64(index_, rows_since_point_);
    append_be64(index_, rows_);
    rows_since_point_ = 0;
  }

  static void emit_number(PropertyEmit emit, std::string_view name, std::uint64_t v) {
    std::string bytes;
    append_be64(bytes, v);
    emit(name, bytes);
  }

  std::string index_;
  std::string last_row_;
  std::uint64_t rows_ = 0;  // whose newest version could be read
  std::uint64_t rows_since_point_ = 0;
  std::uint64_t row_versions_ = 0;
  std::uint64_t min_ts_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ts_ = 0;
  std::uint64_t num_rows_ = 0;
  std::uint64_t num_puts_ = 0;
  std::uint64_t num_deletes_ = 0;
  std::uint64_t num_versions_ = 0;
  std::uint64_t max_row_versions_ = 0;
  std::uint64_t num_errors_ = 0;
};
static_assert(PropertyCollector<TikvMvccCollector>);

/// What TiKV 5.x collects, by column family: one type, so that one type of table serves both.
class TikvCollector {
 public:
  /// As for the default column family: ranges only.
  TikvCollector() = default;
  [[nodiscard]] static TikvCollector default_cf() { return {}; }
  /// As for the write column family: versions and ranges.
  [[nodiscard]] static TikvCollector write_cf() {
    TikvCollector collector;
    collector.has_mvcc_ = true;
    return collector;
  }

  void add(ByteView user_key, ByteView value) {
    if (has_mvcc_) mvcc_.add(user_key, value);
    range_.add(user_key, value);
  }
  void finish(PropertyEmit emit) {
    if (has_mvcc_) mvcc_.finish(emit);
    range_.finish(emit);
  }
  [[nodiscard]] std::string name() const {
    std::string names;
    if (has_mvcc_) {
      names += TikvMvccCollector::name();
      names += ',';
    }
    names += TikvRangeCollector::name();
    return names;
  }

 private:
  TikvMvccCollector mvcc_;
  TikvRangeCollector range_;
  bool has_mvcc_ = false;
};
static_assert(PropertyCollector<TikvCollector>);

}  // namespace kvbackup::inline v1
