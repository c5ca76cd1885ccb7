// SPDX-License-Identifier: Apache-2.0
// Messages of proto/backup.proto that `backupmeta` is made of. The others stand in
// storage_backend.hpp and backup_service.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1 {

/// One SST file.
struct File {
  std::string name;
  /// Of the bytes as they are stored.
  std::string sha256;
  /// The keys it answers for: [start_key, end_key), an empty one is unbounded.
  std::string start_key;
  std::string end_key;
  std::uint64_t start_version = 0;
  std::uint64_t end_version = 0;
  /// XOR of the CRC-64/XZ of key and value of every logical pair; then their number, and the
  /// bytes of their keys and values.
  std::uint64_t crc64xor = 0;
  std::uint64_t total_kvs = 0;
  std::uint64_t total_bytes = 0;
  /// The column family.
  std::string cf;
  /// Bytes as they are stored.
  std::uint64_t size = 0;
  std::string unknown_fields;

  bool operator==(const File&) const = default;
};

template <>
struct MessageTraits<File> {
  static constexpr std::string_view name = "backup.File";
  static constexpr FieldInfo fields[] = {
      string_field<&File::name>(1, "name"),
      bytes_field<&File::sha256>(2, "sha256"),
      bytes_field<&File::start_key>(3, "start_key"),
      bytes_field<&File::end_key>(4, "end_key"),
      field<&File::start_version>(5, "start_version"),
      field<&File::end_version>(6, "end_version"),
      field<&File::crc64xor>(7, "crc64xor"),
      field<&File::total_kvs>(8, "total_kvs"),
      field<&File::total_bytes>(9, "total_bytes"),
      string_field<&File::cf>(10, "cf"),
      field<&File::size>(11, "size"),
  };
};

/// One table of TiDB.
struct Schema {
  /// JSON of the database and of the table.
  std::string db;
  std::string table;
  std::uint64_t crc64xor = 0;
  std::uint64_t total_kvs = 0;
  std::uint64_t total_bytes = 0;
  std::uint32_t tiflash_replicas = 0;
  /// JSON of the table's statistics.
  std::string stats;
  std::string unknown_fields;

  bool operator==(const Schema&) const = default;
};

template <>
struct MessageTraits<Schema> {
  static constexpr std::string_view name = "backup.Schema";
  static constexpr FieldInfo fields[] = {
      bytes_field<&Schema::db>(1, "db"),
      bytes_field<&Schema::table>(2, "table"),
      field<&Schema::crc64xor>(3, "crc64xor"),
      field<&Schema::total_kvs>(4, "total_kvs"),
      field<&Schema::total_bytes>(5, "total_bytes"),
      field<&Schema::tiflash_replicas>(6, "tiflash_replicas"),
      bytes_field<&Schema::stats>(7, "stats"),
  };
};

/// A range [start_key, end_key) of one column family of a raw store.
struct RawRange {
  std::string start_key;
  std::string end_key;
  std::string cf;
  std::string unknown_fields;

  bool operator==(const RawRange&) const = default;
};

template <>
struct MessageTraits<RawRange> {
  static constexpr std::string_view name = "backup.RawRange";
  static constexpr FieldInfo fields[] = {
      bytes_field<&RawRange::start_key>(1, "start_key"),
      bytes_field<&RawRange::end_key>(2, "end_key"),
      string_field<&RawRange::cf>(3, "cf"),
  };
};

/// A whole backup: the object `backupmeta`.
struct BackupMeta {
  std::uint64_t cluster_id = 0;
  /// As PD answers it: a JSON string with its quotes and the line end.
  std::string cluster_version;
  /// In the order of the key ranges that were backed up.
  std::vector<File> files;
  /// A full backup has start_version 0 and shows end_version; an incremental one holds the
  /// changes of (start_version, end_version]. Raw backups have no versions.
  std::uint64_t start_version = 0;
  std::uint64_t end_version = 0;
  std::vector<Schema> schemas;
  /// True: the ranges stand in raw_ranges, and versions and schemas mean nothing.
  bool is_raw_kv = false;
  std::vector<RawRange> raw_ranges;
  /// JSON of the DDL jobs that ended in (start_version, end_version].
  std::string ddls;
  /// What wrote the backup.
  std::string br_version;
  std::string unknown_fields;

  bool operator==(const BackupMeta&) const = default;
};

template <>
struct MessageTraits<BackupMeta> {
  static constexpr std::string_view name = "backup.BackupMeta";
  static constexpr FieldInfo fields[] = {
      field<&BackupMeta::cluster_id>(1, "cluster_id"),
      string_field<&BackupMeta::cluster_version>(2, "cluster_version"),
      field<&BackupMeta::files>(4, "files"),
      field<&BackupMeta::start_version>(5, "start_version"),
      field<&BackupMeta::end_version>(6, "end_version"),
      field<&BackupMeta::schemas>(7, "schemas"),
      field<&BackupMeta::is_raw_kv>(8, "is_raw_kv"),
      field<&BackupMeta::raw_ranges>(9, "raw_ranges"),
      bytes_field<&BackupMeta::ddls>(10, "ddls"),
      string_field<&BackupMeta::br_version>(11, "br_version"),
  };
};

static_assert(Message<File>);
static_assert(Message<Schema>);
static_assert(Message<RawRange>);
static_assert(Message<BackupMeta>);

}  // namespace kvbackup::inline v1
