// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/hash/detail/sha256_block.hpp"
#include "kvbackup/hash/detail/sha256_shani.hpp"

namespace kvbackup::inline v1 {

/// SHA-256 (FIPS 180-4) that needs no library, by the SHA instructions of x86 CPUs that have them.
/// Never allocates.
class PortableSha256 {
 public:
  /// Takes the next bytes of the message.
  void update(ByteView bytes) noexcept {
    if (bytes.empty()) return;
    const std::size_t held = static_cast<std::size_t>(size_ % block_size);
    size_ += bytes.size();
    if (held + bytes.size() < block_size) {
      std::memcpy(pending_ + held, bytes.data(), bytes.size());
      return;
    }
    if (held > 0) {
      const std::size_t missing = block_size - held;
      std::memcpy(pending_ + held, bytes.data(), missing);
      take_blocks(pending_, 1);
      bytes.remove_prefix(missing);
    }
    take_blocks(bytes.data(), bytes.size() / block_size);
    const ByteView rest = bytes.substr(bytes.size() - bytes.size() % block_size);
    if (!rest.empty()) std::memcpy(pending_, rest.data(), rest.size());
  }

  /// The digest of all that was taken; the object is spent after it.
  [[nodiscard]] Sha256Digest finish() noexcept {
    const std::uint64_t bits = size_ * 8;
    const std::size_t held = static_cast<std::size_t>(size_ % block_size);
    // one bit, zeros, and the length in the last eight bytes of a block
    char padding[2 * block_size] = {};
    if (held > 0) std::memcpy(padding, pending_, held);
    padding[held] = static_cast<char>(0x80);
    const std::size_t blocks = held < block_size - 8 ? 1 : 2;
    for (std::size_t i = 0; i < 8; ++i) {
      padding[blocks * block_size - 1 - i] = static_cast<char>(bits >> (8 * i) & 0xff);
    }
    take_blocks(padding, blocks);
    Sha256Digest digest;
    for (std::size_t i = 0; i < digest.size(); ++i) {
      digest[i] = static_cast<char>(state_[i / 4] >> (24 - 8 * (i % 4)) & 0xff);
    }
    return digest;
  }

  /// The digest of `bytes`.
  [[nodiscard]] static Sha256Digest of(ByteView bytes) noexcept {
    PortableSha256 sha;
    sha.update(bytes);
    return sha.finish();
  }

 private:
  static constexpr std::size_t block_size = detail::sha256_block_size;

  void take_blocks(const char* p, std::size_t count) noexcept {
#if KVBACKUP_DETAIL_X86_64
    if (detail::cpu_has_shani) return detail::sha256_blocks_shani(state_, p, count);
#endif
    detail::sha256_blocks_portable(state_, p, count);
  }

  detail::Sha256State state_ = detail::sha256_start;
  std::uint64_t size_ = 0;
  char pending_[block_size] = {};
};

static_assert(Sha256Function<PortableSha256>);

}  // namespace kvbackup::inline v1
