// SPDX-License-Identifier: Apache-2.0
// Which process this is, so that another one on the same host can tell whether it still runs.
#pragma once

#include <cstdint>
#include <string>

#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/types.h>
#endif

namespace kvbackup::inline v1 {

/// A process. `process` tells it from any other of the host, also from a later one of the same
/// number: the boot, the namespace of its number, and when it was started. It is empty where the
/// system does not tell these (it is Linux's /proc), and without POSIX all of it is.
struct ProcessIdentity {
  std::string host;
  std::uint64_t pid = 0;
  std::string process;
};

#if KVBACKUP_WITH_POSIX
namespace detail {

[[nodiscard]] inline std::string read_proc(const std::string& path) {
  char buffer[1024];
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  const ssize_t count = ::read(file, buffer, sizeof buffer);
  ::close(file);
  return count > 0 ? std::string(buffer, static_cast<std::size_t>(count)) : std::string();
}

/// The boot and the namespace that numbers of processes belong to: "boot/pid:[n]/"; empty if it is
/// not known.
[[nodiscard]] inline std::string process_space() {
  std::string boot = read_proc("/proc/sys/kernel/random/boot_id");
  char space[64];
  const ssize_t count = ::readlink("/proc/self/ns/pid", space, sizeof space);
  if (boot.empty() || count <= 0) return {};
  while (boot.ends_with('\n')) boot.pop_back();
  return boot + '/' + std::string(space, static_cast<std::size_t>(count)) + '/';
}

/// When the process was started, in the kernel's ticks since the boot: field 22 of proc(5)'s stat,
/// whose text this is. Empty if it has ended, and its parent has not waited for it yet.
[[nodiscard]] inline std::string start_in_stat(const std::string& stat) {
  // the name, in parentheses, may have blanks and parentheses of its own; behind it is field 3
  std::size_t at = stat.rfind(')');
  if (at == std::string::npos || at + 2 >= stat.size()) return {};
  const char state = stat[at + 2];
  if (state == 'Z' || state == 'X') return {};
  for (int field = 3; field <= 22; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string::npos) return {};
  }
  return stat.substr(at + 1, stat.find(' ', at + 1) - at - 1);
}

[[nodiscard]] inline std::string stat_of(std::uint64_t pid) {
  return read_proc("/proc/" + std::to_string(pid) + "/stat");
}

}  // namespace detail
#endif

/// The process that asks.
[[nodiscard]] inline ProcessIdentity this_process() {
  ProcessIdentity identity;
#if KVBACKUP_WITH_POSIX
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0) identity.host = host;
  identity.pid = static_cast<std::uint64_t>(::getpid());
  const std::string space = detail::process_space();
  const std::string start = detail::start_in_stat(detail::stat_of(identity.pid));
  if (!space.empty() && !start.empty()) identity.process = space + start;
#endif
  return identity;
}

/// Whether it is known that the process has ended: it ran on this host since its last boot, and
/// runs no more. False where that cannot be known.
[[nodiscard]] inline bool is_dead_process([[maybe_unused]] const ProcessIdentity& identity) {
#if KVBACKUP_WITH_POSIX
  const std::string space = detail::process_space();
  const std::string& process = identity.process;
  if (space.empty() || !process.starts_with(space)) return false;
  const std::string stat = detail::stat_of(identity.pid);
  if (!stat.empty()) return process.substr(space.size()) != detail::start_in_stat(stat);
  // /proc may hide the processes of others
  const auto pid = static_cast<pid_t>(identity.pid);
  if (pid <= 0 || static_cast<std::uint64_t>(pid) != identity.pid) return false;
  return ::kill(pid, 0) != 0 && errno == ESRCH;
#else
  return false;
#endif
}

}  // namespace kvbackup::inline v1
