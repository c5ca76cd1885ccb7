// SPDX-License-Identifier: Apache-2.0
// Messages of proto/errorpb.proto: why a region could not serve a request. errorpb.Error is
// RegionError here, for backup.Error is Error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/message.hpp"
#include "kvbackup/proto/metapb.hpp"

namespace kvbackup::inline v1 {

/// This store does not lead the region.
struct NotLeader {
  std::uint64_t region_id = 0;
  /// Who does, if that is known.
  std::optional<Peer> leader;
  std::string unknown_fields;

  bool operator==(const NotLeader&) const = default;
};

template <>
struct MessageTraits<NotLeader> {
  static constexpr std::string_view name = "errorpb.NotLeader";
  static constexpr FieldInfo fields[] = {
      field<&NotLeader::region_id>(1, "region_id"),
      field<&NotLeader::leader>(2, "leader"),
  };
};

/// The request names another store.
struct StoreNotMatch {
  std::uint64_t request_store_id = 0;
  std::uint64_t actual_store_id = 0;
  std::string unknown_fields;

  bool operator==(const StoreNotMatch&) const = default;
};

template <>
struct MessageTraits<StoreNotMatch> {
  static constexpr std::string_view name = "errorpb.StoreNotMatch";
  static constexpr FieldInfo fields[] = {
      field<&StoreNotMatch::request_store_id>(1, "request_store_id"),
      field<&StoreNotMatch::actual_store_id>(2, "actual_store_id"),
  };
};

/// The store holds no such region.
struct RegionNotFound {
  std::uint64_t region_id = 0;
  std::string unknown_fields;

  bool operator==(const RegionNotFound&) const = default;
};

template <>
struct MessageTraits<RegionNotFound> {
  static constexpr std::string_view name = "errorpb.RegionNotFound";
  static constexpr FieldInfo fields[] = {
      field<&RegionNotFound::region_id>(1, "region_id"),
  };
};

/// The key lies outside of the region.
struct KeyNotInRegion {
  std::string key;
  std::uint64_t region_id = 0;
  std::string start_key;
  std::string end_key;
  std::string unknown_fields;

  bool operator==(const KeyNotInRegion&) const = default;
};

template <>
struct MessageTraits<KeyNotInRegion> {
  static constexpr std::string_view name = "errorpb.KeyNotInRegion";
  static constexpr FieldInfo fields[] = {
      bytes_field<&KeyNotInRegion::key>(1, "key"),
      field<&KeyNotInRegion::region_id>(2, "region_id"),
      bytes_field<&KeyNotInRegion::start_key>(3, "start_key"),
      bytes_field<&KeyNotInRegion::end_key>(4, "end_key"),
  };
};

/// The region was split, merged or moved since the request was made.
struct EpochNotMatch {
  std::vector<Region> current_regions;
  std::string unknown_fields;

  bool operator==(const EpochNotMatch&) const = default;
};

template <>
struct MessageTraits<EpochNotMatch> {
  static constexpr std::string_view name = "errorpb.EpochNotMatch";
  static constexpr FieldInfo fields[] = {
      field<&EpochNotMatch::current_regions>(1, "current_regions"),
  };
};

/// The store asks to try again after backoff_ms milliseconds.
struct ServerIsBusy {
  std::string reason;
  std::uint64_t backoff_ms = 0;
  std::string unknown_fields;

  bool operator==(const ServerIsBusy&) const = default;
};

template <>
struct MessageTraits<ServerIsBusy> {
  static constexpr std::string_view name = "errorpb.ServerIsBusy";
  static constexpr FieldInfo fields[] = {
      string_field<&ServerIsBusy::reason>(1, "reason"),
      field<&ServerIsBusy::backoff_ms>(2, "backoff_ms"),
  };
};

/// The leader has changed since the request was made.
struct StaleCommand {
  std::string unknown_fields;

  bool operator==(const StaleCommand&) const = default;
};

template <>
struct MessageTraits<StaleCommand> {
  static constexpr std::string_view name = "errorpb.StaleCommand";
  static constexpr auto fields = no_fields;
};

/// The request is over the size that raft takes at once, in bytes.
struct RaftEntryTooLarge {
  std::uint64_t region_id = 0;
  std::uint64_t entry_size = 0;
  std::string unknown_fields;

  bool operator==(const RaftEntryTooLarge&) const = default;
};

template <>
struct MessageTraits<RaftEntryTooLarge> {
  static constexpr std::string_view name = "errorpb.RaftEntryTooLarge";
  static constexpr FieldInfo fields[] = {
      field<&RaftEntryTooLarge::region_id>(1, "region_id"),
      field<&RaftEntryTooLarge::entry_size>(2, "entry_size"),
  };
};

/// A new leader does not know the highest timestamp yet.
struct MaxTimestampNotSynced {
  std::string unknown_fields;

  bool operator==(const MaxTimestampNotSynced&) const = default;
};

template <>
struct MessageTraits<MaxTimestampNotSynced> {
  static constexpr std::string_view name = "errorpb.MaxTimestampNotSynced";
  static constexpr auto fields = no_fields;
};

/// The region is being split or merged.
struct ReadIndexNotReady {
  std::string reason;
  std::uint64_t region_id = 0;
  std::string unknown_fields;

  bool operator==(const ReadIndexNotReady&) const = default;
};

template <>
struct MessageTraits<ReadIndexNotReady> {
  static constexpr std::string_view name = "errorpb.ReadIndexNotReady";
  static constexpr FieldInfo fields[] = {
      string_field<&ReadIndexNotReady::reason>(1, "reason"),
      field<&ReadIndexNotReady::region_id>(2, "region_id"),
  };
};

/// The region is being merged.
struct ProposalInMergingMode {
  std::uint64_t region_id = 0;
  std::string unknown_fields;

  bool operator==(const ProposalInMergingMode&) const = default;
};

template <>
struct MessageTraits<ProposalInMergingMode> {
  static constexpr std::string_view name = "errorpb.ProposalInMergingMode";
  static constexpr FieldInfo fields[] = {
      field<&ProposalInMergingMode::region_id>(1, "region_id"),
  };
};

/// Why a region could not serve; one field beside message is set.
struct RegionError {
  std::string message;
  std::optional<NotLeader> not_leader;
  std::optional<RegionNotFound> region_not_found;
  std::optional<KeyNotInRegion> key_not_in_region;
  std::optional<EpochNotMatch> epoch_not_match;
  std::optional<ServerIsBusy> server_is_busy;
  std::optional<StaleCommand> stale_command;
  std::optional<StoreNotMatch> store_not_match;
  std::optional<RaftEntryTooLarge> raft_entry_too_large;
  std::optional<MaxTimestampNotSynced> max_timestamp_not_synced;
  std::optional<ReadIndexNotReady> read_index_not_ready;
  std::optional<ProposalInMergingMode> proposal_in_merging_mode;
  std::string unknown_fields;

  bool operator==(const RegionError&) const = default;
};

template <>
struct MessageTraits<RegionError> {
  static constexpr std::string_view name = "errorpb.Error";
  static constexpr FieldInfo fields[] = {
      string_field<&RegionError::message>(1, "message"),
      field<&RegionError::not_leader>(2, "not_leader"),
      field<&RegionError::region_not_found>(3, "region_not_found"),
      field<&RegionError::key_not_in_region>(4, "key_not_in_region"),
      field<&RegionError::epoch_not_match>(5, "epoch_not_match"),
      field<&RegionError::server_is_busy>(6, "server_is_busy"),
      field<&RegionError::stale_command>(7, "stale_command"),
      field<&RegionError::store_not_match>(8, "store_not_match"),
      field<&RegionError::raft_entry_too_large>(9, "raft_entry_too_large"),
      field<&RegionError::max_timestamp_not_synced>(10, "max_timestamp_not_synced"),
      field<&RegionError::read_index_not_ready>(11, "read_index_not_ready"),
      field<&RegionError::proposal_in_merging_mode>(12, "proposal_in_merging_mode"),
  };
};

static_assert(Message<NotLeader>);
static_assert(Message<StoreNotMatch>);
static_assert(Message<RegionNotFound>);
static_assert(Message<KeyNotInRegion>);
static_assert(Message<EpochNotMatch>);
static_assert(Message<ServerIsBusy>);
static_assert(Message<StaleCommand>);
static_assert(Message<RaftEntryTooLarge>);
static_assert(Message<MaxTimestampNotSynced>);
static_assert(Message<ReadIndexNotReady>);
static_assert(Message<ProposalInMergingMode>);
static_assert(Message<RegionError>);

}  // namespace kvbackup::inline v1
