// SPDX-License-Identifier: Apache-2.0
// Messages of proto/kvrpcpb.proto: why a store could not read a key. kvrpcpb.Op is LockOp here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1 {

/// What a transaction does to a key.
enum class LockOp : std::int32_t {
  put = 0,
  del = 1,
  lock = 2,
  rollback = 3,
  /// A put of a key that must not exist.
  insert = 4,
  pessimistic_lock = 5,
  check_not_exists = 6,
};

template <>
struct EnumTraits<LockOp> {
  static constexpr std::string_view name = "kvrpcpb.Op";
  static constexpr EnumValue values[] = {
      {0, "Put"},
      {1, "Del"},
      {2, "Lock"},
      {3, "Rollback"},
      {4, "Insert"},
      {5, "PessimisticLock"},
      {6, "CheckNotExists"},
  };
};

/// The lock of a transaction that has not ended.
struct LockInfo {
  std::string primary_lock;
  std::uint64_t lock_version = 0;
  std::string key;
  std::uint64_t lock_ttl = 0;
  /// Keys of the transaction in this region.
  std::uint64_t txn_size = 0;
  LockOp lock_type = LockOp::put;
  std::uint64_t lock_for_update_ts = 0;
  bool use_async_commit = false;
  std::uint64_t min_commit_ts = 0;
  std::vector<std::string> secondaries;
  std::string unknown_fields;

  bool operator==(const LockInfo&) const = default;
};

template <>
struct MessageTraits<LockInfo> {
  static constexpr std::string_view name = "kvrpcpb.LockInfo";
  static constexpr FieldInfo fields[] = {
      bytes_field<&LockInfo::primary_lock>(1, "primary_lock"),
      field<&LockInfo::lock_version>(2, "lock_version"),
      bytes_field<&LockInfo::key>(3, "key"),
      field<&LockInfo::lock_ttl>(4, "lock_ttl"),
      field<&LockInfo::txn_size>(5, "txn_size"),
      field<&LockInfo::lock_type>(6, "lock_type"),
      field<&LockInfo::lock_for_update_ts>(7, "lock_for_update_ts"),
      field<&LockInfo::use_async_commit>(8, "use_async_commit"),
      field<&LockInfo::min_commit_ts>(9, "min_commit_ts"),
      bytes_field<&LockInfo::secondaries>(10, "secondaries"),
  };
};

/// Another transaction has written the key since this one began.
struct WriteConflict {
  std::uint64_t start_ts = 0;
  std::uint64_t conflict_ts = 0;
  std::string key;
  std::string primary;
  std::uint64_t conflict_commit_ts = 0;
  std::string unknown_fields;

  bool operator==(const WriteConflict&) const = default;
};

template <>
struct MessageTraits<WriteConflict> {
  static constexpr std::string_view name = "kvrpcpb.WriteConflict";
  static constexpr FieldInfo fields[] = {
      field<&WriteConflict::start_ts>(1, "start_ts"),
      field<&WriteConflict::conflict_ts>(2, "conflict_ts"),
      bytes_field<&WriteConflict::key>(3, "key"),
      bytes_field<&WriteConflict::primary>(4, "primary"),
      field<&WriteConflict::conflict_commit_ts>(5, "conflict_commit_ts"),
  };
};

/// The key to be inserted exists.
struct AlreadyExist {
  std::string key;
  std::string unknown_fields;

  bool operator==(const AlreadyExist&) const = default;
};

template <>
struct MessageTraits<AlreadyExist> {
  static constexpr std::string_view name = "kvrpcpb.AlreadyExist";
  static constexpr FieldInfo fields[] = {
      bytes_field<&AlreadyExist::key>(1, "key"),
  };
};

/// Transactions wait for each other.
struct Deadlock {
  std::uint64_t lock_ts = 0;
  std::string lock_key;
  std::uint64_t deadlock_key_hash = 0;
  std::string unknown_fields;

  bool operator==(const Deadlock&) const = default;
};

template <>
struct MessageTraits<Deadlock> {
  static constexpr std::string_view name = "kvrpcpb.Deadlock";
  static constexpr FieldInfo fields[] = {
      field<&Deadlock::lock_ts>(1, "lock_ts"),
      bytes_field<&Deadlock::lock_key>(2, "lock_key"),
      field<&Deadlock::deadlock_key_hash>(3, "deadlock_key_hash"),
  };
};

/// The commit came with a timestamp below what a reader has been promised.
struct CommitTsExpired {
  std::uint64_t start_ts = 0;
  std::uint64_t attempted_commit_ts = 0;
  std::string key;
  std::uint64_t min_commit_ts = 0;
  std::string unknown_fields;

  bool operator==(const CommitTsExpired&) const = default;
};

template <>
struct MessageTraits<CommitTsExpired> {
  static constexpr std::string_view name = "kvrpcpb.CommitTsExpired";
  static constexpr FieldInfo fields[] = {
      field<&CommitTsExpired::start_ts>(1, "start_ts"),
      field<&CommitTsExpired::attempted_commit_ts>(2, "attempted_commit_ts"),
      bytes_field<&CommitTsExpired::key>(3, "key"),
      field<&CommitTsExpired::min_commit_ts>(4, "min_commit_ts"),
  };
};

/// The primary lock of the transaction is gone.
struct TxnNotFound {
  std::uint64_t start_ts = 0;
  std::string primary_key;
  std::string unknown_fields;

  bool operator==(const TxnNotFound&) const = default;
};

template <>
struct MessageTraits<TxnNotFound> {
  static constexpr std::string_view name = "kvrpcpb.TxnNotFound";
  static constexpr FieldInfo fields[] = {
      field<&TxnNotFound::start_ts>(1, "start_ts"),
      bytes_field<&TxnNotFound::primary_key>(2, "primary_key"),
  };
};

/// The commit needs a timestamp above the limit that was given.
struct CommitTsTooLarge {
  std::uint64_t commit_ts = 0;
  std::string unknown_fields;

  bool operator==(const CommitTsTooLarge&) const = default;
};

template <>
struct MessageTraits<CommitTsTooLarge> {
  static constexpr std::string_view name = "kvrpcpb.CommitTsTooLarge";
  static constexpr FieldInfo fields[] = {
      field<&CommitTsTooLarge::commit_ts>(1, "commit_ts"),
  };
};

/// Why a key could not be read; one field is set.
struct KeyError {
  /// The lock has to end first.
  std::optional<LockInfo> locked;
  /// The transaction may be begun again.
  std::string retryable;
  /// The transaction is lost.
  std::string abort;
  std::optional<WriteConflict> conflict;
  std::optional<AlreadyExist> already_exist;
  std::optional<Deadlock> deadlock;
  std::optional<CommitTsExpired> commit_ts_expired;
  std::optional<TxnNotFound> txn_not_found;
  std::optional<CommitTsTooLarge> commit_ts_too_large;
  std::string unknown_fields;

  bool operator==(const KeyError&) const = default;
};

template <>
struct MessageTraits<KeyError> {
  static constexpr std::string_view name = "kvrpcpb.KeyError";
  static constexpr FieldInfo fields[] = {
      field<&KeyError::locked>(1, "locked"),
      string_field<&KeyError::retryable>(2, "retryable"),
      string_field<&KeyError::abort>(3, "abort"),
      field<&KeyError::conflict>(4, "conflict"),
      field<&KeyError::already_exist>(5, "already_exist"),
      field<&KeyError::deadlock>(6, "deadlock"),
      field<&KeyError::commit_ts_expired>(7, "commit_ts_expired"),
      field<&KeyError::txn_not_found>(8, "txn_not_found"),
      field<&KeyError::commit_ts_too_large>(9, "commit_ts_too_large"),
  };
};

static_assert(Message<LockInfo>);
static_assert(Message<WriteConflict>);
static_assert(Message<AlreadyExist>);
static_assert(Message<Deadlock>);
static_assert(Message<CommitTsExpired>);
static_assert(Message<TxnNotFound>);
static_assert(Message<CommitTsTooLarge>);
static_assert(Message<KeyError>);

}  // namespace kvbackup::inline v1
