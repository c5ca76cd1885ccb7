// SPDX-License-Identifier: Apache-2.0
// CloudDynamic, the message that names a cloud by a text, as the message of that cloud.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/storage_backend.hpp"

namespace kvbackup::inline v1 {

namespace detail {
KVBACKUP_DETAIL_COLD [[nodiscard]] inline Status bad_attribute(std::string_view name,
                                                               std::string_view provider,
                                                               std::string_view known) {
  std::string message = "bad storage backend: ";
  message += provider;
  message += " has no attribute \"";
  message += name;
  message += "\"; it has ";
  message += known;
  return Status::error(StatusCode::invalid_argument, std::move(message));
}

/// TiKV takes "true" and "True" for true and whatever else for false; a typing error should show.
[[nodiscard]] inline Result<bool> cloud_flag(std::string_view name, std::string_view text) {
  if (text == "true" || text == "True") return true;
  if (text.empty() || text == "false" || text == "False") return false;
  std::string message = "bad storage backend: the attribute ";
  message += name;
  message += " is neither true nor false";
  return Status::error(StatusCode::invalid_argument, std::move(message));
}

template <class To>
[[nodiscard]] To with_bucket(const Bucket& bucket) {
  To to;
  to.endpoint = bucket.endpoint;
  to.bucket = bucket.bucket;
  to.prefix = bucket.prefix;
  to.storage_class = bucket.storage_class;
  return to;
}

[[nodiscard]] inline Result<S3> dynamic_s3(const CloudDynamic& cloud) {
  S3 to = with_bucket<S3>(*cloud.bucket);
  to.region = cloud.bucket->region;
  for (const auto& [name, value] : cloud.attrs) {
    if (name == "force_path_style") {
      const auto flag = cloud_flag(name, value);
      if (!flag.ok()) return flag.status();
      to.force_path_style = flag.value();
    } else if (name == "access_key") {
      to.access_key = value;
    } else if (name == "secret_access_key") {
      to.secret_access_key = value;
    } else if (name == "sse") {
      to.sse = value;
    } else if (name == "sse_kms_key_id") {
      to.sse_kms_key_id = value;
    } else if (name == "acl") {
      to.acl = value;
    } else {
      return bad_attribute(
          name, "S3",
          "force_path_style, access_key, secret_access_key, sse, sse_kms_key_id and acl");
    }
  }
  return to;
}

[[nodiscard]] inline Result<GCS> dynamic_gcs(const CloudDynamic& cloud) {
  GCS to = with_bucket<GCS>(*cloud.bucket);  // a bucket's region is fixed when it is made
  for (const auto& [name, value] : cloud.attrs) {
    if (name == "predefined_acl") {
      to.predefined_acl = value;
    } else if (name == "credentials_blob") {
      to.credentials_blob = value;
    } else {
      return bad_attribute(name, "GCS", "predefined_acl and credentials_blob");
    }
  }
  return to;
}

template <class Message>
[[nodiscard]] Result<StorageBackend> as_backend(Result<Message> message) {
  if (!message.ok()) return std::move(message).status();
  StorageBackend to;
  to.backend = std::move(message).value();
  return to;
}
}  // namespace detail

/// The S3 or GCS message that says the same: provider_name "aws" or "s3", "gcp" or "gcs".
/// Errors: invalid_argument, naming the provider or the attribute that is not known.
[[nodiscard]] inline Result<StorageBackend> resolve_cloud(const CloudDynamic& cloud) {
  const std::string& provider = cloud.provider_name;
  const bool is_s3 = provider == "aws" || provider == "s3";
  if (!is_s3 && provider != "gcp" && provider != "gcs") {
    std::string message = "bad storage backend: there is no cloud provider \"";
    message += provider;
    message += "\"; there are aws, s3, gcp and gcs";
    return Status::error(StatusCode::invalid_argument, std::move(message));
  }
  if (!cloud.bucket) {
    return Status::error(StatusCode::invalid_argument,
                         "bad storage backend: cloud_dynamic has no bucket");
  }
  return is_s3 ? detail::as_backend(detail::dynamic_s3(cloud))
               : detail::as_backend(detail::dynamic_gcs(cloud));
}

}  // namespace kvbackup::inline v1
