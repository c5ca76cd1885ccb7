// SPDX-License-Identifier: Apache-2.0
// An HttpTransport whose answers are told beforehand, in their order.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/scripted_transport.hpp"

namespace test_support {

/// Copies share the answers and what was asked. Beyond the last answer every request fails, and not
/// in a way that is worth repeating.
class ScriptedAnswers {
  using Reply = kvbackup::Result<kvbackup::HttpResponse>;

 public:
  void say(kvbackup::HttpResponse response) { push(std::move(response)); }
  /// As a network that breaks does.
  void fail() { push(lost()); }
  /// Forgets the answers that were not asked for.
  void clear() {
    const std::lock_guard lock(state_->mutex);
    state_->replies.clear();
  }

  Reply perform(const kvbackup::HttpRequest& request) { return transport_.perform(request); }
  std::vector<SentRequest> requests() const { return transport_.requests(); }

 private:
  struct State {
    std::mutex mutex;
    std::deque<Reply> replies;

    Reply next(const SentRequest& sent) {
      const std::lock_guard lock(mutex);
      if (replies.empty()) {
        return kvbackup::Status::error(kvbackup::StatusCode::internal,
                                       "the test did not expect " + sent.line());
      }
      Reply reply = std::move(replies.front());
      replies.pop_front();
      return reply;
    }
  };

  void push(Reply reply) {
    const std::lock_guard lock(state_->mutex);
    state_->replies.push_back(std::move(reply));
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
  ScriptedTransport transport_{
      [state = state_](const SentRequest& sent) { return state->next(sent); }};
};
static_assert(kvbackup::HttpTransport<ScriptedAnswers>);

}  // namespace test_support
