// SPDX-License-Identifier: Apache-2.0
// Full blocks of one table that wait for any thread to compress them, in batches.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/helper_pool.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/detail/stored_block.hpp"

namespace kvbackup::inline v1::detail {

/// Takes blocks in the order of the file and gives them back in that order, in their stored form.
/// The thread that adds and writes compresses too, where the others have enough to do.
///
/// Memory: some batches, each with its compressed form; most_batches of them, at most 14 MiB, only
/// where a helper does not come to end one, because the system has the core do something else. And
/// a context of the codec for each thread that is at work here at once.
template <BlockCodec Codec, BlockChecksum Checksum>
class BlockBatches {
 public:
  /// A hand-over costs some microseconds: less than a hundredth of the time that the fastest codec
  /// takes for that many plain bytes. A few of them fit a second-level cache.
  static constexpr std::size_t batch_bytes = 256 * 1024;
  /// A block that has more with its keys is left to the caller, so that memory stays bounded.
  static constexpr std::size_t largest_block = 512 * 1024;
  /// How many are handed over and not written at most. More bridge longer pauses of a helper, and
  /// leave the caches sooner.
  static constexpr std::size_t most_batches = 12;

  BlockBatches(const Codec& codec, HelperPool& pool)
      : codec_(codec), pool_(pool), open_(std::make_unique<Batch>(*this)) {}
  BlockBatches(const BlockBatches&) = delete;
  BlockBatches& operator=(const BlockBatches&) = delete;
  ~BlockBatches() {
    for (; handed_over_ > 0; drop_first()) {
      if (!pool_.take_back(first())) pool_.wait(first());
    }
  }

  /// Whether a block of that many bytes, counting its last key and the next one, may be added; it
  /// should not if nobody is there to help.
  [[nodiscard]] bool takes(std::uint64_t size) const {
    return size <= largest_block && pool_.helpers() > 0;
  }
  /// Adds a block that ends with user key `last`; the next one begins with `next`.
  void add(ByteView plain, ByteView last, ByteView next) {
    Batch& batch = *open_;
    batch.blocks.push_back({.plain_size = plain.size(),
                            .last_size = last.size(),
                            .next_size = next.size(),
                            .stored_size = 0});
    if (batch.plain.size() == 0) {
      // a quarter more, because the last block passes batch_bytes
      static_cast<void>(batch.plain.room(std::max(batch_bytes, plain.size()) + batch_bytes / 4));
    }
    batch.plain.append(plain);
    batch.keys.append(last);
    batch.keys.append(next);
  }
  /// Whether the blocks added are enough to be handed over.
  [[nodiscard]] bool full() const { return open_->size() >= batch_bytes; }

  /// Hands over what was added. Calls write(last, next, stored) -> Status for every block that is
  /// compressed by then, in order, until there is room for another batch, or with `all` until
  /// nothing is left. The first failure ends it, and then only the destructor may follow.
  template <class Write>
  Status hand_over(bool all, Write&& write) {
    if (open_->size() > 0) offer_open();
    for (;;) {
      for (; handed_over_ > 0 && pool_.ended(first()); drop_first()) {
        if (Status status = write_batch(first(), write); !status.ok()) return status;
      }
      if (handed_over_ == 0) return {};
      const bool room = !all && handed_over_ < most_batches && bytes_ <= most_waiting_bytes;
      // with two at hand a helper does not run out while this thread compresses and writes one
      if (room && pool_.waiting() <= 2 * pool_.helpers()) return {};
      if (compress_one(room)) continue;
      if (room) return {};
      pool_.wait(first());
    }
  }

 private:
  static constexpr std::size_t most_waiting_bytes = most_batches * batch_bytes;
  /// The buffers of larger batches are not kept.
  static constexpr std::size_t most_kept_bytes = 2 * batch_bytes;

  using Compressor = decltype(std::declval<const Codec&>().compressor());

  struct Block {
    std::size_t plain_size;
    std::size_t last_size;
    std::size_t next_size;
    std::size_t stored_size;  // with the trailer; 0 until it is compressed
  };

  struct Batch final : HelperPool::Job {
    explicit Batch(BlockBatches& batches)
        : Job([](Job& job) {
            auto& batch = static_cast<Batch&>(job);
            batch.owner.compress(batch);
          }),
          owner(batches) {}
    [[nodiscard]] std::size_t size() const { return plain.size() + keys.size(); }

    BlockBatches& owner;
    std::vector<Block> blocks;
    GrowingBuffer plain;   // the blocks, one behind the other
    GrowingBuffer keys;    // last and next of each
    GrowingBuffer stored;  // the blocks again, compressed, with their trailers
  };

  [[nodiscard]] Batch& at(std::size_t n) { return *ring_[(first_ + n) % most_batches]; }
  [[nodiscard]] Batch& first() { return at(0); }

  void offer_open() {
    Batch& batch = *open_;
    bytes_ += batch.size();
    ring_[(first_ + handed_over_) % most_batches] = std::move(open_);
    ++handed_over_;
    pool_.offer(batch);
    if (spare_.empty()) {
      open_ = std::make_unique<Batch>(*this);
    } else {
      open_ = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  /// The newest one is in this core's cache; the oldest is what all wait for.
  [[nodiscard]] bool compress_one(bool newest) {
    for (std::size_t i = 0; i < handed_over_; ++i) {
      if (pool_.run_here(at(newest ? handed_over_ - 1 - i : i))) return true;
    }
    return false;
  }
  void drop_first() {
    Batch& batch = first();
    bytes_ -= batch.size();
    if (batch.size() > most_kept_bytes) {
      batch.plain = GrowingBuffer();
      batch.keys = GrowingBuffer();
      batch.stored = GrowingBuffer();
    }
    batch.blocks.clear();
    batch.plain.clear();
    batch.keys.clear();
    batch.stored.clear();
    spare_.push_back(std::move(ring_[first_]));
    first_ = (first_ + 1) % most_batches;
    --handed_over_;
  }

  /// On any thread.
  void compress(Batch& batch) {
    std::unique_ptr<Compressor> compressor = take_compressor();
    const char* p = batch.plain.data();
    // enough for what compresses well
    static_cast<void>(batch.stored.room(batch.plain.size() / 8 * 5));
    for (Block& block : batch.blocks) {
      if (pool_.cancel() != nullptr && pool_.cancel()->cancelled()) break;
      const ByteView plain(p, block.plain_size);
      const std::size_t before = batch.stored.size();
      BlockCompression type = codec_.type();
      if (!append_compressed(codec_, *compressor, plain, batch.stored)) {
        type = BlockCompression::none;
        batch.stored.append(plain);
      }
      append_trailer<Checksum>(batch.stored, before, type);
      block.stored_size = batch.stored.size() - before;
      p += block.plain_size;
    }
    const MutexLock lock(mutex_);
    compressors_.push_back(std::move(compressor));
  }
  [[nodiscard]] std::unique_ptr<Compressor> take_compressor() {
    {
      const MutexLock lock(mutex_);
      if (!compressors_.empty()) {
        std::unique_ptr<Compressor> compressor = std::move(compressors_.back());
        compressors_.pop_back();
        return compressor;
      }
    }
    return std::unique_ptr<Compressor>(new Compressor(codec_.compressor()));
  }

  template <class Write>
  Status write_batch(const Batch& batch, Write& write) {
    const char* key = batch.keys.data();
    const char* p = batch.stored.data();
    for (const Block& block : batch.blocks) {
      // a block is left out only where the run was cancelled
      if (block.stored_size == 0) return check_cancel(pool_.cancel());
      const ByteView last(key, block.last_size);
      const ByteView next(key + block.last_size, block.next_size);
      Status status = write(last, next, ByteView(p, block.stored_size));
      if (!status.ok()) return status;
      key += block.last_size + block.next_size;
      p += block.stored_size;
    }
    return {};
  }

  Codec codec_;
  HelperPool& pool_;
  std::unique_ptr<Batch> open_;
  std::array<std::unique_ptr<Batch>, most_batches> ring_;  // those handed over, from first_ on
  std::size_t first_ = 0;
  std::size_t handed_over_ = 0;
  std::size_t bytes_ = 0;                      // in these
  std::vector<std::unique_ptr<Batch>> spare_;  // the last one used last, so that caches know it
  Mutex mutex_;
  std::vector<std::unique_ptr<Compressor>> compressors_;  // that nobody uses; under mutex_
};

}  // namespace kvbackup::inline v1::detail
