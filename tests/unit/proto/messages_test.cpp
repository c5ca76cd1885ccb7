// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#include "sample.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using sample::hex;

TEST_CASE("a backupmeta is written with BR's field numbers") {
  BackupMeta meta;
  meta.cluster_id = 1;
  meta.cluster_version = "v";
  meta.start_version = 2;
  meta.end_version = 3;
  meta.is_raw_kv = true;
  meta.ddls = "null";
  meta.br_version = "BR";
  File& file = meta.files.emplace_back();
  file.name = "n";
  file.sha256 = "\xff";
  file.start_key = "a";
  file.end_key = "b";
  file.start_version = 4;
  file.end_version = 5;
  file.crc64xor = 0xffffffffffffffff;
  file.total_kvs = 6;
  file.total_bytes = 7;
  file.cf = "default";
  file.size = 8;
  RawRange& range = meta.raw_ranges.emplace_back();
  range.start_key = "a";
  range.cf = "c";
  CHECK(
      to_hex(encode(meta)) ==
      to_hex(hex("08 01  12 01 76"
                 "22 2a 0a01 6e 1201 ff 1a01 61 2201 62 2804 3005 38ffffffffffffffffff01 4006 4807"
                 "      5207 64656661756c74 5808"
                 "28 02  30 03  40 01  4a 06 0a01 61 1a01 63  52 04 6e756c6c  5a 02 4252")));
  CHECK(decode<BackupMeta>(encode(meta)).value() == meta);
}

TEST_CASE("fields of a later BR survive, reserved ones too") {
  const std::string bytes = hex("08 01  1a 01 70  60 01  a2ce30 00");
  const auto meta = decode<BackupMeta>(bytes);
  REQUIRE(meta.ok());
  CHECK(to_hex(meta.value().unknown_fields) == to_hex(bytes.substr(2)));
  CHECK(to_hex(encode(meta.value())) == to_hex(bytes));
}

TEST_CASE("what kvbackup adds is written with its field numbers") {
  KvbackupInfo info;
  info.format = 1;
  info.key_prefix = "z";
  info.profile = "br";
  info.created_unix_ms = 2;
  info.source_kind = "k";
  info.source_identity = "i";
  info.ranges.emplace_back().cf = "c";
  info.ranges.back().start = "s";
  info.ranges.back().end = "e";
  info.totals.emplace();
  info.totals->files = 1;
  info.totals->kvs = 2;
  info.totals->bytes = 3;
  info.totals->stored_bytes = 4;
  info.totals->crc64xor = 5;
  info.file_crc32c = {0, 0xffffffff};
  CHECK(to_hex(encode(info)) ==
        to_hex(hex(
            "08 01  12 01 7a  1a 02 6272  20 02  2a 01 6b  32 01 69"
            "3a 09 0a01 63 1201 73 1a01 65  42 0a 0801 1002 1803 2004 2805  4a 06 00 ffffffff0f")));
  CHECK(decode<KvbackupInfo>(encode(info)).value() == info);
}

TEST_CASE("encode_to appends to what is there") {
  std::string out = "x";
  RawRange range;
  range.cf = "c";
  encode_to(range, out);
  CHECK(out ==
        "x\x1a\x01"
        "c");
}

TEST_CASE("messages of 128 bytes and more have longer lengths") {
  for (const std::size_t size : {125u, 126u, 127u, 128u, 16'380u, 16'381u, 16'384u, 3'000'000u}) {
    BackupResponse response;
    response.files.emplace_back().name.assign(size, 'n');
    response.files.emplace_back();
    response.error.emplace().msg.assign(size, 'm');
    const auto decoded = decode<BackupResponse>(encode(response));
    REQUIRE(decoded.ok());
    CHECK(decoded.value() == response);
  }
}
