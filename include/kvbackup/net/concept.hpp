// SPDX-License-Identifier: Apache-2.0
// The HttpTransport contract: one request out, one answer back.
//
// | expression            | result               | meaning
// |-----------------------|----------------------|---------------------------------------------------
// | t.perform(request)    | Result<HttpResponse> | sends it once; any HTTP status is an answer
//
// Laws no compiler checks: perform() may be called from several threads at once. It follows no
// redirect, and never repeats a request that is `once`; what is worth repeating is a retryable()
// failure. No failure shows the query, a header or the body of a request.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/result.hpp"

namespace kvbackup::inline v1 {

struct HttpHeader {
  std::string name;
  std::string value;

  friend bool operator==(const HttpHeader&, const HttpHeader&) = default;
};

/// Whether two header names are the same: ASCII letters of either case.
[[nodiscard]] constexpr bool same_header_name(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/// The value of the first header of that name; nothing if there is none.
[[nodiscard]] inline std::optional<std::string_view> find_header(
    const std::vector<HttpHeader>& headers, std::string_view name) noexcept {
  for (const HttpHeader& header : headers) {
    if (same_header_name(header.name, name)) return header.value;
  }
  return std::nullopt;
}

/// Milliseconds; 0 is no limit.
struct HttpTimeouts {
  std::uint32_t connect_ms = 10'000;  ///< to be connected, TLS included
  std::uint32_t idle_ms = 60'000;     ///< without a byte in either direction
};

/// A request. Everything it views must live until perform() returns.
struct HttpRequest {
  std::string method;  ///< "GET" and so on
  std::string url;     ///< absolute, http or https, sent as it is spelled
  std::vector<HttpHeader> headers;
  /// Sent with its length. In memory, so that it can be sent again.
  ByteView body;
  /// An answer with a longer body is an error.
  std::uint64_t response_limit = 16u << 20;
  HttpTimeouts timeouts;
  /// Never by way of a proxy: for addresses that mean this machine or its host.
  bool no_proxy = false;
  /// Makes something new each time it is carried out, so that it may not be sent twice unnoticed.
  /// Costs a connection of its own.
  bool once = false;
  const CancelToken* cancel = nullptr;
};

struct HttpResponse {
  int status = 0;  ///< of the final answer, 200 to 599
  std::vector<HttpHeader> headers;
  std::string body;

  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept {
    return find_header(headers, name);
  }
};

template <class T>
concept HttpTransport = requires(T& transport, const HttpRequest& request) {
  { transport.perform(request) } -> std::same_as<Result<HttpResponse>>;
};

}  // namespace kvbackup::inline v1
