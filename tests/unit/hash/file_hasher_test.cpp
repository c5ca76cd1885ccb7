// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_hasher.hpp>

#include "hash_inputs.hpp"
#include "support/catch.hpp"

using namespace kvbackup;

TEST_CASE("the file hasher keeps the laws of its contract") {
  const auto portable = testing::check_hasher(BasicFileHasher<PortableSha256>{});
  INFO(testing::to_string(portable));
  CHECK(portable.empty());
#if KVBACKUP_WITH_OPENSSL
  const auto openssl = testing::check_hasher(BasicFileHasher<OpensslSha256>{});
  INFO(testing::to_string(openssl));
  CHECK(openssl.empty());
#endif
}

TEST_CASE("a file without bytes and pairs has the digests of nothing") {
  const FileDigest digest = BasicFileHasher<PortableSha256>{}.finish();
  CHECK(digest.sha256 == PortableSha256::of(""));
  CHECK(digest.crc32c == 0);
  CHECK(digest.crc64xor == 0);
  CHECK(digest.total_kvs == 0);
  CHECK(digest.total_bytes == 0);
}

TEST_CASE("the file hasher takes files longer than any of its steps in one call") {
  const std::string bytes = hash_inputs::bytes(100'001);
  BasicFileHasher<PortableSha256> hasher;
  hasher.add_bytes(bytes);
  const FileDigest digest = hasher.finish();
  CHECK(digest.sha256 == PortableSha256::of(bytes));
  CHECK(digest.crc32c == crc32c(bytes));
}
