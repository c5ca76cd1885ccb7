// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/detail/stored_block.hpp"
#include "kvbackup/sst/footer.hpp"

namespace kvbackup::inline v1::detail {

/// Gives blocks their stored form and hands them out, one behind the other.
template <BlockCodec Codec, BlockChecksum Checksum, ByteSink Output>
class BlockOutput {
 public:
  BlockOutput(const Codec& codec, Output output)
      : codec_(codec), compressor_(codec_.compressor()), output_(std::move(output)) {}

  /// Writes a block compressed where append_compressed() does so, else plain, and then zeros up to
  /// a multiple of `alignment`, a power of two. A plain block's buffer gets its trailer appended.
  Status write(GrowingBuffer& plain, BlockHandle& handle, std::uint32_t alignment = 1) {
    compressed_.clear();
    if (append_compressed(codec_, compressor_, plain.view(), compressed_)) {
      return hand_out(compressed_, codec_.type(), handle, alignment);
    }
    return hand_out(plain, BlockCompression::none, handle, alignment);
  }
  Status write_plain(GrowingBuffer& payload, BlockHandle& handle) {
    return hand_out(payload, BlockCompression::none, handle, 1);
  }
  /// Writes a block that has its stored form, trailer included.
  Status write_stored(ByteView stored, BlockHandle& handle) {
    handle = {.offset = offset_, .size = stored.size() - block_trailer_size};
    return append(stored);
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
  Status hand_out(GrowingBuffer& payload, BlockCompression type, BlockHandle& handle,
                  std::uint32_t alignment) {
    handle = {.offset = offset_, .size = payload.size()};
    const std::uint64_t end = offset_ + payload.size() + block_trailer_size;
    const auto padding = static_cast<std::size_t>(-end & (alignment - 1));
    append_trailer<Checksum>(payload, 0, type, padding);
    return append(payload.view());
  }

  Codec codec_;
  decltype(std::declval<const Codec&>().compressor()) compressor_;
  Output output_;
  GrowingBuffer compressed_;
  std::uint64_t offset_ = 0;
};

}  // namespace kvbackup::inline v1::detail
