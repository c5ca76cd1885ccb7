// SPDX-License-Identifier: Apache-2.0
// Requests to Cloud Storage: addressed, authorized, sent, judged, and sent again where that helps.
#pragma once

#include "kvbackup/backend/detail/gcs_reply.hpp"
#include "kvbackup/backend/gcs_options.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/base64.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/google_token.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/net/url.hpp"

#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_POSIX
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbackup::inline v1::detail {

/// A CRC-32C as Cloud Storage spells it.
[[nodiscard]] inline std::string gcs_crc32c(std::uint32_t crc) {
  char bytes[4];
  store(bytes, crc, std::endian::big);
  return base64_encode({bytes, sizeof bytes});
}

/// One request and how to speak of it.
struct GcsCall {
  std::string_view method;
  std::string url;
  std::vector<HttpHeader> headers;
  ByteView body;
  std::uint64_t response_limit = 16u << 20;
  std::string_view doing;  // completes "cannot ..."
  std::string_view right;  // the permission that a refusal lacks
  std::string place;       // what it is about, for messages
  const CancelToken* cancel = nullptr;
  const RetryOptions* retry = nullptr;  // null: the backend's
};

struct GcsAnswer {
  Status status;  // ok: the response has a 2xx
  HttpResponse response;
  bool maybe_done = false;  // an attempt may have been carried out, though no answer says so
};

/// Thread-safe. `options` are checked before the first call.
template <HttpTransport Transport>
class GcsClient {
 public:
  GcsClient(GcsOptions options, Transport transport)
      : options_(with_seams(std::move(options))),
        endpoint_(parse_endpoint(options_.endpoint)),
        transport_(std::move(transport)),
        tokens_(transport_, options_.credentials_blob, options_.anonymous, *options_.environment,
                options_.retry,
                {options_.clock, options_.random, options_.cancel, options_.observer,
                 "get an access token"},
                options_.timeouts) {}
  GcsClient(const GcsClient&) = delete;
  GcsClient& operator=(const GcsClient&) = delete;

  [[nodiscard]] const GcsOptions& options() const noexcept { return options_; }

  /// What can never work of the options.
  [[nodiscard]] Status check() const {
    constexpr std::uint64_t quantum = 256 * 1024;
    const auto refuse = [](const char* why) {
      return Status::error(StatusCode::invalid_argument, why);
    };
    const auto known = [](const std::string& value, const auto& values) {
      return value.empty() ||
             std::find(std::begin(values), std::end(values), value) != std::end(values);
    };
    if (options_.bucket.empty()) return refuse("the option bucket of the GCS storage is empty");
    for (const char c : options_.bucket) {
      if (!is_unreserved(c) || c == '~') {
        return refuse("the option bucket holds what is neither a letter, a digit, - . nor _");
      }
    }
    if (!is_utf8(options_.prefix)) return refuse("the option prefix is not UTF-8");
    if (!endpoint_.ok()) return endpoint_.status();
    if (!endpoint_.value().query.empty()) return refuse("the option endpoint has a query");
    if (!known(options_.storage_class, gcs_storage_classes)) {
      return refuse(
          "the option storage_class of the GCS storage is none of STANDARD, NEARLINE, "
          "COLDLINE, ARCHIVE, DURABLE_REDUCED_AVAILABILITY, REGIONAL, MULTI_REGIONAL");
    }
    if (!known(options_.predefined_acl, gcs_predefined_acls)) {
      return refuse(
          "the option predefined_acl of the GCS storage is none of authenticatedRead, "
          "bucketOwnerFullControl, bucketOwnerRead, private, projectPrivate, publicRead");
    }
    if (options_.chunk_size == 0 || options_.chunk_size % quantum != 0 ||
        options_.chunk_size > (1u << 30)) {
      return refuse(
          "the option chunk_size of the GCS storage is no multiple of 256 KiB from one "
          "to 1 GiB");
    }
    return {};
  }

  /// A call about the object `key`, or about the bucket where it is empty.
  [[nodiscard]] GcsCall object_call(std::string_view method, std::string_view key,
                                    const QueryParameters& query, std::string_view doing,
                                    std::string_view right) const {
    std::string path = "/storage/v1/b/" + options_.bucket + "/o";
    if (!key.empty()) path += '/' + percent_encode(key);
    return make_call(method, std::move(path), query, key, doing, right);
  }
  /// A call that begins an upload of `key`.
  [[nodiscard]] GcsCall upload_call(std::string_view key, const QueryParameters& query,
                                    std::string_view doing) const {
    return make_call("POST", "/upload/storage/v1/b/" + options_.bucket + "/o", query, key, doing,
                     "storage.objects.create, and storage.objects.delete where it replaces one");
  }

  /// Sends it once, but again with a new token if the one it had is refused. Any status is an
  /// answer.
  Result<HttpResponse> once(const GcsCall& call) {
    HttpRequest request;
    request.method = call.method;
    request.url = call.url;
    request.body = call.body;
    request.response_limit = call.response_limit;
    request.timeouts = options_.timeouts;
    request.cancel = call.cancel;
    if (!is_at_endpoint(call.url)) {  // a session's URL stands for itself
      request.headers = call.headers;
      return transport_.perform(request);
    }
    // several, since threads renew it side by side: the next may be as old as the one refused
    for (int left = most_tokens; true; --left) {
      auto token = tokens_.token();
      if (!token.ok()) return std::move(token).status();
      request.headers = call.headers;
      if (!token.value().empty()) {
        request.headers.push_back({"Authorization", "Bearer " + token.value()});
      }
      auto response = transport_.perform(request);
      const bool refused = response.ok() && response.value().status == 401;
      if (!refused || left == 1 || token.value().empty()) return response;
      tokens_.refused(token.value());
    }
  }

  [[nodiscard]] GcsAnswer call(const GcsCall& call) {
    GcsAnswer answer;
    for (Retry retry(call.retry != nullptr ? *call.retry : options_.retry,
                     seams(call.cancel, call.doing));
         ;) {
      std::optional<std::uint64_t> after;
      auto response = once(call);
      if (response.ok()) {
        answer.response = std::move(response).value();
        answer.status = Status();
        if (answer.response.status / 100 == 2) return answer;
        answer.status = failure_of(call, answer.response);
        after = retry_after(answer.response);
        answer.maybe_done = answer.maybe_done || answer.response.status >= 500;
      } else {
        answer.response = {};
        answer.status = std::move(response).status();
        answer.maybe_done = true;
      }
      if (!retry.again(answer.status, after)) {
        answer.status = std::move(answer.status).with_object(call.place);
        return answer;
      }
    }
  }

  /// What the server says of an object; also after a cancel if `always`.
  Result<GcsObject> stat(std::string_view key, bool always = false) {
    GcsCall stat = object_call("GET", key, {}, "look for the object", "storage.objects.get");
    if (always) {
      stat.cancel = nullptr;
      stat.retry = &ending_retry;
    }
    GcsAnswer answer = call(stat);
    if (!answer.status.ok()) return std::move(answer.status);
    auto object = read_gcs_object(answer.response.body);
    if (object.ok()) return object;
    return std::move(object).status().with_object(stat.place);
  }

  [[nodiscard]] Status failure_of(const GcsCall& call, const HttpResponse& response) {
    return gcs_failure(response, call.doing, call.right, tokens_.last());
  }
  [[nodiscard]] RetrySeams seams(const CancelToken* cancel,
                                 std::string_view operation) const noexcept {
    return {options_.clock, options_.random, cancel, options_.observer, operation};
  }
  [[nodiscard]] std::optional<std::uint64_t> retry_after(const HttpResponse& response) const {
    return retry_after_ms(response, options_.clock->unix_ms());
  }

  /// "gcs://bucket/key", for messages.
  [[nodiscard]] std::string place(std::string_view key) const {
    std::string out = "gcs://" + options_.bucket;
    if (!key.empty()) {
      out += '/';
      out += key;
    }
    return out;
  }

  /// Whether a URL that the server gave may be used: one without encryption not in place of one
  /// with it.
  [[nodiscard]] bool may_go_to(std::string_view text) const {
    const auto url = parse_url(text);
    return url.ok() && (url.value().tls || !endpoint_.value().tls);
  }

  /// With little patience: what is left is no object, and ends by itself.
  static constexpr RetryOptions ending_retry{
      .attempts = 5, .first_wait_ms = 200, .longest_wait_ms = 2'000, .budget_ms = 30'000};

 private:
  static constexpr int most_tokens = 3;

  static GcsOptions with_seams(GcsOptions options) {
    if (options.clock == nullptr) options.clock = &system_clock();
    if (options.environment == nullptr) options.environment = &process_environment();
    if (options.random == nullptr) options.random = &process_random();
    return options;
  }

  static Result<Url> parse_endpoint(std::string_view text) {
    if (text.empty()) text = "https://storage.googleapis.com";
    while (text.ends_with('/')) text.remove_suffix(1);
    for (const std::string_view tail : {"/upload/storage/v1", "/storage/v1"}) {
      if (text.ends_with(tail)) {
        text.remove_suffix(tail.size());
        break;
      }
    }
    auto url = parse_url(text);
    if (url.ok()) return url;
    std::string message = "the option endpoint of the GCS storage cannot be used: ";
    message += url.status().message();
    return Status::error(StatusCode::invalid_argument, std::move(message));
  }

  [[nodiscard]] GcsCall make_call(std::string_view method, std::string path,
                                  const QueryParameters& query, std::string_view key,
                                  std::string_view doing, std::string_view right) const {
    Url url = endpoint_.value();
    while (url.path.ends_with('/')) url.path.pop_back();
    url.path += path;
    url.query = encode_query(query);
    GcsCall call;
    call.method = method;
    call.url = url.to_string();
    call.doing = doing;
    call.right = right;
    call.place = place(key);
    call.cancel = options_.cancel;
    return call;
  }

  /// Whether the token may be shown there.
  [[nodiscard]] bool is_at_endpoint(std::string_view text) const {
    const auto url = parse_url(text);
    const Url& endpoint = endpoint_.value();
    return url.ok() && url.value().tls == endpoint.tls && url.value().host == endpoint.host &&
           url.value().port == endpoint.port;
  }

  const GcsOptions options_;
  const Result<Url> endpoint_;
  Transport transport_;
  GoogleTokenSource<Transport> tokens_;
};

}  // namespace kvbackup::inline v1::detail
#endif
