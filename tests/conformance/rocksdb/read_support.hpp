// SPDX-License-Identifier: Apache-2.0
// What our reader says of a table, in a form that is compared with RocksDB's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "conformance/rocksdb/rocksdb_support.hpp"
#include "support/catch.hpp"

namespace rocksdb_test {

using FileReader = kvbackup::TableReader<kvbackup::PosixFile, kvbackup::BuiltDecoders>;

/// An entry as it is stored.
struct StoredEntry {
  std::string key;
  std::uint64_t sequence;
  int type;
  std::string value;
  friend bool operator==(const StoredEntry&, const StoredEntry&) = default;
};

inline FileReader open_ours(const std::string& path, kvbackup::TableReaderOptions options = {}) {
  auto file = kvbackup::PosixFile::open(path);
  require_ok(file.status());
  auto reader = FileReader::open(std::move(file).value(), {}, std::move(options));
  require_ok(reader.status());
  return std::move(reader).value();
}

inline std::vector<StoredEntry> our_entries(const FileReader& reader) {
  std::vector<StoredEntry> out;
  auto it = reader.entries();
  for (; it.valid(); it.next()) {
    out.push_back({std::string(it.key()), it.sequence(), static_cast<int>(it.type()),
                   std::string(it.value())});
  }
  require_ok(it.status());
  return out;
}

/// Without Catch's own comparison, which would print every entry.
inline bool same_entries(const std::vector<StoredEntry>& ours,
                         const std::vector<StoredEntry>& theirs) {
  if (ours == theirs) return true;
  const auto [a, b] = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end());
  const auto text = [](const StoredEntry& e) {
    return kvbackup::to_hex(e.key) + " " + std::to_string(e.sequence) + " " +
           std::to_string(e.type) + " value of " + std::to_string(e.value.size());
  };
  UNSCOPED_INFO(ours.size() << " entries of ours and " << theirs.size()
                            << " of theirs; first difference at " << a - ours.begin() << ": "
                            << (a == ours.end() ? "end" : text(*a)) << " and "
                            << (b == theirs.end() ? "end" : text(*b)));
  return false;
}

inline Model our_live_pairs(const FileReader& reader, kvbackup::ByteView start = {},
                            kvbackup::ByteView end = {}) {
  Model out;
  auto source = reader.source(start, end);
  bool rises = true;
  for (; source.valid(); source.next()) {
    rises = rises && (out.empty() || out.rbegin()->first < source.key());
    out.emplace_hint(out.end(), source.key(), source.value());
  }
  CHECK(rises);
  require_ok(source.status());
  return out;
}

/// Each entry is found by seek(), as the first of its key.
inline void check_seeks(const FileReader& reader, const std::vector<StoredEntry>& entries) {
  auto it = reader.cursor();
  std::size_t wrong = 0;
  const std::size_t step = entries.size() / 500 + 1;
  for (std::size_t i = 0; i < entries.size(); i += step) {
    std::size_t first = i;
    while (first > 0 && entries[first - 1].key == entries[i].key) --first;
    it.seek(entries[i].key);
    wrong += !it.valid() || it.key() != entries[first].key ||
             it.sequence() != entries[first].sequence || it.value() != entries[first].value;
    // between this key and the next one
    std::size_t next = i;
    while (next < entries.size() && entries[next].key == entries[i].key) ++next;
    it.seek(entries[i].key + '\0');
    if (next == entries.size()) {
      wrong += it.valid();
    } else {
      wrong += !it.valid() || it.key() != entries[next].key;
    }
    wrong += !it.status().ok();
  }
  CHECK(wrong == 0);
}

/// RocksDB's own reading of the properties.
inline void check_properties(const kvbackup::TableProperties& ours,
                             const rocksdb::TableProperties& theirs) {
  CHECK(ours.num_entries == theirs.num_entries);
  CHECK(ours.num_deletions == theirs.num_deletions);
  CHECK(ours.num_merge_operands == theirs.num_merge_operands);
  CHECK(ours.num_range_deletions == theirs.num_range_deletions);
  CHECK(ours.num_data_blocks == theirs.num_data_blocks);
  CHECK(ours.num_filter_entries == theirs.num_filter_entries);
  CHECK(ours.data_size == theirs.data_size);
  CHECK(ours.index_size == theirs.index_size);
  CHECK(ours.filter_size == theirs.filter_size);
  CHECK(ours.index_partitions == theirs.index_partitions);
  CHECK(ours.top_level_index_size == theirs.top_level_index_size);
  CHECK(ours.raw_key_size == theirs.raw_key_size);
  CHECK(ours.raw_value_size == theirs.raw_value_size);
  CHECK(ours.fixed_key_length == theirs.fixed_key_len);
  CHECK(ours.creation_time == theirs.creation_time);
  CHECK(ours.oldest_key_time == theirs.oldest_key_time);
  CHECK(ours.file_creation_time == theirs.file_creation_time);
  CHECK(ours.column_family_id == theirs.column_family_id);
  CHECK(ours.original_file_number == theirs.orig_file_number);
  CHECK(ours.index_key_is_user_key == (theirs.index_key_is_user_key != 0));
  CHECK(ours.index_value_is_delta_encoded == (theirs.index_value_is_delta_encoded != 0));
  CHECK(ours.column_family_name == theirs.column_family_name);
  CHECK(ours.comparator == theirs.comparator_name);
  CHECK(ours.compression == theirs.compression_name);
  CHECK(ours.compression_options == theirs.compression_options);
  CHECK(ours.filter_policy == theirs.filter_policy_name);
  CHECK(ours.merge_operator == theirs.merge_operator_name);
  CHECK(ours.prefix_extractor == theirs.prefix_extractor_name);
  CHECK(ours.property_collectors == theirs.property_collectors_names);
  CHECK(ours.db_identity == theirs.db_id);
  CHECK(ours.session_identity == theirs.db_session_id);
  CHECK(ours.host_identity == theirs.db_host_id);
  // those that RocksDB keeps as text are its user properties, and some of its own
  std::size_t missing = 0;
  for (const auto& [name, bytes] : theirs.user_collected_properties) {
    const auto found = ours.find(name);
    missing += !found || *found != bytes;
  }
  CHECK(missing == 0);
}

/// Appends operands with commas.
class JoiningOperator final : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice&, const rocksdb::Slice* existing, const rocksdb::Slice& operand,
             std::string* out, rocksdb::Logger*) const override {
    if (existing != nullptr) *out = existing->ToString() + ",";
    out->append(operand.data(), operand.size());
    return true;
  }
  [[nodiscard]] const char* Name() const override { return "joining"; }
};

}  // namespace rocksdb_test
