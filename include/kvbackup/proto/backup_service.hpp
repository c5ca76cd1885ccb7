// SPDX-License-Identifier: Apache-2.0
// Messages of proto/backup.proto that the service /backup.Backup/backup takes and gives: one
// BackupRequest, a stream of BackupResponse.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/errorpb.hpp"
#include "kvbackup/proto/kvrpcpb.hpp"
#include "kvbackup/proto/message.hpp"
#include "kvbackup/proto/storage_backend.hpp"

namespace kvbackup::inline v1 {

/// The request was meant for another cluster.
struct ClusterIDError {
  std::uint64_t current = 0;
  std::uint64_t request = 0;
  std::string unknown_fields;

  bool operator==(const ClusterIDError&) const = default;
};

template <>
struct MessageTraits<ClusterIDError> {
  static constexpr std::string_view name = "backup.ClusterIDError";
  static constexpr FieldInfo fields[] = {
      field<&ClusterIDError::current>(1, "current"),
      field<&ClusterIDError::request>(2, "request"),
  };
};

/// Why a store could not do its part.
struct Error {
  std::string msg;
  std::variant<std::monostate, ClusterIDError, KeyError, RegionError> detail;
  std::string unknown_fields;

  bool operator==(const Error&) const = default;
};

template <>
struct MessageTraits<Error> {
  static constexpr std::string_view name = "backup.Error";
  static constexpr FieldInfo fields[] = {
      string_field<&Error::msg>(1, "msg"),
      oneof_field<&Error::detail, ClusterIDError>(3, "cluster_id_error"),
      oneof_field<&Error::detail, KeyError>(4, "kv_error"),
      oneof_field<&Error::detail, RegionError>(5, "region_error"),
  };
};

/// How the blocks of the SST files are compressed. UNKNOWN leaves the choice to the store.
enum class CompressionType : std::int32_t {
  unknown = 0,
  lz4 = 1,
  snappy = 2,
  zstd = 3,
};

template <>
struct EnumTraits<CompressionType> {
  static constexpr std::string_view name = "backup.CompressionType";
  static constexpr EnumValue values[] = {
      {0, "UNKNOWN"},
      {1, "LZ4"},
      {2, "SNAPPY"},
      {3, "ZSTD"},
  };
};

/// Asks a store to back up the regions it leads.
struct BackupRequest {
  std::uint64_t cluster_id = 0;
  /// [start_key, end_key), an empty one is unbounded.
  std::string start_key;
  std::string end_key;
  std::uint64_t start_version = 0;
  std::uint64_t end_version = 0;
  /// Bytes a second; 0 = no limit.
  std::uint64_t rate_limit = 0;
  /// Workers of the store that may serve this request.
  std::uint32_t concurrency = 0;
  std::optional<StorageBackend> storage_backend;
  /// True: versions mean nothing, and cf names the column family.
  bool is_raw_kv = false;
  std::string cf;
  CompressionType compression_type = CompressionType::unknown;
  /// 0 = the codec's own default; some codecs know negative levels.
  std::int32_t compression_level = 0;
  std::string unknown_fields;

  bool operator==(const BackupRequest&) const = default;
};

template <>
struct MessageTraits<BackupRequest> {
  static constexpr std::string_view name = "backup.BackupRequest";
  static constexpr FieldInfo fields[] = {
      field<&BackupRequest::cluster_id>(1, "cluster_id"),
      bytes_field<&BackupRequest::start_key>(2, "start_key"),
      bytes_field<&BackupRequest::end_key>(3, "end_key"),
      field<&BackupRequest::start_version>(4, "start_version"),
      field<&BackupRequest::end_version>(5, "end_version"),
      field<&BackupRequest::rate_limit>(7, "rate_limit"),
      field<&BackupRequest::concurrency>(8, "concurrency"),
      field<&BackupRequest::storage_backend>(9, "storage_backend"),
      field<&BackupRequest::is_raw_kv>(10, "is_raw_kv"),
      string_field<&BackupRequest::cf>(11, "cf"),
      field<&BackupRequest::compression_type>(12, "compression_type"),
      field<&BackupRequest::compression_level>(13, "compression_level"),
  };
};

/// What a store has finished of a request.
struct BackupResponse {
  std::optional<Error> error;
  /// The keys it answers for: [start_key, end_key).
  std::string start_key;
  std::string end_key;
  std::vector<File> files;
  std::string unknown_fields;

  bool operator==(const BackupResponse&) const = default;
};

template <>
struct MessageTraits<BackupResponse> {
  static constexpr std::string_view name = "backup.BackupResponse";
  static constexpr FieldInfo fields[] = {
      field<&BackupResponse::error>(1, "error"),
      bytes_field<&BackupResponse::start_key>(2, "start_key"),
      bytes_field<&BackupResponse::end_key>(3, "end_key"),
      field<&BackupResponse::files>(4, "files"),
  };
};

static_assert(Message<ClusterIDError>);
static_assert(Message<Error>);
static_assert(Message<BackupRequest>);
static_assert(Message<BackupResponse>);

}  // namespace kvbackup::inline v1
