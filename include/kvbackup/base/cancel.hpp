// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// A flag that a host sets to end a run early. cancel() is safe from any thread and from a signal
/// handler. The run ends with StatusCode::cancelled at its next block or blocking call.
class CancelToken {
 public:
  CancelToken() noexcept = default;
  /// Also cancelled when `parent` is, which must outlive it; it may be null.
  explicit CancelToken(const CancelToken* parent) noexcept : parent_(parent) {}
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool cancelled() const noexcept {
    return cancelled_.load(std::memory_order_relaxed) ||
           (parent_ != nullptr && parent_->cancelled());
  }

 private:
  const CancelToken* parent_ = nullptr;
  std::atomic<bool> cancelled_{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "cancel() must be signal safe");
};

/// Ok, or StatusCode::cancelled if there is a token and it is set.
[[nodiscard]] inline Status check_cancel(const CancelToken* token) {
  if (token == nullptr || !token->cancelled()) return {};
  return Status::error(StatusCode::cancelled, "the run was cancelled by its caller");
}

}  // namespace kvbackup::inline v1
