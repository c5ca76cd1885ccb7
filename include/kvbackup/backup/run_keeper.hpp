// SPDX-License-Identifier: Apache-2.0
// What a run leaves in its destination beside its files: the lock while it works, and the
// checkpoint until backupmeta is there.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/checkpoint_log.hpp"
#include "kvbackup/backup/destination_guard.hpp"
#include "kvbackup/backup/options.hpp"
#include "kvbackup/backup/part_numbers.hpp"
#include "kvbackup/backup/part_writer.hpp"
#include "kvbackup/backup/unfinished_job.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/process.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/workers.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/hash/sha256_portable.hpp"
#include "kvbackup/manifest/checkpoint.hpp"
#include "kvbackup/manifest/naming.hpp"

namespace kvbackup::inline v1::detail {

/// A name that no other run has: 32 hex digits of time, process and a counter.
[[nodiscard]] inline std::string make_run_id(Clock& clock) {
  static std::atomic<std::uint64_t> counter{0};
  const ProcessIdentity self = this_process();
  std::string seed = self.host + '\0' + self.process;
  append_le64(seed, self.pid);
  append_le64(seed, clock.unix_ms());
  append_le64(seed, clock.steady_ns());
  append_le64(seed, counter.fetch_add(1, std::memory_order_relaxed));
  // what two processes of two hosts without any of these still differ in
  append_le64(seed, reinterpret_cast<std::uintptr_t>(&seed));
  const Sha256Digest digest = PortableSha256::of(seed);
  return to_hex(as_bytes(digest).substr(0, 16));
}

[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status holds_a_backup(std::string_view url) {
  return Status::error(StatusCode::already_exists,
                       "the destination already holds a backup (backupmeta is there); choose an "
                       "empty one")
      .with_object(url);
}
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status holds_br_lock(std::string_view url) {
  return Status::error(StatusCode::already_exists,
                       "BR has locked the destination (backup.lock is there) for a backup that is "
                       "not finished; choose an empty one")
      .with_object(url);
}

/// Keeps lock and checkpoint of one run. begin(), then tick() and part_done() from any thread, then
/// before_backupmeta() and end(), or give_up(). Borrows everything.
template <ReadableBackend Backend, Hasher Hash>
class RunKeeper {
 public:
  RunKeeper(Backend& backend, const Hash& hash, const BackupOptions& options)
      : backend_(backend),
        hash_(hash),
        options_(options),
        run_id_(options.run_id.empty() ? make_run_id(*options.clock) : options.run_id),
        keeps_checkpoint_(options.checkpoint || options.resume),
        log_(backend, *options.clock, options.checkpoint_interval_ms) {}

  /// Takes the destination for `job`, and reads and proves what an earlier run of it finished.
  /// `names` are those of the job's files.
  [[nodiscard]] Status begin(CheckpointJob job, const FileNameParts& names) {
    if (Status status = survey(); !status.ok()) return status;
    const std::string found = found_job_;
    guard_.emplace(backend_, *options_.clock, run_id_, found.empty() ? run_id_ : found);
    if (Status status = guard_->acquire(); !status.ok()) return status;
    if (guard_->is_advisory()) note_advisory();
    // what was there before could have been another run's, which has ended meanwhile
    Status status = survey();
    if (status.ok() && found_job_ != found) status = changed_meanwhile();
    if (status.ok()) status = take_up(std::move(job), names);
    if (status.ok()) return status;
    (void)guard_->release();
    return status;
  }

  /// What the run does: as it was begun by the first run of the job.
  [[nodiscard]] const CheckpointJob& job() const { return state_.job; }
  /// The parts that need not be written again, one a sub-range; of a new job none at all.
  [[nodiscard]] std::vector<FinishedParts>& finished() { return state_.finished; }
  /// backupmeta is there, and only end() is left to be done.
  [[nodiscard]] bool is_complete() const { return has_backup_; }

  Status tick() { return guard_->tick(); }
  Status writing() {
    wrote_.store(true, std::memory_order_relaxed);
    return guard_->tick();
  }
  Status part_done(const FinishedPart& part) {
    if (Status status = guard_->tick(); !status.ok()) return status;
    return keeps_checkpoint_ ? log_.record(part) : Status();
  }
  Status before_backupmeta() {
    if (Status status = keeps_checkpoint_ ? log_.flush() : Status(); !status.ok()) return status;
    return guard_->check();
  }

  /// Removes the checkpoint and the lock; backupmeta is there. The checkpoint's number 0 goes last:
  /// as long as it is there, a resumed run knows that the rest is to be removed.
  [[nodiscard]] Status end() {
    std::vector<ObjectInfo> objects;
    if (keeps_checkpoint_) {
      auto listed = backend_.list(checkpoint_prefix);
      if (!listed.ok()) return std::move(listed).status();
      objects = std::move(listed).value();
      std::erase_if(objects, [this](const ObjectInfo& each) {
        const auto name = parse_checkpoint_name(each.name);
        return !name || name->job_id != state_.job.job_id || name->number == 0;
      });
    }
    Status status = run_workers(
        objects.size(), options_.concurrency, options_.executor,
        [&](std::size_t index) { return remove_object(backend_, objects[index].name); });
    if (status.ok()) status = guard_->release();
    if (!status.ok() || !keeps_checkpoint_) return status;
    return remove_object(backend_, checkpoint_name(state_.job.job_id, 0));
  }

  /// Leaves the destination to a resumed run; nothing at all if nothing was written. What fails
  /// here changes nothing about the failure that ended the run.
  void give_up() {
    if (keeps_checkpoint_ && !guard_->is_lost()) {
      (void)log_.flush();
      if (is_new_ && !wrote_.load(std::memory_order_relaxed)) {
        (void)remove_object(backend_, checkpoint_name(state_.job.job_id, 0));
      }
    }
    (void)guard_->release();
  }

 private:
  /// Looks at what is in the destination, and refuses what the run cannot be about.
  [[nodiscard]] Status survey() {
    auto backup = backend_.exists(backupmeta_name);
    if (!backup.ok()) return std::move(backup).status();
    has_backup_ = backup.value();
    if (has_backup_ && !options_.resume) return holds_a_backup(backend_.url());
    auto listed = backend_.list(checkpoint_prefix);
    if (!listed.ok()) return std::move(listed).status();
    objects_ = std::move(listed).value();
    auto job = job_in(objects_);
    if (!job.ok()) return std::move(job).status();
    found_job_ = std::move(job).value();
    if (!found_job_.empty() && !options_.resume) {
      return unfinished_run(checkpoint_name(found_job_, 0));
    }
    if (has_backup_) return found_job_.empty() ? holds_a_backup(backend_.url()) : Status();
    auto br_lock = backend_.exists(backup_lock_name);
    if (!br_lock.ok()) return std::move(br_lock).status();
    return br_lock.value() ? holds_br_lock(backend_.url()) : Status();
  }

  [[nodiscard]] Status take_up(CheckpointJob job, FileNameParts names) {
    is_new_ = found_job_.empty();
    if (is_new_) {
      job.job_id = run_id_;
      state_.job = std::move(job);
    } else {
      auto read = read_unfinished_job(backend_, objects_, found_job_, job);
      if (!read.ok()) return std::move(read).status();
      state_ = std::move(read).value();
    }
    names.unix_ms = state_.job.created_unix_ms;
    if (options_.resume) {
      if (Status status = end_own_unfinished(names); !status.ok()) return status;
    }
    if (Status status = guard_->remove_dead(); !status.ok()) return status;
    if (!keeps_checkpoint_) return {};
    if (is_new_) return log_.begin(state_.job);
    log_.go_on(state_.job.job_id, state_.next_number);
    return has_backup_ ? Status() : prove_parts(names);
  }

  /// Ends what the job's earlier run left open: nobody else writes objects of these names.
  [[nodiscard]] Status end_own_unfinished(const FileNameParts& names) {
    if constexpr (UnfinishedBackend<Backend>) {
      auto open = backend_.list_unfinished("");
      if (open.status().code() == StatusCode::unsupported) return {};
      if (!open.ok()) return std::move(open).status();
      for (const UnfinishedObject& each : open.value()) {
        if (!is_own_name(each.name, names)) continue;
        if (Status status = backend_.end_unfinished(each); !status.ok()) return status;
      }
    }
    return {};
  }

  [[nodiscard]] bool is_own_name(std::string_view name, const FileNameParts& names) const {
    if (name == backupmeta_name || is_lock_name(name)) return name != guard_->name();
    if (is_checkpoint_name(name)) return true;
    if (!name.starts_with(sst_file_prefix(names.store_id, names.store_folder))) return false;
    const std::string time = '_' + std::to_string(names.unix_ms) + '_';
    if (name.find(time) != std::string_view::npos) return true;
    // a part that starts at the empty key may be named without the time
    for (std::size_t i = 0; i < state_.job.sub_ranges.size(); ++i) {
      const CompletedRange& range = state_.job.sub_ranges[i];
      if (range.start.empty() && name == file_name(names, i, 0, {}, range.cf)) return true;
    }
    return false;
  }

  [[nodiscard]] static std::string file_name(FileNameParts names, std::uint64_t sub_range,
                                             std::uint64_t index, ByteView start,
                                             std::string_view cf) {
    if (names.region_id == 0) names.region_id = part_number_of(sub_range, index);
    return sst_file_name(names, start, cf);
  }

  [[nodiscard]] Status prove_parts(const FileNameParts& names) {
    std::vector<const FileRecord*> records;
    for (std::size_t i = 0; i < state_.finished.size(); ++i) {
      std::uint64_t index = 0;
      for (const FileRecord& each : state_.finished[i].files) {
        // the files of a part stand together, and each part has another start
        const bool is_next = !records.empty() && &each != &state_.finished[i].files.front() &&
                             records.back()->file.start_key != each.file.start_key;
        index += is_next ? 1 : 0;
        if (each.file.name != file_name(names, i, index, each.file.start_key, each.file.cf)) {
          return damaged_checkpoint(checkpoint_name(state_.job.job_id, 0),
                                    "a file has a name that the job does not give");
        }
        records.push_back(&each);
      }
    }
    if (records.empty()) return {};
    auto listed = backend_.list(sst_file_prefix(names.store_id, names.store_folder));
    if (!listed.ok()) return std::move(listed).status();
    const auto tick_or_cancel = [this]() -> Status {
      if (Status status = check_cancel(options_.cancel); !status.ok()) return status;
      return guard_->tick();
    };
    return run_workers(
        records.size(), options_.concurrency, options_.executor, [&](std::size_t index) {
          return prove_file(backend_, listed.value(), *records[index], hash_, tick_or_cancel);
        });
  }

  void note_advisory() const {
    if (options_.observer == nullptr) return;
    options_.observer->on_note(
        "the storage does not decide which of two writers comes first, so the lock of the "
        "destination is advisory: let no other run write there");
  }

  [[nodiscard]] KVBACKUP_DETAIL_COLD Status changed_meanwhile() const {
    return Status::error(StatusCode::already_exists,
                         "another run began or ended in the destination meanwhile; look at it, and "
                         "try again")
        .with_object(backend_.url());
  }

  Backend& backend_;
  const Hash& hash_;
  const BackupOptions& options_;
  const std::string run_id_;
  const bool keeps_checkpoint_;
  CheckpointLog<Backend> log_;
  std::optional<DestinationGuard<Backend>> guard_;
  bool has_backup_ = false;
  std::vector<ObjectInfo> objects_;  // of checkpoints
  std::string found_job_;            // whose checkpoint they are; empty if there are none
  bool is_new_ = true;
  UnfinishedJob state_;
  std::atomic<bool> wrote_{false};
};

}  // namespace kvbackup::inline v1::detail
