// SPDX-License-Identifier: Apache-2.0
// The values of TiKV's column families write and lock (TiKV
// components/txn_types/src/{write,lock}.rs): a type, fixed fields, then fields that begin with a
// tag byte. A tag that is not known here ends the parsing without an error: what newer versions add
// stands behind what is known, and does not change its meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

/// A value of at most that many bytes stands in the write or lock record itself, a longer one in
/// column family default.
inline constexpr std::size_t mvcc_short_value_limit = 255;

enum class MvccWriteType : char { put = 'P', remove = 'D', lock = 'L', rollback = 'R' };
enum class MvccLockType : char { put = 'P', remove = 'D', lock = 'L', pessimistic = 'S' };

/// A record of column family write: how one version of a key came about. Its views live as long as
/// the record that it was parsed from.
struct MvccWrite {
  MvccWriteType type = MvccWriteType::put;
  std::uint64_t start_ts = 0;  ///< of the transaction, which is also the version of a large value
  std::optional<ByteView> short_value;
  /// The record stands where a rollback of another transaction should stand too.
  bool has_overlapped_rollback = false;
  /// Since when the record says nothing any more, if it is not 0: a version at that timestamp
  /// followed it, and may be gone.
  std::optional<std::uint64_t> gc_fence;

  /// Whether the value stands in column family default, at start_ts.
  [[nodiscard]] bool has_large_value() const noexcept {
    return type == MvccWriteType::put && !short_value;
  }
  /// Whether a reader at `ts` must not take the record for the newest version.
  [[nodiscard]] bool is_fenced(std::uint64_t ts) const noexcept {
    return gc_fence && *gc_fence != 0 && *gc_fence <= ts;
  }
};

/// A record of column family lock: a transaction that has not ended.
struct MvccLock {
  MvccLockType type = MvccLockType::put;
  std::string primary;    ///< the user key whose lock decides about all of the transaction
  std::uint64_t ts = 0;   ///< the transaction's start_ts
  std::uint64_t ttl = 0;  ///< milliseconds after ts until others may resolve it
  std::optional<std::string> short_value;
  std::uint64_t for_update_ts = 0;
  std::uint64_t txn_size = 0;  ///< keys of the transaction, as far as is known
  std::uint64_t min_commit_ts = 0;
  bool use_async_commit = false;
  std::vector<std::string> secondaries;  ///< user keys; with async commit, in the primary's lock
  std::vector<std::uint64_t> rollback_ts;

  /// Whether a snapshot at `ts` cannot tell if this transaction is in it. (TiKV excepts readers at
  /// the last timestamp there is from locks of their own primary; a backup is no such reader.)
  [[nodiscard]] bool blocks(std::uint64_t read_ts) const noexcept {
    return ts <= read_ts && type != MvccLockType::lock && type != MvccLockType::pessimistic &&
           min_commit_ts <= read_ts;
  }

  friend bool operator==(const MvccLock&, const MvccLock&) = default;
};

namespace detail {

// Tags of the fields of both records.
inline constexpr char mvcc_short_value_tag = 'v';
inline constexpr char mvcc_overlapped_rollback_tag = 'R';
inline constexpr char mvcc_gc_fence_tag = 'F';
inline constexpr char mvcc_for_update_ts_tag = 'f';
inline constexpr char mvcc_txn_size_tag = 't';
inline constexpr char mvcc_min_commit_ts_tag = 'c';
inline constexpr char mvcc_async_commit_tag = 'a';
inline constexpr char mvcc_rollback_ts_tag = 'r';

[[nodiscard]] inline bool take_byte(ByteView& in, char& byte) noexcept {
  if (in.empty()) return false;
  byte = in.front();
  in.remove_prefix(1);
  return true;
}
[[nodiscard]] inline bool take_be64(ByteView& in, std::uint64_t& v) noexcept {
  if (in.size() < sizeof v) return false;
  v = load_be64(in.data());
  in.remove_prefix(sizeof v);
  return true;
}
[[nodiscard]] inline bool take_bytes(ByteView& in, std::uint64_t size, ByteView& bytes) noexcept {
  if (in.size() < size) return false;
  bytes = in.substr(0, static_cast<std::size_t>(size));
  in.remove_prefix(bytes.size());
  return true;
}
[[nodiscard]] inline bool take_short_value(ByteView& in, ByteView& value) noexcept {
  char size = 0;
  return take_byte(in, size) && take_bytes(in, static_cast<unsigned char>(size), value);
}
/// Bytes behind a length that is a zig-zag varint, as TiKV's compact bytes have it.
[[nodiscard]] inline bool take_compact_bytes(ByteView& in, ByteView& bytes) noexcept {
  std::uint64_t zigzag = 0;
  // an odd number is a negative length
  return take_varint64(in, zigzag) && zigzag % 2 == 0 && take_bytes(in, zigzag / 2, bytes);
}
inline void append_compact_bytes(std::string& out, ByteView bytes) {
  append_varint(out, std::uint64_t{bytes.size()} * 2);
  out.append(bytes);
}
inline void append_short_value(std::string& out, ByteView value) {
  KVBACKUP_ASSERT(value.size() <= mvcc_short_value_limit);
  out.push_back(mvcc_short_value_tag);
  out.push_back(static_cast<char>(value.size()));
  out.append(value);
}
inline void append_tagged_be64(std::string& out, char tag, std::uint64_t v) {
  out.push_back(tag);
  append_be64(out, v);
}

KVBACKUP_DETAIL_COLD inline Status bad_mvcc_record(const char* record, const char* what) {
  std::string message("a record of column family ");
  message += record;
  message += " is not one of TiKV's: ";
  message += what;
  return Status::error(StatusCode::corruption, std::move(message));
}

[[nodiscard]] inline bool take_write_field(char tag, ByteView& in, MvccWrite& write) noexcept {
  switch (tag) {
    case mvcc_short_value_tag: return take_short_value(in, write.short_value.emplace());
    case mvcc_gc_fence_tag: return take_be64(in, write.gc_fence.emplace());
    case mvcc_overlapped_rollback_tag: write.has_overlapped_rollback = true; return true;
    default: in = {}; return true;
  }
}

[[nodiscard]] inline bool take_secondaries(ByteView& in, MvccLock& lock) {
  std::uint64_t count = 0;
  if (!take_varint64(in, count) || count > in.size()) return false;  // each takes a byte at least
  lock.use_async_commit = true;
  for (; count > 0; --count) {
    ByteView key;
    if (!take_compact_bytes(in, key)) return false;
    lock.secondaries.emplace_back(key);
  }
  return true;
}
[[nodiscard]] inline bool take_rollbacks(ByteView& in, MvccLock& lock) {
  std::uint64_t count = 0;
  if (!take_varint64(in, count)) return false;
  for (; count > 0; --count) {
    std::uint64_t ts = 0;
    if (!take_be64(in, ts)) return false;
    lock.rollback_ts.push_back(ts);
  }
  return true;
}
[[nodiscard]] inline bool take_lock_field(char tag, ByteView& in, MvccLock& lock) {
  switch (tag) {
    case mvcc_short_value_tag: {
      ByteView value;
      if (!take_short_value(in, value)) return false;
      lock.short_value = value;
      return true;
    }
    case mvcc_for_update_ts_tag: return take_be64(in, lock.for_update_ts);
    case mvcc_txn_size_tag: return take_be64(in, lock.txn_size);
    case mvcc_min_commit_ts_tag: return take_be64(in, lock.min_commit_ts);
    case mvcc_async_commit_tag: return take_secondaries(in, lock);
    case mvcc_rollback_ts_tag: return take_rollbacks(in, lock);
    default: in = {}; return true;
  }
}

}  // namespace detail

/// Reads a record of column family write. corruption where it is none.
[[nodiscard]] inline Result<MvccWrite> parse_mvcc_write(ByteView record) {
  MvccWrite write;
  char type = 0;
  if (!detail::take_byte(record, type)) return detail::bad_mvcc_record("write", "it is empty");
  switch (static_cast<MvccWriteType>(type)) {
    case MvccWriteType::put:
    case MvccWriteType::remove:
    case MvccWriteType::lock:
    case MvccWriteType::rollback: write.type = static_cast<MvccWriteType>(type); break;
    default: return detail::bad_mvcc_record("write", "its type is not P, D, L or R");
  }
  if (!take_varint64(record, write.start_ts)) {
    return detail::bad_mvcc_record("write", "its start_ts is cut off or too long");
  }
  for (char tag = 0; detail::take_byte(record, tag);) {
    if (!detail::take_write_field(tag, record, write)) {
      return detail::bad_mvcc_record("write", "a field of it is cut off");
    }
  }
  return write;
}

/// The record of a write. A short value has at most mvcc_short_value_limit bytes.
[[nodiscard]] inline std::string encode_mvcc_write(const MvccWrite& write) {
  std::string out(1, static_cast<char>(write.type));
  append_varint(out, write.start_ts);
  if (write.short_value) detail::append_short_value(out, *write.short_value);
  if (write.has_overlapped_rollback) out.push_back(detail::mvcc_overlapped_rollback_tag);
  if (write.gc_fence) detail::append_tagged_be64(out, detail::mvcc_gc_fence_tag, *write.gc_fence);
  return out;
}

/// Reads a record of column family lock. corruption where it is none, or is of a type that TiKV
/// has added since.
[[nodiscard]] inline Result<MvccLock> parse_mvcc_lock(ByteView record) {
  MvccLock lock;
  char type = 0;
  if (!detail::take_byte(record, type)) return detail::bad_mvcc_record("lock", "it is empty");
  switch (static_cast<MvccLockType>(type)) {
    case MvccLockType::put:
    case MvccLockType::remove:
    case MvccLockType::lock:
    case MvccLockType::pessimistic: lock.type = static_cast<MvccLockType>(type); break;
    default: return detail::bad_mvcc_record("lock", "its type is not P, D, L or S");
  }
  ByteView primary;
  if (!detail::take_compact_bytes(record, primary)) {
    return detail::bad_mvcc_record("lock", "its primary key is cut off");
  }
  lock.primary = primary;
  if (!take_varint64(record, lock.ts)) return detail::bad_mvcc_record("lock", "its ts is cut off");
  if (!record.empty() && !take_varint64(record, lock.ttl)) {
    return detail::bad_mvcc_record("lock", "its ttl is cut off");
  }
  for (char tag = 0; detail::take_byte(record, tag);) {
    if (!detail::take_lock_field(tag, record, lock)) {
      return detail::bad_mvcc_record("lock", "a field of it is cut off");
    }
  }
  return lock;
}

/// The record of a lock. A short value has at most mvcc_short_value_limit bytes. What is 0 or empty
/// is left out, as TiKV does it.
[[nodiscard]] inline std::string encode_mvcc_lock(const MvccLock& lock) {
  std::string out(1, static_cast<char>(lock.type));
  detail::append_compact_bytes(out, lock.primary);
  append_varint(out, lock.ts);
  append_varint(out, lock.ttl);
  if (lock.short_value) detail::append_short_value(out, *lock.short_value);
  const auto number = [&out](char tag, std::uint64_t v) {
    if (v != 0) detail::append_tagged_be64(out, tag, v);
  };
  number(detail::mvcc_for_update_ts_tag, lock.for_update_ts);
  number(detail::mvcc_txn_size_tag, lock.txn_size);
  number(detail::mvcc_min_commit_ts_tag, lock.min_commit_ts);
  if (lock.use_async_commit) {
    out.push_back(detail::mvcc_async_commit_tag);
    append_varint(out, lock.secondaries.size());
    for (const std::string& key : lock.secondaries) detail::append_compact_bytes(out, key);
  }
  if (!lock.rollback_ts.empty()) {
    out.push_back(detail::mvcc_rollback_ts_tag);
    append_varint(out, lock.rollback_ts.size());
    for (const std::uint64_t ts : lock.rollback_ts) append_be64(out, ts);
  }
  return out;
}

}  // namespace kvbackup::inline v1
