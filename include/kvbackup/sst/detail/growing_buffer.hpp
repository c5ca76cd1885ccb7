// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1::detail {

/// Bytes that are written through a raw pointer: nothing is cleared before it is written.
class GrowingBuffer {
 public:
  GrowingBuffer() = default;
  GrowingBuffer(GrowingBuffer&& other) noexcept
      : data_(std::move(other.data_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  GrowingBuffer& operator=(GrowingBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  [[nodiscard]] const char* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] ByteView view() const { return {data_.get(), size_}; }
  void clear() { size_ = 0; }

  /// The end of the content, with room for `more` bytes behind it.
  [[nodiscard]] char* room(std::size_t more) {
    if (more > capacity_ - size_) grow(more);
    return data_.get() + size_;
  }
  /// Makes the bytes up to `end`, which lies in the room that was asked for, content.
  void set_end(const char* end) { size_ = static_cast<std::size_t>(end - data_.get()); }

  /// Shortens the content to `size` bytes.
  void truncate(std::size_t size) {
    KVBACKUP_ASSERT(size <= size_);
    size_ = size;
  }

  void append(ByteView bytes) {
    if (bytes.empty()) return;
    char* end = room(bytes.size());
    std::memcpy(end, bytes.data(), bytes.size());
    size_ += bytes.size();
  }

 private:
  KVBACKUP_DETAIL_COLD void grow(std::size_t more) {
    const std::size_t capacity = std::max(size_ + more, 2 * capacity_);
    auto data = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ > 0) std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// memcpy for lengths that are mostly short: up to 16 bytes without a call.
KVBACKUP_DETAIL_ALWAYS_INLINE void copy_short(char* to, const char* from, std::size_t n) {
  if (n > 16) {
    std::memcpy(to, from, n);
  } else if (n >= 8) {
    std::uint64_t head;
    std::uint64_t tail;
    std::memcpy(&head, from, 8);
    std::memcpy(&tail, from + n - 8, 8);
    std::memcpy(to, &head, 8);
    std::memcpy(to + n - 8, &tail, 8);
  } else if (n >= 4) {
    std::uint32_t head;
    std::uint32_t tail;
    std::memcpy(&head, from, 4);
    std::memcpy(&tail, from + n - 4, 4);
    std::memcpy(to, &head, 4);
    std::memcpy(to + n - 4, &tail, 4);
  } else if (n > 0) {
    to[0] = from[0];
    to[n / 2] = from[n / 2];
    to[n - 1] = from[n - 1];
  }
}

/// Equal bytes at the front of the eight at `a` and the eight at `b`.
[[nodiscard]] KVBACKUP_DETAIL_ALWAYS_INLINE std::size_t equal_of_eight(const char* a,
                                                                       const char* b) {
  std::uint64_t x;
  std::uint64_t y;
  std::memcpy(&x, a, 8);
  std::memcpy(&y, b, 8);
  if (x == y) return 8;
  const int zero_bits = std::endian::native == std::endian::little ? std::countr_zero(x ^ y)
                                                                   : std::countl_zero(x ^ y);
  return static_cast<std::size_t>(zero_bits) / 8;
}

/// Length of the common prefix of `a` and `b`.
[[nodiscard]] KVBACKUP_DETAIL_ALWAYS_INLINE std::size_t common_prefix(ByteView a, ByteView b) {
  const std::size_t n = std::min(a.size(), b.size());
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const std::size_t equal = equal_of_eight(a.data() + i, b.data() + i);
    if (equal < 8) return i + equal;
  }
  while (i < n && a[i] == b[i]) ++i;
  return i;
}

}  // namespace kvbackup::inline v1::detail
