// SPDX-License-Identifier: Apache-2.0
// Keys as TiKV stores them for transactions (TiKV components/tikv_util/src/codec/bytes.rs,
// components/txn_types/src/types.rs): the user key in a form that keeps its order although other
// bytes follow, then a timestamp whose order is turned around, so that the newest version of a key
// comes first.
//
//   memcomparable(user key) ‖ be64(~ts)    column families write (commit_ts), default (start_ts)
//   memcomparable(user key)                column family lock
//
// The store itself, and every SST file of a backup, has the data prefix 'z' before that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"

namespace kvbackup::inline v1 {

/// Groups of that many bytes of a user key get a marker byte behind them.
inline constexpr std::size_t memcomparable_group = 8;
/// Bytes of the timestamp at the end of a key.
inline constexpr std::size_t mvcc_ts_size = 8;

/// Bytes that a user key of `size` bytes takes in memcomparable form.
[[nodiscard]] constexpr std::size_t memcomparable_size(std::size_t size) noexcept {
  return (size / memcomparable_group + 1) * (memcomparable_group + 1);
}

/// Appends the memcomparable form of `key`: groups of 8 bytes, each with 0xff less its padding
/// behind it, the last one always padded.
inline void append_memcomparable(std::string& out, ByteView key) {
  for (std::size_t at = 0; at <= key.size(); at += memcomparable_group) {
    const ByteView group = key.substr(at, memcomparable_group);
    const std::size_t padding = memcomparable_group - group.size();
    out.append(group);
    out.append(padding, '\0');
    out.push_back(static_cast<char>(0xff - padding));
  }
}
[[nodiscard]] inline std::string to_memcomparable(ByteView key) {
  std::string out;
  out.reserve(memcomparable_size(key.size()));
  append_memcomparable(out, key);
  return out;
}

/// Puts into `key` the user key whose memcomparable form is all of `bytes`. False, and what is in
/// `key` unspecified, if it is no such form: cut off, longer, or padded with anything but zeros.
[[nodiscard]] inline bool from_memcomparable(ByteView bytes, std::string& key) {
  key.clear();
  while (bytes.size() > memcomparable_group) {
    const ByteView group = bytes.substr(0, memcomparable_group);
    const std::size_t padding = 0xff - static_cast<unsigned char>(bytes[memcomparable_group]);
    bytes.remove_prefix(memcomparable_group + 1);
    if (padding > memcomparable_group) return false;
    key.append(group.substr(0, memcomparable_group - padding));
    if (padding == 0) continue;
    return bytes.empty() &&
           group.find_first_not_of('\0', memcomparable_group - padding) == ByteView::npos;
  }
  return false;
}

inline void append_mvcc_ts(std::string& out, std::uint64_t ts) { append_be64(out, ~ts); }

/// The key of `user_key`'s version `ts` in column family write or default, without data prefix.
[[nodiscard]] inline std::string mvcc_key(ByteView user_key, std::uint64_t ts) {
  std::string out;
  out.reserve(memcomparable_size(user_key.size()) + mvcc_ts_size);
  append_memcomparable(out, user_key);
  append_mvcc_ts(out, ts);
  return out;
}

/// The two halves of a key in column family write or default.
struct MvccKey {
  ByteView row;  ///< the user key, memcomparable; a view into the key
  std::uint64_t ts = 0;
};

/// Splits `key`, which has no data prefix. Nothing if it has not the length of such a key; whether
/// `row` is memcomparable is from_memcomparable()'s to say.
[[nodiscard]] inline std::optional<MvccKey> split_mvcc_key(ByteView key) noexcept {
  if (key.size() <= mvcc_ts_size) return std::nullopt;
  const std::size_t row = key.size() - mvcc_ts_size;
  if (row % (memcomparable_group + 1) != 0) return std::nullopt;
  return MvccKey{key.substr(0, row), ~load_be64(key.data() + row)};
}

/// Bits of a timestamp of TiKV's oracle (PD's TSO) that count within a millisecond.
inline constexpr unsigned tso_logical_bits = 18;

/// The timestamp of the oracle for a moment, given in milliseconds since 1970-01-01 UTC; below 2^46
/// of them, which is the year 4199.
[[nodiscard]] constexpr std::uint64_t tso_from_unix_ms(std::uint64_t unix_ms) noexcept {
  return unix_ms << tso_logical_bits;
}
/// The moment of a timestamp of the oracle, in milliseconds since 1970-01-01 UTC.
[[nodiscard]] constexpr std::uint64_t unix_ms_of_tso(std::uint64_t ts) noexcept {
  return ts >> tso_logical_bits;
}

}  // namespace kvbackup::inline v1
