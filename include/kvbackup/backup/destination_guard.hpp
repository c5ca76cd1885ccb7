// SPDX-License-Identifier: Apache-2.0
// Keeps a destination for one run.
//
// A run writes a lock of its own name, then lists all locks, and withdraws if another one lives.
// Of two runs the one that writes later lists both, so at most one stays, wherever what was written
// is listed at once; both may withdraw. One lock of a fixed name, created with `if_absent`, would
// not do better: a dead holder's would have to be removed, and two that find it dead could remove
// each other's. Where commit() does not decide `if_absent` itself (an S3 server without conditional
// writes), lists may be late as well, so there the check is advisory.
//
// A holder that is stopped for longer than its lease may be taken for dead. It looks for its lock
// again before each renewal and before backupmeta, which only one run can create.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/process.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/manifest/destination_lock.hpp"
#include "kvbackup/manifest/naming.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// Writes a whole object.
template <ObjectBackend Backend>
[[nodiscard]] Status put_object(Backend& backend, std::string_view name, ByteView bytes,
                                bool if_absent) {
  auto writer = backend.create(name, {.size_hint = bytes.size(), .if_absent = if_absent});
  if (!writer.ok()) return std::move(writer).status();
  if (Status status = writer.value().append(bytes); !status.ok()) return status;
  return writer.value().commit().status();
}

/// Removes an object; ok if it is gone.
template <ReadableBackend Backend>
[[nodiscard]] Status remove_object(Backend& backend, std::string_view name) {
  Status status = backend.remove(name);
  return status.code() == StatusCode::not_found ? Status() : status;
}

/// The lock in the object, as far as it can be read; nothing if it vanished meanwhile.
template <ReadableBackend Backend>
[[nodiscard]] Result<std::optional<FoundLock>> read_found_lock(Backend& backend,
                                                               const ObjectInfo& object) {
  FoundLock found{.name = object.name, .lock = {}, .modified_ms = object.modified_ms};
  if (object.size <= max_lock_size) {
    auto bytes = backend.read(object.name);
    if (bytes.status().code() == StatusCode::not_found) return std::optional<FoundLock>();
    if (!bytes.ok()) return std::move(bytes).status();
    auto lock = decode_lock(object.name, bytes.value());
    if (lock.ok()) found.lock = std::move(lock).value();
  }
  return std::optional<FoundLock>(std::move(found));
}

}  // namespace detail

/// The lock of one run. Begins with acquire(); destruction does not release(), since a run that
/// ends without a word is to be found. Borrows backend and clock. Thread-safe.
template <ReadableBackend Backend>
class DestinationGuard {
 public:
  /// `run_id` is the run's own, `job_id` that of its checkpoint.
  DestinationGuard(Backend& backend, Clock& clock, std::string run_id, std::string job_id)
      : backend_(backend), clock_(clock) {
    const ProcessIdentity self = this_process();
    lock_.format = lock_format;
    lock_.run_id = std::move(run_id);
    lock_.job_id = std::move(job_id);
    lock_.host = printable(self.host);
    lock_.pid = self.pid;
    lock_.process = printable(self.process);
    lock_.lease_ms = lock_lease_ms;
    lock_.started_unix_ms = clock_.unix_ms();
  }

  /// Writes the lock. already_exists, and no lock left, if another run lives.
  [[nodiscard]] Status acquire() {
    const MutexLock hold(mutex_);
    if (Status status = write(true); !status.ok()) return status;
    Status status = look();
    if (status.ok()) return status;
    Status withdrawn = detail::remove_object(backend_, name());
    if (withdrawn.ok()) return status;
    return std::move(status).with_note(
        "its own lock " + name() + " could not be removed: " + std::string(withdrawn.message()));
  }

  /// To be called often; renews the lock once that is due. A storage that cannot be reached is
  /// borne with until the lease is over.
  [[nodiscard]] Status tick() {
    if (clock_.steady_ns() < due_ns_.load(std::memory_order_relaxed)) return {};
    const MutexLock hold(mutex_);
    const std::uint64_t now = clock_.steady_ns();
    if (now < due_ns_.load(std::memory_order_relaxed)) return lost_;
    if (!lost_.ok()) return lost_;
    Status status = look();
    if (is_loss(status)) return lost_ = std::move(status);
    if (status.ok()) status = write(false);
    if (status.ok() || status.code() == StatusCode::cancelled) return status;
    if (now - written_ns_ >= lock_lease_ms * ns_per_ms) {
      return std::move(status).with_note("the lock of the destination could not be renewed");
    }
    due_ns_.store(now + retry_ms * ns_per_ms, std::memory_order_relaxed);
    return {};
  }

  /// Whether the lock is still held. Asks the storage.
  [[nodiscard]] Status check() {
    const MutexLock hold(mutex_);
    if (!lost_.ok()) return lost_;
    Status status = look();
    if (is_loss(status)) lost_ = status;
    return status;
  }

  /// Removes the locks of runs that have ended, which were found by the last look.
  [[nodiscard]] Status remove_dead() {
    const MutexLock hold(mutex_);
    for (const FoundLock& each : dead_) {
      if (Status status = detail::remove_object(backend_, each.name); !status.ok()) return status;
    }
    dead_.clear();
    return {};
  }

  [[nodiscard]] Status release() { return detail::remove_object(backend_, name()); }

  [[nodiscard]] std::string name() const { return lock_name(lock_.run_id); }
  /// Whether tick() or check() found that another run took over.
  [[nodiscard]] bool is_lost() {
    const MutexLock hold(mutex_);
    return !lost_.ok();
  }
  /// Whether two runs could both take the destination in spite of it.
  [[nodiscard]] bool is_advisory() const { return !decides_if_absent(backend_); }

 private:
  static constexpr std::uint64_t ns_per_ms = 1'000'000;
  /// Between tries of a renewal that failed.
  static constexpr std::uint64_t retry_ms = 10'000;

  /// What decode_lock() takes for the name of a host.
  [[nodiscard]] static std::string printable(std::string text) {
    text.resize(std::min<std::size_t>(text.size(), 255));
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
    return text;
  }

  /// Whether it is look()'s answer, and not a failure to ask.
  [[nodiscard]] static bool is_loss(const Status& status) {
    return status.code() == StatusCode::already_exists || status.code() == StatusCode::not_found;
  }

  [[nodiscard]] Status write(bool if_absent) {
    const std::uint64_t began = clock_.steady_ns();
    lock_.renewed_unix_ms = clock_.unix_ms();
    Status status = detail::put_object(backend_, name(), encode_lock(lock_), if_absent);
    if (!status.ok()) return status;
    written_ns_ = began;
    due_ns_.store(began + lock_renewal_ms * ns_per_ms, std::memory_order_relaxed);
    return status;
  }

  /// ok if the own lock is there and no other one lives.
  [[nodiscard]] Status look() {
    auto listed = backend_.list(lock_prefix);
    if (!listed.ok()) return std::move(listed).status();
    const ObjectInfo* const own = find_object(listed.value(), name());
    if (own == nullptr) {
      return Status::error(StatusCode::not_found,
                           "the lock of this run is gone from the destination: another run took "
                           "over, or somebody removed it; this one ends")
          .with_object(name());
    }
    dead_.clear();
    for (const ObjectInfo& each : listed.value()) {
      if (&each == own || !is_lock_name(each.name)) continue;
      auto found = detail::read_found_lock(backend_, each);
      if (!found.ok()) return std::move(found).status();
      if (!found.value()) continue;
      // a lock is renewed, so the own one's time may be long ago and the other's later
      if (is_live(*found.value(), storage_time(*own), clock_.unix_ms())) {
        return in_use(*found.value());
      }
      dead_.push_back(*std::move(found.value()));
    }
    return {};
  }

  /// What the storage's clock says now: its time of the own lock, and how long ago it was written.
  [[nodiscard]] std::optional<std::uint64_t> storage_time(const ObjectInfo& own) const {
    if (!own.modified_ms) return std::nullopt;
    return *own.modified_ms + (clock_.steady_ns() - written_ns_) / ns_per_ms;
  }

  KVBACKUP_DETAIL_COLD static Status in_use(const FoundLock& other) {
    return Status::error(StatusCode::already_exists,
                         "another run is at work in this destination: " + describe_lock(other) +
                             "; wait until it has ended")
        .with_object(other.name);
  }

  Backend& backend_;
  Clock& clock_;
  Mutex mutex_;
  DestinationLock lock_;  // under mutex_, as what follows
  std::vector<FoundLock> dead_;
  Status lost_;
  std::uint64_t written_ns_ = 0;
  std::atomic<std::uint64_t> due_ns_{0};
};

}  // namespace kvbackup::inline v1
