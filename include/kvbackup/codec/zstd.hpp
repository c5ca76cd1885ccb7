// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_ZSTD
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <zstd.h>

namespace kvbackup::inline v1 {

/// One Zstandard frame a block, with the length of the plain block and without a checksum of its
/// own, as RocksDB stores it.
struct ZstdCodec {
  /// 1 (fast) to 22 (small); below 0 still faster. 0 is 3, as zstd and TiKV have it. A level past
  /// either end is that end.
  int level = 3;
  /// Give the very bytes RocksDB gives: parameters chosen anew for the length of each block.
  /// Otherwise levels 0 to 3 take them, chosen once, from an empty dictionary, which is faster for
  /// small blocks and gives bytes that differ a little; both are frames without a dictionary.
  bool exact = false;

  /// Compresses; owns the tables that zstd works in, for blocks of up to 64 KiB at most 2 MB.
  /// Belongs to one thread.
  class Compressor {
   public:
    explicit Compressor(const ZstdCodec& codec) noexcept
        : context_(ZSTD_createCCtx()), level_(codec.level == 0 ? default_level : codec.level) {
      // above it, tables that do not know how short the blocks are cost more than they save
      constexpr int highest_of_dictionary = 3;
      if (!codec.exact && level_ > 0 && level_ <= highest_of_dictionary) {
        parameters_.reset(ZSTD_createCDict(nullptr, 0, level_));
      }
    }

    /// Nothing if the result does not fit `out`, or if there was no memory for zstd's tables.
    std::optional<std::size_t> compress(ByteView in, std::span<char> out) noexcept {
      if (!context_) return std::nullopt;
      const std::size_t written =
          parameters_ ? ZSTD_compress_usingCDict(context_.get(), out.data(), out.size(), in.data(),
                                                 in.size(), parameters_.get())
                      : ZSTD_compressCCtx(context_.get(), out.data(), out.size(), in.data(),
                                          in.size(), level_);
      if (ZSTD_isError(written) != 0) return std::nullopt;
      return written;
    }

   private:
    struct Free {
      void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
      void operator()(ZSTD_CDict* parameters) const noexcept { ZSTD_freeCDict(parameters); }
    };
    std::unique_ptr<ZSTD_CCtx, Free> context_;
    std::unique_ptr<ZSTD_CDict, Free> parameters_;
    int level_;
  };

  /// Decompresses; owns zstd's tables. Belongs to one thread. Memory does not depend on what a
  /// frame says: its window is `out` itself.
  class Decompressor {
   public:
    Decompressor() noexcept : context_(ZSTD_createDCtx()) {}
    /// For frames that were compressed with `dictionary`, trained or raw, which lives as long.
    explicit Decompressor(ByteView dictionary) noexcept
        : context_(ZSTD_createDCtx()),
          dictionary_(ZSTD_createDDict(dictionary.data(), dictionary.size())),
          ready_(dictionary_ != nullptr) {}

    Status decompress(ByteView in, std::span<char> out) {
      if (!context_) return no_memory();
      if (!ready_) return bad_dictionary();
      if (!is_one_frame(in)) return damaged();
      // a DDict of null is none
      const std::size_t written = ZSTD_decompress_usingDDict(
          context_.get(), out.data(), out.size(), in.data(), in.size(), dictionary_.get());
      if (ZSTD_isError(written) != 0 || written != out.size()) return damaged();
      return {};
    }

   private:
    /// zstd would also take several frames, skippable ones and the formats before 0.8; a block is
    /// none of these.
    static bool is_one_frame(ByteView in) noexcept {
      return in.size() >= 4 && load_le32(in.data()) == ZSTD_MAGICNUMBER &&
             ZSTD_findFrameCompressedSize(in.data(), in.size()) == in.size();
    }
    KVBACKUP_DETAIL_COLD static Status damaged() {
      return Status::error(StatusCode::corruption,
                           "a Zstandard block does not decompress to the length it is said to "
                           "have; the file is damaged, take it from another copy");
    }
    KVBACKUP_DETAIL_COLD static Status bad_dictionary() {
      return Status::error(StatusCode::corruption,
                           "zstd does not take the dictionary of a Zstandard block; the file is "
                           "damaged, take it from another copy");
    }
    KVBACKUP_DETAIL_COLD static Status no_memory() {
      return Status::error(StatusCode::resource_exhausted,
                           "cannot decompress a Zstandard block: there is no memory for zstd's "
                           "tables; run with fewer workers");
    }
    struct Free {
      void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
      void operator()(ZSTD_DDict* dictionary) const noexcept { ZSTD_freeDDict(dictionary); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> context_;
    std::unique_ptr<ZSTD_DDict, Free> dictionary_;
    bool ready_ = true;
  };

  [[nodiscard]] BlockCompression type() const noexcept { return BlockCompression::zstd; }
  [[nodiscard]] std::string_view name() const noexcept { return "ZSTD"; }
  [[nodiscard]] std::string parameters() const {
    return "level " + std::to_string(level == 0 ? default_level : level) + (exact ? " exact" : "");
  }
  /// zstd's own bound: about n + n/256 + 64.
  [[nodiscard]] std::size_t bound(std::size_t plain_size) const noexcept {
    return ZSTD_compressBound(plain_size);
  }
  [[nodiscard]] Compressor compressor() const noexcept { return Compressor(*this); }
  [[nodiscard]] Decompressor decompressor() const noexcept { return {}; }
  [[nodiscard]] Decompressor decompressor(ByteView dictionary) const noexcept {
    return Decompressor(dictionary);
  }
  /// The plain length that a frame says it has; nothing if it is no frame or says none.
  [[nodiscard]] static std::optional<std::uint64_t> plain_size(ByteView frame) noexcept {
    const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return std::nullopt;
    return size;
  }

 private:
  static constexpr int default_level = 3;
};

static_assert(BlockCodec<ZstdCodec>);

}  // namespace kvbackup::inline v1
#endif
