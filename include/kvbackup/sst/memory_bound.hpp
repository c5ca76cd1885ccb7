// SPDX-License-Identifier: Apache-2.0
// How much memory the writing of a table takes at most.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "kvbackup/base/coding.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/bloom_bits.hpp"
#include "kvbackup/sst/filter_builder.hpp"
#include "kvbackup/sst/footer.hpp"
#include "kvbackup/sst/index_builder.hpp"
#include "kvbackup/sst/options.hpp"

namespace kvbackup::inline v1 {

/// What a table is going to hold, at most.
struct TableContent {
  std::uint64_t pairs = 0;
  std::uint64_t bytes = 0;  ///< of all keys and values together
  std::uint64_t largest_key = 0;
  std::uint64_t largest_value = 0;
};

namespace detail {

/// A number of bytes that stays at the highest instead of passing it.
struct Capped {
  std::uint64_t n = 0;

  friend Capped operator+(Capped a, Capped b) { return {a.n > most - b.n ? most : a.n + b.n}; }
  friend Capped operator*(Capped a, Capped b) {
    return {b.n != 0 && a.n > most / b.n ? most : a.n * b.n};
  }
  friend Capped operator/(Capped a, Capped b) { return {a.n / std::max<std::uint64_t>(b.n, 1)}; }
  friend bool operator<(Capped a, Capped b) { return a.n < b.n; }

 private:
  static constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};

/// What a buffer takes that doubles until it holds `size`: its last step has the old one and the
/// new one.
[[nodiscard]] inline Capped grown(Capped size) { return size * Capped{3}; }

/// The bound of TableWriter::memory_bound, part by part.
class MemoryBound {
 public:
  MemoryBound(const TableOptions& options, const TableContent& content)
      : options_(options), pairs_{content.pairs}, key_{content.largest_key} {
    const Capped total = Capped{content.bytes} + pairs_ * Capped{entry_overhead};
    const Capped pair = key_ + Capped{content.largest_value} + Capped{entry_overhead};
    const CutRule cut(options.block_size, options.block_size_deviation, options.block_align);
    // Blocks that are filled up are cut by what comes next, so each byte counts for two of them.
    const Capped least = without_count(
        options.block_align ? std::max<std::uint64_t>(options.block_size, 5) - 5 : cut.from());
    blocks_ = std::min(pairs_, total * Capped{options.block_align ? 2u : 1u} / least +
                                   total / Capped{TableOptions::max_block_size} + Capped{1});
    block_ = std::min(total, Capped{options.block_size} + pair) + Capped{options.alignment()} +
             Capped{entry_overhead};
    index_entry_ = key_ + Capped{internal_key_tail_size + max_block_handle + entry_overhead};
    index_ = blocks_ * index_entry_ + Capped{entry_overhead};
    partitions_ = partitions();
  }

  template <class Codec>
  [[nodiscard]] Capped all(const Codec& codec) const {
    return open_block(codec) + grown(key_) + index(codec) + filter() + properties() +
           Capped{small_things};
  }

 private:
  /// Three varints, tail and restart of an entry, more than anything else that comes with one.
  static constexpr std::uint64_t entry_overhead = 3 * max_varint32 + internal_key_tail_size + 13;
  /// The writer's members, lists of properties, names, what an allocation rounds up.
  static constexpr std::uint64_t small_things = 24 * 1024;

  [[nodiscard]] static Capped without_count(std::uint64_t estimate) {
    return {std::max(estimate, sizeof(std::uint32_t)) - sizeof(std::uint32_t)};
  }

  [[nodiscard]] Capped partitions() const {
    if (options_.index_type != IndexType::two_level) return {};
    const CutRule cut(options_.metadata_block_size, options_.block_size_deviation, false);
    Capped out = index_ / without_count(cut.from()) + Capped{1};
    if (options_.has_filter() && options_.partition_filters) {
      const std::uint64_t keys =
          options_.filter == FilterKind::fast_local_bloom
              ? filter_keys_per_partition(FastLocalBloomForm(options_.filter_bits_per_key),
                                          options_)
              : filter_keys_per_partition(LegacyBloomForm(options_.filter_bits_per_key), options_);
      out = out + filter_entries() / Capped{keys} + Capped{1};
    }
    return std::min(blocks_, out);
  }
  /// A list of partitions, their keys and the index of them.
  [[nodiscard]] Capped partition_list() const {
    return partitions_ * (grown({sizeof(Partition)}) + index_entry_) +
           grown(partitions_ * index_entry_);
  }

  template <class Codec>
  [[nodiscard]] static Capped compressed(const Codec& codec, Capped plain) {
    if (codec.type() == BlockCompression::none) return {};
    const std::uint64_t most = std::numeric_limits<std::int32_t>::max();
    const auto size = static_cast<std::size_t>(std::min(plain.n, most));
    return grown({codec.bound(size) + entry_overhead});
  }
  template <class Codec>
  [[nodiscard]] Capped open_block(const Codec& codec) const {
    const Capped restarts = std::min(pairs_, block_ / Capped{sizeof(std::uint32_t)} + Capped{1});
    return grown(block_) + grown(restarts * Capped{sizeof(std::uint32_t)}) +
           compressed(codec, block_);
  }
  template <class Codec>
  [[nodiscard]] Capped index(const Codec& codec) const {
    const Capped restarts = blocks_ * Capped{sizeof(std::uint32_t)};
    if (options_.index_type != IndexType::two_level) {
      return grown(index_) + grown(restarts) + grown(index_entry_) + compressed(codec, index_);
    }
    const Capped partition = std::min(index_, Capped{options_.metadata_block_size} + index_entry_);
    const Capped top = partitions_ * index_entry_ + Capped{entry_overhead};
    return index_ + grown(partition) + grown(restarts) + grown(index_entry_) + partition_list() +
           compressed(codec, std::max(partition, top));
  }

  /// Keys and prefixes in the filter, those repeated that begin a partition.
  [[nodiscard]] Capped filter_entries() const {
    const unsigned kinds =
        (options_.whole_key_filtering ? 1u : 0u) + (options_.prefix_extractor.enabled() ? 1u : 0u);
    return pairs_ * Capped{kinds} + Capped{kinds};
  }
  [[nodiscard]] Capped filter() const {
    if (!options_.has_filter()) return {};
    const Capped entries = filter_entries() + partitions_ * Capped{2};
    const Capped hash{options_.filter == FilterKind::fast_local_bloom ? sizeof(std::uint64_t)
                                                                      : sizeof(std::uint32_t)};
    const Capped pieces = entries * hash / Capped{chunk_bytes} + Capped{1};
    const Capped bits = entries * Capped{options_.filter_bits_per_key} / Capped{8};
    // a filter is rounded up to lines, the legacy one to an odd number of them
    const Capped filters =
        bits + (partitions_ + Capped{1}) *
                   Capped{2 * bloom_line_bytes + bloom_metadata_size + block_trailer_size};
    return pieces * (Capped{chunk_bytes} + grown({sizeof(void*)})) + filters + grown(key_) +
           (options_.partition_filters ? partition_list() : Capped{});
  }

  /// Their strings, in the options, in the list and in the block.
  [[nodiscard]] Capped properties() const {
    Capped bytes{options_.compression_options.size() + options_.identity.database.size() +
                 options_.identity.session.size() + options_.identity.host.size()};
    for (const auto& [name, value] : options_.user_properties) {
      bytes = bytes + Capped{name.size()} + Capped{value.size()} +
              Capped{3 * sizeof(options_.user_properties.front())};
    }
    return bytes * Capped{6};
  }

  const TableOptions& options_;
  Capped pairs_;
  Capped key_;
  Capped blocks_;       // number of data blocks
  Capped block_;        // bytes of one
  Capped index_entry_;  // bytes of one
  Capped index_;        // bytes of all entries
  Capped partitions_;   // their number
};

}  // namespace detail
}  // namespace kvbackup::inline v1
