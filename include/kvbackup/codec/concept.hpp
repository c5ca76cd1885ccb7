// SPDX-License-Identifier: Apache-2.0
// The BlockCodec contract: how one block of an SST is compressed.
//
// A codec is an immutable, copyable description; the state that calls need lives in contexts that
// one worker owns and reuses.
//
// | expression           | result           | meaning
// |----------------------|------------------|---------------------------------------------------
// | codec.type()         | BlockCompression | type byte of RocksDB's block trailer
// | codec.name()         | string_view      | as in RocksDB's property `rocksdb.compression`
// | codec.bound(n)       | size_t           | room that any compressed block of n bytes fits
// | codec.compressor()   | BlockCompressor  | a context for compress
// | codec.decompressor() | BlockDecompressor| a context for decompress
// | c.compress(in, out)  | optional<size_t> | bytes written to out, or nothing: "does not fit"
// | d.decompress(in, out)| Status           | fills out exactly; out has the plain length
//
// Optional: codec.parameters() -> std::string, what beside the name decides the bytes that compress
// gives: two codecs of one name and equal parameters give the same.
//
// Optional, for tables that others wrote:
// clang-format off
// | codec.decompressor(dictionary) | BlockDecompressor  | for blocks compressed with it; it
// |                                |                    | outlives the context
// | codec.plain_size(in)           | optional<uint64_t> | the plain length, where a block says it
// clang-format on
//
// Laws no compiler checks: every block but type none's fits the room that bound() asks; decompress
// inverts compress; nothing is written past `out`; damaged input is StatusCode::corruption, never
// undefined behaviour, and the context works on after it; the same input gives the same bytes,
// whatever the context compressed before; only type none is called "NoCompression", because readers
// do not decompress a file of that name. The length prefix of a stored block belongs to sst/, not
// to a codec. testing/check_codec.hpp checks a model against them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// RocksDB's CompressionType, the byte behind every block (RocksDB
/// include/rocksdb/compression_type.h).
enum class BlockCompression : std::uint8_t {
  none = 0,
  snappy = 1,
  zlib = 2,
  bzip2 = 3,
  lz4 = 4,
  lz4hc = 5,
  xpress = 6,
  zstd = 7,
};

template <class C>
concept BlockCompressor = std::movable<C> && requires(C c, ByteView in, std::span<char> out) {
  { c.compress(in, out) } -> std::same_as<std::optional<std::size_t>>;
};

template <class D>
concept BlockDecompressor = std::movable<D> && requires(D d, ByteView in, std::span<char> out) {
  { d.decompress(in, out) } -> std::same_as<Status>;
};

template <class C>
concept BlockCodec = std::copyable<C> && requires(const C& codec, std::size_t n) {
  { codec.type() } -> std::same_as<BlockCompression>;
  { codec.name() } -> std::convertible_to<std::string_view>;
  { codec.bound(n) } -> std::same_as<std::size_t>;
  { codec.compressor() } -> BlockCompressor;
  { codec.decompressor() } -> BlockDecompressor;
};

}  // namespace kvbackup::inline v1
