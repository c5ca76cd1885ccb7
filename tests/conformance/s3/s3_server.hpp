// SPDX-License-Identifier: Apache-2.0
// The S3 server that the environment names, for tests that are run against several.
#pragma once

#include <atomic>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include <kvbackup/kvbackup.hpp>

namespace test_support {

inline std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Options for the server: S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_BUCKET, S3_PATH_STYLE
/// ("1"), S3_IF_ABSENT ("checked"), and a prefix that nobody else has.
inline kvbackup::S3Options server_options() {
  static std::atomic<int> number{0};
  kvbackup::S3Options options;
  options.endpoint = variable("S3_ENDPOINT");
  options.access_key = variable("S3_ACCESS_KEY");
  options.secret_access_key = variable("S3_SECRET_KEY");
  options.bucket = variable("S3_BUCKET");
  options.region = "us-east-1";
  options.force_path_style = variable("S3_PATH_STYLE") == "1";
  if (variable("S3_IF_ABSENT") == "checked") options.if_absent = kvbackup::S3IfAbsent::checked;
  options.prefix = "run" + std::to_string(::getpid()) + "/" + std::to_string(number++);
  options.part_size = 5u << 20;
  options.retry = {.attempts = 5, .first_wait_ms = 50, .longest_wait_ms = 500};
  return options;
}

/// A transport that trusts the authority of S3_CA, where there is one.
inline kvbackup::CurlTransport server_transport() {
  return kvbackup::CurlTransport({.ca_file = variable("S3_CA")});
}

inline kvbackup::S3Backend server_backend(kvbackup::S3Options options = server_options()) {
  return kvbackup::S3Backend(std::move(options), server_transport());
}

}  // namespace test_support
