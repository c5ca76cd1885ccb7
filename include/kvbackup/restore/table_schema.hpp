// SPDX-License-Identifier: Apache-2.0
// Tables of TiDB, as a backup's schemas and the keys of its files name them.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/json_fields.hpp"
#include "kvbackup/proto/backup.hpp"

namespace kvbackup::inline v1 {

/// What of a key of TiDB says where it belongs: 't', the table's id, then "_r" before a row's
/// handle, or "_i", the index's id and its columns (TiDB tablecodec).
struct TableKey {
  std::int64_t table = 0;
  /// Set where the key begins with all of "_i" and an id.
  std::optional<std::int64_t> index;
  bool is_row = false;
};

/// Reads the front of a user key; nothing if it is of no table.
[[nodiscard]] inline std::optional<TableKey> parse_table_key(ByteView key) {
  constexpr std::size_t id_size = 8;
  // the sign bit is turned over, so that ids are in order as bytes
  const auto id_at = [key](std::size_t at) {
    return static_cast<std::int64_t>(load_be64(key.data() + at) ^ (std::uint64_t{1} << 63));
  };
  constexpr std::size_t kind_at = 1 + id_size;
  if (key.size() < kind_at || key.front() != 't') return std::nullopt;
  TableKey out;
  out.table = id_at(1);
  const ByteView kind = key.substr(kind_at, 2);
  out.is_row = kind == ByteView("_r");
  if (kind == ByteView("_i") && key.size() >= kind_at + 2 + id_size) out.index = id_at(kind_at + 2);
  return out;
}

/// What a Schema of a backup says of its table, as far as a restore needs it.
struct TableSchema {
  std::string db;
  std::string table;
  std::int64_t id = 0;
  std::vector<std::int64_t> partitions;  ///< ids, under which the rows of a partitioned table are
  std::vector<std::int64_t> indexes;

  /// "`db`.`table`".
  [[nodiscard]] std::string name() const { return "`" + db + "`.`" + table + "`"; }
  /// The ids that stand in the keys of this table.
  [[nodiscard]] std::vector<std::int64_t> key_ids() const {
    std::vector<std::int64_t> ids = partitions;
    ids.insert(ids.begin(), id);
    return ids;
  }
  [[nodiscard]] bool has_index(std::int64_t index) const {
    return std::find(indexes.begin(), indexes.end(), index) != indexes.end();
  }
};

/// Reads TiDB's DBInfo and TableInfo (parser/model) out of `schema`. corruption where either is no
/// JSON, or lacks its name or id.
[[nodiscard]] inline Result<TableSchema> parse_schema(const Schema& schema) {
  const auto broken = [](const char* what) { return Status::error(StatusCode::corruption, what); };
  TableSchema out;
  const Status db = scan_json(schema.db, [&out](std::string_view path, std::string_view value) {
    if (path == "db_name/O") out.db = value;
    return Status();
  });
  if (!db.ok() || out.db.empty()) return broken("its database is no DBInfo of TiDB as JSON");
  const auto id_of = [](std::string_view text) {
    std::int64_t id = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), id);
    return failed == std::errc() && end == text.data() + text.size() ? id : 0;
  };
  const Status table = scan_json(schema.table, [&](std::string_view path, std::string_view value) {
    if (path == "name/O") out.table = value;
    if (path == "id") out.id = id_of(value);
    if (path == "index_info/[]/id") out.indexes.push_back(id_of(value));
    if (path == "partition/definitions/[]/id") out.partitions.push_back(id_of(value));
    return Status();
  });
  if (!table.ok() || out.table.empty() || out.id == 0) {
    return broken("its table is no TableInfo of TiDB as JSON");
  }
  return out;
}

/// Whether a schema says what the pairs of its table amount to. BR leaves that out of incremental
/// backups, and with --checksum=false.
[[nodiscard]] inline bool has_checksum(const Schema& schema) {
  return schema.crc64xor != 0 || schema.total_kvs != 0 || schema.total_bytes != 0;
}

/// Whether the backup shows a whole state, not the changes since another one. BR counts one that
/// begins where it ends as whole too.
[[nodiscard]] inline bool is_full(const BackupMeta& meta) {
  return meta.start_version == 0 || meta.start_version == meta.end_version;
}

}  // namespace kvbackup::inline v1
