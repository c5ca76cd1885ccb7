// SPDX-License-Identifier: Apache-2.0
// The Cloud Storage test server and the proxy before it, as tests/servers/with_gcs.py gives them.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/net_seams.hpp"
#include "support/temp_dir.hpp"

namespace test_support {

inline std::string variable(const char* name) {
  const char* value = std::getenv(name);
  INFO("tests/servers/with_gcs.py sets the environment");
  REQUIRE(value != nullptr);
  return value;
}

inline constexpr const char* gcs_bucket = "kvbackup-test";

inline std::string gcs_key_file() { return read_file(variable("KVBACKUP_TEST_GCS_KEY")); }

/// A prefix that nobody else has.
inline std::string new_prefix() {
  static std::atomic<int> number{0};
  return "run" + std::to_string(::getpid()) + "/" + std::to_string(number++);
}

/// Options for the server, or for the proxy before it.
inline kvbackup::GcsOptions gcs_options(const char* where = "KVBACKUP_TEST_GCS") {
  kvbackup::GcsOptions options;
  options.endpoint = variable(where);
  options.bucket = gcs_bucket;
  options.prefix = new_prefix();
  options.credentials_blob = gcs_key_file();
  options.chunk_size = 1u << 20;
  options.retry = {.attempts = 6, .first_wait_ms = 20, .longest_wait_ms = 100};
  return options;
}
inline kvbackup::GcsOptions proxied_options() { return gcs_options("KVBACKUP_TEST_GCS_PROXY"); }

/// One of the calls of tests/servers/faults.py; its JSON.
inline std::string control(const char* whose, const char* call, std::string_view json = {}) {
  static kvbackup::CurlTransport transport;
  kvbackup::HttpRequest request;
  request.method = json.empty() ? "GET" : "POST";
  request.url = variable(whose) + "/control/" + call;
  request.body = json;
  request.no_proxy = true;
  request.response_limit = 64u << 20;
  auto answer = transport.perform(request);
  REQUIRE(answer.status().to_string() == "ok");
  REQUIRE(answer.value().status == 200);
  return std::move(answer).value().body;
}
inline void server_faults(std::string_view rules) { control("KVBACKUP_TEST_GCS", "script", rules); }
inline void proxy_faults(std::string_view rules) {
  control("KVBACKUP_TEST_GCS_PROXY_CONTROL", "script", rules);
}
/// Whether every fault that was asked for has happened; a test without them would show nothing.
inline bool all_happened() {
  const auto used = [](const char* whose) {
    return control(whose, "log").find("\"unused\": []") != std::string::npos;
  };
  return used("KVBACKUP_TEST_GCS") && used("KVBACKUP_TEST_GCS_PROXY_CONTROL");
}
/// Sessions that were neither finished nor ended.
inline std::string open_sessions() {
  const std::string state = control("KVBACKUP_TEST_GCS", "state");
  const std::string mark = "\"open_sessions\": ";
  const std::size_t at = state.find(mark);
  REQUIRE(at != std::string::npos);
  return state.substr(at + mark.size(), state.find(',', at) - at - mark.size());
}

inline std::string noise(std::size_t size, std::uint64_t seed = 1) {
  std::string bytes(size, '\0');
  for (char& c : bytes) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    c = static_cast<char>(seed >> 56);
  }
  return bytes;
}

template <class Backend>
kvbackup::Status put(Backend& backend, std::string_view name, kvbackup::ByteView bytes,
                     bool if_absent = true) {
  auto writer = backend.create(name, {.size_hint = {}, .if_absent = if_absent});
  if (!writer.ok()) return writer.status();
  // so that chunks do not begin where appends do
  constexpr std::size_t piece = 100'000;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), piece))) {
    if (auto status = writer.value().append(bytes.substr(0, piece)); !status.ok()) return status;
  }
  return writer.value().commit().status();
}

}  // namespace test_support
