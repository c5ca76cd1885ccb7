// SPDX-License-Identifier: Apache-2.0
// What S3 servers answer, and what it means.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/reply_text.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/net/time_text.hpp"
#include "kvbackup/net/xml.hpp"

namespace kvbackup::inline v1::detail {

/// The error that a server describes; empty where it describes none.
struct S3Error {
  std::string code;
  std::string message;
  std::string region;  // the right one, where the asked one is wrong
};

/// Reads an <Error>, also one inside of a 200: servers that began to answer before they were done
/// have no other way.
[[nodiscard]] inline S3Error read_s3_error(const HttpResponse& response) {
  S3Error error;
  const Status status = scan_xml(response.body, [&](std::string_view path, std::string_view text) {
    if (path == "Error/Code") error.code = text;
    if (path == "Error/Message") error.message = text;
    if (path == "Error/Region") error.region = text;
    return Status();
  });
  // a proxy's page is none of the server's errors
  if (!status.ok()) error = {};
  if (const auto region = response.header("x-amz-bucket-region")) error.region = *region;
  return error;
}

struct S3Meaning {
  std::string_view code;
  StatusCode status;
  std::string_view advice;
};

/// What to do about errors that stay.
inline constexpr S3Meaning s3_meanings[] = {
    {"AccessControlListNotSupported", StatusCode::invalid_argument,
     "the bucket has access control lists switched off: leave the option acl empty"},
    {"AuthorizationHeaderMalformed", StatusCode::invalid_argument, "check the option region"},
    {"BucketRegionError", StatusCode::invalid_argument, "check the option region"},
    {"EntityTooLarge", StatusCode::resource_exhausted, "make smaller objects"},
    {"ExpiredToken", StatusCode::permission_denied, "the credentials have expired: get new ones"},
    {"InvalidAccessKeyId", StatusCode::permission_denied, "check the access key"},
    {"InvalidArgument", StatusCode::invalid_argument,
     "check the options storage_class, acl, sse and sse_kms_key_id"},
    {"InvalidRange", StatusCode::invalid_argument, "the range lies outside the object"},
    {"InvalidStorageClass", StatusCode::invalid_argument, "check the option storage_class"},
    {"InvalidToken", StatusCode::permission_denied, "check the session token"},
    {"KMS.NotFoundException", StatusCode::invalid_argument, "check the option sse_kms_key_id"},
    {"NoSuchBucket", StatusCode::not_found,
     "there is no such bucket: check bucket, region and endpoint, or create it"},
    {"NoSuchKey", StatusCode::not_found, "there is no object of this name"},
    {"NoSuchUpload", StatusCode::io_error,
     "the upload was ended from outside (a lifecycle rule, another client): write the object anew"},
    {"NotImplemented", StatusCode::unsupported, "the server has no such feature"},
    {"PreconditionFailed", StatusCode::already_exists,
     "an object of this name is there and is not replaced; choose an empty destination or another "
     "name"},
    {"QuotaExceeded", StatusCode::no_space, "raise the quota or free space"},
    {"RequestTimeTooSkewed", StatusCode::permission_denied, "set the clock of this machine"},
    {"SignatureDoesNotMatch", StatusCode::permission_denied, "check the secret access key"},
};

/// Errors of S3 that pass, whatever the HTTP status says. The two about digests mean that the body
/// was damaged on its way.
inline constexpr std::string_view s3_passing_codes[] = {
    "BadDigest",
    "BandwidthLimitExceeded",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InternalError",
    "OperationAborted",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "XAmzContentSHA256Mismatch",
};

[[nodiscard]] inline bool is_passing(int status, const S3Error& error) noexcept {
  const auto& passing = s3_passing_codes;
  const bool known =
      std::find(std::begin(passing), std::end(passing), error.code) != std::end(passing);
  return known || (is_retryable_http_status(status) && error.code != "NotImplemented");
}

[[nodiscard]] inline S3Meaning s3_meaning(int status, const S3Error& error) noexcept {
  for (const S3Meaning& meaning : s3_meanings) {
    if (meaning.code == error.code) return meaning;
  }
  switch (status) {
    case 401:
    case 403: return {"", StatusCode::permission_denied, ""};
    case 404: return {"", StatusCode::not_found, "there is no such object or bucket"};
    case 412: return s3_meaning(0, {"PreconditionFailed", {}, {}});
    case 416: return s3_meaning(0, {"InvalidRange", {}, {}});
    case 501: return s3_meaning(0, {"NotImplemented", {}, {}});
    case 507: return s3_meaning(0, {"QuotaExceeded", {}, {}});
    default: break;
  }
  if (status >= 300 && status < 400) {
    return {"", StatusCode::invalid_argument, "the bucket is elsewhere: check region and endpoint"};
  }
  return {"", status >= 500 ? StatusCode::unavailable : StatusCode::invalid_argument,
          "check the options of the storage"};
}

/// The answer as a failure. `doing` completes "cannot ..."; `right` is the permission that a
/// refusal lacks.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status s3_failure(
    const HttpResponse& response, const S3Error& error, std::string_view doing,
    std::string_view right, const std::vector<std::string_view>& secrets) {
  const S3Meaning meaning = s3_meaning(response.status, error);
  return refusal_status({response.status, error.code, error.message,
                         is_passing(response.status, error), meaning.status, meaning.advice},
                        doing, right, secrets);
}

/// An ETag, which servers put into quotes in some answers and not in others.
[[nodiscard]] inline std::string_view without_quotes(std::string_view etag) noexcept {
  const bool quoted = etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"');
  return quoted ? etag.substr(1, etag.size() - 2) : etag;
}

/// The ETag of the object that an answer is about: in its head or, where an upload was completed,
/// in its body. Empty if the server does not tell.
[[nodiscard]] inline std::string s3_etag(const HttpResponse& response) {
  std::string etag;
  if (const auto header = response.header("ETag")) etag = without_quotes(*header);
  if (!etag.empty() || response.body.empty()) return etag;
  const Status status = scan_xml(response.body, [&](std::string_view path, std::string_view text) {
    if (path == "CompleteMultipartUploadResult/ETag") etag = without_quotes(text);
    return Status();
  });
  return status.ok() ? etag : std::string();
}

/// One page of ListObjectsV2.
struct S3Page {
  std::vector<ObjectInfo> objects;  // with their whole keys
  std::string next;                 // the token of the next page; empty if this is the last
};

[[nodiscard]] inline Result<S3Page> read_s3_page(std::string_view xml) {
  S3Page page;
  ObjectInfo object;
  bool coded = false;
  bool truncated = false;
  Status status = scan_xml(xml, [&](std::string_view path, std::string_view text) -> Status {
    if (path == "ListBucketResult/Contents/Key") {
      object.name = text;
    } else if (path == "ListBucketResult/Contents/Size") {
      const auto size = parse_size(text);
      if (!size) return Status::error(StatusCode::corruption, "a listed object has no proper size");
      object.size = *size;
    } else if (path == "ListBucketResult/Contents/ETag") {
      object.proof = without_quotes(text);
    } else if (path == "ListBucketResult/Contents/LastModified") {
      object.modified_ms = parse_iso_time(text);
    } else if (path == "ListBucketResult/Contents") {
      page.objects.push_back(std::exchange(object, {}));
    } else if (path == "ListBucketResult/EncodingType") {
      coded = text == "url";
    } else if (path == "ListBucketResult/IsTruncated") {
      truncated = text == "true";
    } else if (path == "ListBucketResult/NextContinuationToken") {
      page.next = text;
    }
    return {};
  });
  if (!status.ok()) return status;
  if (truncated && page.next.empty()) {
    return Status::error(StatusCode::corruption, "a page of the list does not say what follows");
  }
  if (!truncated) page.next.clear();
  if (!coded) return page;
  for (ObjectInfo& each : page.objects) {
    // as in a form: a plus is a blank, which other servers spell %20
    std::replace(each.name.begin(), each.name.end(), '+', ' ');
    auto name = percent_decode(each.name);
    if (!name) return Status::error(StatusCode::corruption, "a listed key has a bad percent code");
    each.name = std::move(*name);
  }
  return page;
}

/// The text of one element; empty if it is not there.
[[nodiscard]] inline Result<std::string> read_s3_element(std::string_view xml,
                                                         std::string_view wanted) {
  std::string found;
  Status status = scan_xml(xml, [&](std::string_view path, std::string_view text) {
    if (path == wanted) found = text;
    return Status();
  });
  if (!status.ok()) return status;
  return found;
}

}  // namespace kvbackup::inline v1::detail
