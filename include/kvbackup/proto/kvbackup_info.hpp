// SPDX-License-Identifier: Apache-2.0
// Messages of proto/kvbackup.proto: what this library adds to backupmeta. kvbackuppb.Totals is
// KvbackupTotals here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1 {

/// The keys [start, end) of a column family, an empty one is unbounded.
struct CompletedRange {
  std::string cf;
  std::string start;
  std::string end;
  std::string unknown_fields;

  bool operator==(const CompletedRange&) const = default;
};

template <>
struct MessageTraits<CompletedRange> {
  static constexpr std::string_view name = "kvbackuppb.CompletedRange";
  static constexpr FieldInfo fields[] = {
      string_field<&CompletedRange::cf>(1, "cf"),
      bytes_field<&CompletedRange::start>(2, "start"),
      bytes_field<&CompletedRange::end>(3, "end"),
  };
};

/// Sums over all files; crc64xor is their XOR.
struct KvbackupTotals {
  std::uint64_t files = 0;
  std::uint64_t kvs = 0;
  std::uint64_t bytes = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t crc64xor = 0;
  std::string unknown_fields;

  bool operator==(const KvbackupTotals&) const = default;
};

template <>
struct MessageTraits<KvbackupTotals> {
  static constexpr std::string_view name = "kvbackuppb.Totals";
  static constexpr FieldInfo fields[] = {
      field<&KvbackupTotals::files>(1, "files"),
      field<&KvbackupTotals::kvs>(2, "kvs"),
      field<&KvbackupTotals::bytes>(3, "bytes"),
      field<&KvbackupTotals::stored_bytes>(4, "stored_bytes"),
      field<&KvbackupTotals::crc64xor>(5, "crc64xor"),
  };
};

/// What BR's BackupMeta has no place for.
struct KvbackupInfo {
  /// The version of this message's meaning; 1. A reader refuses a higher one.
  std::uint32_t format = 0;
  /// What stands before every key inside the SST files: "z" or nothing.
  std::string key_prefix;
  /// "br" or "rocksdb".
  std::string profile;
  /// When the run began, in milliseconds since 1970-01-01 UTC.
  std::uint64_t created_unix_ms = 0;
  /// What was backed up: the kind of store, and which one.
  std::string source_kind;
  std::string source_identity;
  /// What is complete, those without any data too.
  std::vector<CompletedRange> ranges;
  std::optional<KvbackupTotals> totals;
  /// The CRC-32C of the stored bytes of each file, in the order of BackupMeta.files; none where
  /// others wrote the files and only their SHA-256 is known.
  std::vector<std::uint32_t> file_crc32c;
  std::string unknown_fields;

  bool operator==(const KvbackupInfo&) const = default;
};

template <>
struct MessageTraits<KvbackupInfo> {
  static constexpr std::string_view name = "kvbackuppb.KvbackupInfo";
  static constexpr FieldInfo fields[] = {
      field<&KvbackupInfo::format>(1, "format"),
      bytes_field<&KvbackupInfo::key_prefix>(2, "key_prefix"),
      string_field<&KvbackupInfo::profile>(3, "profile"),
      field<&KvbackupInfo::created_unix_ms>(4, "created_unix_ms"),
      string_field<&KvbackupInfo::source_kind>(5, "source_kind"),
      string_field<&KvbackupInfo::source_identity>(6, "source_identity"),
      field<&KvbackupInfo::ranges>(7, "ranges"),
      field<&KvbackupInfo::totals>(8, "totals"),
      field<&KvbackupInfo::file_crc32c>(9, "file_crc32c"),
  };
};

static_assert(Message<CompletedRange>);
static_assert(Message<KvbackupTotals>);
static_assert(Message<KvbackupInfo>);

}  // namespace kvbackup::inline v1
