// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <utility>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

std::string counted_bytes(std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<char>(7 * i + 3));
  return out;
}

}  // namespace

TEST_CASE("XXPH3 gives the values of RocksDB's filters at every kind of length") {
  const std::pair<std::size_t, std::uint64_t> vectors[] = {
      {0, 0x5342c3010fe1dd04},    {1, 0x81b78b21c2ce4f18},    {2, 0x6d7eec54f8754ce6},
      {3, 0x6731a716813ee5f1},    {4, 0x3a5afd967acaf5c3},    {8, 0xbcb56b6f8d4b12da},
      {9, 0x03787b4eec57bf4b},    {16, 0x81720cc0702edd73},   {17, 0x0b515520f462e96f},
      {32, 0x48f0396187b56dd5},   {33, 0xd020587a3c72b988},   {64, 0xc71b2c5a712e7f61},
      {65, 0xd40143de1beadd46},   {96, 0x0d71e54f419745c3},   {97, 0x19e9c1871ecd39dc},
      {128, 0x8ea76d838ce7563f},  {129, 0x3992d120c8c4677a},  {144, 0x980aa146e1023bfc},
      {240, 0xdf41bc5fea3a61e8},  {241, 0x91d10f0682af4ac3},  {256, 0x4d37daabdb543458},
      {512, 0xf3bb51479ec530a2},  {1024, 0x7d54b94e043675ba}, {1025, 0x90acdaaaaca675b0},
      {1088, 0x419a510eca48a830}, {2048, 0xe4223e0c6dc3503c}, {3000, 0x7c52298161bec0d4},
      {4096, 0xe5bf4bf7346522ec}};
  const std::string bytes = counted_bytes(4096);
  for (const auto& [size, hash] : vectors) {
    INFO(size << " bytes");
    CHECK(xxph3_64(ByteView(bytes).substr(0, size)) == hash);
  }
}

TEST_CASE("XXPH3 does not depend on where the bytes stand, and reads nothing beside them") {
  for (std::size_t size = 0; size < 1200; ++size) {
    const std::string bytes = counted_bytes(size);
    // exactly as long as the input, so that a sanitizer sees every read outside of it
    const std::string beside = 'x' + bytes;
    REQUIRE(xxph3_64(bytes) == xxph3_64(ByteView(beside).substr(1)));
  }
}

TEST_CASE("XXPH3 depends on every byte") {
  for (const std::size_t size : {1u, 3u, 4u, 8u, 9u, 16u, 17u, 100u, 200u, 241u, 1100u, 2111u}) {
    std::string bytes = counted_bytes(size);
    const std::uint64_t hash = xxph3_64(bytes);
    for (std::size_t i = 0; i < size; ++i) {
      bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
      INFO(size << " bytes, byte " << i);
      REQUIRE(xxph3_64(bytes) != hash);
      bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
    }
  }
}

TEST_CASE("XXPH3 of nothing does not need an address") { CHECK(xxph3_64({}) == xxph3_64("")); }
