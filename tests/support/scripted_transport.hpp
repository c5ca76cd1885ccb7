// SPDX-License-Identifier: Apache-2.0
// An HttpTransport that gives the answers it was told, in their order, and keeps what it was asked.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace test_support {

/// A request with its own copy of the body.
struct SentRequest {
  std::string method;
  std::string url;
  std::vector<kvbackup::HttpHeader> headers;
  std::string body;
  bool no_proxy = false;

  std::string header(std::string_view name) const {
    return std::string(kvbackup::find_header(headers, name).value_or("(none)"));
  }
};

/// Beyond the last answer every request fails, and not in a way that is worth repeating.
class ScriptedTransport {
 public:
  using Reply = kvbackup::Result<kvbackup::HttpResponse>;

  void answer(kvbackup::HttpResponse response) { replies.push_back(std::move(response)); }
  /// As a network that breaks does.
  void fail() {
    replies.push_back(kvbackup::Status::error(kvbackup::StatusCode::unavailable, "the line is dead")
                          .as_retryable());
  }

  Reply perform(const kvbackup::HttpRequest& request) {
    requests.push_back({request.method, request.url, request.headers, std::string(request.body),
                        request.no_proxy});
    if (auto status = kvbackup::check_cancel(request.cancel); !status.ok()) return status;
    if (replies.empty()) {
      return kvbackup::Status::error(
          kvbackup::StatusCode::internal,
          "the test did not expect " + request.method + " " + request.url);
    }
    Reply reply = std::move(replies.front());
    replies.pop_front();
    return reply;
  }

  std::deque<Reply> replies;
  std::vector<SentRequest> requests;
};
static_assert(kvbackup::HttpTransport<ScriptedTransport>);

/// The same for a backend, which wants a transport of its own: copies share one.
class SharedTransport {
 public:
  ScriptedTransport::Reply perform(const kvbackup::HttpRequest& request) {
    const std::lock_guard lock(*mutex_);
    return script->perform(request);
  }

  std::shared_ptr<ScriptedTransport> script = std::make_shared<ScriptedTransport>();

 private:
  std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
};
static_assert(kvbackup::HttpTransport<SharedTransport>);

}  // namespace test_support
