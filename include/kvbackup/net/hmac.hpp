// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/concept.hpp"

#if KVBACKUP_WITH_OPENSSL
#include <limits>
#include <optional>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace kvbackup::inline v1 {

/// HMAC-SHA-256 (RFC 2104) by OpenSSL. Nothing if OpenSSL cannot (no provider offers it, no
/// memory) or the key is longer than an int counts.
[[nodiscard]] inline std::optional<Sha256Digest> hmac_sha256(ByteView key, ByteView message) {
  Sha256Digest digest;
  unsigned size = 0;
  if (key.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return std::nullopt;
  const unsigned char* made =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(message.data()), message.size(),
           reinterpret_cast<unsigned char*>(digest.data()), &size);
  if (made == nullptr || size != digest.size()) return std::nullopt;
  return digest;
}

}  // namespace kvbackup::inline v1
#endif
