// SPDX-License-Identifier: Apache-2.0
// One version of a key as a pair: how an MVCC source hands to a layout what stands in two column
// families. It is never stored.
//
//   le64(commit_ts) ‖ le32(size of the write record) ‖ write record ‖ value of column family
//   default
//
// The last is there only where the record has a large value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/source/mvcc_records.hpp"

namespace kvbackup::inline v1 {

/// A version of a user key. The views live as long as what it was unpacked from.
struct MvccEntry {
  std::uint64_t commit_ts = 0;
  ByteView record;  ///< of column family write, verbatim
  MvccWrite write;  ///< the same, parsed
  ByteView large;   ///< the value in column family default, where write.has_large_value()

  /// The value that the version gives its key; empty where it removes the key.
  [[nodiscard]] ByteView value() const noexcept {
    return write.has_large_value() ? large : write.short_value.value_or(ByteView());
  }
};

/// Puts a version into `out`. `large` is empty where the record has a short value.
inline void pack_mvcc_entry(std::string& out, std::uint64_t commit_ts, ByteView record,
                            ByteView large) {
  out.clear();
  append_le64(out, commit_ts);
  append_le32(out, static_cast<std::uint32_t>(record.size()));
  out.append(record);
  out.append(large);
}

/// invalid_argument if `bytes` are no version, corruption if its record is none.
[[nodiscard]] inline Result<MvccEntry> unpack_mvcc_entry(ByteView bytes) {
  constexpr std::size_t head = 12;
  const auto refused = [] {
    return Status::error(StatusCode::invalid_argument,
                         "these are no versions of keys: an MVCC layout stores what an MVCC "
                         "snapshot gives");
  };
  if (bytes.size() < head) return refused();
  const std::size_t size = load_le32(bytes.data() + 8);
  if (bytes.size() - head < size) return refused();
  MvccEntry entry;
  entry.commit_ts = load_le64(bytes.data());
  entry.record = bytes.substr(head, size);
  entry.large = bytes.substr(head + size);
  auto write = parse_mvcc_write(entry.record);
  if (!write.ok()) return std::move(write).status();
  entry.write = write.value();
  if (!entry.large.empty() && !entry.write.has_large_value()) return refused();
  return entry;
}

}  // namespace kvbackup::inline v1
