// SPDX-License-Identifier: Apache-2.0
// The seal of a message: one more field, which stands last, the SHA-256 of every byte before its
// tag.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/hash/sha256_portable.hpp"
#include "kvbackup/proto/wire.hpp"

namespace kvbackup::inline v1 {

/// The number of the seal's field. BR does not use it and never will: its own end below 100.
inline constexpr std::uint32_t seal_field = 100002;

namespace detail {

inline void append_seal(std::string& message) {
  const Sha256Digest seal = PortableSha256::of(message);
  append_bytes_field(message, seal_field, as_bytes(seal));
}

/// What stands before the seal that `bytes` end with; nothing if they end with none that fits.
[[nodiscard]] inline std::optional<ByteView> sealed_part(ByteView bytes) {
  constexpr std::size_t seal_size = 3 + 1 + 32;  // tag of field 100002, length, SHA-256
  if (bytes.size() < seal_size) return std::nullopt;
  const ByteView before = bytes.substr(0, bytes.size() - seal_size);
  const Sha256Digest digest = PortableSha256::of(before);
  std::string seal;
  append_bytes_field(seal, seal_field, as_bytes(digest));
  if (bytes.substr(before.size()) != ByteView(seal)) return std::nullopt;
  return before;
}

}  // namespace detail
}  // namespace kvbackup::inline v1
