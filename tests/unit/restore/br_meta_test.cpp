// SPDX-License-Identifier: Apache-2.0
// backupmeta as BR itself writes it: one message, and since 5.1 trees of them.
#include <random>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/restore/restore_support.hpp"

using namespace kvbackup;
using namespace restore_test;

namespace {

constexpr std::string_view br_version = "BR\nRelease Version: v5.0.0-master\nGit Branch: HEAD\n";

// A backup of ours whose backupmeta is what BR would have written for the same files.
MemoryBackend br_backup(const Store& store, bool with_crc = true) {
  const MemoryBackend backend = backup_of(store, 3000);
  BackupMeta meta = opened(backend).meta();
  meta.br_version = br_version;
  if (!with_crc) {
    for (File& file : meta.files) file.crc64xor = 0;
  }
  put(backend, "backupmeta", encode(meta));
  return backend;
}

// Stores a node and gives the entry that names it.
File store_node(const MemoryBackend& backend, const std::string& name, const MetaFile& node) {
  const std::string bytes = encode(node);
  put(backend, name, bytes);
  File entry;
  entry.name = name;
  entry.sha256 = as_bytes(PortableSha256::of(bytes));
  entry.size = bytes.size();
  return entry;
}

// The same backup with its lists in trees: files in two leaves below one node, a leaf of ranges.
MemoryBackend br_backup_v2(const Store& store) {
  const MemoryBackend backend = br_backup(store);
  BackupMeta meta = opened(backend).meta();
  MetaFile leaves[2];
  for (std::size_t i = 0; i < meta.files.size(); ++i) {
    leaves[i * 2 / meta.files.size()].data_files.push_back(meta.files[i]);
  }
  MetaFile node;
  node.meta_files.push_back(store_node(backend, "backupmeta.datafile.000000001", leaves[0]));
  node.meta_files.push_back(store_node(backend, "backupmeta.datafile.000000002", leaves[1]));
  BackupMetaIndex index;
  index.version = 1;
  index.file_index.emplace();
  index.file_index->meta_files.push_back(
      store_node(backend, "backupmeta.datafile.000000003", node));
  index.raw_range_index.emplace();
  index.raw_range_index->raw_ranges = meta.raw_ranges;
  MetaFile jobs;
  jobs.ddls = {"{\"id\":1}", "{\"id\":2}"};
  index.ddl_indexes.emplace();
  index.ddl_indexes->meta_files.push_back(store_node(backend, "backupmeta.ddl.000000004", jobs));
  meta.files.clear();
  meta.raw_ranges.clear();
  meta.ddls.clear();
  put(backend, "backupmeta", encode(meta) + encode(index));
  return backend;
}

std::string random_bytes(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

}  // namespace

TEST_CASE("BR's own backup is verified and read, and reported as unprotected") {
  const Store store = many_pairs(1000);
  const MemoryBackend backend = br_backup(store);
  const auto backup = opened(backend);
  CHECK_FALSE(backup.is_sealed());
  CHECK(backup.key_prefix() == "z");
  auto source = backup.scan({});
  require_ok(source.status());
  CHECK(pairs_of(source.value()) == store);
  const VerifyReport report = verified(backend);
  CHECK(report.is_whole());
  CHECK_FALSE(report.is_sealed);
  CHECK(report.pairs == store.size());
  CHECK(lines_of(report, Severity::unprovable) ==
        "unprovable: it is BR's own and has no seal: what it says cannot be proven: object "
        "backupmeta\n");
  REQUIRE(backend.remove(backup.meta().files[1].name).ok());
  check_contains(damages(backend), {"missing", backup.meta().files[1].name});
}

TEST_CASE(
    "gaps, overlaps and missing sums of BR's own backup cannot be proven, nor are they damage") {
  const MemoryBackend backend = br_backup(many_pairs(1000), false);
  BackupMeta meta = opened(backend).meta();
  const std::string start = meta.files[2].start_key;
  REQUIRE(backend.remove(meta.files[2].name).ok());
  meta.files.erase(meta.files.begin() + 2);
  put(backend, "backupmeta", encode(meta));
  VerifyReport report = verified(backend);
  CHECK(report.is_whole());
  check_contains(lines_of(report, Severity::unprovable),
                 {"no crc64xor", "that there were none cannot be proven", "[" + to_hex(start)});
  meta.files[1].end_key = meta.files[3].start_key + "zz";
  put(backend, "backupmeta", encode(meta));
  report = verified(backend);
  CHECK(report.is_whole());
  check_contains(lines_of(report, Severity::unprovable), {"overlaps"});
}

TEST_CASE("the lists of meta version 2 read as if they stood in backupmeta") {
  const Store store = many_pairs(1000);
  const MemoryBackend backend = br_backup_v2(store);
  const auto expected = opened(br_backup(store));
  const auto backup = opened(backend);
  CHECK(backup.meta().files == expected.meta().files);
  CHECK(backup.meta().raw_ranges == expected.meta().raw_ranges);
  CHECK(backup.meta().ddls == "[{\"id\":1},{\"id\":2}]");
  CHECK(backup.meta().unknown_fields.empty());
  REQUIRE(backup.manifest().meta_objects.size() == 4);
  const VerifyReport report = verified(backend);
  CHECK(report.is_whole());
  CHECK(report.warnings == 0);  // its objects are no strangers
  CHECK(report.pairs == store.size());
}

TEST_CASE("an object of meta version 2 that is damaged, missing or of another size is found") {
  const Store store = many_pairs(100);
  const MemoryBackend backend = br_backup_v2(store);
  const auto objects = opened(backend).manifest().meta_objects;
  for (const MetaObject& object : objects) {
    const std::string bytes = backend.read(object.name).value();
    std::size_t survivors = 0;
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
      put(backend, object.name, damaged);
      const VerifyReport report = verified(backend);
      if (report.damages != 1 || report.findings[0].object != object.name) ++survivors;
    }
    CHECK(survivors == 0);
    put(backend, object.name, bytes + "x");
    check_contains(damages(backend), {"bytes instead of", object.name});
    REQUIRE(backend.remove(object.name).ok());
    check_contains(damages(backend), {"missing", object.name});
    put(backend, object.name, bytes);
  }
  CHECK(verified(backend).is_whole());
}

TEST_CASE("trees that name objects elsewhere, nest deeply or name too much are refused") {
  const MemoryBackend backend = br_backup({{"a", "1"}});
  const BackupMeta meta = opened(backend).meta();
  const auto opened_with = [&](const File& root) {
    BackupMetaIndex index;
    index.file_index.emplace();
    index.file_index->meta_files.push_back(root);
    put(backend, "backupmeta", encode(meta) + encode(index));
    return Backup<MemoryBackend>::open(backend).status();
  };
  File outside;
  outside.name = "../backupmeta.datafile.1";
  CHECK(opened_with(outside).code() == StatusCode::corruption);
  outside.name.clear();
  CHECK(opened_with(outside).code() == StatusCode::corruption);
  MetaFile node;
  File entry;
  for (int depth = 0; depth < 20; ++depth) {
    entry = store_node(backend, "backupmeta.datafile." + std::to_string(depth), node);
    if (depth == 5) CHECK(opened_with(entry).ok());
    node.meta_files = {entry};
  }
  CHECK(opened_with(entry).code() == StatusCode::resource_exhausted);
  // ten thousand times one object, that names ten thousand times another: few bytes, many reads
  node = {};
  for (int level = 0; level < 3; ++level) {
    entry = store_node(backend, "wide" + std::to_string(level), node);
    node.meta_files.assign(10'000, entry);
  }
  const Status status = opened_with(entry);
  CHECK(status.code() == StatusCode::corruption);
  CHECK(status.to_string().find("named twice") != std::string::npos);
}

TEST_CASE("lists in a form of a later BR are refused, not taken for empty ones") {
  const MemoryBackend backend = br_backup({{"a", "1"}});
  BackupMeta meta = opened(backend).meta();
  const auto status_with = [&](const std::string& later) {
    put(backend, "backupmeta", encode(meta) + later);
    return Backup<MemoryBackend>::open(backend).status().code();
  };
  BackupMetaIndex index;
  index.version = 2;
  CHECK(status_with(encode(index)) == StatusCode::unsupported);
  index.version = 1;
  index.file_index.emplace();
  append_bytes_field(index.file_index->unknown_fields, 6, "a range");
  CHECK(status_with(encode(index)) == StatusCode::unsupported);
  meta.files.clear();
  std::string ranges;
  append_bytes_field(ranges, 24, "a range");
  CHECK(status_with(ranges) == StatusCode::unsupported);
}

TEST_CASE("an encrypted backupmeta is recognised, and a damaged one is not taken for it") {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    const MemoryBackend backend;
    put(backend, "backupmeta", random_bytes(16 + 300, seed));
    const Status status = Backup<MemoryBackend>::open(backend).status();
    CHECK(status.code() == StatusCode::unsupported);
    CHECK(contains(status.to_string(), "encrypted"));
  }
}

TEST_CASE("a damaged backupmeta full of long binary keys is not taken for an encrypted one") {
  Store store;
  for (std::uint32_t seed = 0; seed < 40; ++seed) store[random_bytes(300, seed)] = "v";
  const MemoryBackend backend = backup_of(store, 1000);
  const std::string bytes = backend.read("backupmeta").value();
  for (std::size_t size = 0; size < bytes.size(); size += 11) {
    put(backend, "backupmeta", ByteView(bytes).substr(0, size));
    CHECK(Backup<MemoryBackend>::open(backend).status().code() == StatusCode::corruption);
  }
}

TEST_CASE("an encrypted file is proven by its SHA-256, and its content is not") {
  const MemoryBackend backend = br_backup({{"a", "1"}, {"b", "2"}});
  BackupMeta meta = opened(backend).meta();
  File& file = meta.files[0];
  const std::string cipher = random_bytes(1500, 1);
  put(backend, file.name, cipher);
  file.sha256 = as_bytes(PortableSha256::of(cipher));
  file.size = cipher.size();
  append_bytes_field(file.unknown_fields, 12, std::string(16, 'i'));
  put(backend, "backupmeta", encode(meta));
  const VerifyReport report = verified(backend);
  CHECK(report.is_whole());
  CHECK(report.unproven_files == 1);
  check_contains(lines_of(report, Severity::unprovable), {"encrypted", file.name});
  put(backend, file.name, random_bytes(1500, 2));
  CHECK_FALSE(verified(backend).is_whole());
}
