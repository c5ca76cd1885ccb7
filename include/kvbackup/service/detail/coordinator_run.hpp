// SPDX-License-Identifier: Apache-2.0
// Asks nodes until every key is answered for.
//
// A round asks every node for every gap: at first the gaps are the ranges themselves, later what is
// left of them. Which node holds a key is not known here (BR asks PD), so all are asked, and those
// that hold none of the keys say nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/key_ranges.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/base/workers.hpp"
#include "kvbackup/net/retry.hpp"
#include "kvbackup/proto/backup_service.hpp"
#include "kvbackup/service/coordinator_options.hpp"
#include "kvbackup/service/detail/answer_book.hpp"
#include "kvbackup/service/detail/answer_check.hpp"
#include "kvbackup/service/detail/coordinator_events.hpp"
#include "kvbackup/service/detail/error_class.hpp"
#include "kvbackup/service/node_ref.hpp"

namespace kvbackup::inline v1::detail {

/// One run over ranges that were checked.
class CoordinatorRun {
 public:
  CoordinatorRun(std::span<const NodeRef> nodes, const std::vector<KeyRange>& ranges,
                 const CoordinatorOptions& options)
      : nodes_(nodes),
        options_(options),
        book_(ranges),
        events_(options.observer),
        stop_(options.cancel) {}

  /// Returns ok once there is no gap; else says which keys are missing and why.
  [[nodiscard]] Status run() {
    std::optional<Retry> retry;
    RetryTeller teller(options_.observer);
    std::vector<Gap> gaps = book_.gaps();
    while (!gaps.empty()) {
      const std::uint64_t answers_before = book_.answers_taken();
      if (Status status = ask_round(gaps); !status.ok()) return status;
      const std::uint64_t asked_for = gaps.size();
      gaps = book_.gaps();
      if (gaps.empty()) break;
      if (Status status = resolve_locks(); !status.ok()) return status;
      if (!retry || book_.answers_taken() != answers_before) {
        retry.emplace(options_.retry,
                      RetrySeams{options_.clock, options_.random, options_.cancel, &teller});
      }
      Status failure = unfinished(gaps, asked_for);
      if (!retry->again(failure, wait_ms_)) {
        if (failure.code() == StatusCode::cancelled) return failure;
        return give_up(gaps, std::move(failure));
      }
    }
    return check_cancel(options_.cancel);
  }

  [[nodiscard]] AnswerBook& book() { return book_; }
  [[nodiscard]] std::uint64_t rounds() const { return round_; }
  /// What answers were put out and is in no other one. Call it before the book is emptied.
  void put_orphans(CoordinatorResult& to) {
    const auto before = [](const OrphanedFile& a, const OrphanedFile& b) {
      return a.name < b.name;
    };
    std::sort(orphans_.begin(), orphans_.end(), before);
    for (OrphanedFile& orphan : orphans_) {
      const bool again = !to.orphans.empty() && to.orphans.back().name == orphan.name;
      if (!again && !book_.is_live(orphan.name)) to.orphans.push_back(std::move(orphan));
    }
    to.orphans_left_out = orphans_left_out_;
  }

 private:
  struct Trouble {
    Gap where;
    Status why;
  };

  class RetryTeller final : public NetObserver {
   public:
    explicit RetryTeller(CoordinatorObserver* observer) : observer_(observer) {}
    void on_retry(std::string_view /*operation*/, const Status& why,
                  std::uint64_t wait_ms) override {
      if (observer_ != nullptr) observer_->on_retry(why, wait_ms);
    }

   private:
    CoordinatorObserver* observer_;
  };

  // Every node for every gap, range by range, so that all nodes work on one range at once.
  [[nodiscard]] Status ask_round(const std::vector<Gap>& gaps) {
    constexpr std::size_t most_threads = 256;
    ++round_;
    troubles_.clear();
    locks_.clear();
    wait_ms_ = 0;
    to_ask_ = gaps.size() * nodes_.size();
    asked_ = 0;
    const std::size_t at_once =
        std::min(most_threads, std::min(options_.concurrency, gaps.size()) * nodes_.size());
    Status status = run_workers(to_ask_, at_once, options_.executor, [&](std::size_t index) {
      return ask(gaps[index / nodes_.size()], nodes_[index % nodes_.size()]);
    });
    // a host's cancel is told as such, whatever the nodes made of it
    if (Status cancelled = check_cancel(options_.cancel); !cancelled.ok()) return cancelled;
    return status;
  }

  // A failure ends the run.
  [[nodiscard]] Status ask(const Gap& gap, const NodeRef& node) {
    BackupRequest request = options_.request;
    request.start_key = gap.keys.start;
    request.end_key = gap.keys.end;
    if (request.is_raw_kv) request.cf = gap.keys.cf;
    Status fatal;
    const auto respond = [&](BackupResponse&& response) -> Status {
      if (Status status = check_cancel(&stop_); !status.ok()) return status;
      Status status = take(gap, node, request, std::move(response), fatal);
      events_.deliver([this] { return progress(); });
      return status;
    };
    Status status = node.backup(request, respond, &stop_);
    if (fatal.ok() && !status.ok() && !is_broken_for_now(status) &&
        status.code() != StatusCode::cancelled) {
      fatal = status;
    }
    if (!fatal.ok()) {
      stop_.cancel();  // the other requests
      return std::move(fatal).with_object(node.address()).with_range(gap.keys.start, gap.keys.end);
    }
    if (!status.ok() && !stop_.cancelled()) add_trouble(gap, node, std::move(status));
    {
      const MutexLock lock(mutex_);
      ++asked_;
    }
    events_.deliver([this] { return progress(); });
    return {};
  }

  // What it gives ends the stream; what it puts into `fatal`, the run.
  [[nodiscard]] Status take(const Gap& gap, const NodeRef& node, const BackupRequest& request,
                            BackupResponse response, Status& fatal) {
    if (response.error) return take_error(gap, node, std::move(response), fatal);
    if (Status status = check_answer(request, response); !status.ok()) {
      return std::move(status).with_object(node.address());
    }
    std::vector<File> put_out;
    Status status;
    {
      const MutexLock lock(mutex_);
      status = book_.add(gap.range, std::move(response), put_out);
      for (const File& file : put_out) keep_orphan(file);
    }
    events_.add_orphans(put_out);
    if (status.code() == StatusCode::resource_exhausted) fatal = status;
    return std::move(status).with_object(node.address());
  }

  [[nodiscard]] Status take_error(const Gap& gap, const NodeRef& node, BackupResponse response,
                                  Status& fatal) {
    JudgedError judged = judge_error(*response.error, round_ == 1);
    // the part of the gap it is about, where the node says so
    Gap where = gap;
    if (begins_before(response.start_key, response.end_key) &&
        is_within(response.start_key, response.end_key, gap.keys.start, gap.keys.end) &&
        !(response.start_key.empty() && response.end_key.empty())) {
      where.keys.start = std::move(response.start_key);
      where.keys.end = std::move(response.end_key);
    }
    if (judged.kind == ErrorClass::fatal) {
      fatal = std::move(judged.status)
                  .with_object(node.address())
                  .with_range(where.keys.start, where.keys.end);
      return fatal;
    }
    {
      const MutexLock lock(mutex_);
      // a node does not get to say that a run waits for ever
      wait_ms_ = std::max<std::uint64_t>(
          wait_ms_, std::min<std::uint64_t>(judged.wait_ms, options_.retry.longest_wait_ms));
      if (judged.kind == ErrorClass::locked && locks_.size() < most_troubles) {
        LockInfo& lock_info = *std::get<KeyError>(response.error->detail).locked;
        std::string key = lock_info.key;
        locks_.emplace(std::move(key), std::move(lock_info));
      }
    }
    add_trouble(where, node, std::move(judged.status));
    return {};
  }

  void add_trouble(const Gap& where, const NodeRef& node, Status why) {
    why = std::move(why).with_object(node.address()).with_range(where.keys.start, where.keys.end);
    {
      const MutexLock lock(mutex_);
      if (troubles_.size() < most_troubles) troubles_.push_back({where, why});
    }
    events_.add_trouble(std::move(why));
  }

  void keep_orphan(const File& file) {
    if (orphans_.size() == CoordinatorResult::max_orphans) {
      ++orphans_left_out_;
    } else {
      orphans_.push_back({file.name, file.size});
    }
  }

  [[nodiscard]] Status resolve_locks() {
    if (options_.locks == nullptr) return {};
    for (const auto& [key, lock] : locks_) {
      if (Status status = check_cancel(options_.cancel); !status.ok()) return status;
      auto wait_ms = options_.locks->resolve(lock);
      if (wait_ms.ok()) {
        wait_ms_ = std::max(wait_ms_, wait_ms.value());
      } else if (!wait_ms.status().retryable()) {
        return std::move(wait_ms).status().with_key(key);
      } else {
        events_.add_trouble(std::move(wait_ms).status().with_key(key));
      }
    }
    return {};
  }

  [[nodiscard]] CoordinatorProgress progress() {
    const MutexLock lock(mutex_);
    CoordinatorProgress progress;
    progress.round = round_;
    progress.to_ask = to_ask_;
    progress.asked = asked_;
    book_.put_sums(progress);
    return progress;
  }

  // Why the keys of `gap` are missing, as far as this round tells.
  [[nodiscard]] Status reason(const Gap& gap) const {
    for (const Trouble& trouble : troubles_) {
      if (trouble.where.range == gap.range && intersection(trouble.where.keys, gap.keys)) {
        return trouble.why;
      }
    }
    return Status::error(StatusCode::unavailable,
                         "no node answered for these keys: is one missing from the list, or are "
                         "they led by none now?");
  }

  [[nodiscard]] Status unfinished(const std::vector<Gap>& gaps, std::uint64_t asked_for) const {
    const Status why = reason(gaps.front());
    return Status::error(why.code(),
                         "of " + std::to_string(asked_for) + " key ranges asked for in round " +
                             std::to_string(round_) + ", " + std::to_string(gaps.size()) +
                             " are not backed up; the first one: " + std::string(why.message()))
        .with_object(why.object())
        .with_range(gaps.front().keys.start, gaps.front().keys.end)
        .as_retryable();
  }

  [[nodiscard]] Status give_up(const std::vector<Gap>& gaps, Status failure) const {
    constexpr std::size_t most_told = 1000;
    if (options_.observer != nullptr) {
      for (std::size_t i = 0; i < std::min(gaps.size(), most_told); ++i) {
        options_.observer->on_gap(gaps[i].keys, reason(gaps[i]));
      }
    }
    return std::move(failure).as_retryable(false).with_note(
        "the retries are used up, and no backupmeta is written");
  }

  static constexpr std::size_t most_troubles = 4096;

  std::span<const NodeRef> nodes_;
  const CoordinatorOptions& options_;
  Mutex mutex_;
  AnswerBook book_;                        // under mutex_ while nodes are asked, as all below
  std::vector<Trouble> troubles_;          // of this round
  std::map<std::string, LockInfo> locks_;  // of this round, by key
  std::uint64_t wait_ms_ = 0;              // what is asked for before the next round
  std::uint64_t round_ = 0;
  std::uint64_t to_ask_ = 0;
  std::uint64_t asked_ = 0;
  std::vector<OrphanedFile> orphans_;
  std::uint64_t orphans_left_out_ = 0;
  CoordinatorEvents events_;
  CancelToken stop_;
};

}  // namespace kvbackup::inline v1::detail
