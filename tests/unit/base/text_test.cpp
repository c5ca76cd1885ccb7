// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

std::string every_byte() {
  std::string out;
  for (int i = 0; i < 256; ++i) out.push_back(static_cast<char>(i));
  return out;
}

/// Like rocksdb::Slice: data() and size(), no iterators.
struct Slice {
  const char* data() const { return text.data(); }
  std::size_t size() const { return text.size(); }
  std::string text = "slice";
};

}  // namespace

TEST_CASE("hex comes back in either case") {
  CHECK(to_hex("") == "");
  CHECK(to_hex(ByteView("\x00\x7f\x80\xff", 4)) == "007f80ff");
  CHECK(from_hex(to_hex(every_byte())) == every_byte());
  CHECK(from_hex("aAfF09") == std::string("\xaa\xff\x09"));
  CHECK(from_hex("") == std::string());
  std::string out = "key ";
  append_hex(out, "k1");
  CHECK(out == "key 6b31");
}

TEST_CASE("text that is no hex is refused") {
  for (const char* text : {"0", "abc", "0g", "g0", "0x", " 0", "0 ", "-1", "+1", "\xff\xff"}) {
    CHECK_FALSE(from_hex(text).has_value());
  }
  for (int c = 0; c < 256; ++c) {
    const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    CHECK((hex_digit(static_cast<char>(c)) >= 0) == digit);
  }
}

TEST_CASE("percent-coding leaves unreserved characters alone and comes back") {
  CHECK(percent_encode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percent_encode("a b/c%") == "a%20b%2Fc%25");
  CHECK(percent_encode("a b/c%", "/") == "a%20b/c%25");
  CHECK(percent_encode("\xc3\xa9") == "%C3%A9");
  CHECK(percent_decode(percent_encode(every_byte())) == every_byte());
  CHECK(percent_decode("%c3%A9+") == std::string("\xc3\xa9+"));
}

TEST_CASE("a percent sign without two hex digits is refused") {
  for (const char* text : {"%", "a%", "%4", "a%4", "%4g", "%g4", "%%41", "%-1"}) {
    CHECK_FALSE(percent_decode(text).has_value());
  }
}

TEST_CASE("any contiguous container of bytes becomes a view of them") {
  const std::string text = "bytes";
  const std::vector<std::uint8_t> numbers{'b', 0xff};
  const std::array<std::byte, 2> raw{std::byte{'b'}, std::byte{0xff}};
  const std::vector<char> none;
  CHECK(as_bytes(text).data() == text.data());
  CHECK(as_bytes("literal") == "literal");
  CHECK(as_bytes(ByteView("view")) == "view");
  CHECK(as_bytes(numbers) == "b\xff");
  CHECK(as_bytes(std::span<const std::byte>(raw)) == "b\xff");
  CHECK(as_bytes(none).empty());
  const Slice slice;
  CHECK(as_bytes(slice) == "slice");
  STATIC_REQUIRE_FALSE(ByteRange<std::vector<int>>);
  STATIC_REQUIRE_FALSE(SliceLike<std::vector<int>>);
}

TEST_CASE("views compare as unsigned bytes, the shorter one first") {
  CHECK(ByteView("\x7f") < ByteView("\x80"));
  CHECK(ByteView("a") < ByteView("a\0", 2));
  CHECK(ByteView("") < ByteView("\0", 1));
}
