// SPDX-License-Identifier: Apache-2.0
// Deletes a backup: backupmeta first, so that what is left if that ends halfway is no backup but
// leftovers, which clean_destination() knows; then its files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/destination_guard.hpp"
#include "kvbackup/backup/run_keeper.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"

namespace kvbackup::inline v1 {

/// Whether `child` is an incremental backup that is restored on top of `parent`: it begins with
/// the version that `parent` ends with, and is of the same cluster. Raw backups have no children.
[[nodiscard]] inline bool is_incremental_of(const BackupMeta& child, const BackupMeta& parent) {
  return !child.is_raw_kv && !parent.is_raw_kv && parent.end_version != 0 &&
         child.start_version == parent.end_version && child.end_version > child.start_version &&
         child.cluster_id == parent.cluster_id;
}

struct DeleteOptions {
  /// Without it nothing is written or removed.
  bool remove = true;
  /// Names the lock that is held meanwhile, as BackupOptions::run_id does.
  std::string run_id;
  Clock* clock = nullptr;  ///< borrowed; needed
  const CancelToken* cancel = nullptr;
};

struct DeleteReport {
  Manifest manifest;               ///< of what was deleted
  std::vector<std::string> names;  ///< of its objects, in the order of their removal
  std::uint64_t missing = 0;       ///< of them, which were gone already
};

namespace detail {

/// All objects of the backup; a name that no object can have is not among them.
[[nodiscard]] inline std::vector<std::string> objects_of(const Manifest& manifest) {
  std::vector<std::string> names{std::string(backupmeta_name)};
  for (const MetaObject& object : manifest.meta_objects) names.push_back(object.name);
  for (const File& file : manifest.meta.files) names.push_back(file.name);
  std::erase_if(names, [](const std::string& name) { return !check_object_name(name).ok(); });
  return names;
}

/// BR's lock file stays where it was written, beside the backup that its run made.
template <ReadableBackend Backend>
[[nodiscard]] Result<bool> has_br_lock(Backend& backend) {
  auto listed = backend.list(backup_lock_name);
  if (!listed.ok()) return std::move(listed).status();
  const ObjectInfo* const found = find_object(listed.value(), backup_lock_name);
  if (found == nullptr || found->size != backup_lock_text.size()) return false;
  auto text = backend.read(backup_lock_name);
  if (!text.ok()) return std::move(text).status();
  return text.value() == backup_lock_text;
}

template <ReadableBackend Backend>
[[nodiscard]] Status remove_all(Backend& backend, DestinationGuard<Backend>& guard,
                                const DeleteOptions& options, DeleteReport& report) {
  for (const std::string& name : report.names) {
    Status status = check_cancel(options.cancel);
    if (status.ok()) status = guard.tick();
    if (!status.ok()) return status;
    status = backend.remove(name);
    if (status.code() == StatusCode::not_found) {
      ++report.missing;
    } else if (!status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace detail

/// Deletes the backup in `backend`, under a lock of its own, and BR's backup.lock; other objects
/// that its backupmeta does not list stay. Whether another backup needs it is not asked: see
/// is_incremental_of(). Errors: not_found without a backup; corruption if its backupmeta is
/// damaged, since what belongs to it cannot be told then; already_exists while another run lives
/// there.
template <ReadableBackend Backend>
[[nodiscard]] Result<DeleteReport> delete_backup(Backend& backend, const DeleteOptions& options) {
  if (options.clock == nullptr) {
    return Status::error(StatusCode::invalid_argument, "DeleteOptions needs a clock");
  }
  auto manifest = read_manifest(backend);
  if (!manifest.ok()) return std::move(manifest).status();
  const auto br_lock = detail::has_br_lock(backend);
  if (!br_lock.ok()) return br_lock.status();
  const std::string run_id =
      options.run_id.empty() ? detail::make_run_id(*options.clock) : options.run_id;
  DestinationGuard<Backend> guard(backend, *options.clock, run_id, run_id);
  if (options.remove) {
    if (Status status = guard.acquire(); !status.ok()) return status;
  }
  DeleteReport report;
  report.manifest = std::move(manifest).value();
  report.names = detail::objects_of(report.manifest);
  if (br_lock.value()) report.names.emplace_back(backup_lock_name);
  if (!options.remove) return report;
  Status status = detail::remove_all(backend, guard, options, report);
  Status released = guard.release();
  if (!status.ok()) return status;
  if (!released.ok()) return released;
  return report;
}

}  // namespace kvbackup::inline v1
