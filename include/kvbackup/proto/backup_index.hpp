// SPDX-License-Identifier: Apache-2.0
// Messages of BR 5.1 and later that proto/backup.proto does not have yet: the trees in which they
// keep the lists of a backupmeta ("meta version 2"). Field numbers: kvproto, proto/brpb.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1 {

/// A node of such a tree: names its children, or, as a leaf, holds a piece of a list.
struct MetaFile {
  /// Objects that are MetaFile messages themselves; sha256 is of the message, not of what may be
  /// its encrypted form.
  std::vector<File> meta_files;
  std::vector<File> data_files;
  std::vector<Schema> schemas;
  std::vector<RawRange> raw_ranges;
  /// JSON of one DDL job each.
  std::vector<std::string> ddls;
  std::string unknown_fields;

  bool operator==(const MetaFile&) const = default;
};

template <>
struct MessageTraits<MetaFile> {
  static constexpr std::string_view name = "backup.MetaFile";
  static constexpr FieldInfo fields[] = {
      field<&MetaFile::meta_files>(1, "meta_files"), field<&MetaFile::data_files>(2, "data_files"),
      field<&MetaFile::schemas>(3, "schemas"),       field<&MetaFile::raw_ranges>(4, "raw_ranges"),
      bytes_field<&MetaFile::ddls>(5, "ddls"),
  };
};

/// The fields of a BackupMeta that BackupMeta here keeps among its unknown ones.
struct BackupMetaIndex {
  /// 0: the lists stand in backupmeta. 1: in the trees.
  std::int32_t version = 0;
  std::optional<MetaFile> file_index;
  std::optional<MetaFile> schema_index;
  std::optional<MetaFile> raw_range_index;
  std::optional<MetaFile> ddl_indexes;
  /// TiKV's api-version: 0 = V1, 1 = V1 with TTL, 2 = V2.
  std::int32_t api_version = 0;
  std::string unknown_fields;

  bool operator==(const BackupMetaIndex&) const = default;
};

template <>
struct MessageTraits<BackupMetaIndex> {
  static constexpr std::string_view name = "backup.BackupMeta";
  static constexpr FieldInfo fields[] = {
      field<&BackupMetaIndex::version>(12, "version"),
      field<&BackupMetaIndex::file_index>(13, "file_index"),
      field<&BackupMetaIndex::schema_index>(14, "schema_index"),
      field<&BackupMetaIndex::raw_range_index>(15, "raw_range_index"),
      field<&BackupMetaIndex::ddl_indexes>(16, "ddl_indexes"),
      field<&BackupMetaIndex::api_version>(18, "api_version"),
  };
};

static_assert(Message<MetaFile>);
static_assert(Message<BackupMetaIndex>);

}  // namespace kvbackup::inline v1
