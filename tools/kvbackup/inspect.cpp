// SPDX-License-Identifier: Apache-2.0
// kvbackup inspect: what a backup holds, from its backupmeta.
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "inspect_tables.hpp"
#include "program.hpp"
#include "stores.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct InspectFlags {
  CommonFlags common;
  std::string storage;
  bool files = false;
  bool histograms = false;
};

/// What is read beside backupmeta, as far as the flags ask for it.
struct Tables {
  std::vector<TableSummary> summaries;
  std::optional<SizeHistograms> sizes;
};

std::string key_text(ByteView key, const CommonFlags& flags) {
  if (flags.redact) return "?";
  return key.empty() ? "\"\"" : to_hex(key);
}

/// The tables of a transactional backup, whose schemas are bytes in backupmeta.
std::string schemas_json(const BackupMeta& meta) {
  std::string schemas;
  for (const Schema& schema : meta.schemas) {
    JsonObject each;
    if (const auto table = parse_schema(schema); table.ok()) {
      each.add("db", table.value().db).add("table", table.value().table);
      each.add("id", std::to_string(table.value().id));
    }
    each.add("total_kvs", schema.total_kvs).add("total_bytes", schema.total_bytes);
    each.add("crc64xor", std::to_string(schema.crc64xor));
    if (!schemas.empty()) schemas += ", ";
    schemas += each.text();
  }
  return "[" + schemas + "]";
}

Status print_json(const Manifest& manifest, const std::string& url, const InspectFlags& flags,
                  const Tables& tables) {
  const auto meta = to_json(manifest.meta);
  if (!meta.ok()) return meta.status();
  JsonObject root;
  root.add("command", "inspect").add("storage", url).add("protected", manifest.is_sealed);
  root.add_json("backupmeta", meta.value());
  if (manifest.info) {
    const auto info = to_json(*manifest.info);
    if (!info.ok()) return info.status();
    root.add_json("info", info.value());
  }
  if (!manifest.meta.schemas.empty()) root.add_json("schemas", schemas_json(manifest.meta));
  if (flags.files) root.add_json("tables", tables_json(manifest.meta, tables.summaries));
  if (tables.sizes) {
    JsonObject sizes;
    sizes.add_json("key_size", tables.sizes->keys.json());
    sizes.add_json("value_size", tables.sizes->values.json());
    sizes.add_json("block_size", tables.sizes->blocks.json());
    root.add_json("histograms", sizes.text());
  }
  std::printf("%s\n", root.text().c_str());
  return {};
}

// Keys are the only secret of a backupmeta; the schemas hold none of the rows.
void hide_keys(Manifest& manifest) {
  for (File& file : manifest.meta.files) {
    file.start_key.clear();
    file.end_key.clear();
  }
  for (RawRange& range : manifest.meta.raw_ranges) {
    range.start_key.clear();
    range.end_key.clear();
  }
  if (!manifest.info) return;
  for (CompletedRange& range : manifest.info->ranges) {
    range.start.clear();
    range.end.clear();
  }
}

void print_files(const BackupMeta& meta, const CommonFlags& flags) {
  std::printf("\n%-12s %12s %14s %14s  %s\n", "cf", "kvs", "bytes", "size", "name, key range");
  for (const File& file : meta.files) {
    std::printf("%-12s %12llu %14llu %14llu  %s [%s, %s)\n", printable(file.cf).c_str(),
                static_cast<unsigned long long>(file.total_kvs),
                static_cast<unsigned long long>(file.total_bytes),
                static_cast<unsigned long long>(file.size), printable(file.name).c_str(),
                key_text(file.start_key, flags).c_str(), key_text(file.end_key, flags).c_str());
  }
}

/// How many jobs the JSON array of ddls has.
std::string count_of_ddls(const std::string& ddls) {
  std::uint64_t jobs = 0;
  const Status json = scan_json(ddls, [&jobs](std::string_view path, std::string_view value) {
    if (path == "[]" && value == "{}") ++jobs;
    return Status();
  });
  return json.ok() || ddls.empty() ? std::to_string(jobs) : "not readable";
}

void print_schemas(const BackupMeta& meta) {
  std::printf("schemas:       %zu, DDL jobs: %s\n", meta.schemas.size(),
              count_of_ddls(meta.ddls).c_str());
  for (const Schema& schema : meta.schemas) {
    const auto table = parse_schema(schema);
    std::printf("table:         %s, ",
                table.ok() ? printable(table.value().name()).c_str() : "not readable");
    if (has_checksum(schema)) {
      std::printf("%llu kvs, %llu bytes, crc64xor %llu\n",
                  static_cast<unsigned long long>(schema.total_kvs),
                  static_cast<unsigned long long>(schema.total_bytes),
                  static_cast<unsigned long long>(schema.crc64xor));
    } else {
      std::printf("no checksum\n");
    }
  }
}

void print_sizes(const SizeHistograms& sizes) {
  std::printf("\n%s\n%s\n%s", sizes.keys.text("keys", "bytes").c_str(),
              sizes.values.text("values", "bytes").c_str(),
              sizes.blocks.text("data blocks, as stored", "bytes").c_str());
}

void print_text(const Manifest& manifest, const std::string& url, const InspectFlags& flags,
                const Tables& tables) {
  const BackupMeta& meta = manifest.meta;
  std::string version = meta.br_version.substr(0, meta.br_version.find('\n'));
  std::printf("backup:        %s\n", printable(url).c_str());
  std::printf("written by:    %s%s\n", printable(version).c_str(),
              manifest.is_sealed ? "" : " (unprotected: backupmeta has no seal)");
  if (manifest.info) {
    const KvbackupInfo& info = *manifest.info;
    std::printf("created:       %s\n", utc(info.created_unix_ms).c_str());
    std::printf("source:        %s %s\n",
                info.source_kind.empty() ? "?" : printable(info.source_kind).c_str(),
                printable(info.source_identity).c_str());
    std::printf("profile:       %s, keys behind \"%s\"\n", printable(info.profile).c_str(),
                printable(info.key_prefix).c_str());
    if (info.source_kind == "rocksdb") {
      std::printf(
          "note:          column family options (comparator, compression, ...) are not part of a "
          "backup\n");
    }
  }
  std::printf("kind:          %s\n", meta.is_raw_kv ? "raw" : "transactional");
  std::printf("cluster:       %llu %s\n", static_cast<unsigned long long>(meta.cluster_id),
              printable(meta.cluster_version).c_str());
  const char* extent = is_full(meta) ? " (full)" : " (incremental)";
  std::printf("versions:      %llu .. %llu%s\n",
              static_cast<unsigned long long>(meta.start_version),
              static_cast<unsigned long long>(meta.end_version), meta.is_raw_kv ? "" : extent);
  std::uint64_t kvs = 0;
  std::uint64_t bytes = 0;
  std::uint64_t size = 0;
  for (const File& file : meta.files) {
    kvs += file.total_kvs;
    bytes += file.total_bytes;
    size += file.size;
  }
  std::printf("files:         %zu, %s\n", meta.files.size(),
              human_bytes(static_cast<double>(size)).c_str());
  std::printf("pairs:         %llu, %s of keys and values\n", static_cast<unsigned long long>(kvs),
              human_bytes(static_cast<double>(bytes)).c_str());
  if (size > 0) {
    std::printf("compression:   %.2f bytes of keys and values in a stored byte\n",
                static_cast<double>(bytes) / static_cast<double>(size));
  }
  if (!meta.is_raw_kv) print_schemas(meta);
  if (manifest.info) {
    for (const CompletedRange& range : manifest.info->ranges) {
      std::printf("range:         %s [%s, %s)\n", printable(range.cf).c_str(),
                  key_text(range.start, flags.common).c_str(),
                  key_text(range.end, flags.common).c_str());
    }
  } else {
    for (const RawRange& range : meta.raw_ranges) {
      std::printf("range:         %s [%s, %s)\n", printable(range.cf).c_str(),
                  key_text(range.start_key, flags.common).c_str(),
                  key_text(range.end_key, flags.common).c_str());
    }
  }
  if (flags.files) {
    print_files(meta, flags.common);
    print_tables(meta, tables.summaries);
  }
  if (tables.sizes) print_sizes(*tables.sizes);
}

Status run_inspect(const InspectFlags& flags) {
  auto backend = open_readable_storage(flags.storage);
  if (!backend.ok()) return backend.status();
  auto manifest = read_manifest(backend.value());
  if (!manifest.ok()) return manifest.status();
  Tables tables;
  if (flags.files) tables.summaries = summarize_tables(backend.value(), manifest.value());
  if (flags.histograms) {
    auto sizes = measure_sizes(backend.value(), manifest.value());
    if (!sizes.ok()) return sizes.status();
    tables.sizes = std::move(sizes).value();
  }
  const std::string url = backend.value().url();
  if (flags.common.redact) hide_keys(manifest.value());
  if (flags.common.json) return print_json(manifest.value(), url, flags, tables);
  print_text(manifest.value(), url, flags, tables);
  return {};
}

}  // namespace

void add_inspect_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = app.add_subcommand("inspect", "Show what a backup holds");
  command->add_option("-s,--storage", flags->storage, "Where the backup is")->required();
  command->add_flag("--files", flags->files, "List every file, and the properties of its table");
  command->add_flag("--histograms", flags->histograms,
                    "Read every file and show how long keys, values and blocks are");
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] {
    run = [flags] {
      const Status status = run_inspect(*flags);
      return status.ok() ? done : report_read_failure("inspect", status, flags->common);
    };
  });
}

}  // namespace program
