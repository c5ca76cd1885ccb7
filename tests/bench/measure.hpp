// SPDX-License-Identifier: Apache-2.0
// Clocks, memory and JSON lines of the benchmarks.
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <unistd.h>

namespace bench {

[[nodiscard]] inline double seconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

inline void pin_this_thread(int n) {
  static const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(n % cpus), &set);
  ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

/// Keeps the compiler from leaving out what `value` is made of.
inline void keep(std::uint64_t value) { __asm__ volatile("" : : "r"(value)); }

/// A line of /proc/self/status, in KiB.
[[nodiscard]] inline std::uint64_t status_kib(std::string_view field) {
  std::FILE* const file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  std::uint64_t value = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (!std::string_view(line).starts_with(field)) continue;
    value = std::strtoull(line + field.size() + 1, nullptr, 10);
    break;
  }
  std::fclose(file);
  return value;
}

/// CPU seconds that the whole machine was busy since it started.
[[nodiscard]] inline double machine_busy() {
  std::FILE* const file = std::fopen("/proc/stat", "r");
  if (file == nullptr) return 0;
  std::uint64_t t[8] = {};  // user nice system idle iowait irq softirq steal
  const int read = std::fscanf(file,
                               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                               " %" SCNu64 " %" SCNu64 " %" SCNu64,
                               &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]);
  std::fclose(file);
  if (read < 8) return 0;
  return static_cast<double>(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// What is timed: from its making to stop().
class Section {
 public:
  Section() : rss_before_kib(status_kib("VmRSS")) {
    // resets the peak of the resident set
    if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w"); file != nullptr) {
      std::fputs("5", file);
      std::fclose(file);
    }
    busy_ = machine_busy();
    cpu_ = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    wall_ = seconds_of(CLOCK_MONOTONIC);
  }
  void stop() {
    seconds = seconds_of(CLOCK_MONOTONIC) - wall_;
    cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_;
    others = seconds > 0 ? (machine_busy() - busy_ - cpu_seconds) / seconds : 0;
    peak_rss_kib = status_kib("VmHWM");
  }

  double seconds = 0;      ///< wall
  double cpu_seconds = 0;  ///< of all threads
  double others = 0;       ///< cores that other programs kept busy meanwhile
  std::uint64_t peak_rss_kib = 0;
  std::uint64_t rss_before_kib = 0;

 private:
  double wall_ = 0;
  double cpu_ = 0;
  double busy_ = 0;
};

/// One JSON object a line. Names and values need no escapes.
class JsonLine {
 public:
  JsonLine& text(const char* name, std::string_view value) {
    return raw(name, '"' + std::string(value) + '"');
  }
  JsonLine& number(const char* name, double value) {
    char digits[64];
    std::snprintf(digits, sizeof digits, "%.6g", value);
    return raw(name, digits);
  }
  JsonLine& integer(const char* name, std::uint64_t value) {
    return raw(name, std::to_string(value));
  }
  /// 16 hex digits.
  JsonLine& digest(const char* name, std::uint64_t value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%016" PRIx64, value);
    return text(name, digits);
  }
  void print() const {
    std::printf("%s}\n", line_.c_str());
    std::fflush(stdout);
  }

 private:
  JsonLine& raw(const char* name, std::string_view value) {
    line_ += line_.empty() ? "{\"" : ", \"";
    line_ += name;
    line_ += "\": ";
    line_ += value;
    return *this;
  }
  std::string line_;
};

[[noreturn]] inline void die(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

}  // namespace bench
