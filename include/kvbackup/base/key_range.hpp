// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "kvbackup/base/bytes.hpp"

namespace kvbackup::inline v1 {

/// The column family that TiKV, RocksDB and this library mean where none is named.
inline constexpr std::string_view default_cf = "default";

/// The keys k of one column family with start <= k < end. An empty `start` is the first key there
/// is, an empty `end` is past the last one.
struct KeyRange {
  std::string cf{default_cf};
  std::string start;
  std::string end;

  [[nodiscard]] bool contains(ByteView key) const {
    return key >= ByteView(start) && (end.empty() || key < ByteView(end));
  }
  /// No key can lie in it.
  [[nodiscard]] bool empty() const { return !end.empty() && start >= end; }

  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

}  // namespace kvbackup::inline v1
