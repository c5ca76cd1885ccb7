// SPDX-License-Identifier: Apache-2.0
// What a table reader can decode: a set of codecs and a set of checksums, fixed at compile time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/concept.hpp"

namespace kvbackup::inline v1 {

namespace detail {
/// The context of a codec that knows a dictionary, for those that have one.
template <class C>
[[nodiscard]] auto decompressor_with(const C& codec, ByteView dictionary) {
  if constexpr (requires { codec.decompressor(dictionary); }) {
    return codec.decompressor(dictionary);
  } else {
    return codec.decompressor();
  }
}
}  // namespace detail

/// Codecs of different types: those whose blocks can be decompressed.
template <BlockCodec... Codecs>
class CodecSet {
 public:
  CodecSet() = default;
  explicit CodecSet(Codecs... codecs) requires(sizeof...(Codecs) > 0)
      : codecs_(std::move(codecs)...) {}

  /// The contexts of the codecs, each made when it is first needed. Belongs to one thread.
  class Contexts {
   public:
    /// `dictionary`, which may be empty, outlives the contexts.
    Contexts(const CodecSet& set, ByteView dictionary) : set_(&set), dictionary_(dictionary) {}

    /// Fills `out` from a block of `type`, which the set has.
    Status decompress(BlockCompression type, bool with_dictionary, ByteView in,
                      std::span<char> out) {
      return decompress_by(std::index_sequence_for<Codecs...>(), type,
                           with_dictionary && !dictionary_.empty(), in, out);
    }

   private:
    template <class C>
    struct Held {
      std::optional<decltype(std::declval<const C&>().decompressor())> plain;
      std::optional<decltype(detail::decompressor_with(std::declval<const C&>(), ByteView()))>
          primed;
    };
    template <std::size_t... I>
    Status decompress_by(std::index_sequence<I...>, BlockCompression type, bool primed, ByteView in,
                         std::span<char> out) {
      Status status;
      const auto attempt = [&](const auto& codec, auto& held) {
        if (codec.type() != type) return false;
        if (primed) {
          if (!held.primed) held.primed.emplace(detail::decompressor_with(codec, dictionary_));
          status = held.primed->decompress(in, out);
        } else {
          if (!held.plain) held.plain.emplace(codec.decompressor());
          status = held.plain->decompress(in, out);
        }
        return true;
      };
      const bool found = (attempt(std::get<I>(set_->codecs_), std::get<I>(held_)) || ...);
      KVBACKUP_ASSERT(found);
      static_cast<void>(found);
      return status;
    }

    const CodecSet* set_;
    ByteView dictionary_;
    std::tuple<Held<Codecs>...> held_;
  };

  [[nodiscard]] bool has(BlockCompression type) const {
    return std::apply([type](const auto&... codec) { return ((codec.type() == type) || ...); },
                      codecs_);
  }
  /// The plain length that a block of `type` tells by itself, if its codec can say it.
  [[nodiscard]] std::optional<std::uint64_t> plain_size(BlockCompression type, ByteView in) const {
    std::optional<std::uint64_t> size;
    const auto ask = [&](const auto& codec) {
      if constexpr (requires { codec.plain_size(in); }) {
        if (codec.type() == type) size = codec.plain_size(in);
      }
    };
    std::apply([&ask](const auto&... codec) { (ask(codec), ...); }, codecs_);
    return size;
  }

 private:
  std::tuple<Codecs...> codecs_;
};

/// Checksums that can be verified.
template <BlockChecksum... Checksums>
struct ChecksumSet {
  [[nodiscard]] static constexpr bool has(ChecksumKind kind) {
    return ((Checksums::kind == kind) || ...);
  }
  /// What the checksum of `kind`, which the set has, gives.
  [[nodiscard]] static std::uint32_t of(ChecksumKind kind, ByteView payload_and_type) {
    std::uint32_t sum = 0;
    const bool found =
        ((Checksums::kind == kind && (sum = Checksums::of(payload_and_type), true)) || ...);
    KVBACKUP_ASSERT(found);
    static_cast<void>(found);
    return sum;
  }
};

/// How much longer a block may become by decompression however long that is: what LZ4 can at most.
/// Only Zstandard goes beyond, and only for bytes that repeat.
inline constexpr std::uint64_t trusted_ratio = 255;

/// The default of TableDecoders::largest_inflated. TableWriter stores what goes beyond it plain.
inline constexpr std::uint64_t default_largest_inflated = 256ull << 20;

/// Both sets of a TableReader.
template <class Codecs, class Checksums>
struct TableDecoders {
  using Contexts = typename Codecs::Contexts;
  using ChecksumsUsed = Checksums;
  Codecs codecs{};
  /// The most plain bytes of a block that is more than trusted_ratio times as long as its stored
  /// form; a longer one is resource_exhausted. It keeps a small file from asking for much memory,
  /// and is to be raised for a table that is trusted and has values as long of bytes that repeat.
  std::uint64_t largest_inflated = default_largest_inflated;
};

namespace detail {

/// RocksDB's type before the format of Zstandard was final; the payload is the same.
inline constexpr auto zstd_not_final = static_cast<BlockCompression>(0x40);

/// The type by whose codec a block of `type` is decompressed.
[[nodiscard]] constexpr BlockCompression decoding_type(BlockCompression type) {
  if (type == BlockCompression::lz4hc) return BlockCompression::lz4;
  return type == zstd_not_final ? BlockCompression::zstd : type;
}

/// A type's name in messages; nullptr for a number that is none.
[[nodiscard]] constexpr const char* compression_name(BlockCompression type) {
  switch (type) {
    case BlockCompression::none: return "none";
    case BlockCompression::snappy: return "snappy";
    case BlockCompression::zlib: return "zlib";
    case BlockCompression::bzip2: return "bzip2";
    case BlockCompression::lz4: return "lz4";
    case BlockCompression::lz4hc: return "lz4hc";
    case BlockCompression::xpress: return "xpress";
    case BlockCompression::zstd: return "zstd";
    default: return type == zstd_not_final ? "zstd" : nullptr;
  }
}
[[nodiscard]] constexpr const char* checksum_name(ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::none: return "none";
    case ChecksumKind::crc32c: return "crc32c";
    case ChecksumKind::xxhash: return "xxhash";
    case ChecksumKind::xxhash64: return "xxhash64";
    case ChecksumKind::xxh3: return "xxh3";
  }
  return nullptr;
}

/// The most plain bytes that `size` bytes of a compressed block can stand for, so that a small file
/// cannot ask for much memory.
[[nodiscard]] constexpr std::uint64_t most_plain_bytes(BlockCompression type, std::uint64_t size) {
  switch (type) {
    // a length byte of 255 adds 255; the last token and its first length add less than 64
    case BlockCompression::lz4: return 255 * size + 64;
    // three bytes copy at most 64
    case BlockCompression::snappy: return 22 * size + 64;
    // a block of one repeated byte: 4 bytes for 128 KiB
    case BlockCompression::zstd: return (128 * 1024 / 4) * size + 128 * 1024;
    // 258 bytes for two codes of at least one bit each
    case BlockCompression::zlib: return 1032 * size + 1024;
    // runs of 255 over 5 bytes in blocks of 900 kB, at best about 40 bytes each
    case BlockCompression::bzip2: return 1200000 * size;
    default: return size;
  }
}

}  // namespace detail

}  // namespace kvbackup::inline v1
