// SPDX-License-Identifier: Apache-2.0
// Iterates over the entries of a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/detail/table_core.hpp"

namespace kvbackup::inline v1 {

/// Kinds of entries in data blocks (RocksDB db/dbformat.h, ValueType).
enum class EntryType : std::uint8_t {
  deletion = 0,
  value = 1,
  merge = 2,
  single_deletion = 7,
  blob_index = 0x11,
  deletion_with_timestamp = 0x14,
  wide_column_entity = 0x16,
  value_with_preferred_seqno = 0x18,
};

namespace detail {

/// Walks the handles of a table's data blocks, in their order.
template <class Core>
class DataBlockWalker {
 public:
  using Worker = typename Core::Worker;

  /// To the first block.
  Step first(const Core& core, Worker& worker) {
    last_end_ = 0;
    return entered(core, worker, top_.begin(core.root.payload, core.index_form),
                   [](IndexCursor&) { return Step::entry; });
  }
  /// To the first block that may have keys not below `user_key`.
  Step seek(const Core& core, Worker& worker, ByteView user_key) {
    last_end_ = 0;
    Step step = top_.begin(core.root.payload, core.index_form);
    if (step == Step::entry) step = top_.seek(user_key);
    return entered(core, worker, step,
                   [user_key](IndexCursor& partition) { return partition.seek(user_key); });
  }
  Step next(const Core& core, Worker& worker) {
    last_end_ = handle().offset + handle().size + block_trailer_size;
    if (!core.two_level()) return in_order(core, top_.next());
    const Step step = partition_.next();
    if (step == Step::entry) return in_order(core, step);
    if (step == Step::damaged) return fail(core);
    return entered(core, worker, next_partition(core), [](IndexCursor&) { return Step::entry; });
  }

  [[nodiscard]] const BlockHandle& handle() const { return at_; }
  [[nodiscard]] const Status& status() const { return status_; }
  /// The index key of the block: not below any user key in it.
  [[nodiscard]] ByteView bound() const {
    return in_partition_ ? partition_.user_key() : top_.user_key();
  }

 private:
  /// After a step of the top level: into a partition, if there are such, where `place` says where.
  template <class Place>
  Step entered(const Core& core, Worker& worker, Step step, Place&& place) {
    in_partition_ = core.two_level();
    if (!in_partition_) return in_order(core, step);
    while (step == Step::entry) {
      status_ = core.load(top_.handle(), BlockRole::index, worker.contexts, worker.index_window,
                          true, held_);
      if (!status_.ok()) return Step::damaged;
      Step inside = partition_.begin(held_.payload, core.index_form);
      if (inside == Step::entry) inside = place(partition_);
      if (inside == Step::damaged) return fail(core);
      if (inside == Step::entry) return in_order(core, inside);
      step = next_partition(core);
    }
    return step == Step::damaged ? fail(core) : step;
  }
  Step next_partition(const Core& /*core*/) {
    const BlockHandle before = top_.handle();
    const Step step = top_.next();
    if (step == Step::entry && top_.handle().offset < before.offset + before.size) {
      return Step::damaged;
    }
    return step;
  }
  /// Blocks that go backwards would let a small file be read for ever.
  Step in_order(const Core& core, Step step) {
    if (step == Step::entry) {
      at_ = in_partition_ ? partition_.handle() : top_.handle();
      if (at_.offset < last_end_) step = Step::damaged;
    }
    return step == Step::damaged ? fail(core) : step;
  }
  KVBACKUP_DETAIL_COLD Step fail(const Core& core) {
    if (status_.ok()) {
      status_ = core.blocks.malformed(BlockRole::index, in_partition_ && top_.handle().size > 0
                                                            ? top_.handle()
                                                            : core.index_handle);
    }
    return Step::damaged;
  }

  IndexCursor top_;
  IndexCursor partition_;
  HeldBlock held_;
  BlockHandle at_;
  std::uint64_t last_end_ = 0;
  bool in_partition_ = false;
  Status status_;
};

}  // namespace detail

/// All point entries of a table as they are stored: every version of a key, newest first, and
/// deletions as such. Forward, in the order of the keys; after an error valid() is false and
/// status() says it.
///
/// Keeps what it reads from open; belongs to one thread. key() and value() live until the next
/// next() or seek().
template <class Core>
class TableIterator {
 public:
  /// `read_ahead` = bytes to read at a time once it goes on forward.
  TableIterator(std::shared_ptr<const Core> core, std::size_t read_ahead)
      : core_(std::move(core)), worker_(std::make_unique<typename Core::Worker>(*core_)) {
    worker_->data_window.most_ahead = read_ahead;
  }

  [[nodiscard]] bool valid() const { return valid_; }
  /// The user key.
  [[nodiscard]] ByteView key() const { return cursor_.user_key(); }
  [[nodiscard]] ByteView value() const { return cursor_.value(); }
  /// The table's global sequence number, where it has one.
  [[nodiscard]] std::uint64_t sequence() const { return core_->sequence_of(cursor_.tail()); }
  /// One of EntryType's, or a number that this library does not know.
  [[nodiscard]] EntryType type() const { return static_cast<EntryType>(cursor_.tail() & 0xff); }
  /// Whether the entry before has the same user key; meaningful after next().
  [[nodiscard]] bool repeats_key() const {
    return cursor_.order() == detail::KeyOrder::same_user_key;
  }
  [[nodiscard]] const Status& status() const { return status_; }
  /// Where the block of the entry stands in the file.
  [[nodiscard]] const BlockHandle& block() const { return walker_.handle(); }

  void next() {
    const detail::Step step = cursor_.next();
    if (step == detail::Step::entry) {
      if (cursor_.order() == detail::KeyOrder::falls) fail_order();
      return;
    }
    if (step == detail::Step::damaged) return fail_block();
    next_block();
  }
  void seek_to_first() {
    begin();
    enter(walker_.first(*core_, *worker_));
  }
  /// To the first entry whose key is not below `user_key`. unsupported if the table's comparator is
  /// not the bytewise one.
  void seek(ByteView user_key) {
    begin();
    if (!core_->bytewise) {
      status_ = foreign_order(*core_);
      return;
    }
    if (walker_.seek(*core_, *worker_, user_key) != detail::Step::entry) {
      status_ = walker_.status();
      return;
    }
    if (!load_block()) return;
    detail::Step step = cursor_.begin(held_.payload);
    if (step == detail::Step::entry) step = cursor_.seek(user_key);
    if (step == detail::Step::damaged) return fail_block();
    valid_ = step == detail::Step::entry;
    if (!valid_) next_block();
  }

  /// Why keys cannot be sought in a table whose comparator is not the bytewise one.
  [[nodiscard]] KVBACKUP_DETAIL_COLD static Status foreign_order(const Core& core) {
    return core.blocks.named(Status::error(
        StatusCode::unsupported, "cannot seek in a table: its keys are ordered by comparator " +
                                     core.properties.comparator + ", not bytewise"));
  }

 private:
  void begin() {
    valid_ = false;
    status_ = {};
    walker_ = {};
    cursor_.forget_key();
    last_bound_.clear();
  }
  void next_block() {
    cursor_.keep_key();
    valid_ = false;
    // a block that was sought in may be empty, and no key was read then
    if (core_->bytewise && cursor_.has_key() && cursor_.user_key() > walker_.bound()) {
      return fail_bound();
    }
    last_bound_ = walker_.bound();
    enter(walker_.next(*core_, *worker_));
  }
  /// Into the block that the walker stands at, and on to one with entries.
  void enter(detail::Step step) {
    for (; step == detail::Step::entry; step = walker_.next(*core_, *worker_)) {
      if (!load_block()) return;
      const detail::Step inside = cursor_.begin(held_.payload);
      if (inside == detail::Step::damaged) return fail_block();
      if (inside == detail::Step::end) {
        last_bound_ = walker_.bound();
        continue;
      }
      valid_ = true;
      if (cursor_.order() == detail::KeyOrder::falls) return fail_order();
      if (core_->bytewise && !last_bound_.empty() && !above_last_bound()) fail_bound();
      return;
    }
    if (step == detail::Step::damaged) status_ = walker_.status();
  }
  /// Whether a lookup of the current key, the first of its block, would come to this block.
  [[nodiscard]] bool above_last_bound() const {
    // with whole keys in the index, versions of one key may lie in two blocks
    const int order = cursor_.user_key().compare(last_bound_);
    return order > 0 || (order == 0 && !core_->index_form.user_keys);
  }
  bool load_block() {
    status_ = core_->load(walker_.handle(), detail::BlockRole::data, worker_->contexts,
                          worker_->data_window, false, held_);
    return status_.ok();
  }

  KVBACKUP_DETAIL_COLD void fail_block() {
    valid_ = false;
    status_ = core_->blocks.malformed(detail::BlockRole::data, walker_.handle());
  }
  KVBACKUP_DETAIL_COLD void fail_order() {
    if (!core_->bytewise) return;
    valid_ = false;
    status_ = core_->blocks
                  .failed(StatusCode::corruption, detail::BlockRole::data, walker_.handle(),
                          "has keys out of order: one is not above the key before it; the table is "
                          "damaged, take it from another copy")
                  .with_key(cursor_.user_key());
  }

  KVBACKUP_DETAIL_COLD void fail_bound() {
    valid_ = false;
    status_ =
        core_->blocks
            .failed(StatusCode::corruption, detail::BlockRole::data, walker_.handle(),
                    "has a key that the index says is in another block; the table is damaged, "
                    "take it from another copy")
            .with_key(cursor_.user_key());
  }

  std::shared_ptr<const Core> core_;
  std::unique_ptr<typename Core::Worker> worker_;
  detail::DataBlockWalker<Core> walker_;
  detail::BlockCursor cursor_;
  detail::HeldBlock held_;
  std::string last_bound_;  // the index key of the block before; empty = there was none
  bool valid_ = false;
  Status status_;
};

}  // namespace kvbackup::inline v1
