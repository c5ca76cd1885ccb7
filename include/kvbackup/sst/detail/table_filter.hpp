// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/sst/detail/block_reader.hpp"
#include "kvbackup/sst/detail/index_cursor.hpp"
#include "kvbackup/sst/detail/table_core.hpp"
#include "kvbackup/sst/filter_match.hpp"
#include "kvbackup/sst/prefix_extractor.hpp"
#include "kvbackup/sst/table_reader_options.hpp"

namespace kvbackup::inline v1::detail {

/// The filter of a table: read when it is first needed, and kept.
template <class Core>
class TableFilter {
 public:
  using Worker = typename Core::Worker;

  TableFilter(const Core& core, FilterUse use, const PrefixExtractor& given)
      : core_(core), use_(use), whole_keys_(core.properties.whole_key_filtering) {
    for (const NamedBlock& block : core.named_blocks) {
      const std::string_view name = block.name;
      const bool full = name.starts_with("fullfilter.");
      if (!full && !name.starts_with("partitionedfilter.")) continue;
      // what stands behind the point is the policy: a host's own has a format of its own
      if (!is_built_in(name.substr(name.find('.') + 1))) continue;
      root_ = &block.handle;
      partitioned_ = !full;
    }
    if (!core.properties.prefix_filtering) return;
    const std::string& recorded = core.properties.prefix_extractor;
    extractor_ = PrefixExtractor::from_name(recorded);
    if (!extractor_.enabled() && given.enabled() && given.name() == recorded) extractor_ = given;
  }

  /// `may_match` is false only if `user_key` is not in the table. `saved` = bytes of the data block
  /// that need not be read then.
  Status ask(Worker& worker, ByteView user_key, std::uint64_t saved, bool& may_match) {
    if (root_ == nullptr || use_ == FilterUse::never) return {};
    ByteView entry = user_key;
    if (!whole_keys_) {
      if (!extractor_.in_domain(user_key)) return {};
      entry = extractor_.transform(user_key);
    }
    Status status = load_root(worker, saved);
    const HeldBlock* const root = loaded_.load(std::memory_order_acquire);
    if (!status.ok() || root == nullptr) return status;
    if (!partitioned_) return answer(root->payload, entry, may_match);
    return ask_partition(worker, *root, user_key, entry, saved, may_match);
  }
  /// A data block of `size` bytes was read for a key that it does not have.
  void note_miss(std::uint64_t size) { wasted_.fetch_add(size, std::memory_order_relaxed); }

  /// What is counted here: data blocks are not.
  [[nodiscard]] TableReaderCounters counters() const {
    TableReaderCounters out;
    out.filter_checked = checked_.load(std::memory_order_relaxed);
    out.filter_useful = useful_.load(std::memory_order_relaxed);
    return out;
  }

 private:
  /// RocksDB's name, and those that the first releases of 7.0 wrote in its place.
  [[nodiscard]] static bool is_built_in(std::string_view policy) {
    return policy == filter_policy_name || policy == "bloomfilter" || policy == "ribbonfilter" ||
           policy.starts_with("rocksdb.internal.");
  }
  [[nodiscard]] bool pays(const BlockHandle& handle, std::uint64_t saved) const {
    if (use_ == FilterUse::always || core_.blocks.in_memory(handle) || handle.size <= saved) {
      return true;
    }
    return handle.size <= wasted_.load(std::memory_order_relaxed);
  }

  Status load_root(Worker& worker, std::uint64_t saved) {
    if (loaded_.load(std::memory_order_acquire) != nullptr || !pays(*root_, saved)) return {};
    const MutexLock lock(mutex_);
    if (loaded_.load(std::memory_order_relaxed) != nullptr) return {};
    const BlockRole role = partitioned_ ? BlockRole::index : BlockRole::filter;
    Status status = core_.load(*root_, role, worker.contexts, worker.index_window, false, held_);
    if (!status.ok()) return status;
    Core::keep(held_);
    loaded_.store(&held_, std::memory_order_release);
    return {};
  }

  Status ask_partition(Worker& worker, const HeldBlock& root, ByteView user_key, ByteView entry,
                       std::uint64_t saved, bool& may_match) {
    IndexForm form = core_.index_form;
    form.first_keys = false;
    IndexCursor cursor;
    Step step = cursor.begin(root.payload, form);
    if (step == Step::end) return {};
    if (step == Step::entry) step = cursor.seek(user_key);
    // a key behind all others stands, if anywhere, in the last partition
    if (step == Step::end) step = Step::entry;
    if (step == Step::damaged) return core_.blocks.malformed(BlockRole::filter, *root_);
    if (!pays(cursor.handle(), saved)) return {};
    HeldBlock held;
    Status status = core_.load(cursor.handle(), BlockRole::filter, worker.contexts,
                               worker.index_window, true, held);
    if (!status.ok()) return status;
    return answer(held.payload, entry, may_match);
  }
  Status answer(ByteView filter, ByteView entry, bool& may_match) {
    may_match = filter_may_match(filter, entry);
    checked_.fetch_add(1, std::memory_order_relaxed);
    if (!may_match) useful_.fetch_add(1, std::memory_order_relaxed);
    return {};
  }

  const Core& core_;
  FilterUse use_;
  bool whole_keys_;
  bool partitioned_ = false;
  PrefixExtractor extractor_;
  const BlockHandle* root_ = nullptr;
  Mutex mutex_;
  HeldBlock held_;  // guarded by mutex_ until loaded_ says so
  std::atomic<const HeldBlock*> loaded_{nullptr};
  std::atomic<std::uint64_t> wasted_{0};
  std::atomic<std::uint64_t> checked_{0};
  std::atomic<std::uint64_t> useful_{0};
};

}  // namespace kvbackup::inline v1::detail
