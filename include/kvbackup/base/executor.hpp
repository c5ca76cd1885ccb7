// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_THREADS
#include <pthread.h>
#endif

namespace kvbackup::inline v1 {

/// The seam through which a host lends its threads to a run.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Calls task(0) .. task(count-1), each once, on any threads and in any order, and returns when
  /// all have returned. Fewer threads than `count` are fine: a task waits for another one only
  /// where that one has begun.
  virtual void run(std::size_t count, FunctionRef<void(std::size_t)> task) = 0;
};

/// Runs every task on the calling thread, one after the other.
class InlineExecutor final : public Executor {
 public:
  void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
    for (std::size_t i = 0; i < count; ++i) task(i);
  }
};

#if KVBACKUP_WITH_THREADS
/// Runs task(0) on the calling thread and each other task on a POSIX thread of its own. Where the
/// system gives no more threads, the calling thread runs what is left.
class ThreadExecutor final : public Executor {
 public:
  void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
    // std::thread throws where a thread cannot be made; pthread_create says so
    std::vector<Job> jobs;
    std::vector<pthread_t> threads;
    jobs.reserve(count);
    threads.reserve(count);
    std::size_t next = 1;
    for (; next < count; ++next) {
      jobs.push_back({task, next});
      pthread_t thread;
      if (::pthread_create(&thread, nullptr, &run_job, &jobs.back()) != 0) break;
      threads.push_back(thread);
    }
    if (count > 0) task(0);
    for (; next < count; ++next) task(next);
    for (const pthread_t thread : threads) ::pthread_join(thread, nullptr);
  }

 private:
  struct Job {
    FunctionRef<void(std::size_t)> task;
    std::size_t index;
  };
  static void* run_job(void* job) {
    static_cast<Job*>(job)->task(static_cast<Job*>(job)->index);
    return nullptr;
  }
};
#endif

}  // namespace kvbackup::inline v1
