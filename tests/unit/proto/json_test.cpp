// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#include "sample.hpp"
#include "support/catch.hpp"

namespace json_test {

using namespace kvbackup;
using sample::Leaf;
using sample::Sample;
using sample::Tree;

namespace {

Sample full_sample() {
  Sample message;
  message.u32 = 4294967295;
  message.u64 = 18446744073709551615u;
  message.i32 = -2147483647 - 1;
  message.i64 = -9223372036854775807 - 1;
  message.flag = true;
  message.color = sample::Color::blue;
  message.text = std::string("\0\"\\\n\xc3\xa9", 6);
  message.raw = "\xff\x01";
  message.leaf.emplace();
  message.numbers = {0, 1};
  message.texts = {"", "b"};
  message.leaves = {Leaf{1, "x", ""}, Leaf{}};
  message.pairs = {{"a", "1"}, {"", ""}};
  message.choice = Leaf{7, "", ""};
  return message;
}

std::string refusal(std::string_view json) {
  const auto message = from_json<Sample>(json);
  INFO(json);
  REQUIRE_FALSE(message.ok());
  CHECK(message.status().code() == StatusCode::invalid_argument);
  return std::string(message.status().message());
}

bool contains(const std::string& text, std::string_view part) {
  INFO(text);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace

TEST_CASE("JSON shows names of the schema, bytes as hex and integers in full") {
  CHECK(to_json(full_sample()).value() ==
        R"({"u32":4294967295,"u64":18446744073709551615,"i32":-2147483648,)"
        R"("i64":-9223372036854775808,"flag":true,"color":"BLUE","text":"\u0000\"\\\né",)"
        R"("raw":"ff01","leaf":{},"numbers":[0,1],"texts":["","b"],)"
        R"("leaves":[{"id":1,"text":"x"},{}],"pairs":{"":"","a":"1"},"one":{"id":7}})");
  CHECK(to_json(Sample()).value() == "{}");
}

TEST_CASE("JSON gives the message back") {
  CHECK(from_json<Sample>(to_json(full_sample()).value()).value() == full_sample());
  CHECK(from_json<Sample>("{}").value() == Sample());
}

TEST_CASE("unknown fields go through JSON as hex") {
  Sample message;
  append_varint_field(message.unknown_fields, 1000, 1);
  CHECK(to_json(message).value() == R"({"unknown_fields":"c03e01"})");
  CHECK(from_json<Sample>(R"({"unknown_fields":"c03e01"})").value() == message);
  // What the table does know does not stay among the unknown.
  CHECK(from_json<Sample>(R"({"unknown_fields":"0805"})").value().u32 == 5);
  contains(refusal(R"({"unknown_fields":"c03e"})"), "unknown_fields: the varint is cut off");
  contains(refusal(R"({"unknown_fields":"c"})"), "unknown_fields: it is not hex");
}

TEST_CASE("integers may be strings, enums numbers, and null is a field that is not there") {
  const auto message = from_json<Sample>(
      R"({"u64":"18446744073709551615","i64":"-1","i32":"-5","color":1,"raw":"FF","leaf":null})");
  REQUIRE(message.ok());
  CHECK(message.value().u64 == 18446744073709551615u);
  CHECK(message.value().i64 == -1);
  CHECK(message.value().i32 == -5);
  CHECK(message.value().color == sample::Color::green);
  CHECK(message.value().raw == "\xff");
  CHECK_FALSE(message.value().leaf.has_value());
  CHECK(from_json<Sample>(R"({"color":77})").value().color == static_cast<sample::Color>(77));
  Sample strange;
  strange.color = static_cast<sample::Color>(77);
  CHECK(to_json(strange).value() == R"({"color":77})");
}

TEST_CASE("a field that is not there by that name is refused with its path") {
  CHECK(refusal(R"({"leaves":[{},{"nmae":"x"}]})") ==
        "cannot read from JSON a sample.Sample: leaves[1].nmae: there is no such field; use the "
        "names and types of the schema");
  contains(refusal(R"({"leaf":{"id":1,"id":2}})"), "leaf.id: the field is there twice");
  contains(refusal(R"({"one":{},"other":{}})"), "other: another field of its oneof is there too");
  contains(refusal(R"({"pairs":{"a":"1","a":"2"}})"), "pairs: a key is there twice");
  contains(refusal("{\"" + std::string(1000, 'x') + "\":1}"), "(a name of over 64 bytes)");
}

TEST_CASE("values of another type or out of range are refused with their path") {
  const std::string integer = ": an integer of the field's type is expected";
  for (const char* value :
       {"4294967296", "-1", "1.5", "1e3", "\"\"", "\"1x\"", "\" 1\"", "true", "[]", "{}",
        "18446744073709551616", "\"4294967296\"", "\"-1\"", "\"0x1\""}) {
    contains(refusal("{\"u32\":" + std::string(value) + "}"), "u32" + integer);
  }
  contains(refusal(R"({"i32":2147483648})"), "i32" + integer);
  contains(refusal(R"({"i32":-2147483649})"), "i32" + integer);
  contains(refusal(R"({"i64":9223372036854775808})"), "i64" + integer);
  contains(refusal(R"({"numbers":[1,-1]})"), "numbers[1]" + integer);
  contains(refusal(R"({"numbers":[null]})"), "numbers[0]" + integer);
  contains(refusal(R"({"numbers":1})"), "numbers: a JSON array is expected");
  contains(refusal(R"({"flag":1})"), "flag: true or false is expected");
  contains(refusal(R"({"color":"PINK"})"), "color: the name or the 32-bit number of a value");
  contains(refusal(R"({"text":1})"), "text: a string is expected");
  contains(refusal(R"({"raw":"0"})"), "raw: a string of hex digits is expected");
  contains(refusal(R"({"leaf":[]})"), "leaf: a JSON object is expected");
  contains(refusal(R"({"pairs":{"a":1}})"), "pairs: its values must be strings");
  contains(refusal("[]"), "a JSON object is expected");
}

TEST_CASE("text that is no JSON is refused with the place") {
  contains(refusal(""), "at byte 0: The document is empty; give");
  contains(refusal(R"({"u32":1)"),
           "at byte 8: Missing a comma or '}' after an object member; give");
  contains(refusal("{} {}"), "at byte 3: ");
  contains(refusal("{\"text\":\"\xff\"}"), "Invalid encoding in string;");
}

TEST_CASE("half a surrogate pair, escaped, is no text") {
  contains(refusal(R"({"text":"\udfc6"})"), "text: the string is not UTF-8");
  contains(refusal(R"({"texts":["a","\udfff"]})"), "texts[1]: the string is not UTF-8");
  contains(refusal(R"({"pairs":{"\udfc6":"1"}})"), "pairs: the string is not UTF-8");
  contains(refusal(R"({"pairs":{"a":"\udfc6"}})"), "pairs: the string is not UTF-8");
  contains(refusal(R"({"\udfc6":1})"), "(a name that is not UTF-8): there is no such field");
  CHECK(from_json<Sample>(R"({"text":"\ud83c\udfc6"})").value().text == "\xf0\x9f\x8f\x86");
}

TEST_CASE("JSON may nest as deep as messages may, and any depth is refused without a crash") {
  const auto nested = [](std::size_t depth) {
    std::string json = "{}";
    for (std::size_t i = 0; i < depth; ++i) json = R"({"children":[)" + json + "]}";
    return json;
  };
  CHECK(from_json<Tree>(nested(wire_depth_limit)).ok());
  CHECK(to_json(from_json<Tree>(nested(wire_depth_limit)).value()).value() ==
        nested(wire_depth_limit));
  const auto deeper = from_json<Tree>(nested(wire_depth_limit + 1));
  REQUIRE_FALSE(deeper.ok());
  contains(std::string(deeper.status().message()), "messages nest too deeply");
  CHECK_FALSE(from_json<Tree>(std::string(5'000'000, '[')).ok());
  CHECK_FALSE(from_json<Tree>(std::string(1'000'000, '[') + std::string(1'000'000, ']')).ok());
}

TEST_CASE("a string that is not UTF-8 cannot become JSON") {
  Sample message;
  message.texts = {"a", "\xff"};
  const auto json = to_json(message);
  REQUIRE_FALSE(json.ok());
  CHECK(json.status().code() == StatusCode::invalid_argument);
  contains(std::string(json.status().message()), "texts[1]: the string is not UTF-8");
}

TEST_CASE("a request reads as BR's messages do") {
  BackupRequest request;
  request.compression_type = CompressionType::zstd;
  request.compression_level = -3;
  request.storage_backend.emplace().backend = CloudDynamic{Bucket{}, "s3", {{"k", "v"}}, ""};
  const std::string json =
      R"({"storage_backend":{"cloud_dynamic":{"bucket":{},"provider_name":"s3","attrs":{"k":"v"}}},)"
      R"("compression_type":"ZSTD","compression_level":-3})";
  CHECK(to_json(request).value() == json);
  CHECK(from_json<BackupRequest>(json).value() == request);
}

}  // namespace json_test
