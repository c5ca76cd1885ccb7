// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// A T, or the Status that says why there is none.
///
/// value() may be called only when ok(). The type is the same in every build; C++20 has no
/// std::expected.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  // NOLINTNEXTLINE(google-explicit-constructor): `return value;` is the point
  Result(T value) : value_(std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): `return status;` is the point
  Result(Status status) : status_(std::move(status)) {
    KVBACKUP_ASSERT(!status_.ok() && "a Result without a value needs a failed Status");
  }

  [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
  [[nodiscard]] const Status& status() const& noexcept { return status_; }
  [[nodiscard]] Status status() && noexcept { return std::move(status_); }

  [[nodiscard]] T& value() & noexcept {
    KVBACKUP_ASSERT(ok());
    return *value_;
  }
  [[nodiscard]] const T& value() const& noexcept {
    KVBACKUP_ASSERT(ok());
    return *value_;
  }
  /// By value, so that `for (auto& x : call().value())` does not walk what is already gone.
  [[nodiscard]] T value() && {
    KVBACKUP_ASSERT(ok());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace kvbackup::inline v1
