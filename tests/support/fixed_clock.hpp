// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include <kvbackup/kvbackup.hpp>

namespace test_support {

/// A clock whose wall time stands still and whose steady time moves only when somebody sleeps.
class FixedClock final : public kvbackup::Clock {
 public:
  explicit FixedClock(std::uint64_t unix_ms = 1'600'000'000'000) : unix_ms_(unix_ms) {}

  std::uint64_t unix_ms() override { return unix_ms_; }
  std::uint64_t steady_ns() override { return steady_ns_.load(); }
  void sleep_ns(std::uint64_t duration) override { steady_ns_ += duration; }

  [[nodiscard]] std::uint64_t slept_ns() const { return steady_ns_.load(); }

 private:
  std::uint64_t unix_ms_;
  std::atomic<std::uint64_t> steady_ns_{0};
};

}  // namespace test_support
