// SPDX-License-Identifier: Apache-2.0
// Reads SST files: RocksDB's block-based tables of format_version 0 to 7, TiKV's, LevelDB's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/sst/block_cache.hpp"
#include "kvbackup/sst/decoders.hpp"
#include "kvbackup/sst/detail/table_core.hpp"
#include "kvbackup/sst/detail/table_filter.hpp"
#include "kvbackup/sst/detail/table_verifier.hpp"
#include "kvbackup/sst/random_access.hpp"
#include "kvbackup/sst/range_tombstones.hpp"
#include "kvbackup/sst/table_iterator.hpp"
#include "kvbackup/sst/table_properties.hpp"
#include "kvbackup/sst/table_reader_options.hpp"
#include "kvbackup/sst/table_source.hpp"

namespace kvbackup::inline v1 {

/// What a lookup found.
struct Lookup {
  enum class Outcome : std::uint8_t {
    absent,   ///< the table says nothing of the key
    deleted,  ///< its newest entry, or a range tombstone, deletes it
    found,
  };
  Outcome outcome = Outcome::absent;
  std::string value;           ///< if found
  std::uint64_t sequence = 0;  ///< of the entry, unless absent or deleted by a range tombstone

  [[nodiscard]] bool found() const { return outcome == Outcome::found; }
};

/// An open table.
///
/// Copies are the same table; iterators and sources keep it open. All calls may come from several
/// threads at once. Whatever is read is checked first: a checksum that does not fit, or content
/// that cannot be, is corruption, and names the file and the block; a codec or checksum that
/// `Decoders` does not have is unsupported; a small block that would take much memory is
/// resource_exhausted (TableDecoders::largest_inflated). Memory: the tail, the index (of a two-level
/// index its top level), the filter once it is used, and for each iterator one block and what is
/// read ahead.
template <RandomAccessFile File, class Decoders, BlockCache Cache = NoBlockCache>
class TableReader {
 public:
  using Core = detail::TableCore<File, Decoders, Cache>;

  /// Reads footer, metaindex, properties, dictionary and index.
  [[nodiscard]] static Result<TableReader> open(File file, Decoders decoders = {},
                                                TableReaderOptions options = {}, Cache cache = {}) {
    if constexpr (requires { std::string(file.name()); }) {
      if (options.name.empty()) options.name = std::string(file.name());
    }
    auto core = std::make_shared<Core>(std::move(file), std::move(decoders), options.name,
                                       std::move(cache));
    Status status = core->open(options.tail_bytes);
    if (!status.ok()) return status;
    return TableReader(std::move(core), std::move(options));
  }

  [[nodiscard]] const TableProperties& properties() const { return core_->properties; }
  [[nodiscard]] std::uint32_t format_version() const {
    return core_->blocks.footer().format_version;
  }
  [[nodiscard]] ChecksumKind checksum_kind() const { return core_->blocks.kind(); }
  /// Whether it is one of LevelDB's, which have no properties.
  [[nodiscard]] bool is_leveldb() const { return core_->blocks.is_leveldb(); }
  [[nodiscard]] std::uint64_t file_size() const { return core_->blocks.file_size(); }

  /// All point entries, from the first one on.
  [[nodiscard]] TableIterator<Core> entries() const {
    TableIterator<Core> it(core_, options_.read_ahead);
    it.seek_to_first();
    return it;
  }
  /// An iterator that is not positioned yet: seek() comes first.
  [[nodiscard]] TableIterator<Core> cursor() const {
    return TableIterator<Core>(core_, options_.read_ahead);
  }
  /// The range tombstones, in the file's order: unsorted, overlapping.
  [[nodiscard]] Result<std::vector<RangeTombstone>> range_tombstones() const {
    return core_->read_tombstones();
  }
  /// The live pairs with start <= key < end; an empty `end` is no bound.
  [[nodiscard]] TableSource<Core> source(ByteView start = {}, ByteView end = {}) const {
    return TableSource<Core>(core_, options_.read_ahead, start, end);
  }

  /// Looks `user_key` up: reads the data block it must be in, and the filter before it where
  /// FilterUse says so. unsupported, with the key, if its newest entry is a merge operand or
  /// another whose value the table does not tell, or the comparator is not the bytewise one.
  [[nodiscard]] Result<Lookup> get(ByteView user_key) const {
    auto worker = core_->take_worker();
    auto lookup = get_with(*worker, user_key);
    core_->give_back(std::move(worker));
    return lookup;
  }

  /// Proves the checksum of every block that the table has, and that blocks do not overlap: data
  /// blocks first, in their order, then all others. Nothing is decompressed but the index. `step`,
  /// if given, is called after each block with the bytes it took and may end it with a failure.
  [[nodiscard]] Status verify_blocks() const {
    auto go_on = [](std::uint64_t) { return Status(); };
    return verify_blocks(go_on);
  }
  [[nodiscard]] Status verify_blocks(FunctionRef<Status(std::uint64_t)> step) const {
    return detail::verify_blocks(*core_, options_.read_ahead, step);
  }

  /// The same for all blocks but those of data, for a caller that reads every entry anyway.
  [[nodiscard]] Status verify_other_blocks() const {
    auto go_on = [](std::uint64_t) { return Status(); };
    return detail::BlockVerifier<Core>(*core_, 0, go_on).verify_others();
  }

  [[nodiscard]] TableReaderCounters counters() const {
    TableReaderCounters out = filter_->counters();
    out.data_blocks_read = core_->data_blocks_read.load(std::memory_order_relaxed);
    return out;
  }

 private:
  TableReader(std::shared_ptr<Core> core, TableReaderOptions options)
      : core_(std::move(core)),
        options_(std::move(options)),
        filter_(std::make_shared<detail::TableFilter<Core>>(*core_, options_.filter,
                                                            options_.prefix_extractor)) {}

  Result<Lookup> get_with(typename Core::Worker& worker, ByteView user_key) const {
    if (!core_->bytewise) return TableIterator<Core>::foreign_order(*core_);
    auto tombstones = core_->tombstones();
    if (!tombstones.ok()) return std::move(tombstones).status();
    const detail::TombstoneMap& deleted = *tombstones.value();
    Lookup out;
    Status status = find(worker, user_key, deleted, out);
    if (!status.ok()) return status;
    if (out.outcome == Lookup::Outcome::absent && deleted.covers(user_key)) {
      out.outcome = Lookup::Outcome::deleted;
    }
    return out;
  }

  Status find(typename Core::Worker& worker, ByteView user_key, const detail::TombstoneMap& deleted,
              Lookup& out) const {
    detail::DataBlockWalker<Core> walker;
    const detail::Step step = walker.seek(*core_, worker, user_key);
    if (step != detail::Step::entry) return walker.status();
    bool may_match = true;
    Status status =
        filter_->ask(worker, user_key, walker.handle().size + block_trailer_size, may_match);
    if (!status.ok() || !may_match) return status;
    detail::HeldBlock held;
    status = core_->load(walker.handle(), detail::BlockRole::data, worker.contexts,
                         worker.data_window, true, held);
    if (!status.ok()) return status;
    detail::BlockCursor cursor;
    detail::Step inside = cursor.begin(held.payload);
    if (inside == detail::Step::entry) inside = cursor.seek(user_key);
    if (inside == detail::Step::damaged) {
      return core_->blocks.malformed(detail::BlockRole::data, walker.handle());
    }
    if (inside == detail::Step::end || cursor.user_key() != user_key) {
      filter_->note_miss(walker.handle().size);
      return {};
    }
    out.sequence = core_->sequence_of(cursor.tail());
    const auto type = static_cast<EntryType>(cursor.tail() & 0xff);
    const detail::Liveness liveness = detail::liveness_of(type);
    if (liveness == detail::Liveness::dead || deleted.deletes(user_key, out.sequence)) {
      out.outcome = Lookup::Outcome::deleted;
    } else if (liveness == detail::Liveness::unreadable) {
      return core_->blocks.named(detail::unreadable_entry(type, user_key));
    } else {
      out.outcome = Lookup::Outcome::found;
      out.value = cursor.value();
    }
    return {};
  }

  std::shared_ptr<const Core> core_;
  TableReaderOptions options_;
  std::shared_ptr<detail::TableFilter<Core>> filter_;
};

}  // namespace kvbackup::inline v1
