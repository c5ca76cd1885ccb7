// SPDX-License-Identifier: Apache-2.0
#include <iterator>
#include <set>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_source.hpp>

#include "support/catch.hpp"
#include "unit/restore/restore_support.hpp"

using namespace kvbackup;
using namespace restore_test;

static_assert(SplittableSnapshot<Backup<MemoryBackend>> &&
              EnumerableSnapshot<Backup<MemoryBackend>> &&
              EstimatingSnapshot<Backup<MemoryBackend>> && IdentifiedSource<Backup<MemoryBackend>>);
static_assert(SeekableSource<Backup<MemoryBackend>::Source>);

namespace {

// What a store holds of a range.
Store part_of(const Store& store, const KeyRange& range) {
  Store part;
  for (const auto& pair : store) {
    if (range.contains(pair.first)) part.insert(pair);
  }
  return part;
}

}  // namespace

TEST_CASE("every pair of a backup is got by its key, and no other") {
  const Store store = many_pairs(3000);
  for (const MemoryBackend& backend : {backup_of(store), backup_of(store, 10'000, Lz4Codec{}),
                                       backup_of(store, 50'000, ZstdCodec{}, PlainLayout{})}) {
    const auto backup = opened(backend);
    std::size_t wrong = 0;
    for (const auto& [key, value] : store) {
      const auto got = backup.get("default", key);
      require_ok(got.status());
      if (got.value() != value) ++wrong;
      const auto absent = backup.get("default", key + '\0');
      require_ok(absent.status());
      if (absent.value().has_value() != store.contains(key + '\0')) ++wrong;
    }
    CHECK(wrong == 0);
    CHECK_FALSE(backup.get("default", "").value());
    CHECK_FALSE(backup.get("default", std::string(100, '\xff')).value());
    CHECK_FALSE(backup.get("other", store.begin()->first).value());
  }
}

TEST_CASE("a scan gives the pairs of its range across files, and no others") {
  const Store store = many_pairs(3000);
  const MemoryBackend backend = backup_of(store, 10'000, Lz4Codec{});
  const auto backup = opened(backend);
  REQUIRE(backup.meta().files.size() > 5);
  const auto scanned = [&backup](const KeyRange& range) {
    auto source = backup.scan(range);
    require_ok(source.status());
    return pairs_of(source.value());
  };
  CHECK(scanned({}) == store);
  std::vector<std::string> keys{"", "a", "user/5", "v", std::string(1, '\xff')};
  for (std::size_t i = 0; i < store.size(); i += 211) {
    keys.push_back(std::next(store.begin(), static_cast<std::ptrdiff_t>(i))->first);
  }
  for (const File& file : backup.meta().files) keys.push_back(file.start_key);
  for (const std::string& start : keys) {
    for (const std::string& end : keys) {
      const KeyRange range{"default", start, end};
      if (range.empty()) {
        CHECK(scanned(range).empty());
      } else {
        CHECK(scanned(range) == part_of(store, range));
      }
    }
  }
}

TEST_CASE("what a backup does not hold is refused, not taken for empty") {
  const Store store = many_pairs(1000);
  MemoryBackend backend;
  BackupOptions options;
  options.ranges = {{"default", "user/1", "user/3"}, {"default", "user/5", "user/7"}};
  require_ok(BackupPipeline(RangeSnapshot(store), NoneCodec{}, FileHasher{}, backend)
                 .run(options)
                 .status());
  const auto backup = opened(backend);
  CHECK(backup.scan({"other", "", ""}).status().code() == StatusCode::not_found);
  CHECK(backup.scan({"default", "user/3", "user/5"}).ok());
  require_ok(
      backup.check_held({{"default", "user/1", "user/3"}, {"default", "user/6", "user/61"}}));
  // a backup of it claims no more than was there to be read
  for (const KeyRange& range : std::vector<KeyRange>{{"default", "user/1", "user/4"},
                                                     {"default", "user/0", "user/2"},
                                                     {"default", "user/2", "user/6"},
                                                     {"default", "user/6", ""},
                                                     {"default", "", ""},
                                                     {"other", "user/1", "user/2"}}) {
    BackupOptions wider;
    wider.ranges = {{"default", "user/1", "user/2"}, range};
    if (range.cf == "default" && range.start < std::string("user/2"))
      wider.ranges.erase(wider.ranges.begin());
    MemoryBackend copy;
    const Status status =
        BackupPipeline(opened(backend), NoneCodec{}, FileHasher{}, copy).run(wider).status();
    CHECK(status.code() == StatusCode::not_found);
    CHECK(status.object() == range.cf);
    CHECK_FALSE(copy.exists(backupmeta_name).value());
  }
  BackupOptions narrower;
  narrower.ranges = {{"default", "user/2", "user/3"}};
  MemoryBackend copy;
  require_ok(
      BackupPipeline(opened(backend), NoneCodec{}, FileHasher{}, copy).run(narrower).status());
}

TEST_CASE("ranges that touch hold what lies across them") {
  MemoryBackend backend = backup_of(many_pairs(100));
  rewrite_manifest(backend, [](BackupMeta&, KvbackupInfo& info) {
    info.ranges.resize(2);
    info.ranges[0].cf = info.ranges[1].cf = "default";
    info.ranges[0].end = info.ranges[1].start = "user/5";
  });
  require_ok(opened(backend).check_held({{"default", "user/4", "user/6"}, {"default", "", ""}}));
}

TEST_CASE("a scan seeks within its range, forwards and backwards") {
  const Store store = many_pairs(3000);
  const auto backup = opened(backup_of(store, 10'000));
  const KeyRange range{"default", "user/2", "user/8"};
  auto source = backup.scan(range);
  require_ok(source.status());
  const Store part = part_of(store, range);
  for (std::size_t i : {2000u, 10u, 0u, 1500u, 1501u, 3u}) {
    const auto at = std::next(store.begin(), static_cast<std::ptrdiff_t>(i));
    source.value().seek(at->first);
    const auto expected = part.lower_bound(at->first);
    REQUIRE(source.value().valid() == (expected != part.end()));
    if (expected == part.end()) continue;
    CHECK(source.value().key() == expected->first);
    CHECK(source.value().value() == expected->second);
  }
  source.value().seek("zz");
  CHECK_FALSE(source.value().valid());
  require_ok(source.value().status());
}

TEST_CASE("a backup keeps the contract of a snapshot") {
  const Store store = many_pairs(2000);
  const auto backup = opened(backup_of(store, 10'000));
  const auto ranges = backup.ranges();
  require_ok(ranges.status());
  REQUIRE(ranges.value() == std::vector<KeyRange>{KeyRange{}});
  CHECK(backup.estimate({}).pairs == store.size());
  const auto parts = backup.split({}, 30'000);
  require_ok(parts.status());
  CHECK(parts.value().size() > 2);
  CHECK(parts.value().size() < backup.meta().files.size());
  Store all;
  std::string at;
  for (const KeyRange& part : parts.value()) {
    CHECK(part.start == at);
    at = part.end;
    auto source = backup.scan(part);
    require_ok(source.status());
    const Store pairs = pairs_of(source.value());
    CHECK(pairs == part_of(store, part));
    all.insert(pairs.begin(), pairs.end());
  }
  CHECK(at.empty());
  CHECK(all == store);
  CHECK(backup.kind() == "kvbackup");
  CHECK(backup.identity() == "memory:///");
}

TEST_CASE("the conformance kits find nothing wrong with a backup and its scans") {
  const auto backup = opened(backup_of(many_pairs(300), 1000, Lz4Codec{}));
  ThreadExecutor threads;
  CHECK(testing::to_string(testing::check_snapshot(backup, threads, 4)) == "");
  CHECK(testing::to_string(testing::check_source([&backup] {
          return backup.scan({"default", "user/2", "user/7"}).value();
        })) == "");
}

TEST_CASE("a backup of a backup, by several threads, has the same pairs") {
  const Store store = many_pairs(5000);
  auto backup = opened(backup_of(store, 10'000, Lz4Codec{}));
  MemoryBackend copy;
  ThreadExecutor threads;
  BackupOptions options;
  options.part_size = 40'000;
  options.concurrency = 3;
  options.executor = &threads;
  const auto meta = BackupPipeline(std::move(backup), NoneCodec{}, FileHasher{}, copy).run(options);
  require_ok(meta.status());
  CHECK(verified(copy).is_whole());
  auto again = opened(copy);
  auto source = again.scan({});
  require_ok(source.status());
  CHECK(pairs_of(source.value()) == store);
  CHECK(again.manifest().info->source_kind == "kvbackup");
}

TEST_CASE("a damaged file ends a get or a scan with an error that names it") {
  const Store store = many_pairs(3000);
  const MemoryBackend backend = backup_of(store, 30'000);
  const std::string name = opened(backend).meta().files[1].name;
  std::string bytes = backend.read(name).value();
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  put(backend, name, bytes);
  const auto backup = opened(backend);
  const std::string first = backup.meta().files[1].start_key;
  const auto value = backup.get("default", first);
  CHECK(value.status().code() == StatusCode::corruption);
  CHECK(value.status().object() == name);
  auto source = backup.scan({});
  require_ok(source.status());
  std::string last;
  for (; source.value().valid(); source.value().next()) last = source.value().key();
  CHECK(source.value().status().code() == StatusCode::corruption);
  CHECK(source.value().status().object() == name);
  CHECK(last < first);
  // other files are read all the same
  CHECK(backup.get("default", store.begin()->first).value() == store.begin()->second);
}

TEST_CASE("a file that is missing, shorter or of no possible name is damage to a get and a scan") {
  const Store store = many_pairs(3000);
  const auto check = [&store](const MemoryBackend& backend, const char* what) {
    const auto backup = opened(backend);
    const File& file = backup.meta().files[1];
    auto source = backup.scan({});
    require_ok(source.status());
    while (source.value().valid()) source.value().next();
    for (const Status& status :
         {backup.get("default", file.start_key).status(), Status(source.value().status())}) {
      CHECK(status.code() == StatusCode::corruption);
      CHECK(status.object() == file.name);
      check_contains(status.to_string(), {what});
    }
    CHECK(backup.get("default", store.begin()->first).value() == store.begin()->second);
  };
  const MemoryBackend missing = backup_of(store, 30'000);
  const std::string name = opened(missing).meta().files[1].name;
  require_ok(missing.remove(name));
  check(missing, "missing");

  const MemoryBackend shorter = backup_of(store, 30'000);
  put(shorter, name, ByteView(shorter.read(name).value()).substr(0, 1000));
  check(shorter, "not the object that backupmeta describes");

  const MemoryBackend renamed = backup_of(store, 30'000);
  rewrite_manifest(renamed, [](BackupMeta& meta, KvbackupInfo&) {
    meta.files[1].name = "../" + meta.files[1].name;
  });
  check(renamed, "not the object that backupmeta describes");
}

TEST_CASE("a file with keys outside of its range ends a scan with an error") {
  const MemoryBackend backend = backup_of({{"b", "1"}, {"c", "2"}, {"d", "3"}});
  rewrite_manifest(backend, [](BackupMeta& meta, KvbackupInfo&) {
    meta.files[0].start_key = "c";
    meta.files[0].end_key = "d";
  });
  const auto backup = opened(backend);
  auto source = backup.scan({});
  require_ok(source.status());
  while (source.value().valid()) source.value().next();
  CHECK(source.value().status().code() == StatusCode::corruption);
}

TEST_CASE("opening what is no backup, or a broken one, says which") {
  MemoryBackend empty;
  CHECK(Backup<MemoryBackend>::open(empty).status().code() == StatusCode::not_found);
  put(empty, "backupmeta", "");
  CHECK(Backup<MemoryBackend>::open(empty).status().code() == StatusCode::corruption);
}

TEST_CASE("a transactional backup of BR's is verified, and not read as pairs") {
  // two cfs of one part, with keys as TiKV stores them
  const auto table = [](const std::string& key, const std::string& value) {
    std::string bytes;
    struct Sink {
      std::string* out;
      Status append(ByteView piece) {
        *out += piece;
        return {};
      }
    };
    TableWriter<NoneCodec, Crc32cChecksum, Sink> writer(TableOptions::br_default_cf(), NoneCodec{},
                                                        Sink{&bytes});
    require_ok(writer.add(key, value));
    require_ok(writer.finish().status());
    return bytes;
  };
  std::string key = "z";
  append_memcomparable(key, "key1");
  CHECK(to_hex(key) == "7a6b65793100000000fb");
  append_mvcc_ts(key, 3);
  MvccWrite write;
  write.start_ts = 3;
  BackupMeta meta;
  meta.br_version = "BR\nRelease Version: v5.1.0\n";
  meta.end_version = 5;
  const MemoryBackend backend;
  for (const char* cf : {"default", "write"}) {
    File file;
    file.name = std::string("1_2_3_") + cf + ".sst";
    file.cf = cf;
    file.start_key = "key1";
    file.end_key = "key2";
    const bool is_large = file.cf == "default";
    const std::string bytes = table(key, is_large ? "value" : encode_mvcc_write(write));
    file.total_kvs = is_large ? 1 : 0;
    file.total_bytes = is_large ? 9 : 0;
    file.crc64xor = is_large ? crc64_xz_pair("key1", "value") : 0;
    file.size = bytes.size();
    file.sha256 = as_bytes(PortableSha256::of(bytes));
    put(backend, file.name, bytes);
    meta.files.push_back(file);
  }
  put(backend, "backupmeta", encode(meta));
  VerifyReport report = verified(backend);
  CHECK(report.is_whole());
  check_contains(lines_of(report, Severity::unprovable), {"no seal", "coverage"});
  CHECK(opened(backend).get("default", "key1").status().code() == StatusCode::unsupported);
  CHECK(opened(backend).scan({}).status().code() == StatusCode::unsupported);
  meta.files[1].start_key = "key10";
  put(backend, "backupmeta", encode(meta));
  report = verified(backend);
  check_contains(lines_of(report, Severity::damage),
                 {"answers for another key range", "outside of its key range"});
}
