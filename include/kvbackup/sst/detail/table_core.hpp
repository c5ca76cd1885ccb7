// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/sst/block_cache.hpp"
#include "kvbackup/sst/detail/block_cursor.hpp"
#include "kvbackup/sst/detail/block_reader.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/detail/index_cursor.hpp"
#include "kvbackup/sst/footer.hpp"
#include "kvbackup/sst/prefix_extractor.hpp"
#include "kvbackup/sst/properties.hpp"
#include "kvbackup/sst/range_tombstones.hpp"
#include "kvbackup/sst/table_properties.hpp"

namespace kvbackup::inline v1::detail {

/// A plain block and what keeps it.
struct HeldBlock {
  GrowingBuffer plain;
  CachedBlockPtr cached;
  ByteView payload;
};

/// A block that the metaindex names.
struct NamedBlock {
  std::string name;
  BlockHandle handle;
};

/// The role of the block of that name in the metaindex.
[[nodiscard]] inline BlockRole role_of_name(std::string_view name) {
  if (name == properties_block_name || name == "rocksdb.stats") return BlockRole::properties;
  if (name == "rocksdb.compression_dict") return BlockRole::dictionary;
  if (name == "rocksdb.range_del") return BlockRole::range_del;
  if (name == "rocksdb.index" || name.starts_with("rocksdb.hashindex.")) return BlockRole::index;
  return BlockRole::filter;
}

/// What all users of an open table share. After open() it changes no more, but for what a lock
/// guards.
template <RandomAccessFile File, class Decoders, BlockCache Cache>
class TableCore {
 public:
  using Reader = BlockReader<File, Decoders>;
  using Contexts = typename Reader::Contexts;

  /// What one user reads with; belongs to one thread at a time.
  struct Worker {
    explicit Worker(const TableCore& core) : contexts(core.blocks.contexts()) {}
    Contexts contexts;
    ReadWindow data_window;
    ReadWindow index_window;
  };

  TableCore(File file, Decoders decoders, std::string name, Cache cache_)
      : blocks(std::move(file), std::move(decoders), std::move(name)),
        cache(std::move(cache_)),
        file_id(cache.new_file()) {}
  TableCore(const TableCore&) = delete;
  TableCore& operator=(const TableCore&) = delete;

  Status open(std::size_t tail_bytes) {
    Status status = blocks.open(tail_bytes);
    if (!status.ok()) return status;
    Worker worker(*this);
    if (status = read_metaindex(worker); !status.ok()) return status;
    if (status = read_properties(worker); !status.ok()) return status;
    if (status = read_dictionary(worker); !status.ok()) return status;
    // only now the contexts know the dictionary, which no block before needs
    status =
        load(index_handle, BlockRole::index, worker.contexts, worker.index_window, false, root);
    if (!status.ok()) return status;
    keep(root);
    return {};
  }

  /// The plain block at `handle`; it lives until `window` or `held` is used again.
  Status load(const BlockHandle& handle, BlockRole role, Contexts& contexts, ReadWindow& window,
              bool fill_cache, HeldBlock& held) const {
    if constexpr (Cache::keeps_blocks) {
      held.cached = cache.find(file_id, handle.offset);
      if (held.cached) {
        held.payload = held.cached->view();
        return {};
      }
    }
    auto payload = blocks.plain(handle, role, contexts, window, held.plain);
    if (!payload.ok()) return std::move(payload).status();
    if (role == BlockRole::data) data_blocks_read.fetch_add(1, std::memory_order_relaxed);
    held.payload = payload.value();
    if constexpr (Cache::keeps_blocks) {
      if (fill_cache) {
        held.cached = std::make_shared<const CachedBlock>(held.payload);
        held.payload = held.cached->view();
        cache.insert(file_id, handle.offset, held.cached);
      }
    }
    return {};
  }
  /// Makes a block outlive the window it was read through.
  static void keep(HeldBlock& held) {
    if (held.cached || held.payload.data() == held.plain.data()) return;
    held.plain.clear();
    held.plain.append(held.payload);
    held.payload = held.plain.view();
  }

  [[nodiscard]] bool two_level() const { return properties.index_type == 2; }
  /// A stored sequence number as it reads.
  [[nodiscard]] std::uint64_t sequence_of(std::uint64_t tail) const {
    return properties.global_seqno != 0 ? properties.global_seqno : tail >> 8;
  }
  [[nodiscard]] const NamedBlock* find_block(std::string_view name) const {
    for (const NamedBlock& block : named_blocks) {
      if (block.name == name) return &block;
    }
    return nullptr;
  }

  /// A worker of its own for the time of a call.
  [[nodiscard]] std::unique_ptr<Worker> take_worker() const {
    {
      const MutexLock lock(mutex);
      if (!idle_workers.empty()) {
        auto worker = std::move(idle_workers.back());
        idle_workers.pop_back();
        return worker;
      }
    }
    return std::make_unique<Worker>(*this);
  }
  void give_back(std::unique_ptr<Worker> worker) const {
    const MutexLock lock(mutex);
    idle_workers.push_back(std::move(worker));
  }

  /// The range tombstones in the file's order.
  Result<std::vector<RangeTombstone>> read_tombstones() const {
    std::vector<RangeTombstone> out;
    const NamedBlock* const block = find_block("rocksdb.range_del");
    if (block == nullptr) return out;
    Worker worker(*this);
    HeldBlock held;
    Status status = load(block->handle, BlockRole::range_del, worker.contexts, worker.index_window,
                         false, held);
    if (!status.ok()) return status;
    CopyBudget budget(block->handle);
    BlockCursor cursor;
    Step step = cursor.begin(held.payload);
    for (; step == Step::entry; step = cursor.next()) {
      if ((cursor.tail() & 0xff) != range_deletion_type ||
          !budget.take(cursor.user_key(), cursor.value())) {
        return blocks.malformed(BlockRole::range_del, block->handle);
      }
      out.push_back({std::string(cursor.user_key()), std::string(cursor.value()),
                     sequence_of(cursor.tail())});
    }
    if (step == Step::damaged) return blocks.malformed(BlockRole::range_del, block->handle);
    return out;
  }

  /// The same, ready to be asked; read once and kept.
  Result<const TombstoneMap*> tombstones() const {
    const MutexLock lock(mutex);
    if (!tombstones_read) {
      auto read = read_tombstones();
      if (!read.ok()) return std::move(read).status();
      tombstone_map = TombstoneMap(read.value());
      tombstones_read = true;
    }
    return &tombstone_map;
  }

  Reader blocks;
  Cache cache;
  std::uint64_t file_id;
  TableProperties properties;
  IndexForm index_form;
  std::vector<NamedBlock> named_blocks;
  BlockHandle index_handle;
  HeldBlock root;  // the index, or its top level
  bool bytewise = true;
  mutable std::atomic<std::uint64_t> data_blocks_read{0};
  mutable Mutex mutex;
  mutable std::vector<std::unique_ptr<Worker>> idle_workers;
  mutable TombstoneMap tombstone_map;
  mutable bool tombstones_read = false;

  static constexpr std::uint64_t range_deletion_type = 0xf;

 private:
  Status damaged(const char* what) const {
    return blocks.named(Status::error(StatusCode::corruption, what));
  }

  Status read_metaindex(Worker& worker) {
    const BlockHandle handle = blocks.footer().metaindex;
    HeldBlock held;
    Status status =
        load(handle, BlockRole::meta, worker.contexts, worker.index_window, false, held);
    if (!status.ok()) return status;
    CopyBudget budget(handle);
    MetaCursor cursor;
    Step step = cursor.begin(held.payload);
    for (; step == Step::entry; step = cursor.next()) {
      if (!budget.take(cursor.user_key(), {})) return blocks.malformed(BlockRole::meta, handle);
      NamedBlock block{std::string(cursor.user_key()), {}};
      ByteView value = cursor.value();
      if (!take_handle(value, block.handle)) return blocks.malformed(BlockRole::meta, handle);
      named_blocks.push_back(std::move(block));
    }
    if (step == Step::damaged) return blocks.malformed(BlockRole::meta, handle);
    index_handle = blocks.footer().index;
    if (blocks.footer().format_version >= 6) {
      const NamedBlock* const index = find_block("rocksdb.index");
      if (index == nullptr) return damaged("cannot read a table: its metaindex names no index");
      index_handle = index->handle;
    }
    return {};
  }

  Status read_properties(Worker& worker) {
    const NamedBlock* block = find_block(properties_block_name);
    if (block == nullptr) block = find_block("rocksdb.stats");
    if (block == nullptr) {
      if (blocks.footer().format_version > 0) {
        return damaged("cannot read a table: its metaindex names no properties");
      }
      blocks.set_leveldb();
      return {};
    }
    auto stored = blocks.stored(block->handle, BlockRole::properties, worker.index_window);
    if (!stored.ok()) return std::move(stored).status();
    const bool fits = blocks.checksum_fits(stored.value(), block->handle.offset);
    HeldBlock held;
    if (fits) {
      // some forks compress it
      Status status = load(block->handle, BlockRole::properties, worker.contexts,
                           worker.index_window, false, held);
      if (!status.ok()) return status;
    } else {
      held.payload = stored.value().substr(0, stored.value().size() - block_trailer_size);
    }
    std::size_t seqno_at = 0;
    const bool parsed = parse_properties(held.payload, block->handle, seqno_at);
    if (!fits && !(parsed && fits_without_seqno(stored.value(), *block, seqno_at))) {
      return blocks.checksum_failure(BlockRole::properties, block->handle);
    }
    if (!parsed) return blocks.malformed(BlockRole::properties, block->handle);
    return check_properties();
  }
  bool parse_properties(ByteView payload, const BlockHandle& handle, std::size_t& seqno_at) {
    CopyBudget budget(handle);
    MetaCursor cursor;
    Step step = cursor.begin(payload);
    for (; step == Step::entry; step = cursor.next()) {
      const ByteView name = cursor.user_key();
      if (cursor.order() != KeyOrder::rises && !properties.all.empty()) return false;
      if (!budget.take(name, cursor.value())) return false;
      if (!take_property(properties, name, cursor.value())) return false;
      if (name == global_seqno_name) {
        seqno_at = static_cast<std::size_t>(cursor.value().data() - payload.data());
      }
      properties.all.emplace_back(name, cursor.value());
    }
    return step == Step::end;
  }
  /// RocksDB writes the number that it assigns into the file and leaves the checksum as it was.
  bool fits_without_seqno(ByteView stored, const NamedBlock& block, std::size_t seqno_at) const {
    if (seqno_at == 0) return false;
    std::string bytes(stored.substr(0, stored.size() - 4));
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(seqno_at), 8, '\0');
    return load_le32(stored.data() + stored.size() - 4) ==
           blocks.checksum_of(bytes, block.handle.offset);
  }
  Status check_properties() {
    if (properties.index_type > 3) {
      return blocks.named(Status::error(StatusCode::unsupported,
                                        "cannot read a table: its index is of the unknown type " +
                                            std::to_string(properties.index_type)));
    }
    if (properties.global_seqno != 0 && properties.external_version < 2) {
      return damaged(
          "cannot read a table: it has a global sequence number but is not of the kind that has "
          "one; it is damaged, take it from another copy");
    }
    index_form = {.user_keys = properties.index_key_is_user_key,
                  .delta_handles = properties.index_value_is_delta_encoded,
                  .first_keys = properties.index_type == 3};
    bytewise =
        properties.comparator.empty() || properties.comparator == "leveldb.BytewiseComparator";
    return {};
  }

  Status read_dictionary(Worker& worker) {
    const NamedBlock* const block = find_block("rocksdb.compression_dict");
    if (block == nullptr) return {};
    Status status = load(block->handle, BlockRole::dictionary, worker.contexts, worker.index_window,
                         false, dictionary_);
    if (!status.ok()) return status;
    keep(dictionary_);
    blocks.set_dictionary(dictionary_.payload);
    return {};
  }

  HeldBlock dictionary_;
};

}  // namespace kvbackup::inline v1::detail
