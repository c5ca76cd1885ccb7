// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#include "sample.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using sample::contains;
using sample::hex;

namespace {

// What is wrong with `bytes`, or nothing.
std::string complaint(ByteView bytes, std::size_t depth = wire_depth_limit) {
  WireReader reader(bytes, depth);
  WireField field;
  while (reader.next(field)) {
  }
  CHECK_FALSE(reader.next(field));
  CHECK(reader.status().ok() == (reader.error() == nullptr));
  return reader.status().ok() ? std::string() : std::string(reader.status().message());
}

}  // namespace

TEST_CASE("fields are written as tag and value") {
  std::string out;
  append_varint_field(out, 1, 150);
  append_bytes_field(out, 2, "testing");
  append_bytes_field(out, 100002, "s");
  append_tag(out, 536870911, WireType::fixed32);
  CHECK(to_hex(out) == to_hex(hex("08 9601  12 07 74657374696e67  92ea30 01 73  fdffffff0f")));
}

TEST_CASE("a reader walks fields of every wire type and shows their bytes") {
  const std::string bytes =
      hex("08 9601   12 03 616263   1d 01000000   21 0200000000000000   2b 08 01 2c");
  WireReader reader(bytes);
  WireField field;
  REQUIRE(reader.next(field));
  CHECK((field.number == 1 && field.wire_type == WireType::varint && field.value == 150));
  CHECK(to_hex(field.extent) == "089601");
  REQUIRE(reader.next(field));
  CHECK((field.number == 2 && field.wire_type == WireType::length_delimited));
  CHECK(field.payload == "abc");
  CHECK(reader.offset() == 8);
  REQUIRE(reader.next(field));
  CHECK((field.number == 3 && field.wire_type == WireType::fixed32 && field.value == 1));
  REQUIRE(reader.next(field));
  CHECK((field.number == 4 && field.wire_type == WireType::fixed64 && field.value == 2));
  REQUIRE(reader.next(field));
  CHECK((field.number == 5 && field.wire_type == WireType::start_group));
  CHECK(to_hex(field.payload) == "0801");
  CHECK(to_hex(field.extent) == "2b08012c");
  CHECK_FALSE(reader.next(field));
  CHECK(reader.status().ok());
  CHECK(reader.offset() == bytes.size());
}

TEST_CASE("the extents of all fields are the bytes that were read") {
  const std::string bytes = hex("88808000 01  2b 2b 2c 12 00 2c  12 8000  0d 00000000");
  std::string joined;
  WireReader reader(bytes);
  WireField field;
  while (reader.next(field)) joined += field.extent;
  CHECK(reader.status().ok());
  CHECK(to_hex(joined) == to_hex(bytes));
}

TEST_CASE("bytes that are no fields are corruption, with the place and the reason") {
  CHECK(complaint("").empty());
  CHECK(contains(complaint(hex("08 01 08")), "at byte 2 "));
  CHECK(contains(complaint(hex("08")), "the varint is cut off"));
  CHECK(contains(complaint(hex("00")), "the field number is 0"));
  CHECK(contains(complaint(hex("12 05 6162")), "reaches past the end"));
  CHECK(contains(complaint(hex("12 ffffffffff 01")), "the length is damaged"));
  CHECK(contains(complaint(hex("0d 000000")), "the fixed32 is cut off"));
  CHECK(contains(complaint(hex("09 00000000000000")), "the fixed64 is cut off"));
  CHECK(contains(complaint(hex("0e")), "the wire type is unknown"));
  CHECK(contains(complaint(hex("0f")), "the wire type is unknown"));
  CHECK(contains(complaint(hex("0c")), "a group ends that was not begun"));
  CHECK(contains(complaint(hex("0b 14")), "a group ends that was not begun"));
  CHECK(contains(complaint(hex("0b 08 01")), "a group has no end"));
  CHECK(WireReader("").status().ok());
}

TEST_CASE("a tag has at most five bytes and a varint at most ten") {
  CHECK(complaint(hex("8880808000 01")).empty());
  CHECK(contains(complaint(hex("888080808000 01")), "more than five bytes"));
  CHECK(complaint(hex("08 ffffffffffffffffff01")).empty());
  CHECK(contains(complaint(hex("08 ffffffffffffffffffff01")), "more than ten bytes"));
}

TEST_CASE("groups nest as deep as is allowed, and no deeper") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '\x0b') + std::string(depth, '\x0c');
  };
  CHECK(complaint(nested(wire_depth_limit)).empty());
  CHECK(contains(complaint(nested(wire_depth_limit + 1)), "nest too deeply"));
  CHECK(contains(complaint(std::string(1'000'000, '\x0b'), 1'000'000), "nest too deeply"));
  CHECK(complaint(nested(3), 3).empty());
  CHECK(contains(complaint(nested(4), 3), "nest too deeply"));
  CHECK(contains(complaint(nested(1), 0), "nest too deeply"));
}
