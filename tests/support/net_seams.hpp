// SPDX-License-Identifier: Apache-2.0
// The seams of net/ for tests: a random number that is told, an environment of its own, a recorder.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace test_support {

/// Always the same number, until it is changed.
class FixedRandom final : public kvbackup::RandomSource {
 public:
  explicit FixedRandom(std::uint64_t number) : value(number) {}
  std::uint64_t next() override { return value; }

  std::uint64_t value;
};

/// An environment with exactly these variables and files.
class FakeEnvironment final : public kvbackup::Environment {
 public:
  std::optional<std::string> variable(const char* name) override {
    const auto at = variables.find(name);
    if (at == variables.end()) return std::nullopt;
    return at->second;
  }
  kvbackup::Result<std::string> file(const std::string& path) override {
    const auto at = files.find(path);
    if (at == files.end()) {
      return kvbackup::Status::error(kvbackup::StatusCode::not_found, "no such file");
    }
    return at->second;
  }

  std::map<std::string, std::string> variables;
  std::map<std::string, std::string> files;
};

/// Keeps what it is told.
class Recorder final : public kvbackup::NetObserver {
 public:
  void on_warning(std::string_view text) override {
    const std::lock_guard lock(mutex_);
    warnings.emplace_back(text);
  }
  void on_retry(std::string_view operation, const kvbackup::Status& why,
                std::uint64_t wait_ms) override {
    const std::lock_guard lock(mutex_);
    operations.emplace_back(operation);
    reasons.push_back(why.to_string());
    waits.push_back(wait_ms);
  }

  std::vector<std::string> warnings;
  std::vector<std::string> operations;
  std::vector<std::string> reasons;
  std::vector<std::uint64_t> waits;

 private:
  std::mutex mutex_;
};

}  // namespace test_support
