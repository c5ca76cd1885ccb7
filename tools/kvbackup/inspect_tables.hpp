// SPDX-License-Identifier: Apache-2.0
// What `kvbackup inspect` shows of the tables inside a backup's files.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "program.hpp"

namespace program {

/// How many numbers fell between which powers of two.
class Histogram {
 public:
  void add(std::uint64_t number);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// A line for each power of two between the smallest and the largest number: range, count, share
  /// and a bar; none if nothing was added.
  [[nodiscard]] std::string text(std::string_view title, std::string_view unit) const;
  /// {"count": ..., "min": ..., "max": ..., "mean": ..., "buckets": [{"from", "below", "count"}]}
  [[nodiscard]] std::string json() const;

 private:
  struct Bucket {
    std::uint64_t from;   ///< first number in it
    std::uint64_t below;  ///< first number behind it; 0 = there is none
    std::uint64_t count;
  };
  [[nodiscard]] std::vector<Bucket> buckets() const;

  std::array<std::uint64_t, 65> counts_{};  // [0] zeros, [i] numbers of i bits
  std::uint64_t count_ = 0;
  std::uint64_t least_ = UINT64_MAX;
  std::uint64_t most_ = 0;
  double sum_ = 0;
};

/// Sizes in bytes, over all files.
struct SizeHistograms {
  Histogram keys;  ///< without the backup's prefix
  Histogram values;
  Histogram blocks;  ///< of data, as they are stored
};

/// A file's table, or why it cannot be read.
struct TableSummary {
  kvbackup::Status status;
  kvbackup::TableProperties properties;
  std::uint32_t format_version = 0;
  kvbackup::ChecksumKind checksum = kvbackup::ChecksumKind::none;

  /// Bytes of keys and values for a byte of data blocks; 0 if there are none.
  [[nodiscard]] double ratio() const;
};

/// Opens the tables of all files, in their order.
[[nodiscard]] std::vector<TableSummary> summarize_tables(kvbackup::BuiltBackends& backend,
                                                         const kvbackup::Manifest& manifest);
/// Reads every entry of all files.
[[nodiscard]] kvbackup::Result<SizeHistograms> measure_sizes(kvbackup::BuiltBackends& backend,
                                                             const kvbackup::Manifest& manifest);

void print_tables(const kvbackup::BackupMeta& meta, const std::vector<TableSummary>& tables);
/// An array with an object a file.
[[nodiscard]] std::string tables_json(const kvbackup::BackupMeta& meta,
                                      const std::vector<TableSummary>& tables);

}  // namespace program
