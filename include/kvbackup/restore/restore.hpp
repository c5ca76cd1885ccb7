// SPDX-License-Identifier: Apache-2.0
// Puts a backup back into a store.
//
// Only the files that the asked keys need are read. Of each file SHA-256 is proven before its first
// pair goes to the target, and of those that are used whole count and crc64xor after it. A backup
// is only ever read.
#pragma once

#include <concepts>
#include <cstddef>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/restore/backup_reader.hpp"
#include "kvbackup/restore/detail/restore_run.hpp"
#include "kvbackup/restore/pair_sums.hpp"
#include "kvbackup/restore/part_target.hpp"
#include "kvbackup/restore/restore_options.hpp"
#include "kvbackup/restore/restore_plan.hpp"
#include "kvbackup/sink/callable_sink.hpp"
#include "kvbackup/sink/concept.hpp"
#include "kvbackup/sst/block_cache.hpp"

namespace kvbackup::inline v1 {

/// What was restored to one range of the target.
struct RestoredRange {
  KeyRange range;  ///< in keys of the target
  PairSums sums;
};

/// What a restore did, once its target is finished: what check_restored() holds the target against.
struct RestoreResult {
  std::vector<RestoredRange> ranges;  ///< in the order of RestorePlan::ranges, empty ones too
  std::size_t files = 0;              ///< of the backup, that were read
  PairSums total;                     ///< over all ranges, in keys of the target
};

namespace detail {

[[nodiscard]] inline Status check_restore_options(const RestoreOptions& options) {
  const auto refuse = [](const char* why) {
    return Status::error(StatusCode::invalid_argument, why);
  };
  if (options.concurrency == 0) return refuse("RestoreOptions::concurrency must be at least 1");
  if (options.concurrency > 1 && options.executor == nullptr) {
    return refuse("RestoreOptions::concurrency above 1 needs an executor, such as ThreadExecutor");
  }
  if (options.rate_limit > 0 && options.clock == nullptr) {
    return refuse("RestoreOptions::rate_limit needs a clock, such as SystemClock");
  }
  return check_cancel(options.cancel);
}

/// Whether nothing happens to the store before finish(). PartTargets promise it, a Sink says it by
/// a constant.
template <class Target>
inline constexpr bool is_all_or_nothing = PartTarget<Target> || requires {
  requires bool{Target::all_or_nothing};
};

template <class Target>
[[nodiscard]] Status clear_ranges(Target& target, const RestorePlan& plan) {
  for (const KeyRange& range : plan.target_ranges) {
    if constexpr (requires { target.clear_range(range); }) {
      if (Status status = target.clear_range(range); !status.ok()) return status;
    } else {
      return Status::error(
          StatusCode::unsupported,
          "this kind of target cannot remove a range of keys: restore to a new one");
    }
  }
  return {};
}

template <class Run, class Target>
[[nodiscard]] Status run_restore(Run& run, Target& target, const RestorePlan& plan,
                                 const RestoreOptions& options) {
  Status status = run.check_objects();
  if (options.clear_ranges) {
    if (status.ok() && !is_all_or_nothing<Target>) status = run.check_files();
    if (status.ok()) status = clear_ranges(target, plan);
  }
  if (status.ok()) {
    if constexpr (PartTarget<Target>) {
      status = run.into_parts(target);
    } else {
      status = run.into_sink(target);
    }
  }
  if (status.ok()) status = check_cancel(options.cancel);
  return status.ok() ? target.finish() : status;
}

/// Executes `run`, one of `plan` over `files` files of the backup; `target` is abandoned if that
/// fails.
template <class Run, class Target>
[[nodiscard]] Result<RestoreResult> restore_by(Run& run, Target& target, const RestorePlan& plan,
                                               std::size_t files, const RestoreOptions& options) {
  Status status = run_restore(run, target, plan, options);
  run.finish_progress();
  if (!status.ok()) {
    target.abandon();
    return status;
  }
  RestoreResult result;
  result.files = files;
  for (std::size_t i = 0; i < plan.ranges.size(); ++i) {
    result.ranges.push_back({plan.target_ranges[i], run.sums()[i]});
    result.total.add(run.sums()[i]);
  }
  return result;
}

}  // namespace detail

/// Restores `backup` to `target`, a Sink (in order, on the calling thread; use(cf) and
/// clear_range(range) are called where it has them) or a PartTarget (in parallel), and finishes it;
/// after a failure it is abandoned. What either means for the store is the target's to say. Before
/// ranges of a Sink are cleared that does not say `all_or_nothing`, all files are proven. Errors:
/// those of make_restore_plan(); corruption, which names the file, where the backup is damaged;
/// cancelled; what the target refuses.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache, class Target>
requires(Sink<Target> || PartTarget<Target>) [[nodiscard]] Result<RestoreResult> restore(
    const BasicBackup<Backend, Hash, Decoders, Cache>& backup, Target& target,
    const RestoreOptions& options = {}) {
  const auto failed = [&target](Status status) {
    target.abandon();
    return status;
  };
  if (Status status = detail::check_restore_options(options); !status.ok()) {
    return failed(std::move(status));
  }
  const auto plan = make_restore_plan(backup, options);
  if (!plan.ok()) return failed(plan.status());
  detail::RestoreRun<Backend, Hash, Decoders, Cache> run(backup, plan.value(), options);
  return detail::restore_by(run, target, plan.value(), plan.value().pieces.size(), options);
}

/// The same for a function: f(key, value), which gives Status or nothing.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache, class F>
requires std::invocable<F&, ByteView, ByteView>
[[nodiscard]] Result<RestoreResult> restore(
    const BasicBackup<Backend, Hash, Decoders, Cache>& backup, F f,
    const RestoreOptions& options = {}) {
  CallableSink<F> sink(std::move(f));
  return restore(backup, sink, options);
}

}  // namespace kvbackup::inline v1
