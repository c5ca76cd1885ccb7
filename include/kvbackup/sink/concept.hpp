// SPDX-License-Identifier: Apache-2.0
// The Sink contract: where pairs are put, in rising order.
//
// | expression     | result | meaning
// |----------------|--------|-------------------------------------------------------------------
// | s.put(k, v)    | Status | the next pair; keys strictly rise
// | s.finish()     | Status | everything put is there for good; nothing may be put after it
// | s.abandon()    | void   | as far as the store can: nothing put is there; also what destruction
// |                |        | without finish() does
//
// Laws no compiler checks: after a failed put the sink is sticky: every later call but abandon()
// fails with the first status.
#pragma once

#include <concepts>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

template <class S>
concept Sink = std::movable<S> && requires(S s, ByteView bytes) {
  { s.put(bytes, bytes) } -> std::same_as<Status>;
  { s.finish() } -> std::same_as<Status>;
  s.abandon();
};

namespace detail {
/// What a sink says when it is used after finish() or abandon().
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status sink_is_closed() {
  return Status::error(StatusCode::invalid_argument,
                       "the sink is finished or abandoned; put the pairs into a new one");
}
}  // namespace detail

}  // namespace kvbackup::inline v1
