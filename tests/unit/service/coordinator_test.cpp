// SPDX-License-Identifier: Apache-2.0
// Many nodes, one backup.
#include <atomic>
#include <map>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/service/scripted_node.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

std::string key_of(unsigned i) {
  std::string key = std::to_string(1000 + i);
  return "k" + key.substr(1);
}
std::map<std::string, std::string> pairs(unsigned count) {
  std::map<std::string, std::string> store;
  for (unsigned i = 0; i < count; ++i) store[key_of(i)] = std::string(20, char('a' + i % 26));
  return store;
}
/// [k000, k100), [k100, k200) ... of every third, the first and the last unbounded.
std::vector<KeyRange> regions(unsigned first) {
  std::vector<KeyRange> all;
  for (unsigned i = first; i < 9; i += 3) {
    all.push_back({"default", i == 0 ? "" : key_of(100 * i), i == 8 ? "" : key_of(100 * i + 100)});
  }
  return all;
}

struct ThreeNodes {
  MemoryBackend storage;
  RegionNode a;
  RegionNode b;
  RegionNode c;

  // region 7 holds no pairs
  explicit ThreeNodes(MemoryBackend backend)
      : storage(backend),
        a("node-a", 1, stored(), regions(0), storage),
        b("node-b", 2, stored(), regions(1), storage),
        c("node-c", 3, stored(), regions(2), storage) {}

  static std::map<std::string, std::string> stored() {
    auto all = pairs(900);
    std::erase_if(all, [](const auto& pair) {
      return pair.first >= key_of(700) && pair.first < key_of(800);
    });
    return all;
  }
};

void check_whole(Bench& bench) {
  const auto report = verify_backup(bench.storage, FileHasher{}, BuiltDecoders{}, {});
  REQUIRE(report.ok());
  for (const Finding& finding : report.value().findings) INFO(finding.to_string());
  CHECK(report.value().damages == 0);
  CHECK(report.value().is_whole());
  CHECK(report.value().pairs == ThreeNodes::stored().size());
}

}  // namespace

TEST_CASE("three nodes with disjoint regions give one whole backup") {
  Bench bench;
  ThreeNodes nodes(bench.storage);
  ThreadExecutor threads;
  bench.options.executor = &threads;
  bench.options.request.cluster_id = 77;
  bench.options.cluster_version = "\"5.1.0\"\n";
  const auto result = bench.run(nodes.a, nodes.b, nodes.c);
  REQUIRE(result.ok());
  CHECK(result.value().rounds == 1);
  CHECK(result.value().orphans.empty());
  check_whole(bench);
  CHECK_FALSE(bench.has("backup.lock"));  // as BR for raw backups

  const auto manifest = read_manifest(bench.storage);
  REQUIRE(manifest.ok());
  const BackupMeta& meta = manifest.value().meta;
  CHECK(meta == result.value().meta);
  CHECK(meta.cluster_id == 77);
  CHECK(meta.cluster_version == "\"5.1.0\"\n");
  CHECK(meta.is_raw_kv);
  CHECK(meta.ddls == "null");
  CHECK(meta.br_version.starts_with("kvbackup "));
  REQUIRE(meta.raw_ranges.size() == 1);
  CHECK(meta.raw_ranges[0].start_key.empty());
  CHECK(meta.raw_ranges[0].end_key.empty());
  CHECK(meta.raw_ranges[0].cf == "default");
  CHECK(std::is_sorted(meta.files.begin(), meta.files.end(),
                       [](const File& x, const File& y) { return x.start_key < y.start_key; }));
  // what has files, the region without, what has files
  const KvbackupInfo& info = *manifest.value().info;
  REQUIRE(info.ranges.size() == 3);
  CHECK(info.ranges[0].start.empty());
  CHECK(info.ranges[0].end == key_of(700));
  CHECK(info.ranges[1].end == key_of(800));
  CHECK(info.ranges[2].end.empty());
  CHECK(info.totals->kvs == ThreeNodes::stored().size());
  CHECK(info.totals->files == meta.files.size());
  CHECK(bench.recorder.last.files == meta.files.size());
  CHECK(bench.recorder.last.kvs == info.totals->kvs);
  CHECK_FALSE(bench.recorder.overlapped);
}

TEST_CASE("a node that dies in mid-run and comes back is asked again, and no gap is left") {
  Bench bench;
  ThreeNodes nodes(bench.storage);
  ThreadExecutor threads;
  bench.options.executor = &threads;
  std::atomic<int> refused{0};
  nodes.b.fault = [&](std::uint64_t clip, const KeyRange&) -> Result<BackupResponse> {
    if (clip == 1) return BackupResponse();
    if (refused++ < 4) {
      return Status::error(StatusCode::unavailable, "connection reset").as_retryable();
    }
    return BackupResponse();
  };
  nodes.c.fault = [](std::uint64_t clip, const KeyRange& keys) -> Result<BackupResponse> {
    if (clip > 2) return BackupResponse();
    return error_response(keys.start, keys.end, busy_error());
  };
  const auto result = bench.run(nodes.a, nodes.b, nodes.c);
  REQUIRE(result.ok());
  CHECK(result.value().rounds > 1);
  check_whole(bench);
  CHECK_FALSE(bench.recorder.troubles.empty());
  CHECK_FALSE(bench.recorder.waits.empty());
  CHECK(bench.clock.slept_ns() > 0);
  CHECK_FALSE(bench.recorder.overlapped);
}

TEST_CASE("a lock is given to the host, and its range is asked for again once it is gone") {
  struct Resolver final : LockResolver {
    Result<std::uint64_t> resolve(const LockInfo& lock) override {
      keys.push_back(lock.key);
      if (keys.size() == 2) locked = false;
      return std::uint64_t{keys.size() == 1 ? 5'000u : 0u};
    }
    std::vector<std::string> keys;
    bool locked = true;
  };
  Bench bench;
  ThreeNodes nodes(bench.storage);
  Resolver resolver;
  bench.options.locks = &resolver;
  nodes.a.fault = [&](std::uint64_t, const KeyRange& keys) -> Result<BackupResponse> {
    if (!resolver.locked || keys.start != key_of(300)) return BackupResponse();
    return error_response(keys.start, keys.end, lock_error(key_of(305), 99));
  };
  const auto result = bench.run(nodes.a, nodes.b, nodes.c);
  REQUIRE(result.ok());
  CHECK(result.value().rounds == 3);
  CHECK(resolver.keys == std::vector<std::string>{key_of(305), key_of(305)});
  REQUIRE(bench.recorder.waits.size() == 2);
  CHECK(bench.recorder.waits[0] == 5'000);  // what the host asked for
  check_whole(bench);
}

TEST_CASE("a host that cannot resolve a lock ends the run with the key") {
  struct Resolver final : LockResolver {
    Result<std::uint64_t> resolve(const LockInfo&) override {
      return Status::error(StatusCode::permission_denied, "the lock cannot be resolved");
    }
  };
  Bench bench;
  ThreeNodes nodes(bench.storage);
  Resolver resolver;
  bench.options.locks = &resolver;
  nodes.a.fault = [&](std::uint64_t, const KeyRange& keys) -> Result<BackupResponse> {
    return error_response(keys.start, keys.end, lock_error("locked-key", 99));
  };
  const auto result = bench.run(nodes.a, nodes.b, nodes.c);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().key() == "locked-key");
  CHECK_FALSE(bench.has("backupmeta"));
}

TEST_CASE("what stays missing is told with its range, its node and why, and nothing is published") {
  Bench bench;
  ThreeNodes nodes(bench.storage);
  bench.options.retry.attempts = 4;
  nodes.b.fault = [](std::uint64_t, const KeyRange& keys) -> Result<BackupResponse> {
    if (keys.start != key_of(400)) return BackupResponse();
    return error_response(keys.start, keys.end, lock_error(key_of(401), 98));
  };
  nodes.c.fault = [](std::uint64_t, const KeyRange& keys) -> Result<BackupResponse> {
    if (keys.start != key_of(800)) return BackupResponse();
    return Status::error(StatusCode::unavailable, "connection refused").as_retryable();
  };
  const auto result = bench.run(nodes.a, nodes.b, nodes.c);
  REQUIRE_FALSE(result.ok());
  const Status& status = result.status();
  CHECK(status.code() == StatusCode::unavailable);
  CHECK(status.object() == "node-b");
  CHECK(status.key() == key_of(400));
  CHECK(status.key_end() == key_of(500));
  CHECK(status.message().find("locks a key") != std::string_view::npos);
  REQUIRE(bench.recorder.gaps.size() == 2);
  CHECK(bench.recorder.gaps[0] == KeyRange{"default", key_of(400), key_of(500)});
  CHECK(bench.recorder.gaps[1] == KeyRange{"default", key_of(800), ""});
  CHECK(bench.recorder.gap_reasons[1].find("connection refused") != std::string::npos);
  CHECK(bench.recorder.gap_reasons[1].find("node-c") != std::string::npos);
  CHECK_FALSE(bench.has("backupmeta"));
}

TEST_CASE("keys that no node leads are a gap, not an empty range") {
  Bench bench;
  ThreeNodes nodes(bench.storage);
  bench.options.retry.attempts = 2;
  const auto result = bench.run(nodes.a, nodes.c);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().key() == key_of(100));
  CHECK(result.status().key_end() == key_of(200));
  CHECK(result.status().message().find("no node answered") != std::string_view::npos);
  CHECK(bench.recorder.gaps.size() == 3);
  CHECK_FALSE(bench.has("backupmeta"));
}

TEST_CASE("errors are classified as BR classifies them") {
  Bench bench;
  bench.options.retry.attempts = 3;
  Error error;
  const auto outcome = [&](std::string_view part, int expected_calls) {
    ScriptedNode node("node-x", [&](const BackupRequest& request, RespondRef respond) {
      return respond(error_response(request.start_key, request.end_key, error));
    });
    const auto result = bench.run(node);
    REQUIRE_FALSE(result.ok());
    INFO(result.status().to_string());
    CHECK(result.status().message().find(part) != std::string_view::npos);
    CHECK(result.status().object() == "node-x");
    CHECK(node.calls() == expected_calls);
  };
  SECTION("another cluster is fatal at once, with both ids") {
    ClusterIDError ids;
    ids.current = 4;
    ids.request = 5;
    error.detail = ids;
    outcome("cluster 4, and cluster 5", 1);
  }
  SECTION("storage that fails for good is fatal at once") {
    error.msg = R"(Io(Custom { kind: AlreadyExists, error: "[x] is already exists in /d" }))";
    outcome("is already exists in /d", 1);
  }
  SECTION("storage that cannot be reached now is asked again") {
    error.msg = R"(Io(Custom { kind: Other, error: "Error During Dispatch: broken pipe" }))";
    outcome("Error During Dispatch", 3);
  }
  SECTION("a region error that passes is asked again") {
    error = busy_error();
    outcome("ServerIsBusy: region 7 is busy", 3);
  }
  SECTION("a region error that BR does not know ends the second round") {
    RegionError region;
    region.message = "strange";
    region.key_not_in_region.emplace();
    error.detail = region;
    outcome("strange", 2);
  }
  SECTION("a key error that is no lock ends the second round") {
    KeyError key;
    key.abort = "aborted";
    error.detail = key;
    outcome("aborted", 2);
  }
}

TEST_CASE("a request that a node refuses for good is not repeated") {
  for (const StatusCode code :
       {StatusCode::invalid_argument, StatusCode::permission_denied, StatusCode::unsupported}) {
    Bench bench;
    ScriptedNode node("node-x", [code](const BackupRequest&, RespondRef) {
      return Status::error(code, "no such column family");
    });
    const auto result = bench.run(node);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == code);
    CHECK(result.status().object() == "node-x");
    CHECK(node.calls() == 1);
  }
}

TEST_CASE("raw and cf are kept in every request, and so is all else") {
  Bench bench;
  bench.options.request.cf = "lock";
  bench.options.request.rate_limit = 9;
  bench.options.request.compression_type = CompressionType::zstd;
  bench.options.request.start_key = "b";
  bench.options.request.end_key = "y";
  std::vector<BackupRequest> asked;
  ScriptedNode node("node-x", [&](const BackupRequest& request, RespondRef respond) {
    asked.push_back(request);
    BackupResponse response;
    response.start_key = request.start_key;
    response.end_key = asked.size() == 1 ? "m" : request.end_key;
    return respond(std::move(response));
  });
  const auto result = bench.run(node);
  REQUIRE(result.ok());
  REQUIRE(asked.size() == 2);
  BackupRequest expected = bench.options.request;
  CHECK(asked[0] == expected);
  expected.start_key = "m";
  CHECK(asked[1] == expected);
  CHECK(result.value().info.ranges.size() == 1);
}

TEST_CASE("overlaps go to the newer answer, what they cut off is asked for, orphans are told") {
  Bench bench;
  ScriptedNode first("node-a", [&](const BackupRequest& request, RespondRef respond) {
    if (!request.start_key.empty()) return Status();
    return respond(answer_of(bench, "", "m", "old.sst"));
  });
  ScriptedNode second("node-b", [&](const BackupRequest& request, RespondRef respond) {
    if (request.start_key.empty() && request.end_key == "k") {
      return respond(answer_of(bench, "", "k", "new1.sst"));
    }
    return respond(answer_of(bench, "k", "", "new2.sst"));
  });
  const auto result = bench.run(first, second);
  REQUIRE(result.ok());
  REQUIRE(result.value().meta.files.size() == 2);
  CHECK(result.value().meta.files[0].name == "new1.sst");
  CHECK(result.value().meta.files[1].name == "new2.sst");
  CHECK(result.value().orphans == std::vector<OrphanedFile>{{"old.sst", 4}});
  CHECK(bench.recorder.orphans == std::vector<std::string>{"old.sst"});
}

TEST_CASE("the same answer twice is one answer, and no orphan") {
  Bench bench;
  ScriptedNode node("node-a", [&](const BackupRequest&, RespondRef respond) {
    Status status = respond(answer_of(bench, "", "", "same.sst"));
    return status.ok() ? respond(answer_of(bench, "", "", "same.sst")) : status;
  });
  const auto result = bench.run(node);
  REQUIRE(result.ok());
  CHECK(result.value().meta.files.size() == 1);
  CHECK(result.value().orphans.empty());
  CHECK(bench.recorder.orphans.empty());
}

TEST_CASE("waits grow from round to round within their bound, and begin anew with progress") {
  Bench bench;
  bench.options.retry = {.attempts = 5, .first_wait_ms = 100, .longest_wait_ms = 300};
  int call = 0;
  ScriptedNode node("node-a", [&](const BackupRequest& request, RespondRef respond) {
    if (++call != 4) return Status::error(StatusCode::unavailable, "away").as_retryable();
    return respond(answer_of(bench, request.start_key, "m", "half.sst"));
  });
  REQUIRE_FALSE(bench.run(node).ok());
  // 12345 modulo one more than 100, 200, 300; then the same from the beginning, and once more 300
  CHECK(bench.recorder.waits == std::vector<std::uint64_t>{12345 % 101, 12345 % 201, 12345 % 301,
                                                           12345 % 101, 12345 % 201, 12345 % 301,
                                                           12345 % 301});
  CHECK(call == 8);
}

TEST_CASE("a cancelled run ends as such, in a wait too") {
  Bench bench;
  CancelToken cancel;
  bench.options.cancel = &cancel;
  SECTION("before it begins") {
    cancel.cancel();
    ScriptedNode node("node-a", [](const BackupRequest&, RespondRef) { return Status(); });
    CHECK(bench.run(node).status().code() == StatusCode::cancelled);
    CHECK(node.calls() == 0);
  }
  SECTION("by an answer") {
    ScriptedNode node("node-a", [&](const BackupRequest&, RespondRef respond) {
      cancel.cancel();
      return respond(answer_of(bench, "", "", "a.sst"));
    });
    CHECK(bench.run(node).status().code() == StatusCode::cancelled);
    CHECK(node.calls() == 1);
  }
  SECTION("between two rounds") {
    ScriptedNode node("node-a", [&](const BackupRequest&, RespondRef) {
      return Status::error(StatusCode::unavailable, "away").as_retryable();
    });
    struct Canceller final : CoordinatorObserver {
      CancelToken* token = nullptr;
      void on_retry(const Status&, std::uint64_t) override { token->cancel(); }
    } canceller;
    canceller.token = &cancel;
    bench.options.observer = &canceller;
    CHECK(bench.run(node).status().code() == StatusCode::cancelled);
    CHECK(node.calls() == 1);
  }
  CHECK_FALSE(bench.has("backupmeta"));
}

TEST_CASE("a fatal error of one node ends the requests of the others") {
  Bench bench;
  ThreadExecutor threads;
  bench.options.executor = &threads;
  // goes on until it is stopped: it gives ever the same half
  ScriptedNode endless("node-a", [&](const BackupRequest&, RespondRef respond) {
    for (;;) {
      Status status = respond(answer_of(bench, "", "m", "half.sst"));
      if (!status.ok()) return status;
    }
  });
  ScriptedNode other("node-b", [&](const BackupRequest&, RespondRef respond) {
    Error error;
    error.detail = ClusterIDError{.current = 1, .request = 2, .unknown_fields = {}};
    return respond(error_response("", "", error));
  });
  const auto result = bench.run(endless, other);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().object() == "node-b");
}
