// SPDX-License-Identifier: Apache-2.0
// How a table is laid out.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// Form of the index (RocksDB's IndexType; the values are the file's).
enum class IndexType : std::uint32_t {
  binary_search = 0,  ///< one block
  two_level = 2,      ///< partitions of about metadata_block_size, and an index of these
};

/// Form of the filter.
enum class FilterKind : std::uint8_t {
  none,
  legacy_bloom,      ///< read by every RocksDB
  fast_local_bloom,  ///< read from RocksDB 6.6 on; asks for format_version 5
};

/// Whose habits a table has where writers differ and readers do not care.
enum class TableDialect : std::uint8_t {
  tikv_5,       ///< RocksDB 6.4, which TiKV 5.x links
  rocksdb_7_8,  ///< RocksDB 7.8.3
};

/// Where a table comes from, as RocksDB records it. What is left out does not stand in the file.
///
/// RocksDB from 6.24 on keeps blocks of open tables in its cache by database identity, session
/// identity and file number: two different tables with the same three in one database read each
/// other's blocks. Without a session identity it makes a key of its own for each open table.
struct TableIdentity {
  std::string database;                      ///< `rocksdb.creating.db.identity`
  std::string session;                       ///< `rocksdb.creating.session.identity`
  std::string host;                          ///< `rocksdb.creating.host.identity`
  std::optional<std::uint64_t> file_number;  ///< `rocksdb.original.file.number`
};

/// Options of a TableWriter. The defaults are those of TiKV 5.x for its default column family
/// (TiKV src/config.rs), which are also what BR's backups of raw key spaces have.
struct TableOptions {
  /// Version of the file's format, 2 to 5. By RocksDB's version that reads it: 2 from 3.10 on, 3
  /// from 5.15, 4 from 5.16, 5 from 6.6.
  std::uint32_t format_version = 2;
  TableDialect dialect = TableDialect::tikv_5;
  /// A data block is cut when it holds about as many bytes before compression.
  std::uint32_t block_size = 64 * 1024;
  /// Percent of block_size by which a block may stay smaller so that the next entry, which would
  /// pass block_size, begins a new one; 0 or 100 turns this off.
  std::uint32_t block_size_deviation = 10;
  /// Entries from one key that is stored whole to the next.
  std::uint32_t block_restart_interval = 16;
  /// Fills data blocks up with zeros to a multiple of block_size, at most of 4096, so that none
  /// lies in more pages than it must. Asks for a block_size that is a power of two and for no
  /// compression.
  bool block_align = false;

  IndexType index_type = IndexType::binary_search;
  IndexShortening index_shortening = IndexShortening::separators;
  /// The same as block_restart_interval in the blocks of an index.
  std::uint32_t index_block_restart_interval = 1;
  /// Size at which a partition of a two-level index is cut, and of a partitioned filter.
  std::uint32_t metadata_block_size = 4096;
  /// Whether keys of the index are stored without their 8 bytes of sequence number and type; left
  /// open: from format_version 3 on, as RocksDB does it.
  std::optional<bool> index_key_is_user_key;
  /// Whether the index tells of a block only by how much its size differs from that of the block
  /// before it; left open: from format_version 4 on, but not with block_align, as RocksDB does it.
  std::optional<bool> index_value_is_delta_encoded;
  /// The type byte of shortened index keys, the highest that the writing RocksDB knows: 0x11
  /// in 6.4, which TiKV 5.x links; 0x16 in 7.8. Readers accept any.
  std::uint8_t index_seek_type = 0x11;

  FilterKind filter = FilterKind::legacy_bloom;
  /// Size of the bloom filter; 0 = no filter, at most 100.
  std::uint32_t filter_bits_per_key = 10;
  /// Whether the filter knows whole keys; prefixes it knows by prefix_extractor.
  bool whole_key_filtering = true;
  PrefixExtractor prefix_extractor;
  /// Cuts the filter where the index is cut; asks for a two-level index.
  bool partition_filters = false;

  /// Text of the property `rocksdb.compression_options`, for information only. This is TiKV's for a
  /// codec level that is left to the codec.
  std::string compression_options =
      "window_bits=-14; level=32767; strategy=0; max_dict_bytes=0; zstd_max_train_bytes=0; "
      "enabled=0; ";
  TableIdentity identity;
  /// Names and values of properties of the host's own, beside what the collector emits.
  std::vector<std::pair<std::string, std::string>> user_properties;

  /// TiKV 5.x, default column family: whole keys in the filter.
  [[nodiscard]] static TableOptions br_default_cf() { return {}; }
  /// TiKV 5.x, write column family: keys without their commit timestamp in the filter.
  [[nodiscard]] static TableOptions br_write_cf() {
    TableOptions options;
    options.whole_key_filtering = false;
    options.prefix_extractor = PrefixExtractor::fixed_suffix(8);
    return options;
  }
  /// The defaults of RocksDB 7.8.3 with a bloom filter of 10 bits a key, without an identity. Its
  /// default checksum is Xxh3Checksum, its default codec Snappy.
  [[nodiscard]] static TableOptions rocksdb() {
    TableOptions options;
    options.format_version = 5;
    options.dialect = TableDialect::rocksdb_7_8;
    options.block_size = 4096;
    options.index_seek_type = 0x16;
    options.filter = FilterKind::fast_local_bloom;
    options.compression_options += "max_dict_buffer_bytes=0; use_zstd_dict_trainer=1; ";
    return options;
  }

  [[nodiscard]] bool has_filter() const {
    return filter != FilterKind::none && filter_bits_per_key > 0;
  }
  /// The form that index_key_is_user_key and index_value_is_delta_encoded choose.
  [[nodiscard]] bool user_keys_in_index() const {
    return index_key_is_user_key.value_or(format_version >= 3);
  }
  [[nodiscard]] bool delta_handles_in_index() const {
    return index_value_is_delta_encoded.value_or(format_version >= 4 && !block_align);
  }
  /// Data blocks begin at multiples of this.
  [[nodiscard]] std::uint32_t alignment() const {
    return block_align ? std::min(block_size, page_size) : 1;
  }

  /// invalid_argument if no table can be written so.
  [[nodiscard]] Status validate() const {
    if (format_version < 2 || format_version > 5) return refused("format_version must be 2 to 5");
    if (block_size < 1 || block_size > max_block_size) {
      return refused("block_size must be 1 to 1073741824 bytes");
    }
    if (block_size_deviation > 100) return refused("block_size_deviation must be 0 to 100 percent");
    if (block_restart_interval < 1) return refused("block_restart_interval must be at least 1");
    if (block_align && !std::has_single_bit(block_size)) {
      return refused("block_align asks for a block_size that is a power of two");
    }
    if (Status status = validate_index(); !status.ok()) return status;
    if (Status status = validate_filter(); !status.ok()) return status;
    return validate_identity();
  }

  static constexpr std::uint32_t max_block_size = 1u << 30;

 private:
  static constexpr std::uint32_t page_size = 4096;

  [[nodiscard]] Status validate_index() const {
    if (index_type != IndexType::binary_search && index_type != IndexType::two_level) {
      return refused("index_type must be binary_search or two_level");
    }
    if (index_block_restart_interval < 1) {
      return refused("index_block_restart_interval must be at least 1");
    }
    if (metadata_block_size < 1 || metadata_block_size > max_block_size) {
      return refused("metadata_block_size must be 1 to 1073741824 bytes");
    }
    // a reader of delta-encoded handles takes it that every block follows the one before it
    if (delta_handles_in_index() && block_align) {
      return refused("index_value_is_delta_encoded and block_align exclude each other");
    }
    return {};
  }
  [[nodiscard]] Status validate_filter() const {
    if (filter_bits_per_key > 100) return refused("filter_bits_per_key must be 0 to 100");
    if (has_filter() && filter == FilterKind::fast_local_bloom && format_version < 5) {
      return refused(
          "fast_local_bloom asks for format_version 5, because RocksDB before 6.6 knows neither; "
          "take legacy_bloom");
    }
    if (partition_filters && index_type != IndexType::two_level) {
      return refused("partition_filters asks for a two_level index");
    }
    return {};
  }
  [[nodiscard]] Status validate_identity() const {
    const std::string_view session = identity.session;
    if (session.empty()) return {};
    constexpr std::string_view digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (session.size() < 13 || session.size() > 24 ||
        session.find_first_not_of(digits) != std::string_view::npos) {
      return refused("identity.session must be 13 to 24 characters 0-9 and A-Z");
    }
    if (identity.file_number.value_or(0) == 0) {
      return refused(
          "identity.session asks for identity.file_number, at least 1 and another for each table "
          "of a session, because RocksDB's block cache tells tables apart by both");
    }
    return {};
  }
  KVBACKUP_DETAIL_COLD static Status refused(const char* why) {
    return Status::error(StatusCode::invalid_argument, std::string("cannot write a table: ") + why);
  }
};

}  // namespace kvbackup::inline v1
