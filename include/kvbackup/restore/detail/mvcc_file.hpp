// SPDX-License-Identifier: Apache-2.0
// What the files of a transactional backup hold, version by version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/hash/crc64.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/coverage.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/verify_report.hpp"
#include "kvbackup/source/mvcc_keys.hpp"
#include "kvbackup/source/mvcc_records.hpp"
#include "kvbackup/source/mvcc_snapshot.hpp"

namespace kvbackup::inline v1::detail {

/// The large values that a file of column family default holds, or that one of write refers to.
struct LargeValues {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;  ///< of their keys' CRC-64: the same for the same keys in any order

  void add(ByteView stored_key) {
    ++count;
    sum += crc64_xz(stored_key);
  }
  friend bool operator==(const LargeValues&, const LargeValues&) = default;
};

/// Reads the entries of one file, in key order.
class MvccFile {
 public:
  /// Borrows the file's entry in backupmeta.
  explicit MvccFile(const File& file) : file_(file), is_write_(cf_of(file) == mvcc_write_cf) {
    if (!is_write_ && cf_of(file) != mvcc_default_cf) {
      problem_ = "entries of another column family than default and write";
    }
  }

  /// Calls count(user_key, value) if this file counts the entry. `key` has no data prefix.
  template <class Count>
  void add(ByteView key, ByteView value, Count&& count) {
    const auto split = split_mvcc_key(key);
    if (!split || !from_memcomparable(split->row, user_key_)) {
      problem_ = "keys that are not TiKV's of a version";
      return;
    }
    if (split->row == row_) problem_ = "two versions of one key";
    row_ = split->row;
    if (is_write_) return add_write(*split, value, count);
    large_.add(key);
    count(ByteView(user_key_), value);
  }

  [[nodiscard]] const LargeValues& large_values() const { return large_; }
  /// What the file should not hold, or null.
  [[nodiscard]] const char* problem() const { return problem_; }

 private:
  template <class Count>
  void add_write(const MvccKey& key, ByteView record, Count& count) {
    const auto parsed = parse_mvcc_write(record);
    if (!parsed.ok()) {
      problem_ = "write records that are not TiKV's";
      return;
    }
    const MvccWrite& write = parsed.value();
    // BR means a full backup by both
    const bool is_full = file_.start_version == 0 || file_.start_version == file_.end_version;
    if (file_.end_version != 0 &&
        (key.ts > file_.end_version || (!is_full && key.ts <= file_.start_version))) {
      problem_ = "versions outside of those that the backup is of";
    }
    switch (write.type) {
      case MvccWriteType::put: break;
      case MvccWriteType::remove:
        if (is_full && file_.end_version != 0) problem_ = "removals, which no full backup has";
        break;
      default: problem_ = "write records that say nothing of a value"; return;
    }
    if (!write.has_large_value()) {
      count(ByteView(user_key_), write.short_value.value_or(ByteView()));
      return;
    }
    version_key_ = key.row;
    append_mvcc_ts(version_key_, write.start_ts);
    large_.add(version_key_);
  }

  const File& file_;
  bool is_write_;
  std::string row_;
  std::string user_key_;
  std::string version_key_;
  LargeValues large_;
  const char* problem_ = nullptr;
};

/// Whether the files of each part agree about its large values. `values` are those of the files of
/// the backup, nothing where a file could not be read to its end.
inline void check_large_values(const std::vector<File>& files,
                               const std::vector<std::optional<LargeValues>>& values,
                               VerifyReport& report) {
  struct Sums {
    const File* first = nullptr;
    LargeValues in_default;
    LargeValues in_write;
    bool is_read = true;
    bool has_write = false;
  };
  std::map<std::string_view, Sums> parts;
  for (std::size_t i = 0; i < files.size(); ++i) {
    Sums& part = parts[stem_of(files[i].name)];
    if (part.first == nullptr) part.first = &files[i];
    part.is_read = part.is_read && values[i].has_value();
    const bool is_write = cf_of(files[i]) == mvcc_write_cf;
    part.has_write = part.has_write || is_write;
    if (values[i]) (is_write ? part.in_write : part.in_default) = *values[i];
  }
  for (const auto& [stem, part] : parts) {
    if (!part.is_read) continue;
    const File& file = *part.first;
    const auto add = [&](std::string what) {
      report.add({Severity::damage, file.name,
                  KeyRange{std::string(cf_of(file)), file.start_key, file.end_key},
                  std::move(what)});
    };
    if (!part.has_write) {
      add("the file of column family write of its part is not in the backup");
    } else if (part.in_write != part.in_default) {
      add("the versions of its part refer to " + std::to_string(part.in_write.count) +
          " large values, and column family default has " + std::to_string(part.in_default.count) +
          (part.in_write.count == part.in_default.count ? " others" : ""));
    }
  }
}

}  // namespace kvbackup::inline v1::detail
