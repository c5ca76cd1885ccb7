// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

TEST_CASE("a file is named as a TiKV cluster named it") {
  const std::string start = from_hex("7480000000000000365f720000000000000000").value();
  const FileNameParts parts{
      .store_id = 1, .region_id = 2, .epoch = 29, .unix_ms = 1617351201040, .is_raw_kv = false};
  CHECK(sst_file_name(parts, start, "write") ==
        "1_2_29_6e97c3b17c657c4413724f614a619f5b665b990187b159e7d2b92552076144b6_1617351201040_"
        "write.sst");
}

TEST_CASE("a folder of the store stands before the name where TiKV 6.2 puts one") {
  const FileNameParts parts{
      .store_id = 5, .region_id = 4, .epoch = 2, .unix_ms = 7, .store_folder = true};
  CHECK(sst_file_name(parts, "", "default") == "5/4_2_default.sst");
  CHECK(sst_file_prefix(5, true) == "5/");
  CHECK(sst_file_prefix(5, false) == "5_");
}

TEST_CASE("a raw part that starts at the empty key has a name without hash and time") {
  const FileNameParts raw{.store_id = 1, .region_id = 4, .epoch = 2, .unix_ms = 7};
  CHECK(sst_file_name(raw, "", "default") == "1_4_2_default.sst");
  FileNameParts txn = raw;
  txn.is_raw_kv = false;
  CHECK(sst_file_name(txn, "", "default") ==
        "1_4_2_e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855_7_default.sst");
}

TEST_CASE("a column family name that no object name can hold is percent-coded") {
  const std::string name = sst_file_name({}, "", ByteView("../a b\0c", 8));
  CHECK(name == "1_1_1_..%2Fa%20b%00c.sst");
  CHECK(check_object_name(name).ok());
}

TEST_CASE("objects of a run are known by exactly the names that they are given") {
  const std::string id = "0123456789abcdef0123456789abcdef";
  CHECK(lock_name(id) == "kvbackup.lock." + id);
  CHECK(is_lock_name(lock_name(id)));
  CHECK_FALSE(is_lock_name("kvbackup.lock."));
  CHECK_FALSE(is_lock_name("kvbackup.lock.0123456789ABCDEF"));
  CHECK_FALSE(is_lock_name("kvbackup.lock." + id + ".1"));
  CHECK_FALSE(is_lock_name("x/" + lock_name(id)));
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}}) {
    const std::string name = checkpoint_name(id, number);
    CHECK(check_object_name(name).ok());
    const auto parsed = parse_checkpoint_name(name);
    REQUIRE(parsed);
    CHECK(parsed->job_id == id);
    CHECK(parsed->number == number);
  }
  for (const char* rest : {"", ".", ".-1", ".01", ".1x", ".18446744073709551616", ".1.2", "/1"}) {
    INFO(rest);
    CHECK_FALSE(is_checkpoint_name("kvbackup.checkpoint." + id + rest));
  }
  CHECK_FALSE(is_checkpoint_name("kvbackup.checkpoint.abc.1"));
  CHECK_FALSE(is_checkpoint_name("checkpoint.meta"));
  CHECK(is_br_checkpoint_name("checkpoint.meta"));
  CHECK(is_br_checkpoint_name("checkpoints/data/x.cpt"));
  CHECK_FALSE(is_br_checkpoint_name(checkpoint_name(id, 0)));
}

TEST_CASE("names of files are told from others that look like them") {
  const std::string hash(64, '0');
  for (const std::string& name :
       {std::string("1_1_1_default.sst"), std::string("1_2_3_my_cf.sst"),
        "1_2_3_" + hash + "_1600000000000_a%2Fb.sst", "7/2_3_" + hash + "_1_write.sst",
        std::string("7/2_3_write.sst")}) {
    INFO(name);
    CHECK(is_sst_file_name(name));
  }
  for (const std::string& name :
       {std::string("1_1_default.sst"), std::string("1_1_1_.sst"), std::string("1_1_1_default"),
        std::string("01_1_1_default.sst"), std::string("2024_01_02_x.sst"),
        std::string("a/1_1_1_default.sst"), std::string("1/2_3_4_default.sst"),
        std::string("1/2_3_a/b.sst"), "1_2_3_" + hash + "_x_default.sst",
        std::string("_1_1_default.sst"), std::string("backupmeta"), std::string(".sst")}) {
    INFO(name);
    CHECK_FALSE(is_sst_file_name(name));
  }
}
