// SPDX-License-Identifier: Apache-2.0
// The Hasher contract: what a backup proves a file by.
//
// | expression            | result     | meaning
// |-----------------------|------------|------------------------------------------------------------
// | H(h)                  | H          | the pipeline copies its prototype once per file
// | h.add_bytes(bytes)    | void       | the next stored bytes of the file, in order
// | h.add_pair(k, v)      | void       | one logical pair that this file counts
// | h.finish()            | FileDigest | the digests; the hasher is spent after it
//
// Laws no compiler checks: the split of the stored bytes into calls does not change sha256; the
// order of pairs does not change crc64xor; a copy of a fresh prototype is fresh.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>

#include "kvbackup/base/bytes.hpp"

namespace kvbackup::inline v1 {

/// The 32 raw bytes of a SHA-256.
using Sha256Digest = std::array<char, 32>;

/// What a Hasher says of one file. Meanings as in BR's `File` message.
struct FileDigest {
  Sha256Digest sha256{};          ///< of the stored bytes
  std::uint32_t crc32c = 0;       ///< plain CRC-32C (Castagnoli, unmasked) of the stored bytes
  std::uint64_t crc64xor = 0;     ///< XOR over the pairs of CRC-64/XZ(key || value)
  std::uint64_t total_kvs = 0;    ///< pairs
  std::uint64_t total_bytes = 0;  ///< sum of key and value lengths
};

template <class H>
concept Hasher = std::copyable<H> && requires(H h, ByteView bytes) {
  h.add_bytes(bytes);
  h.add_pair(bytes, bytes);
  { h.finish() } -> std::same_as<FileDigest>;
};

/// The contract of a SHA-256 implementation (PortableSha256, OpensslSha256), a value:
/// update(bytes) any number of times, then finish() once. `of(bytes)` in one call.
template <class S>
concept Sha256Function = std::copyable<S> && std::default_initializable<S> &&
    requires(S s, ByteView bytes) {
  s.update(bytes);
  { s.finish() } -> std::same_as<Sha256Digest>;
  { S::of(bytes) } -> std::same_as<Sha256Digest>;
};

}  // namespace kvbackup::inline v1
