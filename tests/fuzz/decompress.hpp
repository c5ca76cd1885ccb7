// SPDX-License-Identifier: Apache-2.0
// A codec's decompressor. An input is the plain length (3 bytes, little-endian; of the last one
// only one bit) and the compressed block. With the last byte's highest bit, length (2 bytes) and
// bytes of a dictionary stand between them.
#pragma once

#include <memory>

#include "fuzz/fuzz_target.hpp"

namespace fuzz {

template <kvbackup::BlockCodec Codec>
void check_round_trip(const Codec& codec, kvbackup::ByteView plain,
                      kvbackup::BlockCompressor auto& compressor,
                      kvbackup::BlockDecompressor auto& decompressor) {
  std::string compressed(codec.bound(plain.size()), '\0');
  const auto size = compressor.compress(plain, compressed);
  require(size.has_value(), "a block does not fit the room that bound() asks for");
  std::string back(plain.size(), '\0');
  require_ok(decompressor.decompress(kvbackup::ByteView(compressed).substr(0, *size), back));
  require(back == plain, "a round trip changes the bytes");
}

/// Damaged input is an error, and costs no more than `memory` and a few times a dictionary.
template <class Decompressor>
void check_damage(Decompressor& decompressor, kvbackup::ByteView block, std::size_t length) {
  // Of exactly this size, so that a write past the end is one past an allocation.
  const std::unique_ptr<char[]> out(new char[length]);
  const kvbackup::Status status = decompressor.decompress(block, {out.get(), length});
  if (status.ok()) return;
  require(status.code() == kvbackup::StatusCode::corruption, "not a decompressor's error");
}

template <kvbackup::BlockCodec Codec>
int decompress(const Codec& codec, const std::uint8_t* data, std::size_t size, std::size_t memory) {
  static auto compressor = codec.compressor();
  static auto decompressor = codec.decompressor();
  Input input(data, size);
  const std::uint64_t head = input.number(3);
  const auto length = static_cast<std::size_t>(head & 0x1ffff);
  const AllocationLimit limit(length + memory + 8 * size);
  if constexpr (requires { codec.decompressor(kvbackup::ByteView()); }) {
    if (head >> 23 != 0) {
      const auto dictionary = input.bytes(static_cast<std::size_t>(input.number(2)));
      auto primed = codec.decompressor(dictionary);
      check_damage(primed, input.rest(), length);
      check_damage(primed, input.rest(), length);
    }
  }
  check_damage(decompressor, input.rest(), length);
  // The context works on after it.
  check_round_trip(codec, input.rest(), compressor, decompressor);
  return 0;
}

}  // namespace fuzz
