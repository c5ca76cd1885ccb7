// SPDX-License-Identifier: Apache-2.0
// The key ranges that BR asks for to back up a table of TiDB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/restore/table_schema.hpp"

namespace kvbackup::inline v1 {

/// 't', the id with its sign bit turned over, `kind`: the front of keys of a table or partition.
[[nodiscard]] inline std::string table_key_prefix(std::int64_t id, std::string_view kind) {
  std::string key = "t";
  append_be64(key, static_cast<std::uint64_t>(id) ^ (std::uint64_t{1} << 63));
  key += kind;
  return key;
}

/// The rows of a table, then each of its indexes; of a partitioned one, those of each partition.
/// Their bounds are those of BR (br pkg/backup/client.go buildTableRange): every handle there is,
/// and from an index's null to behind its highest flag byte, 0xfa.
[[nodiscard]] inline std::vector<KeyRange> table_key_ranges(const TableSchema& table) {
  std::vector<KeyRange> ranges;
  const auto add = [&ranges](std::string start, std::string end) {
    ranges.push_back({std::string(default_cf), std::move(start), std::move(end)});
  };
  const auto add_table = [&](std::int64_t id) {
    for (const std::int64_t index : table.indexes) {
      std::string prefix = table_key_prefix(id, "_i");
      append_be64(prefix, static_cast<std::uint64_t>(index) ^ (std::uint64_t{1} << 63));
      add(prefix + '\0', prefix + '\xfb');
    }
    const std::string rows = table_key_prefix(id, "_r");
    add(rows + std::string(8, '\0'), rows + std::string(8, '\xff') + '\0');
  };
  if (table.partitions.empty()) {
    add_table(table.id);
  } else {
    for (const std::int64_t id : table.partitions) add_table(id);
  }
  return ranges;
}

}  // namespace kvbackup::inline v1
