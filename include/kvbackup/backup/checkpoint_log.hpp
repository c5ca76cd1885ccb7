// SPDX-License-Identifier: Apache-2.0
// Writes the checkpoint of a run.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/destination_guard.hpp"
#include "kvbackup/backup/part_writer.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/manifest/checkpoint.hpp"
#include "kvbackup/manifest/naming.hpp"

namespace kvbackup::inline v1::detail {

/// Records finished parts. Thread-safe; borrows backend and clock.
///
/// An object is written at most once an interval, which grows by 1/256 of the time that the run has
/// taken: a run of a day leaves some 2,000 objects, whatever the number of its parts, and what a
/// kill costs is work of that interval, which is found again but built anew.
template <ReadableBackend Backend>
class CheckpointLog {
 public:
  CheckpointLog(Backend& backend, Clock& clock, std::uint64_t interval_ms)
      : backend_(backend),
        clock_(clock),
        interval_ns_(interval_ms * 1'000'000),
        began_ns_(clock.steady_ns()) {}

  /// Writes number 0.
  [[nodiscard]] Status begin(const CheckpointJob& job) {
    go_on(job.job_id, 1);
    return put_object(backend_, checkpoint_name(job_id_, 0), encode_checkpoint(job), true);
  }

  /// Goes on with the checkpoint of an earlier run, whose next object has that number.
  void go_on(std::string job_id, std::uint64_t next) {
    job_id_ = std::move(job_id);
    next_ = next;
  }

  [[nodiscard]] Status record(const FinishedPart& part) {
    CheckpointPart recorded;
    recorded.sub_range = part.sub_range;
    recorded.number = part.number;
    recorded.start = part.start;
    recorded.end = part.end;
    for (const FileRecord& each : part.files) {
      CheckpointFile file;
      file.file = each.file;
      file.crc32c = each.crc32c;
      file.proof = each.proof;
      recorded.files.push_back(std::move(file));
    }
    const MutexLock hold(mutex_);
    waiting_.push_back(std::move(recorded));
    const std::uint64_t now = clock_.steady_ns();
    if (interval_ns_ != 0 && now < written_ns_ + interval_ns_ + (now - began_ns_) / 256) return {};
    return write(now);
  }

  /// Writes what was not written yet.
  [[nodiscard]] Status flush() {
    const MutexLock hold(mutex_);
    return waiting_.empty() ? Status() : write(clock_.steady_ns());
  }

 private:
  // a failure leaves the parts to the next try
  [[nodiscard]] Status write(std::uint64_t now) {
    // an earlier try of ours may have been done, or a run that lost its lock may still write
    constexpr int most_taken = 100;
    CheckpointParts parts;
    parts.job_id = job_id_;
    parts.parts = std::move(waiting_);
    waiting_.clear();
    Status status;
    for (int taken = 0; taken < most_taken; ++taken) {
      parts.number = next_++;
      status = put_object(backend_, checkpoint_name(job_id_, parts.number),
                          encode_checkpoint(parts), true);
      if (status.code() != StatusCode::already_exists) break;
    }
    if (status.ok()) {
      written_ns_ = now;
    } else {
      waiting_ = std::move(parts.parts);
    }
    return status;
  }

  Backend& backend_;
  Clock& clock_;
  std::uint64_t interval_ns_;
  std::uint64_t began_ns_;
  std::string job_id_;
  Mutex mutex_;
  std::uint64_t next_ = 1;  // under mutex_, as what follows
  std::uint64_t written_ns_ = 0;
  std::vector<CheckpointPart> waiting_;
};

}  // namespace kvbackup::inline v1::detail
