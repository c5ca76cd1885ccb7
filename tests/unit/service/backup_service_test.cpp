// SPDX-License-Identifier: Apache-2.0
// What a node answers to a raw BackupRequest, in this process.
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "support/fixed_clock.hpp"
#include "support/service_host.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

template <class Host = MemoryHost, class Regions = FixedRegions>
struct Node {
  explicit Node(Host host, BackupServiceOptions options = {}, Regions regions = {})
      : service(std::move(host), BuiltCodecs{}, FileHasher{}, clock, &threads, std::move(options),
                std::move(regions)) {}
  FixedClock clock;
  ThreadExecutor threads;
  BackupService<Host, BuiltCodecs, FileHasher, Regions> service;
};

FixedRegions split_at(std::vector<std::string> keys) {
  return FixedRegions::split_at(std::move(keys)).value();
}

const Store abc{{"a", "1"}, {"b", "2"}, {"c", "3"}};

}  // namespace

TEST_CASE("a raw request of everything is one answer whose file is what TiKV names and counts") {
  MemoryHost host{&abc};
  Node<> node(host, {.store_id = 7});
  BackupRequest request = raw_request("a", "c");
  request.start_version = 3;
  request.end_version = 9;
  const Answered got = ask(node.service, request);
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 1);
  const BackupResponse& response = got.responses[0];
  CHECK_FALSE(response.error);
  CHECK(response.start_key == "a");
  CHECK(response.end_key == "c");
  REQUIRE(response.files.size() == 1);
  const File& file = response.files[0];
  CHECK(file.name ==
        "7_1_1_" + to_hex(as_bytes(PortableSha256::of("a"))) + "_1600000000000_default.sst");
  CHECK(file.start_key == "a");
  CHECK(file.end_key == "c");
  CHECK(file.start_version == 3);
  CHECK(file.end_version == 9);
  CHECK(file.cf == "default");
  CHECK(file.total_kvs == 2);
  CHECK(file.total_bytes == 4);
  CHECK(pairs_of(host.backend, got.responses) == Store{{"a", "1"}, {"b", "2"}});
  CHECK_FALSE(host.backend.exists("backupmeta").value());
}

TEST_CASE(
    "each region that overlaps the request answers for its clip, an empty one without a file") {
  MemoryHost host{&abc};
  Node<> node(host, {}, split_at({"b", "b5", "x"}));
  const Answered got = ask(node.service, raw_request("a", "m"));
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 3);
  CHECK(got.tiles("a", "m"));
  CHECK(got.responses[0].files.size() == 1);
  CHECK(got.responses[1].files.size() == 1);
  CHECK(got.responses[1].files[0].name.starts_with("1_2_1_"));
  CHECK(got.responses[2].files.size() == 1);
  CHECK(pairs_of(host.backend, got.responses) == abc);

  const Answered nothing = ask(node.service, raw_request("m", "z"));
  REQUIRE(nothing.status.ok());
  REQUIRE(nothing.responses.size() == 2);
  CHECK(nothing.tiles("m", "z"));
  CHECK(nothing.responses[0].files.empty());
  CHECK_FALSE(nothing.responses[0].error);
}

TEST_CASE("a large region answers part by part, and all pairs are in the parts, whoever works") {
  const Store store = many_pairs(20'000);
  for (const std::uint32_t asked : {0u, 1u, 3u, 4'000'000'000u}) {
    MemoryHost host{&store};
    Node<> node(host, {.part_size = 50'000}, split_at({"user/3", "user/50/", "user/7"}));
    BackupRequest request = raw_request();
    request.concurrency = asked;
    const Answered got = ask(node.service, request);
    REQUIRE(got.status.ok());
    CHECK(got.responses.size() > 10);
    CHECK(got.tiles("", ""));
    std::set<std::string> names;
    for (const BackupResponse& each : got.responses) {
      REQUIRE(each.files.size() == 1);
      names.insert(each.files[0].name);
      CHECK(each.files[0].start_key == each.start_key);
      CHECK(each.files[0].end_key == each.end_key);
    }
    CHECK(names.size() == got.responses.size());
    CHECK(pairs_of(host.backend, got.responses) == store);
  }
}

TEST_CASE("the compression asked for is that of the file; none asked for is LZ4") {
  Store store;
  for (int i = 0; i < 2000; ++i) store["key" + std::to_string(i)] = std::string(60, 'v');
  const auto compression_of = [&store](CompressionType type, std::int32_t level) {
    MemoryHost host{&store};
    Node<> node(host);
    BackupRequest request = raw_request("k");
    request.compression_type = type;
    request.compression_level = level;
    const Answered got = ask(node.service, request);
    REQUIRE(got.responses.size() == 1);
    REQUIRE(got.responses[0].files.size() == 1);
    auto bytes = host.backend.read(got.responses[0].files[0].name);
    auto table = TableReader<MemoryFile, BuiltDecoders>::open(MemoryFile(bytes.value()));
    CHECK(pairs_of(host.backend, got.responses) == store);
    return std::pair(table.value().properties().compression, bytes.value().size());
  };
  CHECK(compression_of(CompressionType::unknown, 0).first == "LZ4");
  CHECK(compression_of(CompressionType::lz4, 3).first == "LZ4");
  CHECK(compression_of(CompressionType::snappy, 0).first == "Snappy");
  CHECK(compression_of(CompressionType::zstd, 0).first == "ZSTD");
  CHECK(compression_of(CompressionType::zstd, 19).second <
        compression_of(CompressionType::zstd, -50).second);
}

TEST_CASE("rate_limit holds all workers of a request together") {
  Store store;
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string value(100, '\0');
    for (char& c : value) c = static_cast<char>(random());
    store["key" + std::to_string(i)] = value;
  }
  MemoryHost host{&store};
  Node<> node(host, {}, split_at({"key3", "key6"}));
  BackupRequest request = raw_request();
  request.rate_limit = 20'000;
  const Answered got = ask(node.service, request);
  REQUIRE(got.status.ok());
  std::uint64_t stored = 0;
  for (const auto& each : got.responses) stored += each.files[0].size;
  const double seconds = static_cast<double>(node.clock.slept_ns()) * 1e-9;
  const double least = (static_cast<double>(stored) - 80'000) / 20'000;  // the last block is free
  CHECK(seconds >= least);
}

TEST_CASE("a request for another cluster is one ClusterIDError with both ids; 0 is unchecked") {
  MemoryHost host{&abc};
  Node<> node(host, {.cluster_id = 12});
  BackupRequest request = raw_request("a", "");
  request.cluster_id = 13;
  const Answered refused = ask(node.service, request);
  REQUIRE(refused.status.ok());
  REQUIRE(refused.responses.size() == 1);
  REQUIRE(refused.responses[0].error);
  const auto* ids = std::get_if<ClusterIDError>(&refused.responses[0].error->detail);
  REQUIRE(ids != nullptr);
  CHECK(ids->current == 12);
  CHECK(ids->request == 13);
  CHECK(refused.responses[0].start_key == "a");
  request.cluster_id = 12;
  CHECK_FALSE(ask(node.service, request).responses.at(0).error);
  MemoryHost second{&abc};
  Node<> unchecked(second);
  request.cluster_id = 99;
  CHECK_FALSE(ask(unchecked.service, request).responses.at(0).error);
}

TEST_CASE("storage that is unset, unreachable or not allowed is one error that BR can classify") {
  MemoryHost host{&abc};
  Node<> node(host);
  const auto message_of = [&node](std::optional<StorageBackend> storage) {
    BackupRequest request = raw_request("a", "z");
    request.storage_backend = std::move(storage);
    const Answered got = ask(node.service, request);
    REQUIRE(got.status.ok());
    REQUIRE(got.responses.size() == 1);
    REQUIRE(got.responses[0].error);
    CHECK(got.responses[0].start_key == "a");
    CHECK(got.responses[0].end_key == "z");
    CHECK(std::holds_alternative<std::monostate>(got.responses[0].error->detail));
    return got.responses[0].error->msg;
  };
  StorageBackend unreachable;
  unreachable.backend = GCS{};
  StorageBackend forbidden;
  forbidden.backend = Noop{};
  const std::string unset = message_of(std::nullopt);
  CHECK(unset.starts_with("Io(Custom { kind: NotFound, error: \""));
  CHECK(unset.find("bad storage backend") != std::string::npos);
  CHECK(message_of(StorageBackend{}) == unset);
  CHECK(message_of(unreachable)
            .starts_with("Io(Custom { kind: Interrupted, error: \"error during dispatch: "));
  CHECK(message_of(forbidden).starts_with("Io(Custom { kind: PermissionDenied, error: \""));
}

TEST_CASE("a range upside down, an unknown compression and an unknown cf are refused whole") {
  MemoryHost host{&abc};
  Node<> node(host);
  BackupRequest upside_down = raw_request("b", "a");
  BackupRequest compression = raw_request();
  compression.compression_type = static_cast<CompressionType>(9);
  BackupRequest cf = raw_request();
  cf.cf = "no\"pe";
  const Answered first = ask(node.service, upside_down);
  CHECK(first.status.code() == StatusCode::invalid_argument);
  CHECK(first.status.key() == "b");
  const Answered second = ask(node.service, compression);
  CHECK(second.status.code() == StatusCode::invalid_argument);
  CHECK(std::string(second.status.message()).find("type 9") != std::string::npos);
  const Answered third = ask(node.service, cf);
  CHECK(third.status.code() == StatusCode::not_found);
  CHECK(std::string(third.status.message()).find("InvalidCf { cf: \"no\\\"pe\" }") !=
        std::string::npos);
  CHECK((first.responses.empty() && second.responses.empty() && third.responses.empty()));
  CHECK(host.backend.list("").value().empty());
}

namespace {

/// Its first object cannot be stored.
struct FailingHost : MemoryHost {
  FaultBackend<MemoryBackend> faulty;
  explicit FailingHost(const Store* s, Status status, Operation operation = Operation::commit)
      : MemoryHost{s}, faulty(backend, operation, 2, std::move(status)) {}
  Result<FaultBackend<MemoryBackend>> open_storage(const StorageBackend&,
                                                   const CancelToken*) const {
    return faulty;
  }
};

struct BusyRegions : FixedRegions {
  explicit BusyRegions(FixedRegions regions) : FixedRegions(std::move(regions)) {}
  [[nodiscard]] std::optional<RegionError> check(const RegionClip& clip) const {
    if (clip.region_id != 2) return std::nullopt;
    RegionError error;
    error.message = "peer is not leader";
    error.not_leader.emplace();
    error.not_leader->region_id = 2;
    return error;
  }
};

}  // namespace

TEST_CASE("what fails in one region is its error; the others are backed up") {
  FailingHost host(&abc, Status::error(StatusCode::no_space, "the disk is full"));
  Node<FailingHost> node(host, {.max_concurrency = 1}, split_at({"b", "c"}));
  const Answered got = ask(node.service, raw_request());
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 3);
  CHECK(got.tiles("", ""));
  CHECK_FALSE(got.responses[0].error);
  REQUIRE(got.responses[1].error);
  CHECK(got.responses[1].error->msg.find("the disk is full") != std::string::npos);
  CHECK(got.responses[1].files.empty());
  CHECK_FALSE(got.responses[2].error);
  CHECK(pairs_of(host.backend, got.responses) == Store{{"a", "1"}, {"c", "3"}});
}

TEST_CASE("an object lost in mid-write is written again, and nobody hears of it") {
  FailingHost host(&abc, Status::error(StatusCode::unavailable, "slow down").as_retryable());
  Node<FailingHost> node(host, {.max_concurrency = 1}, split_at({"b", "c"}));
  const Answered got = ask(node.service, raw_request());
  REQUIRE(got.status.ok());
  CHECK(host.faulty.fired());
  CHECK(pairs_of(host.backend, got.responses) == abc);
}

TEST_CASE("a part of a region that fails is an error for what is not answered yet") {
  const Store store = many_pairs(2000);
  FailingHost host(&store, Status::error(StatusCode::io_error, "gone"));
  Node<FailingHost> node(host, {.part_size = 20'000});
  const Answered got = ask(node.service, raw_request());
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 2);
  CHECK(got.tiles("", ""));
  CHECK_FALSE(got.responses[0].error);
  CHECK(got.responses[1].error);
}

TEST_CASE("a region that cannot serve says why in region_error") {
  MemoryHost host{&abc};
  Node<MemoryHost, BusyRegions> node(host, {}, BusyRegions(split_at({"b", "c"})));
  const Answered got = ask(node.service, raw_request());
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 3);
  REQUIRE(got.responses[1].error);
  const auto* error = std::get_if<RegionError>(&got.responses[1].error->detail);
  REQUIRE(error != nullptr);
  CHECK(error->not_leader->region_id == 2);
  CHECK(got.responses[1].start_key == "b");
  CHECK(pairs_of(host.backend, got.responses) == Store{{"a", "1"}, {"c", "3"}});
}

TEST_CASE("regions that a node does not hold get no answer") {
  MemoryHost host{&abc};
  const auto regions = FixedRegions::of({{4, 2, "b", "c"}, {6, 3, "x", ""}});
  Node<> node(host, {}, regions.value());
  const Answered got = ask(node.service, raw_request("", "m"));
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 1);
  CHECK(got.responses[0].files.at(0).name.starts_with("1_4_2_"));
  CHECK(ask(node.service, raw_request("c", "m")).responses.empty());
  CHECK(ask(node.service, raw_request("c", "m")).status.ok());
}

TEST_CASE("regions that overlap, fall or hold no key are refused") {
  CHECK_FALSE(FixedRegions::split_at({"b", "a"}).ok());
  CHECK_FALSE(FixedRegions::split_at({"b", "b"}).ok());
  CHECK_FALSE(FixedRegions::split_at({""}).ok());
  CHECK_FALSE(FixedRegions::of({{1, 1, "a", ""}, {2, 1, "b", "c"}}).ok());
  CHECK_FALSE(FixedRegions::of({{1, 1, "a", "c"}, {2, 1, "b", "d"}}).ok());
  CHECK(FixedRegions::of({}).ok());
}

TEST_CASE("a request ends soon when its answers are not taken or its token is set") {
  const Store store = many_pairs(20'000);
  MemoryHost host{&store};
  Node<> node(host, {.part_size = 10'000}, split_at({"user/3", "user/5", "user/7"}));
  std::size_t answers = 0;
  const auto refuse = [&answers](BackupResponse&&) {
    ++answers;
    return Status::error(StatusCode::unavailable, "the client is gone");
  };
  const Status gone = node.service.backup(raw_request(), refuse, nullptr);
  CHECK(gone.code() == StatusCode::unavailable);
  CHECK(answers == 1);
  const std::size_t written = host.backend.list("").value().size();
  CHECK(written < 16);  // of some 200: at most a few parts a worker

  CancelToken token;
  const auto cancel_at_first = [&token](BackupResponse&&) {
    token.cancel();
    return Status();
  };
  MemoryHost second{&store};
  Node<> cancelled(second, {.part_size = 10'000});
  CHECK(cancelled.service.backup(raw_request(), cancel_at_first, &token).code() ==
        StatusCode::cancelled);
  CHECK(second.backend.list("").value().size() == 1);
}

TEST_CASE("answers of many workers and many requests never come two at a time to one caller") {
  const Store store = many_pairs(5'000);
  MemoryHost host{&store};
  const auto regions = split_at({"user/2", "user/4", "user/6", "user/8"});
  Node<> node(host, {.part_size = 20'000}, regions);
  std::atomic<int> failures{0};
  std::vector<std::thread> callers;
  // requests of one moment may not write the same keys: their files would have one name
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] {
      std::atomic<int> inside{0};
      const auto respond = [&](BackupResponse&& response) {
        if (inside.fetch_add(1) != 0 || response.error) ++failures;
        std::this_thread::yield();
        inside.fetch_sub(1);
        return Status();
      };
      const std::string start = "user/" + std::to_string(2 * i) + "1";
      const std::string end = "user/" + std::to_string(2 * i + 1) + "9";
      if (!node.service.backup(raw_request(start, end), respond, nullptr).ok()) ++failures;
    });
  }
  for (std::thread& each : callers) each.join();
  CHECK(failures == 0);
}

TEST_CASE("more requests than the service works on at once are told that it is busy") {
  MemoryHost host{&abc};
  Node<> node(host, {.max_requests = 1});
  Answered inner;
  const auto ask_again = [&](BackupResponse&&) {
    inner = ask(node.service, raw_request("b", "c"));
    return Status();
  };
  REQUIRE(node.service.backup(raw_request("a", "b"), ask_again, nullptr).ok());
  REQUIRE(inner.responses.size() == 1);
  REQUIRE(inner.responses[0].error);
  const auto* error = std::get_if<RegionError>(&inner.responses[0].error->detail);
  REQUIRE(error != nullptr);
  REQUIRE(error->server_is_busy);
  CHECK(error->server_is_busy->backoff_ms == 1000);
  CHECK_FALSE(ask(node.service, raw_request("c", "")).responses.at(0).error);
}
