// SPDX-License-Identifier: Apache-2.0
// Makes the n-th change to a file system fail, or the process die there.
//
// syscall_faults.cpp takes the place of libc's open, write, fsync, rename and their like: linked
// into a test's program, which forks a child and arms it there; or as a library of its own
// (LD_PRELOAD), armed by the environment:
//
//   KVBACKUP_FAULT        count, kill:N, cut:N, delay:N, fail:N:ERRNO or once:N:ERRNO, as below
//   KVBACKUP_FAULT_BELOW  paths with ':' between them; what lies elsewhere is not counted
//   KVBACKUP_FAULT_REPORT a file that gets the number of operations at the end
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace test_support {

enum class SyscallFault : std::uint8_t {
  count,  ///< none
  fail,   ///< operation n and all behind it fail with `error`, as on a full disk
  once,   ///< operation n alone fails with `error`
  kill,   ///< the process is killed before operation n
  cut,    ///< the same, and what was not synced is lost: bytes, new names, renames
  delay,  ///< operation n takes 20 ms longer
};

struct SyscallFaultPlan {
  SyscallFault action = SyscallFault::count;
  std::uint64_t at = 0;  ///< from 1
  int error = 0;         ///< errno
  std::vector<std::string> below;
};

/// Begins to count, from 0.
void arm_syscall_faults(SyscallFaultPlan plan);
/// Operations since then: opening, making, writing, truncating, syncing, naming or removing a file
/// or folder below one of the paths. Reading an open file is none.
[[nodiscard]] std::uint64_t counted_syscalls();

}  // namespace test_support
