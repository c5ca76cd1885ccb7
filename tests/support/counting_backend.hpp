// SPDX-License-Identifier: Apache-2.0
// A backend that counts what is read through it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace test_support {

/// Passes everything on to a `B`. Copies share the counts. Thread-safe.
template <kvbackup::ReadableBackend B>
class CountingBackend {
  struct Counts {
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<std::uint64_t> largest{0};
    std::atomic<std::uint64_t> lists{0};
  };

 public:
  explicit CountingBackend(B inner)
      : inner_(std::move(inner)), counts_(std::make_shared<Counts>()) {}

  auto create(std::string_view name, kvbackup::CreateOptions options = {}) {
    return inner_.create(name, options);
  }
  [[nodiscard]] std::string url() const { return inner_.url(); }
  kvbackup::Result<std::string> read(std::string_view name) { return counted(inner_.read(name)); }
  kvbackup::Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                           std::uint64_t length) {
    return counted(inner_.read_range(name, offset, length));
  }
  kvbackup::Result<std::vector<kvbackup::ObjectInfo>> list(std::string_view prefix) {
    ++counts_->lists;
    return inner_.list(prefix);
  }
  kvbackup::Result<bool> exists(std::string_view name) { return inner_.exists(name); }
  kvbackup::Status remove(std::string_view name) { return inner_.remove(name); }

  /// Reads of objects or ranges, and the bytes that they gave, since the last reset().
  [[nodiscard]] std::uint64_t reads() const { return counts_->reads; }
  [[nodiscard]] std::uint64_t bytes() const { return counts_->bytes; }
  /// The most bytes that one read gave.
  [[nodiscard]] std::uint64_t largest() const { return counts_->largest; }
  void reset() {
    counts_->reads = 0;
    counts_->bytes = 0;
    counts_->largest = 0;
  }

 private:
  kvbackup::Result<std::string> counted(kvbackup::Result<std::string> result) {
    ++counts_->reads;
    if (!result.ok()) return result;
    const std::uint64_t size = result.value().size();
    counts_->bytes += size;
    std::uint64_t largest = counts_->largest;
    while (largest < size && !counts_->largest.compare_exchange_weak(largest, size)) {
    }
    return result;
  }

  B inner_;
  std::shared_ptr<Counts> counts_;
};

}  // namespace test_support
