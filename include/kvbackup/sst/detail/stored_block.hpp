// SPDX-License-Identifier: Apache-2.0
// The stored form of a block: its payload, compressed where that is worth it, and the trailer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/sst/decoders.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/footer.hpp"

namespace kvbackup::inline v1::detail {

/// Appends the compressed payload of a block where that saves an eighth or more and it can be read
/// back by default (default_largest_inflated); else false, and `out` has what it had.
template <BlockCodec Codec, BlockCompressor Compressor>
[[nodiscard]] bool append_compressed(const Codec& codec, Compressor& compressor, ByteView plain,
                                     GrowingBuffer& out) {
  // RocksDB stores larger blocks plain: its codecs count in int.
  constexpr std::size_t max_compressible = std::numeric_limits<std::int32_t>::max();
  const BlockCompression type = codec.type();
  if (type == BlockCompression::none || plain.size() >= max_compressible) return false;
  const std::size_t bound = codec.bound(plain.size());
  if (bound == 0) return false;
  char* const begin = out.room(max_varint32 + bound + block_trailer_size);
  // Snappy's own format says the plain length; every other payload has it in front.
  char* const p = type == BlockCompression::snappy ? begin : store_varint(begin, plain.size());
  const auto size = compressor.compress(plain, std::span<char>(p, bound));
  if (!size) return false;
  // what readers refuse by default is not written
  if (plain.size() > default_largest_inflated && plain.size() / trusted_ratio > *size) {
    return false;
  }
  const char* const end = p + *size;
  if (static_cast<std::size_t>(end - begin) >= plain.size() - plain.size() / 8) return false;
  out.set_end(end);
  return true;
}

/// Appends type and checksum to the payload that begins at `begin` of `block`, and then `padding`
/// zeros.
template <BlockChecksum Checksum>
void append_trailer(GrowingBuffer& block, std::size_t begin, BlockCompression type,
                    std::size_t padding = 0) {
  char* p = block.room(block_trailer_size + padding);
  p[0] = static_cast<char>(type);
  const ByteView payload_and_type(block.data() + begin, block.size() + 1 - begin);
  store_le32(p + 1, Checksum::of(payload_and_type));
  p += block_trailer_size;
  if (padding > 0) std::memset(p, 0, padding);
  block.set_end(p + padding);
}

}  // namespace kvbackup::inline v1::detail
