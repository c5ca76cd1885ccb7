// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace kvbackup::inline v1::detail {

/// Bytes of a piece of a ChunkedArray.
inline constexpr std::size_t chunk_bytes = 64 * 1024;

/// A list that only grows, in pieces of 64 KiB: adding never copies what is there, and at most one
/// piece is unused.
template <class T>
class ChunkedArray {
 public:
  [[nodiscard]] std::uint64_t size() const {
    return chunks_.empty() ? 0 : (chunks_.size() - 1) * chunk_size + used_;
  }
  /// The last one added; there is one.
  [[nodiscard]] const T& back() const { return chunks_.back()[used_ - 1]; }

  void push_back(const T& value) {
    if (chunks_.empty() || used_ == chunk_size) {
      chunks_.push_back(std::make_unique_for_overwrite<T[]>(chunk_size));
      used_ = 0;
    }
    chunks_.back()[used_++] = value;
  }

  /// Calls f(const T* first, size_t n) for each piece, in order.
  template <class F>
  void for_each_chunk(F&& f) const {
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      f(chunks_[i].get(), i + 1 == chunks_.size() ? used_ : chunk_size);
    }
  }

  void clear() {
    chunks_.clear();
    used_ = 0;
  }

 private:
  static constexpr std::size_t chunk_size = chunk_bytes / sizeof(T);
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t used_ = 0;  // of the last chunk
};

}  // namespace kvbackup::inline v1::detail
