// SPDX-License-Identifier: Apache-2.0
// Cuts a key range by sizes that a store can only estimate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace kvbackup::inline v1 {

namespace detail {

/// A key about in the middle of a and b, as if their bytes were the digits of a fraction; a < b.
/// Equal to `a` where there is none of at most one byte more than the longer of the two.
[[nodiscard]] inline std::string key_between(ByteView a, ByteView b) {
  const std::size_t size = std::max(a.size(), b.size()) + 1;
  const auto digit = [](ByteView key, std::size_t at) {
    return at < key.size() ? static_cast<unsigned>(static_cast<unsigned char>(key[at])) : 0U;
  };
  std::string middle(size, '\0');
  unsigned carry = 0;
  std::vector<unsigned> sum(size);
  for (std::size_t at = size; at-- > 0;) {
    carry += digit(a, at) + digit(b, at);
    sum[at] = carry & 0xffU;
    carry >>= 8U;
  }
  unsigned rest = carry;
  for (std::size_t at = 0; at < size; ++at) {
    const unsigned value = rest << 8U | sum[at];
    middle[at] = static_cast<char>(value / 2);
    rest = value % 2;
  }
  // as short as it can be and still lie between
  for (std::size_t length = 1; length < size; ++length) {
    const ByteView cut = ByteView(middle).substr(0, length);
    if (a < cut && cut < b) return std::string(cut);
  }
  return a < ByteView(middle) && ByteView(middle) < b ? middle : std::string(a);
}

/// Finds cuts between a first and a last key so that each piece has about `target` bytes.
/// `Size(start, end) -> std::uint64_t` estimates [start, end); what it gives must depend on the
/// store's data only.
template <class Size>
class ApproximateSplitter {
 public:
  /// Below 64 KiB an estimate says little: stores estimate in blocks.
  static constexpr std::uint64_t least_target = 64 * 1024;

  ApproximateSplitter(Size& size, std::uint64_t target)
      : size_(size), target_(std::max(target, least_target)), grain_(target_ / 4) {}

  /// Takes the piece [start, end), which follows the one before it and has about `bytes` bytes.
  void add(const std::string& start, const std::string& end, std::uint64_t bytes) {
    refine(start, end, bytes, 0);
  }
  /// The sub-ranges of `range` that the cuts make.
  [[nodiscard]] std::vector<KeyRange> parts_of(const KeyRange& range) {
    std::vector<KeyRange> parts{range};
    for (std::string& cut : cuts_) {
      if (cut <= parts.back().start || (!range.end.empty() && cut >= range.end)) continue;
      parts.back().end = cut;
      parts.push_back({range.cf, std::move(cut), range.end});
    }
    return parts;
  }

 private:
  /// Halvings of a piece: enough to tell keys apart that share their first 60 bytes.
  static constexpr int deepest = 512;

  void refine(const std::string& start, const std::string& end, std::uint64_t bytes, int depth) {
    if (bytes > grain_ && depth < deepest) {
      const std::string middle = key_between(start, end);
      if (middle != start) {
        const std::uint64_t left = std::min(size_(start, middle), bytes);
        if (left > 0) refine(start, middle, left, depth + 1);
        if (left < bytes) refine(middle, end, bytes - left, depth + 1);
        return;
      }
    }
    if (filled_ > 0 && filled_ + bytes / 2 >= target_) {
      cuts_.push_back(start);
      filled_ = 0;
    }
    filled_ += bytes;
  }

  Size& size_;
  std::uint64_t target_;
  std::uint64_t grain_;
  std::uint64_t filled_ = 0;
  std::vector<std::string> cuts_;
};

/// Remembers what split() gave: a store's files change while it is read, and one snapshot must
/// always be cut in the same way.
class SplitMemory {
 public:
  template <class Make>
  [[nodiscard]] Result<std::vector<KeyRange>> get(const KeyRange& range, std::uint64_t target,
                                                  Make make) {
    const MutexLock lock(mutex_);
    const Key key{range.cf, range.start, range.end, target};
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    Result<std::vector<KeyRange>> parts = make();
    if (parts.ok()) known_.emplace(key, parts.value());
    return parts;
  }

 private:
  using Key = std::tuple<std::string, std::string, std::string, std::uint64_t>;

  Mutex mutex_;
  std::map<Key, std::vector<KeyRange>> known_;  // under mutex_
};

}  // namespace detail

}  // namespace kvbackup::inline v1
