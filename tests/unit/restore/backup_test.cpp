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
  CHECK(scanned({"other", "", ""}).empty());
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
