// SPDX-License-Identifier: Apache-2.0
// What the properties block of a table says of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

/// The properties of a table. What a table does not have is 0 or empty; LevelDB's have none.
struct TableProperties {
  std::uint64_t num_entries = 0;  ///< entries of all kinds, range tombstones too
  std::uint64_t num_deletions = 0;
  std::uint64_t num_merge_operands = 0;
  std::uint64_t num_range_deletions = 0;
  std::uint64_t num_data_blocks = 0;
  std::uint64_t num_filter_entries = 0;
  std::uint64_t data_size = 0;    ///< stored bytes of the data blocks
  std::uint64_t index_size = 0;   ///< plain bytes of the index
  std::uint64_t filter_size = 0;  ///< bytes of the filter
  std::uint64_t index_partitions = 0;
  std::uint64_t top_level_index_size = 0;
  std::uint64_t raw_key_size = 0;  ///< user keys, and 8 bytes for each
  std::uint64_t raw_value_size = 0;
  std::uint64_t fixed_key_length = 0;
  std::uint64_t creation_time = 0;              ///< seconds since 1970
  std::uint64_t oldest_key_time = 0;            ///< the same
  std::uint64_t file_creation_time = 0;         ///< the same
  std::uint64_t column_family_id = 0x7fffffff;  ///< that number = unknown
  std::uint64_t original_file_number = 0;
  std::uint32_t index_type = 0;  ///< 0 binary, 1 hash, 2 two levels, 3 binary with first keys
  bool index_key_is_user_key = false;
  bool index_value_is_delta_encoded = false;
  bool whole_key_filtering = true;
  bool prefix_filtering = true;
  /// What every stored sequence number stands for, if not 0: the number that a store assigned when
  /// it took the file in.
  std::uint64_t global_seqno = 0;
  std::uint32_t external_version = 0;  ///< 1 or 2 for files made for ingestion
  std::string column_family_name;
  std::string comparator;
  std::string compression;
  std::string compression_options;
  std::string filter_policy;
  std::string merge_operator;
  std::string prefix_extractor;
  std::string property_collectors;
  std::string db_identity;
  std::string session_identity;
  std::string host_identity;

  /// Every name and its bytes, in the file's order, which is that of the names.
  std::vector<std::pair<std::string, std::string>> all;

  /// The bytes of a property; nothing if the table does not have it.
  [[nodiscard]] std::optional<ByteView> find(std::string_view name) const {
    for (const auto& [known, bytes] : all) {
      if (known == name) return bytes;
    }
    return std::nullopt;
  }
  /// Those that are not RocksDB's own: a host's or, for example, TiKV's.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> user_properties() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& property : all) {
      if (!property.first.starts_with("rocksdb.")) out.push_back(property);
    }
    return out;
  }
};

namespace detail {

inline constexpr std::string_view global_seqno_name = "rocksdb.external_sst_file.global_seqno";

struct VarintProperty {
  std::string_view name;
  std::uint64_t TableProperties::*member;
};
inline constexpr VarintProperty varint_properties[] = {
    {"rocksdb.num.entries", &TableProperties::num_entries},
    {"rocksdb.deleted.keys", &TableProperties::num_deletions},
    {"rocksdb.merge.operands", &TableProperties::num_merge_operands},
    {"rocksdb.num.range-deletions", &TableProperties::num_range_deletions},
    {"rocksdb.num.data.blocks", &TableProperties::num_data_blocks},
    {"rocksdb.num.filter_entries", &TableProperties::num_filter_entries},
    {"rocksdb.data.size", &TableProperties::data_size},
    {"rocksdb.index.size", &TableProperties::index_size},
    {"rocksdb.filter.size", &TableProperties::filter_size},
    {"rocksdb.index.partitions", &TableProperties::index_partitions},
    {"rocksdb.top-level.index.size", &TableProperties::top_level_index_size},
    {"rocksdb.raw.key.size", &TableProperties::raw_key_size},
    {"rocksdb.raw.value.size", &TableProperties::raw_value_size},
    {"rocksdb.fixed.key.length", &TableProperties::fixed_key_length},
    {"rocksdb.creation.time", &TableProperties::creation_time},
    {"rocksdb.oldest.key.time", &TableProperties::oldest_key_time},
    {"rocksdb.file.creation.time", &TableProperties::file_creation_time},
    {"rocksdb.column.family.id", &TableProperties::column_family_id},
    {"rocksdb.original.file.number", &TableProperties::original_file_number},
};
struct BoolProperty {
  std::string_view name;
  bool TableProperties::*member;
};
inline constexpr BoolProperty bool_properties[] = {
    {"rocksdb.index.key.is.user.key", &TableProperties::index_key_is_user_key},
    {"rocksdb.index.value.is.delta.encoded", &TableProperties::index_value_is_delta_encoded},
};
struct TextProperty {
  std::string_view name;
  std::string TableProperties::*member;
};
inline constexpr TextProperty text_properties[] = {
    {"rocksdb.column.family.name", &TableProperties::column_family_name},
    {"rocksdb.comparator", &TableProperties::comparator},
    {"rocksdb.compression", &TableProperties::compression},
    {"rocksdb.compression_options", &TableProperties::compression_options},
    {"rocksdb.filter.policy", &TableProperties::filter_policy},
    {"rocksdb.merge.operator", &TableProperties::merge_operator},
    {"rocksdb.prefix.extractor.name", &TableProperties::prefix_extractor},
    {"rocksdb.property.collectors", &TableProperties::property_collectors},
    {"rocksdb.creating.db.identity", &TableProperties::db_identity},
    {"rocksdb.creating.session.identity", &TableProperties::session_identity},
    {"rocksdb.creating.host.identity", &TableProperties::host_identity},
};

/// Takes in one property; false if it is one whose bytes are not as they must be.
[[nodiscard]] inline bool take_property(TableProperties& out, std::string_view name,
                                        ByteView bytes) {
  for (const VarintProperty& known : varint_properties) {
    if (known.name != name) continue;
    return take_varint64(bytes, out.*known.member) && bytes.empty();
  }
  for (const BoolProperty& known : bool_properties) {
    if (known.name != name) continue;
    std::uint64_t v = 0;
    if (!take_varint64(bytes, v) || !bytes.empty()) return false;
    out.*known.member = v != 0;
    return true;
  }
  for (const TextProperty& known : text_properties) {
    if (known.name == name) out.*known.member = bytes;
  }
  if (name == "rocksdb.block.based.table.index.type") {
    if (bytes.size() != 4) return false;
    out.index_type = load_le32(bytes.data());
  } else if (name == "rocksdb.external_sst_file.version") {
    if (bytes.size() != 4) return false;
    out.external_version = load_le32(bytes.data());
  } else if (name == global_seqno_name) {
    if (bytes.size() != 8) return false;
    out.global_seqno = load_le64(bytes.data());
  } else if (name == "rocksdb.block.based.table.whole.key.filtering") {
    out.whole_key_filtering = bytes == "1";
  } else if (name == "rocksdb.block.based.table.prefix.filtering") {
    out.prefix_filtering = bytes == "1";
  }
  return true;
}

}  // namespace detail
}  // namespace kvbackup::inline v1
