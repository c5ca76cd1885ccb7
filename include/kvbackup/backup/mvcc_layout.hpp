// SPDX-License-Identifier: Apache-2.0
// Versions as TiKV's transactional backup writes them (TiKV components/backup/src/writer.rs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backup/layout.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/kvrpcpb.hpp"
#include "kvbackup/source/mvcc_entry.hpp"
#include "kvbackup/source/mvcc_keys.hpp"
#include "kvbackup/source/mvcc_options.hpp"
#include "kvbackup/source/mvcc_records.hpp"
#include "kvbackup/source/mvcc_snapshot.hpp"
#include "kvbackup/sst/checksum.hpp"
#include "kvbackup/sst/options.hpp"
#include "kvbackup/sst/tikv_properties.hpp"

namespace kvbackup::inline v1 {

/// The layout of what an MvccSnapshot gives: a part is a file of column family default, if it has
/// large values, and one of write. Each user key is counted once, with its value, in the file where
/// the value stands: large values in default, short ones and removals in write.
///
/// A part ends where TiKV ends it: it looks at the sum of both files before every batch of 1024
/// entries, counted from the beginning of a sub-range, which is a region there. Unlike TiKV's, a
/// file goes to storage while it is made, and never stands in memory.
class MvccLayout {
 public:
  using Checksum = Crc32cChecksum;
  using Collector = TikvCollector;
  static constexpr bool is_raw_kv = false;
  /// BATCH_SIZE of TiKV's scanner (components/backup/src/endpoint.rs).
  static constexpr std::uint64_t entries_per_batch = 1024;

  [[nodiscard]] std::vector<std::string> cfs(std::string_view /*range_cf*/) const {
    return {std::string(mvcc_default_cf), std::string(mvcc_write_cf)};
  }
  /// invalid_argument for what is no MvccSnapshot's.
  template <class Emit>
  [[nodiscard]] Status store(const SourceEntry& entry, Emit&& emit) {
    const auto unpacked = unpack_mvcc_entry(entry.value);
    if (!unpacked.ok()) return unpacked.status();
    const MvccEntry& version = unpacked.value();
    stored_key_ = tikv_data_prefix;
    append_memcomparable(stored_key_, entry.key);
    const std::size_t row_size = stored_key_.size();
    if (version.write.has_large_value()) {
      append_mvcc_ts(stored_key_, version.write.start_ts);
      Status status = emit(default_table, ByteView(stored_key_), version.large);
      if (!status.ok()) return status;
      stored_key_.resize(row_size);
    }
    append_mvcc_ts(stored_key_, version.commit_ts);
    return emit(write_table, ByteView(stored_key_), version.record);
  }
  [[nodiscard]] std::optional<CountedPair> counted(const SourceEntry& entry) const {
    const auto unpacked = unpack_mvcc_entry(entry.value);
    if (!unpacked.ok()) return std::nullopt;
    const MvccEntry& version = unpacked.value();
    return CountedPair{.table = version.write.has_large_value() ? default_table : write_table,
                       .key = entry.key,
                       .value = version.value()};
  }
  [[nodiscard]] TableOptions table_options(std::string_view cf) const {
    return cf == mvcc_write_cf ? TableOptions::br_write_cf() : TableOptions::br_default_cf();
  }
  [[nodiscard]] Collector collector(std::string_view cf) const {
    return cf == mvcc_write_cf ? TikvCollector::write_cf() : TikvCollector::default_cf();
  }
  [[nodiscard]] std::string_view key_prefix() const { return tikv_data_prefix; }
  [[nodiscard]] std::string_view profile() const { return "br"; }

 private:
  static constexpr std::size_t default_table = 0;
  static constexpr std::size_t write_table = 1;

  std::string stored_key_;
};
static_assert(Layout<MvccLayout>);

/// A lock as TiKV answers with it where a range cannot be read (KeyError.locked).
[[nodiscard]] inline LockInfo to_lock_info(const MvccLockedKey& locked) {
  const MvccLock& lock = locked.lock;
  LockInfo info;
  info.primary_lock = lock.primary;
  info.lock_version = lock.ts;
  info.key = locked.key;
  info.lock_ttl = lock.ttl;
  info.txn_size = lock.txn_size;
  switch (lock.type) {
    case MvccLockType::put: info.lock_type = LockOp::put; break;
    case MvccLockType::remove: info.lock_type = LockOp::del; break;
    case MvccLockType::lock: info.lock_type = LockOp::lock; break;
    case MvccLockType::pessimistic: info.lock_type = LockOp::pessimistic_lock; break;
  }
  info.lock_for_update_ts = lock.for_update_ts;
  info.use_async_commit = lock.use_async_commit;
  info.min_commit_ts = lock.min_commit_ts;
  info.secondaries = lock.secondaries;
  return info;
}

}  // namespace kvbackup::inline v1
