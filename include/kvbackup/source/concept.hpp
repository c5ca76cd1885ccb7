// SPDX-License-Identifier: Apache-2.0
// The contracts of what is backed up.
//
// SortedSource: one pass over pairs.
// | expression   | result   | meaning
// |--------------|----------|---------------------------------------------------------------
// | s.valid()    | bool     | there is a current pair; false is the end OR an error
// | s.key()      | ByteView | its key; requires valid(); dies at the next next()
// | s.value()    | ByteView | its value; the same
// | s.next()     | void     | to the next pair; requires valid()
// | s.status()   | Status   | after valid() turned false: ok at the end, else what failed
// SeekableSource adds s.seek(key): to the first pair whose key is not below `key`.
//
// Snapshot: any number of scans over ONE state of a store, from several threads at once.
// | expression             | result                   | meaning
// |------------------------|--------------------------|-----------------------------------------
// | s.scan(range)          | Result<SortedSource>     | the pairs of that range, no others
// | s.split(range, target) | Result<vector<KeyRange>> | optional: sub-ranges in key order that
// |                        |                          | tile `range`, of about `target` bytes;
// |                        |                          | depends on data and target only, never
// |                        |                          | on the number of threads
// | s.estimate(range)      | SizeEstimate             | optional: for progress only
// | s.ranges()             | Result<vector<KeyRange>> | optional: one whole range a column
// |                        |                          | family, what a backup without ranges
// |                        |                          | takes
// | s.check_held(ranges)   | Status                   | optional, of what holds a part of its
// |                        |                          | keys only: not_found unless all of the
// |                        |                          | ranges lie in what it holds
// | s.kind(), s.identity() | std::string              | optional: recorded in backupmeta
// | s.state()              | std::string              | optional: tells the state that is given
// from |                        |                          | any other of this store, and from any
// of |                        |                          | another; empty where it cannot. Without
// it |                        |                          | identity() is taken for it | s.notes()
// | vector<string>           | optional: sentences for the operator: how |                        |
// | the state was taken, what is not in it | s.start_version(),     | std::uint64_t            |
// optional: of an MVCC store, recorded in | s.end_version()        |                          |
// backupmeta: the versions that it gives | s.confirm()            | Status                   |
// optional: whether all that was scanned |                        |                          |
// holds; asked before backupmeta is written
//
// Laws no compiler checks: keys strictly rise as unsigned bytes; two scans of one range give the
// same pairs.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"

namespace kvbackup::inline v1 {

template <class S>
concept SortedSource = std::movable<S> && requires(S s, const S& c) {
  { c.valid() } -> std::same_as<bool>;
  { c.key() } -> std::convertible_to<ByteView>;
  { c.value() } -> std::convertible_to<ByteView>;
  s.next();
  { c.status() } -> std::convertible_to<Status>;
};

template <class S>
concept SeekableSource = SortedSource<S> && requires(S s, ByteView key) {
  s.seek(key);
};

template <class S>
concept Snapshot = requires(const S& s, const KeyRange& range) {
  { s.scan(range).ok() } -> std::same_as<bool>;
  requires SortedSource<typename decltype(s.scan(range))::value_type>;
};

/// What a Snapshot thinks a range holds. Nothing where it cannot tell.
struct SizeEstimate {
  std::optional<std::uint64_t> pairs;
  std::optional<std::uint64_t> bytes;  ///< key and value lengths
};

template <class S>
concept SplittableSnapshot = Snapshot<S> &&
    requires(const S& s, const KeyRange& range, std::uint64_t target_bytes) {
  { s.split(range, target_bytes) } -> std::same_as<Result<std::vector<KeyRange>>>;
};

template <class S>
concept EstimatingSnapshot = Snapshot<S> && requires(const S& s, const KeyRange& range) {
  { s.estimate(range) } -> std::same_as<SizeEstimate>;
};

template <class S>
concept EnumerableSnapshot = Snapshot<S> && requires(const S& s) {
  { s.ranges() } -> std::same_as<Result<std::vector<KeyRange>>>;
};

template <class S>
concept PartialSnapshot = Snapshot<S> && requires(const S& s, const std::vector<KeyRange>& ranges) {
  { s.check_held(ranges) } -> std::same_as<Status>;
};

template <class S>
concept IdentifiedSource = requires(const S& s) {
  { s.kind() } -> std::convertible_to<std::string>;
  { s.identity() } -> std::convertible_to<std::string>;
};

template <class S>
concept StatefulSource = requires(const S& s) {
  { s.state() } -> std::same_as<std::string>;
};

template <class S>
concept VersionedSource = requires(const S& s) {
  { s.start_version() } -> std::same_as<std::uint64_t>;
  { s.end_version() } -> std::same_as<std::uint64_t>;
};

template <class S>
concept ConfirmedSource = requires(const S& s) {
  { s.confirm() } -> std::same_as<Status>;
};

template <class S>
concept AnnotatedSource = requires(const S& s) {
  { s.notes() } -> std::same_as<std::vector<std::string>>;
};

}  // namespace kvbackup::inline v1
