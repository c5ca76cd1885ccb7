// SPDX-License-Identifier: Apache-2.0
// Builds the prefix-compressed blocks of an SST: data, index, metaindex and properties alike.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/options.hpp"

namespace kvbackup::inline v1::detail {

/// What follows the user key in an internal key: le64(sequence << 8 | type).
inline constexpr std::size_t internal_key_tail_size = 8;
/// Sequence 0, type 1 (value): the only one in files that are meant for ingestion.
inline constexpr std::uint64_t value_key_tail = 1;

/// A block stays below this, trailer included: offsets inside it have 32 bits.
inline constexpr std::uint64_t max_block_bytes = 0xffffffff;
/// What an entry needs in a block of its own besides key and value: three varints, the tail of the
/// key, one restart, the count, the trailer.
inline constexpr std::uint64_t lone_entry_overhead = 3 * max_varint32 + internal_key_tail_size + 13;

/// The least size that RocksDB aims at where a block of `size` may be `deviation` percent smaller.
[[nodiscard]] constexpr std::uint64_t size_less_deviation(std::uint64_t size,
                                                          std::uint32_t deviation) {
  return (size * (100 - deviation) + 99) / 100;
}

/// When a block is closed before an entry is added (RocksDB's FlushBlockBySizePolicy).
class CutRule {
 public:
  /// `aligned` = blocks are filled up, so that none may pass `size` where it need not.
  CutRule(std::uint32_t size, std::uint32_t deviation, bool aligned)
      : block_size_(size), limit_(size_less_deviation(size, deviation)) {
    if (limit_ == 0) return;
    most_after_ = aligned ? std::max<std::uint64_t>(size, block_trailer) - block_trailer : size;
    cut_after_from_ = aligned ? 0 : limit_ + 1;
  }

  /// Below this estimate no block is cut, but for an entry that would pass max_block_bytes.
  [[nodiscard]] std::uint64_t from() const { return std::min(block_size_, cut_after_from_); }
  /// `estimate` = bytes of the block, not empty, as it is; `after` = with the entry.
  [[nodiscard]] bool cuts(std::uint64_t estimate, std::uint64_t after) const {
    return estimate >= block_size_ || (after > most_after_ && estimate >= cut_after_from_) ||
           after + block_trailer > max_block_bytes;
  }

 private:
  static constexpr std::uint64_t block_trailer = 5;
  std::uint64_t block_size_;
  std::uint64_t limit_;
  // a block of at least cut_after_from_ is closed before it passes most_after_
  std::uint64_t most_after_ = max_block_bytes;
  std::uint64_t cut_after_from_ = max_block_bytes;
};

/// Entries, then the offsets of those with whole keys (restarts), then their number.
class BlockBuilder {
 public:
  explicit BlockBuilder(std::uint32_t restart_interval) : interval_(restart_interval) {}

  [[nodiscard]] bool empty() const { return entries_.size() == 0; }
  /// Bytes of the block if it were finished now. An empty block counts its one restart.
  [[nodiscard]] std::uint64_t estimate() const { return entries_.size() + restart_bytes_; }
  /// RocksDB's upper estimate of the same with one more entry, whose key counts whole. The block is
  /// not empty.
  [[nodiscard]] std::uint64_t estimate_with(std::uint64_t key_size,
                                            std::uint64_t value_size) const {
    return estimate() + key_size + value_size + (interval_is_full() ? 4 : 0) + 4 +
           varint_size(key_size) + varint_size(value_size);
  }

  /// Adds user_key ‖ value_key_tail. `shared` is the length of its common prefix with the previous
  /// internal key, at most the length of `user_key`.
  KVBACKUP_DETAIL_ALWAYS_INLINE void add_internal(std::size_t shared, ByteView user_key,
                                                  ByteView value) {
    // changes nothing; without it g++ 12 warns of a wrapped length where the key's size is constant
    shared = std::min(begin_entry(shared), user_key.size());
    const std::size_t rest = user_key.size() - shared;
    char* p = entries_.room(3 * max_varint32 + rest + internal_key_tail_size + value.size());
    p = store_lengths(p, shared, rest + internal_key_tail_size, value.size());
    copy_short(p, user_key.data() + shared, rest);
    store_le64(p + rest, value_key_tail);
    p += rest + internal_key_tail_size;
    copy_short(p, value.data(), value.size());
    entries_.set_end(p + value.size());
  }

  /// Adds a key as it is.
  void add(std::size_t shared, ByteView key, ByteView value) {
    shared = begin_entry(shared);
    const std::size_t rest = key.size() - shared;
    char* p = entries_.room(3 * max_varint32 + rest + value.size());
    p = store_lengths(p, shared, rest, value.size());
    copy_short(p, key.data() + shared, rest);
    copy_short(p + rest, value.data(), value.size());
    entries_.set_end(p + rest + value.size());
  }

  /// Adds an entry of an index whose reader knows how long a value is: `changed` where the key
  /// shares a prefix with the one before it, else `value`.
  void add_without_length(std::size_t shared, ByteView key, ByteView value, ByteView changed) {
    shared = begin_entry(shared);
    const std::size_t rest = key.size() - shared;
    if (shared > 0) value = changed;
    char* p = entries_.room(2 * max_varint32 + rest + value.size());
    p = store_varint(store_varint(p, shared), rest);
    copy_short(p, key.data() + shared, rest);
    copy_short(p + rest, value.data(), value.size());
    entries_.set_end(p + rest + value.size());
  }
  /// Whether the next entry of the block, which is not empty, is a restart.
  [[nodiscard]] bool interval_is_full() const { return until_restart_ == 0; }

  /// The finished payload; the caller may append a trailer. clear() makes the builder usable again.
  [[nodiscard]] GrowingBuffer& finish() {
    if (restarts_.empty()) restarts_.push_back(0);  // of an empty block
    char* p = entries_.room(sizeof(std::uint32_t) * (restarts_.size() + 1) + 5);
    for (const std::uint32_t restart : restarts_) {
      store_le32(p, restart);
      p += sizeof restart;
    }
    store_le32(p, static_cast<std::uint32_t>(restarts_.size()));
    entries_.set_end(p + sizeof(std::uint32_t));
    return entries_;
  }

  void clear() {
    entries_.clear();
    restarts_.clear();
    restart_bytes_ = restart_bytes(1);
    until_restart_ = 0;
  }

 private:
  /// What `n` restarts take, and their number.
  [[nodiscard]] static constexpr std::uint64_t restart_bytes(std::uint64_t n) {
    return sizeof(std::uint32_t) * (n + 1);
  }

  [[nodiscard]] KVBACKUP_DETAIL_ALWAYS_INLINE std::size_t begin_entry(std::size_t shared) {
    if (until_restart_ == 0) {
      begin_restart();
      shared = 0;
    }
    --until_restart_;
    return shared;
  }
  void begin_restart() {
    restarts_.push_back(static_cast<std::uint32_t>(entries_.size()));
    restart_bytes_ = restart_bytes(restarts_.size());
    until_restart_ = interval_;
  }

  KVBACKUP_DETAIL_ALWAYS_INLINE static char* store_lengths(char* p, std::size_t shared,
                                                           std::size_t rest, std::size_t value) {
    if ((shared | rest | value) < 0x80) {
      p[0] = static_cast<char>(shared);
      p[1] = static_cast<char>(rest);
      p[2] = static_cast<char>(value);
      return p + 3;
    }
    return store_varint(store_varint(store_varint(p, shared), rest), value);
  }

  GrowingBuffer entries_;
  std::vector<std::uint32_t> restarts_;
  std::uint64_t restart_bytes_ = restart_bytes(1);
  std::uint32_t interval_;
  std::uint32_t until_restart_ = 0;  // entries that may still share a prefix
};

/// A block whose keys are names: it remembers the previous one itself.
class MetaBlockBuilder {
 public:
  explicit MetaBlockBuilder(std::uint32_t restart_interval) : block_(restart_interval) {}

  /// Names strictly rise.
  void add(ByteView name, ByteView value) {
    KVBACKUP_ASSERT(block_.empty() || last_ < name);
    block_.add(common_prefix(last_, name), name, value);
    last_ = name;
  }
  [[nodiscard]] GrowingBuffer& finish() { return block_.finish(); }

 private:
  BlockBuilder block_;
  std::string last_;
};

}  // namespace kvbackup::inline v1::detail
