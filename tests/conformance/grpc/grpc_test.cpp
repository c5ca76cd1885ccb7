// SPDX-License-Identifier: Apache-2.0
// GrpcBackupServer and GrpcBackupNode, over loopback, and gRPC's own client where ours cannot ask.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include <grpcpp/generic/generic_stub.h>
#include <kvbackup/ext/grpc.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/mvcc_store.hpp"
#include "support/service_host.hpp"
#include "support/temp_dir.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

std::string pem(const std::string& name) {
  const char* folder = std::getenv("KVBACKUP_TEST_CERTIFICATES");
  return read_file(std::string(folder == nullptr ? "" : folder) + "/" + name);
}

using Service = BackupService<MemoryHost, BuiltCodecs, FileHasher>;

/// A node of the functions it is given.
struct LambdaNode {
  std::function<Status(const BackupRequest&, RespondRef, const CancelToken*)> answer;
  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken* cancel) {
    return answer(request, respond, cancel);
  }
  [[nodiscard]] std::string_view address() const { return "test"; }
};

/// Goes on until the token is set: a node that only a cancel ends.
Status wait_for_cancel(const CancelToken* cancel) {
  while (!cancel->cancelled()) std::this_thread::yield();
  return check_cancel(cancel);
}

BackupResponse response_of(std::string start) {
  BackupResponse response;
  response.start_key = std::move(start);
  return response;
}

template <class Node>
std::string address_of(const GrpcBackupServer<Node>& server) {
  return "127.0.0.1:" + std::to_string(server.port());
}

/// Records what it is told, for a test that has ended its calls.
struct Audit final : GrpcServerObserver {
  std::vector<GrpcRequestRecord> records;
  void on_request(const GrpcRequestRecord& record) override { records.push_back(record); }
};

struct Called {
  grpc::Status status;
  std::string response;
};

/// One unary call with gRPC's own client.
Called call(const std::string& address, const std::string& method, const std::string& bytes) {
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  Called called;
  auto reader = stub.PrepareUnaryCall(&context, method, request, &queue);
  reader->StartCall();
  reader->Finish(&response, &called.status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (called.status.ok()) called.response = detail::bytes_of(response).value();
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return called;
}

}  // namespace

TEST_CASE("a backup over gRPC gives the responses that the service gives in its own process") {
  const Store store = many_pairs(3000);
  FixedClock clock;
  const auto regions = FixedRegions::split_at({"user/3", "user/6"});
  MemoryHost here{&store};
  MemoryHost there{&store};
  Service local(here, {}, {}, clock, nullptr, {.part_size = 30'000}, regions.value());
  Service remote(there, {}, {}, clock, nullptr, {.part_size = 30'000}, regions.value());
  Audit audit;
  auto server = GrpcBackupServer<Service>::start(remote, {.observer = &audit});
  REQUIRE(server.ok());
  GrpcBackupNode node(address_of(server.value()));
  const Answered expected = ask(local, raw_request("user/1", ""));
  const Answered got = ask(node, raw_request("user/1", ""));
  REQUIRE(got.status.ok());
  CHECK(got.responses.size() >= 4);
  CHECK(got.responses == expected.responses);
  CHECK(pairs_of(there.backend, got.responses) == pairs_of(here.backend, expected.responses));
  server.value().stop();
  REQUIRE(audit.records.size() == 1);
  const GrpcRequestRecord& record = audit.records[0];
  CHECK(record.peer.starts_with("ipv4:127.0.0.1:"));
  CHECK(record.request == raw_request("user/1", ""));
  CHECK(record.status.ok());
  CHECK(record.responses == got.responses.size());
  CHECK(record.files == got.responses.size());
  CHECK(record.errors == 0);
}

TEST_CASE("what the service refuses whole has TiKV's status code over gRPC") {
  const Store store{{"a", "1"}};
  FixedClock clock;
  Service service(MemoryHost{&store}, {}, {}, clock, nullptr);
  auto server = GrpcBackupServer<Service>::start(service);
  REQUIRE(server.ok());
  GrpcBackupNode node(address_of(server.value()));
  const auto refusal = [&node](const BackupRequest& request) {
    const Answered got = ask(node, request);
    CHECK(got.responses.empty());
    CHECK(got.status.object() == node.address());
    return std::pair(got.status.native_code(), std::string(got.status.message()));
  };
  const auto upside_down = refusal(raw_request("b", "a"));
  CHECK(upside_down.first == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(upside_down.second.find("must be below its end") != std::string::npos);
  BackupRequest compression = raw_request();
  compression.compression_type = static_cast<CompressionType>(77);
  CHECK(refusal(compression).first == grpc::StatusCode::INVALID_ARGUMENT);
  BackupRequest cf = raw_request();
  cf.cf = "nope";
  const auto unknown = refusal(cf);
  CHECK(unknown.first == grpc::StatusCode::UNKNOWN);
  CHECK(unknown.second.find("InvalidCf { cf: \"nope\" }") != std::string::npos);
  // no BackupRequest: a length that runs past the end
  const Called garbage = call(address_of(server.value()), "/backup.Backup/backup", "\x12\x7f");
  CHECK(garbage.status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(garbage.status.error_message().find("BackupRequest") != std::string::npos);
}

TEST_CASE("the health service tells a client that the node serves, and knows no other service") {
  LambdaNode none{[](auto&&...) { return Status(); }};
  auto server = GrpcBackupServer<LambdaNode>::start(none);
  REQUIRE(server.ok());
  const std::string address = address_of(server.value());
  const std::string check = "/grpc.health.v1.Health/Check";
  CHECK(call(address, check, "").response == "\x08\x01");
  CHECK(call(address, check,
             "\x0a\x0d"
             "backup.Backup")
            .response == "\x08\x01");
  CHECK(call(address, check, "\x0a\x01x").status.error_code() == grpc::StatusCode::NOT_FOUND);
  CHECK(call(address, check, "\x0a\x7f").status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(call(address, "/backup.Backup/other", "").status.error_code() ==
        grpc::StatusCode::UNIMPLEMENTED);
}

TEST_CASE("a client that goes away cancels its request") {
  std::atomic<bool> cancelled{false};
  LambdaNode endless{[&](const BackupRequest&, RespondRef respond, const CancelToken* cancel) {
    if (Status status = respond(response_of("first")); !status.ok()) return status;
    Status status = wait_for_cancel(cancel);
    cancelled = true;
    return status;
  }};
  auto server = GrpcBackupServer<LambdaNode>::start(endless);
  REQUIRE(server.ok());
  GrpcBackupNode node(address_of(server.value()));

  SECTION("because its token is set") {
    CancelToken token;
    const auto cancel_at_first = [&token](BackupResponse&&) {
      token.cancel();
      return Status();
    };
    CHECK(node.backup(raw_request(), cancel_at_first, &token).code() == StatusCode::cancelled);
  }
  SECTION("because it does not take an answer") {
    const auto refuse = [](BackupResponse&&) {
      return Status::error(StatusCode::no_space, "no room for it");
    };
    CHECK(node.backup(raw_request(), refuse, nullptr).code() == StatusCode::no_space);
  }
  SECTION("because its deadline passes") {
    GrpcBackupNode hasty(address_of(server.value()), {.deadline_ms = 2'000});
    const Answered got = ask(hasty, raw_request());
    CHECK(got.status.native_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
    CHECK(got.status.retryable());
    CHECK(got.responses.size() == 1);
  }
  server.value().stop();  // waits for the node
  CHECK(cancelled);
}

TEST_CASE("a client that reads slowly holds the node back: the queue of responses is bounded") {
  constexpr int all = 2000;
  std::atomic<int> sent{0};
  LambdaNode busy{[&](const BackupRequest&, RespondRef respond, const CancelToken*) {
    for (int i = 0; i < all; ++i) {
      // what HTTP/2 and the sockets hold on their own is small beside all of it: 2000 x 64 KiB
      if (Status status = respond(response_of(std::string(64 << 10, 'k'))); !status.ok()) {
        return status;
      }
      ++sent;
    }
    return Status();
  }};
  auto server = GrpcBackupServer<LambdaNode>::start(busy, {.response_queue = 4});
  REQUIRE(server.ok());
  GrpcBackupNode node(address_of(server.value()));
  int taken = 0;
  int most_ahead = 0;
  const std::string address = address_of(server.value());
  const auto respond = [&](BackupResponse&&) {
    // the node goes on until it is held back: until nothing more is sent while others are served
    if (++taken == 1) {
      for (int before = -1; before != sent;) {
        before = sent;
        for (int i = 0; i < 20; ++i) call(address, "/grpc.health.v1.Health/Check", "");
      }
      most_ahead = sent;
    }
    return Status();
  };
  CHECK(node.backup(raw_request(), respond, nullptr).ok());
  CHECK(taken == all);
  CHECK(most_ahead < all / 2);
}

TEST_CASE("more requests than wait for a thread are refused, and a stop ends the others") {
  LambdaNode endless{[](const BackupRequest&, RespondRef respond, const CancelToken* cancel) {
    if (Status status = respond(response_of("")); !status.ok()) return status;
    return wait_for_cancel(cancel);
  }};
  auto server = GrpcBackupServer<LambdaNode>::start(endless, {.threads = 1, .max_waiting = 0});
  REQUIRE(server.ok());
  const std::string address = address_of(server.value());
  Answered second;
  Answered third;
  const auto while_working = [&](BackupResponse&&) {
    GrpcBackupNode other(address);
    second = ask(other, raw_request());
    server.value().stop();
    third = ask(other, raw_request());
    return Status();
  };
  GrpcBackupNode node(address);
  const Status first = node.backup(raw_request(), while_working, nullptr);
  CHECK(second.status.native_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(first.native_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(first.retryable());
  CHECK(third.status.code() == StatusCode::unavailable);
}

TEST_CASE("two servers do not share a port, and nobody there is unavailable") {
  LambdaNode none{[](auto&&...) { return Status(); }};
  auto server = GrpcBackupServer<LambdaNode>::start(none);
  REQUIRE(server.ok());
  const std::string address = address_of(server.value());
  const auto second = GrpcBackupServer<LambdaNode>::start(none, {.listen = address});
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().object() == address);
  server.value().stop();
  GrpcBackupNode node(address);
  const Answered got = ask(node, raw_request());
  CHECK(got.status.code() == StatusCode::unavailable);
  CHECK(got.status.retryable());
}

TEST_CASE("with TLS both ends prove who they are, and nobody else is served") {
  REQUIRE_FALSE(pem("ca.pem").empty());
  const Store store{{"a", "1"}};
  FixedClock clock;
  Service service(MemoryHost{&store}, {}, {}, clock, nullptr);
  Audit audit;
  GrpcServerOptions options;
  options.observer = &audit;
  options.tls = {pem("server.pem"), pem("server.key"), pem("ca.pem")};
  auto server = GrpcBackupServer<Service>::start(service, options);
  REQUIRE(server.ok());
  const auto code_of = [&](std::optional<GrpcClientTls> tls) {
    GrpcBackupNode node(address_of(server.value()), {.tls = std::move(tls), .deadline_ms = 10'000});
    return ask(node, raw_request()).status.code();
  };
  CHECK(code_of(GrpcClientTls{pem("ca.pem"), pem("client.pem"), pem("client.key"), ""}) ==
        StatusCode::ok);
  CHECK(code_of(std::nullopt) == StatusCode::unavailable);
  CHECK(code_of(GrpcClientTls{pem("ca.pem"), "", "", ""}) == StatusCode::unavailable);
  CHECK(code_of(GrpcClientTls{pem("ca.pem"), pem("other.pem"), pem("other.key"), ""}) ==
        StatusCode::unavailable);
  CHECK(code_of(GrpcClientTls{pem("other.pem"), pem("client.pem"), pem("client.key"), ""}) ==
        StatusCode::unavailable);
  CHECK(code_of(GrpcClientTls{pem("ca.pem"), pem("client.pem"), pem("client.key"), "elsewhere"}) ==
        StatusCode::unavailable);
  server.value().stop();
  REQUIRE(audit.records.size() == 1);
  CHECK(audit.records[0].identity.find("localhost") != std::string::npos);

  options.tls->key = pem("client.key");
  CHECK_FALSE(GrpcBackupServer<Service>::start(service, options).ok());
}

namespace {

/// An MVCC store in memory that a service backs up into memory.
struct MvccMemoryHost {
  const MvccStore* store;
  MemoryBackend backend{};

  Result<MvccStore> snapshot() const { return *store; }
  MvccOptions mvcc_options() const { return {}; }
  Result<MemoryBackend> open_storage(const StorageBackend&, const CancelToken*) const {
    return backend;
  }
};

std::string hex(std::string_view text) { return from_hex(text).value(); }

}  // namespace

TEST_CASE("the file that TiKV recorded for a table with one row comes out of a request over gRPC") {
  // golden/tikv-5.0.0rc-1kv-write.sst; its entry in the backupmeta of pingcap/br, json_test.go
  MvccStore store;
  store.put(hex("7480000000000000365f720168656c6c6f000000fc"), 423978913202700290,
            423978913202700291, hex("800000000000"));
  FixedClock clock(1617351201040);
  MvccMemoryHost host{&store};
  const auto regions = FixedRegions::of({{2, 29, "", ""}});
  using MvccService = BackupService<MvccMemoryHost, BuiltCodecs, FileHasher>;
  MvccService service(host, {}, {}, clock, nullptr, {.store_id = 1}, regions.value());
  auto server = GrpcBackupServer<MvccService>::start(service);
  REQUIRE(server.ok());
  GrpcBackupNode node(address_of(server.value()));

  BackupRequest request;
  request.start_key = hex("7480000000000000365f720000000000000000");
  request.end_key = hex("7480000000000000365f72ffffffffffffffff00");
  request.end_version = 423978913202700300;
  request.compression_type = CompressionType::zstd;
  request.storage_backend = local_storage();
  const Answered got = ask(node, request);
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 1);
  CHECK(got.responses[0].start_key == request.start_key);
  CHECK(got.responses[0].end_key == request.end_key);
  REQUIRE(got.responses[0].files.size() == 1);
  File expected;
  expected.name =
      "1_2_29_6e97c3b17c657c4413724f614a619f5b665b990187b159e7d2b92552076144b6_1617351201040_write"
      ".sst";
  expected.sha256 = hex("aa5cefba077644dbb2aa1d7fae2a0f879b56411195ad62d18caaf4ec76fae48f");
  expected.start_key = request.start_key;
  expected.end_key = request.end_key;
  expected.end_version = request.end_version;
  expected.crc64xor = 8093018294706076845u;
  expected.total_kvs = 1;
  expected.total_bytes = 27;
  expected.cf = "write";
  expected.size = 1423;
  CHECK(got.responses[0].files[0] == expected);
  const char* golden = std::getenv("KVBACKUP_GOLDEN");
  REQUIRE(golden != nullptr);
  CHECK(host.backend.read(expected.name).value() ==
        read_file(std::string(golden) + "/tikv-5.0.0rc-1kv-write.sst"));
}
