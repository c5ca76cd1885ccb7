// SPDX-License-Identifier: Apache-2.0
// The properties block of an SST.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/options.hpp"

namespace kvbackup::inline v1 {

/// Sizes and counts of a finished table.
struct TableSummary {
  std::uint64_t file_size = 0;
  std::uint64_t num_entries = 0;
  std::uint64_t data_size = 0;    ///< stored data blocks with their trailers
  std::uint64_t index_size = 0;   ///< index blocks before compression, and one trailer
  std::uint64_t filter_size = 0;  ///< filter blocks without their trailers; 0 = none
  std::uint64_t num_data_blocks = 0;
  std::uint64_t raw_key_size = 0;  ///< user keys, and 8 bytes for each
  std::uint64_t raw_value_size = 0;
  std::uint64_t num_filter_entries = 0;    ///< keys and prefixes in the filter
  std::uint64_t index_partitions = 0;      ///< 0 = an index of one level
  std::uint64_t top_level_index_size = 0;  ///< of a two-level index, without its trailer
};

namespace detail {

/// The name that RocksDB gives all its built-in filters in the metaindex.
inline constexpr std::string_view filter_policy_name = "rocksdb.BuiltinBloomFilter";
/// Key of the properties block in the metaindex.
inline constexpr std::string_view properties_block_name = "rocksdb.properties";

/// Collects names and values in any order and writes them in theirs.
class PropertyBlockBuilder {
 public:
  void add(std::string_view name, ByteView bytes) { entries_.emplace_back(name, bytes); }
  void add_varint(std::string_view name, std::uint64_t v) {
    std::string bytes;
    append_varint(bytes, v);
    add(name, bytes);
  }
  void add_le32(std::string_view name, std::uint32_t v) {
    std::string bytes;
    append_le32(bytes, v);
    add(name, bytes);
  }
  void add_le64(std::string_view name, std::uint64_t v) {
    std::string bytes;
    append_le64(bytes, v);
    add(name, bytes);
  }

  /// False if a name was given twice, which readers refuse.
  [[nodiscard]] bool sort() {
    const auto by_name = [](const auto& a, const auto& b) { return a.first < b.first; };
    const auto same_name = [](const auto& a, const auto& b) { return a.first == b.first; };
    std::sort(entries_.begin(), entries_.end(), by_name);
    return std::adjacent_find(entries_.begin(), entries_.end(), same_name) == entries_.end();
  }
  /// After sort(): the block's payload.
  [[nodiscard]] GrowingBuffer& finish() {
    for (const auto& [name, bytes] : entries_) block_.add(name, bytes);
    return block_.finish();
  }

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
  MetaBlockBuilder block_{std::numeric_limits<std::uint32_t>::max()};
};

inline void add_identity(PropertyBlockBuilder& out, const TableIdentity& identity) {
  const auto add_if_given = [&out](std::string_view name, const std::string& text) {
    if (!text.empty()) out.add(name, text);
  };
  add_if_given("rocksdb.creating.db.identity", identity.database);
  add_if_given("rocksdb.creating.session.identity", identity.session);
  add_if_given("rocksdb.creating.host.identity", identity.host);
  if (identity.file_number) {
    out.add_varint("rocksdb.original.file.number", *identity.file_number);
  }
}

/// The properties that the options' dialect has. But for an identity that is given, nothing in them
/// tells of the writer or the time, so equal content gives equal bytes.
inline void add_table_properties(PropertyBlockBuilder& out, const TableOptions& options,
                                 const TableSummary& summary, std::string_view codec_name,
                                 std::string_view collectors) {
  constexpr std::uint64_t unknown_column_family = 0x7fffffff;
  out.add_varint("rocksdb.raw.key.size", summary.raw_key_size);
  out.add_varint("rocksdb.raw.value.size", summary.raw_value_size);
  out.add_varint("rocksdb.data.size", summary.data_size);
  out.add_varint("rocksdb.index.size", summary.index_size);
  out.add_varint("rocksdb.filter.size", summary.filter_size);
  out.add_varint("rocksdb.num.entries", summary.num_entries);
  out.add_varint("rocksdb.num.data.blocks", summary.num_data_blocks);
  if (summary.index_partitions > 0) {
    out.add_varint("rocksdb.index.partitions", summary.index_partitions);
    out.add_varint("rocksdb.top-level.index.size", summary.top_level_index_size);
  }
  out.add_varint("rocksdb.index.key.is.user.key", options.user_keys_in_index() ? 1 : 0);
  out.add_varint("rocksdb.index.value.is.delta.encoded", options.delta_handles_in_index() ? 1 : 0);
  for (const std::string_view zero :
       {"rocksdb.deleted.keys", "rocksdb.merge.operands", "rocksdb.num.range-deletions",
        "rocksdb.format.version", "rocksdb.fixed.key.length", "rocksdb.creation.time",
        "rocksdb.oldest.key.time"}) {
    out.add_varint(zero, 0);
  }
  const bool is_7_8 = options.dialect == TableDialect::rocksdb_7_8;
  if (is_7_8) out.add_varint("rocksdb.num.filter_entries", summary.num_filter_entries);
  out.add_varint("rocksdb.column.family.id", unknown_column_family);
  if (options.has_filter()) {
    out.add("rocksdb.filter.policy", is_7_8 ? "bloomfilter" : filter_policy_name);
  }
  out.add("rocksdb.comparator", "leveldb.BytewiseComparator");
  out.add("rocksdb.merge.operator", "nullptr");
  out.add("rocksdb.prefix.extractor.name", options.prefix_extractor.name());
  std::string list(1, '[');
  list.append(collectors);
  list.push_back(']');
  out.add("rocksdb.property.collectors", list);
  out.add("rocksdb.compression", codec_name);
  out.add("rocksdb.compression_options", options.compression_options);
  out.add_le32("rocksdb.block.based.table.index.type",
               static_cast<std::uint32_t>(options.index_type));
  out.add("rocksdb.block.based.table.whole.key.filtering", options.whole_key_filtering ? "1" : "0");
  out.add("rocksdb.block.based.table.prefix.filtering",
          options.prefix_extractor.enabled() ? "1" : "0");
  // What makes a file one for ingestion: the version, and a place for the sequence number that the
  // ingesting store assigns.
  out.add_le32("rocksdb.external_sst_file.version", 2);
  out.add_le64("rocksdb.external_sst_file.global_seqno", 0);
  add_identity(out, options.identity);
}

}  // namespace detail
}  // namespace kvbackup::inline v1
