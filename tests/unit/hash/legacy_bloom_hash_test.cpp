// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

TEST_CASE("the legacy bloom hash gives RocksDB's values") {
  std::string bytes;
  for (int i = 0; i < 40; ++i) bytes.push_back(static_cast<char>(7 * i + 3));
  const ByteView view = bytes;
  CHECK(legacy_bloom_hash("") == 0xbc9f1d34);
  CHECK(legacy_bloom_hash(view.substr(0, 1)) == 0x37f915a9);
  CHECK(legacy_bloom_hash(view.substr(0, 3)) == 0x4e36f1fe);
  CHECK(legacy_bloom_hash(view.substr(0, 7)) == 0x374d221d);
  CHECK(legacy_bloom_hash(view) == 0x9907c411);
}

TEST_CASE("the legacy bloom hash extends the sign of trailing bytes, as RocksDB's does") {
  CHECK(legacy_bloom_hash("\xff") == 0x1d66774f);
  CHECK(legacy_bloom_hash("\xff\x80\x81") == 0x2e9f154a);
  CHECK(legacy_bloom_hash("\xff\x80\x81\xfe\x90\xa0\xb0") == 0x0f66b70d);
}

TEST_CASE("the legacy bloom hash depends on its seed") {
  CHECK(legacy_bloom_hash("", 7) == 7);
  CHECK(legacy_bloom_hash("key", 7) != legacy_bloom_hash("key", 8));
}
