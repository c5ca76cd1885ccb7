// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#if KVBACKUP_WITH_XXHASH
#include <cstdint>
#include <string>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

/// The input of the xxHash project's own sanity checks: the top bytes of a growing product.
std::string sanity_buffer(std::size_t size) {
  constexpr std::uint64_t prime = 11400714785074694797u;
  std::string out;
  std::uint64_t state = 2654435761u;
  while (out.size() < size) {
    out.push_back(static_cast<char>(state >> 56));
    state *= prime;
  }
  return out;
}

constexpr std::uint32_t prime32 = 2654435761u;

}  // namespace

TEST_CASE("XXH32 gives the published values") {
  CHECK(xxhash32("") == 0x02cc5d05);
  CHECK(xxhash32({}) == 0x02cc5d05);
  CHECK(xxhash32("", prime32) == 0x36b78ae7);
  CHECK(xxhash32("abc") == 0x32d153ff);
  CHECK(xxhash32(sanity_buffer(1)) == 0xcf65b03e);
  CHECK(xxhash32(sanity_buffer(14)) == 0x1208e7e2);
  CHECK(xxhash32(sanity_buffer(222), prime32) == 0x58803c5f);
}

TEST_CASE("XXH64 gives the published values") {
  CHECK(xxhash64("") == 0xef46db3751d8e999);
  CHECK(xxhash64("abc") == 0x44bc2cf5ad770999);
  CHECK(xxhash64("", prime32) == 0xac75fda2929b17ef);
  CHECK(xxhash64(sanity_buffer(1)) == 0xe934a84adb052768);
  CHECK(xxhash64(sanity_buffer(14)) == 0x8282dcc4994e35c8);
  CHECK(xxhash64(sanity_buffer(222)) == 0xb641ae8cb691c174);
}

TEST_CASE("XXH3 gives the published values, and is not XXPH3") {
  CHECK(xxh3_64("") == 0x2d06800538d394c2);
  CHECK(xxh3_64({}) == 0x2d06800538d394c2);
  CHECK(xxh3_64(sanity_buffer(1)) == 0xc44bdff4074eecdb);
  CHECK(xxh3_64(sanity_buffer(6)) == 0x27b56a84cd2d7325);
  const std::string bytes = sanity_buffer(2000);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const ByteView view = ByteView(bytes).substr(0, size);
    REQUIRE(xxh3_64(view) != xxph3_64(view));
  }
}

TEST_CASE("XXH3 is libxxhash's at every length") {
  const std::string bytes = sanity_buffer(5000);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::size_t at = size % 7 < bytes.size() - size ? size % 7 : 0;  // unaligned too
    const ByteView view = ByteView(bytes).substr(at, size);
    REQUIRE(xxh3_64(view) == XXH3_64bits(view.data(), view.size()));
  }
}

TEST_CASE("the xxHash functions depend on their seeds") {
  CHECK(xxhash32("key", 1) != xxhash32("key", 2));
  CHECK(xxhash64("key", 1) != xxhash64("key", 2));
}
#endif
