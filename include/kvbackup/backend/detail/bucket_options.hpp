// SPDX-License-Identifier: Apache-2.0
// The query of s3://, gcs:// and gs:// URLs, into the message it stands for.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/url.hpp"
#include "kvbackup/proto/storage_backend.hpp"

namespace kvbackup::inline v1::detail {

KVBACKUP_DETAIL_COLD [[nodiscard]] inline Status bad_url_option(std::string_view key,
                                                                std::string_view why) {
  std::string message = "the option ";
  message += key;
  message += " of the storage URL ";
  message += why;
  return Status::error(StatusCode::invalid_argument, std::move(message));
}

/// As BR compares keys: "Access_Key" is "access-key".
[[nodiscard]] inline std::string folded_key(std::string_view key) {
  std::string out(key);
  for (char& c : out) {
    if (c == '_') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// More than there are; what a query takes is bounded by it.
inline constexpr std::size_t most_url_options = 32;

/// Keys are folded, values decoded; a '+' is itself. What has no '=' may be the tail of a secret
/// whose '&' was not coded, and is not shown.
[[nodiscard]] inline Result<QueryParameters> parse_url_options(std::string_view query) {
  QueryParameters options;
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), item.size() + 1));
    if (item.empty()) continue;
    if (options.size() == most_url_options) {
      return Status::error(StatusCode::invalid_argument, "the storage URL has too many options");
    }
    const std::size_t equals = item.find('=');
    const std::string key = folded_key(item.substr(0, equals));
    const bool is_word =
        !key.empty() && key.size() <= 40 && std::all_of(key.begin(), key.end(), [](char c) {
          return is_unreserved(c) && c != '.' && c != '~';
        });
    if (equals == std::string_view::npos || !is_word) {
      return Status::error(StatusCode::invalid_argument,
                           "the query of the storage URL is not KEY=VALUE&KEY=VALUE (an & in a "
                           "value is %26)");
    }
    auto value = percent_decode(item.substr(equals + 1));
    if (!value || value->find('\0') != std::string::npos) {
      return bad_url_option(key, "has a bad percent code (a % is %25)");
    }
    const bool twice = std::any_of(options.begin(), options.end(),
                                   [&key](const auto& known) { return known.first == key; });
    if (twice) return bad_url_option(key, "stands there twice");
    options.emplace_back(key, std::move(*value));
  }
  return options;
}

/// Takes the value of `key` out of `options`; empty if it is not there.
[[nodiscard]] inline std::string take_option(QueryParameters& options, std::string_view key) {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [key](const auto& option) { return option.first == key; });
  if (found == options.end()) return {};
  std::string value = std::move(found->second);
  options.erase(found);
  return value;
}

/// The spellings of Go's strconv.ParseBool, which BR uses.
[[nodiscard]] inline Result<bool> take_flag(QueryParameters& options, std::string_view key,
                                            bool otherwise) {
  constexpr std::array<std::string_view, 6> yes{"1", "t", "T", "true", "TRUE", "True"};
  constexpr std::array<std::string_view, 6> no{"0", "f", "F", "false", "FALSE", "False"};
  const std::string text = take_option(options, key);
  if (text.empty()) return otherwise;
  if (std::find(yes.begin(), yes.end(), text) != yes.end()) return true;
  if (std::find(no.begin(), no.end(), text) != no.end()) return false;
  return bad_url_option(key, "is neither true nor false");
}

[[nodiscard]] inline Status take_endpoint(QueryParameters& options, std::string& endpoint) {
  endpoint = take_option(options, "endpoint");
  if (endpoint.empty()) return {};
  const auto url = parse_url(endpoint);
  if (!url.ok()) {
    std::string why = "cannot be used: ";
    why += url.status().message();
    return bad_url_option("endpoint", why);
  }
  if (!url.value().query.empty()) return bad_url_option("endpoint", "has a query of its own");
  return {};
}

/// What is left in `options` after the known ones were taken.
[[nodiscard]] inline Status no_more_options(const QueryParameters& options,
                                            std::string_view known) {
  if (options.empty()) return {};
  std::string why = "is not known; there are ";
  why += known;
  return bad_url_option(options.front().first, why);
}

/// Keys of newer versions of BR for which the message has no field.
[[nodiscard]] inline Status refuse_s3_options(const QueryParameters& options) {
  constexpr std::array<std::array<std::string_view, 2>, 4> instead{{
      {"session-token",
       "is not supported; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
       "AWS_SESSION_TOKEN in the environment"},
      {"profile", "is not supported; set AWS_PROFILE in the environment"},
      {"role-arn",
       "is not supported; set AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE in the "
       "environment"},
      {"external-id", "is not supported; no role is assumed for an external id"},
  }};
  for (const auto& [key, why] : options) {
    for (const auto& [known, answer] : instead) {
      if (key == known) return bad_url_option(known, answer);
    }
  }
  return {};
}

[[nodiscard]] inline Result<S3> s3_from_options(QueryParameters options) {
  S3 to;
  if (Status status = take_endpoint(options, to.endpoint); !status.ok()) return status;
  to.region = take_option(options, "region");
  to.storage_class = take_option(options, "storage-class");
  to.sse = take_option(options, "sse");
  to.sse_kms_key_id = take_option(options, "sse-kms-key-id");
  to.acl = take_option(options, "acl");
  to.access_key = take_option(options, "access-key");
  to.secret_access_key = take_option(options, "secret-access-key");
  if (to.access_key.empty() != to.secret_access_key.empty()) {
    return bad_url_option(to.access_key.empty() ? "access-key" : "secret-access-key",
                          "is not found: access-key and secret-access-key go together");
  }
  const std::string provider = take_option(options, "provider");
  const auto accelerate = take_flag(options, "use-accelerate-endpoint", false);
  if (!accelerate.ok()) return accelerate.status();
  if (accelerate.value()) {
    return bad_url_option("use-accelerate-endpoint",
                          "is not supported; give the accelerated host as endpoint");
  }
  // BR's default, but for clouds that know no paths
  const bool has_paths = provider != "alibaba" && provider != "netease";
  const auto path_style = take_flag(options, "force-path-style", has_paths);
  if (!path_style.ok()) return path_style.status();
  to.force_path_style = path_style.value();
  if (Status status = refuse_s3_options(options); !status.ok()) return status;
  Status status = no_more_options(
      options,
      "endpoint, region, storage-class, sse, sse-kms-key-id, acl, access-key, secret-access-key, "
      "provider, force-path-style and use-accelerate-endpoint");
  if (!status.ok()) return status;
  return to;
}

[[nodiscard]] inline Result<GCS> gcs_from_options(QueryParameters options,
                                                  Environment& environment) {
  GCS to;
  if (Status status = take_endpoint(options, to.endpoint); !status.ok()) return status;
  to.storage_class = take_option(options, "storage-class");
  to.predefined_acl = take_option(options, "predefined-acl");
  const std::string file = take_option(options, "credentials-file");
  Status status =
      no_more_options(options, "endpoint, storage-class, predefined-acl and credentials-file");
  if (!status.ok()) return status;
  if (file.empty()) return to;
  auto blob = environment.file(file);
  if (!blob.ok()) return std::move(blob).status();
  to.credentials_blob = std::move(blob).value();
  if (to.credentials_blob.empty()) return bad_url_option("credentials-file", "names an empty file");
  return to;
}

}  // namespace kvbackup::inline v1::detail
