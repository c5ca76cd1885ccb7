// SPDX-License-Identifier: Apache-2.0
// Stores in TiKV's MVCC layout that RocksDB wrote, and their backups as RocksDB reads them.
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "conformance/rocksdb_store/store_support.hpp"
#include "support/fixed_clock.hpp"
#include "support/mvcc_check.hpp"

using namespace kvbackup;
using namespace rocksdb_store_test;
using test_support::MvccModel;
using test_support::MvccStore;
using test_support::TempDir;

namespace {

using Versions = MvccSnapshot<RocksdbSnapshot>;

/// A store with the column families of TiKV.
class TikvStore {
 public:
  explicit TikvStore(const std::string& path)
      : store_(path, {}, {{"default", {}}, {"lock", {}}, {"write", {}}}) {}

  /// Replaces all that is in it; `flushes` spreads it over tables and the log.
  void fill(const MvccStore& from, bool flushes) {
    for (const auto& [name, family] : from.families) {
      must(store_.get()->DeleteRange({}, store_.cf(name), "", std::string(40, '\xff')));
      store_.put(name, family);
      if (flushes && name != "lock") store_.flush();
    }
  }
  Result<RocksdbSnapshot> snapshot() const {
    return RocksdbSnapshot::from_db(store_.get(), store_.all());
  }

 private:
  RawStore store_;
};

void check_histories(std::uint64_t first_seed, std::uint64_t count) {
  const TempDir folder;
  TikvStore store(folder.path("store"));
  for (std::uint64_t seed = first_seed; seed < first_seed + count; ++seed) {
    MvccModel model(seed);
    if (seed % 2 == 0) {  // without the data prefix
      MvccStore plain;
      plain.prefix = "";
      for (const auto& [name, family] : model.store.families) {
        for (const auto& [key, value] : family) plain.families[name][key.substr(1)] = value;
      }
      model.store = std::move(plain);
    }
    store.fill(model.store, seed % 8 == 0);
    for (int i = 0; i < 3; ++i) {
      INFO("seed " << seed);
      REQUIRE(test_support::check_against(model, [&](const MvccOptions& options) {
                return Versions::take(options, [&] { return store.snapshot(); });
              }) == "");
    }
  }
}

}  // namespace

TEST_CASE("random histories in RocksDB give what a replay of them gives") {
  check_histories(0, 200);
}

TEST_CASE("thousands of random histories in RocksDB give what a replay of them gives", "[.full]") {
  check_histories(1'000'000, 2'000);
}

TEST_CASE("many random histories in memory give what a replay of them gives", "[.full]") {
  for (std::uint64_t seed = 2'000'000; seed < 2'060'000; ++seed) {
    MvccModel model(seed);
    INFO("seed " << seed);
    REQUIRE(test_support::check_against(model, [&](const MvccOptions& options) {
              return MvccSnapshot<MvccStore>::of(model.store, options);
            }) == "");
  }
}

TEST_CASE("RocksDB reads from the files of a transactional backup what the store holds") {
  const TempDir folder;
  MvccStore model;
  for (int i = 0; i < 6000; ++i) {
    const std::string key = "key" + std::to_string(i);
    model.put(key, 10, 20, std::string(i % 3 == 0 ? 400 : 40, static_cast<char>('a' + i % 26)));
    if (i % 5 == 0) model.put(key, 30, 40, "newer");
    if (i % 7 == 0) model.mark(key, 50, 60, MvccWriteType::remove);
  }
  {
    TikvStore store(folder.path("store"));
    store.fill(model, true);
  }
  for (const std::uint64_t start : {0u, 25u}) {
    // as the program does it: nobody has the store open
    auto snapshot = Versions::take({.start_version = start,
                                    .end_version = 100,
                                    .bad_versions_give_nothing = false,
                                    .prefix = MvccPrefix::detect,
                                    .host = nullptr,
                                    .clock = nullptr},
                                   [&] { return RocksdbSnapshot::open(folder.path("store")); });
    REQUIRE(snapshot.ok());
    const std::string target = folder.path("backup" + std::to_string(start));
    std::filesystem::create_directory(target);
    test_support::FixedClock clock;
    ThreadExecutor threads;
    BackupOptions options;
    options.clock = &clock;
    options.executor = &threads;
    options.concurrency = 3;
    options.part_size = 100'000;
    const auto meta = BackupPipeline(std::move(snapshot).value(), Lz4Codec{}, FileHasher{},
                                     LocalBackend(target), MvccLayout{})
                          .run(options);
    REQUIRE(meta.ok());
    Cfs read;
    for (const File& file : meta.value().files) {
      rocksdb::SstFileReader reader{rocksdb::Options()};
      must(reader.Open(target + "/" + file.name));
      must(reader.VerifyChecksum());
      rocksdb::ReadOptions all;
      all.total_order_seek = true;
      const std::unique_ptr<rocksdb::Iterator> at(reader.NewIterator(all));
      for (at->SeekToFirst(); at->Valid(); at->Next()) {
        read[file.cf][at->key().ToString()] = at->value().ToString();
      }
      must(at->status());
      const auto properties = reader.GetTableProperties();
      CHECK(properties->property_collectors_names ==
            (file.cf == "write" ? "[tikv.mvcc-properties-collector,tikv.range-properties-collector]"
                                : "[tikv.range-properties-collector]"));
    }
    Cfs expected;
    for (int i = 0; i < 6000; ++i) {
      const std::string key = "key" + std::to_string(i);
      const bool is_removed = i % 7 == 0;
      const std::uint64_t newest = is_removed ? 60 : i % 5 == 0 ? 40 : 20;
      if (newest <= start || (start == 0 && is_removed)) continue;
      const std::string write = "z" + mvcc_key(key, newest);
      expected["write"][write] = model.families["write"].at(write);
      if (newest != 20 || i % 3 != 0) continue;
      const std::string large = "z" + mvcc_key(key, 10);
      expected["default"][large] = model.families["default"].at(large);
    }
    CHECK((read == expected));
    LocalBackend stored(target);
    const auto report = verify_backup(stored, FileHasher{}, BuiltDecoders{});
    REQUIRE(report.ok());
    CHECK(report.value().findings.empty());
    CHECK(report.value().pairs == expected["write"].size());
  }
}
