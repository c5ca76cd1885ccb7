// SPDX-License-Identifier: Apache-2.0
// The BlockCache policy of a table reader: what is kept of blocks that were read.
//
// | expression                  | result                   | meaning
// |-----------------------------|--------------------------|---------------------------------------
// | C::keeps_blocks             | bool constant            | false: the reader never asks
// | c.new_file()                | uint64_t                 | tells one reader's blocks from others'
// | c.find(file, offset)        | shared_ptr<const Block>  | the plain block, or null
// | c.insert(file, offset, b)   | void                     | may keep it
//
// Laws no compiler checks: copies share what they keep; all calls may come from several threads.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"

namespace kvbackup::inline v1 {

/// A decompressed block that is shared between its users.
class CachedBlock {
 public:
  explicit CachedBlock(ByteView bytes) { bytes_.append(bytes); }
  [[nodiscard]] ByteView view() const { return bytes_.view(); }

 private:
  detail::GrowingBuffer bytes_;
};
using CachedBlockPtr = std::shared_ptr<const CachedBlock>;

/// Plain blocks that several tables share, by the number of the file that new_file() gave and the
/// block's offset in it. Copies are the same cache; all calls may come from several threads at
/// once. find() gives null for what it does not keep; insert() need not keep anything. Where
/// keeps_blocks is false neither is called.
template <class C>
concept BlockCache = std::copyable<C> &&
    requires(const C& c, std::uint64_t n, CachedBlockPtr block) {
  { C::keeps_blocks } -> std::convertible_to<bool>;
  { c.new_file() } -> std::same_as<std::uint64_t>;
  { c.find(n, n) } -> std::same_as<CachedBlockPtr>;
  c.insert(n, n, block);
};

/// Keeps nothing.
struct NoBlockCache {
  static constexpr bool keeps_blocks = false;
  [[nodiscard]] static std::uint64_t new_file() { return 0; }
  [[nodiscard]] static CachedBlockPtr find(std::uint64_t /*file*/, std::uint64_t /*offset*/) {
    return nullptr;
  }
  static void insert(std::uint64_t /*file*/, std::uint64_t /*offset*/,
                     const CachedBlockPtr& /*block*/) {}
};
static_assert(BlockCache<NoBlockCache>);

/// Keeps the blocks that were used last, up to a number of bytes. One cache may serve many readers:
/// copies are the same cache.
class LruBlockCache {
 public:
  static constexpr bool keeps_blocks = true;

  /// Keeps blocks of `capacity` bytes in sum; what a user still holds counts no more once evicted.
  explicit LruBlockCache(std::size_t capacity) : state_(std::make_shared<State>(capacity)) {}

  [[nodiscard]] std::uint64_t new_file() const {
    const MutexLock lock(state_->mutex);
    return ++state_->files;
  }
  [[nodiscard]] CachedBlockPtr find(std::uint64_t file, std::uint64_t offset) const {
    const MutexLock lock(state_->mutex);
    const auto found = state_->places.find(Place{file, offset});
    if (found == state_->places.end()) return nullptr;
    state_->entries.splice(state_->entries.begin(), state_->entries, found->second);
    return found->second->block;
  }
  /// A block larger than the cache is not kept.
  void insert(std::uint64_t file, std::uint64_t offset, CachedBlockPtr block) const {
    const std::size_t size = cost(*block);
    if (size > state_->capacity) return;
    const MutexLock lock(state_->mutex);
    const Place place{file, offset};
    if (state_->places.contains(place)) return;
    while (state_->used + size > state_->capacity) state_->evict_oldest();
    state_->entries.push_front(Entry{place, std::move(block)});
    state_->places.emplace(place, state_->entries.begin());
    state_->used += size;
  }
  /// Bytes of the blocks that are kept, and what keeping them takes.
  [[nodiscard]] std::size_t used_bytes() const {
    const MutexLock lock(state_->mutex);
    return state_->used;
  }

 private:
  struct Place {
    std::uint64_t file;
    std::uint64_t offset;
    friend bool operator==(const Place&, const Place&) = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& place) const noexcept {
      // 2^64 over the golden ratio spreads the few bits in which files and offsets differ
      constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
      const std::uint64_t mixed = (place.offset ^ place.file * odd) * odd;
      return static_cast<std::size_t>(mixed ^ mixed >> 32);
    }
  };
  struct Entry {
    Place place;
    CachedBlockPtr block;
  };
  struct State {
    explicit State(std::size_t bytes) : capacity(bytes) {}
    void evict_oldest() {
      used -= cost(*entries.back().block);
      places.erase(entries.back().place);
      entries.pop_back();
    }
    Mutex mutex;
    const std::size_t capacity;
    std::size_t used = 0;
    std::uint64_t files = 0;
    std::list<Entry> entries;  // the one used last comes first
    std::unordered_map<Place, std::list<Entry>::iterator, PlaceHash> places;
  };
  /// List, map and block take about as much beside the bytes.
  [[nodiscard]] static std::size_t cost(const CachedBlock& block) {
    constexpr std::size_t overhead = 160;
    return block.view().size() + overhead;
  }

  std::shared_ptr<State> state_;
};
static_assert(BlockCache<LruBlockCache>);

}  // namespace kvbackup::inline v1
