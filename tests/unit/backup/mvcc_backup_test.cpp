// SPDX-License-Identifier: Apache-2.0
// Transactional backups: the file that TiKV wrote from a record that is known, which file counts
// what, where parts end, and what makes a run fail.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/mvcc_check.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

using Memory = MvccSnapshot<MvccStore>;

struct Run {
  MemoryBackend backend;
  Result<BackupMeta> meta = Status::error(StatusCode::internal, "not run");

  [[nodiscard]] std::map<std::string, std::string> objects() {
    std::map<std::string, std::string> all;
    for (const ObjectInfo& info : backend.list("").value()) {
      all[info.name] = backend.read(info.name).value();
    }
    return all;
  }
  [[nodiscard]] std::vector<std::string> findings(Severity severity) const {
    std::vector<std::string> out;
    MemoryBackend same = backend;
    const auto report = verify_backup(same, FileHasher{}, BuiltDecoders{});
    REQUIRE(report.ok());
    for (const Finding& finding : report.value().findings) {
      if (finding.severity == severity) out.push_back(finding.what);
    }
    return out;
  }
};

template <class Codec = NoneCodec>
Run back_up(const MvccStore& store, const MvccOptions& versions, BackupOptions options = {},
            Codec codec = {}) {
  Run run;
  FixedClock clock(1617351201040);
  ThreadExecutor threads;
  options.clock = &clock;
  options.executor = &threads;
  auto snapshot = Memory::of(store, versions);
  REQUIRE(snapshot.ok());
  run.meta =
      BackupPipeline(std::move(snapshot).value(), codec, FileHasher{}, run.backend, MvccLayout{})
          .run(options);
  return run;
}
MvccOptions at(std::uint64_t start, std::uint64_t end) {
  MvccOptions options;
  options.start_version = start;
  options.end_version = end;
  return options;
}

/// The entries of a file, by RocksDB's rules as the table reader has them.
std::map<std::string, std::string> entries_of(MemoryBackend& backend, const std::string& name) {
  std::map<std::string, std::string> out;
  const std::string bytes = backend.read(name).value();
  auto table = TableReader<MemoryFile, BuiltDecoders, NoBlockCache>::open(MemoryFile(bytes),
                                                                          BuiltDecoders{}, {});
  REQUIRE(table.ok());
  for (auto entry = table.value().entries(); entry.valid(); entry.next()) {
    out[std::string(entry.key())] = std::string(entry.value());
  }
  return out;
}

}  // namespace

#if KVBACKUP_WITH_ZSTD
TEST_CASE("the record that TiKV backed up gives the very file that it wrote, and its File") {
  MvccStore store;
  store.put(*from_hex("7480000000000000365f720168656c6c6f000000fc"), 423978913202700290,
            423978913202700291, std::string("\x80\0\0\0\0\0", 6));
  BackupOptions options;
  options.store_id = 1;
  options.region_id = 2;
  options.region_epoch = 29;
  options.cluster_id = 6946520512513128893;
  KeyRange table;
  table.start = *from_hex("7480000000000000365f720000000000000000");
  table.end = *from_hex("7480000000000000365f72ffffffffffffffff00");
  options.ranges = {table};
  Run run = back_up(store, at(0, 423978913213186049), options, ZstdCodec{});
  REQUIRE(run.meta.ok());
  const BackupMeta& meta = run.meta.value();
  REQUIRE(meta.files.size() == 1);
  const File& file = meta.files[0];
  CHECK(file.name ==
        "1_2_29_6e97c3b17c657c4413724f614a619f5b665b990187b159e7d2b92552076144b6_1617351201040_"
        "write.sst");
  CHECK(to_hex(file.sha256) == "aa5cefba077644dbb2aa1d7fae2a0f879b56411195ad62d18caaf4ec76fae48f");
  CHECK(file.start_key == table.start);
  CHECK(file.end_key == table.end);
  CHECK(file.start_version == 0);
  CHECK(file.end_version == 423978913213186049);
  CHECK(file.crc64xor == 8093018294706076845);
  CHECK(file.total_kvs == 1);
  CHECK(file.total_bytes == 27);
  CHECK(file.cf == "write");
  CHECK(file.size == 1423);
  CHECK(run.backend.read(file.name).value().size() == 1423);
  CHECK(meta.start_version == 0);
  CHECK(meta.end_version == 423978913213186049);
  CHECK(meta.cluster_id == 6946520512513128893);
  CHECK_FALSE(meta.is_raw_kv);
  CHECK(meta.raw_ranges.empty());
  CHECK(meta.ddls == "[]");
  CHECK(run.findings(Severity::damage).empty());
  CHECK(run.findings(Severity::unprovable).empty());
}
#endif

TEST_CASE("a large value is counted in default, all else in write, each key once") {
  MvccStore store;
  store.put("a", 1, 2, std::string(255, 's'));
  store.put("b", 3, 4, std::string(256, 'l'));
  store.put("c", 5, 6, "");
  store.put("d", 5, 6, "x");
  store.mark("d", 7, 8, MvccWriteType::remove);
  for (const bool full : {true, false}) {
    Run run = back_up(store, at(full ? 0 : 1, 9));
    REQUIRE(run.meta.ok());
    const std::vector<File>& files = run.meta.value().files;
    REQUIRE(files.size() == 2);
    CHECK(files[0].cf == "default");
    CHECK(files[0].total_kvs == 1);
    CHECK(files[0].total_bytes == 1 + 256);
    CHECK(files[0].crc64xor == crc64_xz("b" + std::string(256, 'l')));
    CHECK(files[1].cf == "write");
    CHECK(files[1].total_kvs == (full ? 2 : 3));
    CHECK(files[1].total_bytes == 1 + 255 + 1 + (full ? 0 : 1));
    CHECK(files[1].crc64xor ==
          (crc64_xz("a" + std::string(255, 's')) ^ crc64_xz("c") ^ (full ? 0 : crc64_xz("d"))));
    // sha256(""): a name of five pieces also where the start key is empty
    const std::string stem =
        "1_1_1_e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855_1617351201040_";
    CHECK(files[0].name == stem + "default.sst");
    CHECK(files[1].name == stem + "write.sst");
    const auto large = entries_of(run.backend, files[0].name);
    CHECK(large == store.families["default"]);
    const auto writes = entries_of(run.backend, files[1].name);
    CHECK(writes.size() == (full ? 3 : 4));
    for (const auto& [key, record] : writes) CHECK(store.families["write"].at(key) == record);
    CHECK(run.findings(Severity::damage).empty());
  }
}

TEST_CASE(
    "a write file of large values only counts nothing, and a part without any has no default") {
  MvccStore store;
  store.put("a", 1, 2, std::string(256, 'l'));
  Run run = back_up(store, at(0, 9));
  REQUIRE(run.meta.ok());
  REQUIRE(run.meta.value().files.size() == 2);
  const File& write = run.meta.value().files[1];
  CHECK(write.total_kvs == 0);
  CHECK(write.total_bytes == 0);
  CHECK(write.crc64xor == 0);
  CHECK(entries_of(run.backend, write.name).size() == 1);
  CHECK(run.findings(Severity::damage).empty());
  store = {};
  store.put("a", 1, 2, "v");
  run = back_up(store, at(0, 9));
  REQUIRE(run.meta.ok());
  REQUIRE(run.meta.value().files.size() == 1);
  CHECK(run.meta.value().files[0].cf == "write");
}

TEST_CASE("a range without versions makes no file, and is completed all the same") {
  MvccStore store;
  store.put("a", 1, 2, "v");
  BackupOptions options;
  options.ranges = {KeyRange{"default", "b", "c"}};
  Run run = back_up(store, at(0, 9), options);
  REQUIRE(run.meta.ok());
  CHECK(run.meta.value().files.empty());
  const auto manifest = read_manifest(run.backend);
  REQUIRE(manifest.ok());
  REQUIRE(manifest.value().info->ranges.size() == 1);
  CHECK(manifest.value().info->ranges[0].start == "b");
  CHECK(run.findings(Severity::damage).empty());
  CHECK(back_up(store, at(2, 9)).meta.value().files.empty());
}

TEST_CASE("a part ends at a batch of 1024 entries, once both its files are large enough") {
  MvccStore store;
  const auto key = [](int i) { return "k" + std::to_string(100000 + i); };
  for (int i = 0; i < 5000; ++i) store.put(key(i), 1, 2, std::string(i % 2 == 0 ? 93 : 493, 'v'));
  // an entry is 100 or 500 bytes, a batch 307200; 400000 is passed in the second
  BackupOptions options;
  options.part_size = 400'000;
  options.region_id = 7;
  options.ranges = {KeyRange{"default", "k", "l"}};
  FixedClock clock(1617351201040);
  options.clock = &clock;
  auto snapshot = Memory::of(store, at(0, 9));
  // one sub-range, as a region is: the batches are counted from its beginning
  struct Whole {
    Memory memory;
    [[nodiscard]] auto scan(const KeyRange& range) const { return memory.scan(range); }
  };
  Run run;
  run.meta = BackupPipeline(Whole{std::move(snapshot).value()}, NoneCodec{}, FileHasher{},
                            run.backend, MvccLayout{})
                 .run(options);
  REQUIRE(run.meta.ok());
  const std::vector<File>& files = run.meta.value().files;
  REQUIRE(files.size() == 6);
  for (std::size_t part = 0; part < 3; ++part) {
    const File& large = files[2 * part];
    const File& write = files[2 * part + 1];
    CHECK(large.total_kvs + write.total_kvs == (part < 2 ? 2048 : 904));
    CHECK(write.start_key == (part == 0 ? "k" : key(static_cast<int>(2048 * part))));
    CHECK(write.end_key == (part == 2 ? "l" : key(static_cast<int>(2048 * (part + 1)))));
    CHECK(large.start_key == write.start_key);
    CHECK(large.end_key == write.end_key);
    CHECK(write.name.starts_with("1_7_1_"));
  }
}

TEST_CASE("the bytes of a transactional backup do not depend on the number of workers") {
  MvccStore store;
  for (std::size_t i = 0; i < 20000; ++i) {
    store.put("k" + std::to_string(i), 1, 2, std::string(i % 300, 'v'));
  }
  std::map<std::string, std::string> first;
  for (const std::size_t workers : {1u, 4u}) {
    BackupOptions options;
    options.concurrency = workers;
    options.part_size = 300'000;
    Run run = back_up(store, at(0, 9), options);
    REQUIRE(run.meta.ok());
    CHECK(run.meta.value().files.size() > 8);
    CHECK(run.findings(Severity::damage).empty());
    if (first.empty()) first = run.objects();
    CHECK((run.objects() == first));
  }
}

TEST_CASE("random histories are backed up and proven, full and incremental") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    MvccModel model(seed);
    model.store.families["lock"].clear();
    const std::uint64_t end = model.number(model.safe_point, model.now()) + 1;
    const std::uint64_t start =
        model.number(0, 1) == 0 ? 0 : model.number(model.safe_point, end - 1);
    INFO("seed " << seed << " of (" << start << ", " << end << "]");
    Run run = back_up(model.store, at(start, end));
    REQUIRE(run.meta.ok());
    std::uint64_t kvs = 0;
    std::uint64_t bytes = 0;
    std::uint64_t crc = 0;
    for (const File& file : run.meta.value().files) {
      kvs += file.total_kvs;
      bytes += file.total_bytes;
      crc ^= file.crc64xor;
    }
    for (const MvccVersion& version : model.expected(start, end, {})) {
      const std::string pair = version.key + version.value.value_or("");
      kvs -= 1;
      bytes -= pair.size();
      crc ^= crc64_xz(pair);
    }
    CHECK((kvs == 0 && bytes == 0 && crc == 0));
    REQUIRE(run.findings(Severity::damage).empty());
    REQUIRE(run.findings(Severity::unprovable).empty());
  }
}

TEST_CASE("what a transactional backup cannot hold is damage") {
  MvccStore store;
  store.put("a", 1, 2, std::string(256, 'l'));
  store.put("b", 3, 4, "v");
  const auto findings_after = [&](auto change) {
    Run run = back_up(store, at(0, 9));
    auto manifest = read_manifest(run.backend);
    REQUIRE(manifest.ok());
    BackupMeta meta = manifest.value().meta;
    KvbackupInfo info = *manifest.value().info;
    change(meta, info);
    const std::string bytes = encode_manifest(meta, info);
    auto writer = run.backend.create("backupmeta", {.size_hint = bytes.size(), .if_absent = false});
    REQUIRE(writer.value().append(bytes).ok());
    REQUIRE(writer.value().commit().ok());
    std::string all;
    for (const std::string& what : run.findings(Severity::damage)) all += what + '\n';
    return all;
  };
  const auto has = [](const std::string& text, const char* part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  has(findings_after([](BackupMeta& meta, KvbackupInfo& info) {
        info.totals->kvs = meta.files[1].total_kvs += 1;
        info.totals->kvs += 1;
      }),
      "its pairs: 2 recorded, 1 found");
  has(findings_after([](BackupMeta& meta, KvbackupInfo& info) {
        meta.files[1].crc64xor ^= 1;
        info.totals->crc64xor ^= 1;
      }),
      "its crc64xor");
  has(findings_after([](BackupMeta& meta, KvbackupInfo&) { meta.files[1].end_version = 3; }),
      "versions outside of those");
  has(findings_after([](BackupMeta& meta, KvbackupInfo&) { meta.files[1].start_version = 2; }),
      "versions outside of those");
  has(findings_after([](BackupMeta& meta, KvbackupInfo& info) {
        info.totals->files = 1;
        info.totals->kvs -= 1;
        info.totals->bytes -= meta.files[0].total_bytes;
        info.totals->stored_bytes -= meta.files[0].size;
        info.totals->crc64xor ^= meta.files[0].crc64xor;
        meta.files.erase(meta.files.begin());
        info.file_crc32c.erase(info.file_crc32c.begin());
      }),
      "refer to 1 large values, and column family default has 0");
  has(findings_after([](BackupMeta& meta, KvbackupInfo& info) {
        info.totals->files = 1;
        info.totals->kvs -= meta.files[1].total_kvs;
        info.totals->bytes -= meta.files[1].total_bytes;
        info.totals->stored_bytes -= meta.files[1].size;
        info.totals->crc64xor ^= meta.files[1].crc64xor;
        meta.files.pop_back();
        info.file_crc32c.pop_back();
      }),
      "the file of column family write of its part is not in the backup");
}

TEST_CASE("a lock, a missing value and a safe point that moves on leave no backup") {
  MvccStore store;
  store.put("a", 1, 2, "v");
  MvccLock lock;
  lock.ts = 5;
  store.lock("k", lock);
  Run run = back_up(store, at(0, 9));
  CHECK(run.meta.status().code() == StatusCode::unavailable);
  CHECK(run.meta.status().key() == "k");
  CHECK(run.objects().empty());
  CHECK(back_up(store, at(0, 4)).meta.ok());

  store.families["lock"].clear();
  store.put("b", 1, 2, std::string(300, 'v'));
  store.families["default"].clear();
  run = back_up(store, at(0, 9));
  CHECK(run.meta.status().code() == StatusCode::corruption);
  CHECK(run.meta.status().key() == "b");
  CHECK(run.objects().empty());

  struct Host final : MvccHost {
    int asked = 0;
    Result<std::uint64_t> gc_safe_point() override { return std::uint64_t(asked++ == 0 ? 9 : 10); }
  } host;
  MvccOptions versions = at(0, 9);
  versions.host = &host;
  store.put("b", 1, 2, "v");
  run = back_up(store, versions);
  CHECK(run.meta.status().code() == StatusCode::not_found);
  CHECK(host.asked == 2);
  CHECK_FALSE(run.objects().contains("backupmeta"));
}

TEST_CASE("a layout of versions refuses pairs that are none") {
  const std::map<std::string, std::string> store{{"a", "no version"}};
  MemoryBackend backend;
  const auto meta =
      BackupPipeline(RangeSnapshot(store), NoneCodec{}, FileHasher{}, backend, MvccLayout{}).run();
  CHECK(meta.status().code() == StatusCode::invalid_argument);
}
