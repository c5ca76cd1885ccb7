// SPDX-License-Identifier: Apache-2.0
// Transactional backups read by key and restored: alone, and with the incremental ones that follow.
#include <functional>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/txn_history.hpp"
#include "unit/restore/restored_families.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::history_in;
using test_support::MvccStore;
using test_support::random_history;
using test_support::state_at;
using test_support::store_of;
using test_support::txn_backup;
using test_support::TxnBackupOptions;
using test_support::TxnHistory;

namespace {

using MemoryTxnBackup = TxnBackup<MemoryBackend>;

void check_refused(const Status& status, std::initializer_list<std::string_view> parts) {
  INFO(status.to_string());
  CHECK_FALSE(status.ok());
  for (const std::string_view part : parts) {
    INFO("lacks: " << part);
    CHECK(status.to_string().find(part) != std::string::npos);
  }
}

Result<MemoryTxnBackup> chain_of(const std::vector<MemoryBackend>& backends,
                                 const TxnReadOptions& options = {}) {
  std::vector<MemoryBackup> members;
  for (const MemoryBackend& backend : backends) members.push_back(opened(backend));
  return MemoryTxnBackup::open(std::move(members), options);
}
MemoryTxnBackup must_chain(const std::vector<MemoryBackend>& backends,
                           const TxnReadOptions& options = {}) {
  auto chain = chain_of(backends, options);
  require_ok(chain.status());
  return std::move(chain).value();
}

MemoryBackend backup_between(const TxnHistory& history, std::uint64_t start_ts,
                             std::uint64_t end_ts, std::size_t keys_a_part = 50,
                             std::string prefix = "z") {
  TxnBackupOptions options;
  options.start_ts = start_ts;
  options.end_ts = end_ts;
  options.keys_a_part = keys_a_part;
  options.key_prefix = std::move(prefix);
  return txn_backup(history, options);
}

Families restored_txn(const MemoryTxnBackup& backup, const RestoreOptions& options = {}) {
  Families target;
  FamiliesSink sink(target);
  const auto result = restore(backup, sink, options);
  require_ok(result.status());
  require_ok(check_restored(FamiliesSnapshot(target), result.value()));
  return target;
}
Status restore_failure(const MemoryTxnBackup& backup, const RestoreOptions& options = {}) {
  Families target;
  FamiliesSink sink(target);
  const auto result = restore(backup, sink, options);
  CHECK(sink.abandoned);
  CHECK(sink.puts == 0);
  CHECK(target.empty());
  return result.status();
}

Store pairs_of(const MemoryTxnBackup& backup, const KeyRange& range = {}) {
  auto source = backup.scan(range);
  require_ok(source.status());
  Store store;
  for (; source.value().valid(); source.value().next()) {
    store.emplace(source.value().key(), source.value().value());
  }
  require_ok(source.value().status());
  return store;
}

/// A backup by the library itself, of a store of TiKV's that holds the history.
MemoryBackend backed_up_by_pipeline(const TxnHistory& history, std::uint64_t start_ts,
                                    std::uint64_t end_ts, std::uint64_t part_size) {
  MvccOptions versions;
  versions.start_version = start_ts;
  versions.end_version = end_ts;
  versions.prefix = MvccPrefix::tikv;
  auto snapshot = MvccSnapshot<MvccStore>::of(store_of(history), versions);
  require_ok(snapshot.status());
  MemoryBackend backend;
  test_support::FixedClock clock;
  BackupOptions options;
  options.clock = &clock;
  options.part_size = part_size;
  require_ok(
      BackupPipeline(std::move(snapshot).value(), NoneCodec{}, FileHasher{}, backend, MvccLayout{})
          .run(options)
          .status());
  return backend;
}

TxnHistory literal_history() {
  TxnHistory history;
  history["gone"][10] = {MvccWriteType::put, 9, "was here", {}};
  history["gone"][20] = {MvccWriteType::remove, 19, "", {}};
  history["kept"][10] = {MvccWriteType::put, 9, "short", {}};
  history["kept"][25] = {MvccWriteType::rollback, 25, "", {}};
  history["large"][10] = {MvccWriteType::put, 8, std::string(256, 'a'), {}};
  history["large"][30] = {MvccWriteType::put, 28, std::string(255, 'b'), {}};
  history["late"][30] = {MvccWriteType::put, 29, std::string(1000, 'c'), {}};
  return history;
}

}  // namespace

TEST_CASE("a full backup shows the newest value of each user key, without what was deleted") {
  const TxnHistory history = literal_history();
  CHECK(pairs_of(must_chain({backup_between(history, 0, 15)})) ==
        Store{{"gone", "was here"}, {"kept", "short"}, {"large", std::string(256, 'a')}});
  const auto backup = must_chain({backup_between(history, 0, 30)});
  CHECK(pairs_of(backup) == Store{{"kept", "short"},
                                  {"large", std::string(255, 'b')},
                                  {"late", std::string(1000, 'c')}});
  CHECK(backup.get("default", "kept").value() == "short");
  CHECK(backup.get("default", "late").value() == std::string(1000, 'c'));
  CHECK(backup.get("default", "gone").value() == std::nullopt);
  CHECK(backup.get("default", "kep").value() == std::nullopt);
  CHECK(backup.get("write", "kept").value() == std::nullopt);
  CHECK(pairs_of(backup, {"default", "l", "lat"}) == Store{{"large", std::string(255, 'b')}});
}

TEST_CASE("with the incremental backups that follow it, the newest wins and deletions delete") {
  const TxnHistory history = literal_history();
  const std::vector<MemoryBackend> chain{backup_between(history, 0, 15),
                                         backup_between(history, 15, 20),
                                         backup_between(history, 18, 30)};
  for (const std::uint64_t end : {std::uint64_t{15}, std::uint64_t{20}, std::uint64_t{30}}) {
    TxnReadOptions options;
    options.to_version = end;
    const auto backup = must_chain(chain, options);
    CHECK(backup.end_version() == end);
    CHECK(pairs_of(backup) == state_at(history, end));
    CHECK(restored_txn(backup) == Families{{"default", state_at(history, end)}});
  }
  CHECK(restored_txn(must_chain(chain)) == Families{{"default", state_at(history, 30)}});
}

TEST_CASE("into a store of TiKV go the records of both column families, every version of them") {
  const TxnHistory history = literal_history();
  const std::vector<MemoryBackend> chain{backup_between(history, 0, 15),
                                         backup_between(history, 15, 30)};
  for (const std::string prefix : {"z", ""}) {
    TxnReadOptions options;
    options.view = TxnView::tikv;
    options.key_prefix = prefix;
    const Families target = restored_txn(must_chain(chain, options));
    REQUIRE(target.size() == 2);
    CHECK(target.at("default") == Store{{prefix + mvcc_key("large", 8), std::string(256, 'a')},
                                        {prefix + mvcc_key("late", 29), std::string(1000, 'c')}});
    CHECK(target.at("write").size() == 6);
    CHECK(target.at("write").at(prefix + mvcc_key("gone", 20)) ==
          history.at("gone").at(20).record());
    const TxnHistory found = history_in(target, prefix);
    CHECK(state_at(found, 15) == state_at(history, 15));
    CHECK(state_at(found, 30) == state_at(history, 30));
  }
}

namespace {

/// Full and incremental backups of a random history, restored in both views.
void check_random_history(std::uint32_t seed, std::size_t keys) {
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr std::uint64_t last_ts = 100;
  const TxnHistory history = random_history(random, keys, last_ts);
  const std::string prefix = random() % 2 == 0 ? "z" : "";
  std::uint64_t end = 1 + random() % 60;
  std::vector<std::uint64_t> ends{end};
  std::vector<MemoryBackend> chain{backup_between(history, 0, end, 1 + random() % 8, prefix)};
  while (end < last_ts && random() % 4 != 0) {
    const std::uint64_t start = end - random() % std::min<std::uint64_t>(end, 5);
    end += 1 + random() % 30;
    ends.push_back(end);
    chain.push_back(backup_between(history, start, end, 1 + random() % 8, prefix));
  }
  const std::size_t to = random() % ends.size();
  TxnReadOptions options;
  if (random() % 2 == 0) options.to_version = ends[to];
  const std::uint64_t at = options.to_version.value_or(ends.back());
  const auto flat = must_chain(chain, options);
  const Store expected = state_at(history, at);
  const Families flat_target = restored_txn(flat);
  REQUIRE(flat_target.at("default") == expected);
  for (const auto& [key, versions] : history) {
    const auto value = flat.get("default", key);
    require_ok(value.status());
    const auto found = expected.find(key);
    REQUIRE(value.value().has_value() == (found != expected.end()));
    if (value.value()) REQUIRE(*value.value() == found->second);
  }
  options.view = TxnView::tikv;
  options.key_prefix = random() % 2 == 0 ? "z" : "";
  const auto tikv = must_chain(chain, options);
  REQUIRE(state_at(history_in(restored_txn(tikv), options.key_prefix), at) == expected);
}

}  // namespace

TEST_CASE("full and incremental backups restored are the state at their end, whatever happened") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) check_random_history(seed, 12);
  for (std::uint32_t seed = 1001; seed <= 1010; ++seed) check_random_history(seed, 300);
}

TEST_CASE("what the library backed up is restored as the state at its end") {
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const TxnHistory history = random_history(random, 60, 100);
    const std::uint64_t middle = 20 + random() % 60;
    const std::uint64_t part_size = 1 + random() % 4000;
    const auto backup = must_chain({backed_up_by_pipeline(history, 0, middle, part_size),
                                    backed_up_by_pipeline(history, middle, 100, part_size)});
    REQUIRE(restored_txn(backup).at("default") == state_at(history, 100));
    TxnReadOptions tikv;
    tikv.view = TxnView::tikv;
    tikv.to_version = middle;
    const auto records = must_chain({backed_up_by_pipeline(history, 0, middle, part_size)}, tikv);
    REQUIRE(state_at(history_in(restored_txn(records), "z"), middle) == state_at(history, middle));
  }
}

TEST_CASE("the same over thousands of histories", "[.][full]") {
  for (std::uint32_t seed = 10'001; seed <= 15'000; ++seed) check_random_history(seed, 8);
}

TEST_CASE("what does not follow one another is refused, and named") {
  const TxnHistory history = literal_history();
  const MemoryBackend full = backup_between(history, 0, 15);
  check_refused(chain_of({}).status(), {"no backup is named"});
  check_refused(chain_of({backup_between(history, 15, 30)}).status(),
                {"it is an incremental backup, of the changes after version 15"});
  check_refused(chain_of({full, backup_between(history, 16, 30)}).status(),
                {"it begins after version 16, and the backup before it ends with 15"});
  check_refused(chain_of({full, backup_between(history, 10, 15)}).status(),
                {"it ends with version 15, which the backup before it, that ends with 15"});
  check_refused(chain_of({full, backup_between(history, 0, 30)}).status(),
                {"it is a full backup: it needs none before it"});
  check_refused(chain_of({full, backup_between(history, 30, 30)}).status(),
                {"it is a full backup"});
  TxnBackupOptions other;
  other.start_ts = 15;
  other.end_ts = 30;
  other.cluster_id = 8;
  check_refused(chain_of({full, txn_backup(history, other)}).status(),
                {"it is of cluster 8, and the backup before it of cluster 7"});
  other.cluster_id = 7;
  other.range.end = "m";
  check_refused(chain_of({full, txn_backup(history, other)}).status(),
                {"it holds other key ranges than the backup before it"});
  check_refused(chain_of({full, backed_up({{"default", test_support::many_pairs(10)}})}).status(),
                {"it is a raw backup, and only transactional ones build on one another"});
  TxnReadOptions options;
  options.to_version = 17;
  check_refused(chain_of({full, backup_between(history, 15, 30)}, options).status(),
                {"no backup ends with version 17; those named end with 15, 30"});
}

TEST_CASE("a backup that begins where it ends is read as a full one") {
  const TxnHistory history = literal_history();
  CHECK(pairs_of(must_chain({backup_between(history, 30, 30)})) == state_at(history, 30));
}

TEST_CASE("a large value that is missing is an error that names its key, before anything is put") {
  TxnBackupOptions options;
  options.end_ts = 15;
  // backupmeta agrees with the files, so that only the records tell
  options.change_records = [](std::string_view cf, Store& records) {
    if (cf == "default") records.clear();
  };
  options.change_meta = [](BackupMeta&) {};
  const auto backend = txn_backup(literal_history(), options);
  for (const TxnView view : {TxnView::flat, TxnView::tikv}) {
    TxnReadOptions read;
    read.view = view;
    check_refused(restore_failure(must_chain({backend}, read)),
                  {"no file of column family default holds it", to_hex("large")});
  }
  const auto backup = must_chain({backend});
  check_refused(backup.get("default", "large").status(),
                {"no file of column family default holds it", to_hex("large")});
  CHECK(backup.get("default", "kept").value() == "short");
}

TEST_CASE("a damaged or missing file of any backup ends a restore before anything is put") {
  const TxnHistory history = literal_history();
  for (const bool flipped : {true, false}) {
    const MemoryBackend full = backup_between(history, 0, 15);
    const MemoryBackend incremental = backup_between(history, 15, 30);
    const std::string name = opened(incremental).meta().files.front().name;
    std::string bytes = incremental.read(name).value();
    if (flipped) {
      bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
      put_object(incremental, name, bytes);
    } else {
      require_ok(incremental.remove(name));
    }
    const Status status = restore_failure(must_chain({full, incremental}));
    check_refused(status, {name});
    CHECK(status.code() == StatusCode::corruption);
  }
}

TEST_CASE("counts that do not fit the records end a restore before anything is put") {
  TxnBackupOptions options;
  options.end_ts = 15;
  options.change_meta = [](BackupMeta& meta) { meta.files.back().crc64xor ^= 1; };
  check_refused(restore_failure(must_chain({txn_backup(literal_history(), options)})),
                {"its crc64xor: ", "nothing was restored"});
}

TEST_CASE("a restore of part of the keys takes user keys, and reads the files that it needs only") {
  std::mt19937 random(3);
  const TxnHistory history = random_history(random, 300, 100);
  const Store all = state_at(history, 100);
  const std::string start = std::next(all.begin(), 50)->first;
  const std::string end = std::next(all.begin(), 90)->first;
  const Store part(all.find(start), all.find(end));
  RestoreOptions options;
  options.ranges = {{"default", start, end}};
  const std::vector<MemoryBackend> chain{backup_between(history, 0, 50, 10),
                                         backup_between(history, 50, 100, 10)};
  const auto flat = must_chain(chain);
  CHECK(restored_txn(flat, options).at("default") == part);
  const auto plan = make_restore_plan(flat, options);
  require_ok(plan.status());
  CHECK(plan.value().files.size() < 30);
  const auto counted = count_restore(flat, options);
  require_ok(counted.status());
  CHECK(counted.value().pairs == part.size());
  TxnReadOptions tikv;
  tikv.view = TxnView::tikv;
  const Families records = restored_txn(must_chain(chain, tikv), options);
  CHECK(state_at(history_in(records, "z"), 100) == part);
  options.ranges = {{"write", start, end}};
  check_refused(restore_failure(flat, options),
                {"the backup holds no keys of this range; its column families are default"});
}

TEST_CASE("prefixes of user keys are rewritten in the flat view, and not in TiKV's") {
  const TxnHistory history = literal_history();
  RestoreOptions options;
  options.rewrite_prefix = PrefixRewrite{"la", "other"};
  const std::vector<MemoryBackend> chain{backup_between(history, 0, 30)};
  CHECK(restored_txn(must_chain(chain), options).at("default") ==
        Store{{"otherrge", std::string(255, 'b')}, {"otherte", std::string(1000, 'c')}});
  TxnReadOptions tikv;
  tikv.view = TxnView::tikv;
  check_refused(restore_failure(must_chain(chain, tikv), options),
                {"keys are not rewritten on their way into a store of TiKV"});
  options = {};
  options.target_cf = "elsewhere";
  CHECK(restored_txn(must_chain(chain), options).at("elsewhere") == state_at(history, 30));
  check_refused(restore_failure(must_chain(chain, tikv), options),
                {"to its column families default and write, and to no other"});
}

TEST_CASE("records of TiKV do not go into a sink of one column family") {
  TxnReadOptions tikv;
  tikv.view = TxnView::tikv;
  const auto backup = must_chain({backup_between(literal_history(), 0, 30)}, tikv);
  const auto result = restore(backup, [](ByteView, ByteView) {});
  check_refused(result.status(),
                {"the target holds one column family and the restore has several"});
}

TEST_CASE("a store is compared with what would be restored to it") {
  const TxnHistory history = literal_history();
  Families target{{"default", state_at(history, 15)}};
  const auto backup = must_chain({backup_between(history, 0, 15), backup_between(history, 15, 30)});
  const auto compared = compare_with(backup, FamiliesSnapshot(target));
  require_ok(compared.status());
  CHECK(compared.value().pairs.pairs == 3);
  CHECK(compared.value().present == 2);
  CHECK(compared.value().equal == 1);
}

TEST_CASE("ranges are cleared before a restore where that is asked for") {
  const TxnHistory history = literal_history();
  Families target{{"default", {{"gone", "stale"}, {"zebra", "stale"}}}};
  FamiliesSink sink(target);
  RestoreOptions options;
  options.clear_ranges = true;
  options.ranges = {{"default", "a", "m"}};
  const auto backup = must_chain({backup_between(history, 0, 30)});
  require_ok(restore(backup, sink, options).status());
  Store expected = state_at(history, 30);
  expected["zebra"] = "stale";
  CHECK(target.at("default") == expected);
}

TEST_CASE("files outside of the recorded ranges, or of another column family, are corruption") {
  TxnBackupOptions options;
  options.end_ts = 30;
  options.range = {"default", "k", "m"};
  options.change_meta = [](BackupMeta& meta) { meta.files[0].start_key = "a"; };
  check_refused(restore_failure(must_chain({txn_backup(literal_history(), options)})),
                {"it is of keys outside of the ranges"});
  options.change_meta = [](BackupMeta& meta) { meta.files[0].cf = "lock"; };
  check_refused(restore_failure(must_chain({txn_backup(literal_history(), options)})),
                {"files of column families default and write"});
}

TEST_CASE("BR's own backups, which record no ranges, are restored whole") {
  const TxnHistory history = literal_history();
  TxnBackupOptions options;
  options.end_ts = 15;
  options.is_br = true;
  const MemoryBackend full = txn_backup(history, options);
  options.start_ts = 15;
  options.end_ts = 30;
  const auto backup = must_chain({full, txn_backup(history, options)});
  CHECK(restored_txn(backup).at("default") == state_at(history, 30));

  Families other{{"default", {{"of another table", "kept"}}}};
  FamiliesSink sink(other);
  RestoreOptions clearing;
  clearing.clear_ranges = true;
  const auto refused = restore(must_chain({full}), sink, clearing);
  check_refused(refused.status(), {"all of the target would be cleared"});
  CHECK(other.at("default") == Store{{"of another table", "kept"}});
}

TEST_CASE("a range of TiKV's records that ends within a user key is refused") {
  TxnReadOptions tikv;
  tikv.view = TxnView::tikv;
  const auto backup = must_chain({backup_between(literal_history(), 0, 30)}, tikv);
  const auto ranges = backup.ranges();
  require_ok(ranges.status());
  REQUIRE(ranges.value().size() == 2);
  CHECK(ranges.value()[0] == KeyRange{"default", "z", "{"});
  CHECK(ranges.value()[1] == KeyRange{"write", "z", "{"});
  check_refused(backup.scan({"write", "zab", "{"}).status(), {"begins and ends between user keys"});
  CHECK(backup.scan({"lock", "z", "{"}).status().code() == StatusCode::not_found);
  require_ok(backup.check_held(ranges.value()));
  CHECK(backup.check_held({{"write", "", "{"}}).code() == StatusCode::not_found);
}

TEST_CASE("a restore is cancelled between files and between pairs") {
  CancelToken token;
  token.cancel();
  RestoreOptions options;
  options.cancel = &token;
  const auto backup = must_chain({backup_between(literal_history(), 0, 30)});
  CHECK(restore_failure(backup, options).code() == StatusCode::cancelled);
}
