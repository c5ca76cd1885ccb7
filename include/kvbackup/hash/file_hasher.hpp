// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/hash/crc32c.hpp"
#include "kvbackup/hash/crc64.hpp"
#include "kvbackup/hash/sha256_portable.hpp"

namespace kvbackup::inline v1 {

/// The Hasher that fills in BR's `File` message, with SHA-256 by `S`. Takes its bytes as they come
/// and keeps none of them.
template <Sha256Function S>
class BasicFileHasher {
 public:
  /// The next stored bytes of the file.
  void add_bytes(ByteView bytes) noexcept {
    // both digests see a piece while it is in the first-level cache
    constexpr std::size_t piece_size = 16 * 1024;
    while (!bytes.empty()) {
      const ByteView piece = bytes.substr(0, piece_size);
      sha256_.update(piece);
      digest_.crc32c = crc32c(piece, digest_.crc32c);
      bytes.remove_prefix(piece.size());
    }
  }

  /// One logical pair that this file counts.
  void add_pair(ByteView key, ByteView value) noexcept {
    digest_.crc64xor ^= crc64_xz_pair(key, value);
    digest_.total_kvs += 1;
    digest_.total_bytes += key.size() + value.size();
  }

  /// What was taken; the hasher is spent after it.
  [[nodiscard]] FileDigest finish() noexcept {
    digest_.sha256 = sha256_.finish();
    return digest_;
  }

 private:
  S sha256_;
  FileDigest digest_;
};

static_assert(Hasher<BasicFileHasher<PortableSha256>>);

}  // namespace kvbackup::inline v1
