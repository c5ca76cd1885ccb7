// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

std::string separator(std::string last, std::string_view next) {
  detail::shorten_separator(last, next);
  return last;
}
std::string successor(std::string last) {
  detail::shorten_successor(last);
  return last;
}

}  // namespace

TEST_CASE("a separator is the shortest key by RocksDB's rule, or the key itself") {
  CHECK(separator("abcdef", "abzz") == "abd");
  CHECK(separator("abc", "abcd") == "abc");  // a prefix of the next
  CHECK(separator("", "a") == "");
  CHECK(separator("a1", "b1") == "b");  // below "b1", since that is longer
  CHECK(separator("a1", "b") == "a2");  // "b" itself would not be below
  CHECK(separator("a\xff\xff"
                  "1x",
                  "b") ==
        "a\xff\xff"
        "2");
  CHECK(separator("a\xff\xff", "b") == "a\xff\xff");
  CHECK(separator("a", "b") == "a");
  CHECK(separator("a\xfe", "c") == "b");
  CHECK(separator("a\x7f\x01", "a\x80\x01") == "a\x80");  // bytes are unsigned
}

TEST_CASE("a successor is the shortest key behind all that share its beginning") {
  CHECK(successor("abc") == "b");
  CHECK(successor("\xff"
                  "abc") ==
        "\xff"
        "b");
  CHECK(successor("\xff\xff") == "\xff\xff");
  CHECK(successor("") == "");
}
