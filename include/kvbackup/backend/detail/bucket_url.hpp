// SPDX-License-Identifier: Apache-2.0
// How a place in a bucket is shown: as BR's URL of it, with no credential in it.
#pragma once

#include <string>
#include <string_view>

#include "kvbackup/base/percent.hpp"
#include "kvbackup/net/url.hpp"

namespace kvbackup::inline v1::detail {

/// "gcs://bucket/prefix".
[[nodiscard]] inline std::string bucket_url(std::string_view scheme, std::string_view bucket,
                                            std::string_view prefix) {
  std::string out(scheme);
  out += "://";
  out += percent_encode(bucket);
  if (!prefix.empty()) {
    out += '/';
    out += percent_encode(prefix, "/");
  }
  return out;
}

/// Appends "?name=value", or "&name=value" where there is a query already; nothing if `value` is
/// empty.
inline void append_url_option(std::string& url, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += name;
  url += '=';
  url += percent_encode(value, ":/");
}

/// Left out if it is no URL, or one with a query: a credential could stand there.
inline void append_endpoint(std::string& url, std::string_view endpoint) {
  const auto parsed = parse_url(endpoint);
  if (parsed.ok() && parsed.value().query.empty()) append_url_option(url, "endpoint", endpoint);
}

}  // namespace kvbackup::inline v1::detail
