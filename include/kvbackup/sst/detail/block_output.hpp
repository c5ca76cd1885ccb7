// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/sst/decoders.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/footer.hpp"

namespace kvbackup::inline v1::detail {

/// Gives blocks their stored form and hands them out, one behind the other.
template <BlockCodec Codec, BlockChecksum Checksum, ByteSink Output>
class BlockOutput {
 public:
  BlockOutput(const Codec& codec, Output output)
      : codec_(codec), compressor_(codec_.compressor()), output_(std::move(output)) {}

  /// Writes a block compressed where that saves an eighth or more and it can be read back by
  /// default (default_largest_inflated), else plain, and then zeros up to
  /// a multiple of `alignment`, a power of two. A plain block's buffer gets its trailer appended.
  Status write(GrowingBuffer& plain, BlockHandle& handle, std::uint32_t alignment = 1) {
    if (compress(plain.view())) return hand_out(compressed_, codec_.type(), handle, alignment);
    return hand_out(plain, BlockCompression::none, handle, alignment);
  }
  Status write_plain(GrowingBuffer& payload, BlockHandle& handle) {
    return hand_out(payload, BlockCompression::none, handle, 1);
  }
  /// Bytes that are no block.
  Status append(ByteView bytes) {
    Status status = output_.append(bytes);
    if (status.ok()) offset_ += bytes.size();
    return status;
  }

  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] const Codec& codec() const { return codec_; }
  [[nodiscard]] Output& output() { return output_; }

 private:
  /// RocksDB stores larger blocks plain: its codecs count in int.
  static constexpr std::size_t max_compressible = std::numeric_limits<std::int32_t>::max();

  Status hand_out(GrowingBuffer& payload, BlockCompression type, BlockHandle& handle,
                  std::uint32_t alignment) {
    handle = {.offset = offset_, .size = payload.size()};
    const std::uint64_t end = offset_ + payload.size() + block_trailer_size;
    const auto padding = static_cast<std::size_t>(-end & (alignment - 1));
    char* p = payload.room(block_trailer_size + padding);
    p[0] = static_cast<char>(type);
    store_le32(p + 1, Checksum::of(ByteView(payload.data(), payload.size() + 1)));
    p += block_trailer_size;
    std::memset(p, 0, padding);
    payload.set_end(p + padding);
    return append(payload.view());
  }

  /// Fills compressed_ with the stored form of `plain`; false if it is not worth it.
  bool compress(ByteView plain) {
    const BlockCompression type = codec_.type();
    if (type == BlockCompression::none || plain.size() >= max_compressible) return false;
    const std::size_t bound = codec_.bound(plain.size());
    if (bound == 0) return false;
    compressed_.clear();
    char* const begin = compressed_.room(max_varint32 + bound + block_trailer_size);
    // Snappy's own format says the plain length; every other payload has it in front.
    char* const p = type == BlockCompression::snappy ? begin : store_varint(begin, plain.size());
    const auto size = compressor_.compress(plain, std::span<char>(p, bound));
    if (!size) return false;
    compressed_.set_end(p + *size);
    // what readers refuse by default is not written
    if (plain.size() > default_largest_inflated && plain.size() / trusted_ratio > *size) {
      return false;
    }
    return compressed_.size() < plain.size() - plain.size() / 8;
  }

  Codec codec_;
  decltype(std::declval<const Codec&>().compressor()) compressor_;
  Output output_;
  GrowingBuffer compressed_;
  std::uint64_t offset_ = 0;
};

}  // namespace kvbackup::inline v1::detail
