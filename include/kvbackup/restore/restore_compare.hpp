// SPDX-License-Identifier: Apache-2.0
// Holds a target against the backup that is, or was, restored to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/restore/pair_sums.hpp"
#include "kvbackup/restore/restore.hpp"
#include "kvbackup/restore/restore_options.hpp"
#include "kvbackup/restore/restore_plan.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

/// How the pairs of a restore stand to those of a target.
struct RestoreComparison {
  PairSums pairs;             ///< of the restore, in keys of the target
  std::uint64_t present = 0;  ///< those whose key the target has
  std::uint64_t equal = 0;    ///< those that it has with the same value
  /// With RestoreOptions::clear_ranges: pairs that only the target has in the ranges, and that the
  /// restore removes.
  std::uint64_t others = 0;
};

namespace detail {

/// How many pairs are walked between two looks at the cancel token.
inline constexpr std::uint64_t pairs_between_looks = 1024;

/// Goes past a pair that only the target has.
template <class Target>
[[nodiscard]] Status pass_other(Target& target, const RestoreOptions& options,
                                RestoreComparison& out) {
  target.next();
  if (!options.clear_ranges || ++out.others % pairs_between_looks != 0) return {};
  return check_cancel(options.cancel);
}

/// Walks the pairs of one range of a restore, and `target`'s, if there is one, beside them.
template <SortedSource Source, class Target>
[[nodiscard]] Status compare_range(Source& source, Target* target, const RestoreOptions& options,
                                   RestoreComparison& out) {
  std::string key;
  for (; source.valid(); source.next()) {
    if (out.pairs.pairs % pairs_between_looks == 0) {
      if (Status status = check_cancel(options.cancel); !status.ok()) return status;
    }
    if (options.rewrite_prefix) {
      rewrite_key(*options.rewrite_prefix, as_bytes(source.key()), key);
    } else {
      key = as_bytes(source.key());
    }
    out.pairs.add(key, as_bytes(source.value()));
    if (target == nullptr) continue;
    while (target->valid() && as_bytes(target->key()) < ByteView(key)) {
      if (Status status = pass_other(*target, options, out); !status.ok()) return status;
    }
    if (!target->valid() || as_bytes(target->key()) != ByteView(key)) continue;
    out.present += 1;
    if (as_bytes(target->value()) == as_bytes(source.value())) out.equal += 1;
    target->next();
  }
  if (Status status = source.status(); !status.ok()) return status;
  if (target == nullptr) return {};
  // what stands behind is read only where somebody asks for it
  while (options.clear_ranges && target->valid()) {
    if (Status status = pass_other(*target, options, out); !status.ok()) return status;
  }
  return target->status();
}

/// Whether `target` has the column family; one that cannot tell is asked for it.
template <Snapshot Target>
[[nodiscard]] Result<bool> has_cf(const Target& target, const std::string& cf) {
  if constexpr (EnumerableSnapshot<Target>) {
    const auto ranges = target.ranges();
    if (!ranges.ok()) return ranges.status();
    for (const KeyRange& range : ranges.value()) {
      if (range.cf == cf) return true;
    }
    return false;
  } else {
    return true;
  }
}

}  // namespace detail

/// Compares what restore() would put, by the same options, with what the snapshot `target` has:
/// before a restore, the keys that collide; after a merge, whether it has all of them. Reads the
/// asked keys of the backup, whose files are not proven, and the same ranges of the target.
template <class Backup, Snapshot Target>
[[nodiscard]] Result<RestoreComparison> compare_with(const Backup& backup, const Target& target,
                                                     const RestoreOptions& options = {}) {
  const auto plan = make_restore_plan(backup, options);
  if (!plan.ok()) return plan.status();
  RestoreComparison out;
  for (std::size_t i = 0; i < plan.value().ranges.size(); ++i) {
    auto source = backup.scan(plan.value().ranges[i]);
    if (!source.ok()) return std::move(source).status();
    const KeyRange& range = plan.value().target_ranges[i];
    const auto there = detail::has_cf(target, range.cf);
    if (!there.ok()) return there.status();
    Status status;
    if (there.value()) {
      auto scan = target.scan(range);
      if (!scan.ok()) return std::move(scan).status();
      status = detail::compare_range(source.value(), &scan.value(), options, out);
    } else {
      decltype(&source.value()) none = nullptr;
      status = detail::compare_range(source.value(), none, options, out);
    }
    if (!status.ok()) return status;
  }
  return out;
}

/// What restore() would put, by the same options: backupmeta's sums for files that are used whole,
/// and of the others the pairs that are in the ranges, which are read.
template <class Backup>
[[nodiscard]] Result<PairSums> count_restore(const Backup& backup,
                                             const RestoreOptions& options = {}) {
  const auto plan = make_restore_plan(backup, options);
  if (!plan.ok()) return plan.status();
  RestoreComparison out;
  for (const RestorePiece& piece : plan.value().pieces) {
    if (piece.whole) {
      const auto& file = backup.meta().files[piece.file];
      out.pairs.add({file.total_kvs, file.total_bytes, 0});
      continue;
    }
    for (const RestorePiece::Part& part : piece.parts) {
      auto source = backup.scan(part.keys);
      if (!source.ok()) return std::move(source).status();
      decltype(&source.value()) none = nullptr;
      Status status = detail::compare_range(source.value(), none, options, out);
      if (!status.ok()) return status;
    }
  }
  if (options.rewrite_prefix) {
    // whole files were counted with the keys of the backup
    for (const RestorePiece& piece : plan.value().pieces) {
      if (!piece.whole) continue;
      const std::uint64_t pairs = backup.meta().files[piece.file].total_kvs;
      out.pairs.bytes += pairs * options.rewrite_prefix->to.size();
      out.pairs.bytes -= pairs * options.rewrite_prefix->from.size();
    }
  }
  out.pairs.crc64xor = 0;
  return out.pairs;
}

/// Reads back what restore() put into a new store or into ranges that were cleared: `target` has in
/// each range exactly the pairs that went there. corruption names the range where not.
template <Snapshot Target>
[[nodiscard]] Status check_restored(const Target& target, const RestoreResult& result,
                                    const CancelToken* cancel = nullptr) {
  for (const RestoredRange& restored : result.ranges) {
    PairSums found;
    const auto there = detail::has_cf(target, restored.range.cf);
    if (!there.ok()) return there.status();
    if (there.value()) {
      auto scan = target.scan(restored.range);
      if (!scan.ok()) return std::move(scan).status();
      for (auto& source = scan.value(); source.valid(); source.next()) {
        if (found.pairs % detail::pairs_between_looks == 0) {
          if (Status status = check_cancel(cancel); !status.ok()) return status;
        }
        found.add(as_bytes(source.key()), as_bytes(source.value()));
      }
      if (Status status = scan.value().status(); !status.ok()) return status;
    }
    if (found == restored.sums) continue;
    return Status::error(StatusCode::corruption,
                         "the target does not hold what was restored to it: " +
                             std::to_string(restored.sums.pairs) + " pairs with crc64xor " +
                             std::to_string(restored.sums.crc64xor) + " were put, and it has " +
                             std::to_string(found.pairs) + " with " +
                             std::to_string(found.crc64xor) +
                             "; is something else writing there? Do not use it")
        .with_object(restored.range.cf)
        .with_range(restored.range.start, restored.range.end);
  }
  return {};
}

}  // namespace kvbackup::inline v1
