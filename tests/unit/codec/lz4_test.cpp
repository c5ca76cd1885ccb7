// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#if KVBACKUP_WITH_LZ4
#include <cstdint>
#include <lz4.h>
#include <optional>
#include <string>
#include <vector>

#include <kvbackup/testing/check_codec.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

/// Half text, half noise, the same in every run.
std::string block_of(std::size_t size) {
  std::string out;
  std::uint64_t state = size + 1;
  while (out.size() < size) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    if (out.size() / 64 % 2 == 0) {
      out += "row ";
    } else {
      out.push_back(static_cast<char>(state >> 56));
    }
  }
  out.resize(size);
  return out;
}

std::string compressed(Lz4Codec::Compressor& compressor, ByteView in) {
  std::string out(Lz4Codec{}.bound(in.size()), '\0');
  const std::optional<std::size_t> size = compressor.compress(in, out);
  REQUIRE(size.has_value());
  out.resize(*size);
  return out;
}

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

const std::vector<std::size_t> edge_sizes = {
    0,   1,   4,    5,    11,     12,     13,     14,     63,     64,     65,
    255, 256, 4095, 4096, 16'384, 65'535, 65'536, 65'546, 65'547, 65'548, 300'000};

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
    auto compressor = Lz4Codec{.exact = exact}.compressor();
    auto decompressor = Lz4Codec{}.decompressor();
    for (const std::size_t size : edge_sizes) {
      const std::string block = block_of(size);
      const std::string packed = compressed(compressor, block);
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
  auto compressor = Lz4Codec{.exact = true}.compressor();
  for (const std::size_t size : edge_sizes) {
    const std::string block = block_of(size);
    REQUIRE(compressed(compressor, block) == compressed_as_rocksdb(block));
    REQUIRE(compressed(compressor, block) == compressed_as_rocksdb(block));
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
