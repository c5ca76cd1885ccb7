// SPDX-License-Identifier: Apache-2.0
// How a run over a backup tells its host how far it is.
#pragma once

#include <atomic>
#include <cstdint>

namespace kvbackup::inline v1 {

/// How far such a run is. Numbers only grow.
struct RestoreProgress {
  std::uint64_t pairs = 0;         ///< logical pairs read
  std::uint64_t bytes = 0;         ///< their key and value lengths
  std::uint64_t stored_bytes = 0;  ///< bytes of files read
  std::uint64_t files = 0;         ///< files done
  std::uint64_t throttled_ns = 0;  ///< waited for the rate limit, all workers together
  std::uint64_t total_stored_bytes = 0;
  std::uint64_t total_files = 0;
};

/// Called by a run, from any of its threads, never two calls at once and never under a lock of the
/// library. A slow observer slows the run. Hooks must not throw.
class RestoreObserver {
 public:
  virtual ~RestoreObserver() = default;
  /// At least once a MiB of files or pairs and worker, and once at the end.
  virtual void on_progress(const RestoreProgress& /*progress*/) {}
};

namespace detail {

/// Sums what the workers do and hands it to the observer one call at a time.
class RestoreReporter {
 public:
  RestoreReporter(RestoreObserver* observer, std::uint64_t total_files,
                  std::uint64_t total_stored_bytes)
      : observer_(observer), total_files_(total_files), total_stored_bytes_(total_stored_bytes) {}

  void add_stored(std::uint64_t bytes) {
    stored_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    notify();
  }
  void add_pairs(std::uint64_t pairs, std::uint64_t bytes) {
    pairs_.fetch_add(pairs, std::memory_order_relaxed);
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    notify();
  }
  void add_throttled(std::uint64_t ns) { throttled_ns_.fetch_add(ns, std::memory_order_relaxed); }
  void add_file() {
    files_.fetch_add(1, std::memory_order_relaxed);
    notify();
  }
  /// Call once the workers are done: a call while another one runs may have been left out.
  void finish() { notify(); }

  [[nodiscard]] RestoreProgress progress() const {
    RestoreProgress p;
    p.pairs = pairs_.load(std::memory_order_relaxed);
    p.bytes = bytes_.load(std::memory_order_relaxed);
    p.stored_bytes = stored_bytes_.load(std::memory_order_relaxed);
    p.files = files_.load(std::memory_order_relaxed);
    p.throttled_ns = throttled_ns_.load(std::memory_order_relaxed);
    p.total_stored_bytes = total_stored_bytes_;
    p.total_files = total_files_;
    return p;
  }

 private:
  void notify() {
    if (observer_ == nullptr || delivering_.exchange(true, std::memory_order_acquire)) return;
    observer_->on_progress(progress());
    delivering_.store(false, std::memory_order_release);
  }

  RestoreObserver* observer_;
  std::uint64_t total_files_;
  std::uint64_t total_stored_bytes_;
  std::atomic<std::uint64_t> pairs_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> stored_bytes_{0};
  std::atomic<std::uint64_t> files_{0};
  std::atomic<std::uint64_t> throttled_ns_{0};
  std::atomic<bool> delivering_{false};
};

}  // namespace detail
}  // namespace kvbackup::inline v1
