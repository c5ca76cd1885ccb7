// SPDX-License-Identifier: Apache-2.0
// What BR asks of a backup before and while it restores it, as far as backupmeta tells it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/key_range.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/net/json_fields.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/key_domain.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/table_schema.hpp"
#include "kvbackup/restore/verify_report.hpp"

namespace kvbackup::inline v1::detail {

/// Reports as damage what BR refuses, loses or fails on (pingcap/br v5: restore/client.go,
/// restore/import.go, restore/util.go; TiKV v5: sst_importer).
class BrRules {
 public:
  BrRules(const Manifest& manifest, VerifyReport& report)
      : manifest_(manifest), meta_(manifest.meta), report_(report) {}

  void run() {
    if (key_prefix_of(manifest_) != br_key_prefix) {
      add("its keys have no 'z' before them, and TiKV ingests no others");
    }
    for (const File& file : meta_.files) check_file(file);
    if (meta_.is_raw_kv) {
      check_raw();
    } else {
      check_versions();
      check_ddls();
      check_tables();
    }
    if (!manifest_.info) check_overlaps();
  }

 private:
  using Tables = std::map<std::int64_t, const TableSchema*>;  // by the ids in their keys

  void add(std::string what, std::string object = std::string(backupmeta_name)) {
    report_.add({Severity::damage, std::move(object), std::nullopt,
                 "BR would not restore it: " + std::move(what)});
  }
  void add(const File& file, std::string what) {
    report_.add({Severity::damage, file.name,
                 KeyRange{std::string(cf_of(file)), file.start_key, file.end_key},
                 "BR would not restore it: " + std::move(what)});
  }

  // BR takes the column family from the name, and TiKV then knows no others.
  void check_file(const File& file) {
    constexpr std::size_t sha256_size = 32;
    std::string_view named;
    if (file.name.find("write") != std::string::npos) named = "write";
    if (file.name.find("default") != std::string::npos) named = "default";
    if (named.empty()) {
      add(file,
          "its name has neither \"default\" nor \"write\" in it, by which BR tells column "
          "families");
    } else if (named != cf_of(file)) {
      add(file, "BR takes it for one of column family " + std::string(named) +
                    ", which stands in its name");
    }
    if (file.sha256.size() != sha256_size) add(file, "it has no SHA-256");
    if (file.size == 0) add(file, "it has no bytes");
  }

  // A raw restore is of one range that covers what is asked for.
  void check_raw() {
    if (meta_.raw_ranges.empty()) {
      add("raw_ranges is empty, so that there is nothing to restore");
      return;
    }
    for (const File& file : meta_.files) {
      const bool inside =
          std::any_of(meta_.raw_ranges.begin(), meta_.raw_ranges.end(), [&](const RawRange& range) {
            const std::string_view cf = range.cf.empty() ? default_cf : std::string_view(range.cf);
            return cf == cf_of(file) && range.start_key <= file.start_key &&
                   ends_within(file.end_key, range.end_key);
          });
      if (!inside) add(file, "no one of raw_ranges covers it");
    }
    if (!meta_.schemas.empty()) add("a raw backup has no schemas");
  }

  void check_versions() {
    if (meta_.end_version == 0) add("it has no end_version");
    if (meta_.start_version > meta_.end_version) {
      add("its start_version " + std::to_string(meta_.start_version) +
          " is above its end_version " + std::to_string(meta_.end_version));
    }
    for (const File& file : meta_.files) {
      if (file.end_version == meta_.end_version &&
          (file.start_version == meta_.start_version || is_full(meta_))) {
        continue;
      }
      add(file, "it holds versions (" + std::to_string(file.start_version) + ", " +
                    std::to_string(file.end_version) + "], and the backup is of (" +
                    std::to_string(meta_.start_version) + ", " + std::to_string(meta_.end_version) +
                    "]");
    }
  }

  // They are decoded whether there are any or not.
  void check_ddls() {
    const std::size_t first = meta_.ddls.find_first_not_of(" \t\r\n");
    const Status json = kvbackup::v1::scan_json(
        meta_.ddls, [](std::string_view, std::string_view) { return Status(); });
    const bool is_list = json.ok() && meta_.ddls[first] == '[';
    if (!is_list && meta_.ddls != "null") {
      add("ddls is neither a JSON array of jobs nor null");
    }
  }

  // What stands in a file is rewritten from the ids of one table to those of another.
  void check_tables() {
    std::vector<TableSchema> schemas;
    schemas.reserve(meta_.schemas.size());
    Tables tables;
    for (const Schema& schema : meta_.schemas) {
      auto table = parse_schema(schema);
      if (!table.ok()) continue;  // check_schemas() reports it
      const TableSchema& added = schemas.emplace_back(std::move(table).value());
      for (const std::int64_t id : added.key_ids()) {
        const auto [at, is_new] = tables.emplace(id, &added);
        if (is_new) continue;
        add("tables " + at->second->name() + " and " + added.name() + " both have the id " +
            std::to_string(id));
      }
    }
    if (tables.empty() && !meta_.files.empty()) {
      add("it has no schemas, so that no table is made and no file restored");
      return;
    }
    for (const File& file : meta_.files) check_table(file, tables);
  }
  void check_table(const File& file, const Tables& tables) {
    const auto start = parse_table_key(file.start_key);
    const auto end = parse_table_key(file.end_key);
    if (!start || start->table == 0) {
      return add(file, "its start key is of no table, and BR fails on it");
    }
    const auto table = tables.find(start->table);
    if (table == tables.end()) {
      return add(
          file, "no schema has the table id " + std::to_string(start->table) + " of its start key");
    }
    if (!end || end->table != start->table) {
      return add(file, "its start key is of table " + std::to_string(start->table) +
                           " and its end key is not: a file holds keys of one table");
    }
    const auto has_rule = [&table](const TableKey& key) {
      return key.is_row || (key.index && table->second->has_index(*key.index));
    };
    if (!has_rule(*start) || !has_rule(*end)) {
      return add(file,
                 "its start or end key is neither of rows nor of an index that the schema of " +
                     table->second->name() + " has");
    }
    if (start->is_row != end->is_row || start->index != end->index) {
      add(file, "its start and end keys are not both of rows, or of one index");
    }
  }

  // Of a backup of ours they are damage anyway.
  void check_overlaps() {
    std::map<std::string_view, std::vector<const File*>> files;
    for (const File& file : meta_.files) {
      if (!is_inverted(file)) files[cf_of(file)].push_back(&file);
    }
    for (auto& [cf, list] : files) {
      std::stable_sort(list.begin(), list.end(),
                       [](const File* a, const File* b) { return a->start_key < b->start_key; });
      for (std::size_t i = 1; i < list.size(); ++i) {
        if (!begins_before(list[i]->start_key, list[i - 1]->end_key)) continue;
        add(*list[i], "it overlaps " + list[i - 1]->name);
      }
    }
  }

  const Manifest& manifest_;
  const BackupMeta& meta_;
  VerifyReport& report_;
};

}  // namespace kvbackup::inline v1::detail
