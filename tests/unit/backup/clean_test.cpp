// SPDX-License-Identifier: Apache-2.0
// What is left by runs that did not end, and what is deleted with a backup: that and nothing else.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"
#include "support/temp_dir.hpp"

namespace clean_test {

using namespace kvbackup;
using test_support::FixedClock;
using test_support::many_pairs;

namespace {

constexpr const char* run_id = "00112233445566778899aabbccddeeff";
const std::string hash(64, 'a');

template <class Backend>
void put(Backend& backend, std::string_view name, ByteView bytes = "x") {
  auto writer = backend.create(name, {.size_hint = {}, .if_absent = false});
  REQUIRE(writer.ok());
  REQUIRE(writer.value().append(bytes).ok());
  REQUIRE(writer.value().commit().ok());
}

template <class Backend>
std::vector<std::string> names(Backend& backend) {
  std::vector<std::string> out;
  for (const ObjectInfo& each : backend.list("").value()) out.push_back(each.name);
  return out;
}

template <class Backend>
void back_up(Backend& backend, std::uint64_t cluster_id = 0) {
  FixedClock clock;
  BackupOptions options;
  options.clock = &clock;
  options.part_size = 4000;
  options.cluster_id = cluster_id;
  REQUIRE(BackupPipeline(RangeSource(many_pairs(200)), NoneCodec{}, FileHasher{}, backend)
              .run(options)
              .ok());
}

DestinationLock lock_of(const std::string& id, std::uint64_t renewed) {
  DestinationLock lock;
  lock.format = lock_format;
  lock.run_id = lock.job_id = id;
  lock.host = "elsewhere";
  lock.renewed_unix_ms = renewed;
  lock.lease_ms = lock_lease_ms;
  return lock;
}

template <class Backend>
Result<CleanReport> clean(Backend& backend, bool remove, bool despite_br_lock = false) {
  static FixedClock clock;
  CleanOptions options;
  options.clock = &clock;
  options.remove = remove;
  options.run_id = run_id;
  options.despite_br_lock = despite_br_lock;
  return clean_destination(backend, options);
}

template <class Backend>
Result<DeleteReport> delete_it(Backend& backend, bool remove = true) {
  static FixedClock clock;
  DeleteOptions options;
  options.clock = &clock;
  options.remove = remove;
  options.run_id = run_id;
  return delete_backup(backend, options);
}

// Objects of others, whose names are near to ours.
const std::vector<std::string> foreign{"1/2_3_4_default.sst",
                                       "1_1.sst",
                                       "2024_01_02_notes.sst",
                                       "a/b/1_1_1_default.sst",
                                       "kvbackup.checkpoint.x",
                                       "kvbackup.lock.me",
                                       "notes.txt"};
const std::vector<std::string> leftovers{"1/2_3_" + hash + "_1600000000000_default.sst",
                                         "1/2_3_write.sst",
                                         "1_9_1_default.sst",
                                         "7_1_1_" + hash + "_1600000000000_a%2Fb.sst",
                                         "kvbackup.checkpoint.0123456789abcdef.0",
                                         "kvbackup.checkpoint.0123456789abcdef.12"};

}  // namespace

TEST_CASE("what was left is shown, and goes only when that is asked for; the rest stays") {
  MemoryBackend backend;
  back_up(backend);
  for (const std::string& name : foreign) put(backend, name);
  const std::vector<std::string> kept = names(backend);
  for (const std::string& name : leftovers) put(backend, name);
  const std::vector<std::string> all = names(backend);

  const auto shown = clean(backend, false);
  REQUIRE(shown.ok());
  CHECK(shown.value().has_backup);
  CHECK(shown.value().held.empty());
  std::vector<std::string> found;
  for (const Leftover& each : shown.value().leftovers) {
    CHECK_FALSE(each.removed);
    CHECK(each.size == 1);
    found.push_back(each.name);
  }
  CHECK(found == leftovers);
  CHECK(names(backend) == all);

  const auto removed = clean(backend, true);
  REQUIRE(removed.ok());
  CHECK(removed.value().leftovers.size() == leftovers.size());
  for (const Leftover& each : removed.value().leftovers) CHECK(each.removed);
  CHECK(names(backend) == kept);
  CHECK(clean(backend, true).value().leftovers.empty());
}

TEST_CASE("a folder with a backup, a lock or a checkpoint of its own is not cleaned") {
  for (const char* sign : {"backupmeta", "backup.lock", "kvbackup.lock.0123456789abcdef",
                           "kvbackup.checkpoint.0123456789abcdef.0"}) {
    MemoryBackend backend;
    put(backend, std::string("1/") + sign);
    put(backend, "1/2_3_write.sst");
    put(backend, "1_2_3_write.sst");
    const auto report = clean(backend, true);
    REQUIRE(report.ok());
    CHECK(report.value().leftovers.size() == 1);
    CHECK(names(backend).size() == 2);
  }
}

TEST_CASE("nothing is removed where a run lives, and what a dead one left goes with its lock") {
  FixedClock clock;
  MemoryBackend backend;
  const std::string id = "0123456789abcdef";
  put(backend, leftovers[2]);
  put(backend, lock_name(id), encode_lock(lock_of(id, clock.unix_ms() - 1000)));
  const std::vector<std::string> before = names(backend);
  const auto shown = clean(backend, false);
  REQUIRE(shown.ok());
  CHECK(shown.value().held.find("elsewhere") != std::string::npos);
  const auto refused = clean(backend, true);
  CHECK(refused.status().code() == StatusCode::already_exists);
  CHECK(names(backend) == before);

  put(backend, lock_name(id), encode_lock(lock_of(id, clock.unix_ms() - 2 * lock_lease_ms)));
  REQUIRE(clean(backend, true).ok());
  CHECK(names(backend).empty());
}

TEST_CASE("BR's lock file without a backup is respected, unless that is not wanted") {
  MemoryBackend backend;
  put(backend, backup_lock_name, backup_lock_text);
  put(backend, leftovers[2]);
  CHECK_FALSE(clean(backend, true).value().held.empty());
  CHECK(names(backend).size() == 2);
  CHECK(clean(backend, true, true).value().held.empty());
  CHECK(names(backend) == std::vector<std::string>{std::string(backup_lock_name)});
}

TEST_CASE("where backupmeta cannot be read, nothing is taken for a leftover") {
  MemoryBackend backend;
  back_up(backend);
  put(backend, backupmeta_name, "damaged");
  const std::vector<std::string> before = names(backend);
  CHECK(clean(backend, true).status().code() == StatusCode::corruption);
  CHECK(delete_it(backend).status().code() == StatusCode::corruption);
  CHECK(names(backend) == before);
}

TEST_CASE("temporary files of a killed process are cleaned away, others' are not") {
  const test_support::TempDir folder;
  LocalBackend backend(folder.path());
  back_up(backend);
  const std::size_t whole = folder.entries();
  test_support::write_file(folder.path(".1_2_1_default.sst.tmp0123456789abcdef"), "half");
  test_support::write_file(folder.path(".backupmeta.tmp0123456789abcdef"), "half");
  test_support::write_file(folder.path(".notes.txt.tmp0123456789abcdef"), "theirs");
  const auto report = clean(backend, true);
  REQUIRE(report.ok());
  CHECK(report.value().leftovers.size() == 2);
  CHECK(folder.entries() == whole + 1);
}

TEST_CASE(
    "a cleaning that fails anywhere leaves the backup whole, and its lock as soon as it can") {
  for (std::uint64_t n = 1;; ++n) {
    MemoryBackend backend;
    back_up(backend);
    const std::vector<std::string> kept = names(backend);
    for (const std::string& name : leftovers) put(backend, name);
    test_support::FaultBackend faulty(backend, test_support::Operation::any, n);
    const auto report = clean(faulty, true);
    for (const std::string& name : kept) CHECK(backend.exists(name).value());
    if (!faulty.fired()) {
      CHECK(report.ok());
      break;
    }
    CHECK(
        clean(backend, true).status().code() ==
        (backend.exists(lock_name(run_id)).value() ? StatusCode::already_exists : StatusCode::ok));
  }
}

TEST_CASE("a backup is deleted, backupmeta first, and what is not its own stays") {
  MemoryBackend backend;
  back_up(backend);
  put(backend, backup_lock_name, backup_lock_text);
  for (const std::string& name : foreign) put(backend, name);
  const auto shown = delete_it(backend, false);
  REQUIRE(shown.ok());
  CHECK(shown.value().names.front() == backupmeta_name);
  CHECK(backend.exists(backupmeta_name).value());
  const auto report = delete_it(backend);
  REQUIRE(report.ok());
  CHECK(report.value().names == shown.value().names);
  CHECK(names(backend) == foreign);
  CHECK(delete_it(backend).status().code() == StatusCode::not_found);
}

TEST_CASE(
    "a deletion that fails anywhere leaves the whole backup, or none and what can be cleaned") {
  for (std::uint64_t n = 1;; ++n) {
    MemoryBackend backend;
    back_up(backend);
    test_support::FaultBackend faulty(backend, test_support::Operation::remove, n);
    const auto report = delete_it(faulty);
    if (!faulty.fired()) {
      CHECK(report.ok());
      CHECK(names(backend).empty());
      break;
    }
    if (backend.exists(backupmeta_name).value()) {
      CHECK(Backup<MemoryBackend>::open(backend).value().verify().value().is_whole());
    } else {
      (void)backend.remove(lock_name(run_id));  // as when its lease has ended
      REQUIRE(clean(backend, true).ok());
      CHECK(names(backend).empty());
    }
  }
}

TEST_CASE("a backupmeta that names objects outside of the destination leads nowhere") {
  const std::string zero("a\0b", 3);
  for (const std::string& name :
       {std::string("../victim.sst"), std::string("/victim.sst"), std::string("a/../../victim.sst"),
        std::string("./1_1_1_default.sst"), std::string("a\\b.sst"), zero, std::string()}) {
    INFO(to_hex(name));
    const test_support::TempDir folder;
    LocalBackend backend(folder.path("backup"));
    back_up(backend);
    auto manifest = decode_manifest(backend.read(backupmeta_name).value());
    REQUIRE(manifest.ok());
    // the bytes are there and right, but for where they lie
    File& file = manifest.value().meta.files.front();
    test_support::write_file(folder.path("victim.sst"), backend.read(file.name).value());
    REQUIRE(backend.remove(file.name).ok());
    file.name = name;
    put(backend, backupmeta_name, encode_manifest(manifest.value().meta, *manifest.value().info));

    auto backup = Backup<LocalBackend>::open(backend);
    if (backup.ok()) {
      CHECK_FALSE(backup.value().verify().value().is_whole());
      CHECK_FALSE(restore(backup.value(), [](ByteView, ByteView) {}).ok());
    }
    CHECK(delete_it(backend).ok());
    CHECK(names(backend).empty());
    CHECK(std::filesystem::exists(folder.path("victim.sst")));
  }
}

TEST_CASE("an incremental backup is known by the version that it begins with, and its cluster") {
  BackupMeta parent;
  parent.cluster_id = 7;
  parent.end_version = 10;
  BackupMeta child = parent;
  child.start_version = 10;
  child.end_version = 20;
  CHECK(is_incremental_of(child, parent));
  CHECK_FALSE(is_incremental_of(parent, child));
  BackupMeta other = child;
  other.cluster_id = 8;
  CHECK_FALSE(is_incremental_of(other, parent));
  other = child;
  other.start_version = 9;
  CHECK_FALSE(is_incremental_of(other, parent));
  other = child;
  other.is_raw_kv = true;
  CHECK_FALSE(is_incremental_of(other, parent));
}

}  // namespace clean_test
