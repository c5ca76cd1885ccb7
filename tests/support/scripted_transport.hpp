// SPDX-License-Identifier: Apache-2.0
// An HttpTransport that a test plays the server of.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace test_support {

/// A request as it went out; its body is copied.
struct SentRequest {
  std::string method;
  std::string url;
  std::vector<kvbackup::HttpHeader> headers;
  std::string body;
  bool no_proxy = false;

  std::string header(std::string_view name) const {
    return std::string(kvbackup::find_header(headers, name).value_or("(none)"));
  }
  /// "PUT http://host/path?query", for comparisons.
  std::string line() const { return method + " " + url; }
};

/// Hands each request to `server`, and keeps it; refuses an answer over the request's limit. Copies
/// share both.
class ScriptedTransport {
 public:
  using Server = std::function<kvbackup::Result<kvbackup::HttpResponse>(const SentRequest&)>;

  explicit ScriptedTransport(Server server) : state_(std::make_shared<State>()) {
    state_->server = std::move(server);
  }

  kvbackup::Result<kvbackup::HttpResponse> perform(const kvbackup::HttpRequest& request) {
    if (auto status = kvbackup::check_cancel(request.cancel); !status.ok()) return status;
    const SentRequest sent{request.method, request.url, request.headers, std::string(request.body),
                           request.no_proxy};
    {
      const std::lock_guard lock(state_->mutex);
      state_->requests.push_back(sent);
    }
    auto response = state_->server(sent);
    if (response.ok() && response.value().body.size() > request.response_limit) {
      return kvbackup::Status::error(kvbackup::StatusCode::resource_exhausted,
                                     "the answer is longer than the request allows");
    }
    return response;
  }

  std::vector<SentRequest> requests() const {
    const std::lock_guard lock(state_->mutex);
    return state_->requests;
  }
  /// The lines of all requests, one a line.
  std::string lines() const {
    std::string out;
    for (const SentRequest& each : requests()) out += each.line() + "\n";
    return out;
  }

 private:
  struct State {
    Server server;
    mutable std::mutex mutex;
    std::vector<SentRequest> requests;
  };
  std::shared_ptr<State> state_;
};
static_assert(kvbackup::HttpTransport<ScriptedTransport>);

inline kvbackup::Status lost() {
  return kvbackup::Status::error(kvbackup::StatusCode::unavailable, "connection lost")
      .as_retryable();
}
inline kvbackup::HttpResponse answer(int status, std::string body = {},
                                     std::vector<kvbackup::HttpHeader> headers = {}) {
  return {status, std::move(headers), std::move(body)};
}
/// An S3 error document.
inline kvbackup::HttpResponse s3_error(int status, const std::string& code,
                                       const std::string& more = {},
                                       std::vector<kvbackup::HttpHeader> headers = {}) {
  return answer(status, "<Error><Code>" + code + "</Code>" + more + "</Error>", std::move(headers));
}

}  // namespace test_support
