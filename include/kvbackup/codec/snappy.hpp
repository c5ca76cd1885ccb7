// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_SNAPPY
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <snappy.h>
#include <span>
#include <string>
#include <string_view>

namespace kvbackup::inline v1 {

/// Raw Snappy, without a frame, as RocksDB stores it; the same bytes as RocksDB's.
struct SnappyCodec {
  /// Compresses. Keeps nothing of a block; Snappy works in a table of its own, made for each call.
  class Compressor {
   public:
    /// Nothing if the result does not fit `out`, or if `in` has 4 GiB or more, whose length Snappy
    /// cannot say. Less room than bound() asks for costs a copy.
    std::optional<std::size_t> compress(ByteView in, std::span<char> out) {
      if (in.size() > longest) return std::nullopt;
      const std::size_t bound = snappy::MaxCompressedLength(in.size());
      std::size_t written = 0;
      // Snappy is told of no limit and writes up to its bound
      if (out.size() >= bound) {
        snappy::RawCompress(in.data(), in.size(), out.data(), &written);
        return written;
      }
      std::string roomy(bound, '\0');
      snappy::RawCompress(in.data(), in.size(), roomy.data(), &written);
      if (written > out.size()) return std::nullopt;
      std::memcpy(out.data(), roomy.data(), written);
      return written;
    }
  };

  /// Decompresses; holds nothing.
  class Decompressor {
   public:
    Status decompress(ByteView in, std::span<char> out) {
      // RawUncompress writes as much as the block itself says
      std::size_t said = 0;
      if (!snappy::GetUncompressedLength(in.data(), in.size(), &said) || said != out.size()) {
        return damaged();
      }
      char nothing = 0;
      if (!snappy::RawUncompress(in.data(), in.size(), out.empty() ? &nothing : out.data())) {
        return damaged();
      }
      return {};
    }

   private:
    KVBACKUP_DETAIL_COLD static Status damaged() {
      return Status::error(StatusCode::corruption,
                           "a Snappy block does not decompress to the length it is said to have; "
                           "the file is damaged, take it from another copy");
    }
  };

  [[nodiscard]] BlockCompression type() const noexcept { return BlockCompression::snappy; }
  [[nodiscard]] std::string_view name() const noexcept { return "Snappy"; }
  /// Snappy's own bound: n + n/6 + 32.
  [[nodiscard]] std::size_t bound(std::size_t plain_size) const noexcept {
    return plain_size + plain_size / 6 + 32;
  }
  [[nodiscard]] Compressor compressor() const noexcept { return {}; }
  [[nodiscard]] Decompressor decompressor() const noexcept { return {}; }

 private:
  static constexpr std::size_t longest = std::numeric_limits<std::uint32_t>::max();
};

static_assert(BlockCodec<SnappyCodec>);

}  // namespace kvbackup::inline v1
#endif
