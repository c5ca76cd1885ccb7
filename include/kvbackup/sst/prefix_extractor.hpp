// SPDX-License-Identifier: Apache-2.0
// Which part of a key a prefix filter remembers.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

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
  /// The first `bytes` bytes of every key, or all of a shorter one (NewCappedPrefixTransform).
  [[nodiscard]] static constexpr PrefixExtractor capped_prefix(std::size_t bytes) {
    return PrefixExtractor(Rule::capped_prefix, bytes);
  }
  /// All but the last `bytes` bytes of keys that have as many (TiKV's write column family drops the
  /// 8 bytes of the commit timestamp).
  [[nodiscard]] static constexpr PrefixExtractor fixed_suffix(std::size_t bytes) {
    return PrefixExtractor(Rule::fixed_suffix, bytes);
  }

  [[nodiscard]] constexpr bool enabled() const { return rule_ != Rule::none; }
  /// Whether `key` has a prefix.
  [[nodiscard]] constexpr bool in_domain(ByteView key) const {
    return enabled() && (rule_ == Rule::capped_prefix || key.size() >= bytes_);
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
      case Rule::capped_prefix:
        return std::string("rocksdb.CappedPrefix.") + std::to_string(bytes_);
      case Rule::fixed_suffix: return "FixedSuffixSliceTransform";
    }
    return "nullptr";
  }
  /// The extractor of that name; none where the name does not say all of it, as TiKV's does not say
  /// how many bytes it drops.
  [[nodiscard]] static PrefixExtractor from_name(std::string_view name) {
    for (const PrefixExtractor& kind : {fixed_prefix(0), capped_prefix(0)}) {
      const std::string zero = kind.name();
      const std::string_view start = std::string_view(zero).substr(0, zero.size() - 1);
      if (!name.starts_with(start)) continue;
      std::size_t bytes = 0;
      const char* const end = name.data() + name.size();
      const auto [stop, error] = std::from_chars(name.data() + start.size(), end, bytes);
      if (error == std::errc() && stop == end) return PrefixExtractor(kind.rule_, bytes);
    }
    return {};
  }

  friend constexpr bool operator==(const PrefixExtractor&, const PrefixExtractor&) = default;

 private:
  enum class Rule : std::uint8_t { none, fixed_prefix, capped_prefix, fixed_suffix };
  constexpr PrefixExtractor(Rule rule, std::size_t bytes) : rule_(rule), bytes_(bytes) {}

  Rule rule_ = Rule::none;
  std::size_t bytes_ = 0;
};

}  // namespace kvbackup::inline v1
