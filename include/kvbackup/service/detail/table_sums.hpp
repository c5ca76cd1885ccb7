// SPDX-License-Identifier: Apache-2.0
// The sums of each table, as BR's "fast checksum" makes them: of the files whose start key is of
// it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/schema_check.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/pair_sums.hpp"
#include "kvbackup/restore/table_schema.hpp"
#include "kvbackup/service/detail/answer_check.hpp"
#include "kvbackup/service/table_ranges.hpp"

namespace kvbackup::inline v1::detail {

/// The tables that a backup describes. Borrows its schemas.
class TableSums {
 public:
  /// Reads what the schemas say. Errors: invalid_argument, naming the one that cannot be read or
  /// whose keys are another one's too.
  [[nodiscard]] static Result<TableSums> make(const std::vector<Schema>& schemas) {
    TableSums out;
    for (std::size_t i = 0; i < schemas.size(); ++i) {
      auto table = parse_schema(schemas[i]);
      if (!table.ok()) {
        return Status::error(
            StatusCode::invalid_argument,
            "of schema " + std::to_string(i) + ", " + std::string(table.status().message()));
      }
      for (const std::int64_t id : table.value().key_ids()) {
        if (out.table_of_.emplace(id, i).second) continue;
        return Status::error(StatusCode::invalid_argument,
                             "two schemas are of tables with the id " + std::to_string(id))
            .with_object(table.value().name());
      }
      out.tables_.push_back(std::move(table).value());
    }
    return out;
  }

  /// The keys of all tables, sorted.
  [[nodiscard]] std::vector<KeyRange> key_ranges() const {
    std::vector<KeyRange> all;
    for (const TableSchema& table : tables_) {
      for (KeyRange& keys : table_key_ranges(table)) all.push_back(std::move(keys));
    }
    std::sort(all.begin(), all.end(),
              [](const KeyRange& a, const KeyRange& b) { return a.start < b.start; });
    return all;
  }

  /// Fills in the sums of `meta`'s schemas that have none, and compares the others. What cannot be
  /// summed goes to `notes`: a table of which not all keys were asked for, or one with a file that
  /// holds keys of others, which BR would not restore. Errors: corruption, naming the table.
  [[nodiscard]] Status settle(BackupMeta& meta, const std::vector<KeyRange>& asked,
                              std::vector<Status>& notes) const {
    if (tables_.empty() || !is_full(meta)) return {};
    const std::vector<bool> is_shared = find_shared(meta.files);
    const std::map<std::int64_t, PairSums> sums = sums_by_table(meta);
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      const char* unknown = nullptr;
      if (is_shared[i]) {
        unknown =
            "a file holds keys of another table too, which BR does not restore; leave --start "
            "and --end out, and the keys of each table are asked for";
      }
      if (!are_covered(table_key_ranges(tables_[i]), asked)) {
        unknown = "not all of its keys were asked for";
      }
      if (unknown != nullptr) {
        notes.push_back(
            Status::error(StatusCode::unsupported,
                          std::string("the sums of a table are left as given: ") + unknown)
                .with_object(tables_[i].name()));
        continue;
      }
      if (Status status = settle_one(meta.schemas[i], tables_[i], sums); !status.ok()) {
        return status;
      }
    }
    return {};
  }

 private:
  [[nodiscard]] static Status settle_one(Schema& schema, const TableSchema& table,
                                         const std::map<std::int64_t, PairSums>& sums) {
    PairSums found;
    for (const std::int64_t id : table.key_ids()) {
      if (const auto at = sums.find(id); at != sums.end()) found.add(at->second);
    }
    if (!has_checksum(schema)) {
      schema.crc64xor = found.crc64xor;
      schema.total_kvs = found.pairs;
      schema.total_bytes = found.bytes;
      return {};
    }
    const PairSums given{schema.total_kvs, schema.total_bytes, schema.crc64xor};
    if (found == given) return {};
    return Status::error(StatusCode::corruption,
                         "the files of a table do not amount to its checksum: its schema says " +
                             describe(given) + ", and its files have " + describe(found))
        .with_object(table.name());
  }

  /// The tables with a file that goes beyond one of them.
  [[nodiscard]] std::vector<bool> find_shared(const std::vector<File>& files) const {
    const std::vector<std::pair<std::int64_t, std::size_t>> in_order(table_of_.begin(),
                                                                     table_of_.end());
    std::vector<bool> is_shared(tables_.size(), false);
    for (const File& file : files) {
      const auto key = parse_table_key(file.start_key);
      if (key && is_within(file.start_key, file.end_key, {}, table_key_prefix(key->table, "~"))) {
        continue;
      }
      auto at = std::partition_point(in_order.begin(), in_order.end(), [&file](const auto& each) {
        return table_key_prefix(each.first, "~") <= file.start_key;
      });
      for (; at != in_order.end() && begins_before(table_key_prefix(at->first, ""), file.end_key);
           ++at) {
        is_shared[at->second] = true;
      }
    }
    return is_shared;
  }

  [[nodiscard]] static bool are_covered(const std::vector<KeyRange>& keys,
                                        const std::vector<KeyRange>& asked) {
    return std::all_of(keys.begin(), keys.end(), [&asked](const KeyRange& each) {
      const auto after = std::partition_point(
          asked.begin(), asked.end(),
          [&each](const KeyRange& range) { return range.start <= each.start; });
      return after != asked.begin() && ends_within(each.end, std::prev(after)->end);
    });
  }

  std::vector<TableSchema> tables_;
  std::map<std::int64_t, std::size_t> table_of_;  // by the ids in keys
};

}  // namespace kvbackup::inline v1::detail
