// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "hash_inputs.hpp"
#include "support/catch.hpp"

namespace crc64_test {

using namespace kvbackup;

namespace {

using Form = std::uint64_t (*)(std::uint64_t, const char*, std::size_t);

/// Every form that this machine can run.
std::vector<Form> forms() {
  std::vector<Form> out{[](std::uint64_t state, const char* p, std::size_t size) {
                          return detail::crc64_portable(state, p, size);
                        },
                        [](std::uint64_t state, const char* p, std::size_t size) {
                          return ~crc64_xz({p, size}, ~state);
                        }};
#if defined(__x86_64__)
  if (detail::cpu_has_clmul) out.push_back(&detail::crc64_clmul);
#endif
  return out;
}

}  // namespace

TEST_CASE("crc64 gives published values") {
  CHECK(crc64_xz("") == 0);
  // the check value of CRC-64/XZ
  CHECK(crc64_xz("123456789") == 0x995dc9bbdf1939fa);
  CHECK(crc64_xz_pair("12345", "6789") == 0x995dc9bbdf1939fa);
  // a pair as TiKV's backup counts it
  CHECK(crc64_xz("key1value1") == 0xdf66d8757271b20d);
  CHECK(crc64_xz_pair("key1", "value1") == 0xdf66d8757271b20d);
}

TEST_CASE("every form of crc64 agrees with one bit at a time, for each length and alignment") {
  const std::string bytes = hash_inputs::bytes(1100 + 16);
  for (std::size_t offset = 0; offset < 16; ++offset) {
    hash_inputs::BitwiseCrc<std::uint64_t> reference(0xc96c5795d7870f42);
    for (std::size_t size = 0; size <= 1100; ++size) {
      for (const Form form : forms()) {
        REQUIRE(form(~std::uint64_t{0}, bytes.data() + offset, size) == reference.state);
      }
      reference.take(bytes[offset + size]);
    }
  }
}

TEST_CASE("every form of crc64 agrees on long inputs and on any starting state") {
  const std::string bytes = hash_inputs::bytes(200'000);
  for (const std::size_t size :
       std::initializer_list<std::size_t>{3, 8, 15, 16, 100, 4096, 4097, 65'535, 65'536, 199'999}) {
    for (const std::uint64_t state : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 63,
                                      std::uint64_t{0x0123456789abcdef}}) {
      const std::uint64_t expected = detail::crc64_portable(state, bytes.data() + 1, size);
      for (const Form form : forms()) REQUIRE(form(state, bytes.data() + 1, size) == expected);
    }
  }
}

TEST_CASE("crc64 goes on from the crc of what came before, wherever the input is cut") {
  const std::string bytes = hash_inputs::bytes(1100);
  const std::uint64_t whole = crc64_xz(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const ByteView view = bytes;
    REQUIRE(crc64_xz(view.substr(cut), crc64_xz(view.substr(0, cut))) == whole);
  }
}

TEST_CASE("crc64 of a pair is crc64 of key and value side by side, for each pair of lengths") {
  const std::string bytes = hash_inputs::bytes(600);
  for (std::size_t key_size = 0; key_size <= 70; ++key_size) {
    // exactly as long as they are, so that a sanitizer sees a read past either end
    const std::vector<char> key(bytes.begin(), bytes.begin() + static_cast<int>(key_size));
    for (std::size_t value_size = 0; value_size <= 200; ++value_size) {
      const ByteView both = ByteView(bytes).substr(0, key_size + value_size);
      const std::vector<char> value(both.begin() + key_size, both.end());
      REQUIRE(crc64_xz_pair(as_bytes(key), as_bytes(value)) == crc64_xz(both));
    }
  }
  const ByteView view = bytes;
  for (std::size_t key_size = 0; key_size <= view.size(); ++key_size) {
    REQUIRE(crc64_xz_pair(view.substr(0, key_size), view.substr(key_size)) == crc64_xz(view));
  }
}

}  // namespace crc64_test
