// SPDX-License-Identifier: Apache-2.0
// Transactional backups as verify sees them: counts of versions, schemas of tables, BR's rules.
#include <functional>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/txn_history.hpp"
#include "unit/restore/restore_support.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::random_history;
using test_support::txn_backup;
using test_support::TxnBackupOptions;
using test_support::TxnHistory;

namespace {

std::string table_prefix(std::int64_t id, std::string_view kind) {
  std::string key = "t";
  append_be64(key, static_cast<std::uint64_t>(id) ^ (std::uint64_t{1} << 63));
  key += kind;
  return key;
}
std::string index_prefix(std::int64_t id, std::int64_t index) {
  std::string key = table_prefix(id, "_i");
  append_be64(key, static_cast<std::uint64_t>(index) ^ (std::uint64_t{1} << 63));
  return key;
}

TxnHistory rows_of(std::int64_t id) {
  TxnHistory history;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    std::string key = table_prefix(id, "_r");
    append_be64(key, i);
    history[key][10 + i] = {MvccWriteType::put, 9 + i, std::string(i * 100, 'v'), {}};
  }
  return history;
}

Schema schema_of(const std::string& name, std::int64_t id, const std::string& more = "") {
  Schema schema;
  schema.db = R"({"id":1,"db_name":{"O":"shop","L":"shop"},"charset":"utf8mb4"})";
  schema.table =
      R"({"id":)" + std::to_string(id) + R"(,"name":{"O":")" + name + R"(","L":"x"})" + more + "}";
  return schema;
}

// A full backup of the rows of table 54 whose schema agrees with them.
TxnBackupOptions table_backup(std::int64_t id = 54) {
  TxnBackupOptions options;
  options.end_ts = 100;
  options.range.start = table_prefix(id, "_r") + std::string(8, '\0');
  options.range.end = table_prefix(id, "_r") + std::string(8, '\xff') + '\0';
  Schema schema = schema_of("orders", id, R"(,"index_info":[{"id":1,"idx_name":{"O":"i"}}])");
  const MemoryBackend backend = txn_backup(rows_of(id), options);
  for (const File& file : decode_manifest(backend.read("backupmeta").value()).value().meta.files) {
    schema.crc64xor ^= file.crc64xor;
    schema.total_kvs += file.total_kvs;
    schema.total_bytes += file.total_bytes;
  }
  options.schemas.push_back(std::move(schema));
  return options;
}

std::string br_damages(const TxnBackupOptions& options, const TxnHistory& history = rows_of(54)) {
  VerifyOptions verify;
  verify.br_rules = true;
  return lines_of(verified(txn_backup(history, options), verify), Severity::damage);
}
/// What BR's rules say once backupmeta was changed.
std::string br_damages_after(const std::function<void(BackupMeta&)>& change) {
  TxnBackupOptions options = table_backup();
  options.is_br = true;
  options.change_meta = change;
  return br_damages(options);
}

}  // namespace

TEST_CASE("a transactional backup is proven by the versions in its files") {
  std::mt19937 random(1);
  for (const bool br : {false, true}) {
    const TxnHistory history = random_history(random, 300, 1000);
    TxnBackupOptions options;
    options.end_ts = 700;
    options.is_br = br;
    const VerifyReport report = verified(txn_backup(history, options));
    CHECK(lines_of(report, Severity::damage).empty());
    CHECK(report.is_whole());
    CHECK(report.pairs == test_support::state_at(history, 700).size());
    options.change_meta = [](BackupMeta& meta) { meta.files[0].crc64xor ^= 1; };
    check_contains(damages(txn_backup(history, options)), {"its crc64xor: "});
  }
}

TEST_CASE("the table of TiDB whose file TiKV recorded counts as TiKV counted it") {
  // pkg/utils/json_test.go of pingcap/br: user key, timestamps and value as TiKV had them
  TxnHistory history;
  const std::string key = from_hex("7480000000000000365f720168656c6c6f000000fc").value();
  history[key][423978913202700291] = {
      MvccWriteType::put, 423978913202700290, from_hex("800000000000").value(), {}};
  TxnBackupOptions options;
  options.end_ts = 423978913202700292;
  options.range.start = from_hex("7480000000000000365f720000000000000000").value();
  options.range.end = from_hex("7480000000000000365f72ffffffffffffffff00").value();
  options.schemas.push_back(schema_of("test", 54));
  options.schemas[0].crc64xor = 8093018294706076845;
  options.schemas[0].total_kvs = 1;
  options.schemas[0].total_bytes = 27;
  options.is_br = true;
  CHECK(br_damages(options, history).empty());
}

TEST_CASE("a record that no backup writes is named, and so is a large value that is missing") {
  std::mt19937 random(2);
  const TxnHistory history = random_history(random, 100, 1000);
  TxnBackupOptions options;
  options.end_ts = 1000;
  const auto damaged = [&](std::function<void(std::string_view, test_support::Store&)> change) {
    options.change_records = std::move(change);
    return damages(txn_backup(history, options));
  };
  check_contains(damaged([](std::string_view cf, auto& records) {
                   if (cf == "write") records.begin()->second[0] = 'L';
                 }),
                 {"a lock or rollback record, which no backup writes", "_write.sst"});
  check_contains(damaged([](std::string_view cf, auto& records) {
                   if (cf == "write") records.begin()->second = "X";
                 }),
                 {"a record that is none of column family write"});
  check_contains(damaged([](std::string_view cf, auto& records) {
                   if (cf == "write") records.emplace(records.begin()->first + "1", "P");
                 }),
                 {"a key that is none of a version in TiKV's form"});
  check_contains(damaged([](std::string_view cf, auto& records) {
                   if (cf == "default") records.erase(records.begin());
                 }),
                 {"large values, and the default file of its part holds", "its pairs: "});
  check_contains(damaged([](std::string_view cf, auto& records) {
                   if (cf == "default") records.clear();
                 }),
                 {"large values, and the default file of its part holds 0"});
}

TEST_CASE("files of one part answer for the same keys, and a transactional backup not for pairs") {
  TxnBackupOptions options = table_backup();
  options.change_meta = [](BackupMeta& meta) { meta.files[1].start_key += '\0'; };
  check_contains(damages(txn_backup(rows_of(54), options)), {"answers for another key range"});
  const auto backup = opened(txn_backup(rows_of(54), table_backup()));
  CHECK(backup.get("default", "key1").status().code() == StatusCode::unsupported);
  CHECK(backup.scan({}).status().code() == StatusCode::unsupported);
}

TEST_CASE("a table whose files do not amount to what its schema says is named") {
  TxnBackupOptions options = table_backup();
  CHECK(damages(txn_backup(rows_of(54), options)).empty());
  options.schemas[0].total_kvs += 1;
  check_contains(damages(txn_backup(rows_of(54), options)),
                 {"table `shop`.`orders` (id 54): its schema says 6 pairs of ",
                  "and its files have 5 pairs of "});
  VerifyOptions quick;
  quick.quick = true;
  CHECK(verified(txn_backup(rows_of(54), options), quick).damages == 1);
}

TEST_CASE("rows under the ids of partitions count for their table") {
  TxnBackupOptions options = table_backup();
  options.schemas[0].table =
      R"({"id":50,"name":{"O":"orders"},"partition":{"definitions":[{"id":53},{"id":54}]}})";
  CHECK(br_damages(options).empty());
}

TEST_CASE("a schema without sums, or of an incremental backup, is not compared") {
  TxnBackupOptions options = table_backup();
  options.schemas[0].crc64xor = 0;
  options.schemas[0].total_kvs = 0;
  options.schemas[0].total_bytes = 0;
  CHECK(damages(txn_backup(rows_of(54), options)).empty());
  options = table_backup();
  options.schemas[0].total_kvs = 1;
  options.start_ts = 5;
  CHECK(damages(txn_backup(rows_of(54), options)).empty());
  options.start_ts = 100;  // as much as the end: a whole backup, says BR
  CHECK_FALSE(damages(txn_backup(rows_of(54), options)).empty());
}

TEST_CASE("a schema that is not TiDB's JSON is named by its place") {
  TxnBackupOptions options = table_backup();
  options.schemas.push_back(schema_of("broken", 55));
  options.schemas[1].table = R"({"id":55})";
  check_contains(damages(txn_backup(rows_of(54), options)),
                 {"of schema 1, its table is no TableInfo of TiDB as JSON"});
  options.schemas[1].db = "{";
  check_contains(damages(txn_backup(rows_of(54), options)),
                 {"of schema 1, its database is no DBInfo of TiDB as JSON"});
}

TEST_CASE("what BR restores breaks none of its rules") {
  TxnBackupOptions options = table_backup();
  CHECK(br_damages(options).empty());
  options.is_br = true;
  CHECK(br_damages(options).empty());
  VerifyOptions verify;
  verify.br_rules = true;
  const VerifyReport raw = verified(backup_of(many_pairs(1000), 3000), verify);
  CHECK(lines_of(raw, Severity::damage).empty());
}

TEST_CASE("each rule of BR is reported where it is broken, and only if asked for") {
  using Change = std::function<void(BackupMeta&)>;
  const std::string other_table = table_prefix(55, "_r");
  const std::pair<Change, const char*> broken[] = {
      {[](BackupMeta& meta) { meta.end_version = 0; }, "it has no end_version"},
      {[](BackupMeta& meta) { meta.start_version = 101; },
       "start_version 101 is above its end_version 100"},
      {[](BackupMeta& meta) { meta.files[0].end_version = 99; },
       "it holds versions (0, 99], and the backup is of (0, 100]"},
      {[](BackupMeta& meta) { meta.ddls.clear(); },
       "ddls is neither a JSON array of jobs nor null"},
      {[](BackupMeta& meta) { meta.ddls = "{}"; }, "ddls is neither"},
      {[](BackupMeta& meta) { meta.ddls = "[{]"; }, "ddls is neither"},
      {[](BackupMeta& meta) { meta.schemas.clear(); }, "it has no schemas"},
      {[](BackupMeta& meta) { meta.schemas.push_back(meta.schemas[0]); },
       "tables `shop`.`orders` and `shop`.`orders` both have the id 54"},
      {[](BackupMeta& meta) { meta.schemas[0].table = R"({"id":9,"name":{"O":"n"}})"; },
       "no schema has the table id 54 of its start key"},
      {[](BackupMeta& meta) { meta.files[0].start_key = "a"; }, "its start key is of no table"},
      {[](BackupMeta& meta) { meta.files[0].end_key.clear(); },
       "its start key is of table 54 and its end key is not"},
      {[&](BackupMeta& meta) { meta.files[0].end_key = other_table; },
       "its start key is of table 54 and its end key is not"},
      {[](BackupMeta& meta) { meta.files[0].end_key = table_prefix(54, "_s"); },
       "neither of rows nor of an index"},
      {[](BackupMeta& meta) { meta.files[0].start_key = index_prefix(54, 2); },
       "neither of rows nor of an index that the schema of `shop`.`orders` has"},
      {[](BackupMeta& meta) { meta.files[0].start_key = index_prefix(54, 1); },
       "its start and end keys are not both of rows, or of one index"},
      {[](BackupMeta& meta) { std::erase_if(meta.files, [](auto& f) { return f.cf == "write"; }); },
       "there is no write file of the same part"},
      {[](BackupMeta& meta) { meta.files[0].cf = "write"; },
       "BR takes it for one of column family default"},
      {[](BackupMeta& meta) { meta.files[0].name = "1_1_1.sst"; },
       "its name has neither \"default\" nor \"write\" in it"},
      {[](BackupMeta& meta) { meta.files[0].sha256.clear(); }, "it has no SHA-256"},
      {[](BackupMeta& meta) { meta.files[0].size = 0; }, "it has no bytes"},
  };
  for (const auto& [change, message] : broken) {
    const std::string found = br_damages_after(change);
    check_contains(found, {std::string("BR would not restore it: "), message});
    TxnBackupOptions options = table_backup();
    options.change_meta = change;
    CHECK_FALSE(contains(damages(txn_backup(rows_of(54), options)), "BR would"));
  }
}

TEST_CASE("BR's rules name files that overlap, and keys without TiKV's prefix") {
  TxnBackupOptions options = table_backup();
  options.keys_a_part = 2;
  options.is_br = true;
  options.change_meta = [](BackupMeta& meta) {
    for (File& file : meta.files) file.end_key = meta.files.back().end_key;
  };
  check_contains(br_damages(options), {"BR would not restore it: it overlaps "});
  options = table_backup();
  options.key_prefix.clear();
  check_contains(br_damages(options), {"its keys have no 'z' before them"});
}

TEST_CASE("BR's rules for raw backups: one of raw_ranges covers each file") {
  VerifyOptions verify;
  verify.br_rules = true;
  const auto found = [&verify](auto change) {
    const MemoryBackend backend = backup_of(many_pairs(1000), 3000);
    rewrite_manifest(backend, [&](BackupMeta& meta, KvbackupInfo&) { change(meta); });
    return lines_of(verified(backend, verify), Severity::damage);
  };
  check_contains(found([](BackupMeta& meta) { meta.raw_ranges.clear(); }), {"raw_ranges is empty"});
  check_contains(found([](BackupMeta& meta) { meta.raw_ranges[0].end_key = "user/2"; }),
                 {"no one of raw_ranges covers it"});
  check_contains(found([](BackupMeta& meta) { meta.schemas.push_back(schema_of("t", 1)); }),
                 {"a raw backup has no schemas"});
}
