// SPDX-License-Identifier: Apache-2.0
// What nodes say is bytes from strangers; what lies in the storage is looked at.
#include <functional>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/service/scripted_node.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

struct BadAnswer {
  const char* what;
  std::string part;  // of the message
  std::function<void(BackupResponse&)> spoil;
};

std::vector<BadAnswer> bad_answers() {
  return {
      {"keys that were not asked for, below", "not asked for",
       [](BackupResponse& r) { r.start_key = r.files[0].start_key = "a"; }},
      {"keys that were not asked for, above", "not asked for",
       [](BackupResponse& r) { r.end_key = r.files[0].end_key = ""; }},
      {"a range upside down", "no keys", [](BackupResponse& r) { r.end_key = "b"; }},
      {"a range without keys", "no keys", [](BackupResponse& r) { r.end_key = r.start_key; }},
      {"a name that escapes", "cannot have that name",
       [](BackupResponse& r) { r.files[0].name = "../../etc/x.sst"; }},
      {"an absolute name", "cannot have that name",
       [](BackupResponse& r) { r.files[0].name = "/etc/x.sst"; }},
      {"no name", "cannot have that name", [](BackupResponse& r) { r.files[0].name = ""; }},
      {"the name of backupmeta", "another object",
       [](BackupResponse& r) { r.files[0].name = "backupmeta"; }},
      {"the name of the lock", "another object",
       [](BackupResponse& r) { r.files[0].name = "backup.lock"; }},
      {"a name that is no text", "UTF-8", [](BackupResponse& r) { r.files[0].name = "x\xff.sst"; }},
      {"a short SHA-256", "SHA-256", [](BackupResponse& r) { r.files[0].sha256.pop_back(); }},
      {"no bytes", "no bytes", [](BackupResponse& r) { r.files[0].size = 0; }},
      {"too many bytes", "more than a file can",
       [](BackupResponse& r) { r.files[0].size = ~std::uint64_t{0}; }},
      {"too many pairs", "more than a file can",
       [](BackupResponse& r) { r.files[0].total_kvs = 1ull << 63; }},
      {"pairs of too many bytes", "more than a file can",
       [](BackupResponse& r) { r.files[0].total_bytes = 1ull << 41; }},
      {"another column family", "another column family",
       [](BackupResponse& r) { r.files[0].cf = "write"; }},
      {"other versions", "other versions", [](BackupResponse& r) { r.files[0].end_version = 3; }},
      {"a file upside down", "without keys", [](BackupResponse& r) { r.files[0].end_key = "b"; }},
      {"a file that begins late", "does not begin",
       [](BackupResponse& r) { r.files[0].start_key = "d"; }},
      {"a file that ends early", "does not end",
       [](BackupResponse& r) { r.files[0].end_key = "m"; }},
      {"a file beyond its answer", "does not end",
       [](BackupResponse& r) { r.files[0].end_key = "z"; }},
      {"one file twice", "does not begin",
       [](BackupResponse& r) { r.files.push_back(r.files[0]); }},
      {"one name twice", "named twice",
       [](BackupResponse& r) {
         r.files.push_back(r.files[0]);
         r.files[0].end_key = r.files[1].start_key = "m";
       }},
      {"a hole between files", "does not begin",
       [](BackupResponse& r) {
         r.files.push_back(r.files[0]);
         r.files[1].name = "other.sst";
         r.files[0].end_key = "m";
         r.files[1].start_key = "n";
       }},
      {"files that overlap", "does not begin",
       [](BackupResponse& r) {
         r.files.push_back(r.files[0]);
         r.files[1].name = "other.sst";
         r.files[0].end_key = "n";
         r.files[1].start_key = "m";
       }},
  };
}

}  // namespace

TEST_CASE("an answer that cannot be is refused, names its node, and another node can help") {
  for (const BadAnswer& each : bad_answers()) {
    INFO(each.what);
    Bench bench;
    bench.options.request.start_key = "c";
    bench.options.request.end_key = "y";
    bench.options.retry.attempts = 2;
    ScriptedNode hostile("node-h", [&](const BackupRequest&, RespondRef respond) {
      BackupResponse response = answer_of(bench, "c", "y", "h.sst");
      each.spoil(response);
      return respond(std::move(response));
    });
    const auto alone = bench.run(hostile);
    REQUIRE_FALSE(alone.ok());
    INFO(alone.status().to_string());
    CHECK(alone.status().code() == StatusCode::corruption);
    CHECK(alone.status().object() == "node-h");
    CHECK(alone.status().message().find(each.part) != std::string_view::npos);
    CHECK_FALSE(bench.has("backupmeta"));

    ScriptedNode honest("node-g", [&](const BackupRequest& request, RespondRef respond) {
      return respond(answer_of(bench, request.start_key, request.end_key, "g.sst"));
    });
    const auto helped = bench.run(hostile, honest);
    REQUIRE(helped.ok());
    REQUIRE(helped.value().meta.files.size() == 1);
    CHECK(helped.value().meta.files[0].name == "g.sst");
    CHECK(bench.recorder.troubles.back().find("node-h") != std::string::npos);
  }
}

TEST_CASE("a file of two answers is refused, and the first one stays") {
  Bench bench;
  bench.options.retry.attempts = 1;
  ScriptedNode node("node-a", [&](const BackupRequest&, RespondRef respond) {
    Status status = respond(answer_of(bench, "", "m", "same.sst"));
    return status.ok() ? respond(answer_of(bench, "m", "", "same.sst")) : status;
  });
  const auto result = bench.run(node);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().message().find("named twice") != std::string_view::npos);
  CHECK(result.status().key() == "m");
}

TEST_CASE("an answer with an error has no files, whatever it says") {
  Bench bench;
  bench.options.retry.attempts = 1;
  ScriptedNode node("node-a", [&](const BackupRequest&, RespondRef respond) {
    BackupResponse response = answer_of(bench, "", "", "a.sst");
    response.error = busy_error();
    return respond(std::move(response));
  });
  CHECK_FALSE(bench.run(node).ok());
}

TEST_CASE("a node that asks to wait for ever is not given more than the longest wait") {
  Bench bench;
  bench.options.retry = {.attempts = 3, .first_wait_ms = 10, .longest_wait_ms = 700};
  ScriptedNode node("node-a", [&](const BackupRequest&, RespondRef respond) {
    Error error = busy_error();
    std::get<RegionError>(error.detail).server_is_busy->backoff_ms = ~std::uint64_t{0};
    return respond(error_response("", "", error));
  });
  CHECK_FALSE(bench.run(node).ok());
  CHECK(bench.recorder.waits == std::vector<std::uint64_t>{700, 700});
}

TEST_CASE("every file must lie in the storage with its size") {
  Bench bench;
  ScriptedNode node("node-a", [&](const BackupRequest&, RespondRef respond) {
    return respond(answer_of(bench, "", "", "a.sst"));
  });
  SECTION("gone") {
    ScriptedNode liar("node-a", [&](const BackupRequest&, RespondRef respond) {
      BackupResponse response = answer_of(bench, "", "", "a.sst");
      (void)bench.storage.remove("a.sst");
      return respond(std::move(response));
    });
    const auto result = bench.run(liar);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().object() == "a.sst");
    CHECK(result.status().message().find("not in the destination") != std::string_view::npos);
  }
  SECTION("of another size") {
    ScriptedNode liar("node-a", [&](const BackupRequest&, RespondRef respond) {
      BackupResponse response = answer_of(bench, "", "", "a.sst");
      bench.put("a.sst", "file+");
      return respond(std::move(response));
    });
    const auto result = bench.run(liar);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().object() == "a.sst");
    CHECK(result.status().message().find("5 bytes") != std::string_view::npos);
  }
  CHECK_FALSE(bench.has("backupmeta"));
}

TEST_CASE("a destination that holds a backup or a lock is refused in BR's words") {
  Bench bench(false);
  ScriptedNode node("node-a", [](const BackupRequest&, RespondRef) { return Status(); });
  SECTION("a backup") {
    bench.put("backupmeta", "x");
    const Status status = bench.run(node).status();
    CHECK(status.code() == StatusCode::already_exists);
    CHECK(status.message().starts_with("backup meta exists"));
  }
  SECTION("a lock") {
    bench.put("backup.lock", "x");
    const Status status = bench.run(node).status();
    CHECK(status.code() == StatusCode::already_exists);
    CHECK(status.message().starts_with("backup lock exists"));
  }
  CHECK(node.calls() == 0);
}

TEST_CASE("a transactional backup has BR's lock and fields") {
  Bench bench(false);
  bench.options.request.cluster_id = 6;
  bench.options.request.end_version = 400;
  ScriptedNode node("node-a", [&](const BackupRequest& request, RespondRef respond) {
    CHECK(bench.has("backup.lock"));
    CHECK(request.cf.empty());
    BackupResponse response = answer_of(bench, "", "", "1_1_1_aa_1_write.sst");
    response.files.push_back(response.files[0]);
    response.files[1].name = "1_1_1_aa_1_default.sst";
    response.files[1].cf = "default";
    bench.put("1_1_1_aa_1_default.sst", "file");
    return respond(std::move(response));
  });
  SECTION("full") {
    const auto result = bench.run(node);
    REQUIRE(result.ok());
    CHECK(result.value().meta.start_version == 0);
    CHECK(result.value().meta.ddls == "[]");
  }
  SECTION("incremental") {
    bench.options.request.start_version = 300;
    bench.options.ddls = R"([{"id":1}])";
    const auto result = bench.run(node);
    REQUIRE(result.ok());
    CHECK(result.value().meta.start_version == 300);
    CHECK(result.value().meta.ddls == R"([{"id":1}])");
  }
  CHECK(bench.storage.read("backup.lock").value() ==
        "DO NOT DELETE\nThis file exists to remind other backup jobs won't use this path");
  CHECK(bench.storage.read("backup.lock").value().size() == 78);
  const auto manifest = read_manifest(bench.storage);
  REQUIRE(manifest.ok());
  const BackupMeta& meta = manifest.value().meta;
  CHECK(meta.end_version == 400);
  CHECK_FALSE(meta.is_raw_kv);
  CHECK(meta.raw_ranges.empty());
  REQUIRE(meta.files.size() == 2);
  CHECK(meta.files[0].cf == "default");  // next to its write file, before it
  CHECK(meta.files[1].cf == "write");
  CHECK(manifest.value().info->source_identity == "6");
}

TEST_CASE("versions that TiKV would answer with nothing are refused") {
  Bench bench(false);
  ScriptedNode node("node-a", [](const BackupRequest&, RespondRef) { return Status(); });
  const auto outcome = [&](std::uint64_t start, std::uint64_t end) {
    bench.options.request.start_version = start;
    bench.options.request.end_version = end;
    return bench.run(node).status().code();
  };
  CHECK(outcome(0, 0) == StatusCode::invalid_argument);
  CHECK(outcome(5, 5) == StatusCode::invalid_argument);
  CHECK(outcome(6, 5) == StatusCode::invalid_argument);
  bench.options.request.is_raw_kv = true;
  CHECK(outcome(0, 5) == StatusCode::invalid_argument);
  CHECK(node.calls() == 0);
}

TEST_CASE("options that can never work are refused before anything is touched") {
  Bench bench;
  ScriptedNode node("node-a", [](const BackupRequest&, RespondRef) { return Status(); });
  SECTION("no node") {
    CHECK(coordinate_backup({}, bench.storage, bench.options).status().code() ==
          StatusCode::invalid_argument);
  }
  SECTION("no clock") {
    bench.options.clock = nullptr;
    CHECK(bench.run(node).status().code() == StatusCode::invalid_argument);
  }
  SECTION("no concurrency") {
    bench.options.concurrency = 0;
    CHECK(bench.run(node).status().code() == StatusCode::invalid_argument);
  }
  SECTION("a range upside down") {
    bench.options.request.start_key = "b";
    bench.options.request.end_key = "a";
    CHECK(bench.run(node).status().code() == StatusCode::invalid_argument);
  }
  SECTION("schemas of a raw backup") {
    bench.options.schemas.emplace_back();
    CHECK(bench.run(node).status().code() == StatusCode::invalid_argument);
  }
  CHECK(node.calls() == 0);
  CHECK(bench.storage.list("").value().empty());
}
