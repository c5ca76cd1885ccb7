// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/executor.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/restore/progress.hpp"

namespace kvbackup::inline v1 {

/// A key that begins with `from` is restored with `to` in its place. Keys that do not begin with
/// `from` are no part of the restore. Either may be empty.
struct PrefixRewrite {
  std::string from;
  std::string to;
};

/// What one restore does. Everything has a default; pointers are borrowed for its length.
struct RestoreOptions {
  /// What to restore, in keys as they stand in the backup; empty: all of it. Of a range that the
  /// backup holds in part, that part. Ranges of one column family must not overlap.
  std::vector<KeyRange> ranges;
  std::optional<PrefixRewrite> rewrite_prefix;
  /// The column family that all pairs go to, for a restore out of a single one; left open, each
  /// goes where it came from.
  std::optional<std::string> target_cf;
  /// Removes what the target has in the ranges that are restored before the first pair is put. Asks
  /// for a target with clear_range(KeyRange).
  bool clear_ranges = false;
  /// Files worked on at once. Above 1 it needs an `executor`.
  std::size_t concurrency = 1;
  /// Bytes of pairs a second for the whole run, 0 = unlimited. Needs a `clock`.
  std::uint64_t rate_limit = 0;
  /// A file of at most that many bytes is read once and kept in memory while it is restored, one
  /// for each of `concurrency`; a larger one is read twice: to prove it, then to restore it.
  std::uint64_t file_memory = 32ull << 20;
  Clock* clock = nullptr;
  Executor* executor = nullptr;
  RestoreObserver* observer = nullptr;
  const CancelToken* cancel = nullptr;
};

}  // namespace kvbackup::inline v1
