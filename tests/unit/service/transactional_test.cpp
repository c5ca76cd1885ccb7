// SPDX-License-Identifier: Apache-2.0
// What a node answers to a transactional BackupRequest. Which versions it takes is tested with
// MvccSnapshot.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/mvcc_store.hpp"
#include "support/service_host.hpp"

namespace transactional_test {

using namespace kvbackup;
using namespace test_support;

namespace {

struct SafePoint final : MvccHost {
  std::uint64_t now = 0;
  int asked = 0;
  int passes_at = 0;  // from that question on; 0: never
  [[nodiscard]] Result<std::uint64_t> gc_safe_point() override {
    return ++asked >= passes_at && passes_at != 0 ? std::uint64_t{1'000} : now;
  }
};

struct TxnHost {
  const MvccStore* store;
  MvccOptions options{};
  MemoryBackend backend{};

  Result<MvccStore> snapshot() const { return *store; }
  MvccOptions mvcc_options() const { return options; }
  Result<MemoryBackend> open_storage(const StorageBackend&, const CancelToken*) const {
    return backend;
  }
};

struct Node {
  explicit Node(TxnHost host, FixedRegions regions = {}, BackupServiceOptions options = {})
      : service(std::move(host), {}, {}, clock, nullptr, std::move(options), std::move(regions)) {}
  FixedClock clock;
  BackupService<TxnHost, BuiltCodecs, FileHasher> service;
};

BackupRequest txn_request(std::uint64_t start_version, std::uint64_t end_version) {
  BackupRequest request;
  request.start_version = start_version;
  request.end_version = end_version;
  request.cf = "ignored";
  request.storage_backend = local_storage();
  return request;
}

MvccStore ten_keys() {
  MvccStore store;
  for (char c = 'a'; c <= 'j'; ++c) store.put(std::string(1, c), 10, 20, "short");
  return store;
}

const Error& refusal_in(const BackupResponse& response) {
  REQUIRE(response.error);
  return *response.error;
}

}  // namespace

TEST_CASE("a part has two files, default before write, and each pair is counted once") {
  MvccStore store;
  store.put("a", 10, 20, "short");
  store.put("b", 10, 20, std::string(300, 'v'));
  TxnHost host{&store};
  Node node(host);
  const Answered got = ask(node.service, txn_request(0, 30));
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 1);
  CHECK(got.tiles("", ""));
  const std::vector<File>& files = got.responses[0].files;
  REQUIRE(files.size() == 2);
  CHECK(files[0].cf == "default");
  CHECK(files[1].cf == "write");
  CHECK(files[0].total_kvs == 1);
  CHECK(files[0].total_bytes == 301);
  CHECK(files[1].total_kvs == 1);
  CHECK(files[1].total_bytes == 6);
  const std::string stem =
      "1_1_1_e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855_1600000000000_";
  CHECK(files[0].name == stem + "default.sst");
  CHECK(files[1].name == stem + "write.sst");
  CHECK(files[1].end_version == 30);
  CHECK(host.backend.exists(files[0].name).value());
}

TEST_CASE("an incremental request has removals, and both versions in its files") {
  MvccStore store;
  store.put("a", 10, 20, "old");
  store.mark("a", 30, 40, MvccWriteType::remove);
  Node node(TxnHost{&store});
  const Answered full = ask(node.service, txn_request(0, 50));
  REQUIRE(full.responses.size() == 1);
  CHECK(full.responses[0].files.empty());
  CHECK_FALSE(full.responses[0].error);
  const Answered incremental = ask(node.service, txn_request(30, 50));
  REQUIRE(incremental.responses.size() == 1);
  REQUIRE(incremental.responses[0].files.size() == 1);
  CHECK(incremental.responses[0].files[0].start_version == 30);
  CHECK(incremental.responses[0].files[0].end_version == 50);
  CHECK(incremental.responses[0].files[0].total_kvs == 1);
}

TEST_CASE("a lock ends its region with KeyError.locked, and the others are backed up") {
  MvccStore store = ten_keys();
  MvccLock lock;
  lock.primary = "primary";
  lock.ts = 25;
  lock.ttl = 3000;
  store.lock("d", lock);
  Node node(TxnHost{&store}, FixedRegions::split_at({"c", "f"}).value());
  const Answered got = ask(node.service, txn_request(0, 30));
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 3);
  CHECK(got.tiles("", ""));
  CHECK(got.responses[0].files.size() == 1);
  CHECK(got.responses[2].files.size() == 1);
  const auto* key = std::get_if<KeyError>(&refusal_in(got.responses[1]).detail);
  REQUIRE(key != nullptr);
  REQUIRE(key->locked);
  CHECK(key->locked->key == "d");
  CHECK(key->locked->primary_lock == "primary");
  CHECK(key->locked->lock_version == 25);
  CHECK(key->locked->lock_ttl == 3000);
  // a lock that is younger than the request is none
  Node other(TxnHost{&store});
  const Answered earlier = ask(other.service, txn_request(0, 24));
  REQUIRE(earlier.responses.size() == 1);
  CHECK_FALSE(earlier.responses[0].error);
}

TEST_CASE("versions between which nothing can lie are refused, or give nothing as in TiKV") {
  const MvccStore store = ten_keys();
  Node node(TxnHost{&store});
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> bad{{0, 0}, {30, 20}, {20, 20}};
  for (const auto& [start, end] : bad) {
    const Answered got = ask(node.service, txn_request(start, end));
    CHECK(got.status.code() == StatusCode::invalid_argument);
    CHECK(got.responses.empty());
  }
  MvccOptions as_tikv;
  as_tikv.bad_versions_give_nothing = true;
  Node parity(TxnHost{&store, as_tikv});
  const Answered got = ask(parity.service, txn_request(20, 20));
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 1);
  CHECK(got.responses[0].files.empty());
}

TEST_CASE(
    "versions below the safe point are refused with both numbers, also when it passes later") {
  const MvccStore store = ten_keys();
  SafePoint safe_point;
  safe_point.now = 100;
  MvccOptions options;
  options.host = &safe_point;
  Node node(TxnHost{&store, options}, FixedRegions::split_at({"f"}).value());
  const Answered refused = ask(node.service, txn_request(0, 99));
  REQUIRE(refused.status.ok());
  REQUIRE(refused.responses.size() == 1);
  const std::string& text = refusal_in(refused.responses[0]).msg;
  CHECK(text.find("99") != std::string::npos);
  CHECK(text.find("100") != std::string::npos);
  CHECK(text.starts_with("Other("));

  safe_point.asked = 0;
  safe_point.passes_at = 3;  // asked at the start, and before each answer
  const Answered later = ask(node.service, txn_request(0, 200));
  REQUIRE(later.status.ok());
  REQUIRE(later.responses.size() == 2);
  CHECK_FALSE(later.responses[0].error);
  CHECK(refusal_in(later.responses[1]).msg.find("1000") != std::string::npos);
  CHECK(later.responses[1].files.empty());
}

TEST_CASE("a store that is not in TiKV's layout is an error, and raw requests of one are served") {
  MvccStore plain;
  plain.families.erase("write");
  Node none(TxnHost{&plain});
  const Answered got = ask(none.service, txn_request(0, 30));
  REQUIRE(got.status.ok());
  REQUIRE(got.responses.size() == 1);
  CHECK(refusal_in(got.responses[0]).msg.find("column families") != std::string::npos);

  MvccStore store = ten_keys();
  Node node(TxnHost{&store});
  BackupRequest raw = raw_request();
  raw.cf = "write";
  const Answered records = ask(node.service, raw);
  REQUIRE(records.responses.size() == 1);
  REQUIRE(records.responses[0].files.size() == 1);
  CHECK(records.responses[0].files[0].total_kvs == 10);
  CHECK(records.responses[0].files[0].name == "1_1_1_write.sst");
}

}  // namespace transactional_test
