// SPDX-License-Identifier: Apache-2.0
// Tables of TiDB in a coordinated backup.
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/service/scripted_node.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

Schema schema_of(int id, const std::string& name, const std::string& more = "") {
  Schema schema;
  schema.db = R"({"id":1,"db_name":{"O":"shop","L":"shop"}})";
  schema.table =
      R"({"id":)" + std::to_string(id) + R"(,"name":{"O":")" + name + R"(","L":"x"})" + more + "}";
  return schema;
}

/// Answers each request with one file of 2 pairs, 20 bytes and a crc64xor of 1, 2, 4 ...
struct OneFileEach {
  Bench& bench;
  std::vector<BackupRequest> asked{};

  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken*) {
    BackupResponse response = answer_of(bench, request.start_key, request.end_key,
                                        "f" + to_hex(request.start_key) + "_write.sst");
    response.files[0].crc64xor = std::uint64_t{1} << asked.size();
    response.files[0].total_kvs = 2;
    response.files[0].total_bytes = 20;
    asked.push_back(request);
    return respond(std::move(response));
  }
  [[nodiscard]] static std::string_view address() { return "node-a"; }
};

}  // namespace

TEST_CASE("the key ranges of a table are those that BR asks for") {
  TableSchema table;
  table.id = 54;
  table.indexes = {1};
  // the bounds of table 54 in a backupmeta of BR 5.0
  const std::vector<KeyRange> ranges = table_key_ranges(table);
  REQUIRE(ranges.size() == 2);
  CHECK(to_hex(ranges[0].start) == "7480000000000000365f69800000000000000100");
  CHECK(to_hex(ranges[0].end) == "7480000000000000365f698000000000000001fb");
  CHECK(to_hex(ranges[1].start) == "7480000000000000365f720000000000000000");
  CHECK(to_hex(ranges[1].end) == "7480000000000000365f72ffffffffffffffff00");
  table.partitions = {60, 61};
  const std::vector<KeyRange> parts = table_key_ranges(table);
  REQUIRE(parts.size() == 4);
  CHECK(parts[3].start == table_key_prefix(61, "_r") + std::string(8, '\0'));
}

TEST_CASE("with schemas and no bounds, the keys of each table are asked for, and summed") {
  Bench bench(false);
  OneFileEach node{bench};
  // two indexes, and rows; then a table of two partitions
  bench.options.schemas = {
      schema_of(54, "orders", R"(,"index_info":[{"id":1},{"id":2}])"),
      schema_of(70, "parts", R"(,"partition":{"definitions":[{"id":71},{"id":72}]})")};
  const auto result = bench.run(node);
  REQUIRE(result.ok());
  REQUIRE(node.asked.size() == 5);
  CHECK(node.asked[0].start_key ==
        table_key_prefix(54, "_i") + std::string("\x80\0\0\0\0\0\0\1\0", 9));
  CHECK(node.asked[4].start_key == table_key_prefix(72, "_r") + std::string(8, '\0'));
  const std::vector<Schema>& schemas = result.value().meta.schemas;
  REQUIRE(schemas.size() == 2);
  CHECK(schemas[0].crc64xor == 7);
  CHECK(schemas[0].total_kvs == 6);
  CHECK(schemas[0].total_bytes == 60);
  CHECK(schemas[1].crc64xor == 24);
  CHECK(schemas[1].total_kvs == 4);
  CHECK(result.value().notes.empty());
  // who verifies comes to the same
  VerifyOptions quick;
  quick.quick = true;
  const auto report = verify_backup(bench.storage, FileHasher{}, BuiltDecoders{}, quick);
  REQUIRE(report.ok());
  for (const Finding& finding : report.value().findings) {
    CHECK(finding.to_string().find("shop") == std::string::npos);
  }
}

TEST_CASE("a checksum that is given must be that of the files") {
  Bench bench(false);
  OneFileEach node{bench};
  Schema schema = schema_of(54, "orders");
  schema.crc64xor = 1;
  schema.total_kvs = 2;
  schema.total_bytes = 20;
  SECTION("it is") {
    bench.options.schemas = {schema};
    CHECK(bench.run(node).ok());
  }
  SECTION("it is not") {
    schema.total_kvs = 3;
    bench.options.schemas = {schema};
    const auto result = bench.run(node);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == StatusCode::corruption);
    CHECK(result.status().object() == "`shop`.`orders`");
    CHECK(result.status().message().find("3 pairs") != std::string_view::npos);
    CHECK_FALSE(bench.has("backupmeta"));
  }
  SECTION("an incremental backup does not compare it") {
    schema.total_kvs = 3;
    bench.options.schemas = {schema};
    bench.options.request.start_version = 300;
    const auto result = bench.run(node);
    REQUIRE(result.ok());
    CHECK(result.value().meta.schemas[0].total_kvs == 3);
  }
}

TEST_CASE("a table that shares a file, or was asked for in part, is not summed, and that is told") {
  Bench bench(false);
  OneFileEach node{bench};
  bench.options.schemas = {schema_of(54, "orders"), schema_of(55, "lines")};
  SECTION("one file of everything") {
    bench.options.ranges = {KeyRange{}};
    const auto result = bench.run(node);
    REQUIRE(result.ok());
    REQUIRE(result.value().notes.size() == 2);
    CHECK(result.value().notes[0].object() == "`shop`.`orders`");
    CHECK(result.value().notes[0].message().find("another table") != std::string_view::npos);
    CHECK(result.value().meta.schemas[0].total_kvs == 0);
  }
  SECTION("half of a table") {
    bench.options.ranges = {
        {"default", table_key_prefix(54, "_r") + "\x80", table_key_prefix(56, "")}};
    const auto result = bench.run(node);
    REQUIRE(result.ok());
    REQUIRE(result.value().notes.size() == 2);
    CHECK(result.value().notes[0].message().find("not all of its keys") != std::string_view::npos);
  }
}

TEST_CASE("schemas that are none, or of one table, are refused before anything is touched") {
  Bench bench(false);
  OneFileEach node{bench};
  SECTION("no JSON") {
    bench.options.schemas = {schema_of(54, "orders")};
    bench.options.schemas[0].table = "{";
  }
  SECTION("the same id twice") {
    bench.options.schemas = {schema_of(54, "orders"), schema_of(54, "lines")};
  }
  SECTION("the same index twice") {
    bench.options.schemas = {schema_of(54, "orders", R"(,"index_info":[{"id":1},{"id":1}])")};
  }
  CHECK(bench.run(node).status().code() == StatusCode::invalid_argument);
  CHECK(node.asked.empty());
  CHECK(bench.storage.list("").value().empty());
}

TEST_CASE("schemas are read from JSON, nested or as hex") {
  const auto set = read_schemas(R"({"schemas": [
      {"db": {"id": 1, "db_name": {"O": "shop"}}, "table": {"id": 18446744073709551615, "x": 0.1},
       "stats": {"count": 3}, "tiflash_replicas": 2, "crc64xor": 18446744073709551615,
       "total_kvs": 4, "total_bytes": 5},
      {"db": "7b7d", "table": "7b7D", "stats": null}],
      "ddls": [{"id": 7, "query": "create table \u00e9"}]})");
  REQUIRE(set.ok());
  REQUIRE(set.value().schemas.size() == 2);
  const Schema& first = set.value().schemas[0];
  CHECK(first.db == R"({"id":1,"db_name":{"O":"shop"}})");
  CHECK(first.table == R"({"id":18446744073709551615,"x":0.1})");
  CHECK(first.stats == R"({"count":3})");
  CHECK(first.tiflash_replicas == 2);
  CHECK(first.crc64xor == ~std::uint64_t{0});
  CHECK(first.total_kvs == 4);
  CHECK(first.total_bytes == 5);
  CHECK(set.value().schemas[1].db == "{}");
  CHECK(set.value().schemas[1].table == "{}");
  CHECK(set.value().ddls == "[{\"id\":7,\"query\":\"create table \xc3\xa9\"}]");
}

TEST_CASE("schemas that cannot be read are refused, and the error says where") {
  const auto why = [](std::string_view json) {
    const auto set = read_schemas(json);
    REQUIRE_FALSE(set.ok());
    CHECK(set.status().code() == StatusCode::invalid_argument);
    return std::string(set.status().message());
  };
  CHECK(why("").find("byte 0") != std::string::npos);
  CHECK(why("[]").find("no object") != std::string::npos);
  CHECK(why(R"({"tables": []})").find("\"tables\"") != std::string::npos);
  CHECK(why(R"({"schemas": {}})").find("no array") != std::string::npos);
  CHECK(why(R"({"schemas": [{"db": {}}]})").find("schemas[0] lacks") != std::string::npos);
  CHECK(why(R"({"schemas": [{"db": "xy"}]})").find("schemas[0].db") != std::string::npos);
  CHECK(why(R"({"schemas": [{"db": 1}]})").find("neither") != std::string::npos);
  CHECK(why(R"({"schemas": [{"total_kvs": -1}]})").find("total_kvs") != std::string::npos);
  CHECK(why(R"({"schemas": [{"tiflash_replicas": 4294967296}]})").find("32 bits") !=
        std::string::npos);
  CHECK(why(R"({"schemas": [{"other": 1}]})").find("no such member") != std::string::npos);
  CHECK(why(R"({"ddls": )" + std::string(100'000, '[')).find("nests") != std::string::npos);
}
