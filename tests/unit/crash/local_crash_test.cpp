// SPDX-License-Identifier: Apache-2.0
// A backup to a folder that ends at any of its system calls: it is not there, or it is whole.
#include <cerrno>
#include <cstdint>
#include <string>

#include "crash_support.hpp"

namespace crash_test {

namespace {

bool clean(LocalBackend backend) {
  test_support::FixedClock clock;
  CleanOptions options;
  options.clock = &clock;
  options.remove = true;
  return clean_destination(backend, options).ok();
}

// `action` at every `step`-th operation of a backup, until one ends without it; gives their number.
std::uint64_t fail_everywhere(SyscallFault action, std::uint64_t step, int error = 0) {
  const auto store = small_store();
  for (std::uint64_t n = 1;; n += step) {
    INFO("action " << static_cast<int>(action) << ", operation " << n);
    const TempDir folder;
    const std::string path = folder.path("backup");
    const Outcome outcome = in_child({action, n, error, {path}},
                                     [&] { return back_up(store, LocalBackend(path)).ok(); });
    const bool is_there = LocalBackend(path).exists(backupmeta_name).value();
    if (is_there) {
      CHECK(holds(LocalBackend(path), store));
    } else {
      CHECK(outcome.end != End::success);
    }
    if (outcome.end == End::success && outcome.operations < n) return n;
    // whatever is left, the next run goes on from there and leaves nothing else; a run that ended
    // just before its own end left a lock, which is cleaned away
    const bool went_on = succeeds([&] { return back_up(store, LocalBackend(path), true).ok(); });
    CHECK((went_on || is_there));
    if (!went_on) CHECK(succeeds([&] { return clean(LocalBackend(path)); }));
    CHECK(holds(LocalBackend(path), store, true));
    CHECK(LocalBackend(path).list_unfinished("").value().empty());
    const bool kills = action == SyscallFault::kill || action == SyscallFault::cut;
    CHECK((outcome.end == End::killed) == kills);
  }
}

}  // namespace

TEST_CASE("power that fails at any operation leaves a whole backup or none") {
  CHECK(fail_everywhere(SyscallFault::cut, 1) > 20);
}

TEST_CASE("a process that is killed, or a disk that fails, leaves a whole backup or none") {
  CHECK(fail_everywhere(SyscallFault::kill, 5) > 20);
  CHECK(fail_everywhere(SyscallFault::once, 5, EIO) > 20);
  CHECK(fail_everywhere(SyscallFault::fail, 5, ENOSPC) > 20);
}

TEST_CASE("the same at every operation of a backup", "[.][full]") {
  CHECK(fail_everywhere(SyscallFault::kill, 1) > 20);
  CHECK(fail_everywhere(SyscallFault::once, 1, EIO) > 20);
  CHECK(fail_everywhere(SyscallFault::fail, 1, ENOSPC) > 20);
}

TEST_CASE("what a run that could not open or make a file says is the reason") {
  const auto store = small_store();
  struct Trouble {
    int error;
    StatusCode code;
    const char* text;
  };
  for (const Trouble& trouble :
       {Trouble{EMFILE, StatusCode::unavailable, "ulimit -n"},
        Trouble{EACCES, StatusCode::permission_denied, "grant this user the right"},
        Trouble{ENOSPC, StatusCode::no_space, "free space"},
        Trouble{EIO, StatusCode::io_error, "check the disk"}}) {
    const TempDir folder;
    const std::string path = folder.path("backup");
    CHECK(succeeds([&] {
      test_support::arm_syscall_faults({SyscallFault::fail, 5, trouble.error, {path}});
      const Status status = back_up(store, LocalBackend(path));
      return status.code() == trouble.code && status.native_code() == trouble.error &&
             status.to_string().find(trouble.text) != std::string::npos &&
             status.to_string().find(path) != std::string::npos;
    }));
  }
}

}  // namespace crash_test
