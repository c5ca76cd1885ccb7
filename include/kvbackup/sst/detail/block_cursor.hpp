// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/footer.hpp"

namespace kvbackup::inline v1::detail {

/// What a step through a block gives.
enum class Step : std::uint8_t { entry, end, damaged };

/// Takes a varint32 at `p`, which lies before `end`; nullptr if there is none.
[[nodiscard]] inline const char* load_varint32(const char* p, const char* end, std::uint32_t& v) {
  if (p < end && static_cast<unsigned char>(*p) < 0x80) {
    v = static_cast<unsigned char>(*p);
    return p + 1;
  }
  ByteView in(p, static_cast<std::size_t>(end - p));
  return take_varint32(in, v) ? in.data() : nullptr;
}

/// The parts of a block: entries, restarts, their number.
struct BlockLayout {
  const char* entries = nullptr;
  std::uint32_t entries_size = 0;
  std::uint32_t restart_count = 0;

  /// False if the block is no block, or has a form that is not known. Only data blocks may have a
  /// hash index.
  [[nodiscard]] bool parse(ByteView payload, bool is_data_block) {
    if (payload.size() < sizeof(std::uint32_t) || payload.size() > max_block_bytes) return false;
    std::size_t end = payload.size() - sizeof(std::uint32_t);
    std::uint32_t count = load_le32(payload.data() + end);
    count &= ~keys_are_uniform;
    if (is_data_block && payload.size() <= most_with_hash_index && (count & has_hash_index) != 0) {
      count &= ~has_hash_index;
      if (end < 2) return false;
      const auto low = static_cast<unsigned char>(payload[end - 2]);
      const auto high = static_cast<unsigned char>(payload[end - 1]);
      const std::size_t buckets = low | static_cast<std::size_t>(high) << 8;
      if (end - 2 < buckets) return false;
      end -= 2 + buckets;
    }
    if (count == 0 || count > end / sizeof(std::uint32_t)) return false;
    entries = payload.data();
    entries_size = static_cast<std::uint32_t>(end - count * sizeof(std::uint32_t));
    restart_count = count;
    return true;
  }
  [[nodiscard]] const char* end() const { return entries + entries_size; }
  /// Offset of the entry that restart `i` names; not checked.
  [[nodiscard]] std::uint32_t restart(std::uint32_t i) const {
    return load_le32(end() + std::size_t{i} * sizeof(std::uint32_t));
  }

 private:
  /// Bits of the count that say more than how many restarts there are. Bit 28, keys and values
  /// apart, is a form of its own, and makes the count too large here.
  static constexpr std::uint32_t has_hash_index = 1u << 31;
  static constexpr std::uint32_t keys_are_uniform = 1u << 29;
  /// RocksDB's kMaxBlockSizeSupportedByHashIndex
  static constexpr std::size_t most_with_hash_index = 65536;
};

/// The key of the current entry: in the block where it stands there whole, else put together.
class EntryKey {
 public:
  [[nodiscard]] ByteView view() const { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const char* data() const { return data_; }

  /// The next key: the first `shared` bytes of this one, at most all, and `rest`.
  void assign(std::size_t shared, const char* rest, std::size_t rest_size) {
    if (shared == 0) {
      data_ = rest;
      size_ = rest_size;
      return;
    }
    if (data_ != buffer_.data()) {
      buffer_.clear();
      char* p = buffer_.room(shared + rest_size);
      copy_short(p, data_, shared);
      copy_short(p + shared, rest, rest_size);
      buffer_.set_end(p + shared + rest_size);
    } else {
      buffer_.truncate(shared);
      char* p = buffer_.room(rest_size);
      copy_short(p, rest, rest_size);
      buffer_.set_end(p + rest_size);
    }
    data_ = buffer_.data();
    size_ = buffer_.size();
  }
  /// Makes the key outlive its block.
  void keep() {
    if (data_ == buffer_.data()) return;
    buffer_.clear();
    buffer_.append(view());
    data_ = buffer_.data();
    size_ = buffer_.size();
  }
  void clear() {
    data_ = nullptr;
    size_ = 0;
  }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  GrowingBuffer buffer_;
};

/// The last restart whose key is below a target, or 0; nothing may be found before it.
/// `is_below(p) -> Step`: whether the key of the entry at `p` is below: entry = yes, end = no.
/// Damaged if a restart is no offset of an entry.
template <class IsBelow>
[[nodiscard]] Step last_restart_below(const BlockLayout& layout, std::uint32_t& found,
                                      IsBelow&& is_below) {
  std::uint32_t low = 0;
  std::uint32_t high = layout.restart_count - 1;
  while (low < high) {
    const std::uint32_t middle = low + (high - low + 1) / 2;
    const std::uint32_t at = layout.restart(middle);
    if (at >= layout.entries_size) return Step::damaged;
    const Step below = is_below(layout.entries + at);
    if (below == Step::damaged) return below;
    if (below == Step::entry) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  found = layout.restart(low);
  if (found > layout.entries_size) return Step::damaged;
  return Step::entry;
}

/// How a key stands to the one before it.
enum class KeyOrder : std::uint8_t {
  rises,          ///< to another user key
  same_user_key,  ///< an older version of it
  falls,          ///< or is there twice
};

/// How much may be copied out of the block at `handle`. Keys that share a long prefix, or a block
/// that is small only because it is compressed, would else make a small file cost much memory.
class CopyBudget {
 public:
  explicit CopyBudget(const BlockHandle& handle) : left_(free_bytes + factor * handle.size) {}

  /// False: this entry is one too many for a block of that size.
  [[nodiscard]] bool take(ByteView key, ByteView value) {
    const std::uint64_t cost = entry_cost + key.size() + value.size();
    if (cost > left_) return false;
    left_ -= cost;
    return true;
  }

 private:
  /// Entries of range tombstones and of names are stored with their keys nearly whole, and take 13
  /// bytes or more.
  static constexpr std::uint64_t factor = 64;
  static constexpr std::uint64_t free_bytes = 64 * 1024;
  static constexpr std::uint64_t entry_cost = 64;

  std::uint64_t left_;
};

/// Walks the entries of a block of keys and values. The last `tail_bytes` of a key are no part of
/// its user key. Each key is compared with the one before it, also across blocks.
template <std::size_t tail_bytes>
class BasicBlockCursor {
 public:
  /// Begins a block, which outlives the cursor's use of it, and goes to its first entry. Damaged =
  /// it is no block. keep_key() comes before the block that was walked goes.
  [[nodiscard]] Step begin(ByteView payload) {
    if (!layout_.parse(payload, tail_bytes > 0)) return Step::damaged;
    at_ = layout_.entries;
    return next();
  }
  /// To the next entry.
  [[nodiscard]] Step next() {
    const char* p = at_;
    const char* const end = layout_.end();
    if (p == end) return Step::end;
    std::uint32_t shared;
    std::uint32_t rest;
    std::uint32_t value;
    p = load_lengths(p, end, shared, rest, value);
    if (p == nullptr) return Step::damaged;
    const auto left = static_cast<std::size_t>(end - p);
    if (rest > left || value > left - rest || shared > key_.size() ||
        std::size_t{shared} + rest < tail_bytes || (shared > 0 && at_ == layout_.entries)) {
      return Step::damaged;
    }
    take_key(shared, p, rest);
    value_ = ByteView(p + rest, value);
    at_ = p + rest + value;
    return Step::entry;
  }
  /// In the block begun: to the first entry whose user key is not below `user_key`; end if there is
  /// none. What `order()` says of it is nothing.
  [[nodiscard]] Step seek(ByteView user_key) {
    std::uint32_t start = 0;
    const Step found = last_restart_below(layout_, start, [&](const char* p) {
      std::uint32_t shared;
      std::uint32_t rest;
      std::uint32_t value;
      p = load_lengths(p, layout_.end(), shared, rest, value);
      if (p == nullptr || shared != 0 || rest < tail_bytes ||
          rest > static_cast<std::size_t>(layout_.end() - p)) {
        return Step::damaged;
      }
      return ByteView(p, rest - tail_bytes) < user_key ? Step::entry : Step::end;
    });
    if (found == Step::damaged) return found;
    forget_key();
    at_ = layout_.entries + start;
    for (;;) {
      const Step step = next();
      if (step != Step::entry || this->user_key() >= user_key) return step;
    }
  }
  /// Makes the current key outlive its block, so that the next one is compared with it.
  void keep_key() { key_.keep(); }
  /// The next key is not compared with what was read before it.
  void forget_key() { key_.clear(); }
  /// Whether there is a current key or one that was kept; without one user_key() is not to be asked.
  [[nodiscard]] bool has_key() const { return key_.size() >= tail_bytes && key_.size() != 0; }

  [[nodiscard]] ByteView user_key() const { return {key_.data(), key_.size() - tail_bytes}; }
  /// Sequence number and type, as they are stored.
  [[nodiscard]] std::uint64_t tail() const {
    if constexpr (tail_bytes == 0) return 0;
    return load_le64(key_.data() + key_.size() - tail_bytes);
  }
  [[nodiscard]] ByteView value() const { return value_; }
  [[nodiscard]] KeyOrder order() const { return order_; }

 private:
  static const char* load_lengths(const char* p, const char* end, std::uint32_t& shared,
                                  std::uint32_t& rest, std::uint32_t& value) {
    if (end - p >= 3) {
      shared = static_cast<unsigned char>(p[0]);
      rest = static_cast<unsigned char>(p[1]);
      value = static_cast<unsigned char>(p[2]);
      if ((shared | rest | value) < 0x80) return p + 3;
    }
    p = load_varint32(p, end, shared);
    if (p != nullptr) p = load_varint32(p, end, rest);
    if (p != nullptr) p = load_varint32(p, end, value);
    return p;
  }

  void take_key(std::size_t shared, const char* rest, std::size_t rest_size) {
    if (key_.size() == 0) {
      order_ = KeyOrder::rises;
      key_.assign(shared, rest, rest_size);
      return;
    }
    const std::size_t before = key_.size() - tail_bytes;
    const std::size_t after = shared + rest_size - tail_bytes;
    if (shared < before && shared < after) {
      const auto low = static_cast<unsigned char>(key_.data()[shared]);
      const auto high = static_cast<unsigned char>(rest[0]);
      if (low != high) {
        order_ = low < high ? KeyOrder::rises : KeyOrder::falls;
        key_.assign(shared, rest, rest_size);
        return;
      }
    }
    take_like_key(shared, rest, rest_size, before, after);
  }
  /// The same for a key that does not differ right behind the shared bytes.
  void take_like_key(std::size_t shared, const char* rest, std::size_t rest_size,
                     std::size_t before, std::size_t after) {
    const std::uint64_t old_tail = tail();
    int sign = before < after ? -1 : before > after ? 1 : 0;
    if (shared < before && shared < after) {
      const int differ = std::memcmp(key_.data() + shared, rest, std::min(before, after) - shared);
      if (differ != 0) sign = differ;
    }
    key_.assign(shared, rest, rest_size);
    if (sign != 0) {
      order_ = sign < 0 ? KeyOrder::rises : KeyOrder::falls;
    } else {
      order_ = tail() < old_tail ? KeyOrder::same_user_key : KeyOrder::falls;
    }
  }

  BlockLayout layout_;
  const char* at_ = nullptr;
  EntryKey key_;
  ByteView value_;
  KeyOrder order_ = KeyOrder::rises;
};

/// Data blocks and blocks of range tombstones: keys end with sequence number and type.
using BlockCursor = BasicBlockCursor<internal_key_tail_size>;
/// The metaindex and the properties: keys are names.
using MetaCursor = BasicBlockCursor<0>;

}  // namespace kvbackup::inline v1::detail
