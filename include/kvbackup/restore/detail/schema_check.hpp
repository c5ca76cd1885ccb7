// SPDX-License-Identifier: Apache-2.0
// Whether the files of a transactional backup amount to what its schemas say of their tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/pair_sums.hpp"
#include "kvbackup/restore/table_schema.hpp"
#include "kvbackup/restore/verify_report.hpp"

namespace kvbackup::inline v1::detail {

/// The sums of the files, by the id in their start key, as BR assigns them (br/pkg/checksum).
[[nodiscard]] inline std::map<std::int64_t, PairSums> sums_by_table(const BackupMeta& meta) {
  std::map<std::int64_t, PairSums> sums;
  for (const File& file : meta.files) {
    const auto key = parse_table_key(file.start_key);
    if (key) sums[key->table].add({file.total_kvs, file.total_bytes, file.crc64xor});
  }
  return sums;
}

[[nodiscard]] inline std::string describe(const PairSums& sums) {
  return std::to_string(sums.pairs) + " pairs of " + std::to_string(sums.bytes) +
         " bytes with crc64xor " + std::to_string(sums.crc64xor);
}

/// Reports each table whose files have other sums than its schema.
inline void check_schemas(const Manifest& manifest, VerifyReport& report) {
  const BackupMeta& meta = manifest.meta;
  if (meta.is_raw_kv || meta.schemas.empty()) return;
  const auto add = [&report](std::string what) {
    report.add({Severity::damage, std::string(backupmeta_name), std::nullopt, std::move(what)});
  };
  const auto sums = sums_by_table(meta);
  for (std::size_t i = 0; i < meta.schemas.size(); ++i) {
    const Schema& schema = meta.schemas[i];
    const auto table = parse_schema(schema);
    if (!table.ok()) {
      add("of schema " + std::to_string(i) + ", " + std::string(table.status().message()));
      continue;
    }
    if (!has_checksum(schema) || !is_full(meta)) continue;
    PairSums found;
    for (const std::int64_t id : table.value().key_ids()) {
      if (const auto at = sums.find(id); at != sums.end()) found.add(at->second);
    }
    const PairSums recorded{schema.total_kvs, schema.total_bytes, schema.crc64xor};
    if (found == recorded) continue;
    add("table " + table.value().name() + " (id " + std::to_string(table.value().id) +
        "): its schema says " + describe(recorded) + ", and its files have " + describe(found));
  }
}

}  // namespace kvbackup::inline v1::detail
