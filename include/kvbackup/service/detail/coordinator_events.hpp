// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/service/coordinator_options.hpp"

namespace kvbackup::inline v1::detail {

/// Hands what the threads of a run see to its observer, one call at a time and under no lock.
class CoordinatorEvents {
 public:
  explicit CoordinatorEvents(CoordinatorObserver* observer) : observer_(observer) {}

  void add_trouble(Status why) {
    const MutexLock lock(mutex_);
    // a node that fails without end is not told of without end
    if (observer_ != nullptr && troubles_.size() < most_waiting)
      troubles_.push_back(std::move(why));
  }
  void add_orphans(const std::vector<File>& files) {
    const MutexLock lock(mutex_);
    if (observer_ == nullptr) return;
    for (const File& file : files) {
      if (orphans_.size() < most_waiting) orphans_.push_back(file);
    }
  }

  /// Tells what was added, and the progress. Whoever finds nobody delivering delivers, for itself
  /// and for those who come meanwhile.
  void deliver(FunctionRef<CoordinatorProgress()> progress) {
    if (observer_ == nullptr) return;
    {
      const MutexLock lock(mutex_);
      dirty_ = true;
      if (std::exchange(delivering_, true)) return;
    }
    for (;;) {
      std::vector<Status> troubles;
      std::vector<File> orphans;
      {
        const MutexLock lock(mutex_);
        if (!std::exchange(dirty_, false)) {
          delivering_ = false;
          return;
        }
        troubles = std::exchange(troubles_, {});
        orphans = std::exchange(orphans_, {});
      }
      for (const Status& each : troubles) observer_->on_trouble(each);
      for (const File& each : orphans) observer_->on_orphan(each);
      observer_->on_progress(progress());
    }
  }

 private:
  static constexpr std::size_t most_waiting = 4096;

  CoordinatorObserver* observer_;
  Mutex mutex_;
  std::vector<Status> troubles_;  // under mutex_
  std::vector<File> orphans_;     // under mutex_
  bool dirty_ = false;            // under mutex_
  bool delivering_ = false;       // under mutex_
};

}  // namespace kvbackup::inline v1::detail
