// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX
#include <time.h>
#endif

namespace kvbackup::inline v1 {

/// The seam through which the library reads time and waits. Called from several threads at once.
/// Implement it to run a backup with a fixed time (its output is then reproducible) or to test
/// waits.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall clock, milliseconds since 1970-01-01 UTC.
  [[nodiscard]] virtual std::uint64_t unix_ms() = 0;
  /// A clock that never goes back, nanoseconds since some fixed moment.
  [[nodiscard]] virtual std::uint64_t steady_ns() = 0;
  /// Blocks the calling thread for about that long; may return early.
  virtual void sleep_ns(std::uint64_t duration) = 0;
};

#if KVBACKUP_WITH_POSIX
/// The machine's clocks.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t unix_ms() override { return read(CLOCK_REALTIME) / 1'000'000; }
  [[nodiscard]] std::uint64_t steady_ns() override { return read(CLOCK_MONOTONIC); }
  void sleep_ns(std::uint64_t duration) override {
    timespec time{};
    time.tv_sec = static_cast<time_t>(duration / 1'000'000'000);
    time.tv_nsec = static_cast<long>(duration % 1'000'000'000);
    ::nanosleep(&time, nullptr);
  }

 private:
  static std::uint64_t read(clockid_t id) {
    timespec time{};
    ::clock_gettime(id, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
  }
};
#endif

}  // namespace kvbackup::inline v1
