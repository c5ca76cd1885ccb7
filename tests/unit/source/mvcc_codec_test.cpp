// SPDX-License-Identifier: Apache-2.0
// TiKV's keys and records. The literal bytes are those of TiKV's own unit tests and of a file that
// a TiKV 5.0.0-rc cluster wrote (tests/golden/README.md).
#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;
using namespace std::string_literals;

namespace {

std::string random_bytes(std::mt19937_64& random, std::size_t most) {
  std::string bytes(random() % (most + 1), '\0');
  // few values, so that padding, markers and equal prefixes are common
  for (char& c : bytes) c = "\0\xff\x01\xf7z"[random() % 5];
  return bytes;
}

}  // namespace

TEST_CASE("user keys have TiKV's memcomparable form") {
  CHECK(to_hex(to_memcomparable("")) == "0000000000000000f7");
  CHECK(to_hex(to_memcomparable("key1")) == "6b65793100000000fb");
  CHECK(to_hex(to_memcomparable("12345678")) == "3132333435363738ff0000000000000000f7");
  CHECK(to_hex("z" + mvcc_key(*from_hex("7480000000000000365f720168656c6c6f000000fc"),
                              423978913202700291)) ==
        "7a7480000000000000ff365f720168656c6cff6f000000fc000000fcfa1db96cbe4bfffc");
}

TEST_CASE("memcomparable keys come back, and sort as the user keys do") {
  std::mt19937_64 random(1);
  std::string before;
  std::string back;
  for (int i = 0; i < 20000; ++i) {
    const std::string key = random_bytes(random, 20);
    const std::string stored = to_memcomparable(key);
    REQUIRE(stored.size() == memcomparable_size(key.size()));
    REQUIRE(from_memcomparable(stored, back));
    REQUIRE(back == key);
    REQUIRE((before < key) == (to_memcomparable(before) < stored));
    // whatever stands behind them: the versions of one key stay together
    REQUIRE((before < key) ==
            (mvcc_key(before, random()) < mvcc_key(key, random()) && before != key));
    before = key;
  }
}

TEST_CASE("what is no memcomparable key is refused") {
  std::string key;
  for (const char* hex : {"", "00", "0000000000000000", "6b657931000000fb", "0000000000000000f6",
                          "6b65793100000001fb", "3132333435363738ff", "0000000000000000f700",
                          "0000000000000000f70000000000000000f7", "000000000000000000"}) {
    INFO(hex);
    CHECK_FALSE(from_memcomparable(*from_hex(hex), key));
  }
  CHECK_FALSE(split_mvcc_key("12345678"));
  CHECK_FALSE(split_mvcc_key(std::string(16, 'x')));
  CHECK(split_mvcc_key(std::string(17, 'x')));
}

TEST_CASE("a key of a version is split into its row and its timestamp") {
  const std::string key = mvcc_key("key1", 20);
  const auto split = split_mvcc_key(key);
  REQUIRE(split);
  CHECK(split->ts == 20);
  CHECK(split->row == to_memcomparable("key1"));
  CHECK(mvcc_key("k", 20) < mvcc_key("k", 10));  // the newest first
  CHECK(tso_from_unix_ms(1617351201040) >> 18 == 1617351201040);
  CHECK(unix_ms_of_tso(423978913202700291) == 1617351200877);  // when the golden file was made
}

TEST_CASE("a write record of TiKV's is read and written byte for byte") {
  const std::string golden = *from_hex("508280d08db4d291f1057606800000000000");
  auto parsed = parse_mvcc_write(golden);
  REQUIRE(parsed.ok());
  const MvccWrite& write = parsed.value();
  CHECK(write.type == MvccWriteType::put);
  CHECK(write.start_ts == 423978913202700290);
  CHECK(write.short_value == "\x80\0\0\0\0\0"s);
  CHECK_FALSE(write.has_large_value());
  CHECK_FALSE(write.gc_fence);
  CHECK(encode_mvcc_write(write) == golden);
}

TEST_CASE("fields of a write record come in TiKV's order, and an unknown one ends it") {
  MvccWrite write;
  write.start_ts = 300;
  write.short_value = "v";
  write.has_overlapped_rollback = true;
  write.gc_fence = 0x0102;
  const std::string record = encode_mvcc_write(write);
  CHECK(to_hex(record) == "50ac0276017652460000000000000102");
  // what TiKV 6.5 and later append: last_change_ts and its versions, then the transaction's source
  const auto parsed = parse_mvcc_write(record + "l\0\0\0\0\0\0\0\x01\x02S\x03"s);
  REQUIRE(parsed.ok());
  CHECK(parsed.value().gc_fence == 0x0102);
  CHECK(parsed.value().has_overlapped_rollback);
  const auto behind = parse_mvcc_write("P\x01?v"s);
  REQUIRE(behind.ok());
  CHECK(behind.value().has_large_value());  // the 'v' behind an unknown tag counts for nothing
}

TEST_CASE("a write record is fenced from its fence on, but not by 0") {
  MvccWrite write;
  CHECK_FALSE(write.is_fenced(100));
  write.gc_fence = 0;
  CHECK_FALSE(write.is_fenced(100));
  write.gc_fence = 20;
  CHECK_FALSE(write.is_fenced(19));
  CHECK(write.is_fenced(20));
}

TEST_CASE("write records that are cut off or of another type are corruption") {
  for (const std::string& record :
       {""s, "P"s, "X\x01"s, "P\x80"s, "P\x01v"s, "P\x01v\x02x"s, "P\x01"s + "F\0\0\0"s,
        "P\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s}) {
    INFO(to_hex(record));
    CHECK(parse_mvcc_write(record).status().code() == StatusCode::corruption);
  }
}

TEST_CASE("a lock record comes back with every field") {
  MvccLock lock;
  lock.primary = "pk";
  lock.ts = 300;
  lock.ttl = 3000;
  CHECK(to_hex(encode_mvcc_lock(lock)) == "5004706bac02b817");
  lock.short_value = std::string(255, 'x');
  lock.for_update_ts = 5;
  lock.txn_size = 6;
  lock.min_commit_ts = 7;
  lock.use_async_commit = true;
  lock.secondaries = {"", "s2", std::string(300, 's')};
  lock.rollback_ts = {8, 9};
  for (const MvccLockType type :
       {MvccLockType::put, MvccLockType::remove, MvccLockType::lock, MvccLockType::pessimistic}) {
    lock.type = type;
    const auto parsed = parse_mvcc_lock(encode_mvcc_lock(lock) + "?unknown");
    REQUIRE(parsed.ok());
    CHECK(parsed.value() == lock);
  }
  const auto shortest = parse_mvcc_lock("S\0\x05"s);  // without a ttl
  REQUIRE(shortest.ok());
  CHECK(shortest.value().ts == 5);
  CHECK(shortest.value().ttl == 0);
}

TEST_CASE("lock records that are cut off, of another type, or promise too much are corruption") {
  for (const std::string& record :
       {""s, "P"s, "H\0\x05"s, "P\x01\x05"s, "P\x04x"s, "P\0\x80"s, "P\0\x05\x80"s,
        "P\0\x05\0v\x02x"s, "P\0\x05\0f\0"s, "P\0\x05\0a\xff\xff\xff\xff\x0f"s,
        "P\0\x05\0a\x01\x03"s, "P\0\x05\0r\x02\0\0\0\0\0\0\0\0"s,
        "P\0\x05\0r\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s}) {
    INFO(to_hex(record));
    CHECK(parse_mvcc_lock(record).status().code() == StatusCode::corruption);
  }
}

TEST_CASE("a lock blocks readers at and after it, unless it cannot commit before them") {
  MvccLock lock;
  lock.ts = 20;
  CHECK_FALSE(lock.blocks(19));
  CHECK(lock.blocks(20));
  lock.min_commit_ts = 31;
  CHECK_FALSE(lock.blocks(30));
  CHECK(lock.blocks(31));
  for (const MvccLockType type : {MvccLockType::lock, MvccLockType::pessimistic}) {
    lock.type = type;
    CHECK_FALSE(lock.blocks(31));
  }
}
