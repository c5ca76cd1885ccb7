// SPDX-License-Identifier: Apache-2.0
// What runs that did not end left in a destination: shows it, and removes it.
//
// Taken for leftovers are objects whose names this library and TiKV give, and nothing else: files
// that backupmeta does not list, checkpoints, locks of dead holders; and what writers of such names
// began. A folder with a backup, a lock or a checkpoint of its own is another destination.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
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
#include "kvbackup/manifest/destination_lock.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"

namespace kvbackup::inline v1 {

enum class LeftoverKind : std::uint8_t {
  unfinished,  ///< an upload or a temporary file that no writer will finish
  file,        ///< a file that no backupmeta lists
  checkpoint,  ///< what a run would be resumed by
  lock,        ///< of a holder that is dead
};

[[nodiscard]] constexpr std::string_view to_string(LeftoverKind kind) noexcept {
  switch (kind) {
    case LeftoverKind::unfinished: return "unfinished";
    case LeftoverKind::file: return "file";
    case LeftoverKind::checkpoint: return "checkpoint";
    case LeftoverKind::lock: return "lock";
  }
  return "unknown";
}

struct Leftover {
  LeftoverKind kind = LeftoverKind::file;
  std::string name;        ///< of the object
  std::string id;          ///< UnfinishedObject::id; of the others empty
  std::uint64_t size = 0;  ///< bytes; 0 where it is not known
  bool removed = false;
};

struct CleanOptions {
  /// Without it nothing is written or removed.
  bool remove = false;
  /// Names the lock that is held meanwhile, as BackupOptions::run_id does.
  std::string run_id;
  /// Also where BR's `backup.lock` lies without a backupmeta: its run may be at work, and nothing
  /// in that object tells.
  bool despite_br_lock = false;
  Clock* clock = nullptr;  ///< borrowed; needed
  const CancelToken* cancel = nullptr;
};

struct CleanReport {
  bool has_backup = false;  ///< a backupmeta is there, and all that it lists stays
  /// Why nothing may be removed: who is at work there. Empty if nobody is.
  std::string held;
  std::vector<Leftover> leftovers;
};

namespace detail {

/// Whether `name` lies in a folder that is another destination.
[[nodiscard]] inline bool is_in_other(const std::set<std::string, std::less<>>& folders,
                                      std::string_view name) {
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    if (folders.contains(name.substr(0, slash + 1))) return true;
  }
  return false;
}

/// The folders below a destination, with a slash behind them, that are destinations themselves.
[[nodiscard]] inline std::set<std::string, std::less<>> other_destinations(
    const std::vector<ObjectInfo>& objects) {
  std::set<std::string, std::less<>> folders;
  for (const ObjectInfo& each : objects) {
    const std::string_view name = each.name;
    const std::size_t slash = name.rfind('/');
    if (slash == name.npos) continue;
    const std::string_view own = name.substr(slash + 1);
    if (own == backupmeta_name || own == backup_lock_name || is_lock_name(own) ||
        is_checkpoint_name(own) || is_br_checkpoint_name(own)) {
      folders.emplace(name.substr(0, slash + 1));
    }
  }
  return folders;
}

/// Of a temporary file with a long name only the start is known.
[[nodiscard]] inline bool is_own_name(std::string_view name) {
  return name == backupmeta_name || is_lock_name(name) || is_checkpoint_name(name) ||
         is_sst_file_name(name);
}

/// The names of all that belongs to the backup that is there.
[[nodiscard]] inline std::set<std::string, std::less<>> names_in(const Manifest& manifest) {
  std::set<std::string, std::less<>> names;
  for (const File& file : manifest.meta.files) names.insert(file.name);
  for (const MetaObject& object : manifest.meta_objects) names.insert(object.name);
  return names;
}

template <ReadableBackend Backend>
class Cleaning {
 public:
  Cleaning(Backend& backend, const CleanOptions& options) : backend_(backend), options_(options) {}

  [[nodiscard]] Result<CleanReport> run() {
    if (!options_.remove) {
      if (Status status = look({}); !status.ok()) return status;
      return std::move(report_);
    }
    const std::string run_id =
        options_.run_id.empty() ? make_run_id(*options_.clock) : options_.run_id;
    DestinationGuard<Backend> guard(backend_, *options_.clock, run_id, run_id);
    Status status = guard.acquire();
    if (!status.ok()) return status;
    status = look(guard.name());
    if (status.ok() && report_.held.empty()) status = remove(guard);
    Status released = guard.release();
    if (!status.ok()) return status;
    if (!released.ok()) return released;
    return std::move(report_);
  }

 private:
  /// `own_lock` was written by this cleaning, so no other one lives.
  [[nodiscard]] Status look(const std::string& own_lock) {
    auto manifest = read_manifest(backend_);
    report_.has_backup = manifest.status().code() != StatusCode::not_found;
    if (!manifest.ok() && report_.has_backup) {
      return std::move(manifest).status().with_note(
          "so what belongs to the backup and what does not cannot be told; nothing was removed");
    }
    std::set<std::string, std::less<>> listed;
    if (manifest.ok()) listed = names_in(manifest.value());
    auto objects = backend_.list("");
    if (!objects.ok()) return std::move(objects).status();
    const auto others = other_destinations(objects.value());
    for (const ObjectInfo& each : objects.value()) {
      if (each.name == own_lock) continue;
      if (Status status = look_at(each, own_lock.empty()); !status.ok()) return status;
      if (is_sst_file_name(each.name) && !listed.contains(each.name) &&
          !is_in_other(others, each.name)) {
        add(LeftoverKind::file, each);
      }
    }
    return look_at_unfinished(others);
  }

  [[nodiscard]] Status look_at(const ObjectInfo& object, bool judge_locks) {
    if (object.name == backup_lock_name && !report_.has_backup && !options_.despite_br_lock) {
      report_.held =
          "BR's backup.lock lies there and no backupmeta: a run of BR's, or of `kvbackup request`, "
          "may be at work";
    }
    if (is_checkpoint_name(object.name)) add(LeftoverKind::checkpoint, object);
    if (!is_lock_name(object.name)) return {};
    auto found = read_found_lock(backend_, object);
    if (!found.ok()) return std::move(found).status();
    if (!found.value()) return {};
    if (judge_locks && is_live(*found.value(), std::nullopt, options_.clock->unix_ms())) {
      report_.held = "a run is at work: " + describe_lock(*found.value());
    } else {
      add(LeftoverKind::lock, object);
    }
    return {};
  }

  [[nodiscard]] Status look_at_unfinished(const std::set<std::string, std::less<>>& others) {
    if constexpr (requires { backend_.list_unfinished(std::string_view()); }) {
      auto found = backend_.list_unfinished("");
      if (!found.ok()) return std::move(found).status();
      for (UnfinishedObject& each : found.value()) {
        if (!is_own_name(each.name) || is_in_other(others, each.name)) continue;
        report_.leftovers.push_back({.kind = LeftoverKind::unfinished,
                                     .name = std::move(each.name),
                                     .id = std::move(each.id)});
      }
    }
    return {};
  }

  void add(LeftoverKind kind, const ObjectInfo& object) {
    report_.leftovers.push_back({.kind = kind, .name = object.name, .id = {}, .size = object.size});
  }

  /// Files before the checkpoint that names them, so that a cleaning that ends halfway leaves
  /// nothing that looks whole.
  [[nodiscard]] Status remove(DestinationGuard<Backend>& guard) {
    std::stable_sort(report_.leftovers.begin(), report_.leftovers.end(),
                     [](const Leftover& a, const Leftover& b) { return a.kind < b.kind; });
    for (Leftover& each : report_.leftovers) {
      Status status = check_cancel(options_.cancel);
      if (status.ok()) status = guard.tick();
      if (status.ok()) status = remove_one(each);
      if (!status.ok()) return status;
      each.removed = true;
    }
    return {};
  }
  [[nodiscard]] Status remove_one(const Leftover& leftover) {
    if (leftover.kind != LeftoverKind::unfinished) return remove_object(backend_, leftover.name);
    if constexpr (requires { backend_.list_unfinished(std::string_view()); }) {
      return backend_.end_unfinished(
          {.name = leftover.name, .id = leftover.id, .began_ms = std::nullopt});
    } else {
      return {};
    }
  }

  Backend& backend_;
  const CleanOptions& options_;
  CleanReport report_;
};

}  // namespace detail

/// Finds what dead runs left in the destination `backend`, and with `options.remove` removes it,
/// under a lock of its own. What a complete backup lists is never among it, nor are objects with
/// names of any other kind. Errors: already_exists if another run lives there (its lock is judged
/// by the storage's clock; without `remove`, which writes nothing, by this host's, and is told in
/// the report); corruption if the backupmeta that is there cannot be read; what the backend
/// refuses.
template <ReadableBackend Backend>
[[nodiscard]] Result<CleanReport> clean_destination(Backend& backend, const CleanOptions& options) {
  if (options.clock == nullptr) {
    return Status::error(StatusCode::invalid_argument, "CleanOptions needs a clock");
  }
  return detail::Cleaning<Backend>(backend, options).run();
}

}  // namespace kvbackup::inline v1
