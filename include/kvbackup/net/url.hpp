// SPDX-License-Identifier: Apache-2.0
// http and https URLs: taken apart and put together.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// Names and values, not percent-coded, in the order they stand in.
using QueryParameters = std::vector<std::pair<std::string, std::string>>;

/// "a=1&b=", every byte that is not unreserved percent-coded.
[[nodiscard]] inline std::string encode_query(const QueryParameters& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters) {
    if (!out.empty()) out += '&';
    out += percent_encode(name);
    out += '=';
    out += percent_encode(value);
  }
  return out;
}

/// The parts of an http or https URL.
struct Url {
  bool tls = false;    ///< https
  std::string host;    ///< a name, an IPv4 address, or an IPv6 address in brackets
  std::uint16_t port;  ///< 80 or 443 where the URL has none
  std::string path;    ///< percent-coded; empty or begins with a slash
  std::string query;   ///< percent-coded, without its question mark

  /// What the Host header says: the port is left out where it is the scheme's own.
  [[nodiscard]] std::string authority() const {
    std::string out = host;
    if (port != default_port(tls)) {
      out += ':';
      out += std::to_string(port);
    }
    return out;
  }
  [[nodiscard]] std::string to_string() const {
    std::string out = tls ? "https://" : "http://";
    out += authority();
    out += path.empty() ? "/" : path;
    if (!query.empty()) {
      out += '?';
      out += query;
    }
    return out;
  }

  [[nodiscard]] static constexpr std::uint16_t default_port(bool tls) noexcept {
    return tls ? 443 : 80;
  }

  friend bool operator==(const Url&, const Url&) = default;
};

namespace detail {
[[nodiscard]] inline bool is_host(std::string_view host) noexcept {
  if (host.empty() || host.size() > 255) return false;
  const bool address = host.front() == '[';
  if (address != (host.back() == ']')) return false;
  for (const char c : address ? host.substr(1, host.size() - 2) : host) {
    const bool word = is_unreserved(c) && c != '~';
    if (!word && !(address && c == ':')) return false;
  }
  return true;
}

/// Visible ASCII only: whatever else is there would have to be percent-coded.
[[nodiscard]] inline bool is_visible_ascii(std::string_view text) noexcept {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f) return false;
  }
  return true;
}
}  // namespace detail

/// Errors: invalid_argument, which says what is wrong and shows nothing of the URL, since it may
/// hold credentials. A user name in it is refused for that reason; a fragment is, too.
[[nodiscard]] inline Result<Url> parse_url(std::string_view text) {
  const auto refuse = [](const char* why) {
    return Status::error(StatusCode::invalid_argument, why);
  };
  Url url;
  if (text.starts_with("https://")) {
    url.tls = true;
  } else if (!text.starts_with("http://")) {
    return refuse("the URL does not begin with http:// or https://");
  }
  text.remove_prefix(url.tls ? 8 : 7);
  if (!detail::is_visible_ascii(text) || text.find('#') != std::string_view::npos) {
    return refuse("the URL has a fragment, a space or a byte that must be percent-coded");
  }
  const std::size_t end = text.find_first_of("/?");
  std::string_view authority = text.substr(0, end);
  text.remove_prefix(authority.size());
  if (authority.find('@') != std::string_view::npos) {
    return refuse("the URL holds a user name; credentials are given apart from it");
  }
  url.port = Url::default_port(url.tls);
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const char* last = digits.data() + digits.size();
    const auto [rest, failed] = std::from_chars(digits.data(), last, url.port);
    if (rest != last || failed != std::errc() || url.port == 0) {
      return refuse("the port of the URL is no number from 1 to 65535");
    }
    authority = authority.substr(0, colon);
  }
  if (!detail::is_host(authority)) return refuse("the URL has no valid host name");
  url.host = authority;
  const std::size_t question = text.find('?');
  url.path = text.substr(0, question);
  if (question != std::string_view::npos) url.query = text.substr(question + 1);
  return url;
}

}  // namespace kvbackup::inline v1
