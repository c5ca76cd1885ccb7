// SPDX-License-Identifier: Apache-2.0
// Puts a transactional backup, with the incremental ones that follow it, back into a store.
//
// All files that the asked keys need are proven before the first pair goes to the target: SHA-256,
// counts, crc64xor, and that no large value is missing.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/txn_run.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/pair_sums.hpp"
#include "kvbackup/restore/part_target.hpp"
#include "kvbackup/restore/restore.hpp"
#include "kvbackup/restore/restore_compare.hpp"
#include "kvbackup/restore/restore_options.hpp"
#include "kvbackup/restore/restore_plan.hpp"
#include "kvbackup/restore/txn_backup.hpp"
#include "kvbackup/sink/callable_sink.hpp"
#include "kvbackup/sink/concept.hpp"
#include "kvbackup/source/mvcc_snapshot.hpp"
#include "kvbackup/sst/block_cache.hpp"

namespace kvbackup::inline v1 {

namespace detail {

[[nodiscard]] inline Status check_txn_options(TxnView view, const RestoreOptions& options) {
  if (view == TxnView::flat) return {};
  if (options.rewrite_prefix) {
    return Status::error(StatusCode::invalid_argument,
                         "keys are not rewritten on their way into a store of TiKV, where ids of "
                         "tables stand in them: restore the newest values (TxnView::flat)");
  }
  if (options.target_cf) {
    return Status::error(StatusCode::invalid_argument,
                         "records of TiKV go to its column families default and write, and to no "
                         "other");
  }
  return {};
}

/// Adds the files of `meta` that have keys of `ranges`, which are in user keys and sorted.
[[nodiscard]] inline Status plan_member(const BackupMeta& meta, std::size_t member,
                                        const std::vector<KeyRange>& ranges, bool everything,
                                        TxnRestorePlan& plan) {
  for (std::size_t i = 0; i < meta.files.size(); ++i) {
    const File& file = meta.files[i];
    const auto fail = [&file](const char* why) {
      return Status::error(StatusCode::corruption, why)
          .with_object(file.name)
          .with_range(file.start_key, file.end_key);
    };
    if (cf_of(file) != default_cf && cf_of(file) != mvcc_write_cf) {
      return fail(
          "a transactional backup has files of column families default and write, and this one is "
          "of another; verify the backup");
    }
    if (is_inverted(file)) return fail("its start key is not below its end key; verify the backup");
    const auto after = std::partition_point(
        ranges.begin(), ranges.end(),
        [&file](const KeyRange& range) { return range.start <= file.start_key; });
    const KeyRange* before = after == ranges.begin() ? nullptr : &*std::prev(after);
    const bool begins_inside = before != nullptr && begins_before(file.start_key, before->end);
    if (everything && !(begins_inside && ends_within(file.end_key, before->end))) {
      return fail(
          "it is of keys outside of the ranges that backupmeta says the backup holds; verify the "
          "backup");
    }
    const bool reaches_next = after != ranges.end() && begins_before(after->start, file.end_key);
    if (!begins_inside && !reaches_next) continue;
    plan.files.push_back({member, i});
    plan.pairs += file.total_kvs;
    plan.bytes += file.total_bytes;
    plan.stored_bytes += file.size;
  }
  return {};
}

}  // namespace detail

/// The plan of a restore of `backup`, whose ranges are in user keys of column family "default", and
/// in the result in keys of the view. The sums count deletions and what is overwritten too. Errors
/// as for other backups; invalid_argument for options that the view cannot have.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache>
[[nodiscard]] Result<TxnRestorePlan> make_restore_plan(
    const BasicTxnBackup<Backend, Hash, Decoders, Cache>& backup, const RestoreOptions& options) {
  if (Status status = detail::check_txn_options(backup.view(), options); !status.ok()) {
    return status;
  }
  auto ranges = detail::restored_ranges(backup.user_ranges(), options);
  if (!ranges.ok()) return std::move(ranges).status();
  // BR records no ranges of a transactional backup, and all keys stand for them
  if (options.clear_ranges && options.ranges.empty() && !options.rewrite_prefix &&
      !backup.members().front().manifest().info) {
    return Status::error(StatusCode::invalid_argument,
                         "the backup does not record which key ranges it holds, so all of the "
                         "target would be cleared: name the ranges that are to be");
  }
  TxnRestorePlan plan;
  plan.exact = false;
  const bool everything = options.ranges.empty() && !options.rewrite_prefix;
  for (std::size_t i = 0; i < backup.members().size(); ++i) {
    Status status =
        detail::plan_member(backup.members()[i].meta(), i, ranges.value(), everything, plan);
    if (!status.ok()) return status;
    for (const std::string_view cf : {mvcc_default_cf, mvcc_write_cf}) {
      // files that hold the same keys are found before anything is cleared
      const auto files = backup.members()[i].files().overlapping({std::string(cf), "", ""});
      if (!files.ok()) return files.status();
    }
  }
  for (const KeyRange& range : ranges.value()) {
    for (KeyRange& each : backup.view_of(range)) plan.ranges.push_back(std::move(each));
  }
  // column family by column family
  std::stable_sort(plan.ranges.begin(), plan.ranges.end(),
                   [](const KeyRange& a, const KeyRange& b) { return a.cf < b.cf; });
  plan.target_ranges = plan.ranges;
  for (KeyRange& range : plan.target_ranges) {
    if (options.rewrite_prefix) range = detail::rewrite_range(*options.rewrite_prefix, range);
    if (options.target_cf) range.cf = *options.target_cf;
  }
  return plan;
}

/// Restores `backup`, as restore() of other backups does it. A PartTarget gets a part a file of the
/// full backup.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache, class Target>
requires(Sink<Target> || PartTarget<Target>) [[nodiscard]] Result<RestoreResult> restore(
    const BasicTxnBackup<Backend, Hash, Decoders, Cache>& backup, Target& target,
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
  detail::TxnRestoreRun run(backup, plan.value(), options);
  return detail::restore_by(run, target, plan.value(), plan.value().files.size(), options);
}

/// The same for a function: f(key, value), which gives Status or nothing.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache, class F>
requires std::invocable<F&, ByteView, ByteView>
[[nodiscard]] Result<RestoreResult> restore(
    const BasicTxnBackup<Backend, Hash, Decoders, Cache>& backup, F f,
    const RestoreOptions& options = {}) {
  CallableSink<F> sink(std::move(f));
  return restore(backup, sink, options);
}

/// What restore() would put, by the same options: all of it is read.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache>
[[nodiscard]] Result<PairSums> count_restore(
    const BasicTxnBackup<Backend, Hash, Decoders, Cache>& backup,
    const RestoreOptions& options = {}) {
  const auto plan = make_restore_plan(backup, options);
  if (!plan.ok()) return plan.status();
  RestoreComparison out;
  for (const KeyRange& range : plan.value().ranges) {
    auto source = backup.scan(range);
    if (!source.ok()) return std::move(source).status();
    decltype(&source.value()) none = nullptr;
    Status status = detail::compare_range(source.value(), none, options, out);
    if (!status.ok()) return status;
  }
  return out.pairs;
}

}  // namespace kvbackup::inline v1
