// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#if KVBACKUP_WITH_ZSTD
#include <string>
#include <zstd.h>

#include <kvbackup/testing/check_codec.hpp>

#include "codec_inputs.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using codec_inputs::block_of;
using codec_inputs::compressed;
using codec_inputs::edge_sizes;
using codec_inputs::noise_of;

namespace {

constexpr int levels[] = {-100, -5, -1, 0, 1, 2, 3, 4, 6, 9, 22};

/// What RocksDB's call gives for a block without a dictionary, by a context made anew.
std::string compressed_as_rocksdb(ByteView in, int level) {
  std::string out(ZSTD_compressBound(in.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  const std::string no_dictionary;
  const std::size_t size =
      ZSTD_compress_usingDict(context, out.data(), out.size(), in.data(), in.size(),
                              no_dictionary.data(), no_dictionary.size(), level);
  ZSTD_freeCCtx(context);
  REQUIRE(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

}  // namespace

TEST_CASE("the Zstandard codec keeps the laws of its contract") {
  for (const int level : levels) {
    for (const bool exact : {false, true}) {
      INFO("level " << level << ", exact " << exact);
      CHECK(testing::to_string(testing::check_codec(ZstdCodec{.level = level, .exact = exact})) ==
            "");
    }
  }
  using Codec = AnyCodec<NoneCodec, ZstdCodec>;
  CHECK(testing::to_string(testing::check_codec(Codec(ZstdCodec{}))) == "");
  CHECK(ZstdCodec{}.type() == BlockCompression::zstd);
  CHECK(std::string(ZstdCodec{}.name()) == "ZSTD");
}

TEST_CASE("zstd's own decompressor reads what the Zstandard codec wrote: plain frames") {
  for (const int level : levels) {
    for (const bool exact : {false, true}) {
      const ZstdCodec codec{.level = level, .exact = exact};
      auto compressor = codec.compressor();
      auto decompressor = codec.decompressor();
      for (const std::size_t size : edge_sizes) {
        const std::string block = block_of(size);
        const std::string packed = compressed(codec, compressor, block);
        REQUIRE(ZSTD_getFrameContentSize(packed.data(), packed.size()) == size);
        REQUIRE(ZSTD_getDictID_fromFrame(packed.data(), packed.size()) == 0);
        std::string plain(size + 1, '\0');
        REQUIRE(ZSTD_decompress(plain.data(), plain.size(), packed.data(), packed.size()) == size);
        plain.resize(size);
        REQUIRE(plain == block);
        std::string again(size, '\0');
        REQUIRE(decompressor.decompress(packed, again).ok());
        REQUIRE(again == block);
      }
    }
  }
}

TEST_CASE("the exact Zstandard codec gives the bytes of RocksDB's call, whatever came before") {
  for (const int level : {-5, 1, 3, 6}) {
    const ZstdCodec codec{.level = level, .exact = true};
    auto compressor = codec.compressor();
    for (const std::size_t size : edge_sizes) {
      for (const std::string& block : {block_of(size), noise_of(size)}) {
        INFO("level " << level << ", " << size << " bytes");
        REQUIRE(compressed(codec, compressor, block) == compressed_as_rocksdb(block, level));
      }
    }
  }
}

TEST_CASE("level 0 of the Zstandard codec is level 3") {
  const std::string block = block_of(65'536);
  for (const bool exact : {false, true}) {
    const ZstdCodec unset{.level = 0, .exact = exact};
    const ZstdCodec three{.level = 3, .exact = exact};
    auto a = unset.compressor();
    auto b = three.compressor();
    CHECK(compressed(unset, a, block) == compressed(three, b, block));
  }
}

TEST_CASE("levels past either end of zstd's are that end") {
  const std::string block = block_of(10'000);
  for (const auto& [level, end] :
       {std::pair(1000, ZSTD_maxCLevel()), std::pair(-2'000'000'000, ZSTD_minCLevel())}) {
    const ZstdCodec past{.level = level, .exact = true};
    auto compressor = past.compressor();
    CHECK(compressed(past, compressor, block) == compressed_as_rocksdb(block, end));
  }
}

TEST_CASE("what is not exactly one Zstandard frame is corruption") {
  auto decompressor = ZstdCodec{}.decompressor();
  const std::string block = block_of(1000);
  const std::string frame = compressed_as_rocksdb(block, 3);
  const std::string empty_frame = compressed_as_rocksdb("", 3);
  const std::string skippable("\x50\x2a\x4d\x18\x00\x00\x00\x00", 8);
  std::string out(block.size(), '\0');
  REQUIRE(decompressor.decompress(frame, out).ok());
  for (const std::string& damaged : {frame + empty_frame, empty_frame + frame, skippable + frame,
                                     frame + skippable, frame + 'x', std::string()}) {
    CHECK(decompressor.decompress(damaged, out).code() == StatusCode::corruption);
  }
  CHECK(decompressor.decompress({}, {}).code() == StatusCode::corruption);
  CHECK(decompressor.decompress(empty_frame, {}).ok());
}

TEST_CASE("a frame that needs a dictionary is corruption") {
  std::string dictionary;
  for (int i = 0; i < 64; ++i) dictionary += "row of the dictionary ";
  const std::string block = dictionary.substr(0, 500) + block_of(500);
  std::string packed(ZSTD_compressBound(block.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  const std::size_t size =
      ZSTD_compress_usingDict(context, packed.data(), packed.size(), block.data(), block.size(),
                              dictionary.data(), dictionary.size(), 3);
  ZSTD_freeCCtx(context);
  REQUIRE(ZSTD_isError(size) == 0);
  packed.resize(size);
  std::string out(block.size(), '\0');
  CHECK(ZstdCodec{}.decompressor().decompress(packed, out).code() == StatusCode::corruption);
}
#endif
