// SPDX-License-Identifier: Apache-2.0
// Builds the filter of a table, whole or in partitions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/bloom_bits.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/footer.hpp"
#include "kvbackup/sst/index_builder.hpp"
#include "kvbackup/sst/options.hpp"
#include "kvbackup/sst/prefix_extractor.hpp"

namespace kvbackup::inline v1::detail {

/// Keys after which a filter asks for a new partition (RocksDB's PartitionedFilterBlockBuilder).
template <class Form>
[[nodiscard]] std::uint64_t filter_keys_per_partition(const Form& form,
                                                      const TableOptions& options) {
  const std::uint64_t size = std::max<std::uint64_t>(
      size_less_deviation(options.metadata_block_size, options.block_size_deviation), 1);
  std::uint64_t keys = form.keys_that_fit(size);
  // a filter of one key may already be larger
  for (std::uint64_t larger = std::max<std::uint64_t>(size + 4, 16); keys == 0;
       larger += larger / 4) {
    keys = larger > 100000 ? size : form.keys_that_fit(larger);
  }
  return keys;
}

/// Chooses what the filter remembers of each key: all of it, its prefix, or both.
class FilterBuilder {
 public:
  explicit FilterBuilder(const TableOptions& options)
      : legacy_(options.filter_bits_per_key),
        fast_(options.filter_bits_per_key),
        extractor_(options.prefix_extractor),
        enabled_(options.has_filter()),
        is_fast_(options.filter == FilterKind::fast_local_bloom),
        whole_keys_(options.whole_key_filtering),
        partitioned_(options.partition_filters),
        repeats_prefixes_(options.dialect == TableDialect::rocksdb_7_8 || partitioned_) {
    if (enabled_ && partitioned_) {
      most_entries_ = is_fast_ ? filter_keys_per_partition(fast_.form(), options)
                               : filter_keys_per_partition(legacy_.form(), options);
    }
  }

  [[nodiscard]] bool enabled() const { return enabled_; }
  [[nodiscard]] bool partitioned() const { return enabled_ && partitioned_; }
  [[nodiscard]] bool empty() const { return num_entries() == 0; }
  /// Keys and prefixes in the filter, those not counted that repeat the one before.
  [[nodiscard]] std::uint64_t num_entries() const {
    return closed_entries_ + (is_fast_ ? fast_.size() : legacy_.size());
  }

  /// The next key of the table.
  void add(ByteView user_key) {
    if (entries_ == most_entries_) wants_cut_ = true;
    if (extractor_.enabled()) {
      add_with_prefix(user_key);
    } else if (whole_keys_) {
      add_entry(user_key);
    }
  }

  /// Whether a partition was full since the last call.
  [[nodiscard]] bool take_cut_request() { return std::exchange(wants_cut_, false); }
  /// Closes a partition, all keys of which are at most `key`, an internal key; `next` is the user
  /// key that follows.
  void cut(ByteView key, ByteView next) {
    if (entries_ == most_entries_) wants_cut_ = true;
    // A seek backwards by the prefix of the next key ends in this partition.
    if (extractor_.in_domain(next)) {
      const ByteView prefix = extractor_.transform(next);
      if (prefix != last_prefix_) hash(prefix);
    }
    close(key);
  }
  /// Closes the last partition.
  void close(ByteView key) {
    closed_entries_ = num_entries();
    Partition& partition = partitions_.emplace_back();
    partition.key = key;
    finish_bits(partition.payload);
    entries_ = 0;
    prefix_recorded_ = false;
  }

  /// Writes the filter, which is not empty; `write` and `root` as in write_partitions. After it
  /// `size` counts the payloads.
  template <class Write>
  [[nodiscard]] Status write(const TableOptions& options, Write&& write, BlockHandle& root,
                             std::uint64_t& size) {
    if (partitioned_) {
      IndexBlock index(options);
      PayloadSizes sizes;
      Status status = write_partitions(partitions_, index, write, root, sizes);
      size = sizes.all;
      return status;
    }
    GrowingBuffer payload;
    finish_bits(payload);
    size = payload.size();
    return write(payload, root);
  }

 private:
  void hash(ByteView bytes) {
    if (is_fast_) {
      fast_.add(bytes);
    } else {
      legacy_.add(bytes);
    }
  }
  void finish_bits(GrowingBuffer& out) {
    if (is_fast_) {
      fast_.finish(out);
    } else {
      legacy_.finish(out);
    }
  }
  void add_entry(ByteView bytes) {
    ++entries_;
    hash(bytes);
  }

  void add_with_prefix(ByteView user_key) {
    // RocksDB from 6.29 on adds the prefix before a partition's first key once more, which is empty
    // where whole keys are left out, because it does not remember it then.
    if (repeats_prefixes_ && !prefix_recorded_ && last_in_domain_) {
      add_entry(last_prefix_);
      prefix_recorded_ = true;
    }
    if (whole_keys_) add_entry(user_key);
    last_in_domain_ = extractor_.in_domain(user_key);
    if (last_in_domain_) add_prefix(extractor_.transform(user_key));
  }
  void add_prefix(ByteView prefix) {
    if (whole_keys_) {
      // Prefixes alternate with keys, so equal ones are not neighbours among the hashes.
      if (prefix_recorded_ && last_prefix_ == prefix) return;
      last_prefix_ = prefix;
      prefix_recorded_ = true;
    }
    add_entry(prefix);
  }

  LegacyBloomBits legacy_;  // one of both is used
  FastLocalBloomBits fast_;
  PrefixExtractor extractor_;
  std::vector<Partition> partitions_;
  std::string last_prefix_;
  std::uint64_t entries_ = 0;  // of the open partition, repeated ones too
  std::uint64_t most_entries_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t closed_entries_ = 0;
  bool wants_cut_ = false;
  bool prefix_recorded_ = false;
  bool last_in_domain_ = false;
  bool enabled_;
  bool is_fast_;
  bool whole_keys_;
  bool partitioned_;
  bool repeats_prefixes_;
};

}  // namespace kvbackup::inline v1::detail
