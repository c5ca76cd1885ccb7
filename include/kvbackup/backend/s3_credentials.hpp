// SPDX-License-Identifier: Apache-2.0
// Where the keys that sign S3 requests come from.
#pragma once

#include "kvbackup/backend/detail/s3_profile.hpp"
#include "kvbackup/backend/s3_options.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/json_fields.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/net/sigv4.hpp"
#include "kvbackup/net/time_text.hpp"
#include "kvbackup/net/url.hpp"
#include "kvbackup/net/xml.hpp"

#if KVBACKUP_WITH_OPENSSL
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbackup::inline v1 {

/// Keys and when they end.
struct S3Credentials {
  SigV4Keys keys;
  /// Unix milliseconds; keys that do not end have the largest number.
  std::uint64_t expires_unix_ms = std::numeric_limits<std::uint64_t>::max();
};

/// The chain in which the AWS tools look for credentials: those given; AWS_ACCESS_KEY_ID,
/// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; the profile of ~/.aws/credentials and ~/.aws/config
/// (keys, or a role with a web identity token file); AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN;
/// the container's endpoint (ECS, EKS); the instance's (IMDSv2). The first that has any is taken.
///
/// Thread-safe. Credentials are fetched when they are first asked for, and anew five minutes before
/// they end. Profiles that name credential_process, SSO or source_profile are not supported.
template <HttpTransport Transport>
class S3CredentialChain {
 public:
  /// The seams of `options` must be set, and outlive this, as must `transport`.
  S3CredentialChain(const S3Options& options, Transport& transport)
      : options_(options), transport_(transport) {}

  /// Keys that are good for now. Errors: permission_denied if there are none; what a source
  /// answers.
  Result<SigV4Keys> get() {
    const MutexLock lock(mutex_);
    const std::uint64_t now = options_.clock->unix_ms();
    const bool known = current_.has_value();
    if (known && now + refresh_before_ms < current_->expires_unix_ms) return current_->keys;
    auto fetched = find();
    if (fetched.ok()) {
      current_ = std::move(fetched).value();
      return current_->keys;
    }
    // the old ones are good for some minutes yet, and the next request asks again
    if (known && now < current_->expires_unix_ms) return current_->keys;
    return std::move(fetched).status();
  }

  /// A server refused `refused`: whether get() gives other keys now. Asks where the keys come from,
  /// unless another thread did.
  [[nodiscard]] bool renew(const SigV4Keys& refused) {
    const MutexLock lock(mutex_);
    if (current_ && current_->keys != refused) return true;
    auto fetched = find();
    if (!fetched.ok() || fetched.value().keys == refused) return false;
    current_ = std::move(fetched).value();
    return true;
  }

  static constexpr std::uint64_t refresh_before_ms = 5 * 60 * 1'000;

 private:
  using Found = Result<std::optional<S3Credentials>>;

  Result<S3Credentials> find() {
    if (!options_.access_key.empty()) {
      return S3Credentials{
          {options_.access_key, options_.secret_access_key, options_.session_token}};
    }
    const auto next = {&S3CredentialChain::from_variables, &S3CredentialChain::from_profile,
                       &S3CredentialChain::from_token_variables, &S3CredentialChain::from_container,
                       &S3CredentialChain::from_instance};
    for (const auto source : next) {
      auto found = (this->*source)();
      if (!found.ok()) return std::move(found).status();
      if (found.value()) return std::move(*found.value());
    }
    return Status::error(
        StatusCode::permission_denied,
        "there are no S3 credentials: give access_key and secret_access_key, or set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials");
  }

  Found from_variables() {
    const auto access = variable("AWS_ACCESS_KEY_ID");
    const auto secret = variable("AWS_SECRET_ACCESS_KEY");
    if (!access || !secret) return std::optional<S3Credentials>();
    return std::optional(
        S3Credentials{{*access, *secret, variable("AWS_SESSION_TOKEN").value_or(std::string())}});
  }

  Found from_profile() {
    const auto found = detail::find_profile(*options_.environment, options_.profile);
    if (!found.ok()) return found.status();
    const detail::AwsProfile& profile = found.value();
    SigV4Keys keys{detail::setting(profile, "aws_access_key_id"),
                   detail::setting(profile, "aws_secret_access_key"),
                   detail::setting(profile, "aws_session_token")};
    if (!keys.access_key.empty() && !keys.secret_key.empty()) {
      return std::optional(S3Credentials{std::move(keys)});
    }
    const std::string file = detail::setting(profile, "web_identity_token_file");
    const std::string role = detail::setting(profile, "role_arn");
    if (!file.empty() && !role.empty()) {
      return assume_role(file, role, detail::setting(profile, "role_session_name"));
    }
    const bool named = !options_.profile.empty() || variable("AWS_PROFILE").has_value();
    if (!named) return std::optional<S3Credentials>();
    return Status::error(StatusCode::unsupported,
                         "the profile holds no keys and no role with web_identity_token_file; "
                         "credential_process, sso and source_profile are not supported");
  }

  Found from_token_variables() {
    const auto file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    const auto role = variable("AWS_ROLE_ARN");
    if (!file || !role) return std::optional<S3Credentials>();
    return assume_role(*file, *role, variable("AWS_ROLE_SESSION_NAME").value_or(std::string()));
  }

  /// STS AssumeRoleWithWebIdentity; the token is what proves it, so the request is not signed.
  Found assume_role(const std::string& file, const std::string& role, std::string session) {
    const auto token = options_.environment->file(file);
    if (!token.ok()) return token.status();
    if (session.empty()) session = "kvbackup";
    const std::string form =
        encode_query({{"Action", "AssumeRoleWithWebIdentity"},
                      {"Version", "2011-06-15"},
                      {"RoleArn", role},
                      {"RoleSessionName", session},
                      {"WebIdentityToken", std::string(detail::trimmed(token.value()))}});
    HttpRequest request = request_of("POST", sts_url());
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.body = form;
    const auto answer = fetch(request, "assume the role of the web identity token");
    if (!answer.ok()) return answer.status();
    S3Credentials credentials;
    std::string expires;
    Status status = scan_xml(answer.value(), [&](std::string_view path, std::string_view text) {
      if (path.ends_with("/Credentials/AccessKeyId")) credentials.keys.access_key = text;
      if (path.ends_with("/Credentials/SecretAccessKey")) credentials.keys.secret_key = text;
      if (path.ends_with("/Credentials/SessionToken")) credentials.keys.session_token = text;
      if (path.ends_with("/Credentials/Expiration")) expires = text;
      return Status();
    });
    if (!status.ok()) return status;
    return checked(std::move(credentials), expires);
  }
  [[nodiscard]] std::string sts_url() {
    if (const auto url = variable("AWS_ENDPOINT_URL_STS")) return *url;
    const std::string region =
        options_.region.empty() ? variable("AWS_REGION").value_or("us-east-1") : options_.region;
    return "https://sts." + percent_encode(region) + ".amazonaws.com" +
           (region.starts_with("cn-") ? ".cn/" : "/");
  }

  Found from_container() {
    HttpRequest request;
    if (const auto path = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")) {
      if (!path->starts_with('/')) return bad_container_uri();
      request = request_of("GET", "http://169.254.170.2" + *path);
    } else if (const auto uri = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
      const auto url = parse_url(*uri);
      if (!url.ok() || !may_ask(url.value())) return bad_container_uri();
      request = request_of("GET", *uri);
    } else {
      return std::optional<S3Credentials>();
    }
    request.no_proxy = true;
    std::string token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").value_or(std::string());
    if (const auto file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
      auto text = options_.environment->file(*file);
      if (!text.ok()) return std::move(text).status();
      token = detail::trimmed(text.value());
    }
    if (!token.empty()) request.headers = {{"Authorization", token}};
    const auto answer = fetch(request, "get the container's credentials");
    if (!answer.ok()) return answer.status();
    return read_json(answer.value());
  }
  /// Credentials go over TLS, or do not leave the machine and its host.
  [[nodiscard]] static bool may_ask(const Url& url) {
    constexpr std::string_view near[] = {"localhost",     "127.0.0.1",      "[::1]",
                                         "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    return url.tls || std::find(std::begin(near), std::end(near), url.host) != std::end(near);
  }
  KVBACKUP_DETAIL_COLD static Status bad_container_uri() {
    return Status::error(StatusCode::invalid_argument,
                         "the address of the container's credentials in the environment is neither "
                         "https nor one of this machine; check AWS_CONTAINER_CREDENTIALS_FULL_URI");
  }

  /// Not being on such an instance is no error: then there are no credentials.
  Found from_instance() {
    if (variable("AWS_EC2_METADATA_DISABLED") == "true") return std::optional<S3Credentials>();
    std::string base =
        variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or("http://169.254.169.254");
    while (base.ends_with('/')) base.pop_back();
    HttpRequest request = request_of("PUT", base + "/latest/api/token");
    request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}};
    request.no_proxy = true;
    request.timeouts = {.connect_ms = 1'000, .idle_ms = 2'000};
    const auto token = transport_.perform(request);
    if (token.status().code() == StatusCode::cancelled) return token.status();
    if (!token.ok() || token.value().status != 200) return std::optional<S3Credentials>();
    request.method = "GET";
    request.headers = {{"X-aws-ec2-metadata-token", token.value().body}};
    base += "/latest/meta-data/iam/security-credentials/";
    request.url = base;
    const auto role = fetch(request, "get the name of the instance's role");
    if (!role.ok()) {
      if (role.status().code() == StatusCode::not_found) return std::optional<S3Credentials>();
      return role.status();
    }
    const std::string_view name = std::string_view(role.value()).substr(0, role.value().find('\n'));
    request.url = base + percent_encode(detail::trimmed(name));
    const auto answer = fetch(request, "get the instance's credentials");
    if (!answer.ok()) return answer.status();
    return read_json(answer.value());
  }

  Found read_json(std::string_view json) {
    S3Credentials credentials;
    std::string expires;
    Status status = scan_json(json, [&](std::string_view path, std::string_view value) {
      if (path == "AccessKeyId") credentials.keys.access_key = value;
      if (path == "SecretAccessKey") credentials.keys.secret_key = value;
      if (path == "Token") credentials.keys.session_token = value;
      if (path == "Expiration") expires = value;
      return Status();
    });
    if (!status.ok()) return status;
    return checked(std::move(credentials), expires);
  }
  static Found checked(S3Credentials credentials, const std::string& expires) {
    const auto end = parse_iso_time(expires);
    if (credentials.keys.access_key.empty() || credentials.keys.secret_key.empty() ||
        (!end && !expires.empty())) {
      return Status::error(
          StatusCode::corruption,
          "the answer with credentials lacks a key or has no proper time of expiry");
    }
    if (end) credentials.expires_unix_ms = *end;
    return std::optional(std::move(credentials));
  }

  [[nodiscard]] HttpRequest request_of(const char* method, std::string url) const {
    HttpRequest request;
    request.method = method;
    request.url = std::move(url);
    request.response_limit = 1u << 20;
    request.cancel = options_.cancel;
    return request;
  }

  /// The body of a 200.
  Result<std::string> fetch(const HttpRequest& request, std::string_view doing) {
    const RetryOptions policy{
        .attempts = 4, .first_wait_ms = 100, .longest_wait_ms = 2'000, .budget_ms = 30'000};
    // no observer: the chain's lock is held
    Retry retry(policy, {options_.clock, options_.random, options_.cancel, nullptr});
    while (true) {
      auto answer = transport_.perform(request);
      if (answer.ok() && answer.value().status == 200) return std::move(answer.value().body);
      Status status =
          answer.ok() ? refused(answer.value().status, doing) : std::move(answer).status();
      if (!retry.again(status)) return status;
    }
  }
  // Nothing of the body is shown: it is where tokens would be.
  KVBACKUP_DETAIL_COLD static Status refused(int http_status, std::string_view doing) {
    std::string message = "cannot ";
    message += doing;
    message += ": the endpoint answered ";
    message += std::to_string(http_status);
    return Status::error(http_status == 404 ? StatusCode::not_found : StatusCode::permission_denied,
                         std::move(message))
        .with_native(http_status)
        .as_retryable(is_retryable_http_status(http_status));
  }

  [[nodiscard]] std::optional<std::string> variable(const char* name) {
    return options_.environment->variable(name);
  }

  const S3Options& options_;
  Transport& transport_;
  Mutex mutex_;
  std::optional<S3Credentials> current_;  // under mutex_
};

}  // namespace kvbackup::inline v1
#endif
