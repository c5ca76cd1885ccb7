// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kvbackup/config.hpp"

namespace kvbackup::inline v1::detail {

/// Bytes of a piece of a ChunkedArray.
inline constexpr std::size_t chunk_bytes = 64 * 1024;

/// A list that only grows, in pieces of 64 KiB: adding never copies what is there, and at most one
/// piece is unused.
template <class T>
class ChunkedArray {
 public:
  ChunkedArray() = default;
  ChunkedArray(ChunkedArray&& other) noexcept
      : chunks_(std::exchange(other.chunks_, {})),
        next_(std::exchange(other.next_, nullptr)),
        end_(std::exchange(other.end_, nullptr)) {}
  ChunkedArray& operator=(ChunkedArray&& other) noexcept {
    chunks_ = std::exchange(other.chunks_, {});
    next_ = std::exchange(other.next_, nullptr);
    end_ = std::exchange(other.end_, nullptr);
    return *this;
  }

  [[nodiscard]] bool empty() const { return chunks_.empty(); }
  [[nodiscard]] std::uint64_t size() const { return chunks_.size() * chunk_size - unused(); }
  /// The last one added; there is one.
  [[nodiscard]] const T& back() const { return next_[-1]; }

  void push_back(const T& value) {
    if (next_ == end_) begin_chunk();
    *next_++ = value;
  }

  /// Calls f(const T* first, size_t n) for each piece, in order.
  template <class F>
  void for_each_chunk(F&& f) const {
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      f(chunks_[i].get(), i + 1 == chunks_.size() ? chunk_size - unused() : chunk_size);
    }
  }

  void clear() {
    chunks_.clear();
    next_ = nullptr;
    end_ = nullptr;
  }

 private:
  static constexpr std::size_t chunk_size = chunk_bytes / sizeof(T);

  /// Of the last chunk.
  [[nodiscard]] std::size_t unused() const { return static_cast<std::size_t>(end_ - next_); }
  KVBACKUP_DETAIL_COLD void begin_chunk() {
    chunks_.push_back(std::make_unique_for_overwrite<T[]>(chunk_size));
    next_ = chunks_.back().get();
    end_ = next_ + chunk_size;
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  T* next_ = nullptr;  // in the last chunk
  T* end_ = nullptr;
};

}  // namespace kvbackup::inline v1::detail
