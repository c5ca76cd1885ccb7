// SPDX-License-Identifier: Apache-2.0
// OAuth 2.0 access tokens for Google's services.
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/google_credentials.hpp"
#include "kvbackup/net/json_fields.hpp"
#include "kvbackup/net/jwt.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/net/url.hpp"

#if KVBACKUP_WITH_OPENSSL
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace kvbackup::inline v1 {

/// Gives tokens and renews them. Thread-safe; touches nothing before the first token is asked for.
/// Everything it is given by pointer or reference must outlive it.
template <HttpTransport Transport>
class GoogleTokenSource {
 public:
  /// Reads and writes objects, nothing more.
  static constexpr std::string_view scope = "https://www.googleapis.com/auth/devstorage.read_write";
  /// A token is renewed when this little of its life is left.
  static constexpr std::uint64_t renew_before_s = 300;

  /// `blob`: see find_google_credentials. `anonymous`: every token is empty.
  GoogleTokenSource(Transport& transport, std::string blob, bool anonymous,
                    Environment& environment, const RetryOptions& retry, const RetrySeams& seams,
                    const HttpTimeouts& timeouts)
      : transport_(transport),
        blob_(std::move(blob)),
        environment_(environment),
        retry_(retry),
        seams_(seams),
        timeouts_(timeouts) {
    if (anonymous) credentials_.emplace();
  }

  /// A token that is good for some time yet; empty for anonymous access. Errors: permission_denied
  /// with what the token endpoint said; those of find_google_credentials.
  Result<std::string> token() {
    GoogleCredentials credentials;
    {
      const MutexLock lock(mutex_);
      if (!token_.empty() && seams_.clock->steady_ns() < renew_at_ns_) return token_;
      if (!credentials_) {
        auto found = find_google_credentials(blob_, environment_);
        if (!found.ok()) return std::move(found).status();
        credentials_ = std::move(found).value();
      }
      credentials = *credentials_;
    }
    if (credentials.kind == GoogleCredentialKind::anonymous) return std::string();
    // Without the lock: an observer may be told of retries. Two threads may both renew.
    const std::uint64_t asked_ns = seams_.clock->steady_ns();
    auto grant = ask(credentials);
    if (!grant.ok()) return std::move(grant).status();
    const std::uint64_t life_s = grant.value().life_s;
    const std::uint64_t used_s = life_s - std::min(renew_before_s, life_s / 2);
    const MutexLock lock(mutex_);
    token_ = std::move(grant.value().token);
    renew_at_ns_ = asked_ns + used_s * 1'000'000'000;
    return token_;
  }

  /// The token in use, without asking for one; may be empty.
  [[nodiscard]] std::string last() const {
    const MutexLock lock(mutex_);
    return token_;
  }

  /// The server answered 401 to `token`: it is not given again.
  void refused(std::string_view token) {
    const MutexLock lock(mutex_);
    if (token_ == token) token_.clear();
  }

 private:
  struct Grant {
    std::string token;
    std::uint64_t life_s = 0;
  };
  // Whatever a server says, a token is asked for anew after this time.
  static constexpr std::uint64_t longest_life_s = 12 * 3600;
  // Google's longest for an assertion (RFC 7523 leaves it open).
  static constexpr std::uint64_t assertion_life_s = 3600;

  Result<Grant> ask(const GoogleCredentials& credentials) {
    const bool machine = credentials.kind == GoogleCredentialKind::metadata_server;
    RetryOptions options = retry_;
    // most machines have no such server, and this should show before long
    if (machine) options.attempts = std::min(options.attempts, 3u);
    for (Retry retry(options, seams_);;) {
      HttpRequest request;
      request.timeouts = timeouts_;
      request.cancel = seams_.cancel;
      request.response_limit = 1u << 20;
      std::string form;  // lives as long as the request
      if (machine) {
        to_metadata_server(request, credentials);
      } else {
        auto made = make_form(credentials);
        if (!made.ok()) return std::move(made).status();
        form = std::move(made).value();
        request.method = "POST";
        request.url = credentials.token_uri;
        request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
        request.body = form;
      }
      auto response = transport_.perform(request);
      Status failure = response.status();
      std::optional<std::uint64_t> after;
      if (response.ok()) {
        auto grant = read(response.value(), credentials.kind);
        if (grant.ok()) return grant;
        failure = std::move(grant).status();
        after = retry_after_ms(response.value(), seams_.clock->unix_ms());
      }
      if (retry.again(failure, after)) continue;
      return machine && !response.ok() ? no_metadata_server(std::move(failure)) : failure;
    }
  }

  static void to_metadata_server(HttpRequest& request, const GoogleCredentials& credentials) {
    request.method = "GET";
    request.url = "http://" + credentials.metadata_host +
                  "/computeMetadata/v1/instance/service-accounts/default/token";
    request.headers = {{"Metadata-Flavor", "Google"}};
    request.no_proxy = true;
    // it is on the machine's own host, or not there at all
    request.timeouts.connect_ms = 1'000;
  }

  KVBACKUP_DETAIL_COLD static Status no_metadata_server(Status failure) {
    if (failure.code() == StatusCode::cancelled) return failure;
    std::string message =
        "no Google credentials: no key file was given (credentials_blob, credentials-file, "
        "GOOGLE_APPLICATION_CREDENTIALS), and the metadata server of this machine does not answer "
        "(";
    message += failure.message();
    message += ')';
    return Status::error(StatusCode::permission_denied, std::move(message))
        .with_native(failure.native_code());
  }

  /// A new assertion every time: a server may take each only once.
  Result<std::string> make_form(const GoogleCredentials& credentials) const {
    if (credentials.kind == GoogleCredentialKind::authorized_user) {
      return encode_query({{"grant_type", "refresh_token"},
                           {"client_id", credentials.client_id},
                           {"client_secret", credentials.client_secret},
                           {"refresh_token", credentials.refresh_token}});
    }
    const std::uint64_t now_s = seams_.clock->unix_ms() / 1'000;
    const JwtClaims claims{.issuer = credentials.client_email,
                           .scope = scope,
                           .audience = credentials.token_uri,
                           .issued_s = now_s,
                           .expires_s = now_s + assertion_life_s};
    auto assertion = make_jwt(claims, credentials.private_key, credentials.private_key_id);
    if (!assertion.ok()) return std::move(assertion).status();
    return encode_query({{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
                         {"assertion", std::move(assertion).value()}});
  }

  static Result<Grant> read(const HttpResponse& response, GoogleCredentialKind kind) {
    Grant grant;
    std::string life = "0";
    std::string error;
    const Status status =
        scan_json(response.body, [&](std::string_view path, std::string_view value) {
          if (path == "access_token") grant.token = value;
          if (path == "expires_in") life = value;
          if (path == "error") error = value;
          return Status();
        });
    if (response.status != 200) return refused_grant(response.status, status.ok() ? error : "");
    if (kind == GoogleCredentialKind::metadata_server &&
        response.header("Metadata-Flavor") != "Google") {
      return Status::error(StatusCode::permission_denied,
                           "what answers at the address of the metadata server is none");
    }
    std::from_chars(life.data(), life.data() + life.size(), grant.life_s);
    grant.life_s = std::min(grant.life_s, longest_life_s);
    // it becomes a header
    const bool usable = status.ok() && !grant.token.empty() && grant.token.size() < (16u << 10) &&
                        detail::is_visible_ascii(grant.token);
    if (usable) return grant;
    return Status::error(StatusCode::corruption,
                         "the token endpoint answered without an access token");
  }

  /// `error` is a word of RFC 6749, 5.2. The description beside it may repeat what was sent.
  KVBACKUP_DETAIL_COLD static Status refused_grant(int http_status, std::string_view error) {
    const bool passing = is_retryable_http_status(http_status);
    std::string message = "cannot get an access token: the token endpoint answered ";
    message += std::to_string(http_status);
    if (!error.empty() && error.size() <= 64 && detail::is_visible_ascii(error)) {
      message += ' ';
      message += error;
    }
    message += passing ? "; try again later"
                       : "; check that the key is not revoked, its account is enabled, and the "
                         "clock of this machine is right";
    return Status::error(passing ? StatusCode::unavailable : StatusCode::permission_denied,
                         std::move(message))
        .with_native(http_status)
        .as_retryable(passing);
  }

  Transport& transport_;
  const std::string blob_;
  Environment& environment_;
  const RetryOptions retry_;
  const RetrySeams seams_;
  const HttpTimeouts timeouts_;
  mutable Mutex mutex_;
  std::optional<GoogleCredentials> credentials_;  // under mutex_, as the rest
  std::string token_;
  std::uint64_t renew_at_ns_ = 0;
};

}  // namespace kvbackup::inline v1
#endif
