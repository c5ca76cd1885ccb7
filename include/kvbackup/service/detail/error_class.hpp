// SPDX-License-Identifier: Apache-2.0
// What an error of a node means for a backup, as BR judges it (br pkg/backup/push.go, client.go and
// pkg/utils/retry.go).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <variant>

#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/backup_service.hpp"
#include "kvbackup/proto/errorpb.hpp"
#include "kvbackup/proto/kvrpcpb.hpp"

namespace kvbackup::inline v1::detail {

enum class ErrorClass : std::uint8_t {
  again,   ///< ask again later
  locked,  ///< the same, once a lock is gone
  fatal,   ///< asking again cannot help
};

struct JudgedError {
  ErrorClass kind = ErrorClass::fatal;
  Status status;
  std::uint64_t wait_ms = 0;  ///< what the node asks for
};

/// `text` of a node as it may stand in a message.
[[nodiscard]] inline std::string shortened(std::string_view text) {
  constexpr std::size_t longest = 512;
  std::string out(text.substr(0, longest));
  if (text.size() > longest) out += "...";
  return out;
}

/// Whether a storage or connection error, told as text only, is one that passes.
[[nodiscard]] inline bool is_retryable_message(std::string_view text) {
  static constexpr std::string_view passing[] = {
      "server closed",      "connection refused",      "connection reset by peer",
      "channel closed",     "error trying to connect", "connection closed before message completed",
      "body write aborted", "error during dispatch"};
  constexpr std::size_t longest = 64 * 1024;
  std::string lower(text.substr(0, longest));
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return std::any_of(std::begin(passing), std::end(passing), [&lower](std::string_view each) {
    return lower.find(each) != std::string::npos;
  });
}

/// The name of a region error that passes by itself; empty for any other.
[[nodiscard]] inline std::string_view passing_region_error(const RegionError& error) {
  if (error.epoch_not_match) return "EpochNotMatch";
  if (error.not_leader) return "NotLeader";
  if (error.region_not_found) return "RegionNotFound";
  if (error.server_is_busy) return "ServerIsBusy";
  if (error.stale_command) return "StaleCommand";
  if (error.store_not_match) return "StoreNotMatch";
  if (error.read_index_not_ready) return "ReadIndexNotReady";
  if (error.proposal_in_merging_mode) return "ProposalInMergingMode";
  return {};
}

[[nodiscard]] inline JudgedError judge_region_error(const RegionError& error, bool first_round) {
  const std::string_view name = passing_region_error(error);
  std::string message = "the node reports a region error";
  if (!name.empty()) message.append(": ").append(name);
  if (!error.message.empty()) message += ": " + shortened(error.message);
  JudgedError judged;
  // BR leaves all of them to its second pass, which then stops at the unknown
  judged.kind = first_round || !name.empty() ? ErrorClass::again : ErrorClass::fatal;
  judged.status = Status::error(
      judged.kind == ErrorClass::again ? StatusCode::unavailable : StatusCode::io_error, message);
  if (error.server_is_busy) judged.wait_ms = error.server_is_busy->backoff_ms;
  return judged;
}

[[nodiscard]] inline JudgedError judge_key_error(const KeyError& error, bool first_round) {
  if (error.locked) {
    return {ErrorClass::locked,
            Status::error(StatusCode::unavailable,
                          "a transaction that has not ended locks a key; it began at " +
                              std::to_string(error.locked->lock_version))
                .with_key(error.locked->key),
            0};
  }
  std::string message = "the node could not read a key";
  if (!error.retryable.empty()) message += ": " + shortened(error.retryable);
  if (!error.abort.empty()) message += ": " + shortened(error.abort);
  return {first_round ? ErrorClass::again : ErrorClass::fatal,
          Status::error(StatusCode::io_error, message), 0};
}

/// Judges the error of an answer. `first_round`: nodes are asked for the first time.
[[nodiscard]] inline JudgedError judge_error(const Error& error, bool first_round) {
  if (const auto* ids = std::get_if<ClusterIDError>(&error.detail)) {
    return {ErrorClass::fatal,
            Status::error(StatusCode::invalid_argument,
                          "the node is of cluster " + std::to_string(ids->current) +
                              ", and cluster " + std::to_string(ids->request) +
                              " was asked for; give the nodes and the cluster id of one cluster"),
            0};
  }
  if (const auto* key = std::get_if<KeyError>(&error.detail)) {
    return judge_key_error(*key, first_round);
  }
  if (const auto* region = std::get_if<RegionError>(&error.detail)) {
    return judge_region_error(*region, first_round);
  }
  if (is_retryable_message(error.msg)) {
    return {ErrorClass::again,
            Status::error(StatusCode::unavailable,
                          "the node cannot reach its storage now: " + shortened(error.msg)),
            0};
  }
  return {ErrorClass::fatal,
          Status::error(StatusCode::io_error, "the node cannot back up: " + shortened(error.msg)),
          0};
}

/// Whether a stream that broke with `status` is worth another request: the node may be back, or
/// another one may answer. What the request itself makes impossible is not.
[[nodiscard]] inline bool is_broken_for_now(const Status& status) {
  switch (status.code()) {
    case StatusCode::unavailable:
    case StatusCode::cancelled:   // by the node's end
    case StatusCode::corruption:  // an answer that cannot be
      return true;
    default: return status.retryable();
  }
}

}  // namespace kvbackup::inline v1::detail
