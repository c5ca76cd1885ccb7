// SPDX-License-Identifier: Apache-2.0
// What a coordinated backup is told and what it tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/executor.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/backup_service.hpp"
#include "kvbackup/proto/kvbackup_info.hpp"
#include "kvbackup/proto/kvrpcpb.hpp"

namespace kvbackup::inline v1 {

/// Resolves the locks of transactions that stand in the way of a backup.
class LockResolver {
 public:
  virtual ~LockResolver() = default;
  /// Called by one thread at a time, between two rounds of requests. Gives the milliseconds after
  /// which to ask again, 0 if the lock is gone. A failure that is not retryable() ends the run.
  [[nodiscard]] virtual Result<std::uint64_t> resolve(const LockInfo& lock) = 0;
};

/// How far a coordinated backup is. Numbers may fall where an answer is put out by a newer one.
struct CoordinatorProgress {
  std::uint64_t round = 0;    ///< 1 is the first time that nodes are asked
  std::uint64_t to_ask = 0;   ///< requests of this round: one for each gap and node
  std::uint64_t asked = 0;    ///< those that ended
  std::uint64_t answers = 0;  ///< ranges that are done
  std::uint64_t files = 0;    ///< that hold them
  std::uint64_t kvs = 0;      ///< in those files, as all that follows
  std::uint64_t bytes = 0;
  std::uint64_t stored_bytes = 0;
};

/// Called by a run, from any of its threads, never two calls at once and never under a lock of the
/// library. A slow observer slows the run. Hooks must not throw.
class CoordinatorObserver {
 public:
  virtual ~CoordinatorObserver() = default;
  virtual void on_progress(const CoordinatorProgress& /*progress*/) {}
  /// Something went wrong that is asked for again.
  virtual void on_trouble(const Status& /*why*/) {}
  /// A file that is complete and of no backup: a newer answer took its place.
  virtual void on_orphan(const File& /*file*/) {}
  /// Nodes are asked again after a wait of that many milliseconds.
  virtual void on_retry(const Status& /*why*/, std::uint64_t /*wait_ms*/) {}
  /// The run fails, and these keys are some that no node answered for.
  virtual void on_gap(const KeyRange& /*keys*/, const Status& /*why*/) {}
};

/// What coordinate_backup() does. Pointers are borrowed for the length of the run.
struct CoordinatorOptions {
  /// What each node is asked, but for the keys: those of `ranges`.
  BackupRequest request;
  /// Empty: the keys and the cf of `request`, or, where that has no bounds and there are schemas,
  /// the keys of their tables. Ranges of one cf must not overlap; adjacent ones are merged.
  std::vector<KeyRange> ranges;
  /// As PD answers it: a JSON string with its quotes and the line end.
  std::string cluster_version;
  /// Tables of TiDB; they go into backupmeta. Of a full backup, sums that are all 0 are filled in
  /// from the files of the table, and others must equal theirs.
  std::vector<Schema> schemas;
  /// A JSON array of DDL jobs. Empty: "[]", or "null" for a raw backup, as BR writes them.
  std::string ddls;

  /// Key ranges that all nodes are asked for at once. BR's default (pkg/task/backup.go).
  std::size_t concurrency = 4;
  /// Rounds in a row that bring no new answer, and the waits between them. BR waits 1 to 20 s and
  /// 80 s in all (pkg/backup/client.go); a round that brings one begins the count anew.
  RetryOptions retry{
      .attempts = 10, .first_wait_ms = 1'000, .longest_wait_ms = 20'000, .budget_ms = 0};
  /// Wall time and waiting; needed.
  Clock* clock = nullptr;
  /// For the waits; needed.
  RandomSource* random = nullptr;
  /// Threads. Null: the calling thread asks one node after the other.
  Executor* executor = nullptr;
  CoordinatorObserver* observer = nullptr;
  const CancelToken* cancel = nullptr;
  /// Null: a locked key is asked for again until it is free or the retries are used up.
  LockResolver* locks = nullptr;
};

/// A file that lies in the storage and is of no backup.
struct OrphanedFile {
  std::string name;
  std::uint64_t size = 0;  ///< bytes

  friend bool operator==(const OrphanedFile&, const OrphanedFile&) = default;
};

/// What a coordinated backup wrote.
struct CoordinatorResult {
  BackupMeta meta;
  KvbackupInfo info;
  std::uint64_t backupmeta_size = 0;  ///< bytes of the object `backupmeta`
  std::uint64_t rounds = 0;           ///< times that nodes were asked
  /// Files of answers that newer ones put out; the first max_orphans of them, then their number.
  std::vector<OrphanedFile> orphans;
  std::uint64_t orphans_left_out = 0;
  /// What is worth knowing and no failure, such as sums of a table that could not be made.
  std::vector<Status> notes;

  static constexpr std::size_t max_orphans = 10'000;
};

}  // namespace kvbackup::inline v1
