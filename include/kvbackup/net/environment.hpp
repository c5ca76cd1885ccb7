// SPDX-License-Identifier: Apache-2.0
// The seams through which net/ and the backends see the process they run in: its environment and
// files, randomness, and somebody to tell.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/file.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX
#include <cstdlib>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#endif

namespace kvbackup::inline v1 {

/// Where credentials are looked for. Called from several threads at once.
class Environment {
 public:
  virtual ~Environment() = default;
  /// The environment variable; nothing if it is not set or empty.
  [[nodiscard]] virtual std::optional<std::string> variable(const char* name) = 0;
  /// A small text file, such as one with credentials; not_found if there is none.
  [[nodiscard]] virtual Result<std::string> file(const std::string& path) = 0;
};

/// Numbers nobody foresees: names of uploads, waits of a retry. Not for keys. Called from several
/// threads at once.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  [[nodiscard]] virtual std::uint64_t next() = 0;
};

/// Told of what is no failure but worth knowing. Called from several threads at once, never under a
/// lock of the library; no text holds a credential. Hooks must not throw.
class NetObserver {
 public:
  virtual ~NetObserver() = default;
  /// Something is not as it should be, and the work goes on.
  virtual void on_warning(std::string_view /*text*/) {}
  /// A request failed for `why` and is sent again after `wait_ms`. `operation` completes
  /// "cannot ...": one of a few fixed texts, such as "read the object", so that it can be counted
  /// by.
  virtual void on_retry(std::string_view /*operation*/, const Status& /*why*/,
                        std::uint64_t /*wait_ms*/) {}
};

#if KVBACKUP_WITH_POSIX
/// This process's own.
class ProcessEnvironment final : public Environment {
 public:
  /// The longest file that file() gives; no file of credentials comes near it.
  static constexpr std::uint64_t longest_file = 1u << 20;

  [[nodiscard]] std::optional<std::string> variable(const char* name) override {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  }
  [[nodiscard]] Result<std::string> file(const std::string& path) override {
    const auto file = FileHandle::open(path, O_RDONLY);
    if (!file.ok()) return file.status();
    const auto size = file.value().size();
    if (!size.ok()) return size.status();
    if (size.value() > longest_file) {
      return Status::error(StatusCode::resource_exhausted, "the file is longer than 1 MiB")
          .with_object(path);
    }
    std::string text(static_cast<std::size_t>(size.value()), '\0');
    if (Status status = file.value().read_exact_at(0, text.data(), text.size()); !status.ok()) {
      return status;
    }
    return text;
  }
};

/// splitmix64 (public domain, Sebastiano Vigna) over the time, the process and a counter.
class ProcessRandom final : public RandomSource {
 public:
  [[nodiscard]] std::uint64_t next() override {
    static std::atomic<std::uint64_t> counter{0};
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    std::uint64_t x = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
                      static_cast<std::uint64_t>(now.tv_nsec);
    x ^= static_cast<std::uint64_t>(::getpid()) << 40;
    x += counter.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
};

/// The machine's clock, environment and randomness, for whoever is given no other.
[[nodiscard]] inline Clock& system_clock() noexcept {
  static SystemClock clock;
  return clock;
}
[[nodiscard]] inline Environment& process_environment() noexcept {
  static ProcessEnvironment environment;
  return environment;
}
[[nodiscard]] inline RandomSource& process_random() noexcept {
  static ProcessRandom random;
  return random;
}
#endif

}  // namespace kvbackup::inline v1
