// SPDX-License-Identifier: Apache-2.0
// kvbackup list: every backup below a prefix.
#include <cstdio>
#include <memory>

#include "program.hpp"
#include "storage.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct ListFlags {
  CommonFlags common;
  StorageFlags storage;
};

struct Row {
  std::string folder;  ///< "." for the prefix itself
  Result<Manifest> manifest;
};

KvbackupTotals totals_of(const Manifest& manifest) {
  KvbackupTotals totals;
  for (const File& file : manifest.meta.files) {
    totals.files += 1;
    totals.kvs += file.total_kvs;
    totals.bytes += file.total_bytes;
    totals.stored_bytes += file.size;
  }
  return totals;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string row_json(const Row& row) {
  JsonObject object;
  object.add("folder", row.folder);
  if (!row.manifest.ok()) {
    object.add("error", row.manifest.status().to_string());
    return object.text();
  }
  const Manifest& manifest = row.manifest.value();
  const KvbackupTotals totals = totals_of(manifest);
  object.add("protected", manifest.is_sealed).add("br_version", manifest.meta.br_version);
  object.add("is_raw_kv", manifest.meta.is_raw_kv);
  if (manifest.info) object.add("created_unix_ms", manifest.info->created_unix_ms);
  object.add("files", totals.files).add("total_kvs", totals.kvs);
  object.add("total_bytes", totals.bytes).add("size", totals.stored_bytes);
  return object.text();
}

void print_row(const Row& row) {
  if (!row.manifest.ok()) {
    std::printf(
        "%-24s %s\n", "?",
        (printable(row.folder) + ": " + printable(row.manifest.status().to_string())).c_str());
    return;
  }
  const Manifest& manifest = row.manifest.value();
  const KvbackupTotals totals = totals_of(manifest);
  std::printf(
      "%-24s %-6s %8llu %14llu %12s  %s (%s)\n",
      manifest.info ? utc(manifest.info->created_unix_ms).c_str() : "?",
      manifest.meta.is_raw_kv ? "raw" : "txn", static_cast<unsigned long long>(totals.files),
      static_cast<unsigned long long>(totals.kvs),
      human_bytes(static_cast<double>(totals.stored_bytes)).c_str(), printable(row.folder).c_str(),
      printable(first_line(manifest.meta.br_version)).c_str());
}

std::vector<Row> read_rows(BuiltBackends& backend, const std::vector<ObjectInfo>& objects) {
  std::vector<Row> rows;
  for (const ObjectInfo& object : objects) {
    const std::string_view name = object.name;
    if (name.substr(name.rfind('/') + 1) != backupmeta_name) continue;
    const std::string_view folder = name.substr(0, name.size() - backupmeta_name.size());
    rows.push_back({std::string(folder), Manifest()});
  }
  at_once(rows.size(), [&](std::size_t i) {
    StorageFolder folder(backend, rows[i].folder);
    Status status = check_cancel(&cancel_token());
    rows[i].manifest = status.ok() ? read_manifest(folder) : Result<Manifest>(std::move(status));
  });
  for (Row& row : rows) {
    if (row.folder.empty()) row.folder = "./";
    row.folder.pop_back();  // the slash
  }
  return rows;
}

/// What the rows that could not be read amount to.
int exit_code_of(const std::vector<Row>& rows) {
  int code = done;
  for (const Row& row : rows) {
    if (row.manifest.ok()) continue;
    if (row.manifest.status().code() == StatusCode::corruption) return damage_found;
    code = could_not_finish;
  }
  return code;
}

Status run_list(const ListFlags& flags, int& code) {
  auto backend = open_readable_storage(flags.storage);
  if (!backend.ok()) return backend.status();
  const auto objects = backend.value().list("");
  if (!objects.ok()) return objects.status();
  const std::vector<Row> rows = read_rows(backend.value(), objects.value());
  if (Status status = check_cancel(&cancel_token()); !status.ok()) return status;
  code = exit_code_of(rows);
  if (flags.common.json) {
    std::string list;
    for (const Row& row : rows) list += (list.empty() ? "" : ", ") + row_json(row);
    JsonObject root;
    root.add("command", "list").add("storage", backend.value().url());
    root.add_json("backups", "[" + list + "]");
    std::printf("%s\n", root.text().c_str());
    return {};
  }
  std::printf("%-24s %-6s %8s %14s %12s  %s\n", "created", "kind", "files", "pairs", "size",
              "folder (written by)");
  for (const Row& row : rows) print_row(row);
  return {};
}

}  // namespace

void add_list_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ListFlags>();
  CLI::App* command = app.add_subcommand("list", "Show every backup below a prefix");
  add_storage_flags(*command, flags->storage, "Where to look");
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] {
    run = [flags] {
      int code = done;
      const Status status = run_list(*flags, code);
      return status.ok() ? code : report_failure("list", status, flags->common);
    };
  });
}

}  // namespace program
