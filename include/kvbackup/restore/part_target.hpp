// SPDX-License-Identifier: Apache-2.0
// The PartTarget contract: a store that is built from sorted parts, several of them at once.
//
// clang-format off
// | expression                  | result       | meaning
// |-----------------------------|--------------|------------------------------------------------
// | t.begin(cf)                 | Result<Part> | a new part; from several threads at once
// | p.put(k, v)                 | Status       | the next pair of the part; keys strictly rise
// | p.finish()                  | Status       | the part is complete; not yet seen by anybody
// | t.finish()                  | Status       | all complete parts are there, for good
// | t.abandon()                 | void         | as far as the store can: nothing of them is
//
// Optional:
// | t.add_cf(cf)                | Status       | the column family is there, even without pairs
// | t.clear_range(range)        | Status       | what the store has in the KeyRange goes when
// |                             |              | the parts come
// | t.begin_copy(cf)            | Result<Copy> | a part that is the bytes of a table
// | c.append(bytes), c.finish() | Status       | its next bytes; it is complete
// clang-format on
//
// Laws no compiler checks: a part or copy belongs to one thread and does not outlive its target;
// destroyed without finish(), it leaves nothing. Parts hold different keys. A finished part has at
// least one pair: none is begun without.
#pragma once

#include <concepts>
#include <string_view>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// One sorted part of a PartTarget, as begin() gives it.
template <class P>
concept TargetPart = std::movable<P> && requires(P p, ByteView bytes) {
  { p.put(bytes, bytes) } -> std::same_as<Status>;
  { p.finish() } -> std::same_as<Status>;
};

/// A store that a restore builds out of parts, as the table above has it.
template <class T>
concept PartTarget = requires(T t, std::string_view cf) {
  { t.begin(cf).ok() } -> std::same_as<bool>;
  requires TargetPart<typename decltype(t.begin(cf))::value_type>;
  { t.finish() } -> std::same_as<Status>;
  t.abandon();
};

/// A PartTarget that takes tables as they are.
template <class T>
concept CopyTarget = PartTarget<T> && requires(T t, std::string_view cf, ByteView bytes) {
  { t.begin_copy(cf).value().append(bytes) } -> std::same_as<Status>;
  { t.begin_copy(cf).value().finish() } -> std::same_as<Status>;
};

}  // namespace kvbackup::inline v1
