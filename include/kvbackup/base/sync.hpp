// SPDX-License-Identifier: Apache-2.0
// A mutex made of one atomic, so that a body that locks is the same tokens in builds with and
// without threads, and pulls in no <mutex>.
#pragma once

#include <atomic>

namespace kvbackup::inline v1 {

/// Mutual exclusion. Not recursive, not fair. Waits in std::atomic::wait (a futex on Linux).
class Mutex {
 public:
  Mutex() noexcept = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() noexcept {
    int seen = free_state;
    if (state_.compare_exchange_strong(seen, locked_state, std::memory_order_acquire)) return;
    // contended_state tells unlock() that somebody may be asleep
    while (state_.exchange(contended_state, std::memory_order_acquire) != free_state) {
      state_.wait(contended_state, std::memory_order_relaxed);
    }
  }
  void unlock() noexcept {
    if (state_.exchange(free_state, std::memory_order_release) == contended_state) {
      state_.notify_one();
    }
  }

 private:
  static constexpr int free_state = 0;
  static constexpr int locked_state = 1;
  static constexpr int contended_state = 2;
  std::atomic<int> state_{free_state};
};

/// Holds a Mutex for a scope.
class MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) noexcept : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace kvbackup::inline v1
