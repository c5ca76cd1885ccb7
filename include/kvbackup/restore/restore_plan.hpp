// SPDX-License-Identifier: Apache-2.0
// What a restore will do, decided before anything is written: which keys, from which files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/key_ranges.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/held_ranges.hpp"
#include "kvbackup/restore/detail/key_domain.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/restore_options.hpp"

namespace kvbackup::inline v1 {

/// What is taken of one file.
struct RestorePiece {
  struct Part {
    KeyRange keys;          ///< in keys of the backup
    std::size_t range = 0;  ///< the one of RestorePlan::ranges that it lies in
  };
  std::size_t file = 0;  ///< its place in BackupMeta.files
  std::vector<Part> parts;
  bool whole = false;  ///< the parts are all that the file answers for
};

/// What a restore will read and where it goes; made by make_restore_plan(), which reads nothing.
struct RestorePlan {
  /// What is restored, in keys of the backup: column families in the order asked for, keys rising.
  std::vector<KeyRange> ranges;
  /// What each of them becomes in the target.
  std::vector<KeyRange> target_ranges;
  /// In the order of `ranges`, so that the keys of one column family rise from piece to piece.
  std::vector<RestorePiece> pieces;
  // Sums over the files, of what lies outside of the ranges too.
  std::uint64_t pairs = 0;
  std::uint64_t bytes = 0;         ///< keys and values
  std::uint64_t stored_bytes = 0;  ///< what the files have
  /// Whether all files are used whole, so that the sums are those of the restore.
  bool exact = true;
};

namespace detail {

/// The key of the target for a key of the backup, which begins with what is rewritten.
inline void rewrite_key(const PrefixRewrite& rewrite, ByteView key, std::string& out) {
  out = rewrite.to;
  out += key.substr(rewrite.from.size());
}

/// The keys of the target for those of `range`, all of which begin with what is rewritten.
[[nodiscard]] inline KeyRange rewrite_range(const PrefixRewrite& rewrite, const KeyRange& range) {
  KeyRange out{range.cf, {}, {}};
  rewrite_key(rewrite, range.start, out.start);
  if (range.end == prefix_end(rewrite.from)) {
    out.end = prefix_end(rewrite.to);
  } else {
    rewrite_key(rewrite, range.end, out.end);
  }
  return out;
}

/// The parts of `asked` that `held` has. not_found for a range of which it has nothing.
[[nodiscard]] inline Result<std::vector<KeyRange>> held_parts(const std::vector<KeyRange>& asked,
                                                              const std::vector<KeyRange>& held) {
  std::vector<KeyRange> out;
  for (const KeyRange& range : asked) {
    const std::size_t before = out.size();
    std::set<std::string_view> cfs;
    for (const KeyRange& each : held) {
      if (auto both = intersection(range, each)) out.push_back(std::move(*both));
      cfs.insert(each.cf);
    }
    if (out.size() > before) continue;
    std::string message("the backup holds no keys of this range; its column families are");
    for (const std::string_view cf : cfs) message.append(" ").append(cf);
    return Status::error(StatusCode::not_found, std::move(message))
        .with_object(range.cf)
        .with_range(range.start, range.end);
  }
  return out;
}

/// The ranges that a restore by `options` takes, out of those that the backup holds.
[[nodiscard]] inline Result<std::vector<KeyRange>> restored_ranges(std::vector<KeyRange> held,
                                                                   const RestoreOptions& options) {
  auto sorted = sorted_held(std::move(held));
  if (!sorted.ok()) return sorted;
  std::vector<KeyRange> ranges = std::move(sorted).value();
  if (!options.ranges.empty()) {
    auto asked = normalize_ranges(options.ranges);
    if (!asked.ok()) return asked;
    auto parts = held_parts(asked.value(), ranges);
    if (!parts.ok()) return parts;
    ranges = std::move(parts).value();
  }
  if (!options.rewrite_prefix) return ranges;
  std::vector<KeyRange> out;
  for (const KeyRange& range : ranges) {
    const std::string& from = options.rewrite_prefix->from;
    if (auto both = intersection(range, {range.cf, from, prefix_end(from)})) {
      out.push_back(std::move(*both));
    }
  }
  if (!out.empty()) return out;
  return Status::error(
             StatusCode::not_found,
             "the backup holds no range in which keys begin with the prefix that is to be "
             "rewritten")
      .with_key(options.rewrite_prefix->from);
}

/// Adds what the files that answer for range `number` of `plan` give to it.
[[nodiscard]] inline Status plan_range(const FileIndex& index, const std::vector<File>& files,
                                       std::size_t number, RestorePlan& plan) {
  const KeyRange& range = plan.ranges[number];
  const auto found = index.overlapping(range);
  if (!found.ok()) return found.status();
  for (const std::size_t at : found.value()) {
    const File& file = files[at];
    KeyRange own{range.cf, file.start_key, file.end_key};
    auto both = intersection(range, own);
    if (!both) continue;
    if (plan.pieces.empty() || plan.pieces.back().file != at) {
      RestorePiece piece;
      piece.file = at;
      piece.whole = *both == own;
      plan.pieces.push_back(std::move(piece));
      plan.pairs += file.total_kvs;
      plan.bytes += file.total_bytes;
      plan.stored_bytes += file.size;
      plan.exact = plan.exact && plan.pieces.back().whole;
    }
    plan.pieces.back().parts.push_back({std::move(*both), number});
  }
  return {};
}

}  // namespace detail

/// The plan of a restore of `backup`, a BasicBackup; reads nothing but what it has open. Errors:
/// invalid_argument for options that cannot work; not_found for keys that the backup does not
/// hold; corruption for files of which two hold the same keys; unsupported for a backup that is not
/// of plain pairs.
template <class Backup>
[[nodiscard]] Result<RestorePlan> make_restore_plan(const Backup& backup,
                                                    const RestoreOptions& options) {
  if (Status status = backup.check_logical(); !status.ok()) return status;
  auto held = backup.ranges();
  if (!held.ok()) return std::move(held).status();
  auto ranges = detail::restored_ranges(std::move(held).value(), options);
  if (!ranges.ok()) return std::move(ranges).status();

  RestorePlan plan;
  plan.ranges = std::move(ranges).value();
  const std::vector<File>& files = backup.meta().files;
  for (std::size_t i = 0; i < plan.ranges.size(); ++i) {
    if (options.target_cf && plan.ranges[i].cf != plan.ranges.front().cf) {
      return Status::error(StatusCode::invalid_argument,
                           "pairs of several column families cannot go to one: restore them one by "
                           "one")
          .with_object(plan.ranges[i].cf);
    }
    if (Status status = detail::plan_range(backup.files(), files, i, plan); !status.ok()) {
      return status;
    }
    plan.target_ranges.push_back(
        options.rewrite_prefix ? detail::rewrite_range(*options.rewrite_prefix, plan.ranges[i])
                               : plan.ranges[i]);
    if (options.target_cf) plan.target_ranges.back().cf = *options.target_cf;
  }
  const bool everything = options.ranges.empty() && !options.rewrite_prefix;
  if (everything && (!plan.exact || plan.pieces.size() != files.size())) {
    return Status::error(StatusCode::corruption,
                         "backupmeta names files for keys outside of the ranges that it says the "
                         "backup holds; verify the backup")
        .with_object(backup.url());
  }
  return plan;
}

}  // namespace kvbackup::inline v1
