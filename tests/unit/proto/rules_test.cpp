// SPDX-License-Identifier: Apache-2.0
// What a reader of protobuf makes of bytes that no writer had to write that way.
#include <kvbackup/kvbackup.hpp>

#include "sample.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using sample::contains;
using sample::hex;
using sample::Leaf;
using sample::Sample;
using sample::Tree;

namespace {

Sample read(std::string_view digits) {
  auto message = decode<Sample>(hex(digits));
  INFO(message.status().to_string());
  REQUIRE(message.ok());
  return std::move(message).value();
}

template <class M = Sample>
std::string refusal(std::string_view digits) {
  const auto message = decode<M>(hex(digits));
  REQUIRE_FALSE(message.ok());
  CHECK(message.status().code() == StatusCode::corruption);
  return std::string(message.status().message());
}

}  // namespace

TEST_CASE("a known field of another wire type is an unknown field") {
  const Sample message = read("0d 01000000   3a 01 61   38 05   4b 4c");
  CHECK(message.u32 == 0);
  CHECK(message.text == "a");
  CHECK_FALSE(message.leaf.has_value());
  CHECK(to_hex(message.unknown_fields) == to_hex(hex("0d 01000000 38 05 4b 4c")));
}

TEST_CASE("a string must be UTF-8, bytes need not") {
  for (const char* text : {"00", "7f", "c280", "dfbf", "e0a080", "ed9fbf", "ee8080", "efbfbf",
                           "f0908080", "f48fbfbf", "6162636465666768c3a9"}) {
    std::string bytes;
    append_bytes_field(bytes, 7, hex(text));
    INFO(text);
    REQUIRE(decode<Sample>(bytes).ok());
    CHECK(to_hex(decode<Sample>(bytes).value().text) == text);
  }
  for (const char* text : {"80",
                           "bf",
                           "c0",
                           "c080",
                           "c1bf",
                           "c3",
                           "c328",
                           "e0809f",
                           "e09fbf",
                           "e282",
                           "eda080",
                           "edbfbf",
                           "f08fbfbf",
                           "f0908080c3",
                           "f4908080",
                           "f5808080",
                           "ff",
                           "f09080",
                           "616263646566676880",
                           "e28228",
                           "f0908028"}) {
    std::string bytes;
    append_bytes_field(bytes, 7, hex(text));
    INFO(text);
    CHECK(contains(refusal(to_hex(bytes)), "text: the string is not UTF-8"));
    bytes[0] = 8 << 3 | 2;
    REQUIRE(decode<Sample>(bytes).ok());
    CHECK(to_hex(decode<Sample>(bytes).value().raw) == text);
  }
}

TEST_CASE("unknown groups are kept, to the depth limit") {
  CHECK(to_hex(read("a306 08 01 ab06 ac06 a406").unknown_fields) ==
        to_hex(hex("a306 08 01 ab06 ac06 a406")));
  CHECK(contains(refusal("a306"), "a group has no end"));
  std::string open;
  std::string close;
  for (std::size_t i = 0; i < wire_depth_limit; ++i) {
    open += "a306";
    close += "a406";
  }
  CHECK(read(open + close).unknown_fields == hex(open + close));
  CHECK(contains(refusal("a306" + open + close + "a406"), "nest too deeply"));
  // Inside another message there is one level less.
  std::string inside;
  append_bytes_field(inside, 9, hex(open + close));
  CHECK(contains(refusal(to_hex(inside)), "leaf: groups nest too deeply"));
}

TEST_CASE("unknown fields are written again in their shortest form, behind the known ones") {
  const Sample message = read(
      "a0868000 8100   a2868000 8200 6162   08 01   a386 8000 88808000 "
      "818000 a4868000");
  CHECK(message.u32 == 1);
  CHECK(to_hex(encode(message)) == to_hex(hex("08 01  a006 01  a206 02 6162  a306 08 01 a406")));
}

TEST_CASE("numbers are read packed and unpacked, and written packed") {
  const std::vector<std::uint64_t> numbers = {1, 300, 0};
  CHECK(read("50 01 50 ac02 50 00").numbers == numbers);
  CHECK(read("52 04 01 ac02 00").numbers == numbers);
  CHECK(read("50 01 52 02 ac02 52 00 50 00").numbers == numbers);
  CHECK(to_hex(encode(read("50 01 50 ac02 50 00"))) == "520401ac0200");
  CHECK(encode(read("52 00")).empty());
  CHECK(contains(refusal("52 03 01 02 80"), "numbers[2]: a packed varint is cut off"));
  CHECK(to_hex(read("0a 01 05").unknown_fields) == "0a0105");
}

TEST_CASE("the last of several scalars wins") {
  CHECK(read("08 01 08 02").u32 == 2);
  CHECK(read("08 01 08 00").u32 == 0);
  CHECK(read("3a 01 61 3a 00").text.empty());
}

TEST_CASE("a message that comes in pieces merges, a repeated one does not") {
  const Sample message = read("4a 02 08 05  4a 03 12 01 61   62 02 08 01 62 00");
  REQUIRE(message.leaf.has_value());
  CHECK(message.leaf->id == 5);
  CHECK(message.leaf->text == "a");
  CHECK(message.leaves == std::vector<Leaf>{Leaf{1, "", ""}, Leaf{}});
}

TEST_CASE("an empty message is there, and is written") {
  CHECK(read("4a 00").leaf == Leaf{});
  CHECK(to_hex(encode(read("4a 00"))) == "4a00");
  CHECK(encode(Sample()).empty());
}

TEST_CASE("of a oneof the last one stays, and pieces of one merge") {
  CHECK(read("").choice.index() == 0);
  CHECK(std::get<Leaf>(read("72 02 08 05  72 03 12 01 61").choice) == Leaf{5, "a", ""});
  CHECK(std::get<Tree>(read("72 02 08 05  7a 00").choice) == Tree{});
  CHECK(std::get<Leaf>(read("72 02 08 05  7a 00  72 03 12 01 61").choice) == Leaf{0, "a", ""});
  CHECK(to_hex(encode(read("72 02 08 05  7a 00"))) == "7a00");
}

TEST_CASE("map keys are sorted, the last value of one wins, missing halves are empty") {
  const Sample message = read(
      "6a 06 0a01 7a 1201 31   6a 06 1201 32 0a01 61   6a 06 0a01 7a 1201 33 "
      "  6a 00   6a 03 0a01 6d   6a 05 1a01 78 1000");
  CHECK(message.pairs ==
        std::map<std::string, std::string>{{"", ""}, {"a", "2"}, {"m", ""}, {"z", "3"}});
  CHECK(to_hex(encode(message)) == to_hex(hex("6a 04 0a00 1200  6a 06 0a01 61 1201 32  "
                                              "6a 05 0a01 6d 1200  6a 06 0a01 7a 1201 33")));
  CHECK(contains(refusal("6a 03 0a01 ff"), "pairs: the string is not UTF-8"));
  CHECK(contains(refusal("6a 03 1201 ff"), "pairs: the string is not UTF-8"));
}

TEST_CASE("values that are too wide for their field lose the upper bits") {
  CHECK(read("08 ffffffffffffffffff01").u32 == 0xffffffff);
  CHECK(read("18 8080808010").i32 == 0);
  CHECK(read("18 ffffffff0f").i32 == -1);
  CHECK(read("28 808080808080808001").flag);
  CHECK(read("30 03").color == static_cast<sample::Color>(3));
}

TEST_CASE("negative numbers take ten bytes") {
  Sample message;
  message.i32 = -1;
  message.i64 = -1;
  message.color = sample::Color::blue;
  CHECK(to_hex(encode(message)) ==
        to_hex(hex("18 ffffffffffffffffff01 20 ffffffffffffffffff01 30 f9ffffffffffffffff01")));
  CHECK(decode<Sample>(encode(message)).value() == message);
}

TEST_CASE("messages nest as deep as is allowed, and no deeper") {
  std::string bytes;
  for (std::size_t i = 0; i < wire_depth_limit; ++i) {
    std::string outer;
    append_bytes_field(outer, 1, bytes);
    bytes = std::move(outer);
  }
  CHECK(decode<Tree>(bytes).ok());
  std::string deeper;
  append_bytes_field(deeper, 1, bytes);
  CHECK(contains(refusal<Tree>(to_hex(deeper)), "messages nest too deeply"));
}

TEST_CASE("a refusal names the message and the path of the field") {
  CHECK(
      refusal("62 00 62 03 12 01 ff") ==
      "cannot decode sample.Sample: leaves[1].text: the string is not UTF-8; the bytes are damaged "
      "or are another message");
  CHECK(contains(refusal("5a 00 5a 01 ff"), " texts[1]: the string is not UTF-8"));
  CHECK(contains(refusal("72 01 08"), " one: the varint is cut off"));
  CHECK(contains(refusal<BackupMeta>("22 03 0a 01 ff"),
                 "cannot decode backup.BackupMeta: files[0].name: the string is not UTF-8"));
}
