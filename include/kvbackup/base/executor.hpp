// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_THREADS
#include <thread>
#endif

namespace kvbackup::inline v1 {

/// The seam through which a host lends its threads to a run.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Calls task(0) .. task(count-1), each once, on any threads and in any order, and returns when
  /// all have returned. Fewer threads than `count` are fine: tasks never wait for one another.
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
/// Runs task(0) on the calling thread and each other task on a thread of its own.
class ThreadExecutor final : public Executor {
 public:
  void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
    std::vector<std::thread> threads;
    threads.reserve(count);
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back([task, i] { task(i); });
    if (count > 0) task(0);
    for (std::thread& thread : threads) thread.join();
  }
};
#endif

}  // namespace kvbackup::inline v1
