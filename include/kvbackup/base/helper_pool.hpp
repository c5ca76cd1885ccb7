// SPDX-License-Identifier: Apache-2.0
// How threads that have no work of their own take some off those that have.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/sync.hpp"

namespace kvbackup::inline v1 {

/// Where owners offer jobs and helpers, threads inside help(), run them in the order of the offers.
///
/// An owner runs a job itself where nobody has begun it by the time it is needed. So it waits only
/// for what another thread is doing at that moment, and a pool with fewer helpers than hoped for,
/// or none, ends all the same. It starts no threads. Every call is safe from any thread; the pool
/// outlives whoever uses it.
class HelperPool {
 public:
  /// What an owner offers. It stays where it is while it is offered or run.
  class Job {
   public:
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

   protected:
    /// `run` does the work; it must not throw.
    explicit Job(void (*run)(Job&)) noexcept : run_(run) {}
    ~Job() = default;

   private:
    friend class HelperPool;
    enum class State : std::uint8_t { idle, offered, begun };
    void (*run_)(Job&);
    Job* next_ = nullptr;        // in the queue
    State state_ = State::idle;  // as next_, under the pool's mutex
  };

  HelperPool() noexcept = default;
  /// `cancel`, which may be null, is for whoever runs jobs to look at; it outlives the pool.
  explicit HelperPool(const CancelToken* cancel) noexcept : cancel_(cancel) {}
  HelperPool(const HelperPool&) = delete;
  HelperPool& operator=(const HelperPool&) = delete;

  /// Runs what is offered, and sleeps where nothing is, until close().
  void help() {
    helpers_.fetch_add(1, std::memory_order_relaxed);
    for (;;) {
      const std::uint32_t seen = offers_.load(std::memory_order_acquire);
      if (closed_.load(std::memory_order_relaxed)) break;
      Job* const job = take_first();
      if (job == nullptr) {
        offers_.wait(seen, std::memory_order_acquire);
        continue;
      }
      job->run_(*job);
      end(*job);
    }
    helpers_.fetch_sub(1, std::memory_order_relaxed);
  }
  /// Sends the helpers away, for good; each ends the job it has begun. What is still offered is its
  /// owner's to run.
  void close() noexcept {
    closed_.store(true, std::memory_order_relaxed);
    offers_.fetch_add(1, std::memory_order_release);
    offers_.notify_all();
  }
  /// Threads inside help() at the moment.
  [[nodiscard]] std::size_t helpers() const noexcept {
    return helpers_.load(std::memory_order_relaxed);
  }
  /// Jobs that are offered and not begun at the moment.
  [[nodiscard]] std::size_t waiting() const noexcept {
    return waiting_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] const CancelToken* cancel() const noexcept { return cancel_; }

  /// Puts a job that is not offered at the end of the queue.
  void offer(Job& job) noexcept {
    {
      const MutexLock lock(mutex_);
      job.next_ = nullptr;
      job.state_ = Job::State::offered;
      *end_ = &job;
      end_ = &job.next_;
      waiting_.fetch_add(1, std::memory_order_relaxed);
    }
    offers_.fetch_add(1, std::memory_order_release);
    offers_.notify_one();
  }
  /// Takes a job back that nobody has begun; false if somebody has, or it was not offered.
  [[nodiscard]] bool take_back(Job& job) noexcept {
    const MutexLock lock(mutex_);
    if (job.state_ != Job::State::offered) return false;
    Job** at = &first_;
    while (*at != &job) at = &(*at)->next_;
    *at = job.next_;
    if (job.next_ == nullptr) end_ = at;
    job.state_ = Job::State::idle;
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  /// Takes a job back and runs it on this thread; false if somebody has begun it.
  [[nodiscard]] bool run_here(Job& job) {
    if (!take_back(job)) return false;
    job.run_(job);
    return true;
  }
  /// Whether an offered job was run, or taken back. What it did is visible then.
  [[nodiscard]] bool ended(const Job& job) noexcept {
    const MutexLock lock(mutex_);
    return job.state_ == Job::State::idle;
  }
  /// Waits until a job that somebody has begun is run.
  void wait(const Job& job) noexcept {
    for (;;) {
      const std::uint32_t seen = ends_.load(std::memory_order_acquire);
      if (ended(job)) return;
      ends_.wait(seen, std::memory_order_acquire);
    }
  }

 private:
  [[nodiscard]] Job* take_first() noexcept {
    const MutexLock lock(mutex_);
    Job* const job = first_;
    if (job == nullptr) return nullptr;
    first_ = job->next_;
    if (first_ == nullptr) end_ = &first_;
    job->state_ = Job::State::begun;
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return job;
  }
  /// The job may be gone as soon as the lock is.
  void end(Job& job) noexcept {
    {
      const MutexLock lock(mutex_);
      job.state_ = Job::State::idle;
    }
    ends_.fetch_add(1, std::memory_order_release);
    ends_.notify_all();
  }

  const CancelToken* cancel_ = nullptr;
  Mutex mutex_;
  Job* first_ = nullptr;  // under mutex_
  Job** end_ = &first_;   // under mutex_: where the next job is put
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::size_t> helpers_{0};
  std::atomic<bool> closed_{false};
  // they only change, so that a thread can sleep until they do
  std::atomic<std::uint32_t> offers_{0};
  std::atomic<std::uint32_t> ends_{0};
};

}  // namespace kvbackup::inline v1
