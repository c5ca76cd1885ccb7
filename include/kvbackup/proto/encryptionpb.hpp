// SPDX-License-Identifier: Apache-2.0
// Messages of proto/encryptionpb.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1 {

/// With which data key, and which initialisation vector, something is encrypted.
struct EncryptionMeta {
  std::uint64_t key_id = 0;
  std::string iv;
  std::string unknown_fields;

  bool operator==(const EncryptionMeta&) const = default;
};

template <>
struct MessageTraits<EncryptionMeta> {
  static constexpr std::string_view name = "encryptionpb.EncryptionMeta";
  static constexpr FieldInfo fields[] = {
      field<&EncryptionMeta::key_id>(1, "key_id"),
      bytes_field<&EncryptionMeta::iv>(2, "iv"),
  };
};

static_assert(Message<EncryptionMeta>);

}  // namespace kvbackup::inline v1
