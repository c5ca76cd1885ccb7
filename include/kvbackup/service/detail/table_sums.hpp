// SPDX-License-Identifier: Apache-2.0
// The sums of each table, as BR's "fast checksum" makes them: of the files that hold its keys.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/service/coordinator_options.hpp"
#include "kvbackup/service/detail/answer_check.hpp"

namespace kvbackup::inline v1::detail {

/// Sums the files of a full backup table by table.
class TableSums {
 public:
  /// Borrows both. `asked`: what the files cover.
  TableSums(const std::vector<BackupTable>& tables, const std::vector<KeyRange>& asked)
      : tables_(tables), sums_(tables.size()) {
    for (std::size_t i = 0; i < tables.size(); ++i) {
      if (tables[i].key_ranges.empty()) sums_[i].unknown = "its key ranges are not known";
      for (const KeyRange& keys : tables[i].key_ranges) {
        pieces_.push_back({&keys, i});
        if (!is_covered(keys, asked)) sums_[i].unknown = "not all of its keys were asked for";
      }
    }
    std::sort(pieces_.begin(), pieces_.end(),
              [](const Piece& a, const Piece& b) { return a.keys->start < b.keys->start; });
  }

  /// Errors: two tables that claim the same keys.
  [[nodiscard]] Status check() const {
    for (std::size_t i = 1; i < pieces_.size(); ++i) {
      const Piece& before = pieces_[i - 1];
      if (!begins_before(pieces_[i].keys->start, before.keys->end)) continue;
      return Status::error(
                 StatusCode::invalid_argument,
                 "two tables have the same keys: this one, and " + tables_[pieces_[i].table].name)
          .with_object(tables_[before.table].name)
          .with_range(pieces_[i].keys->start, before.keys->end);
    }
    return {};
  }

  void add(const File& file) {
    auto piece = std::partition_point(pieces_.begin(), pieces_.end(), [&file](const Piece& each) {
      return each.keys->start <= file.start_key;
    });
    if (piece != pieces_.begin() && begins_before(file.start_key, std::prev(piece)->keys->end)) {
      --piece;
      if (ends_within(file.end_key, piece->keys->end)) {
        Sums& sums = sums_[piece->table];
        sums.crc64xor ^= file.crc64xor;
        sums.kvs += file.total_kvs;
        sums.bytes += file.total_bytes;
        return;
      }
    }
    for (; piece != pieces_.end() && begins_before(piece->keys->start, file.end_key); ++piece) {
      sums_[piece->table].unknown =
          "a file holds keys of others too, which BR does not restore; "
          "ask for the key ranges of the tables";
    }
  }

  /// Fills in the sums of `schemas`, which are those of the tables in their order, or compares
  /// them; what cannot be summed goes to `notes`. Errors: corruption, naming the table.
  [[nodiscard]] Status settle(std::vector<Schema>& schemas, std::vector<Status>& notes) const {
    for (std::size_t i = 0; i < schemas.size(); ++i) {
      Schema& schema = schemas[i];
      const Sums& sums = sums_[i];
      if (sums.unknown != nullptr) {
        notes.push_back(
            Status::error(StatusCode::unsupported,
                          std::string("the sums of a table are left as given: ") + sums.unknown)
                .with_object(tables_[i].name));
        continue;
      }
      if (schema.crc64xor == 0 && schema.total_kvs == 0 && schema.total_bytes == 0) {
        schema.crc64xor = sums.crc64xor;
        schema.total_kvs = sums.kvs;
        schema.total_bytes = sums.bytes;
      } else if (schema.crc64xor != sums.crc64xor || schema.total_kvs != sums.kvs ||
                 schema.total_bytes != sums.bytes) {
        return Status::error(StatusCode::corruption,
                             "the files of a table do not add up to its checksum: " +
                                 text_of(sums.crc64xor, sums.kvs, sums.bytes) + " in the files, " +
                                 text_of(schema.crc64xor, schema.total_kvs, schema.total_bytes) +
                                 " given")
            .with_object(tables_[i].name);
      }
    }
    return {};
  }

 private:
  struct Piece {
    const KeyRange* keys;
    std::size_t table;
  };
  struct Sums {
    std::uint64_t crc64xor = 0;
    std::uint64_t kvs = 0;
    std::uint64_t bytes = 0;
    const char* unknown = nullptr;
  };

  [[nodiscard]] static bool is_covered(const KeyRange& keys, const std::vector<KeyRange>& asked) {
    return std::any_of(asked.begin(), asked.end(), [&keys](const KeyRange& each) {
      return is_within(keys.start, keys.end, each.start, each.end);
    });
  }
  [[nodiscard]] static std::string text_of(std::uint64_t crc64xor, std::uint64_t kvs,
                                           std::uint64_t bytes) {
    return "crc64xor " + std::to_string(crc64xor) + ", " + std::to_string(kvs) + " pairs, " +
           std::to_string(bytes) + " bytes";
  }

  const std::vector<BackupTable>& tables_;
  std::vector<Piece> pieces_;  // by their start
  std::vector<Sums> sums_;     // of each table
};

}  // namespace kvbackup::inline v1::detail
