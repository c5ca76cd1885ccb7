// SPDX-License-Identifier: Apache-2.0
// A store in TiKV's MVCC layout in memory, written version by version.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <kvbackup/kvbackup.hpp>

namespace test_support {

/// The column families default, write and lock, and a Snapshot of them.
struct MvccStore {
  using Family = std::map<std::string, std::string>;
  using Scan = kvbackup::BoundedSource<kvbackup::RangeSource<const Family&>>;

  std::map<std::string, Family, std::less<>> families{{"default", {}}, {"lock", {}}, {"write", {}}};
  std::string prefix = "z";

  [[nodiscard]] kvbackup::Result<Scan> scan(const kvbackup::KeyRange& range) const {
    const auto found = families.find(range.cf);
    if (found == families.end()) {
      return kvbackup::Status::error(kvbackup::StatusCode::not_found, "no such column family")
          .with_object(range.cf);
    }
    return Scan(kvbackup::RangeSource<const Family&>(found->second), range.start, range.end);
  }
  [[nodiscard]] kvbackup::Result<std::vector<kvbackup::KeyRange>> split(
      const kvbackup::KeyRange& range, std::uint64_t target_bytes) const {
    return kvbackup::RangeSnapshot(families.find(range.cf)->second, range.cf)
        .split(range, target_bytes);
  }

  void write(const std::string& key, std::uint64_t commit_ts, const kvbackup::MvccWrite& record) {
    families["write"][prefix + kvbackup::mvcc_key(key, commit_ts)] =
        kvbackup::encode_mvcc_write(record);
  }
  /// A committed Put, as TiKV stores one of a value of that length.
  void put(const std::string& key, std::uint64_t start_ts, std::uint64_t commit_ts,
           const std::string& value, std::optional<std::uint64_t> gc_fence = {}) {
    kvbackup::MvccWrite record;
    record.start_ts = start_ts;
    record.gc_fence = gc_fence;
    record.has_overlapped_rollback = gc_fence.has_value();
    if (value.size() <= kvbackup::mvcc_short_value_limit) {
      record.short_value = value;
    } else {
      families["default"][prefix + kvbackup::mvcc_key(key, start_ts)] = value;
    }
    write(key, commit_ts, record);
  }
  /// A Delete, Lock or Rollback.
  void mark(const std::string& key, std::uint64_t start_ts, std::uint64_t commit_ts,
            kvbackup::MvccWriteType type) {
    kvbackup::MvccWrite record;
    record.type = type;
    record.start_ts = start_ts;
    write(key, commit_ts, record);
  }
  void lock(const std::string& key, const kvbackup::MvccLock& lock) {
    families["lock"][prefix + kvbackup::to_memcomparable(key)] = kvbackup::encode_mvcc_lock(lock);
  }
};
static_assert(kvbackup::SplittableSnapshot<MvccStore>);

}  // namespace test_support
