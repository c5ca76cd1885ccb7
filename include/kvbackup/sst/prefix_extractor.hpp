// SPDX-License-Identifier: Apache-2.0
// Which part of a key a prefix filter remembers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

/// A prefix extractor by its rule, a value: the readers of a table look up the same part of a key
/// only if they are given an extractor of the same name.
class PrefixExtractor {
 public:
  /// No extractor: no key has a prefix.
  constexpr PrefixExtractor() = default;
  /// The first `bytes` bytes of keys that have as many (RocksDB's NewFixedPrefixTransform).
  [[nodiscard]] static constexpr PrefixExtractor fixed_prefix(std::size_t bytes) {
    return PrefixExtractor(Rule::fixed_prefix, bytes);
  }
  /// All but the last `bytes` bytes of keys that have as many (TiKV's write column family drops the
  /// 8 bytes of the commit timestamp).
  [[nodiscard]] static constexpr PrefixExtractor fixed_suffix(std::size_t bytes) {
    return PrefixExtractor(Rule::fixed_suffix, bytes);
  }

  [[nodiscard]] constexpr bool enabled() const { return rule_ != Rule::none; }
  /// Whether `key` has a prefix.
  [[nodiscard]] constexpr bool in_domain(ByteView key) const {
    return enabled() && key.size() >= bytes_;
  }
  /// The prefix of `key`, which is in the domain; a view into `key`.
  [[nodiscard]] constexpr ByteView transform(ByteView key) const {
    KVBACKUP_ASSERT(in_domain(key));
    return key.substr(0, rule_ == Rule::fixed_suffix ? key.size() - bytes_ : bytes_);
  }
  /// As `rocksdb.prefix.extractor.name` has it in tables of RocksDB and TiKV.
  [[nodiscard]] std::string name() const {
    switch (rule_) {
      case Rule::none: break;
      case Rule::fixed_prefix: return std::string("rocksdb.FixedPrefix.") + std::to_string(bytes_);
      case Rule::fixed_suffix: return "FixedSuffixSliceTransform";
    }
    return "nullptr";
  }

  friend constexpr bool operator==(const PrefixExtractor&, const PrefixExtractor&) = default;

 private:
  enum class Rule : std::uint8_t { none, fixed_prefix, fixed_suffix };
  constexpr PrefixExtractor(Rule rule, std::size_t bytes) : rule_(rule), bytes_(bytes) {}

  Rule rule_ = Rule::none;
  std::size_t bytes_ = 0;
};

}  // namespace kvbackup::inline v1
