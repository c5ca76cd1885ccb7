// SPDX-License-Identifier: Apache-2.0
// Backups as BR and TiKV leave them: files that RocksDB's SstFileWriter wrote, every key behind the
// 'z', and a backupmeta with what BR records of them.
#include <fstream>
#include <iterator>
#include <memory>

#include <kvbackup/kvbackup.hpp>

#include "conformance/rocksdb/rocksdb_support.hpp"
#include "support/catch.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using rocksdb_test::require_ok;
using rocksdb_test::TemporaryFolder;
using test_support::many_pairs;
using test_support::Store;

namespace {

// CRC-64/XZ bit by bit from its definition, as an independent reference.
std::uint64_t bitwise_crc64(ByteView bytes) {
  std::uint64_t crc = ~0ull;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0xC96C5795D7870F42ull : 0);
  }
  return ~crc;
}

// TiKV 5.x's options of the default column family.
rocksdb::Options tikv_options(rocksdb::CompressionType compression) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 2;
  table.checksum = rocksdb::kCRC32c;
  table.block_size = 64 * 1024;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::Options options;
  options.compression = compression;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// Writes the part [start, end) of a raw backup and gives what BackupResponse says of it.
File write_part(const std::string& folder, std::size_t part, const Store& store,
                const std::string& start, const std::string& end,
                rocksdb::CompressionType compression, bool with_crc) {
  File file;
  file.name = "1_" + std::to_string(part) + "_2_";
  if (!start.empty()) {
    file.name += to_hex(as_bytes(PortableSha256::of(start))) + "_1617351201040_";
  }
  file.name += "default.sst";
  file.cf = "default";
  file.start_key = start;
  file.end_key = end;
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), tikv_options(compression));
  require_ok(writer.Open(folder + "/" + file.name));
  for (auto at = store.lower_bound(start); at != store.end() && (end.empty() || at->first < end);
       ++at) {
    require_ok(writer.Put("z" + at->first, at->second));
    file.total_kvs += 1;
    file.total_bytes += at->first.size() + at->second.size();
    if (with_crc) file.crc64xor ^= bitwise_crc64(at->first + at->second);
  }
  require_ok(writer.Finish());
  std::ifstream in(folder + "/" + file.name, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  file.size = bytes.size();
  file.sha256 = as_bytes(PortableSha256::of(bytes));
  return file;
}

void write_object(const LocalBackend& backend, const std::string& name, ByteView bytes) {
  auto writer = backend.create(name, {.size_hint = {}, .if_absent = false});
  require_ok(writer.status());
  require_ok(writer.value().append(bytes));
  require_ok(writer.value().commit().status());
}

// A raw backup of three parts. TiKV before 6.1 records no crc64xor for it.
BackupMeta write_backup(const std::string& folder, const Store& store, bool with_crc) {
  std::filesystem::create_directories(folder);
  const std::string first = std::next(store.begin(), 1000)->first;
  const std::string second = std::next(store.begin(), 2500)->first;
  BackupMeta meta;
  meta.cluster_id = 6946588014362387071;
  meta.cluster_version = "\"5.0.0-rc.x\"\n";
  meta.br_version = "BR\nRelease Version: v5.0.0-master\nGit Branch: HEAD\nGo Version: go1.13.4\n";
  meta.is_raw_kv = true;
  meta.ddls = "null";
  meta.raw_ranges.push_back({"", "", "default", {}});
  meta.files = {
      write_part(folder, 4, store, "", first, rocksdb::kLZ4Compression, with_crc),
      write_part(folder, 6, store, first, second, rocksdb::kZSTD, with_crc),
      write_part(folder, 8, store, second, "", rocksdb::kSnappyCompression, with_crc),
  };
  write_object(LocalBackend(folder), "backupmeta", encode(meta));
  return meta;
}

Store scanned(const Backup<LocalBackend>& backup) {
  auto source = backup.scan({});
  require_ok(source.status());
  Store store;
  for (; source.value().valid(); source.value().next()) {
    store.emplace(source.value().key(), source.value().value());
  }
  require_ok(source.value().status());
  return store;
}

VerifyReport verified(const std::string& folder) {
  LocalBackend backend(folder);
  auto report = verify_backup(backend, FileHasher{}, BuiltDecoders{});
  require_ok(report.status());
  return std::move(report).value();
}

}  // namespace

TEST_CASE("a raw backup whose files RocksDB wrote is verified, got from and scanned") {
  const Store store = many_pairs(4000);
  for (const bool with_crc : {false, true}) {
    const TemporaryFolder folder;
    const std::string path = folder.path("backup");
    const BackupMeta meta = write_backup(path, store, with_crc);
    const VerifyReport report = verified(path);
    for (const Finding& finding : report.findings) {
      INFO(finding.to_string());
      CHECK(finding.severity == Severity::unprovable);
    }
    CHECK(report.is_whole());
    CHECK_FALSE(report.is_sealed);
    CHECK(report.pairs == store.size());
    CHECK(report.unprovable == (with_crc ? 1 : 2));
    const auto backup = Backup<LocalBackend>::open(LocalBackend(path));
    require_ok(backup.status());
    CHECK(scanned(backup.value()) == store);
    for (std::size_t i = 0; i < store.size(); i += 97) {
      const auto& [key, value] = *std::next(store.begin(), static_cast<std::ptrdiff_t>(i));
      CHECK(backup.value().get("default", key).value() == value);
      CHECK_FALSE(backup.value().get("default", key + "\x01").value());
    }
  }
}

TEST_CASE("damage of a backup of BR's own is found by the sums that it has") {
  const Store store = many_pairs(4000);
  const TemporaryFolder folder;
  const std::string path = folder.path("backup");
  BackupMeta meta = write_backup(path, store, true);
  const LocalBackend backend(path);
  const std::string good = backend.read(meta.files[1].name).value();
  for (const std::size_t bit : {std::size_t{5}, good.size() * 4, good.size() * 8 - 1}) {
    std::string damaged = good;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    write_object(backend, meta.files[1].name, damaged);
    const VerifyReport report = verified(path);
    REQUIRE(report.damages >= 1);
    CHECK(report.findings[1].object == meta.files[1].name);
  }
  write_object(backend, meta.files[1].name, good);
  CHECK(verified(path).is_whole());
  meta.files[2].crc64xor ^= 1;
  meta.files[0].total_kvs += 1;
  write_object(backend, "backupmeta", encode(meta));
  CHECK(verified(path).damages == 2);
}

TEST_CASE("a backup of BR's meta version 2 whose files RocksDB wrote reads as one of version 1") {
  const Store store = many_pairs(4000);
  const TemporaryFolder folder;
  const std::string path = folder.path("backup");
  BackupMeta meta = write_backup(path, store, true);
  const LocalBackend backend(path);
  BackupMetaIndex index;
  index.version = 1;
  index.file_index.emplace();
  index.raw_range_index.emplace();
  index.raw_range_index->raw_ranges = std::move(meta.raw_ranges);
  for (std::size_t i = 0; i < meta.files.size(); ++i) {
    MetaFile leaf;
    leaf.data_files.push_back(meta.files[i]);
    const std::string bytes = encode(leaf);
    File entry;
    entry.name = "backupmeta.datafile.00000000" + std::to_string(i + 1);
    entry.sha256 = as_bytes(PortableSha256::of(bytes));
    entry.size = bytes.size();
    write_object(backend, entry.name, bytes);
    index.file_index->meta_files.push_back(std::move(entry));
  }
  meta.files.clear();
  meta.raw_ranges.clear();
  write_object(backend, "backupmeta", encode(meta) + encode(index));
  const VerifyReport report = verified(path);
  CHECK(report.is_whole());
  CHECK(report.warnings == 0);
  CHECK(report.pairs == store.size());
  const auto backup = Backup<LocalBackend>::open(LocalBackend(path));
  require_ok(backup.status());
  CHECK(scanned(backup.value()) == store);
}
