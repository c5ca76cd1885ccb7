// SPDX-License-Identifier: Apache-2.0
// A codec's decompressor. An input is the plain length (3 bytes, little-endian) and the compressed
// block.
#pragma once

#include <algorithm>
#include <vector>

#include "fuzz/fuzz_target.hpp"

namespace fuzz {

template <kvbackup::BlockCodec Codec>
void check_round_trip(const Codec& codec, kvbackup::ByteView plain,
                      kvbackup::BlockDecompressor auto& decompressor) {
  static auto compressor = codec.compressor();
  std::string compressed(codec.bound(plain.size()), '\0');
  const auto size = compressor.compress(plain, compressed);
  require(size.has_value(), "a block does not fit the room that bound() asks for");
  std::string back(plain.size(), '\0');
  require_ok(decompressor.decompress(kvbackup::ByteView(compressed).substr(0, *size), back));
  require(back == plain, "a round trip changes the bytes");
}

/// Damaged input is an error and costs no more than `memory`; the context works on after it.
template <kvbackup::BlockCodec Codec>
int decompress(const Codec& codec, const std::uint8_t* data, std::size_t size, std::size_t memory) {
  static auto decompressor = codec.decompressor();
  Input input(data, size);
  const std::size_t length = input.number(3) & 0x1fffff;
  // Of exactly this size, so that a write past the end is one past an allocation.
  const std::unique_ptr<char[]> out(new char[length]);
  {
    const AllocationLimit limit(memory);
    const kvbackup::Status status = decompressor.decompress(input.rest(), {out.get(), length});
    if (!status.ok()) {
      require(status.code() == kvbackup::StatusCode::corruption, "not a decompressor's error");
    }
  }
  check_round_trip(codec, input.rest(), decompressor);
  return 0;
}

}  // namespace fuzz
