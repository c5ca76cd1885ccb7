// SPDX-License-Identifier: Apache-2.0
// Divides numbered pieces of work among the threads of an executor.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <utility>

#include "kvbackup/base/executor.hpp"
#include "kvbackup/base/helper_pool.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"

namespace kvbackup::inline v1::detail {

/// Calls work(0, stop) .. work(count - 1, stop) -> Status, `concurrency` at once on the executor's
/// threads, in rising order of their beginning; without an executor one after the other. `stop`, an
/// atomic<bool>, turns true once one of them failed, so that the others may end early; where that
/// is of no use, work(i). Gives the first failure; no work is begun after it. internal if the
/// executor left some out.
///
/// With `helpers`, `threads` of the executor take part: those that find no work help until the last
/// work is done or one fails.
template <class Work>
[[nodiscard]] Status run_workers(std::size_t count, std::size_t concurrency, Executor* executor,
                                 Work&& work, HelperPool* helpers = nullptr,
                                 std::size_t threads = 0) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> finished{0};
  std::atomic<bool> stop{false};
  Mutex mutex;
  Status first_failure;
  const auto call = [&](std::size_t index) -> Status {
    if constexpr (requires { work(index, stop); }) {
      return work(index, stop);
    } else {
      return work(index);
    }
  };
  const auto end = [&] {
    if (helpers != nullptr) helpers->close();
  };
  const auto worker = [&](std::size_t) {
    while (!stop.load(std::memory_order_relaxed)) {
      const std::size_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      Status status = call(index);
      if (status.ok()) {
        if (finished.fetch_add(1, std::memory_order_relaxed) + 1 == count) end();
        continue;
      }
      {
        const MutexLock lock(mutex);
        if (first_failure.ok()) first_failure = std::move(status);
        stop.store(true, std::memory_order_relaxed);
      }
      end();
    }
  };
  const std::size_t workers = std::min(concurrency, count);
  if (helpers != nullptr && workers > 0 && executor != nullptr) {
    std::atomic<std::size_t> begun{0};
    executor->run(std::max(workers, threads), [&](std::size_t i) {
      if (begun.fetch_add(1, std::memory_order_relaxed) < workers) worker(i);
      helpers->help();
    });
  } else if (workers <= 1 || executor == nullptr) {
    worker(0);
  } else {
    executor->run(workers, worker);
  }
  if (!first_failure.ok()) return first_failure;
  if (finished.load(std::memory_order_relaxed) == count) return {};
  return Status::error(StatusCode::internal,
                       "the executor returned without running every task it was given");
}

}  // namespace kvbackup::inline v1::detail
