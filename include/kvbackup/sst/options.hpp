// SPDX-License-Identifier: Apache-2.0
// How a table is laid out.
#pragma once

#include <cstdint>
#include <string>

#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/prefix_extractor.hpp"

namespace kvbackup::inline v1 {

/// How much of a block's last key its index entry keeps (RocksDB's IndexShorteningMode).
enum class IndexShortening : std::uint8_t {
  none,                      ///< the whole key
  separators,                ///< the shortest key before the next block's first; the last key whole
  separators_and_successor,  ///< the last key too is replaced by a short one behind it
};

/// Options of a TableWriter. The defaults are those of TiKV 5.x for its default column family
/// (TiKV src/config.rs), which are also what BR's backups of raw key spaces have.
struct TableOptions {
  /// A data block is cut when it holds about as many bytes before compression.
  std::uint32_t block_size = 64 * 1024;
  /// Percent of block_size by which a block may stay smaller so that the next entry, which would
  /// pass block_size, begins a new one; 0 or 100 turns this off.
  std::uint32_t block_size_deviation = 10;
  /// Entries from one key that is stored whole to the next.
  std::uint32_t block_restart_interval = 16;
  IndexShortening index_shortening = IndexShortening::separators;
  /// The type byte of shortened index keys, the highest that the writing RocksDB knows: 0x11
  /// in 6.4, which TiKV 5.x links; 0x16 in 7.8. Readers accept any.
  std::uint8_t index_seek_type = 0x11;
  /// Size of the bloom filter; 0 = no filter, at most 100.
  std::uint32_t filter_bits_per_key = 10;
  /// Whether the filter knows whole keys; prefixes it knows by prefix_extractor.
  bool whole_key_filtering = true;
  PrefixExtractor prefix_extractor;
  /// Text of the property `rocksdb.compression_options`, for information only. This is TiKV's for a
  /// codec level that is left to the codec.
  std::string compression_options =
      "window_bits=-14; level=32767; strategy=0; max_dict_bytes=0; zstd_max_train_bytes=0; "
      "enabled=0; ";

  /// TiKV 5.x, default column family: whole keys in the filter.
  [[nodiscard]] static TableOptions br_default_cf() { return {}; }
  /// TiKV 5.x, write column family: keys without their commit timestamp in the filter.
  [[nodiscard]] static TableOptions br_write_cf() {
    TableOptions options;
    options.whole_key_filtering = false;
    options.prefix_extractor = PrefixExtractor::fixed_suffix(8);
    return options;
  }

  /// invalid_argument if no table can be written so.
  [[nodiscard]] Status validate() const {
    if (block_size < 1 || block_size > max_block_size) {
      return refused("block_size must be 1 to 1073741824 bytes");
    }
    if (block_size_deviation > 100) return refused("block_size_deviation must be 0 to 100 percent");
    if (block_restart_interval < 1) return refused("block_restart_interval must be at least 1");
    if (filter_bits_per_key > 100) return refused("filter_bits_per_key must be 0 to 100");
    return {};
  }

  static constexpr std::uint32_t max_block_size = 1u << 30;

 private:
  KVBACKUP_DETAIL_COLD static Status refused(const char* why) {
    return Status::error(StatusCode::invalid_argument, std::string("cannot write a table: ") + why);
  }
};

}  // namespace kvbackup::inline v1
