// SPDX-License-Identifier: Apache-2.0
// How a run tells its host what it is doing: the library's only logging seam.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

/// How far a run is. Numbers only grow.
struct Progress {
  std::uint64_t pairs = 0;          ///< logical pairs taken from the source
  std::uint64_t bytes = 0;          ///< their key and value lengths
  std::uint64_t stored_bytes = 0;   ///< bytes handed to the backend, for lost objects too
  std::uint64_t files = 0;          ///< objects committed
  std::uint64_t rebuilt_parts = 0;  ///< times that a part was built again
  std::uint64_t resumed_files = 0;  ///< of these objects, those that an earlier run committed
  std::uint64_t throttled_ns = 0;   ///< waited for the rate limits, all workers together
  std::uint64_t ranges = 0;         ///< planned sub-ranges done
  std::uint64_t total_ranges = 0;   ///< planned sub-ranges
  SizeEstimate total;               ///< what the source expects; nothing where it cannot tell
};

/// Called by a run, from any of its threads, never two calls at once and never under a lock of the
/// library. A slow observer slows the run. Hooks must not throw.
class Observer {
 public:
  virtual ~Observer() = default;
  /// About once a MiB of pairs and worker, and whenever a file or a sub-range is done.
  virtual void on_progress(const Progress& /*progress*/) {}
  /// An object of the backup was committed.
  virtual void on_file(const File& /*file*/) {}
  /// A part is built again, after a pause, because `lost` happened to an object of it.
  virtual void on_rebuild(const Status& /*lost*/) {}
  /// A sentence that the operator should read.
  virtual void on_note(const std::string& /*note*/) {}
};

namespace detail {

/// Sums what the workers do and hands it to the observer one call at a time.
class ProgressReporter {
 public:
  ProgressReporter(Observer* observer, std::uint64_t total_ranges, SizeEstimate total)
      : observer_(observer), total_ranges_(total_ranges), total_(total) {}

  void add_pairs(std::uint64_t pairs, std::uint64_t bytes) {
    pairs_.fetch_add(pairs, std::memory_order_relaxed);
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    notify();
  }
  void add_stored(std::uint64_t bytes) {
    stored_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  void add_throttled(std::uint64_t ns) { throttled_ns_.fetch_add(ns, std::memory_order_relaxed); }
  void add_file(const File& file) {
    files_.fetch_add(1, std::memory_order_relaxed);
    notify(&file);
  }
  /// What an earlier run of the job did.
  void add_finished(std::uint64_t files, std::uint64_t pairs, std::uint64_t bytes,
                    std::uint64_t stored_bytes) {
    files_.fetch_add(files, std::memory_order_relaxed);
    resumed_files_.fetch_add(files, std::memory_order_relaxed);
    stored_bytes_.fetch_add(stored_bytes, std::memory_order_relaxed);
    add_pairs(pairs, bytes);
  }
  void add_rebuild(const Status& lost) {
    rebuilt_parts_.fetch_add(1, std::memory_order_relaxed);
    notify(nullptr, &lost);
  }
  void add_range() {
    ranges_.fetch_add(1, std::memory_order_relaxed);
    notify();
  }

  [[nodiscard]] Progress progress() const {
    Progress p;
    p.pairs = pairs_.load(std::memory_order_relaxed);
    p.bytes = bytes_.load(std::memory_order_relaxed);
    p.stored_bytes = stored_bytes_.load(std::memory_order_relaxed);
    p.files = files_.load(std::memory_order_relaxed);
    p.rebuilt_parts = rebuilt_parts_.load(std::memory_order_relaxed);
    p.resumed_files = resumed_files_.load(std::memory_order_relaxed);
    p.throttled_ns = throttled_ns_.load(std::memory_order_relaxed);
    p.ranges = ranges_.load(std::memory_order_relaxed);
    p.total_ranges = total_ranges_;
    p.total = total_;
    return p;
  }

 private:
  // Whoever finds nobody delivering delivers, for itself and for those who come meanwhile.
  void notify(const File* file = nullptr, const Status* lost = nullptr) {
    if (observer_ == nullptr) return;
    {
      const MutexLock lock(mutex_);
      if (file != nullptr) files_to_report_.push_back(*file);
      if (lost != nullptr) losses_to_report_.push_back(*lost);
      dirty_ = true;
      if (delivering_) return;
      delivering_ = true;
    }
    for (;;) {
      std::vector<File> files;
      std::vector<Status> losses;
      {
        const MutexLock lock(mutex_);
        if (!dirty_) {
          delivering_ = false;
          return;
        }
        dirty_ = false;
        files = std::exchange(files_to_report_, {});
        losses = std::exchange(losses_to_report_, {});
      }
      for (const Status& each : losses) observer_->on_rebuild(each);
      for (const File& each : files) observer_->on_file(each);
      observer_->on_progress(progress());
    }
  }

  Observer* observer_;
  std::uint64_t total_ranges_;
  SizeEstimate total_;
  std::atomic<std::uint64_t> pairs_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> stored_bytes_{0};
  std::atomic<std::uint64_t> files_{0};
  std::atomic<std::uint64_t> rebuilt_parts_{0};
  std::atomic<std::uint64_t> resumed_files_{0};
  std::atomic<std::uint64_t> throttled_ns_{0};
  std::atomic<std::uint64_t> ranges_{0};
  Mutex mutex_;
  std::vector<File> files_to_report_;     // under mutex_
  std::vector<Status> losses_to_report_;  // under mutex_
  bool dirty_ = false;
  bool delivering_ = false;
};

}  // namespace detail
}  // namespace kvbackup::inline v1
