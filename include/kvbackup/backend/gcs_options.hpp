// SPDX-License-Identifier: Apache-2.0
// Where and how GcsBackend stores objects.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/proto/storage_backend.hpp"

namespace kvbackup::inline v1 {

struct GcsOptions {
  /// "https://host:port"; empty: Google's. "storage/v1/" and "upload/storage/v1/" at its end are
  /// dropped, as BR does.
  std::string endpoint;
  std::string bucket;
  /// An object's name in the bucket is the prefix, a slash and the object's name; its name alone if
  /// empty. The prefix is taken as it is.
  std::string prefix;
  /// Empty (the bucket's own), or one of gcs_storage_classes.
  std::string storage_class;
  /// Empty (the bucket's own), or one of gcs_predefined_acls.
  std::string predefined_acl;
  /// The content of a key file; empty: what find_google_credentials finds.
  std::string credentials_blob;
  /// No credentials at all: for public buckets and servers that ask for none.
  bool anonymous = false;

  /// Objects of up to this many bytes are one request; of larger ones this much is sent at a time,
  /// and kept in memory until it has arrived. A multiple of 256 KiB, at most 1 GiB.
  std::uint64_t chunk_size = 8u << 20;

  RetryOptions retry;
  HttpTimeouts timeouts;
  const CancelToken* cancel = nullptr;  ///< ends requests and waits; not the end of an upload
  NetObserver* observer = nullptr;
  /// Seams; null: those of this process.
  Clock* clock = nullptr;
  Environment* environment = nullptr;
  RandomSource* random = nullptr;

  /// What a message of BR asks for; what it has no field for is as in `options`.
  [[nodiscard]] static GcsOptions from(const GCS& message, GcsOptions options) {
    options.endpoint = message.endpoint;
    options.bucket = message.bucket;
    options.prefix = message.prefix;
    options.storage_class = message.storage_class;
    options.predefined_acl = message.predefined_acl;
    options.credentials_blob = message.credentials_blob;
    return options;
  }
  [[nodiscard]] static GcsOptions from(const GCS& message) { return from(message, GcsOptions()); }
};

/// Those that TiKV takes, and ARCHIVE.
inline constexpr std::string_view gcs_storage_classes[] = {
    "STANDARD", "NEARLINE",       "COLDLINE", "ARCHIVE", "DURABLE_REDUCED_AVAILABILITY",
    "REGIONAL", "MULTI_REGIONAL",
};
inline constexpr std::string_view gcs_predefined_acls[] = {
    "authenticatedRead", "bucketOwnerFullControl", "bucketOwnerRead",
    "private",           "projectPrivate",         "publicRead",
};

}  // namespace kvbackup::inline v1
