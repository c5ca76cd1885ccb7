// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/rate_limiter.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/base/workers.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/checked_file.hpp"
#include "kvbackup/restore/detail/file_check.hpp"
#include "kvbackup/restore/detail/mvcc_file.hpp"
#include "kvbackup/restore/detail/put_turns.hpp"
#include "kvbackup/restore/detail/version_source.hpp"
#include "kvbackup/restore/pair_sums.hpp"
#include "kvbackup/restore/part_target.hpp"
#include "kvbackup/restore/progress.hpp"
#include "kvbackup/restore/restore_options.hpp"
#include "kvbackup/restore/restore_plan.hpp"
#include "kvbackup/restore/txn_backup.hpp"
#include "kvbackup/restore/verify_report.hpp"
#include "kvbackup/sink/concept.hpp"
#include "kvbackup/source/mvcc_snapshot.hpp"

namespace kvbackup::inline v1 {

/// The plan of a restore of a transactional backup; its pieces are files, of which there are
/// several for the same keys.
struct TxnRestorePlan : RestorePlan {
  struct NeededFile {
    std::size_t member = 0;  ///< which backup, the full one being the first
    std::size_t file = 0;    ///< its place in BackupMeta.files
  };
  std::vector<NeededFile> files;
};

namespace detail {

/// Executes one plan of a restore of `Backup`, a BasicTxnBackup.
template <class Backup>
class TxnRestoreRun {
  using Member = typename Backup::Member;

 public:
  /// Borrows all three.
  TxnRestoreRun(const Backup& backup, const TxnRestorePlan& plan, const RestoreOptions& options)
      : backup_(backup),
        plan_(plan),
        options_(options),
        reporter_(options.observer, plan.files.size(), plan.stored_bytes),
        sums_(plan.ranges.size()) {
    if (options.rate_limit > 0) limiter_.emplace(options.rate_limit, *options.clock);
  }

  /// All files of the plan are there and hold what backupmeta says, and no large value is missing.
  [[nodiscard]] Status check_objects() {
    std::vector<std::vector<std::optional<LargeValues>>> large_values;
    for (std::size_t i = 0; i < backup_.members().size(); ++i) {
      const Member& member = backup_.members()[i];
      std::vector<const File*> files;
      for (const auto& needed : plan_.files) {
        if (needed.member == i) files.push_back(&member.meta().files[needed.file]);
      }
      if (Status status = check_listed(member.backend(), files); !status.ok()) return status;
      large_values.emplace_back(member.meta().files.size());
    }
    Status status = run_workers(
        plan_.files.size(), options_.concurrency, options_.executor, [&](std::size_t i) {
          const auto& needed = plan_.files[i];
          return prove_file(needed, large_values[needed.member][needed.file]);
        });
    for (std::size_t i = 0; status.ok() && i < large_values.size(); ++i) {
      status = check_values(backup_.members()[i], large_values[i]);
    }
    return status;
  }

  /// check_objects() has read them.
  [[nodiscard]] static Status check_files() { return {}; }

  /// On the calling thread.
  template <Sink S>
  [[nodiscard]] Status into_sink(S& sink) {
    if (Status status = check_cfs<S>(plan_); !status.ok()) return status;
    std::size_t entered = 0;
    for (std::size_t i = 0; i < plan_.ranges.size(); ++i) {
      if (Status status = enter_ranges(sink, plan_, entered, i + 1); !status.ok()) return status;
      Status status = put_range(plan_.ranges[i], i, [&sink](ByteView key, ByteView value) {
        return sink.put(key, value);
      });
      if (!status.ok()) return status;
    }
    return {};
  }

  /// What lies between the starts of two files of the full backup becomes a part, `concurrency` at
  /// once.
  template <PartTarget T>
  [[nodiscard]] Status into_parts(T& target) {
    if (Status status = add_cfs(target, plan_); !status.ok()) return status;
    std::vector<std::pair<std::size_t, KeyRange>> pieces;
    for (std::size_t i = 0; i < plan_.ranges.size(); ++i) {
      auto split = backup_.split(plan_.ranges[i], 1);
      if (!split.ok()) return std::move(split).status();
      for (KeyRange& range : split.value()) pieces.emplace_back(i, std::move(range));
    }
    return run_workers(pieces.size(), options_.concurrency, options_.executor,
                       [&](std::size_t i) { return make_part(target, pieces[i]); });
  }

  /// What went to each of the plan's target ranges.
  [[nodiscard]] const std::vector<PairSums>& sums() const { return sums_; }
  void finish_progress() { reporter_.finish(); }

 private:
  [[nodiscard]] Status prove_file(const TxnRestorePlan::NeededFile& needed,
                                  std::optional<LargeValues>& large_values) {
    const Member& member = backup_.members()[needed.member];
    using Check = FileCheck<std::remove_cvref_t<decltype(member.backend())>,
                            std::remove_cvref_t<decltype(member.hash())>,
                            std::remove_cvref_t<decltype(member.decoders())>>;
    RestoreReporter unheard(nullptr, 0, 0);  // pairs count when they are put
    Check check(member.backend(), member.manifest(), needed.file, member.hash(), member.decoders(),
                options_.cancel, unheard);
    std::vector<Finding> findings;
    if (Status status = check.run(findings); !status.ok()) return status;
    for (const Finding& finding : findings) {
      if (finding.severity == Severity::damage || finding.severity == Severity::unreadable) {
        return status_of(finding);
      }
    }
    if (check.is_unproven() && !findings.empty()) {
      return Status::error(StatusCode::unsupported, findings.back().what + "; nothing was restored")
          .with_object(member.meta().files[needed.file].name);
    }
    large_values = check.large_values();
    reporter_.add_stored(member.meta().files[needed.file].size);
    reporter_.add_file();
    return {};
  }

  /// Finds the first key whose large value is missing, where any is.
  [[nodiscard]] Status check_values(
      const Member& member, const std::vector<std::optional<LargeValues>>& large_values) const {
    VerifyReport report;
    check_large_values(member.meta().files, large_values, report);
    if (report.findings.empty()) return {};
    const Finding& finding = report.findings.front();
    const KeyRange range = finding.range.value_or(KeyRange());
    const KeyRange write{std::string(mvcc_write_cf), range.start, range.end};
    auto records = member.scan_versions(write);
    if (!records.ok()) return std::move(records).status();
    VersionSource<Member> versions(member, std::move(records).value(), write);
    for (; versions.valid(); versions.next()) {
      if (versions.is_deletion()) continue;
      if (auto value = versions.user_value(); !value.ok()) return std::move(value).status();
    }
    return versions.status().ok() ? status_of(finding) : versions.status();
  }

  [[nodiscard]] static Status status_of(const Finding& finding) {
    const bool is_damage = finding.severity == Severity::damage;
    std::string what = finding.what + "; nothing was restored";
    if (is_damage) what += ": take the file from another copy of the backup";
    const KeyRange range = finding.range.value_or(KeyRange());
    return Status::error(is_damage ? StatusCode::corruption : StatusCode::io_error, std::move(what))
        .with_object(finding.object)
        .with_range(range.start, range.end);
  }

  template <class Put>
  [[nodiscard]] Status put_range(const KeyRange& range, std::size_t number, Put&& put) {
    auto scan = backup_.scan(range);
    if (!scan.ok()) return std::move(scan).status();
    PairMeter meter(reporter_, limiter_ ? &*limiter_ : nullptr, options_.cancel);
    PairSums restored;
    std::string target_key;
    auto& source = scan.value();
    for (; source.valid(); source.next()) {
      ByteView key = source.key();
      const ByteView value = source.value();
      if (options_.rewrite_prefix) {
        rewrite_key(*options_.rewrite_prefix, key, target_key);
        key = target_key;
      }
      restored.add(key, value);
      Status status = meter.add(key.size() + value.size());
      if (status.ok()) status = put(key, value);
      if (!status.ok()) return status;
    }
    if (Status status = source.status(); !status.ok()) return status;
    if (Status status = meter.flush(); !status.ok()) return status;
    const MutexLock lock(mutex_);
    sums_[number].add(restored);
    return {};
  }

  template <PartTarget T>
  [[nodiscard]] Status make_part(T& target, const std::pair<std::size_t, KeyRange>& piece) {
    using Begun = typename decltype(target.begin(std::string_view()))::value_type;
    std::optional<Begun> part;  // begun with its first pair
    Status status =
        put_range(piece.second, piece.first, [&](ByteView key, ByteView value) -> Status {
          if (!part) {
            auto begun = target.begin(plan_.target_ranges[piece.first].cf);
            if (!begun.ok()) return std::move(begun).status();
            part.emplace(std::move(begun).value());
          }
          return part->put(key, value);
        });
    return status.ok() && part ? part->finish() : status;
  }

  const Backup& backup_;
  const TxnRestorePlan& plan_;
  const RestoreOptions& options_;
  RestoreReporter reporter_;
  std::optional<RateLimiter> limiter_;
  Mutex mutex_;
  std::vector<PairSums> sums_;  // under mutex_; one a range of the plan
};

}  // namespace detail
}  // namespace kvbackup::inline v1
