// SPDX-License-Identifier: Apache-2.0
// Writes a sorted run of pairs as an SST file (RocksDB's block-based table, format_version 2 to 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/helper_pool.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/sst/detail/block_batches.hpp"
#include "kvbackup/sst/detail/block_output.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/filter_builder.hpp"
#include "kvbackup/sst/footer.hpp"
#include "kvbackup/sst/index_builder.hpp"
#include "kvbackup/sst/memory_bound.hpp"
#include "kvbackup/sst/options.hpp"
#include "kvbackup/sst/properties.hpp"

namespace kvbackup::inline v1 {

/// Writes one table, strictly forward: every block goes to the output when it is full.
///
/// The file is meant for ingestion (sequence number 0, puts only). Which RocksDB takes it depends
/// on the options and the checksum; with those of TiKV every one from 4.6 to 11, TiKV and BR do.
/// Equal options and pairs give equal bytes.
///
/// Memory beside the codec's: one data block (the options' block size, or the largest entry) and
/// its compressed form; for each data block its index entry, about the length of a key + 20 bytes;
/// for each key 4 bytes for the legacy filter and 8 for the fast local one, and bits_per_key bits
/// while finish() builds it; a partitioned filter has its bits only. add() allocates only to let
/// these grow. memory_bound() tells the most.
///
/// After a failure every call fails with the same status. A writer belongs to one thread. With a
/// HelperPool the threads in it compress full blocks of data and compute their checksums, by
/// batches of 256 KiB; everything else, the output too, stays with the writer's own thread. The
/// bytes are the same; memory grows by 14 MiB at most and a context of the codec for each helper.
/// Without a codec, with block_align and with partition_filters there is nothing to share, since
/// then the place of a block in the file says what comes next.
template <BlockCodec Codec, BlockChecksum Checksum, ByteSink Output,
          PropertyCollector Collector = NoCollector>
class TableWriter {
 public:
  /// Touches nothing; options that cannot work fail the first call (TableOptions::validate).
  /// `helpers`, which may be null, outlives the writer.
  TableWriter(TableOptions options, const Codec& codec, Output output, Collector collector = {},
              HelperPool* helpers = nullptr)
      : options_(std::move(options)),
        blocks_(codec, std::move(output)),
        collector_(std::move(collector)),
        status_(validate(options_, codec)),
        cut_(options_.block_size, options_.block_size_deviation, options_.block_align),
        block_(options_.block_restart_interval),
        index_(options_),
        filter_(options_),
        cut_from_(cut_.from()) {
    if (helpers == nullptr || codec.type() == BlockCompression::none) return;
    if (options_.block_align || options_.partition_filters) return;
    cancel_ = helpers->cancel();
    batches_ = std::make_unique<Batches>(codec, *helpers);
  }

  /// Adds a pair; the views need to live during the call only.
  ///
  /// out_of_order if `user_key` is not above the key before it, bytewise; resource_exhausted if the
  /// pair does not fit a block, which is below 4 GiB; the output's failure if a block was full.
  Status add(ByteView user_key, ByteView value) {
    if (!status_.ok()) return status_;
    const ByteView last = last_key_.view();
    std::size_t shared = detail::common_prefix(last, user_key);
    if (shared == last.size()) {
      if (shared == user_key.size() && summary_.num_entries > 0) return fail_order(user_key);
      shared += shared_with_tail(user_key.substr(shared));
    } else if (shared == user_key.size() || static_cast<unsigned char>(user_key[shared]) <
                                                static_cast<unsigned char>(last[shared])) {
      return fail_order(user_key);
    }

    const std::uint64_t pair_size = std::uint64_t{user_key.size()} + value.size();
    const bool large = pair_size > large_pair;
    if (large && pair_size > max_pair) return fail_size(user_key, pair_size);
    if ((block_.estimate() >= cut_from_ || large) && !block_.empty() &&
        cut_.cuts(block_.estimate(),
                  block_.estimate_with(user_key.size() + tail_size, value.size()))) {
      if (!cut_block(user_key)) return status_;
    }

    block_.add_internal(shared, user_key, value);
    remember(user_key);
    if (filter_.enabled()) filter_.add(user_key);
    collector_.add(user_key, value);
    ++summary_.num_entries;
    summary_.raw_key_size += user_key.size() + tail_size;
    summary_.raw_value_size += value.size();
    return {};
  }

  /// Writes what stands behind the data. invalid_argument if nothing was added or the collector
  /// gives one name twice, or a name of RocksDB's; the output's failure. Nothing may be added
  /// after it. The output is not told: to commit it is its owner's part.
  Result<TableSummary> finish() {
    if (status_.ok() && summary_.num_entries == 0) {
      status_ = failure(StatusCode::invalid_argument,
                        "cannot finish a table without entries: begin a table with its first pair");
    }
    if (status_.ok()) write_tail();
    if (!status_.ok()) return status_;
    summary_.file_size = blocks_.offset();
    status_ = failure(StatusCode::invalid_argument,
                      "the table is finished: begin another one for more pairs");
    return summary_;
  }

  /// The most that a writer with these options and this codec holds while it writes `content`, in
  /// bytes. What the codec's context, the collector with its properties, the output, and batches
  /// for helpers hold is not counted. The bound is safe rather than close: about three times what a
  /// large table takes.
  [[nodiscard]] static std::uint64_t memory_bound(const TableOptions& options, const Codec& codec,
                                                  const TableContent& content) {
    return detail::MemoryBound(options, content).all(codec).n;
  }

  /// Bytes handed to the output so far.
  [[nodiscard]] std::uint64_t file_size() const { return blocks_.offset(); }
  [[nodiscard]] Output& output() { return blocks_.output(); }

 private:
  static constexpr std::size_t tail_size = detail::internal_key_tail_size;
  /// The largest key and value that fit a block of their own.
  static constexpr std::uint64_t max_pair = detail::max_block_bytes - detail::lone_entry_overhead;
  /// Smaller ones cannot take a block that CutRule lets grow past max_block_bytes.
  static constexpr std::uint64_t large_pair =
      detail::max_block_bytes - 2 * std::uint64_t{TableOptions::max_block_size};

  static Status validate(const TableOptions& options, const Codec& codec) {
    if (options.block_align && codec.type() != BlockCompression::none) {
      return failure(StatusCode::invalid_argument,
                     "cannot write a table: block_align asks for no compression");
    }
    return options.validate();
  }
  /// How far the tail of the previous internal key goes on agreeing with `rest` of the new user
  /// key.
  static std::size_t shared_with_tail(ByteView rest) {
    if (rest.empty() || rest[0] != static_cast<char>(detail::value_key_tail)) return 0;
    char tail[tail_size];
    store_le64(tail, detail::value_key_tail);
    return detail::common_prefix(ByteView(tail, tail_size), rest);
  }

  void remember(ByteView user_key) {
    last_key_.clear();
    char* p = last_key_.room(user_key.size());
    detail::copy_short(p, user_key.data(), user_key.size());
    last_key_.set_end(p + user_key.size());
  }

  /// Writes the open block, which is followed by `next`.
  bool cut_block(ByteView next) {
    if (batches_ != nullptr) {
      if (batches_->takes(block_.estimate() + last_key_.size() + next.size())) {
        return share_block(next);
      }
      if (!write_batches(true)) return false;
    }
    BlockHandle handle;
    if (!write_data_block(handle)) return false;
    if (filter_.take_cut_request()) index_.request_cut();
    if (!index_.add_block(last_key_.view(), next, handle)) return fail_index(next);
    if (filter_.partitioned() && index_.take_closed()) filter_.cut(index_.last_key(), next);
    return true;
  }

  bool write_data_block(BlockHandle& handle) {
    if (!check(blocks_.write(block_.finish(), handle, options_.alignment()))) return false;
    block_.clear();
    count_data_block();
    return true;
  }
  void count_data_block() {
    ++summary_.num_data_blocks;
    summary_.data_size = blocks_.offset();
  }

  /// Leaves the open block, which is followed by `next`, to whichever thread is free.
  bool share_block(ByteView next) {
    if (!check(check_cancel(cancel_))) return false;
    batches_->add(block_.finish().view(), last_key_.view(), next);
    block_.clear();
    return !batches_->full() || write_batches(false);
  }
  /// Writes blocks that were shared and are compressed, or waits for all of them.
  bool write_batches(bool all) {
    const auto write = [this](ByteView last, ByteView next, ByteView stored) {
      BlockHandle handle;
      Status status = blocks_.write_stored(stored, handle);
      if (!status.ok()) return status;
      count_data_block();
      if (index_.add_block(last, next, handle)) return status;
      return detail::index_too_large().with_key(next);
    };
    return check(batches_->hand_over(all, write));
  }

  void write_tail() {
    if (batches_ != nullptr && !write_batches(true)) return;
    BlockHandle handle;
    if (!write_data_block(handle)) return;
    if (!index_.add_last_block(last_key_.view(), handle)) {
      fail_index(last_key_.view());
      return;
    }
    detail::MetaBlockBuilder metaindex(1);
    if (!write_filter(metaindex)) return;
    BlockHandle index_handle;
    if (!write_index(index_handle)) return;
    if (!write_properties(metaindex)) return;
    BlockHandle metaindex_handle;
    if (!check(blocks_.write_plain(metaindex.finish(), metaindex_handle))) return;
    check(blocks_.append(
        encode_footer(Checksum::kind, options_.format_version, metaindex_handle, index_handle)));
  }

  bool write_filter(detail::MetaBlockBuilder& metaindex) {
    summary_.num_filter_entries = filter_.num_entries();
    if (filter_.empty()) return true;
    if (filter_.partitioned()) filter_.close(index_.last_key());
    const auto write = [this](detail::GrowingBuffer& payload, BlockHandle& handle) {
      return blocks_.write_plain(payload, handle);
    };
    BlockHandle handle;
    if (!check(filter_.write(options_, write, handle, summary_.filter_size))) return false;
    std::string name(filter_.partitioned() ? "partitionedfilter." : "fullfilter.");
    name += detail::filter_policy_name;
    add_to_metaindex(metaindex, name, handle);
    return true;
  }

  bool write_index(BlockHandle& root) {
    const auto write = [this](detail::GrowingBuffer& payload, BlockHandle& handle) {
      return blocks_.write(payload, handle);
    };
    if (!check(index_.write(write, root))) return false;
    // RocksDB counts one trailer, however many blocks there are.
    summary_.index_size = index_.sizes().all + block_trailer_size;
    summary_.index_partitions = index_.partitions();
    summary_.top_level_index_size = index_.sizes().top_level;
    return true;
  }

  bool write_properties(detail::MetaBlockBuilder& metaindex) {
    detail::PropertyBlockBuilder properties;
    const std::string collectors = collector_.name();
    detail::add_table_properties(properties, options_, summary_, blocks_.codec().name(),
                                 collectors);
    auto add = [&properties](std::string_view name, ByteView bytes) {
      properties.add(name, bytes);
    };
    collector_.finish(add);
    for (const auto& [name, bytes] : options_.user_properties) properties.add(name, bytes);
    if (!properties.sort()) {
      status_ = failure(StatusCode::invalid_argument,
                        "cannot write the table's properties: a name is given twice; check "
                        "what the property collector emits and TableOptions::user_properties");
      return false;
    }
    BlockHandle handle;
    if (!check(blocks_.write_plain(properties.finish(), handle))) return false;
    add_to_metaindex(metaindex, detail::properties_block_name, handle);
    return true;
  }

  static void add_to_metaindex(detail::MetaBlockBuilder& metaindex, std::string_view name,
                               const BlockHandle& handle) {
    std::string value;
    append_handle(value, handle);
    metaindex.add(name, value);
  }

  bool check(Status status) {
    status_ = std::move(status);
    return status_.ok();
  }

  KVBACKUP_DETAIL_COLD static Status failure(StatusCode code, const char* message) {
    return Status::error(code, message);
  }
  KVBACKUP_DETAIL_COLD Status fail_order(ByteView user_key) {
    const bool twice = last_key_.view() == user_key;
    status_ =
        failure(StatusCode::out_of_order,
                twice ? "cannot add to a table: the key came twice; a table has each key once"
                      : "cannot add to a table: the key is below the one before it; keys must "
                        "strictly rise in byte order")
            .with_key(user_key);
    return status_;
  }
  KVBACKUP_DETAIL_COLD Status fail_size(ByteView user_key, std::uint64_t pair_size) {
    std::string message("cannot add to a table: key and value have ");
    message += std::to_string(pair_size);
    message += " bytes, a block takes at most ";
    message += std::to_string(max_pair);
    status_ = Status::error(StatusCode::resource_exhausted, std::move(message)).with_key(user_key);
    return status_;
  }
  KVBACKUP_DETAIL_COLD bool fail_index(ByteView user_key) {
    status_ = detail::index_too_large().with_key(user_key);
    return false;
  }

  using Batches = detail::BlockBatches<Codec, Checksum>;

  TableOptions options_;
  detail::BlockOutput<Codec, Checksum, Output> blocks_;
  Collector collector_;
  Status status_;
  detail::CutRule cut_;
  detail::BlockBuilder block_;
  detail::IndexBuilder index_;
  detail::FilterBuilder filter_;
  detail::GrowingBuffer last_key_;
  std::uint64_t cut_from_;
  TableSummary summary_;
  const CancelToken* cancel_ = nullptr;
  std::unique_ptr<Batches> batches_;  // where blocks may be shared
};

}  // namespace kvbackup::inline v1
