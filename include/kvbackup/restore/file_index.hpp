// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/backup.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// The column family of a file; BR means "default" where it names none.
[[nodiscard]] inline std::string_view cf_of(const File& file) {
  return file.cf.empty() ? default_cf : std::string_view(file.cf);
}
/// Whether the keys before `end` (empty: all there are) end at or before `other_end`.
[[nodiscard]] inline bool ends_within(ByteView end, ByteView other_end) {
  return other_end.empty() || (!end.empty() && end <= other_end);
}
/// Whether a range that begins at `start` begins before one that stops at `end` stops.
[[nodiscard]] inline bool begins_before(ByteView start, ByteView end) {
  return end.empty() || start < end;
}
/// No key can lie in [start_key, end_key).
[[nodiscard]] inline bool is_inverted(const File& file) {
  return !file.end_key.empty() && file.start_key >= file.end_key;
}

}  // namespace detail

/// Which files of a backup answer for which keys of a column family. Borrows the list of files,
/// and names them by their place in it.
class FileIndex {
 public:
  explicit FileIndex(const std::vector<File>& files) : files_(&files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (!detail::is_inverted(files[i]))
        cfs_[std::string(detail::cf_of(files[i]))].files.push_back(i);
    }
    for (auto& [name, cf] : cfs_) {
      std::sort(cf.files.begin(), cf.files.end(), [&files](std::size_t a, std::size_t b) {
        const int order = files[a].start_key.compare(files[b].start_key);
        return order != 0 ? order < 0 : a < b;
      });
      find_overlap(cf);
    }
  }

  [[nodiscard]] bool has_cf(std::string_view cf) const { return cfs_.contains(cf); }
  /// The column families that have files, sorted.
  [[nodiscard]] std::vector<std::string> cfs() const {
    std::vector<std::string> names;
    for (const auto& [name, cf] : cfs_) names.push_back(name);
    return names;
  }

  /// The file that answers for `key`, or nothing where none does. corruption if files of the column
  /// family overlap: which of them is right cannot be told.
  [[nodiscard]] Result<std::optional<std::size_t>> find(std::string_view cf, ByteView key) const {
    const auto at = cfs_.find(cf);
    if (at == cfs_.end()) return std::optional<std::size_t>();
    if (Status status = check_disjoint(at->second); !status.ok()) return status;
    const auto& files = at->second.files;
    const auto after = first_after(files, key);
    if (after == files.begin()) return std::optional<std::size_t>();
    const std::size_t file = *std::prev(after);
    if (!detail::begins_before(key, (*files_)[file].end_key)) return std::optional<std::size_t>();
    return std::optional<std::size_t>(file);
  }

  /// The files that answer for keys of `range`, in key order; the view lives as long as the index.
  /// corruption as for find().
  [[nodiscard]] Result<std::span<const std::size_t>> overlapping(const KeyRange& range) const {
    const auto at = cfs_.find(range.cf);
    if (at == cfs_.end() || range.empty()) return std::span<const std::size_t>();
    if (Status status = check_disjoint(at->second); !status.ok()) return status;
    const auto& files = at->second.files;
    auto first = first_after(files, range.start);
    if (first != files.begin() &&
        detail::begins_before(range.start, (*files_)[*std::prev(first)].end_key)) {
      --first;
    }
    const auto last = std::partition_point(first, files.end(), [&](std::size_t file) {
      return detail::begins_before((*files_)[file].start_key, range.end);
    });
    return std::span<const std::size_t>(first, last);
  }

 private:
  struct ColumnFamily {
    std::vector<std::size_t> files;  // sorted by their start_key
    std::optional<std::pair<std::size_t, std::size_t>> overlap;
  };

  void find_overlap(ColumnFamily& cf) const {
    for (std::size_t i = 1; i < cf.files.size(); ++i) {
      const File& before = (*files_)[cf.files[i - 1]];
      if (!detail::begins_before((*files_)[cf.files[i]].start_key, before.end_key)) continue;
      cf.overlap.emplace(cf.files[i - 1], cf.files[i]);
      return;
    }
  }

  [[nodiscard]] Status check_disjoint(const ColumnFamily& cf) const {
    if (!cf.overlap) return {};
    const File& one = (*files_)[cf.overlap->first];
    const File& other = (*files_)[cf.overlap->second];
    return Status::error(StatusCode::corruption,
                         "two files hold the same keys: this one, and " + other.name)
        .with_object(one.name)
        .with_range(other.start_key, other.end_key);
  }

  // the first whose start_key is above `key`
  [[nodiscard]] std::vector<std::size_t>::const_iterator first_after(
      const std::vector<std::size_t>& files, ByteView key) const {
    return std::partition_point(files.begin(), files.end(), [&](std::size_t file) {
      return ByteView((*files_)[file].start_key) <= key;
    });
  }

  const std::vector<File>* files_;
  std::map<std::string, ColumnFamily, std::less<>> cfs_;
};

}  // namespace kvbackup::inline v1
