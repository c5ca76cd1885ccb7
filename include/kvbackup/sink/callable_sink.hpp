// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/movable_box.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/sink/concept.hpp"

namespace kvbackup::inline v1 {

/// Hands every pair to `f(key, value)`, which gives Status or nothing. There is nothing to undo:
/// abandon() only stops it. put() and finish() after finish() or abandon() are invalid_argument.
template <class F>
requires std::invocable<F&, ByteView, ByteView> &&
    (std::is_void_v<std::invoke_result_t<F&, ByteView, ByteView>> ||
     std::convertible_to<std::invoke_result_t<F&, ByteView, ByteView>, Status>)class CallableSink {
 public:
  explicit CallableSink(F f) : f_(std::move(f)) {}

  [[nodiscard]] Status put(ByteView key, ByteView value) {
    if (!status_.ok()) return status_;
    if constexpr (std::is_void_v<std::invoke_result_t<F&, ByteView, ByteView>>) {
      (*f_)(key, value);
      return {};
    } else {
      status_ = (*f_)(key, value);
      return status_;
    }
  }
  [[nodiscard]] Status finish() {
    if (!status_.ok()) return status_;
    status_ = detail::sink_is_closed();
    return {};
  }
  void abandon() {
    if (status_.ok()) status_ = detail::sink_is_closed();
  }

 private:
  detail::MovableBox<F> f_;
  Status status_;
};

static_assert(Sink<CallableSink<void (*)(ByteView, ByteView)>>);
static_assert(Sink<CallableSink<Status (*)(ByteView, ByteView)>>);

}  // namespace kvbackup::inline v1
