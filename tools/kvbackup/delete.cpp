// SPDX-License-Identifier: Apache-2.0
// kvbackup delete: a backup, unless incremental ones need it.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>

#include "program.hpp"
#include "storage.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct DeleteFlags {
  CommonFlags common;
  StorageFlags storage;
  std::vector<std::string> among;
  bool force = false;
  bool dry_run = false;
};

/// Adds the backups below `backend` that are incremental ones of `parent`.
Status find_children(BuiltBackends& backend, const BackupMeta& parent,
                     std::vector<std::string>& children) {
  const auto objects = backend.list("");
  if (!objects.ok()) return objects.status();
  for (const ObjectInfo& object : objects.value()) {
    if (Status status = check_cancel(&cancel_token()); !status.ok()) return status;
    const std::string_view name = object.name;
    if (name.substr(name.rfind('/') + 1) != backupmeta_name) continue;
    StorageFolder folder(backend,
                         std::string(name.substr(0, name.size() - backupmeta_name.size())));
    const auto manifest = read_manifest(folder);
    if (!manifest.ok()) {
      return Status(manifest.status())
          .with_note(
              "so whether that backup needs the one to be deleted is not known (--force "
              "does not ask)");
    }
    if (is_incremental_of(manifest.value().meta, parent)) {
      children.push_back(folder.url() + '/' + folder.prefix());
    }
  }
  return {};
}

Status refuse_parent(BuiltBackends& backend, const DeleteFlags& flags, const BackupMeta& parent) {
  if (flags.force || parent.is_raw_kv) return {};
  std::vector<std::string> children;
  if (Status status = find_children(backend, parent, children); !status.ok()) return status;
  for (const std::string& url : flags.among) {
    StorageFlags other = flags.storage;
    other.url = url;
    auto storage = open_readable_storage(other);
    if (!storage.ok()) return storage.status();
    if (Status status = find_children(storage.value(), parent, children); !status.ok()) {
      return status;
    }
  }
  if (children.empty()) return {};
  return Status::error(StatusCode::already_exists,
                       "an incremental backup begins where this one ends, and could not be "
                       "restored without it; delete that one first, or give --force")
      .with_object(children.front());
}

/// Folders that are empty now: those of the objects, then the backup's own.
void remove_empty_folders(const LocalBackend& backend, const std::vector<std::string>& names) {
  std::set<std::string> folders;
  for (const std::string& name : names) {
    for (std::size_t slash = name.rfind('/'); slash != std::string::npos && slash != 0;
         slash = name.rfind('/', slash - 1)) {
      folders.insert(name.substr(0, slash));
    }
  }
  std::error_code ignored;  // what is not empty stays
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    std::filesystem::remove(std::filesystem::path(backend.path()) / *folder, ignored);
  }
  std::filesystem::remove(backend.path(), ignored);
}

void print_report(const DeleteReport& report, const std::string& url, const DeleteFlags& flags) {
  KvbackupTotals totals;
  for (const File& file : report.manifest.meta.files) {
    totals.kvs += file.total_kvs;
    totals.stored_bytes += file.size;
  }
  if (flags.common.json) {
    JsonObject root;
    root.add("command", "delete").add("storage", url).add("deleted", !flags.dry_run);
    root.add("objects", std::uint64_t{report.names.size()}).add("missing", report.missing);
    root.add("total_kvs", totals.kvs).add("size", totals.stored_bytes);
    std::printf("%s\n", root.text().c_str());
    return;
  }
  std::printf(
      "%s: %s %zu objects, %llu pairs, %s%s\n", printable(url).c_str(),
      flags.dry_run ? "would delete" : "deleted", report.names.size(),
      static_cast<unsigned long long>(totals.kvs),
      human_bytes(static_cast<double>(totals.stored_bytes)).c_str(),
      report.missing == 0 ? "" : ("; gone already: " + std::to_string(report.missing)).c_str());
}

int run_delete(const DeleteFlags& flags) {
  auto backend = open_readable_storage(flags.storage);
  if (!backend.ok()) return report_failure("delete", backend.status(), flags.common);
  SystemClock clock;
  DeleteOptions options;
  options.remove = false;
  options.clock = &clock;
  options.cancel = &cancel_token();
  auto report = delete_backup(backend.value(), options);
  Status status = report.status();
  if (status.ok()) {
    status = refuse_parent(backend.value(), flags, report.value().manifest.meta);
  }
  if (status.ok() && !flags.dry_run) {
    options.remove = true;
    report = delete_backup(backend.value(), options);
    status = report.status();
  }
  if (!status.ok()) return report_read_failure("delete", status, flags.common);
  const LocalBackend* const local = backend.value().get_if<LocalBackend>();
  if (local != nullptr && !flags.dry_run) remove_empty_folders(*local, report.value().names);
  print_report(report.value(), backend.value().url(), flags);
  return done;
}

}  // namespace

void add_delete_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<DeleteFlags>();
  CLI::App* command = app.add_subcommand("delete", "Delete a backup: backupmeta, then its files");
  add_storage_flags(*command, flags->storage, "Where the backup is");
  command
      ->add_option(
          "--among", flags->among,
          "Where its incremental backups may be, beside below it: a storage, and all below "
          "it is looked at; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--force", flags->force, "Even if incremental backups need it");
  command->add_flag("--dry-run", flags->dry_run, "Say what would be deleted, delete nothing");
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] { run = [flags] { return run_delete(*flags); }; });
}

}  // namespace program
