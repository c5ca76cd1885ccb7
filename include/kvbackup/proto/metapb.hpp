// SPDX-License-Identifier: Apache-2.0
// Messages of proto/metapb.proto: regions and their peers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/encryptionpb.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1 {

/// Rises with every change of the peers (conf_ver) and with every split or merge (version).
struct RegionEpoch {
  std::uint64_t conf_ver = 0;
  std::uint64_t version = 0;
  std::string unknown_fields;

  bool operator==(const RegionEpoch&) const = default;
};

template <>
struct MessageTraits<RegionEpoch> {
  static constexpr std::string_view name = "metapb.RegionEpoch";
  static constexpr FieldInfo fields[] = {
      field<&RegionEpoch::conf_ver>(1, "conf_ver"),
      field<&RegionEpoch::version>(2, "version"),
  };
};

/// What a peer is in its raft group, and what it is becoming.
enum class PeerRole : std::int32_t {
  voter = 0,
  learner = 1,
  incoming_voter = 2,
  demoting_voter = 3,
};

template <>
struct EnumTraits<PeerRole> {
  static constexpr std::string_view name = "metapb.PeerRole";
  static constexpr EnumValue values[] = {
      {0, "Voter"},
      {1, "Learner"},
      {2, "IncomingVoter"},
      {3, "DemotingVoter"},
  };
};

/// One replica of a region.
struct Peer {
  std::uint64_t id = 0;
  std::uint64_t store_id = 0;
  PeerRole role = PeerRole::voter;
  std::string unknown_fields;

  bool operator==(const Peer&) const = default;
};

template <>
struct MessageTraits<Peer> {
  static constexpr std::string_view name = "metapb.Peer";
  static constexpr FieldInfo fields[] = {
      field<&Peer::id>(1, "id"),
      field<&Peer::store_id>(2, "store_id"),
      field<&Peer::role>(3, "role"),
  };
};

/// The keys [start_key, end_key), an empty one is unbounded.
struct Region {
  std::uint64_t id = 0;
  std::string start_key;
  std::string end_key;
  std::optional<RegionEpoch> region_epoch;
  std::vector<Peer> peers;
  /// Set where the two keys are encrypted.
  std::optional<EncryptionMeta> encryption_meta;
  std::string unknown_fields;

  bool operator==(const Region&) const = default;
};

template <>
struct MessageTraits<Region> {
  static constexpr std::string_view name = "metapb.Region";
  static constexpr FieldInfo fields[] = {
      field<&Region::id>(1, "id"),
      bytes_field<&Region::start_key>(2, "start_key"),
      bytes_field<&Region::end_key>(3, "end_key"),
      field<&Region::region_epoch>(4, "region_epoch"),
      field<&Region::peers>(5, "peers"),
      field<&Region::encryption_meta>(6, "encryption_meta"),
  };
};

static_assert(Message<RegionEpoch>);
static_assert(Message<Peer>);
static_assert(Message<Region>);

}  // namespace kvbackup::inline v1
