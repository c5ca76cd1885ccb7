// SPDX-License-Identifier: Apache-2.0
// Between the logical keys of a backup and the keys inside its files.
#pragma once

#include <string>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/source/mvcc_keys.hpp"

namespace kvbackup::inline v1::detail {

/// What stands before every key of BR's files: TiKV's DATA_PREFIX (components/keys/src/lib.rs).
inline constexpr std::string_view br_key_prefix = "z";

[[nodiscard]] inline std::string_view key_prefix_of(const Manifest& manifest) {
  return manifest.info ? std::string_view(manifest.info->key_prefix) : br_key_prefix;
}

/// The first key that does not begin with `prefix`; empty if there is none.
[[nodiscard]] inline std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

/// What `key` becomes in a file: of a transactional backup, the front of all keys of its versions.
[[nodiscard]] inline std::string stored_key(const Manifest& manifest, ByteView key) {
  std::string out(key_prefix_of(manifest));
  if (manifest.meta.is_raw_kv) {
    out += key;
  } else {
    append_memcomparable(out, key);
  }
  return out;
}

/// The keys that may stand in the file of [start, end) of a backup: [low, high), an empty `high` is
/// unbounded.
struct StoredRange {
  std::string low;
  std::string high;
};
[[nodiscard]] inline StoredRange stored_range(const Manifest& manifest, ByteView start,
                                              ByteView end) {
  const std::string_view prefix = key_prefix_of(manifest);
  StoredRange range{std::string(prefix), prefix_end(prefix)};
  if (!start.empty()) range.low = stored_key(manifest, start);
  if (!end.empty()) range.high = stored_key(manifest, end);
  return range;
}

}  // namespace kvbackup::inline v1::detail
