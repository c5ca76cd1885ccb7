// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. A target is one file with one LLVMFuzzerTestOneInput, which
// libFuzzer calls under clang and replay_main.cpp under any compiler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <kvbackup/kvbackup.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

/// Ends the process with `what` on stderr, which is how a target reports an input.
[[noreturn]] void fail(const char* what);

inline void require(bool holds, const char* what) {
  if (!holds) fail(what);
}
inline void require_ok(const kvbackup::Status& status) {
  if (!status.ok()) fail(status.to_string().c_str());
}

/// While one lives, an allocation that takes the heap more than `bytes` above what it was at the
/// beginning ends the process. Under AddressSanitizer it sees every allocation, elsewhere those by
/// operator new. One at a time.
class AllocationLimit {
 public:
  explicit AllocationLimit(std::size_t bytes);
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;
};

/// Takes numbers and bytes off the front of an input; zeros where it has ended.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  /// `count` bytes (1 to 8), little-endian.
  std::uint64_t number(std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count && !rest_.empty(); ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(rest_.front())} << (8 * i);
      rest_.remove_prefix(1);
    }
    return value;
  }
  kvbackup::ByteView bytes(std::size_t count) {
    const kvbackup::ByteView taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  [[nodiscard]] kvbackup::ByteView rest() const { return rest_; }

 private:
  kvbackup::ByteView rest_;
};

}  // namespace fuzz
