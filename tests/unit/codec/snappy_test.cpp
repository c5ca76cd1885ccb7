// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#if KVBACKUP_WITH_SNAPPY
#include <snappy.h>
#include <string>

#include <kvbackup/testing/check_codec.hpp>

#include "codec_inputs.hpp"
#include "support/catch.hpp"

namespace snappy_test {

using namespace kvbackup;
using codec_inputs::block_of;
using codec_inputs::compressed;
using codec_inputs::edge_sizes;

namespace {

/// What RocksDB's call gives.
std::string compressed_as_rocksdb(ByteView in) {
  std::string out(snappy::MaxCompressedLength(in.size()), '\0');
  std::size_t size = 0;
  snappy::RawCompress(in.data(), in.size(), out.data(), &size);
  out.resize(size);
  return out;
}

}  // namespace

TEST_CASE("the Snappy codec keeps the laws of its contract") {
  CHECK(testing::to_string(testing::check_codec(SnappyCodec{})) == "");
  CHECK(testing::to_string(testing::check_codec(AnyCodec<NoneCodec, SnappyCodec>(SnappyCodec{}))) ==
        "");
  CHECK(SnappyCodec{}.type() == BlockCompression::snappy);
  CHECK(std::string(SnappyCodec{}.name()) == "Snappy");
}

TEST_CASE("the Snappy codec asks for the room that Snappy asks for") {
  for (const std::size_t size : edge_sizes) {
    CHECK(SnappyCodec{}.bound(size) == snappy::MaxCompressedLength(size));
  }
}

TEST_CASE("Snappy's own decompressor reads what the Snappy codec wrote, which are its own bytes") {
  auto compressor = SnappyCodec{}.compressor();
  auto decompressor = SnappyCodec{}.decompressor();
  for (const std::size_t size : edge_sizes) {
    const std::string block = block_of(size);
    const std::string packed = compressed(SnappyCodec{}, compressor, block);
    CHECK(packed == compressed_as_rocksdb(block));
    std::string plain;
    REQUIRE(snappy::Uncompress(packed.data(), packed.size(), &plain));
    CHECK(plain == block);
    std::string again(size, '\0');
    REQUIRE(decompressor.decompress(packed, again).ok());
    CHECK(again == block);
  }
}

TEST_CASE("a Snappy block fits the room of its own length and no smaller one") {
  const std::string block = block_of(4096);
  const std::string packed = compressed_as_rocksdb(block);
  auto compressor = SnappyCodec{}.compressor();
  std::string out(packed.size(), '\0');
  CHECK(compressor.compress(block, out) == packed.size());
  CHECK(out == packed);
  CHECK_FALSE(compressor.compress(block, std::span(out).first(packed.size() - 1)).has_value());
}

TEST_CASE("lengths that no Snappy block has are refused") {
  auto decompressor = SnappyCodec{}.decompressor();
  auto compressor = SnappyCodec{}.compressor();
  char byte = 0;
  // only the lengths are looked at: the bytes are not there
  CHECK_FALSE(compressor.compress({&byte, std::size_t{1} << 32}, {}).has_value());
  std::span<char> huge(&byte, std::size_t{1} << 40);
  CHECK(decompressor.decompress("x", huge).code() == StatusCode::corruption);
  CHECK(decompressor.decompress({}, {}).code() == StatusCode::corruption);
  CHECK(decompressor.decompress(ByteView("\0", 1), {}).ok());
  // says 4 GiB - 1 bytes and has none
  CHECK(decompressor.decompress("\xff\xff\xff\xff\x0f", {&byte, 1}).code() ==
        StatusCode::corruption);
}

}  // namespace snappy_test
#endif
