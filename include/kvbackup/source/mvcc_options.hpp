// SPDX-License-Identifier: Apache-2.0
// Which versions an MVCC backup takes, and what it asks of the host of the store.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/source/mvcc_records.hpp"

namespace kvbackup::inline v1 {

/// A lock, and the user key that it is on.
struct MvccLockedKey {
  std::string key;
  MvccLock lock;
};

/// What the host of an MVCC store knows beyond what is stored. Called from several threads at once.
class MvccHost {
 public:
  virtual ~MvccHost() = default;
  /// The timestamp of the garbage collector: of the versions at and before it, any but the newest
  /// of a key may be gone. A failure that is retryable() ends a backup only where it begins and
  /// where it is to be completed.
  [[nodiscard]] virtual Result<std::uint64_t> gc_safe_point() { return std::uint64_t{0}; }
  /// Called before the state of the store is taken. Makes sure that no transaction commits at or
  /// before `end_version` from then on, but those whose locks are stored, and those whose locks are
  /// in memory (async commit), which it gives.
  [[nodiscard]] virtual Result<std::vector<MvccLockedKey>> memory_locks(
      std::uint64_t /*end_version*/) {
    return std::vector<MvccLockedKey>();
  }
};

/// Whether the keys of a store begin with TiKV's data prefix 'z', as those of TiKV's own do.
enum class MvccPrefix : std::uint8_t {
  detect,  ///< by the length of the first key: 9n + 9 bytes with the prefix, 9n + 8 without
  none,
  tikv,
};

/// Which versions. Pointers are borrowed for the life of the snapshot and its scans.
struct MvccOptions {
  /// 0: a full backup, of the newest version of every key at end_version. Else an incremental one:
  /// what was committed after start_version and by end_version, removals too.
  std::uint64_t start_version = 0;
  std::uint64_t end_version = 0;
  /// TiKV's answer to an end_version of 0, and to a start_version not below end_version, is
  /// nothing, as if there were no data. Without this they are errors.
  bool bad_versions_give_nothing = false;
  MvccPrefix prefix = MvccPrefix::detect;
  /// Null: nothing is collected, and no lock is in memory only. end_version must then be older than
  /// any transaction that is still to commit.
  MvccHost* host = nullptr;
  /// For asking the host every 5 seconds. Null: it is asked at the beginning and the end only.
  Clock* clock = nullptr;
  /// Looked at where a scan passes over what is no part of the backup.
  const CancelToken* cancel = nullptr;

  /// invalid_argument, with both numbers, for versions between which nothing can lie.
  [[nodiscard]] Status validate() const {
    if (bad_versions_give_nothing) return {};
    if (end_version == 0) {
      return Status::error(StatusCode::invalid_argument,
                           "a transactional backup needs an end_version, the timestamp that it is "
                           "taken at; 0 is none");
    }
    if (start_version < end_version) return {};
    return Status::error(
        StatusCode::invalid_argument,
        "start_version " + std::to_string(start_version) + " is not below end_version " +
            std::to_string(end_version) +
            ", so that no version lies between them; a full backup has start_version 0");
  }
};

namespace detail {

/// Whether the garbage collector has reached what a backup still reads.
class GcWatch {
 public:
  explicit GcWatch(const MvccOptions& options)
      : host_(options.host),
        clock_(options.clock),
        is_full_(options.start_version == 0),
        oldest_(is_full_ ? options.end_version : options.start_version) {}

  /// Asks the host. not_found, with both numbers, where versions may be gone.
  [[nodiscard]] Status ask() const {
    if (host_ == nullptr) return {};
    if (clock_ != nullptr) asked_at_.store(clock_->steady_ns(), std::memory_order_relaxed);
    auto safe_point = host_->gc_safe_point();
    if (!safe_point.ok()) {
      return std::move(safe_point).status().with_note("this was asking for the GC safe point");
    }
    if (oldest_ >= safe_point.value()) return {};
    return Status::error(StatusCode::not_found,
                         std::string(is_full_ ? "end_version " : "start_version ") +
                             std::to_string(oldest_) + " is below the GC safe point " +
                             std::to_string(safe_point.value()) +
                             ": versions that belong into this backup may have been collected; "
                             "take it at a later timestamp" +
                             (is_full_ ? "" : ", or a full one"));
  }
  /// The same if that was 5 seconds ago.
  [[nodiscard]] Status poll() const {
    if (host_ == nullptr || clock_ == nullptr) return {};
    // as often as BR verifies its safe point (br/pkg/utils/safe_point.go)
    constexpr std::uint64_t interval_ns = 5'000'000'000;
    std::uint64_t asked_at = asked_at_.load(std::memory_order_relaxed);
    const std::uint64_t now = clock_->steady_ns();
    if (now < asked_at || now - asked_at < interval_ns) return {};
    // one thread asks for all
    if (!asked_at_.compare_exchange_strong(asked_at, now, std::memory_order_relaxed)) return {};
    Status status = ask();
    return status.retryable() ? Status() : status;
  }

 private:
  MvccHost* host_;
  Clock* clock_;
  bool is_full_;
  std::uint64_t oldest_;  // the backup reads versions at and after it
  mutable std::atomic<std::uint64_t> asked_at_{0};
};

}  // namespace detail
}  // namespace kvbackup::inline v1
