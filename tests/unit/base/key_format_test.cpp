// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {
std::string all_bytes() {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}
std::string why_not(KeyFormat format, ByteView text) {
  const auto decoded = decode_key(format, text);
  CHECK(decoded.status().code() == StatusCode::invalid_argument);
  return std::string(decoded.status().message());
}
}  // namespace

TEST_CASE("every byte comes back from every format") {
  const KeyFormat format = GENERATE(KeyFormat::raw, KeyFormat::escaped, KeyFormat::hex);
  CHECK(decode_key(format, encode_key(format, all_bytes())).value() == all_bytes());
  CHECK(decode_key(format, encode_key(format, "")).value().empty());
  CHECK(parse_key_format(to_string(format)).value() == format);
}

TEST_CASE("escaped keys are written as TiKV and BR write them") {
  CHECK(encode_key(KeyFormat::escaped, "plain 'text' ~") == "plain 'text' ~");
  CHECK(encode_key(KeyFormat::escaped, "\n\r\t\"\\") == R"(\n\r\t\"\\)");
  CHECK(encode_key(KeyFormat::escaped, std::string("\0\x07\x7f\x80\xff", 5)) ==
        R"(\000\007\177\200\377)");
}

TEST_CASE("escaped keys are read with every escape of a Go string") {
  CHECK(decode_key(KeyFormat::escaped, R"(\a\b\f\n\r\t\v\\\'\")").value() == "\a\b\f\n\r\t\v\\'\"");
  CHECK(decode_key(KeyFormat::escaped, R"(t\x80\xFf\1012)").value() ==
        "t\x80\xff"
        "A2");
  CHECK(decode_key(KeyFormat::escaped, "\xff\t ").value() == "\xff\t ");
  for (const char* text : {"\\", "a\\", "\\x", "\\x1", "\\xg0", "\\q", "\\1", "\\12", "\\128",
                           "\\400", "\\777", "\\08"}) {
    CAPTURE(text);
    CHECK(why_not(KeyFormat::escaped, text).starts_with("the key is not escaped text:"));
  }
}

TEST_CASE("hex keys are read in either case, and nothing else") {
  CHECK(encode_key(KeyFormat::hex, "\xab\x01") == "ab01");
  CHECK(decode_key(KeyFormat::hex, "aBCd").value() == "\xab\xcd");
  CHECK(why_not(KeyFormat::hex, "abc") == "the key is not hex: it has an odd number of digits");
  CHECK(why_not(KeyFormat::hex, "0x") ==
        "the key is not hex: it has a character that is no hex digit");
}

TEST_CASE("an unknown format is refused by its name") {
  const auto format = parse_key_format("HEX");
  CHECK(format.status().code() == StatusCode::invalid_argument);
  CHECK(format.status().to_string() ==
        "invalid_argument: unknown key format: give raw, escaped or hex: object HEX");
}
