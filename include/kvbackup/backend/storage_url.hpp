// SPDX-License-Identifier: Apache-2.0
// Storage URLs as BR's --storage spells them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

enum class StorageKind : std::uint8_t {
  local,  ///< LocalBackend
  noop,   ///< NoopBackend
};

/// What a storage URL names.
struct StorageLocation {
  StorageKind kind = StorageKind::local;
  std::string path;  ///< of `local`; relative only if the URL was a plain relative path

  friend bool operator==(const StorageLocation&, const StorageLocation&) = default;
};

namespace detail {
KVBACKUP_DETAIL_COLD inline Status bad_storage_url(StatusCode code, std::string message) {
  message += "; give a path, local:///path or noop://";
  return Status::error(code, std::move(message));
}

/// A scheme of RFC 3986 in lower case, or nothing.
[[nodiscard]] inline std::optional<std::string> url_scheme(std::string_view text) {
  std::string scheme;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool letter = upper || (c >= 'a' && c <= 'z');
    const bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!letter && (!other || scheme.empty())) return std::nullopt;
    scheme.push_back(upper ? static_cast<char>(c - 'A' + 'a') : c);
  }
  if (scheme.empty()) return std::nullopt;
  return scheme;
}

/// `rest` is what follows "local://". As in BR, a host is dropped, and so are query and fragment.
[[nodiscard]] inline Result<StorageLocation> parse_local_url(std::string_view rest) {
  const std::string_view hierarchy = rest.substr(0, rest.find_first_of("?#"));
  const std::size_t slash = hierarchy.find('/');
  if (slash == std::string_view::npos) {
    return bad_storage_url(StatusCode::invalid_argument,
                           "the storage URL has no path (three slashes: local:///path)");
  }
  auto path = percent_decode(hierarchy.substr(slash));
  if (!path || path->find('\0') != std::string::npos) {
    return bad_storage_url(StatusCode::invalid_argument,
                           "the path of the storage URL has a bad percent code (a % is %25)");
  }
  return StorageLocation{.kind = StorageKind::local, .path = std::move(*path)};
}
}  // namespace detail

/// Takes "local:///path" and "file:///path" (percent-coded), "noop://", or a plain path, which is
/// taken literally. Errors: invalid_argument; unsupported for storage that BR knows and this build
/// does not. They show no more of the URL than its scheme, since a query may hold credentials.
[[nodiscard]] inline Result<StorageLocation> parse_storage_url(std::string_view text) {
  if (text.empty()) {
    return detail::bad_storage_url(StatusCode::invalid_argument, "the storage URL is empty");
  }
  const std::size_t colon = text.find(':');
  const auto scheme =
      colon == std::string_view::npos ? std::nullopt : detail::url_scheme(text.substr(0, colon));
  const bool has_authority = scheme && text.substr(colon).starts_with("://");
  const std::string_view rest = has_authority ? text.substr(colon + 3) : std::string_view();
  if (scheme == "local" || scheme == "file") {
    if (has_authority) return detail::parse_local_url(rest);
  } else if (scheme == "noop") {
    if (has_authority) return StorageLocation{.kind = StorageKind::noop, .path = {}};
  } else if (scheme == "s3" || scheme == "gcs" || scheme == "gs" || scheme == "azure" ||
             scheme == "azblob" || scheme == "hdfs") {
    std::string message = *scheme;
    message += ":// storage is not built in";
    return detail::bad_storage_url(StatusCode::unsupported, std::move(message));
  } else if (has_authority) {
    std::string message = "unknown storage scheme \"";
    message += *scheme;
    message += '"';
    return detail::bad_storage_url(StatusCode::invalid_argument, std::move(message));
  } else {
    if (text.find('\0') != std::string_view::npos) {
      return detail::bad_storage_url(StatusCode::invalid_argument,
                                     "the path of the storage holds a zero byte");
    }
    return StorageLocation{.kind = StorageKind::local, .path = std::string(text)};
  }
  std::string message = "two slashes are missing after \"";
  message += *scheme;
  message += ":\" in the storage URL";
  return detail::bad_storage_url(StatusCode::invalid_argument, std::move(message));
}

}  // namespace kvbackup::inline v1
