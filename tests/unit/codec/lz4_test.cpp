// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#if KVBACKUP_WITH_LZ4
#include <lz4.h>
#include <string>

#include <kvbackup/testing/check_codec.hpp>

#include "codec_inputs.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using codec_inputs::block_of;
using codec_inputs::compressed;
using codec_inputs::edge_sizes;

namespace {

/// What RocksDB's calls give: a stream made anew for each block.
std::string compressed_as_rocksdb(ByteView in) {
  std::string out(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(in.size()))), '\0');
  LZ4_stream_t* stream = LZ4_createStream();
  const int size = LZ4_compress_fast_continue(
      stream, in.data(), out.data(), static_cast<int>(in.size()), static_cast<int>(out.size()), 1);
  LZ4_freeStream(stream);
  REQUIRE(size > 0);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

}  // namespace

TEST_CASE("the LZ4 codec keeps the laws of its contract") {
  for (const bool exact : {false, true}) {
    CHECK(testing::to_string(testing::check_codec(Lz4Codec{.exact = exact})) == "");
  }
}

TEST_CASE("the LZ4 codec asks for the room that LZ4 asks for") {
  for (const std::size_t size : edge_sizes) {
    CHECK(Lz4Codec{}.bound(size) ==
          static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(size))));
  }
}

TEST_CASE("LZ4's own decompressor reads what the LZ4 codec wrote, and the other way round") {
  for (const bool exact : {false, true}) {
    const Lz4Codec codec{.exact = exact};
    auto compressor = codec.compressor();
    auto decompressor = Lz4Codec{}.decompressor();
    for (const std::size_t size : edge_sizes) {
      const std::string block = block_of(size);
      const std::string packed = compressed(codec, compressor, block);
      std::string plain(size + 1, '\0');
      const int got =
          LZ4_decompress_safe(packed.data(), plain.data(), static_cast<int>(packed.size()),
                              static_cast<int>(plain.size()));
      REQUIRE(got == static_cast<int>(size));
      plain.resize(size);
      CHECK(plain == block);

      std::string again(size, '\0');
      REQUIRE(decompressor.decompress(compressed_as_rocksdb(block), again).ok());
      CHECK(again == block);
    }
  }
}

TEST_CASE("the exact LZ4 codec gives the bytes of RocksDB's calls, whatever came before") {
  const Lz4Codec codec{.exact = true};
  auto compressor = codec.compressor();
  for (const std::size_t size : edge_sizes) {
    const std::string block = block_of(size);
    REQUIRE(compressed(codec, compressor, block) == compressed_as_rocksdb(block));
    REQUIRE(compressed(codec, compressor, block) == compressed_as_rocksdb(block));
  }
}

TEST_CASE("a block that LZ4 cannot take or that does not fit is left plain") {
  auto compressor = Lz4Codec{}.compressor();
  std::string out(100, '\0');
  CHECK_FALSE(compressor.compress(block_of(4096), std::span(out).first(0)).has_value());
  CHECK_FALSE(compressor.compress(block_of(4096), out).has_value());
  // only the length is looked at: the bytes are not there
  const ByteView too_long(out.data(), std::size_t{LZ4_MAX_INPUT_SIZE} + 1);
  CHECK_FALSE(compressor.compress(too_long, out).has_value());
  CHECK_FALSE(compressor.compress({out.data(), std::size_t{1} << 40}, out).has_value());
}

TEST_CASE("lengths that no LZ4 block has are corruption") {
  auto decompressor = Lz4Codec{}.decompressor();
  char byte = 0;
  std::span<char> huge(&byte, std::size_t{1} << 40);
  CHECK(decompressor.decompress("x", huge).code() == StatusCode::corruption);
  CHECK(decompressor.decompress({&byte, std::size_t{1} << 40}, {}).code() ==
        StatusCode::corruption);
  CHECK(decompressor.decompress({}, {}).code() == StatusCode::corruption);
  CHECK(decompressor.decompress(ByteView("\0", 1), {}).ok());
}
#endif
