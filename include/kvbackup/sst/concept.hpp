// SPDX-License-Identifier: Apache-2.0
// The small policies of a table writer.
//
// ByteSink: s.append(bytes) -> Status takes the file's bytes, strictly forward.
//
// BlockChecksum: C::kind is the footer's code, C::of(payload_and_type) the 32 bits stored behind a
// block, equal to RocksDB's for that kind; the last byte of payload_and_type is the block's type.
//
// PropertyCollector: c.add(user_key, value) for every entry in order; then c.finish(emit) calls
// emit(name, bytes) for each user property, in any order, each name once and none of RocksDB's;
// c.name() stands between the brackets of `rocksdb.property.collectors`, names separated by commas
// ("" = none).
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

template <class S>
concept ByteSink = requires(S s, ByteView bytes) {
  { s.append(bytes) } -> std::same_as<Status>;
};

/// Code of the checksum in an SST footer (RocksDB include/rocksdb/table.h).
enum class ChecksumKind : std::uint8_t { none = 0, crc32c = 1, xxhash = 2, xxhash64 = 3, xxh3 = 4 };

template <class C>
concept BlockChecksum = requires(ByteView payload_and_type) {
  { C::kind } -> std::convertible_to<ChecksumKind>;
  { C::of(payload_and_type) } -> std::same_as<std::uint32_t>;
};

/// Receives the name and the bytes of one user property.
using PropertyEmit = FunctionRef<void(std::string_view name, ByteView bytes)>;

template <class C>
concept PropertyCollector = std::movable<C> &&
    requires(C c, const C& k, ByteView b, PropertyEmit e) {
  c.add(b, b);
  c.finish(e);
  { k.name() } -> std::convertible_to<std::string>;
};

/// The collector that collects nothing.
struct NoCollector {
  void add(ByteView /*user_key*/, ByteView /*value*/) {}
  void finish(PropertyEmit /*emit*/) {}
  [[nodiscard]] static std::string name() { return {}; }
};
static_assert(PropertyCollector<NoCollector>);

}  // namespace kvbackup::inline v1
