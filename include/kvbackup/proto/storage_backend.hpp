// SPDX-License-Identifier: Apache-2.0
// Messages of proto/backup.proto that say where files go.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1 {

/// Nowhere.
struct Noop {
  std::string unknown_fields;

  bool operator==(const Noop&) const = default;
};

template <>
struct MessageTraits<Noop> {
  static constexpr std::string_view name = "backup.Noop";
  static constexpr auto fields = no_fields;
};

/// A folder of the store's machine.
struct Local {
  std::string path;
  std::string unknown_fields;

  bool operator==(const Local&) const = default;
};

template <>
struct MessageTraits<Local> {
  static constexpr std::string_view name = "backup.Local";
  static constexpr FieldInfo fields[] = {
      string_field<&Local::path>(1, "path"),
  };
};

/// S3, or what speaks its protocol; then endpoint is needed.
struct S3 {
  std::string endpoint;
  std::string region;
  std::string bucket;
  std::string prefix;
  std::string storage_class;
  /// Server-side encryption: the value of x-amz-server-side-encryption.
  std::string sse;
  std::string acl;
  std::string access_key;
  std::string secret_access_key;
  bool force_path_style = false;
  std::string sse_kms_key_id;
  std::string unknown_fields;

  bool operator==(const S3&) const = default;
};

template <>
struct MessageTraits<S3> {
  static constexpr std::string_view name = "backup.S3";
  static constexpr FieldInfo fields[] = {
      string_field<&S3::endpoint>(1, "endpoint"),
      string_field<&S3::region>(2, "region"),
      string_field<&S3::bucket>(3, "bucket"),
      string_field<&S3::prefix>(4, "prefix"),
      string_field<&S3::storage_class>(5, "storage_class"),
      string_field<&S3::sse>(6, "sse"),
      string_field<&S3::acl>(7, "acl"),
      string_field<&S3::access_key>(8, "access_key"),
      string_field<&S3::secret_access_key>(9, "secret_access_key"),
      field<&S3::force_path_style>(10, "force_path_style"),
      string_field<&S3::sse_kms_key_id>(11, "sse_kms_key_id"),
  };
};

/// Google Cloud Storage.
struct GCS {
  std::string endpoint;
  std::string bucket;
  std::string prefix;
  std::string storage_class;
  std::string predefined_acl;
  /// The JSON of a service account's key.
  std::string credentials_blob;
  std::string unknown_fields;

  bool operator==(const GCS&) const = default;
};

template <>
struct MessageTraits<GCS> {
  static constexpr std::string_view name = "backup.GCS";
  static constexpr FieldInfo fields[] = {
      string_field<&GCS::endpoint>(1, "endpoint"),
      string_field<&GCS::bucket>(2, "bucket"),
      string_field<&GCS::prefix>(3, "prefix"),
      string_field<&GCS::storage_class>(4, "storage_class"),
      string_field<&GCS::predefined_acl>(5, "predefined_acl"),
      string_field<&GCS::credentials_blob>(6, "credentials_blob"),
  };
};

/// What the clouds have in common.
struct Bucket {
  std::string endpoint;
  std::string region;
  std::string bucket;
  std::string prefix;
  std::string storage_class;
  std::string unknown_fields;

  bool operator==(const Bucket&) const = default;
};

template <>
struct MessageTraits<Bucket> {
  static constexpr std::string_view name = "backup.Bucket";
  static constexpr FieldInfo fields[] = {
      string_field<&Bucket::endpoint>(1, "endpoint"),
      string_field<&Bucket::region>(3, "region"),
      string_field<&Bucket::bucket>(4, "bucket"),
      string_field<&Bucket::prefix>(5, "prefix"),
      string_field<&Bucket::storage_class>(6, "storage_class"),
  };
};

/// A cloud by name, with options that the messages above have no fields for.
struct CloudDynamic {
  std::optional<Bucket> bucket;
  /// "s3" or "gcs".
  std::string provider_name;
  std::map<std::string, std::string> attrs;
  std::string unknown_fields;

  bool operator==(const CloudDynamic&) const = default;
};

template <>
struct MessageTraits<CloudDynamic> {
  static constexpr std::string_view name = "backup.CloudDynamic";
  static constexpr FieldInfo fields[] = {
      field<&CloudDynamic::bucket>(1, "bucket"),
      string_field<&CloudDynamic::provider_name>(2, "provider_name"),
      field<&CloudDynamic::attrs>(3, "attrs"),
  };
};

/// Where the files go.
struct StorageBackend {
  std::variant<std::monostate, Noop, Local, S3, GCS, CloudDynamic> backend;
  std::string unknown_fields;

  bool operator==(const StorageBackend&) const = default;
};

template <>
struct MessageTraits<StorageBackend> {
  static constexpr std::string_view name = "backup.StorageBackend";
  static constexpr FieldInfo fields[] = {
      oneof_field<&StorageBackend::backend, Noop>(1, "noop"),
      oneof_field<&StorageBackend::backend, Local>(2, "local"),
      oneof_field<&StorageBackend::backend, S3>(3, "s3"),
      oneof_field<&StorageBackend::backend, GCS>(4, "gcs"),
      oneof_field<&StorageBackend::backend, CloudDynamic>(5, "cloud_dynamic"),
  };
};

static_assert(Message<Noop>);
static_assert(Message<Local>);
static_assert(Message<S3>);
static_assert(Message<GCS>);
static_assert(Message<Bucket>);
static_assert(Message<CloudDynamic>);
static_assert(Message<StorageBackend>);

}  // namespace kvbackup::inline v1
