// SPDX-License-Identifier: Apache-2.0
// Work that is offered is run once, by whoever comes first.
#include <array>
#include <atomic>
#include <deque>
#include <thread>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

namespace helper_pool_test {
namespace {

using namespace kvbackup;

struct Count final : HelperPool::Job {
  Count() : Job([](Job& job) { ++static_cast<Count&>(job).runs; }) {}
  int runs = 0;  // not atomic: what a job did is visible once it has ended
};

TEST_CASE("without helpers an owner runs what it offered itself, in any order") {
  HelperPool pool;
  std::array<Count, 3> jobs;
  for (Count& job : jobs) pool.offer(job);
  CHECK(pool.waiting() == 3);
  CHECK_FALSE(pool.ended(jobs[1]));
  for (const std::size_t i : {1u, 2u, 0u}) {
    CHECK(pool.run_here(jobs[i]));
    CHECK(pool.ended(jobs[i]));
    CHECK_FALSE(pool.run_here(jobs[i]));
  }
  pool.offer(jobs[0]);
  CHECK(pool.take_back(jobs[0]));
  CHECK(jobs[0].runs == 1);
  CHECK(pool.waiting() == 0);
}

TEST_CASE("every job of several owners is run once, by owners and helpers") {
  HelperPool pool;
  std::vector<std::thread> helpers;
  for (int i = 0; i < 3; ++i) helpers.emplace_back([&] { pool.help(); });
  std::atomic<int> wrong{0};
  std::vector<std::thread> owners;
  for (int i = 0; i < 2; ++i) {
    owners.emplace_back([&] {
      std::deque<Count> jobs(300);
      for (Count& job : jobs) pool.offer(job);
      for (std::size_t n = 0; n < jobs.size(); n += 7) (void)pool.run_here(jobs[n]);
      for (Count& job : jobs) {
        if (!pool.run_here(job)) pool.wait(job);
        if (job.runs != 1) ++wrong;
      }
    });
  }
  for (std::thread& owner : owners) owner.join();
  pool.close();
  for (std::thread& helper : helpers) helper.join();
  CHECK(wrong == 0);
  CHECK(pool.helpers() == 0);
}

TEST_CASE("a closed pool has no helpers, and its owners go on") {
  HelperPool pool;
  pool.close();
  pool.help();
  Count job;
  pool.offer(job);
  CHECK(pool.run_here(job));
  CHECK(job.runs == 1);
}

// Gives all tasks to one thread, the last one first.
struct BackwardsExecutor final : Executor {
  void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
    for (std::size_t i = count; i > 0; --i) task(i - 1);
  }
};

TEST_CASE("threads that find no work help until the last work is done or one fails") {
  InlineExecutor in_line;
  BackwardsExecutor backwards;
  ThreadExecutor threads;
  for (Executor* executor : {static_cast<Executor*>(&in_line), static_cast<Executor*>(&backwards),
                             static_cast<Executor*>(&threads)}) {
    for (const std::size_t failing : {0u, 1u, 3u}) {  // 3: none
      HelperPool pool;
      std::atomic<int> done{0};
      const Status status = detail::run_workers(
          3, 2, executor,
          [&](std::size_t i) -> Status {
            if (i == failing) return Status::error(StatusCode::io_error, "injected");
            Count job;
            pool.offer(job);
            if (!pool.run_here(job)) pool.wait(job);
            done += job.runs;
            return {};
          },
          &pool, 5);
      CHECK(status.ok() == (failing == 3));
      if (status.ok()) CHECK(done == 3);
      CHECK(pool.helpers() == 0);
    }
  }
}

}  // namespace
}  // namespace helper_pool_test
