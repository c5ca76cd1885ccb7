// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kvbackup/sst/prefix_extractor.hpp"

namespace kvbackup::inline v1 {

/// When a lookup asks the filter before it reads a data block.
enum class FilterUse : std::uint8_t {
  /// If it is in memory, or no longer than the data block that it could save, or than the data
  /// blocks together that were read for keys that were not there.
  when_it_pays,
  always,
  never,
};

/// How a table is read.
struct TableReaderOptions {
  /// What messages call the file; left empty, the file's own name if it has one.
  std::string name{};
  /// Bytes at the end of the file that are read first, at once, and kept: footer, properties and,
  /// where they are no longer than that, index and filter.
  std::size_t tail_bytes = 64 * 1024;
  /// Bytes that an iterator reads at a time once it goes on forward.
  std::size_t read_ahead = 256 * 1024;
  FilterUse filter = FilterUse::when_it_pays;
  /// The extractor of the table's prefixes where its name does not say all of it (TiKV's does not).
  /// It counts only if its name is the one that the table records.
  PrefixExtractor prefix_extractor{};
};

/// How often a reader did what.
struct TableReaderCounters {
  std::uint64_t data_blocks_read = 0;  ///< without those that came from the cache
  std::uint64_t filter_checked = 0;
  std::uint64_t filter_useful = 0;  ///< lookups that read no data block because of the filter
};

}  // namespace kvbackup::inline v1
