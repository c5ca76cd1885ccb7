// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <random>
#include <string>

#include <isa-l/crc.h>
#include <isa-l/crc64.h>
#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

std::string random_bytes(std::mt19937_64& random, std::size_t size) {
  std::string out;
  while (out.size() < size) append_le64(out, random());
  out.resize(size);
  return out;
}

std::uint64_t isal_crc64(ByteView bytes, std::uint64_t init = 0) {
  return crc64_ecma_refl(init, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

/// ISA-L takes and gives the inverted register, and declares its input mutable.
std::uint32_t isal_crc32c(ByteView bytes, std::uint32_t init = 0) {
  auto* p = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  return ~crc32_iscsi(p, static_cast<int>(bytes.size()), ~init);
}

}  // namespace

TEST_CASE("crc64 and crc32c agree with ISA-L for each length and alignment") {
  std::mt19937_64 random(1);
  const std::string bytes = random_bytes(random, 1100 + 16);
  for (std::size_t offset = 0; offset < 16; ++offset) {
    for (std::size_t size = 0; size <= 1100; ++size) {
      const ByteView view = ByteView(bytes).substr(offset, size);
      REQUIRE(crc64_xz(view) == isal_crc64(view));
      REQUIRE(crc32c(view) == isal_crc32c(view));
    }
  }
}

TEST_CASE("crc64 and crc32c agree with ISA-L on random inputs that follow others") {
  std::mt19937_64 random(2);
  for (int i = 0; i < 2000; ++i) {
    const std::string key = random_bytes(random, random() % 300);
    const std::string value = random_bytes(random, random() % (i % 50 == 0 ? 100'000 : 1000));
    const std::uint64_t init = random();
    REQUIRE(crc64_xz(value, init) == isal_crc64(value, init));
    REQUIRE(crc64_xz_pair(key, value) == isal_crc64(value, isal_crc64(key)));
    const auto narrow = static_cast<std::uint32_t>(init);
    REQUIRE(crc32c(value, narrow) == isal_crc32c(value, narrow));
  }
}

TEST_CASE("the portable forms agree with ISA-L") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 500; ++i) {
    const std::string bytes = random_bytes(random, random() % 3000);
    const std::uint64_t all_ones = ~std::uint64_t{0};
    REQUIRE(~detail::crc64_portable(all_ones, bytes.data(), bytes.size()) == isal_crc64(bytes));
    REQUIRE(~detail::crc32c_portable(0xffffffff, bytes.data(), bytes.size()) == isal_crc32c(bytes));
  }
}

#if KVBACKUP_WITH_OPENSSL
TEST_CASE("the portable SHA-256 agrees with OpenSSL on random messages in random pieces") {
  std::mt19937_64 random(4);
  for (int i = 0; i < 300; ++i) {
    const std::string bytes = random_bytes(random, random() % 20'000);
    PortableSha256 sha;
    ByteView rest = bytes;
    while (!rest.empty()) {
      const std::size_t size = std::min<std::size_t>(rest.size(), random() % 300);
      sha.update(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    REQUIRE(sha.finish() == OpensslSha256::of(bytes));
  }
}
#endif
