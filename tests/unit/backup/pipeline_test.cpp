// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <set>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using test_support::FixedClock;
using test_support::many_pairs;
using test_support::Store;

namespace {

Result<BackupMeta> back_up(const Store& store, MemoryBackend& backend, BackupOptions options = {}) {
  FixedClock clock;
  if (options.clock == nullptr) options.clock = &clock;
  return BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, backend).run(options);
}

// CRC-64/XZ bit by bit from its definition, as an independent reference.
std::uint64_t bitwise_crc64(ByteView bytes) {
  std::uint64_t crc = ~0ull;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0xC96C5795D7870F42ull : 0);
  }
  return ~crc;
}

}  // namespace

TEST_CASE("every file's entry says what was stored and what it means") {
  const Store store = many_pairs(2000);
  MemoryBackend backend;
  const auto meta = back_up(store, backend);
  REQUIRE(meta.ok());
  REQUIRE(meta.value().files.size() == 1);
  const File& file = meta.value().files[0];
  CHECK(file.name == "1_1_1_default.sst");
  CHECK(file.cf == "default");
  CHECK(file.start_key.empty());
  CHECK(file.end_key.empty());
  CHECK(file.start_version == 0);
  CHECK(file.end_version == 0);
  CHECK(file.total_kvs == store.size());
  std::uint64_t crc = 0;
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : store) {
    crc ^= bitwise_crc64(key + value);
    bytes += key.size() + value.size();
  }
  CHECK(file.crc64xor == crc);
  CHECK(file.total_bytes == bytes);
  const std::string object = backend.read(file.name).value();
  CHECK(file.size == object.size());
  CHECK(file.sha256 == as_bytes(PortableSha256::of(object)));
}

TEST_CASE("backupmeta says of a raw backup what BR says, and what the run was") {
  MemoryBackend backend;
  BackupOptions options;
  options.cluster_id = 42;
  options.cluster_version = "\"5.0.0\"\n";
  REQUIRE(back_up({{"a", "1"}, {"b", "2"}}, backend, options).ok());
  const auto manifest = decode_manifest(backend.read("backupmeta").value());
  REQUIRE(manifest.ok());
  const BackupMeta& meta = manifest.value().meta;
  CHECK(meta.cluster_id == 42);
  CHECK(meta.cluster_version == "\"5.0.0\"\n");
  CHECK(meta.br_version == "kvbackup " KVBACKUP_VERSION_STRING);
  CHECK(meta.is_raw_kv);
  CHECK(meta.ddls == "null");
  CHECK(meta.start_version == 0);
  CHECK(meta.end_version == 0);
  CHECK(meta.schemas.empty());
  REQUIRE(meta.raw_ranges.size() == 1);
  CHECK(meta.raw_ranges[0].cf == "default");
  REQUIRE(manifest.value().info);
  const KvbackupInfo& info = *manifest.value().info;
  CHECK(info.key_prefix == "z");
  CHECK(info.profile == "br");
  CHECK(info.created_unix_ms == FixedClock().unix_ms());
  REQUIRE(info.totals);
  CHECK(info.totals->files == 1);
  CHECK(info.totals->kvs == 2);
  REQUIRE(info.file_crc32c.size() == 1);
  CHECK(info.file_crc32c[0] == crc32c(backend.read(meta.files[0].name).value()));
}

TEST_CASE("parts tile the range and are named by their first key") {
  const Store store = many_pairs(5000);
  MemoryBackend backend;
  BackupOptions options;
  options.part_size = 10'000;
  const auto meta = back_up(store, backend, options);
  REQUIRE(meta.ok());
  const auto& files = meta.value().files;
  REQUIRE(files.size() > 10);
  CHECK(files.front().start_key.empty());
  CHECK(files.back().end_key.empty());
  std::uint64_t kvs = 0;
  std::set<std::string> names;
  for (std::size_t i = 0; i < files.size(); ++i) {
    kvs += files[i].total_kvs;
    names.insert(files[i].name);
    if (i == 0) continue;
    CHECK(files[i].start_key == files[i - 1].end_key);
    CHECK(store.contains(files[i].start_key));
    CHECK(files[i - 1].total_bytes >= options.part_size);
    CHECK(files[i].name.find(to_hex(as_bytes(PortableSha256::of(files[i].start_key)))) !=
          std::string::npos);
  }
  CHECK(kvs == store.size());
  CHECK(names.size() == files.size());
}

TEST_CASE("a plain source can be cut to a range") {
  const Store store = many_pairs(1000);
  const std::string start = std::next(store.begin(), 100)->first;
  const std::string end = std::next(store.begin(), 300)->first;
  MemoryBackend backend;
  BackupOptions options;
  options.ranges = {{.start = start, .end = end}};
  const auto meta = back_up(store, backend, options);
  REQUIRE(meta.ok());
  REQUIRE(meta.value().files.size() == 1);
  CHECK(meta.value().files[0].total_kvs == 200);
  CHECK(meta.value().files[0].start_key == start);
  CHECK(meta.value().files[0].end_key == end);
  CHECK(meta.value().raw_ranges[0].start_key == start);
  CHECK(meta.value().raw_ranges[0].end_key == end);
}

TEST_CASE("an empty store makes a backup without files") {
  MemoryBackend backend;
  const auto meta = back_up({}, backend);
  REQUIRE(meta.ok());
  CHECK(meta.value().files.empty());
  REQUIRE(meta.value().raw_ranges.size() == 1);
  CHECK(backend.list("").value().size() == 1);
  CHECK(decode_manifest(backend.read("backupmeta").value()).ok());
}

TEST_CASE("a plain layout stores keys as they are and names no range that TiKV would restore") {
  const Store store{{"k1", "v1"}};
  MemoryBackend backend;
  auto pipeline =
      BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, backend, PlainLayout{});
  const auto result = pipeline.run_detailed();
  REQUIRE(result.ok());
  CHECK(result.value().meta.raw_ranges.empty());
  CHECK(result.value().info.key_prefix.empty());
  CHECK(result.value().info.ranges.size() == 1);
  const std::string object = backend.read(result.value().meta.files[0].name).value();
  CHECK(object.find("zk1") == std::string::npos);
  CHECK(object.find("k1") != std::string::npos);
}

TEST_CASE("a run over noop counts everything and stores nothing") {
  const Store store = many_pairs(1000);
  auto pipeline = BackupPipeline(RangeSource(store), Lz4Codec{}, FileHasher{}, NoopBackend());
  const auto meta = pipeline.run();
  REQUIRE(meta.ok());
  CHECK(meta.value().files.at(0).total_kvs == 1000);
}

TEST_CASE("a rate limit holds for the whole run") {
  const Store store = many_pairs(5000);
  FixedClock clock;
  MemoryBackend backend;
  BackupOptions options;
  options.clock = &clock;
  options.part_size = 50'000;
  options.rate_limit = 100'000;
  struct Last final : Observer {
    Progress progress;
    void on_progress(const Progress& p) override { progress = p; }
  } last;
  options.observer = &last;
  const auto meta = back_up(store, backend, options);
  REQUIRE(meta.ok());
  CHECK(last.progress.throttled_ns == clock.slept_ns());
  std::uint64_t stored = 0;
  for (const File& file : meta.value().files) stored += file.size;
  const double seconds = static_cast<double>(clock.slept_ns()) * 1e-9;
  // the bucket may begin with one second's worth
  CHECK(seconds >= static_cast<double>(stored) / 100'000 - 1.01);
  CHECK(seconds <= static_cast<double>(stored) / 100'000 + 0.1);
}

TEST_CASE("the observer sees every file once, and numbers that only grow") {
  struct Recorder final : Observer {
    std::vector<std::string> files;
    Progress last;
    bool grows = true;
    void on_file(const File& file) override { files.push_back(file.name); }
    void on_progress(const Progress& p) override {
      grows = grows && p.pairs >= last.pairs && p.bytes >= last.bytes &&
              p.stored_bytes >= last.stored_bytes && p.files >= last.files;
      last = p;
    }
  } recorder;
  const Store store = many_pairs(5000);
  MemoryBackend backend;
  BackupOptions options;
  options.part_size = 50'000;
  options.observer = &recorder;
  const auto meta = back_up(store, backend, options);
  REQUIRE(meta.ok());
  CHECK(recorder.grows);
  CHECK(recorder.files.size() == meta.value().files.size());
  CHECK(recorder.last.pairs == store.size());
  CHECK(recorder.last.ranges == 1);
  CHECK(recorder.last.total_ranges == 1);
}

TEST_CASE("the wall clock is read once a run, so that all names and dates of it agree") {
  struct CountingClock final : Clock {
    int reads = 0;
    std::uint64_t unix_ms() override { return 1'600'000'000'000 + static_cast<unsigned>(++reads); }
    std::uint64_t steady_ns() override { return 0; }
    void sleep_ns(std::uint64_t) override {}
  } clock;
  MemoryBackend backend;
  BackupOptions options;
  options.clock = &clock;
  options.part_size = 1000;
  REQUIRE(back_up(many_pairs(500), backend, options).ok());
  CHECK(clock.reads == 1);
}
