// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/detail/block_cursor.hpp"
#include "kvbackup/sst/footer.hpp"

namespace kvbackup::inline v1::detail {

/// Which of the forms of an index block a table has.
struct IndexForm {
  bool user_keys = false;      ///< keys without sequence number and type
  bool delta_handles = false;  ///< no value length; a handle may be the change of its size only
  bool first_keys = false;     ///< behind the handle stands the block's first key
};

/// Walks an index block.
class IndexCursor {
 public:
  /// To the first entry of a block, which outlives the cursor's use of it.
  [[nodiscard]] Step begin(ByteView payload, const IndexForm& form) {
    form_ = form;
    if (!layout_.parse(payload, false)) return Step::damaged;
    at_ = layout_.entries;
    return next();
  }
  [[nodiscard]] Step next() {
    const char* p = at_;
    const char* const end = layout_.end();
    if (p == end) return Step::end;
    std::uint32_t shared;
    std::uint32_t rest;
    std::uint32_t value = 0;
    p = load_lengths(p, shared, rest, value);
    if (p == nullptr) return Step::damaged;
    const auto left = static_cast<std::size_t>(end - p);
    if (rest > left || shared > key_.size() || (shared > 0 && at_ == layout_.entries) ||
        std::size_t{shared} + rest < tail_size()) {
      return Step::damaged;
    }
    key_.assign(shared, p, rest);
    ByteView in(p + rest, left - rest);
    if (!form_.delta_handles) {
      if (value > in.size()) return Step::damaged;
      in = in.substr(0, value);
    }
    if (!take_value(in, shared)) return Step::damaged;
    at_ = form_.delta_handles ? in.data() : p + rest + value;
    return Step::entry;
  }
  /// In the block begun: to the first entry whose user key is not below `user_key`.
  [[nodiscard]] Step seek(ByteView user_key) {
    std::uint32_t start = 0;
    const Step found = last_restart_below(layout_, start, [&](const char* p) {
      std::uint32_t shared;
      std::uint32_t rest;
      std::uint32_t value;
      p = load_lengths(p, shared, rest, value);
      if (p == nullptr || shared != 0 || rest < tail_size() ||
          rest > static_cast<std::size_t>(layout_.end() - p)) {
        return Step::damaged;
      }
      return ByteView(p, rest - tail_size()) < user_key ? Step::entry : Step::end;
    });
    if (found == Step::damaged) return found;
    key_.clear();
    at_ = layout_.entries + start;
    for (;;) {
      const Step step = next();
      if (step != Step::entry || this->user_key() >= user_key) return step;
    }
  }

  [[nodiscard]] ByteView user_key() const { return {key_.data(), key_.size() - tail_size()}; }
  [[nodiscard]] const BlockHandle& handle() const { return handle_; }

 private:
  [[nodiscard]] std::size_t tail_size() const {
    return form_.user_keys ? 0 : internal_key_tail_size;
  }
  const char* load_lengths(const char* p, std::uint32_t& shared, std::uint32_t& rest,
                           std::uint32_t& value) const {
    const char* const end = layout_.end();
    p = load_varint32(p, end, shared);
    if (p != nullptr) p = load_varint32(p, end, rest);
    if (p != nullptr && !form_.delta_handles) p = load_varint32(p, end, value);
    return p;
  }
  /// Takes handle and first key off `in`.
  bool take_value(ByteView& in, std::uint32_t shared) {
    if (form_.delta_handles && shared > 0) {
      std::uint64_t coded = 0;
      if (!take_varint64(in, coded)) return false;
      const std::uint64_t change = coded >> 1 ^ (0 - (coded & 1));
      handle_.offset += handle_.size + block_trailer_size;
      handle_.size += change;
    } else if (!take_handle(in, handle_)) {
      return false;
    }
    ByteView first_key;
    return !form_.first_keys || take_length_prefixed(in, first_key);
  }

  IndexForm form_;
  BlockLayout layout_;
  const char* at_ = nullptr;
  EntryKey key_;
  BlockHandle handle_;
};

}  // namespace kvbackup::inline v1::detail
