// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

std::string varint_of(std::uint64_t v) {
  std::string out;
  append_varint(out, v);
  return out;
}

const std::vector<std::uint64_t> edges = [] {
  std::vector<std::uint64_t> out{0, 1, 127, 128, 300, 16'383, 16'384, 0xfffffffe, 0xffffffff};
  for (unsigned bit = 0; bit < 64; ++bit) {
    out.push_back(std::uint64_t{1} << bit);
    out.push_back((std::uint64_t{1} << bit) - 1);
  }
  out.push_back(~std::uint64_t{0});
  return out;
}();

}  // namespace

TEST_CASE("fixed integers are little-endian, or big-endian where the name says so") {
  std::string out;
  append_le32(out, 0x01020304);
  append_le64(out, 0x0102030405060708);
  append_be64(out, 0x0102030405060708);
  CHECK(to_hex(out) ==
        "04030201"
        "0807060504030201"
        "0102030405060708");
  CHECK(load_le32(out.data()) == 0x01020304);
  CHECK(load_le64(out.data() + 4) == 0x0102030405060708);
  CHECK(load_be64(out.data() + 12) == 0x0102030405060708);
  store_le32(out.data() + 1, 0xaabbccdd);
  store_le64(out.data() + 5, 0x1122334455667788);
  CHECK(to_hex(ByteView(out).substr(0, 13)) == "04ddccbbaa8877665544332211");
}

TEST_CASE("bytes are swapped in any width") {
  CHECK(detail::byte_swapped(std::uint16_t{0x0102}) == 0x0201);
  CHECK(detail::byte_swapped(std::uint32_t{0x01020304}) == 0x04030201);
  CHECK(detail::byte_swapped(std::uint64_t{0x0102030405060708}) == 0x0807060504030201);
}

TEST_CASE("varints have protobuf's bytes") {
  CHECK(to_hex(varint_of(0)) == "00");
  CHECK(to_hex(varint_of(127)) == "7f");
  CHECK(to_hex(varint_of(128)) == "8001");
  CHECK(to_hex(varint_of(150)) == "9601");
  CHECK(to_hex(varint_of(300)) == "ac02");
  CHECK(to_hex(varint_of(0xffffffff)) == "ffffffff0f");
  CHECK(to_hex(varint_of(~std::uint64_t{0})) == "ffffffffffffffffff01");
}

TEST_CASE("a varint comes back, has the size it is said to have, and leaves what follows") {
  for (const std::uint64_t v : edges) {
    const std::string bytes = varint_of(v);
    CHECK(varint_size(v) == bytes.size());
    const std::string followed = bytes + "rest";
    ByteView in = followed;
    std::uint64_t wide = 1;
    REQUIRE(take_varint64(in, wide));
    CHECK(wide == v);
    CHECK(in == "rest");

    in = followed;
    std::uint32_t narrow = 1;
    CHECK(take_varint32(in, narrow) == (v <= 0xffffffff));
    CHECK(in == (v <= 0xffffffff ? ByteView("rest") : ByteView(followed)));
    if (v <= 0xffffffff) CHECK(narrow == v);
  }
}

TEST_CASE("a varint that is cut off is refused and nothing is taken") {
  for (const std::uint64_t v : edges) {
    const std::string bytes = varint_of(v);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const ByteView cut = ByteView(bytes).substr(0, size);
      ByteView in = cut;
      std::uint64_t wide = 0;
      std::uint32_t narrow = 0;
      CHECK_FALSE(take_varint64(in, wide));
      CHECK_FALSE(take_varint32(in, narrow));
      CHECK(in.data() == cut.data());
      CHECK(in.size() == cut.size());
    }
  }
}

TEST_CASE("a varint over its width is refused") {
  std::uint64_t wide = 0;
  std::uint32_t narrow = 0;
  const std::string eleven = std::string(10, '\xff') + "\x01";
  ByteView in = eleven;
  CHECK_FALSE(take_varint64(in, wide));
  const std::string two_to_64 = std::string(9, '\x80') + "\x02";
  in = two_to_64;
  CHECK_FALSE(take_varint64(in, wide));
  const std::string two_to_32 = "\x80\x80\x80\x80\x10";
  in = two_to_32;
  CHECK_FALSE(take_varint32(in, narrow));
  // six bytes, though the value is small
  const ByteView padded("\x81\x80\x80\x80\x80\x00", 6);
  in = padded;
  CHECK_FALSE(take_varint32(in, narrow));
  CHECK(in.size() == padded.size());
}

TEST_CASE("length-prefixed bytes come back one after the other") {
  std::string out;
  append_length_prefixed(out, "first");
  append_length_prefixed(out, "");
  append_length_prefixed(out, std::string(200, 'x'));
  ByteView in = out;
  ByteView bytes;
  REQUIRE(take_length_prefixed(in, bytes));
  CHECK(bytes == "first");
  REQUIRE(take_length_prefixed(in, bytes));
  CHECK(bytes.empty());
  REQUIRE(take_length_prefixed(in, bytes));
  CHECK(bytes == std::string(200, 'x'));
  CHECK(in.empty());
  CHECK_FALSE(take_length_prefixed(in, bytes));
}

TEST_CASE("length-prefixed bytes that are not all there are refused and nothing is taken") {
  std::string out;
  append_length_prefixed(out, std::string(200, 'x'));
  for (std::size_t size = 0; size < out.size(); ++size) {
    ByteView in = ByteView(out).substr(0, size);
    ByteView bytes = "untouched";
    CHECK_FALSE(take_length_prefixed(in, bytes));
    CHECK(in.size() == size);
    CHECK(bytes == "untouched");
  }
  const std::string huge = "\xff\xff\xff\xff\x0fx";
  ByteView in = huge;
  ByteView bytes;
  CHECK_FALSE(take_length_prefixed(in, bytes));
}
