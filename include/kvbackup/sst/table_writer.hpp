// SPDX-License-Identifier: Apache-2.0
// Writes a sorted run of pairs as an SST file (RocksDB's block-based table, format_version 2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/filter_builder.hpp"
#include "kvbackup/sst/footer.hpp"
#include "kvbackup/sst/index_builder.hpp"
#include "kvbackup/sst/options.hpp"
#include "kvbackup/sst/properties.hpp"

namespace kvbackup::inline v1 {

/// Writes one table, strictly forward: every block goes to the output when it is full.
///
/// The file is meant for ingestion (sequence number 0, puts only); RocksDB 4.6 to 11, TiKV and BR
/// take it. Equal options and pairs give equal bytes.
///
/// Memory beside the codec's: one data block (the options' block size, or the largest entry) and
/// its compressed form; for each data block its index entry, about the length of a key + 20 bytes;
/// for each key 4 bytes for the filter, and bits_per_key bits while finish() builds it. add()
/// allocates only to let these grow.
///
/// After a failure every call fails with the same status. A writer belongs to one thread.
template <BlockCodec Codec, BlockChecksum Checksum, ByteSink Output,
          PropertyCollector Collector = NoCollector>
class TableWriter {
 public:
  /// Touches nothing; options that cannot work fail the first call (TableOptions::validate).
  TableWriter(TableOptions options, const Codec& codec, Output output, Collector collector = {})
      : options_(std::move(options)),
        codec_(codec),
        compressor_(codec_.compressor()),
        output_(std::move(output)),
        collector_(std::move(collector)),
        status_(options_.validate()),
        cut_(options_),
        block_(options_.block_restart_interval),
        index_(options_),
        filter_(options_),
        cut_from_(cut_.from()) {}

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
    summary_.file_size = offset_;
    status_ = failure(StatusCode::invalid_argument,
                      "the table is finished: begin another one for more pairs");
    return summary_;
  }

  /// Bytes handed to the output so far.
  [[nodiscard]] std::uint64_t file_size() const { return offset_; }
  [[nodiscard]] Output& output() { return output_; }

 private:
  static constexpr std::size_t tail_size = detail::internal_key_tail_size;
  /// The largest key and value that fit a block of their own.
  static constexpr std::uint64_t max_pair = detail::max_block_bytes - detail::lone_entry_overhead;
  /// Smaller ones cannot take a block that CutRule lets grow past max_block_bytes.
  static constexpr std::uint64_t large_pair =
      detail::max_block_bytes - 2 * std::uint64_t{TableOptions::max_block_size};
  /// RocksDB stores larger blocks plain: its codecs count in int.
  static constexpr std::size_t max_compressible = std::numeric_limits<std::int32_t>::max();

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
    BlockHandle handle;
    if (!write_data_block(handle)) return false;
    if (!index_.add_block(last_key_.view(), next, handle)) return fail_index(next);
    return true;
  }

  bool write_data_block(BlockHandle& handle) {
    if (!write_block(block_.finish(), handle)) return false;
    block_.clear();
    ++summary_.num_data_blocks;
    summary_.data_size = offset_;
    return true;
  }

  void write_tail() {
    BlockHandle handle;
    if (!write_data_block(handle)) return;
    if (!index_.add_last_block(last_key_.view(), handle)) {
      fail_index(last_key_.view());
      return;
    }
    detail::MetaBlockBuilder metaindex(1);
    if (!write_filter(metaindex)) return;

    detail::GrowingBuffer& index = index_.finish();
    summary_.index_size = index.size() + block_trailer_size;
    BlockHandle index_handle;
    if (!write_block(index, index_handle)) return;

    if (!write_properties(metaindex)) return;
    BlockHandle metaindex_handle;
    if (!write_plain(metaindex.finish(), BlockCompression::none, metaindex_handle)) return;
    hand_out(encode_footer(Checksum::kind, format_version, metaindex_handle, index_handle));
  }

  bool write_filter(detail::MetaBlockBuilder& metaindex) {
    if (filter_.empty()) return true;
    detail::GrowingBuffer filter;
    filter_.finish(filter);
    summary_.filter_size = filter.size();
    BlockHandle handle;
    if (!write_plain(filter, BlockCompression::none, handle)) return false;
    std::string name("fullfilter.");
    name += detail::filter_policy_name;
    add_to_metaindex(metaindex, name, handle);
    return true;
  }

  bool write_properties(detail::MetaBlockBuilder& metaindex) {
    detail::PropertyBlockBuilder properties;
    const std::string collectors = collector_.name();
    detail::add_table_properties(properties, options_, summary_, codec_.name(), collectors);
    auto add = [&properties](std::string_view name, ByteView bytes) {
      properties.add(name, bytes);
    };
    collector_.finish(add);
    if (!properties.sort()) {
      status_ = failure(StatusCode::invalid_argument,
                        "cannot write the table's properties: a name is given twice; check what "
                        "the property collector emits");
      return false;
    }
    BlockHandle handle;
    if (!write_plain(properties.finish(), BlockCompression::none, handle)) return false;
    add_to_metaindex(metaindex, detail::properties_block_name, handle);
    return true;
  }

  static void add_to_metaindex(detail::MetaBlockBuilder& metaindex, std::string_view name,
                               const BlockHandle& handle) {
    std::string value;
    append_handle(value, handle);
    metaindex.add(name, value);
  }

  /// Writes a block compressed where that saves an eighth or more, else plain.
  bool write_block(detail::GrowingBuffer& plain, BlockHandle& handle) {
    if (compress(plain.view())) return write_plain(compressed_, codec_.type(), handle);
    return write_plain(plain, BlockCompression::none, handle);
  }

  /// Appends the trailer to `payload` and hands both out.
  bool write_plain(detail::GrowingBuffer& payload, BlockCompression type, BlockHandle& handle) {
    handle = {.offset = offset_, .size = payload.size()};
    const auto type_byte = static_cast<std::uint8_t>(type);
    const std::uint32_t checksum = Checksum::of(payload.view(), type_byte);
    char* p = payload.room(block_trailer_size);
    p[0] = static_cast<char>(type_byte);
    store_le32(p + 1, checksum);
    payload.set_end(p + block_trailer_size);
    return hand_out(payload.view());
  }

  bool hand_out(ByteView bytes) {
    status_ = output_.append(bytes);
    if (!status_.ok()) return false;
    offset_ += bytes.size();
    return true;
  }

  /// Fills compressed_ with the stored form of `plain`; false if it is not worth it.
  bool compress(ByteView plain) {
    const BlockCompression type = codec_.type();
    if (type == BlockCompression::none || plain.size() >= max_compressible) return false;
    const std::size_t bound = codec_.bound(plain.size());
    if (bound == 0) return false;
    compressed_.clear();
    char* const begin = compressed_.room(max_varint32 + bound + block_trailer_size);
    // Snappy's own format says the plain length; every other payload has it in front.
    char* const p = type == BlockCompression::snappy ? begin : store_varint(begin, plain.size());
    const auto size = compressor_.compress(plain, std::span<char>(p, bound));
    if (!size) return false;
    compressed_.set_end(p + *size);
    return compressed_.size() < plain.size() - plain.size() / 8;
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
    status_ = failure(StatusCode::resource_exhausted,
                      "cannot add to a table: its index would pass 4 GiB; write smaller tables or "
                      "larger blocks")
                  .with_key(user_key);
    return false;
  }

  static constexpr std::uint32_t format_version = 2;

  TableOptions options_;
  Codec codec_;
  decltype(std::declval<const Codec&>().compressor()) compressor_;
  Output output_;
  Collector collector_;
  Status status_;
  detail::CutRule cut_;
  detail::BlockBuilder block_;
  detail::BinaryIndexBuilder index_;
  detail::FilterBuilder filter_;
  detail::GrowingBuffer compressed_;
  detail::GrowingBuffer last_key_;
  std::uint64_t cut_from_;
  std::uint64_t offset_ = 0;
  TableSummary summary_;
};

}  // namespace kvbackup::inline v1
