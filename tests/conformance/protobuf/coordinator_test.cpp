// SPDX-License-Identifier: Apache-2.0
// The backupmeta of a coordinated backup, read by protoc's classes.
#include "backup.pb.h"
#include "kvbackup.pb.h"
#include "support/catch.hpp"
#include "unit/service/scripted_node.hpp"

using namespace test_support;

namespace {

::backup::BackupMeta parsed(Bench& bench) {
  ::backup::BackupMeta meta;
  REQUIRE(meta.ParseFromString(bench.storage.read("backupmeta").value()));
  return meta;
}

}  // namespace

TEST_CASE("protoc's classes read every field of a transactional backup's backupmeta") {
  Bench bench(false);
  bench.options.request.cluster_id = 6'954'000'000'000'000'001u;
  bench.options.request.start_version = 100;
  bench.options.request.end_version = 400;
  bench.options.cluster_version = "\"5.1.0\"\n";
  bench.options.ddls = R"([{"id":7}])";
  Schema schema;
  schema.db = R"({"db_name":{"O":"shop"}})";
  schema.table = R"({"id":54,"name":{"O":"orders"}})";
  schema.crc64xor = 1;
  schema.total_kvs = 2;
  schema.total_bytes = 3;
  schema.tiflash_replicas = 4;
  schema.stats = "{}";
  bench.options.schemas = {schema};
  bench.options.ranges = {{"", "b", "m"}, {"", "n", ""}};
  ScriptedNode node("node-a", [&](const kvbackup::BackupRequest& request, RespondRef respond) {
    return respond(answer_of(bench, request.start_key, request.end_key,
                             "1_1_1_" + request.start_key + "_write.sst"));
  });
  REQUIRE(bench.run(node).ok());

  const ::backup::BackupMeta meta = parsed(bench);
  CHECK(meta.cluster_id() == 6'954'000'000'000'000'001u);
  CHECK(meta.cluster_version() == "\"5.1.0\"\n");
  CHECK(meta.start_version() == 100);
  CHECK(meta.end_version() == 400);
  CHECK_FALSE(meta.is_raw_kv());
  CHECK(meta.raw_ranges_size() == 0);
  CHECK(meta.ddls() == R"([{"id":7}])");
  CHECK(meta.br_version() == "kvbackup " KVBACKUP_VERSION_STRING);
  REQUIRE(meta.schemas_size() == 1);
  CHECK(meta.schemas(0).db() == schema.db);
  CHECK(meta.schemas(0).table() == schema.table);
  CHECK(meta.schemas(0).crc64xor() == 1);
  CHECK(meta.schemas(0).total_kvs() == 2);
  CHECK(meta.schemas(0).total_bytes() == 3);
  CHECK(meta.schemas(0).tiflash_replicas() == 4);
  CHECK(meta.schemas(0).stats() == "{}");
  REQUIRE(meta.files_size() == 2);
  const ::backup::File& file = meta.files(0);
  CHECK(file.name() == "1_1_1_b_write.sst");
  CHECK(file.sha256() == std::string(32, 's'));
  CHECK(file.start_key() == "b");
  CHECK(file.end_key() == "m");
  CHECK(file.start_version() == 100);
  CHECK(file.end_version() == 400);
  CHECK(file.crc64xor() == 5);
  CHECK(file.total_kvs() == 1);
  CHECK(file.total_bytes() == 10);
  CHECK(file.cf() == "write");
  CHECK(file.size() == 4);
  CHECK(meta.files(1).start_key() == "n");
  CHECK(meta.files(1).end_key().empty());

  const auto& unknown = meta.GetReflection()->GetUnknownFields(meta);
  REQUIRE(unknown.field_count() == 2);
  CHECK(unknown.field(0).number() == 100001);
  CHECK(unknown.field(1).number() == 100002);
  ::kvbackuppb::KvbackupInfo info;
  REQUIRE(info.ParseFromString(unknown.field(0).length_delimited()));
  CHECK(info.format() == 1);
  CHECK(info.key_prefix() == "z");
  CHECK(info.profile() == "br");
  CHECK(info.created_unix_ms() == 1'600'000'000'000);
  CHECK(info.ranges_size() == 2);
  CHECK(info.totals().files() == 2);
  CHECK(info.totals().stored_bytes() == 8);
  CHECK(info.file_crc32c_size() == 0);
}

TEST_CASE("protoc's classes read every field of a raw backup's backupmeta") {
  Bench bench;
  bench.options.request.cf = "write";
  bench.options.request.start_key = "b";
  bench.options.request.end_key = "y";
  ScriptedNode node("node-a", [&](const kvbackup::BackupRequest& request, RespondRef respond) {
    kvbackup::BackupResponse response =
        answer_of(bench, request.start_key, request.end_key, "1_1_1_aa_1_write.sst");
    response.files[0].cf = "write";
    return respond(std::move(response));
  });
  REQUIRE(bench.run(node).ok());
  const ::backup::BackupMeta meta = parsed(bench);
  CHECK(meta.is_raw_kv());
  CHECK(meta.start_version() == 0);
  CHECK(meta.end_version() == 0);
  CHECK(meta.schemas_size() == 0);
  CHECK(meta.ddls() == "null");
  REQUIRE(meta.raw_ranges_size() == 1);
  CHECK(meta.raw_ranges(0).start_key() == "b");
  CHECK(meta.raw_ranges(0).end_key() == "y");
  CHECK(meta.raw_ranges(0).cf() == "write");
  CHECK(meta.files_size() == 1);
}
