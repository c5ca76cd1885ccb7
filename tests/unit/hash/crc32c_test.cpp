// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "hash_inputs.hpp"
#include "support/catch.hpp"

using namespace kvbackup;

namespace {

using Form = std::uint32_t (*)(std::uint32_t, const char*, std::size_t);

/// Every form that this machine can run.
std::vector<Form> forms() {
  std::vector<Form> out{[](std::uint32_t state, const char* p, std::size_t size) {
                          return detail::crc32c_portable(state, p, size);
                        },
                        [](std::uint32_t state, const char* p, std::size_t size) {
                          return ~crc32c({p, size}, ~state);
                        }};
#if defined(__x86_64__)
  if (detail::cpu_has_sse42) out.push_back(&detail::crc32c_sse42);
  if (detail::cpu_has_clmul) out.push_back(&detail::crc32c_clmul);
#elif defined(__ARM_FEATURE_CRC32)
  out.push_back(&detail::crc32c_arm);
#endif
  return out;
}

}  // namespace

TEST_CASE("crc32c gives the values of RFC 3720") {
  std::string rising;
  std::string falling;
  for (int i = 0; i < 32; ++i) {
    rising.push_back(static_cast<char>(i));
    falling.push_back(static_cast<char>(31 - i));
  }
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  CHECK(crc32c(rising) == 0x46dd794e);
  CHECK(crc32c(falling) == 0x113fdb5c);
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c("") == 0);
}

TEST_CASE("crc32c masks and unmasks as RocksDB does") {
  // the trailer of a plain block "hello" in a RocksDB file, and of the same block of type 7
  CHECK(crc32c_mask(crc32c(ByteView("hello\0", 6))) == 0x838fa897);
  CHECK(crc32c_mask(crc32c("hello\x07")) == 0xcb5dff03);
  for (const std::uint32_t crc : {0u, 1u, 0x7fffu, 0x8000u, 0xe3069283u, 0xffffffffu}) {
    CHECK(crc32c_unmask(crc32c_mask(crc)) == crc);
    CHECK(crc32c_mask(crc) != crc);
  }
}

TEST_CASE("every form of crc32c agrees with one bit at a time, for each length and alignment") {
  const std::string bytes = hash_inputs::bytes(1100 + 16);
  for (std::size_t offset = 0; offset < 16; ++offset) {
    hash_inputs::BitwiseCrc<std::uint32_t> reference(0x82f63b78);
    for (std::size_t size = 0; size <= 1100; ++size) {
      for (const Form form : forms()) {
        REQUIRE(form(0xffffffff, bytes.data() + offset, size) == reference.state);
      }
      reference.take(bytes[offset + size]);
    }
  }
}

TEST_CASE("every form of crc32c agrees on long inputs and on any starting state") {
  const std::string bytes = hash_inputs::bytes(200'000);
  for (const std::size_t size :
       std::initializer_list<std::size_t>{4096, 4097, 65'535, 65'536, 199'999}) {
    for (const std::uint32_t state : {0u, 0xffffffffu, 0x12345678u}) {
      const std::uint32_t expected = detail::crc32c_portable(state, bytes.data() + 1, size);
      for (const Form form : forms()) REQUIRE(form(state, bytes.data() + 1, size) == expected);
    }
  }
}

TEST_CASE("crc32c goes on from the crc of what came before, wherever the input is cut") {
  const std::string bytes = hash_inputs::bytes(1100);
  const std::uint32_t whole = crc32c(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const ByteView view = bytes;
    REQUIRE(crc32c(view.substr(cut), crc32c(view.substr(0, cut))) == whole);
  }
}
