// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

int twice(int v) { return 2 * v; }

int called(FunctionRef<int(int)> f, int v) { return f(v); }

/// Runs 100 tasks and counts how often each ran.
std::vector<int> counts_of(Executor& executor) {
  std::vector<std::atomic<int>> counts(100);
  executor.run(counts.size(), [&](std::size_t i) { counts[i].fetch_add(1); });
  return {counts.begin(), counts.end()};
}

}  // namespace

TEST_CASE("a function reference calls what it was made from") {
  int (*pointer)(int) = twice;
  CHECK(called(pointer, 21) == 42);
  int sum = 0;
  const auto add = [&sum](int v) { return sum += v; };
  CHECK(called(add, 1) == 1);
  CHECK(called(add, 2) == 3);
  CHECK(called([calls = 0](int v) mutable { return v + ++calls; }, 1) == 2);

  struct Counter {
    int calls = 0;
    int operator()(int v) { return v + ++calls; }
  } counter;
  const FunctionRef<int(int)> ref = counter;
  const FunctionRef<int(int)> copy = ref;
  CHECK(ref(0) == 1);
  CHECK(copy(0) == 2);
  CHECK(counter.calls == 2);
}

TEST_CASE("a function reference passes references and move-only values through") {
  std::string text = "a";
  const auto append = [](std::string& out, std::unique_ptr<int> v) { out += std::to_string(*v); };
  const FunctionRef<void(std::string&, std::unique_ptr<int>)> ref = append;
  ref(text, std::make_unique<int>(7));
  CHECK(text == "a7");
  STATIC_REQUIRE_FALSE(std::is_constructible_v<FunctionRef<int(int)>, std::string&>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<FunctionRef<int(int)>, decltype((twice))>);
}

TEST_CASE("a cancel token is seen once it is set, and no token never is") {
  CancelToken token;
  CHECK_FALSE(token.cancelled());
  CHECK(check_cancel(&token).ok());
  CHECK(check_cancel(nullptr).ok());
  token.cancel();
  token.cancel();
  CHECK(token.cancelled());
  CHECK(check_cancel(&token).code() == StatusCode::cancelled);
}

TEST_CASE("an executor runs each task once and returns when all have") {
  InlineExecutor executor;
  CHECK(counts_of(executor) == std::vector<int>(100, 1));
  executor.run(0, [](std::size_t) { FAIL("there was no task to run"); });
#if KVBACKUP_WITH_THREADS
  ThreadExecutor threads;
  CHECK(counts_of(threads) == std::vector<int>(100, 1));
  threads.run(0, [](std::size_t) { FAIL("there was no task to run"); });
#endif
}

TEST_CASE("the inline executor keeps order and stays on the caller's thread") {
  InlineExecutor executor;
  std::vector<std::size_t> order;
  bool same_thread = true;
  executor.run(5, [&, caller = std::this_thread::get_id()](std::size_t i) {
    order.push_back(i);
    same_thread = same_thread && std::this_thread::get_id() == caller;
  });
  CHECK(order == std::vector<std::size_t>{0, 1, 2, 3, 4});
  CHECK(same_thread);
}

#if KVBACKUP_WITH_THREADS
TEST_CASE("the thread executor runs its first task on the caller's thread") {
  ThreadExecutor executor;
  std::vector<std::thread::id> ids(3);
  executor.run(3, [&](std::size_t i) { ids[i] = std::this_thread::get_id(); });
  CHECK(ids[0] == std::this_thread::get_id());
  CHECK(ids[1] != ids[0]);
  CHECK(ids[2] != ids[0]);
}

TEST_CASE("a mutex lets one thread in at a time") {
  Mutex mutex;
  long shared = 0;  // plain on purpose: a race loses counts, and a thread sanitizer sees it
  ThreadExecutor executor;
  executor.run(4, [&](std::size_t) {
    for (int i = 0; i < 20'000; ++i) {
      const MutexLock lock(mutex);
      ++shared;
    }
  });
  CHECK(shared == 80'000);
}

TEST_CASE("a thread that waits for a mutex is woken when it is free") {
  Mutex mutex;
  std::atomic<int> inside{0};
  mutex.lock();
  std::thread waiter([&] {
    const MutexLock lock(mutex);
    inside = 1;
  });
  CHECK(inside == 0);
  mutex.unlock();
  waiter.join();
  CHECK(inside == 1);
}
#endif
