// SPDX-License-Identifier: Apache-2.0
// Children that die, and what they may leave.
#pragma once

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <unistd.h>
#include <utility>

#include <kvbackup/kvbackup.hpp>
#include <sys/wait.h>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"
#include "support/syscall_faults.hpp"
#include "support/temp_dir.hpp"

namespace crash_test {

using namespace kvbackup;
using test_support::SyscallFault;
using test_support::SyscallFaultPlan;
using test_support::TempDir;

enum class End { success, failure, killed };
struct Outcome {
  End end = End::killed;
  std::uint64_t operations = 0;  ///< counted, unless killed
};

/// Runs `work`, which gives whether it succeeded, in a child of its own, so that nothing of it
/// outlives the process; with the faults of `plan` there.
template <class Work>
Outcome in_child(const SyscallFaultPlan& plan, Work&& work) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    test_support::arm_syscall_faults(plan);
    const bool done = work();
    const std::uint64_t count = test_support::counted_syscalls();
    const bool told = ::write(ends[1], &count, sizeof count) == sizeof count;
    ::_exit(done && told ? 0 : 1);
  }
  ::close(ends[1]);
  Outcome outcome;
  const bool heard =
      ::read(ends[0], &outcome.operations, sizeof outcome.operations) == sizeof outcome.operations;
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) {
    REQUIRE(WTERMSIG(status) == SIGKILL);
    return outcome;
  }
  REQUIRE(heard);
  REQUIRE(WEXITSTATUS(status) <= 1);
  outcome.end = WEXITSTATUS(status) == 0 ? End::success : End::failure;
  return outcome;
}
template <class Work>
bool succeeds(Work&& work) {
  return in_child({}, std::forward<Work>(work)).end == End::success;
}

/// Three parts and some bytes.
inline test_support::Store small_store() { return test_support::many_pairs(200); }

/// A store that tells its state, so that a backup of it can be resumed.
class StatedSnapshot : public RangeSnapshot<const test_support::Store&> {
 public:
  explicit StatedSnapshot(const test_support::Store& store)
      : RangeSnapshot<const test_support::Store&>(store) {}
  [[nodiscard]] static std::string state() { return "as it is"; }
};

/// With a lock and a checkpoint for every part.
template <class Backend>
Status back_up(const test_support::Store& store, Backend backend, bool resume = false) {
  test_support::FixedClock clock;
  BackupOptions options;
  options.part_size = 4000;
  options.clock = &clock;
  options.checkpoint = true;
  options.checkpoint_interval_ms = 0;
  options.resume = resume;
  return BackupPipeline(StatedSnapshot(store), NoneCodec{}, FileHasher{}, std::move(backend))
      .run(options)
      .status();
}

/// Verifies and restores a backup; false if it is not exactly `store`, or, `alone`, something lies
/// beside it.
template <class Backend>
bool holds(Backend backend, const test_support::Store& store, bool alone = false) {
  auto backup = Backup<Backend>::open(std::move(backend));
  UNSCOPED_INFO(backup.status().to_string());
  if (!backup.ok()) return false;
  const auto report = backup.value().verify();
  if (!report.ok() || !report.value().is_whole()) return false;
  if (alone && !report.value().findings.empty()) return false;
  test_support::Store restored;
  const auto result = restore(
      backup.value(), [&restored](ByteView key, ByteView value) { restored.emplace(key, value); });
  return result.ok() && restored == store;
}

}  // namespace crash_test
