// SPDX-License-Identifier: Apache-2.0
// What a verification is asked for, and what it found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/executor.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/restore/progress.hpp"

namespace kvbackup::inline v1 {

/// What to verify. Pointers are borrowed for the length of the run.
struct VerifyOptions {
  /// Names, sizes, coverage and sums of backupmeta only; no file is read.
  bool quick = false;
  /// What lies beside the backup (files that are not listed, lock files, checkpoints) is damage.
  bool strict = false;
  /// Whatever would keep BR from restoring the backup is damage too.
  bool br_rules = false;
  /// Files worked on at once. Above 1 it needs an `executor`. Never changes the report.
  std::size_t concurrency = 1;
  /// Threads. Null: the calling thread does everything.
  Executor* executor = nullptr;
  RestoreObserver* observer = nullptr;
  const CancelToken* cancel = nullptr;
};

/// How bad a Finding is, rising: warnings alone leave a backup whole.
enum class Severity : std::uint8_t {
  warning,     ///< not as it should be, and the backup is whole all the same
  unprovable,  ///< nothing says that it is right or wrong
  unreadable,  ///< the storage did not give what had to be read, so nothing is known
  damage,      ///< something is not what the backup says it is
};

/// "warning", "unprovable", "unreadable", "damage".
[[nodiscard]] constexpr std::string_view to_string(Severity severity) noexcept {
  switch (severity) {
    case Severity::warning: return "warning";
    case Severity::unprovable: return "unprovable";
    case Severity::unreadable: return "unreadable";
    case Severity::damage: return "damage";
  }
  return "unknown";
}

/// One thing that was found. Like a Status it carries object and keys beside its message, so that
/// keys can be hidden.
struct Finding {
  Severity severity = Severity::damage;
  std::string object;             ///< empty: the backup as a whole
  std::optional<KeyRange> range;  ///< the logical keys that it is about
  std::string what;

  /// One line for people: "damage: its SHA-256 ...: object 1_1_1.sst, cf default, key range [61,
  /// 62)".
  [[nodiscard]] std::string to_string(KeyDisplay keys = KeyDisplay::shown) const {
    Status status = Status::error(StatusCode::corruption, what).with_object(object);
    if (range) status = std::move(status).with_range(range->start, range->end);
    // what a Status says, behind another first word
    std::string line = status.to_string(keys);
    line.replace(0, line.find(':'), kvbackup::v1::to_string(severity));
    return line;
  }
};

/// What a verification found, in the order of backupmeta.
struct VerifyReport {
  std::vector<Finding> findings;
  /// Findings beyond max_findings, which are counted only.
  std::uint64_t findings_left_out = 0;
  /// By Severity, those left out too.
  std::uint64_t warnings = 0;
  std::uint64_t unprovable = 0;
  std::uint64_t unreadable = 0;
  std::uint64_t damages = 0;

  bool is_sealed = false;             ///< backupmeta is ours, and its seal is right
  bool quick = false;                 ///< no file was read
  std::uint64_t end_version = 0;      ///< of backupmeta; 0 of a raw backup
  std::uint64_t created_unix_ms = 0;  ///< of backupmeta; 0 of BR's own, which does not say it
  std::uint64_t files = 0;
  std::uint64_t pairs = 0;         ///< read from files and counted
  std::uint64_t bytes = 0;         ///< their key and value lengths
  std::uint64_t stored_bytes = 0;  ///< of the files that were read to their end
  /// Files whose bytes are those that were recorded but whose content was not looked at, and why is
  /// an unprovable finding: a codec is not built in, or they are encrypted.
  std::uint64_t unproven_files = 0;

  [[nodiscard]] bool is_damaged() const { return damages != 0; }
  /// Everything that was to be read was, and nothing is damaged. What stands behind the bytes is
  /// proven too where unproven_files is 0.
  [[nodiscard]] bool is_whole() const { return damages == 0 && unreadable == 0; }

  /// A broken backup of many files gives as many findings; that many are kept.
  static constexpr std::size_t max_findings = 10'000;

  void add(Finding finding) {
    switch (finding.severity) {
      case Severity::warning: ++warnings; break;
      case Severity::unprovable: ++unprovable; break;
      case Severity::unreadable: ++unreadable; break;
      case Severity::damage: ++damages; break;
    }
    if (findings.size() < max_findings) {
      findings.push_back(std::move(finding));
    } else {
      ++findings_left_out;
    }
  }
};

}  // namespace kvbackup::inline v1
