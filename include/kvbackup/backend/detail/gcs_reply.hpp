// SPDX-License-Identifier: Apache-2.0
// What Cloud Storage's JSON API answers, and what it means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/reply_text.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/json_fields.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/net/time_text.hpp"

namespace kvbackup::inline v1::detail {

/// The error that a server describes; empty where it describes none.
struct GcsError {
  std::string reason;
  std::string message;
};

[[nodiscard]] inline GcsError read_gcs_error(const HttpResponse& response) {
  GcsError error;
  const Status status =
      scan_json(response.body, [&](std::string_view path, std::string_view value) {
        if (path == "error/errors/[]/reason") error.reason = value;
        if (path == "error/message") error.message = value;
        return Status();
      });
  // a proxy's page is none of the server's errors
  return status.ok() ? error : GcsError();
}

/// Whether waiting helps, whatever the HTTP status says. A hash that does not fit means that the
/// body was damaged on its way.
[[nodiscard]] inline bool is_passing(int status, const GcsError& error) noexcept {
  return is_retryable_http_status(status) || error.reason == "rateLimitExceeded" ||
         error.reason == "userRateLimitExceeded" ||
         (status == 400 && error.message.find("hash") != std::string::npos);
}

struct GcsMeaning {
  StatusCode code = StatusCode::invalid_argument;
  std::string_view advice;
};

[[nodiscard]] inline GcsMeaning gcs_meaning(int status, const GcsError& error) noexcept {
  switch (status) {
    case 401: return {StatusCode::permission_denied, "the credentials are refused: check them"};
    case 403: return {StatusCode::permission_denied, ""};
    case 404:
      // not not_found, which would have an object looked for and not missed
      if (error.message.find("bucket does not exist") != std::string::npos) {
        return {StatusCode::invalid_argument, "check the option bucket, or create it"};
      }
      return {StatusCode::not_found, "there is no object of this name"};
    case 410:
      return {StatusCode::io_error, "the upload was ended from outside: write the object anew"};
    case 412:
      return {StatusCode::already_exists,
              "an object of this name is there and is not replaced; choose an empty destination "
              "or another name"};
    case 416: return {StatusCode::invalid_argument, "the range lies outside the object"};
    default: break;
  }
  if (status >= 300 && status < 400) {
    return {StatusCode::invalid_argument, "check the option endpoint"};
  }
  return {status >= 500 ? StatusCode::unavailable : StatusCode::invalid_argument,
          "check the options of the storage"};
}

/// The answer as a failure. `doing` completes "cannot ..."; `right` is the permission that a
/// refusal lacks; `token` is kept out of it.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status gcs_failure(const HttpResponse& response,
                                                             std::string_view doing,
                                                             std::string_view right,
                                                             std::string_view token) {
  const GcsError error = read_gcs_error(response);
  const GcsMeaning meaning = gcs_meaning(response.status, error);
  return refusal_status({response.status,
                         {},
                         error.message,
                         is_passing(response.status, error),
                         meaning.code,
                         meaning.advice},
                        doing, right, {token});
}

/// An object as the server describes it.
struct GcsObject {
  std::string name;        // whole, with the prefix
  std::uint64_t size = 0;  // some servers leave out a size of 0
  std::string crc32c;      // base64 of its big-endian bytes; empty if the server does not say
  std::string generation;  // a decimal number
  std::string id;          // metadata kvbackup-id
  std::optional<std::uint64_t> created_ms;
};

/// ObjectInfo::proof: a generation is never given to other bytes.
[[nodiscard]] inline std::string proof_of(const GcsObject& object) {
  if (object.generation.empty()) return {};
  return object.generation + '/' + object.crc32c;
}

/// User metadata by which an object is known again whose commit got no answer.
inline constexpr std::string_view gcs_id_name = "kvbackup-id";

namespace gcs_json {
/// Takes one member of an object's description; `path` is relative to it.
[[nodiscard]] inline Status take(GcsObject& object, std::string_view path, std::string_view value) {
  if (path == "name") object.name = value;
  if (path == "crc32c") object.crc32c = value;
  if (path == "timeCreated") object.created_ms = parse_iso_time(value);
  if (path == "metadata/kvbackup-id") object.id = value;
  if (path == "generation") {
    if (!parse_size(value)) {
      return Status::error(StatusCode::corruption, "an object's generation is no number");
    }
    object.generation = value;
  }
  if (path == "size") {
    const auto size = parse_size(value);
    if (!size) return Status::error(StatusCode::corruption, "an object has no proper size");
    object.size = *size;
  }
  return {};
}
}  // namespace gcs_json

[[nodiscard]] inline Result<GcsObject> read_gcs_object(std::string_view json) {
  GcsObject object;
  Status status = scan_json(json, [&](std::string_view path, std::string_view value) {
    return gcs_json::take(object, path, value);
  });
  if (!status.ok()) return status;
  return object;
}

/// One page of a list.
struct GcsPage {
  std::vector<ObjectInfo> objects;  // with their whole names
  std::string next;                 // the token of the next page; empty if this is the last
};

[[nodiscard]] inline Result<GcsPage> read_gcs_page(std::string_view json) {
  constexpr std::string_view item = "items/[]";
  GcsPage page;
  GcsObject object;
  Status status = scan_json(json, [&](std::string_view path, std::string_view value) -> Status {
    if (path == "nextPageToken") page.next = value;
    if (!path.starts_with(item)) return {};
    if (path.size() == item.size()) {
      page.objects.push_back({.name = object.name,
                              .size = object.size,
                              .proof = proof_of(object),
                              .modified_ms = object.created_ms});
      object = {};
      return {};
    }
    return gcs_json::take(object, path.substr(item.size() + 1), value);
  });
  if (!status.ok()) return status;
  return page;
}

/// The CRC-32C that x-goog-hash tells of a download, as in GcsObject; empty if it tells none. There
/// may be several such headers, each with several hashes.
[[nodiscard]] inline std::string_view crc32c_header(const HttpResponse& response) noexcept {
  constexpr std::string_view mark = "crc32c=";
  for (const HttpHeader& header : response.headers) {
    if (!same_header_name(header.name, "X-Goog-Hash")) continue;
    const std::string_view value = header.value;
    const std::size_t at = value.find(mark);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = value.substr(at + mark.size());
    return rest.substr(0, rest.find(','));
  }
  return {};
}

/// What a 308 says it has: the bytes from the beginning up to this; nothing if the header is none.
/// Without a Range it has none.
[[nodiscard]] inline std::optional<std::uint64_t> kept_bytes(const HttpResponse& response) {
  const auto range = response.header("Range");
  if (!range) return 0;
  constexpr std::string_view mark = "bytes=0-";
  if (!range->starts_with(mark)) return std::nullopt;
  const auto last = parse_size(range->substr(mark.size()));
  if (!last || *last == ~std::uint64_t{0}) return std::nullopt;
  return *last + 1;
}

}  // namespace kvbackup::inline v1::detail
