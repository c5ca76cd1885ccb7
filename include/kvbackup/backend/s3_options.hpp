// SPDX-License-Identifier: Apache-2.0
// Where and how S3Backend stores objects.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/proto/storage_backend.hpp"

namespace kvbackup::inline v1 {

/// How CreateOptions::if_absent is kept.
enum class S3IfAbsent : std::uint8_t {
  /// By the server, in one step: `If-None-Match: *`. A server that refuses the header makes the
  /// commit fail as unsupported. Some ignore it when a multipart upload is completed (Ceph before
  /// 19); there the look before it, as below, is what is left.
  conditional,
  /// By a look whether the object is there just before it is made. Two writers of one name that
  /// commit at the same moment may both succeed. For servers without conditional writes, such as
  /// OpenStack Swift.
  checked,
};

struct S3Options {
  /// "https://host:port"; empty: Amazon S3 in `region`.
  std::string endpoint;
  /// Empty: AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1. One that is wrong is
  /// corrected by what the server answers.
  std::string region;
  std::string bucket;
  /// An object's key is the prefix, a slash and the object's name; its name alone if empty. The
  /// prefix is taken as it is.
  std::string prefix;
  std::string storage_class;   ///< x-amz-storage-class; empty: the bucket's
  std::string sse;             ///< x-amz-server-side-encryption: "AES256", "aws:kms"
  std::string sse_kms_key_id;  ///< the key of "aws:kms"; empty: the account's
  std::string acl;             ///< x-amz-acl: "private", "bucket-owner-full-control" ...
  /// Both or none. None: AWS_ACCESS_KEY_ID and so on, the files ~/.aws/credentials and
  /// ~/.aws/config, a web identity token, the container's endpoint, the machine's (IMDSv2).
  std::string access_key;
  std::string secret_access_key;
  std::string session_token;  ///< of temporary keys
  std::string profile;        ///< of those files; empty: AWS_PROFILE, "default"
  /// The bucket in the path, not in the host name. IP addresses and, over TLS, buckets with a dot
  /// get it in any case.
  bool force_path_style = false;

  /// Objects of up to this many bytes are one request; larger ones are cut into parts of it, larger
  /// parts where the object would need more than 10,000. At least 5 MiB, at most 5 GiB.
  std::uint64_t part_size = 8u << 20;
  /// Parts of one object that are in memory, hence on their way, at the same time. With 1 no thread
  /// is made and append() itself sends.
  std::uint32_t parts_in_flight = 4;
  S3IfAbsent if_absent = S3IfAbsent::conditional;
  /// Sends x-amz-checksum-sha256, which AWS checks and keeps.
  bool checksums = false;
  /// Sends Content-MD5, which buckets with object lock ask for where there is no checksum.
  bool content_md5 = false;
  /// User metadata of every object, names without "x-amz-meta-".
  std::vector<HttpHeader> metadata;

  RetryOptions retry;
  HttpTimeouts timeouts;
  const CancelToken* cancel = nullptr;  ///< ends requests and waits; not the abort of an upload
  NetObserver* observer = nullptr;
  /// Seams; null: those of this process.
  Clock* clock = nullptr;
  Environment* environment = nullptr;
  RandomSource* random = nullptr;

  /// What a message of BR asks for; what it has no field for is as in `options`.
  [[nodiscard]] static S3Options from(const S3& message, S3Options options) {
    options.endpoint = message.endpoint;
    options.region = message.region;
    options.bucket = message.bucket;
    options.prefix = message.prefix;
    options.storage_class = message.storage_class;
    options.sse = message.sse;
    options.sse_kms_key_id = message.sse_kms_key_id;
    options.acl = message.acl;
    options.access_key = message.access_key;
    options.secret_access_key = message.secret_access_key;
    options.force_path_style = message.force_path_style;
    return options;
  }
  [[nodiscard]] static S3Options from(const S3& message) { return from(message, S3Options()); }
};

}  // namespace kvbackup::inline v1
