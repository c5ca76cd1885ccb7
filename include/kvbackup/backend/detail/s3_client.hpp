// SPDX-License-Identifier: Apache-2.0
// One S3 request: addressed, signed, sent, judged, and sent again where that helps.
#pragma once

#include "kvbackup/backend/detail/s3_reply.hpp"
#include "kvbackup/backend/s3_credentials.hpp"
#include "kvbackup/backend/s3_options.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/sha256_openssl.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/net/sigv4.hpp"
#include "kvbackup/net/time_text.hpp"
#include "kvbackup/net/url.hpp"

#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_POSIX
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbackup::inline v1::detail {

/// One request and how to speak of it.
struct S3Call {
  std::string_view method;
  std::string_view key;  // whole, not coded; empty: the bucket
  QueryParameters query;
  std::vector<HttpHeader> headers;
  ByteView body;
  std::string payload_sha256;  // of the body, in hex; empty: computed
  std::uint64_t response_limit = 16u << 20;
  bool xml_answer = false;  // a 2xx may turn out to be an <Error>
  bool once = false;        // as of HttpRequest
  std::string_view doing;   // completes "cannot ..."
  std::string_view right;   // the permission that a refusal lacks
  const CancelToken* cancel = nullptr;
  const RetryOptions* retry = nullptr;  // null: the backend's
};

struct S3Answer {
  Status status;  // ok: the response has a 2xx
  HttpResponse response;
  std::string code;         // of the server's error
  bool maybe_done = false;  // an attempt may have been carried out, though no answer says so
};

/// Thread-safe. `options` are checked before the first call.
template <HttpTransport Transport>
class S3Client {
 public:
  S3Client(S3Options options, Transport transport)
      : options_(with_seams(std::move(options))),
        transport_(std::move(transport)),
        credentials_(options_, transport_) {}
  S3Client(const S3Client&) = delete;
  S3Client& operator=(const S3Client&) = delete;

  [[nodiscard]] const S3Options& options() const noexcept { return options_; }

  /// What can never work of the options.
  [[nodiscard]] Status check() const {
    const auto refuse = [](const char* why) {
      return Status::error(StatusCode::invalid_argument, why);
    };
    constexpr std::uint64_t mib = 1u << 20;
    if (options_.bucket.empty()) return refuse("the option bucket of the S3 storage is empty");
    for (const char c : options_.bucket) {
      if (!is_unreserved(c) || c == '~') {
        return refuse("the option bucket holds what is neither a letter, a digit, - . nor _");
      }
    }
    if (!options_.endpoint.empty()) {
      const auto url = parse_url(options_.endpoint);
      if (!url.ok()) return url.status();
      if (!url.value().query.empty()) return refuse("the option endpoint has a query");
    }
    if (options_.access_key.empty() && !options_.secret_access_key.empty()) {
      return refuse("access_key not found: secret_access_key is given without it");
    }
    if (!options_.access_key.empty() && options_.secret_access_key.empty()) {
      return refuse("secret_access_key not found: access_key is given without it");
    }
    if (options_.part_size < 5 * mib || options_.part_size > 5 * 1024 * mib) {
      return refuse("the option part_size of the S3 storage is not between 5 MiB and 5 GiB");
    }
    if (options_.parts_in_flight == 0 || options_.parts_in_flight > 1'000) {
      return refuse("the option parts_in_flight of the S3 storage is not between 1 and 1000");
    }
    return {};
  }

  [[nodiscard]] S3Answer call(const S3Call& call) {
    const std::string hash = call.payload_sha256.empty()
                                 ? to_hex(as_bytes(OpensslSha256::of(call.body)))
                                 : call.payload_sha256;
    Corrections corrections;
    S3Answer answer;
    Retry retry(call.retry != nullptr ? *call.retry : options_.retry,
                {options_.clock, options_.random, call.cancel, options_.observer, call.doing});
    while (true) {
      std::optional<std::uint64_t> after;
      answer.code.clear();
      SigV4Keys keys;
      auto response = attempt(call, hash, keys);
      if (response.ok()) {
        answer.response = std::move(response).value();
        const bool success = answer.response.status / 100 == 2;
        const S3Error error =
            success && !call.xml_answer ? S3Error() : read_s3_error(answer.response);
        if (success && error.code.empty()) {
          answer.status = Status();
          return answer;
        }
        if (correct(answer.response, error, keys, corrections)) continue;
        answer.code = error.code;
        answer.status = s3_failure(answer.response, error, call.doing, call.right,
                                   {keys.secret_key, keys.session_token, keys.access_key});
        after = retry_after_ms(answer.response, options_.clock->unix_ms());
        // a server that says SlowDown has not begun
        answer.maybe_done = answer.maybe_done || answer.response.status == 200 ||
                            (answer.response.status >= 500 && error.code != "SlowDown");
      } else {
        answer.response = {};
        answer.status = std::move(response).status();
        answer.maybe_done = answer.maybe_done || answer.status.retryable() ||
                            answer.status.code() == StatusCode::cancelled;
      }
      if (!retry.again(answer.status, after)) {
        answer.status = std::move(answer.status).with_object(place(call.key));
        return answer;
      }
    }
  }

  /// "s3://bucket/key", for messages.
  [[nodiscard]] std::string place(std::string_view key) const {
    std::string out = "s3://" + options_.bucket;
    if (!key.empty()) {
      out += '/';
      out += key;
    }
    return out;
  }

 private:
  // what a server put right for this call, each once
  struct Corrections {
    bool region = false;
    bool clock = false;
    bool keys = false;
  };

  static S3Options with_seams(S3Options options) {
    if (options.clock == nullptr) options.clock = &system_clock();
    if (options.environment == nullptr) options.environment = &process_environment();
    if (options.random == nullptr) options.random = &process_random();
    return options;
  }

  /// `used`: the keys that it was signed with.
  Result<HttpResponse> attempt(const S3Call& call, const std::string& hash, SigV4Keys& used) {
    auto keys = credentials_.get();
    if (!keys.ok()) return std::move(keys).status();
    used = std::move(keys).value();
    const auto region = this->region();
    if (!region.ok()) return region.status();
    const Url url = address(call, region.value());
    const std::int64_t now =
        static_cast<std::int64_t>(options_.clock->unix_ms()) + clock_offset_ms_.load();
    const SigV4Scope scope{region.value(), "s3", now < 0 ? 0 : static_cast<std::uint64_t>(now)};
    std::vector<HttpHeader> headers = call.headers;
    headers.push_back({"x-amz-date", amz_date(scope.unix_ms)});
    headers.push_back({"x-amz-content-sha256", hash});
    if (!used.session_token.empty()) {
      headers.push_back({"x-amz-security-token", used.session_token});
    }
    headers.push_back({"Host", url.authority()});
    auto authorization =
        sigv4_authorization(used, scope, {call.method, url.path, call.query, headers, hash});
    if (!authorization.ok()) return std::move(authorization).status();
    headers.pop_back();  // the transport makes it of the URL
    headers.push_back({"Authorization", std::move(authorization).value()});
    HttpRequest request;
    request.method = call.method;
    request.url = url.to_string();
    request.headers = std::move(headers);
    request.body = call.body;
    request.response_limit = call.response_limit;
    request.timeouts = options_.timeouts;
    request.once = call.once;
    request.cancel = call.cancel;
    return transport_.perform(request);
  }

  [[nodiscard]] Url address(const S3Call& call, const std::string& region) const {
    Url url;
    if (options_.endpoint.empty()) {
      url.tls = true;
      url.host = "s3." + region + ".amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
      url.port = Url::default_port(true);
    } else {
      url = parse_url(options_.endpoint).value();
      while (url.path.ends_with('/')) url.path.pop_back();
    }
    // *.s3.amazonaws.com is a certificate for one label
    const bool dotted = url.tls && options_.bucket.find('.') != std::string::npos;
    const bool address =
        url.host.front() == '[' || url.host.find_first_not_of("0123456789.") == std::string::npos;
    if (options_.force_path_style || dotted || address) {
      url.path += '/';
      url.path += options_.bucket;
    } else {
      url.host = options_.bucket + '.' + url.host;
    }
    if (!call.key.empty() || url.path.empty()) url.path += '/';
    url.path += percent_encode(call.key, "/");
    url.query = encode_query(call.query);
    return url;
  }

  /// The region to sign for: the one found out, given, or set around us.
  Result<std::string> region() {
    const MutexLock lock(mutex_);
    if (!region_.empty()) return region_;
    std::string found = options_.region;
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
      if (found.empty()) found = options_.environment->variable(name).value_or(std::string());
    }
    if (found.empty() && options_.access_key.empty()) {
      auto profile = find_profile(*options_.environment, options_.profile);
      if (!profile.ok()) return std::move(profile).status();
      found = setting(profile.value(), "region");
    }
    region_ = found.empty() ? "us-east-1" : found;
    if (!is_host(region_)) {
      region_.clear();
      return Status::error(StatusCode::invalid_argument,
                           "the region is no word of letters, digits and -; check the option "
                           "region and AWS_REGION");
    }
    return region_;
  }

  /// Whether the answer says what to do better; then the call is made again at once.
  [[nodiscard]] bool correct(const HttpResponse& response, const S3Error& error,
                             const SigV4Keys& keys, Corrections& done) {
    if (!done.region && !error.region.empty() && is_host(error.region)) {
      const MutexLock lock(mutex_);
      if (error.region != region_ && (response.status == 301 || response.status == 400 ||
                                      response.status == 403 || response.status == 307)) {
        region_ = error.region;
        done.region = true;
        return true;
      }
    }
    if (!done.clock && correct_clock(response, error)) return done.clock = true;
    // Not all servers say ExpiredToken; Ceph's says AccessDenied, and an answer to HEAD nothing.
    const bool refused = response.status == 403 || response.status == 401 ||
                         error.code == "ExpiredToken" || error.code == "TokenRefreshRequired";
    if (done.keys || !refused || error.code == "RequestTimeTooSkewed") return false;
    done.keys = true;
    return credentials_.renew(keys);
  }

  /// Dates requests by the server's clock, if ours is what it refuses.
  [[nodiscard]] bool correct_clock(const HttpResponse& response, const S3Error& error) {
    // the answer to a HEAD tells no code; servers take 15 minutes
    constexpr std::int64_t large = 5 * 60 * 1'000;
    const auto text = response.header("Date");
    const auto date = text ? parse_http_date(*text) : std::nullopt;
    if (!date) return false;
    const std::int64_t offset =
        static_cast<std::int64_t>(*date) - static_cast<std::int64_t>(options_.clock->unix_ms());
    const std::int64_t change = offset - clock_offset_ms_.load();
    const bool silent =
        error.code.empty() && response.status == 403 && (change > large || change < -large);
    if (error.code != "RequestTimeTooSkewed" && !silent) return false;
    clock_offset_ms_ = offset;
    if (options_.observer != nullptr && !warned_.exchange(true)) {
      const std::int64_t seconds = (offset < 0 ? -offset : offset) / 1'000;
      options_.observer->on_warning(
          "the clock of this machine is " + std::to_string(seconds) + " s " +
          (offset < 0 ? "ahead of" : "behind") +
          " the S3 server's; requests are dated by the server's, but set the clock");
    }
    return true;
  }

  const S3Options options_;
  Transport transport_;
  S3CredentialChain<Transport> credentials_;
  std::atomic<std::int64_t> clock_offset_ms_{0};  // the server's clock less ours
  std::atomic<bool> warned_{false};
  Mutex mutex_;
  std::string region_;  // under mutex_; empty until it is needed
};

}  // namespace kvbackup::inline v1::detail
#endif
