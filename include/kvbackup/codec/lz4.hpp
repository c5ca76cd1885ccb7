// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_LZ4
#include <algorithm>
#include <cstddef>
#include <limits>
#include <lz4.h>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvbackup::inline v1 {

/// LZ4 blocks without a frame, as RocksDB stores them.
struct Lz4Codec {
  /// Give the very bytes RocksDB gives: a fresh stream for each block and
  /// LZ4_compress_fast_continue. Otherwise the call that LZ4 itself tunes for single blocks, whose
  /// bytes differ a little; both decompress the same way.
  bool exact = false;

  /// Compresses; owns the 16 KiB hash table that LZ4 works in. Belongs to one thread.
  class Compressor {
   public:
    explicit Compressor(bool exact) noexcept : state_(LZ4_createStream()), exact_(exact) {}

    /// Nothing if the result does not fit `out`, if `in` is longer than LZ4_MAX_INPUT_SIZE
    /// (2 113 929 216 bytes), or if there was no memory for the hash table.
    std::optional<std::size_t> compress(ByteView in, std::span<char> out) noexcept {
      if (!state_ || in.size() > LZ4_MAX_INPUT_SIZE || out.empty()) return std::nullopt;
      const int in_size = static_cast<int>(in.size());
      const int out_size = static_cast<int>(std::min<std::size_t>(out.size(), largest_int));
      const int written = exact_ ? compress_as_rocksdb(in.data(), out.data(), in_size, out_size)
                                 : LZ4_compress_fast_extState(state_.get(), in.data(), out.data(),
                                                              in_size, out_size, acceleration);
      if (written <= 0) return std::nullopt;
      return static_cast<std::size_t>(written);
    }

   private:
    static constexpr int acceleration = 1;

    int compress_as_rocksdb(const char* in, char* out, int in_size, int out_size) noexcept {
      LZ4_stream_t* stream = LZ4_initStream(state_.get(), sizeof(LZ4_stream_t));
      return LZ4_compress_fast_continue(stream, in, out, in_size, out_size, acceleration);
    }

    struct Free {
      void operator()(LZ4_stream_t* stream) const noexcept { LZ4_freeStream(stream); }
    };
    std::unique_ptr<LZ4_stream_t, Free> state_;
    bool exact_;
  };

  /// Decompresses; holds nothing but a view of the dictionary, if there is one.
  class Decompressor {
   public:
    Decompressor() noexcept = default;
    /// For blocks that were compressed behind `dictionary`, which lives as long.
    explicit Decompressor(ByteView dictionary) noexcept
        // no block looks back further than 64 KiB
        : dictionary_(dictionary.substr(dictionary.size() - std::min(dictionary.size(), window))) {}

    Status decompress(ByteView in, std::span<char> out) {
      // neither length can belong to a block that LZ4 made
      if (in.empty() || in.size() > largest_int || out.size() > largest_int) return damaged();
      char nothing = 0;
      const int written = LZ4_decompress_safe_usingDict(
          in.data(), out.empty() ? &nothing : out.data(), static_cast<int>(in.size()),
          static_cast<int>(out.size()), dictionary_.data(), static_cast<int>(dictionary_.size()));
      if (written < 0 || static_cast<std::size_t>(written) != out.size()) return damaged();
      return {};
    }

   private:
    static constexpr std::size_t window = 64 * 1024;
    ByteView dictionary_;
    KVBACKUP_DETAIL_COLD static Status damaged() {
      return Status::error(StatusCode::corruption,
                           "an LZ4 block does not decompress to the length it is said to have; "
                           "the file is damaged, take it from another copy");
    }
  };

  [[nodiscard]] BlockCompression type() const noexcept { return BlockCompression::lz4; }
  [[nodiscard]] std::string_view name() const noexcept { return "LZ4"; }
  [[nodiscard]] std::string parameters() const { return exact ? "exact" : ""; }
  /// LZ4's own bound: n + n/255 + 16.
  [[nodiscard]] std::size_t bound(std::size_t plain_size) const noexcept {
    return plain_size + plain_size / 255 + 16;
  }
  [[nodiscard]] Compressor compressor() const noexcept { return Compressor(exact); }
  [[nodiscard]] Decompressor decompressor() const noexcept { return {}; }
  [[nodiscard]] Decompressor decompressor(ByteView dictionary) const noexcept {
    return Decompressor(dictionary);
  }

 private:
  static constexpr std::size_t largest_int =
      static_cast<std::size_t>(std::numeric_limits<int>::max());
};

static_assert(BlockCodec<Lz4Codec>);

}  // namespace kvbackup::inline v1
#endif
