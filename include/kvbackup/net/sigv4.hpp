// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4 in the form that S3 asks for: the path is signed as it is sent.
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/sha256_openssl.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/hmac.hpp"
#include "kvbackup/net/time_text.hpp"
#include "kvbackup/net/url.hpp"

#if KVBACKUP_WITH_OPENSSL
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbackup::inline v1 {

/// Who signs. session_token is empty but for temporary credentials.
struct SigV4Keys {
  std::string access_key;
  std::string secret_key;
  std::string session_token;

  friend bool operator==(const SigV4Keys&, const SigV4Keys&) = default;
};

/// What a signature is good for.
struct SigV4Scope {
  std::string region;
  std::string service;        ///< "s3"
  std::uint64_t unix_ms = 0;  ///< when; servers allow some 15 minutes of difference
};

/// The parts of a request that are signed.
struct SigV4Request {
  std::string_view method;
  std::string_view path;  ///< as it is sent: percent-coded, begins with a slash
  QueryParameters query;  ///< not coded
  /// Every one is signed: "host", each x-amz-* header, and whatever else shall not be changed on
  /// its way.
  std::vector<HttpHeader> headers;
  /// The SHA-256 of the body in hex, or "UNSIGNED-PAYLOAD".
  std::string_view payload;
};

namespace detail {

[[nodiscard]] inline std::string canonical_query(const QueryParameters& query) {
  QueryParameters coded;
  coded.reserve(query.size());
  for (const auto& [name, value] : query) {
    coded.emplace_back(percent_encode(name), percent_encode(value));
  }
  std::sort(coded.begin(), coded.end());
  std::string out;
  for (const auto& [name, value] : coded) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

/// Without blanks around it, and with one blank where there are several.
[[nodiscard]] inline std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += c;
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// Lower-case names, sorted; the values of one name joined by commas.
[[nodiscard]] inline std::vector<HttpHeader> canonical_headers(
    const std::vector<HttpHeader>& headers) {
  std::vector<HttpHeader> sorted;
  sorted.reserve(headers.size());
  for (const HttpHeader& header : headers) {
    std::string name = header.name;
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    sorted.push_back({std::move(name), canonical_value(header.value)});
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const HttpHeader& a, const HttpHeader& b) { return a.name < b.name; });
  std::vector<HttpHeader> joined;
  for (HttpHeader& header : sorted) {
    if (!joined.empty() && joined.back().name == header.name) {
      joined.back().value += ',';
      joined.back().value += header.value;
    } else {
      joined.push_back(std::move(header));
    }
  }
  return joined;
}

[[nodiscard]] inline std::string signed_header_names(const std::vector<HttpHeader>& canonical) {
  std::string out;
  for (const HttpHeader& header : canonical) {
    if (!out.empty()) out += ';';
    out += header.name;
  }
  return out;
}

[[nodiscard]] inline std::string canonical_request(const SigV4Request& request,
                                                   const std::vector<HttpHeader>& canonical) {
  std::string out(request.method);
  out += '\n';
  out += request.path;
  out += '\n';
  out += canonical_query(request.query);
  out += '\n';
  for (const HttpHeader& header : canonical) {
    out += header.name;
    out += ':';
    out += header.value;
    out += '\n';
  }
  out += '\n';
  out += signed_header_names(canonical);
  out += '\n';
  out += request.payload;
  return out;
}

[[nodiscard]] inline std::string scope_text(const SigV4Scope& scope) {
  std::string out = amz_date(scope.unix_ms).substr(0, 8);
  out += '/';
  out += scope.region;
  out += '/';
  out += scope.service;
  out += "/aws4_request";
  return out;
}

[[nodiscard]] inline Result<std::string> sigv4_signature(const SigV4Keys& keys,
                                                         const SigV4Scope& scope,
                                                         const std::string& canonical_request) {
  const std::string date = amz_date(scope.unix_ms);
  std::string to_sign = "AWS4-HMAC-SHA256\n";
  to_sign += date;
  to_sign += '\n';
  to_sign += scope_text(scope);
  to_sign += '\n';
  append_hex(to_sign, as_bytes(OpensslSha256::of(canonical_request)));
  std::string key = "AWS4" + keys.secret_key;
  const std::array<std::string_view, 5> steps{std::string_view(date).substr(0, 8), scope.region,
                                              scope.service, "aws4_request", to_sign};
  for (const std::string_view step : steps) {
    const auto digest = hmac_sha256(key, step);
    if (!digest) {
      return Status::error(StatusCode::unsupported,
                           "OpenSSL cannot compute HMAC-SHA-256; check its providers");
    }
    key.assign(digest->data(), digest->size());
  }
  return to_hex(key);
}

}  // namespace detail

/// The value of the Authorization header. `request.headers` must hold host and x-amz-date (of
/// scope.unix_ms), and x-amz-security-token where there is a session token. Errors: unsupported if
/// OpenSSL has no HMAC-SHA-256.
[[nodiscard]] inline Result<std::string> sigv4_authorization(const SigV4Keys& keys,
                                                             const SigV4Scope& scope,
                                                             const SigV4Request& request) {
  const auto canonical = detail::canonical_headers(request.headers);
  auto signature =
      detail::sigv4_signature(keys, scope, detail::canonical_request(request, canonical));
  if (!signature.ok()) return signature;
  std::string out = "AWS4-HMAC-SHA256 Credential=";
  out += keys.access_key;
  out += '/';
  out += detail::scope_text(scope);
  out += ", SignedHeaders=";
  out += detail::signed_header_names(canonical);
  out += ", Signature=";
  out += signature.value();
  return out;
}

/// The whole query of a presigned URL that is good for `expires_seconds` (at most a week): that of
/// the request and the signature. Whoever has it can make the request, so it is a secret.
[[nodiscard]] inline Result<QueryParameters> sigv4_presign(const SigV4Keys& keys,
                                                           const SigV4Scope& scope,
                                                           SigV4Request request,
                                                           std::uint32_t expires_seconds) {
  constexpr std::uint32_t week = 7 * 24 * 3'600;
  if (expires_seconds == 0 || expires_seconds > week) {
    return Status::error(StatusCode::invalid_argument,
                         "a presigned URL is good for 1 second to 7 days");
  }
  const auto canonical = detail::canonical_headers(request.headers);
  QueryParameters& query = request.query;
  query.emplace_back("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
  query.emplace_back("X-Amz-Credential", keys.access_key + '/' + detail::scope_text(scope));
  query.emplace_back("X-Amz-Date", amz_date(scope.unix_ms));
  query.emplace_back("X-Amz-Expires", std::to_string(expires_seconds));
  if (!keys.session_token.empty()) {
    query.emplace_back("X-Amz-Security-Token", keys.session_token);
  }
  query.emplace_back("X-Amz-SignedHeaders", detail::signed_header_names(canonical));
  auto signature =
      detail::sigv4_signature(keys, scope, detail::canonical_request(request, canonical));
  if (!signature.ok()) return std::move(signature).status();
  query.emplace_back("X-Amz-Signature", std::move(signature).value());
  return query;
}

}  // namespace kvbackup::inline v1
#endif
