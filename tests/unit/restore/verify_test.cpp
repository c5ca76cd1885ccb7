// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "unit/restore/restore_support.hpp"

using namespace kvbackup;
using namespace restore_test;

namespace {

Store small_store() {
  Store store;
  for (std::size_t i = 0; i < 40; ++i) {
    store["key" + std::to_string(100 + i)] = std::string(i % 7, 'v');
  }
  return store;
}

// Changes one object, asks whether verify names it, and puts it back.
bool is_found(const MemoryBackend& backend, const std::string& name, std::string damaged) {
  const std::string before = backend.read(name).value();
  put(backend, name, damaged);
  const VerifyReport report = verified(backend);
  put(backend, name, before);
  return std::any_of(report.findings.begin(), report.findings.end(), [&name](const Finding& found) {
    return found.severity == Severity::damage && found.object == name;
  });
}

std::string with_flipped(std::string bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  return bytes;
}

std::vector<std::string> names_of(const MemoryBackend& backend) {
  std::vector<std::string> names;
  for (const ObjectInfo& object : backend.list("").value()) names.push_back(object.name);
  return names;
}

}  // namespace

TEST_CASE("a backup that nothing happened to is whole, by every codec and layout") {
  const Store store = many_pairs(5000);
  for (const MemoryBackend& backend :
       {backup_of(store), backup_of(store, 10'000, Lz4Codec{}),
        backup_of(store, 50'000, ZstdCodec{}), backup_of(store, 50'000, SnappyCodec{}),
        backup_of(store, 50'000, NoneCodec{}, PlainLayout{}), backup_of(Store{}),
        backup_of({{"", ""}}), backup_of({{std::string(9, '\xff'), "v"}})}) {
    const VerifyReport report = verified(backend);
    CHECK(lines_of(report, Severity::damage).empty());
    CHECK(report.findings.empty());
    CHECK(report.is_whole());
    CHECK(report.is_sealed);
    const auto manifest = decode_manifest(backend.read("backupmeta").value());
    CHECK(report.pairs == manifest.value().info->totals->kvs);
    CHECK(report.bytes == manifest.value().info->totals->bytes);
    CHECK(report.stored_bytes == manifest.value().info->totals->stored_bytes);
    CHECK(report.files == manifest.value().meta.files.size());
  }
}

TEST_CASE("files whose codec is not built in are counted apart from those that are proven") {
  MemoryBackend backend = backup_of(many_pairs(3000), 10'000, Lz4Codec{});
  const TableDecoders<CodecSet<NoneCodec>, BuiltDecoders::ChecksumsUsed> without_lz4;
  const auto report = verify_backup(backend, FileHasher{}, without_lz4);
  require_ok(report.status());
  CHECK(report.value().files > 1);
  CHECK(report.value().unproven_files == report.value().files);
  CHECK(report.value().unprovable == report.value().files);
  CHECK(verified(backend).unproven_files == 0);
  // a file whose bytes are others is damaged, and no more than that
  const std::string name = names_of(backend).front();
  put(backend, name, with_flipped(backend.read(name).value(), 1000));
  const auto damaged = verify_backup(backend, FileHasher{}, without_lz4);
  require_ok(damaged.status());
  CHECK(damaged.value().is_damaged());
  CHECK(damaged.value().unproven_files == report.value().files - 1);
}

TEST_CASE("every flipped bit of every object of a backup is found, and its object named") {
  const MemoryBackend backend = backup_of(small_store(), 200);
  const auto names = names_of(backend);
  REQUIRE(names.size() >= 3);
  std::size_t survivors = 0;
  for (const std::string& name : names) {
    const std::string bytes = backend.read(name).value();
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      if (!is_found(backend, name, with_flipped(bytes, bit))) ++survivors;
    }
  }
  CHECK(survivors == 0);
}

TEST_CASE("every truncation of every object of a backup is found, and its object named") {
  const MemoryBackend backend = backup_of(small_store(), 200, Lz4Codec{});
  std::size_t survivors = 0;
  for (const std::string& name : names_of(backend)) {
    const std::string bytes = backend.read(name).value();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      if (!is_found(backend, name, bytes.substr(0, size))) ++survivors;
    }
    CHECK(is_found(backend, name, bytes + '\0'));
  }
  CHECK(survivors == 0);
}

TEST_CASE("flipped bits and truncations of a larger backup are found by sampling") {
  const MemoryBackend backend = backup_of(many_pairs(40'000), 1 << 20, Lz4Codec{});
  std::mt19937 random(7);
  for (const std::string& name : names_of(backend)) {
    const std::string bytes = backend.read(name).value();
    for (int i = 0; i < 20; ++i) {
      CHECK(is_found(backend, name, with_flipped(bytes, random() % (bytes.size() * 8))));
      CHECK(is_found(backend, name, bytes.substr(0, random() % bytes.size())));
    }
  }
}

TEST_CASE("all that is damaged is reported, not only the first") {
  const MemoryBackend backend = backup_of(many_pairs(3000), 10'000);
  const auto files = opened(backend).meta().files;
  REQUIRE(files.size() > 4);
  REQUIRE(backend.remove(files[0].name).ok());
  put(backend, files[1].name, with_flipped(backend.read(files[1].name).value(), 1000));
  put(backend, files[2].name, "short");
  const std::string found = damages(backend);
  check_contains(found, {"missing: object " + files[0].name + ", key range [\"\", "});
  check_contains(found, {"SHA-256"});
  check_contains(found, {files[1].name});
  check_contains(found, {"it has 5 bytes instead of "});
  CHECK(std::count(found.begin(), found.end(), '\n') == 4);  // the flipped bit is two findings
  CHECK_FALSE(contains(found, files[3].name));
}

TEST_CASE("two files that stand in each other's place are both found") {
  const MemoryBackend backend = backup_of(many_pairs(3000), 10'000);
  const auto files = opened(backend).meta().files;
  const std::string one = backend.read(files[1].name).value();
  put(backend, files[1].name, backend.read(files[2].name).value());
  put(backend, files[2].name, one);
  const std::string found = damages(backend);
  check_contains(found, {files[1].name});
  check_contains(found, {files[2].name});
  // the same in backupmeta: names, sums and sizes fit, and the keys do not
  const MemoryBackend other = backup_of(many_pairs(3000), 10'000);
  rewrite_manifest(other, [](BackupMeta& meta, KvbackupInfo& info) {
    std::swap(meta.files[1], meta.files[2]);
    std::swap(meta.files[1].start_key, meta.files[2].start_key);
    std::swap(meta.files[1].end_key, meta.files[2].end_key);
    std::swap(info.file_crc32c[1], info.file_crc32c[2]);
  });
  check_contains(damages(other),
                 {"keys lie outside of its key range", "made of another start key"});
}

TEST_CASE("a gap between files is damage, and names the keys that no file holds") {
  const MemoryBackend backend = backup_of(many_pairs(3000), 10'000);
  const auto files = opened(backend).meta().files;
  rewrite_manifest(backend, [](BackupMeta& meta, KvbackupInfo& info) {
    info.totals->files -= 1;
    info.totals->kvs -= meta.files[2].total_kvs;
    info.totals->bytes -= meta.files[2].total_bytes;
    info.totals->stored_bytes -= meta.files[2].size;
    info.totals->crc64xor ^= meta.files[2].crc64xor;
    meta.files.erase(meta.files.begin() + 2);
    info.file_crc32c.erase(info.file_crc32c.begin() + 2);
  });
  const VerifyReport report = verified(backend);
  REQUIRE(report.damages == 1);
  const Finding& gap = report.findings[0];
  check_contains(gap.what, {"no file holds these keys"});
  REQUIRE(gap.range);
  CHECK(gap.range->start == files[2].start_key);
  CHECK(gap.range->end == files[2].end_key);
  // and the file that is no longer listed is a stranger
  check_contains(lines_of(report, Severity::warning), {files[2].name});
}

TEST_CASE("a range is not covered where files begin late or end early") {
  const auto found = [](void (*change)(CompletedRange&)) {
    const MemoryBackend backend = backup_of({{"b", "1"}, {"c", "2"}});
    rewrite_manifest(backend, [change](BackupMeta& meta, KvbackupInfo& info) {
      meta.files[0].start_key = "b";
      meta.files[0].end_key = "d";
      change(info.ranges[0]);
    });
    return damages(backend);
  };
  check_contains(found([](CompletedRange&) {}), {"[\"\", 62)", "[64, \"\")"});
  check_contains(found([](CompletedRange& range) { range.start = "b"; }), {"[64, \"\")"});
  CHECK(found([](CompletedRange& range) { range.start = "b", range.end = "d"; }).empty());
  check_contains(found([](CompletedRange& range) { range.start = "b", range.end = "c"; }),
                 {"outside of the ranges"});
}

TEST_CASE("an overlap of files is damage, and scans and gets refuse to choose") {
  const MemoryBackend backend = backup_of(many_pairs(3000), 10'000);
  const auto files = opened(backend).meta().files;
  rewrite_manifest(backend, [](BackupMeta& meta, KvbackupInfo&) {
    meta.files[1].end_key = meta.files[2].end_key;
  });
  check_contains(damages(backend), {"overlaps " + files[1].name, files[2].name});
  const auto backup = opened(backend);
  const auto value = backup.get("default", files[2].start_key);
  CHECK(value.status().code() == StatusCode::corruption);
  CHECK(backup.scan({}).status().code() == StatusCode::corruption);
  check_contains(value.status().to_string(), {files[1].name, files[2].name});
}

TEST_CASE("counts that do not add up are damage") {
  const auto found = [](auto change) {
    const MemoryBackend backend = backup_of(many_pairs(300), 3000);
    rewrite_manifest(backend, change);
    return damages(backend);
  };
  check_contains(found([](BackupMeta& meta, KvbackupInfo&) { meta.files[1].total_kvs += 1; }),
                 {"its pairs: ", "the total of pairs"});
  check_contains(found([](BackupMeta& meta, KvbackupInfo& info) {
                   meta.files[1].total_bytes += 5;
                   info.totals->bytes += 5;
                 }),
                 {"its bytes of keys and values: "});
  check_contains(found([](BackupMeta& meta, KvbackupInfo& info) {
                   meta.files[0].crc64xor ^= 4;
                   info.totals->crc64xor ^= 4;
                 }),
                 {"its crc64xor: "});
  check_contains(found([](BackupMeta&, KvbackupInfo& info) { info.totals->files += 1; }),
                 {"the total of files"});
  check_contains(found([](BackupMeta&, KvbackupInfo& info) { info.file_crc32c[0] += 1; }),
                 {"CRC-32C"});
}

TEST_CASE("a name that stands twice, or could not be an object's, is damage") {
  const MemoryBackend backend = backup_of(many_pairs(300), 3000);
  rewrite_manifest(backend, [](BackupMeta& meta, KvbackupInfo&) {
    meta.files[1].name = meta.files[0].name;
    meta.files[2].name = "../outside_default.sst";
  });
  check_contains(damages(backend), {"names it twice", "it cannot be"});
}

TEST_CASE("a seal that is missing, moved or repeated is damage of backupmeta") {
  const MemoryBackend backend = backup_of({{"a", "1"}});
  const std::string bytes = backend.read("backupmeta").value();
  const std::string body = bytes.substr(0, bytes.size() - 36);
  const std::string seal = bytes.substr(bytes.size() - 36);
  for (const std::string& broken : {body, seal + body, bytes + seal}) {
    CHECK(is_found(backend, "backupmeta", broken));
  }
}

TEST_CASE("a quick verification looks at names and sizes, and reads no file") {
  const MemoryBackend backend = backup_of(many_pairs(3000), 10'000);
  const auto files = opened(backend).meta().files;
  put(backend, files[1].name, with_flipped(backend.read(files[1].name).value(), 1000));
  VerifyOptions options;
  options.quick = true;
  VerifyReport report = verified(backend, options);
  CHECK(report.is_whole());
  CHECK(report.quick);
  CHECK(report.stored_bytes == 0);
  REQUIRE(backend.remove(files[2].name).ok());
  report = verified(backend, options);
  CHECK(report.damages == 1);
}

TEST_CASE("what lies beside the backup is a warning, and damage where that is asked for") {
  const MemoryBackend backend = backup_of({{"a", "1"}});
  put(backend, "backup.lock", "DO NOT DELETE");
  put(backend, "checkpoints/data/x.cpt", "{}");
  put(backend, "9_9_9_default.sst", "leftover");
  put(backend, lock_name("0123456789abcdef"), "");
  put(backend, checkpoint_name("0123456789abcdef", 7), "");
  VerifyOptions options;
  VerifyReport report = verified(backend, options);
  CHECK(report.is_whole());
  CHECK(report.warnings == 5);
  check_contains(lines_of(report, Severity::warning),
                 {"BR's lock file", "checkpoints/data/x.cpt", "9_9_9_default.sst",
                  "it is the lock of a run", "kvbackup.checkpoint.0123456789abcdef.7"});
  options.strict = true;
  report = verified(backend, options);
  CHECK(report.damages == 5);
}

TEST_CASE("the report does not depend on how many threads made it") {
  const MemoryBackend backend = backup_of(many_pairs(5000), 10'000);
  const auto files = opened(backend).meta().files;
  for (std::size_t i = 0; i < files.size(); i += 3) {
    put(backend, files[i].name, with_flipped(backend.read(files[i].name).value(), 800 + i));
  }
  const VerifyReport one = verified(backend);
  ThreadExecutor threads;
  VerifyOptions options;
  options.concurrency = 4;
  options.executor = &threads;
  const VerifyReport four = verified(backend, options);
  CHECK(lines_of(one, Severity::damage) == lines_of(four, Severity::damage));
  CHECK(one.pairs == four.pairs);
  options.executor = nullptr;
  MemoryBackend same = backend;
  const auto refused = verify_backup(same, FileHasher{}, BuiltDecoders{}, options);
  CHECK(refused.status().code() == StatusCode::invalid_argument);
}

TEST_CASE("a verification ends when it is cancelled, and tells how far it is") {
  struct Watch final : RestoreObserver {
    explicit Watch(std::uint64_t at) : cancel_at(at) {}
    void on_progress(const RestoreProgress& progress) override {
      last = progress;
      if (progress.files == cancel_at) token.cancel();
    }
    std::uint64_t cancel_at;
    CancelToken token;
    RestoreProgress last;
  };
  MemoryBackend backend = backup_of(many_pairs(3000), 10'000);
  const std::uint64_t files = opened(backend).meta().files.size();
  Watch watch(2);
  VerifyOptions options;
  options.observer = &watch;
  options.cancel = &watch.token;
  const auto report = verify_backup(backend, FileHasher{}, BuiltDecoders{}, options);
  CHECK(report.status().code() == StatusCode::cancelled);
  CHECK(watch.last.files < files);
  Watch whole(files + 1);
  options.observer = &whole;
  options.cancel = &whole.token;
  CHECK(verified(backend, options).is_whole());
  CHECK(whole.last.files == files);
  CHECK(whole.last.total_files == files);
  CHECK(whole.last.stored_bytes == whole.last.total_stored_bytes);
  CHECK(whole.last.pairs == 3000);
}

TEST_CASE("storage that fails leaves a file unproven, which is neither whole nor damaged") {
  const MemoryBackend backend = backup_of(many_pairs(3000), 10'000);
  test_support::FaultBackend failing(backend, test_support::Operation::read, 4,
                                     Status::error(StatusCode::unavailable, "the server is busy"));
  const auto report = verify_backup(failing, FileHasher{}, BuiltDecoders{});
  require_ok(report.status());
  CHECK(report.value().damages == 0);
  CHECK(report.value().unreadable == 1);
  CHECK_FALSE(report.value().is_whole());
  check_contains(lines_of(report.value(), Severity::unreadable), {"the server is busy"});
}

TEST_CASE("a table with keys of another kind or out of its range is found whatever its sums say") {
  // backupmeta agrees with the file in every sum, so only its content tells
  const auto found = [](auto write) {
    const MemoryBackend backend = backup_of({{"b", "1"}});
    std::string bytes;
    struct Sink {
      std::string* out;
      Status append(ByteView piece) {
        *out += piece;
        return {};
      }
    };
    FileHasher hash;
    TableWriter<NoneCodec, Crc32cChecksum, Sink> writer(TableOptions::br_default_cf(), NoneCodec{},
                                                        Sink{&bytes});
    write(writer, hash);
    require_ok(writer.finish().status());
    hash.add_bytes(bytes);
    const FileDigest digest = hash.finish();
    rewrite_manifest(backend, [&](BackupMeta& meta, KvbackupInfo& info) {
      File& file = meta.files[0];
      put(backend, file.name, bytes);
      file.sha256 = as_bytes(digest.sha256);
      file.size = bytes.size();
      file.total_kvs = digest.total_kvs;
      file.total_bytes = digest.total_bytes;
      file.crc64xor = digest.crc64xor;
      info.file_crc32c[0] = digest.crc32c;
      info.totals =
          KvbackupTotals{1, file.total_kvs, file.total_bytes, file.size, file.crc64xor, {}};
    });
    return damages(backend);
  };
  CHECK(found([](auto& writer, FileHasher& hash) {
          require_ok(writer.add("zb", "1"));
          hash.add_pair("b", "1");
        }).empty());
  check_contains(found([](auto& writer, FileHasher& hash) {
                   require_ok(writer.add("yb", "1"));
                   require_ok(writer.add("zb", "1"));
                   hash.add_pair("b", "1");
                 }),
                 {"lack the prefix"});
}
