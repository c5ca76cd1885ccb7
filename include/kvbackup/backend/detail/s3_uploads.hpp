// SPDX-License-Identifier: Apache-2.0
// Ending uploads in parts that will never be completed.
#pragma once

#include "kvbackup/backend/detail/s3_client.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/net/time_text.hpp"
#include "kvbackup/net/xml.hpp"

#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_POSIX
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbackup::inline v1::detail {

/// For requests that clean up, also after a cancel: little patience, since a lifecycle rule of the
/// bucket does the rest.
inline constexpr RetryOptions ending_retry{
    .attempts = 5, .first_wait_ms = 200, .longest_wait_ms = 2'000, .budget_ms = 30'000};

template <HttpTransport Transport>
void warn_of_upload(S3Client<Transport>& client, const Status& why) {
  NetObserver* observer = client.options().observer;
  if (observer == nullptr) return;
  observer->on_warning("an unfinished upload may stay behind: " + why.to_string());
}

/// Ends an upload; ok if it is gone.
template <HttpTransport Transport>
[[nodiscard]] Status end_upload(S3Client<Transport>& client, const std::string& key,
                                const std::string& upload_id) {
  S3Call abort;
  abort.method = "DELETE";
  abort.key = key;
  abort.query = {{"uploadId", upload_id}};
  abort.doing = "end the upload in parts";
  abort.right = "s3:AbortMultipartUpload";
  abort.retry = &ending_retry;
  S3Answer answer = client.call(abort);
  if (answer.response.status == 404) return {};
  return std::move(answer.status);
}

template <HttpTransport Transport>
void abort_upload(S3Client<Transport>& client, const std::string& key,
                  const std::string& upload_id) {
  const Status status = end_upload(client, key, upload_id);
  if (!status.ok()) warn_of_upload(client, status);
}

struct S3Upload {
  std::string key;
  std::string id;
  std::optional<std::uint64_t> began_ms;  // by the server's clock
};

/// One page of ListMultipartUploads. Both markers are empty if it is the last.
struct S3UploadPage {
  std::vector<S3Upload> uploads;
  std::string next_key;
  std::string next_id;
};

[[nodiscard]] inline Result<S3UploadPage> read_s3_uploads(std::string_view xml) {
  S3UploadPage page;
  S3Upload upload;
  bool truncated = false;
  Status status = scan_xml(xml, [&](std::string_view path, std::string_view text) {
    if (path == "ListMultipartUploadsResult/Upload/Key") upload.key = text;
    if (path == "ListMultipartUploadsResult/Upload/UploadId") upload.id = text;
    if (path == "ListMultipartUploadsResult/Upload/Initiated") {
      upload.began_ms = parse_iso_time(text);
    }
    if (path == "ListMultipartUploadsResult/Upload") {
      page.uploads.push_back(std::exchange(upload, {}));
    }
    if (path == "ListMultipartUploadsResult/IsTruncated") truncated = text == "true";
    if (path == "ListMultipartUploadsResult/NextKeyMarker") page.next_key = text;
    if (path == "ListMultipartUploadsResult/NextUploadIdMarker") page.next_id = text;
    return Status();
  });
  if (!status.ok()) return status;
  if (truncated && page.next_key.empty()) {
    return Status::error(StatusCode::corruption, "a page of the list does not say what follows");
  }
  if (!truncated) page.next_key = page.next_id = std::string();
  return page;
}

/// All unfinished uploads of keys that start with `prefix`.
template <HttpTransport Transport>
[[nodiscard]] Result<std::vector<S3Upload>> list_uploads(S3Client<Transport>& client,
                                                         const std::string& prefix) {
  // a page has up to 1,000
  constexpr std::size_t most_pages = 1'000;
  std::vector<S3Upload> uploads;
  S3UploadPage page;
  for (std::size_t pages = 0; pages < most_pages; ++pages) {
    S3Call list;
    list.method = "GET";
    list.query = {{"uploads", ""}, {"prefix", prefix}};
    if (!page.next_key.empty()) list.query.emplace_back("key-marker", page.next_key);
    if (!page.next_id.empty()) list.query.emplace_back("upload-id-marker", page.next_id);
    list.xml_answer = true;
    list.doing = "list the unfinished uploads";
    list.right = "s3:ListBucketMultipartUploads";
    list.cancel = client.options().cancel;
    S3Answer answer = client.call(list);
    if (!answer.status.ok()) return std::move(answer.status);
    auto read = read_s3_uploads(answer.response.body);
    if (!read.ok()) return std::move(read).status().with_object(client.place(prefix));
    page = std::move(read).value();
    std::move(page.uploads.begin(), page.uploads.end(), std::back_inserter(uploads));
    if (page.next_key.empty()) return uploads;
  }
  return Status::error(StatusCode::resource_exhausted,
                       "there are more unfinished uploads than are listed (a million)")
      .with_object(client.place(prefix));
}

/// Ends the uploads of `key` that the server began for requests whose answers were lost: those
/// since `began_ns` of the steady clock, by the server's own clock, but for `kept`. One that
/// another writer began for the same key in that time is taken for ours.
template <HttpTransport Transport>
void end_lost_uploads(S3Client<Transport>& client, const std::string& key, const std::string& kept,
                      std::uint64_t began_ns) {
  constexpr std::uint64_t slack_ms = 2'000;  // times are in whole seconds
  S3Call list;
  list.method = "GET";
  list.query = {{"uploads", ""}, {"prefix", key}};
  list.xml_answer = true;
  list.doing = "list the unfinished uploads";
  list.right = "s3:ListBucketMultipartUploads";
  list.retry = &ending_retry;
  S3Answer answer = client.call(list);
  if (!answer.status.ok()) return warn_of_upload(client, answer.status);
  const auto uploads = read_s3_uploads(answer.response.body);
  if (!uploads.ok()) return warn_of_upload(client, uploads.status());
  const auto date = answer.response.header("Date");
  const std::uint64_t now =
      (date ? parse_http_date(*date) : std::nullopt).value_or(client.options().clock->unix_ms());
  // until this answer, which may have been long in coming
  const std::uint64_t elapsed_ms = (client.options().clock->steady_ns() - began_ns) / 1'000'000;
  const std::uint64_t since = now - std::min(now, elapsed_ms + slack_ms);
  for (const S3Upload& each : uploads.value().uploads) {
    if (each.key != key || each.id == kept || each.began_ms.value_or(0) < since) continue;
    abort_upload(client, key, each.id);
  }
}

}  // namespace kvbackup::inline v1::detail
#endif
