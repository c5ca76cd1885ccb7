// SPDX-License-Identifier: Apache-2.0
// Builds the index block: one entry a data block, a key between its last and the next one's first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
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

/// The binary-search index: internal keys, full handles, every key whole.
class BinaryIndexBuilder {
 public:
  explicit BinaryIndexBuilder(const TableOptions& options)
      : block_(1),
        shortening_(options.index_shortening),
        seek_tail_(seek_sequence << 8 | options.index_seek_type) {}

  /// The block at `handle` ends with user key `last`; the next one begins with `next`. False if the
  /// index would pass max_block_bytes.
  [[nodiscard]] bool add_block(ByteView last, ByteView next, const BlockHandle& handle) {
    key_ = last;
    return add(shortening_ != IndexShortening::none && shorten_separator(key_, next), handle);
  }
  /// The same for the last block of the table.
  [[nodiscard]] bool add_last_block(ByteView last, const BlockHandle& handle) {
    key_ = last;
    const bool shorten = shortening_ == IndexShortening::separators_and_successor;
    return add(shorten && shorten_successor(key_), handle);
  }
  [[nodiscard]] GrowingBuffer& finish() { return block_.finish(); }

 private:
  /// The highest sequence number, so that the key stands before every real one of its user key.
  static constexpr std::uint64_t seek_sequence = (std::uint64_t{1} << 56) - 1;

  [[nodiscard]] bool add(bool shortened, const BlockHandle& handle) {
    append_le64(key_, shortened ? seek_tail_ : value_key_tail);
    char value[max_block_handle];
    const auto size = static_cast<std::size_t>(store_handle(value, handle) - value);
    if (block_.estimate() + key_.size() + size + lone_entry_overhead > max_block_bytes) {
      return false;
    }
    block_.add(0, key_, ByteView(value, size));
    return true;
  }

  BlockBuilder block_;
  std::string key_;
  IndexShortening shortening_;
  std::uint64_t seek_tail_;
};

}  // namespace kvbackup::inline v1::detail
