// SPDX-License-Identifier: Apache-2.0
// Builds the index: one entry a data block, a key between its last and the next one's first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/footer.hpp"
#include "kvbackup/sst/options.hpp"

namespace kvbackup::inline v1::detail {

/// Replaces `last` by a key that is not longer, greater, and still below `next` (which is above
/// `last`), where there is one; false and unchanged where not. The choice is RocksDB's
/// (BytewiseComparator::FindShortestSeparator), which byte-identical files depend on.
inline bool shorten_separator(std::string& last, ByteView next) {
  const std::size_t p = common_prefix(last, next);
  if (p == last.size() || p == next.size()) return false;
  const auto low = static_cast<unsigned char>(last[p]);
  const auto high = static_cast<unsigned char>(next[p]);
  std::size_t changed = p;
  if (p + 1 == next.size() && low + 1 == high) {
    changed = std::string_view(last).find_first_not_of('\xff', p + 1);
    if (changed == std::string_view::npos) return false;
  }
  last[changed] = static_cast<char>(static_cast<unsigned char>(last[changed]) + 1);
  last.resize(changed + 1);
  return true;
}

/// Replaces `last` by a key that is not longer and greater; false and unchanged if all its bytes
/// are 0xff.
inline bool shorten_successor(std::string& last) {
  const std::size_t changed = std::string_view(last).find_first_not_of('\xff');
  if (changed == std::string_view::npos) return false;
  last[changed] = static_cast<char>(static_cast<unsigned char>(last[changed]) + 1);
  last.resize(changed + 1);
  return true;
}

/// What is wrong with a table whose index grows too large.
KVBACKUP_DETAIL_COLD inline Status index_too_large() {
  return Status::error(StatusCode::resource_exhausted,
                       "cannot add to a table: its index would pass 4 GiB; write smaller tables or "
                       "larger blocks");
}

/// A block of keys and handles in the form that the options choose. The blocks of the handles
/// follow one another in the file.
class IndexBlock {
 public:
  explicit IndexBlock(const TableOptions& options)
      : block_(options.index_block_restart_interval),
        user_keys_(options.user_keys_in_index()),
        delta_handles_(options.delta_handles_in_index()) {}

  [[nodiscard]] bool empty() const { return block_.empty(); }
  [[nodiscard]] std::uint64_t estimate() const { return block_.estimate(); }
  /// RocksDB's estimate of the same with one more entry.
  [[nodiscard]] std::uint64_t estimate_with(std::uint64_t internal_key_size,
                                            const BlockHandle& handle) const {
    const std::uint64_t size = varint_size(handle.offset) + varint_size(handle.size);
    const std::uint64_t whole = block_.estimate_with(internal_key_size, size);
    if (!delta_handles_ || block_.interval_is_full()) return whole;
    return whole - size + size / 2 - varint_size(size);
  }

  /// False if the block would pass max_block_bytes.
  [[nodiscard]] bool add(ByteView internal_key, const BlockHandle& handle) {
    const ByteView key = user_keys_
                             ? internal_key.substr(0, internal_key.size() - internal_key_tail_size)
                             : internal_key;
    char value[max_block_handle];
    const auto size = static_cast<std::size_t>(store_handle(value, handle) - value);
    if (block_.estimate() + key.size() + size + lone_entry_overhead > max_block_bytes) {
      return false;
    }
    const std::size_t shared = common_prefix(last_key_, key);
    if (delta_handles_) {
      char change[max_varint64];
      char* const end = store_handle_change(change, last_handle_, handle);
      block_.add_without_length(shared, key, ByteView(value, size),
                                ByteView(change, static_cast<std::size_t>(end - change)));
    } else {
      block_.add(shared, key, ByteView(value, size));
    }
    last_key_ = key;
    last_handle_ = handle;
    return true;
  }
  [[nodiscard]] GrowingBuffer& finish() { return block_.finish(); }
  void clear() { block_.clear(); }

 private:
  BlockBuilder block_;
  std::string last_key_;
  BlockHandle last_handle_;
  bool user_keys_;
  bool delta_handles_;
};

/// A finished block that is written later, and the internal key by which it is found: no key in it
/// is greater.
struct Partition {
  std::string key;
  GrowingBuffer payload;
};

/// Plain payload sizes of blocks that belong together.
struct PayloadSizes {
  std::uint64_t all = 0;
  std::uint64_t top_level = 0;  ///< of the one that finds the others, which `all` counts too
};

/// Writes the partitions and behind them `index`, which is empty and becomes the index of them.
/// `write(GrowingBuffer& payload, BlockHandle& handle) -> Status` writes a block. `root` is the
/// index's place.
template <class Write>
[[nodiscard]] Status write_partitions(std::vector<Partition>& partitions, IndexBlock& index,
                                      Write&& write, BlockHandle& root, PayloadSizes& sizes) {
  for (Partition& partition : partitions) {
    sizes.all += partition.payload.size();
    BlockHandle handle;
    if (Status status = write(partition.payload, handle); !status.ok()) return status;
    if (!index.add(partition.key, handle)) return index_too_large();
  }
  GrowingBuffer& payload = index.finish();
  sizes.top_level = payload.size();
  sizes.all += sizes.top_level;
  return write(payload, root);
}

/// The index of a table's data blocks, whole or, with two levels, in partitions.
class IndexBuilder {
 public:
  explicit IndexBuilder(const TableOptions& options)
      : block_(options),
        cut_(options.metadata_block_size, options.block_size_deviation, false),
        shortening_(options.index_shortening),
        two_level_(options.index_type == IndexType::two_level),
        seek_tail_(seek_sequence << 8 | options.index_seek_type) {}

  /// The block at `handle` ends with user key `last`; the next one begins with `next`. False if the
  /// index would pass max_block_bytes.
  [[nodiscard]] bool add_block(ByteView last, ByteView next, const BlockHandle& handle) {
    if (two_level_) cut_before(last, handle);
    key_ = last;
    return add(shortening_ != IndexShortening::none && shorten_separator(key_, next), handle);
  }
  /// The same for the last block of the table.
  [[nodiscard]] bool add_last_block(ByteView last, const BlockHandle& handle) {
    key_ = last;
    const bool shorten = shortening_ == IndexShortening::separators_and_successor;
    if (!add(shorten && shorten_successor(key_), handle)) return false;
    if (two_level_) close_partition(key_);
    return true;
  }

  /// Asks for a new partition before the next block, unless that one is the first of a partition.
  void request_cut() { cut_requested_ = true; }
  /// Whether a partition was closed since the last call.
  [[nodiscard]] bool take_closed() { return std::exchange(closed_, false); }
  /// The internal key of the last entry.
  [[nodiscard]] ByteView last_key() const { return key_; }

  /// After add_last_block: writes all blocks as write_partitions does.
  template <class Write>
  [[nodiscard]] Status write(Write&& write, BlockHandle& root) {
    if (two_level_) return write_partitions(partitions_, block_, write, root, sizes_);
    GrowingBuffer& payload = block_.finish();
    sizes_.all = payload.size();
    return write(payload, root);
  }
  /// After write().
  [[nodiscard]] const PayloadSizes& sizes() const { return sizes_; }
  /// 0 with one level.
  [[nodiscard]] std::uint64_t partitions() const { return partitions_.size(); }

 private:
  /// The highest sequence number, so that the key stands before every real one of its user key.
  static constexpr std::uint64_t seek_sequence = (std::uint64_t{1} << 56) - 1;

  [[nodiscard]] bool add(bool shortened, const BlockHandle& handle) {
    append_le64(key_, shortened ? seek_tail_ : value_key_tail);
    return block_.add(key_, handle);
  }
  /// Closes the open partition if it is full without the block that ends with user key `last`.
  void cut_before(ByteView last, const BlockHandle& handle) {
    if (!block_.empty()) {
      const std::uint64_t after =
          block_.estimate_with(last.size() + internal_key_tail_size, handle);
      if (!cut_requested_ && !cut_.cuts(block_.estimate(), after)) return;
      close_partition(key_);
    }
    cut_requested_ = false;
  }
  void close_partition(ByteView key) {
    Partition& partition = partitions_.emplace_back();
    partition.key = key;
    const ByteView payload = block_.finish().view();
    char* p = partition.payload.room(payload.size() + block_trailer_size);
    std::memcpy(p, payload.data(), payload.size());
    partition.payload.set_end(p + payload.size());
    block_.clear();
    closed_ = true;
  }

  IndexBlock block_;  // the open partition, or the whole index
  std::vector<Partition> partitions_;
  std::string key_;
  CutRule cut_;
  IndexShortening shortening_;
  bool two_level_;
  bool cut_requested_ = false;
  bool closed_ = false;
  std::uint64_t seek_tail_;
  PayloadSizes sizes_;
};

}  // namespace kvbackup::inline v1::detail
