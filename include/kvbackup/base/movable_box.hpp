// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <optional>
#include <utility>

namespace kvbackup::inline v1::detail {

/// Holds a callable so that its holder is std::movable: a lambda with captures can be constructed
/// by moving but not assigned.
template <std::move_constructible F>
class MovableBox {
 public:
  explicit MovableBox(F f) : held_(std::move(f)) {}
  MovableBox(MovableBox&&) = default;
  MovableBox& operator=(MovableBox&& other) {
    if (this == &other) return *this;
    held_.reset();
    if (other.held_) held_.emplace(std::move(*other.held_));
    return *this;
  }
  ~MovableBox() = default;

  [[nodiscard]] F& operator*() noexcept { return *held_; }

 private:
  std::optional<F> held_;
};

}  // namespace kvbackup::inline v1::detail
