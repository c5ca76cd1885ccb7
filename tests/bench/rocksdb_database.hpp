// SPDX-License-Identifier: Apache-2.0
// What RocksDB's users do today with a whole database at Options::path.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/utilities/backup_engine.h>
#include <rocksdb/utilities/checkpoint.h>

#include "data_sets.hpp"
#include "measure.hpp"
#include "options.hpp"
#include "report.hpp"
#include "rocksdb_tables.hpp"

namespace bench {

inline std::unique_ptr<rocksdb::DB> open_database(rocksdb::Options options, const std::string& path,
                                                  bool create) {
  options.create_if_missing = create;
  rocksdb::DB* database = nullptr;
  check(rocksdb::DB::Open(options, path, &database));
  return std::unique_ptr<rocksdb::DB>(database);
}

inline void count_files(const std::string& folder, RunResult& result) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    result.output_bytes += entry.file_size();
    ++result.files;
  }
}

/// Mode `ingest`: the files of an export, which are consumed, into a fresh database.
inline RunResult ingest(const Options& options, Section& section) {
  RunResult result;
  const std::string folder = options.path + ".db";
  std::filesystem::remove_all(folder);
  auto database = open_database(rocksdb_options(options), folder, true);
  const auto files = table_files(options);
  for (const auto& file : files) result.output_bytes += std::filesystem::file_size(file);
  result.files = files.size();
  rocksdb::IngestExternalFileOptions how;
  how.move_files = true;
  section = Section();
  check(database->IngestExternalFile(files, how));
  section.stop();
  std::string count;
  database->GetProperty("rocksdb.estimate-num-keys", &count);
  result.pairs = std::strtoull(count.c_str(), nullptr, 10);
  database.reset();
  std::filesystem::remove_all(folder);
  return result;
}

/// Mode `mkdb`: a database of the data set, flushed and compacted.
inline RunResult make_database(const Options& options, const Arena& arena, Section& section) {
  RunResult result;
  std::filesystem::remove_all(options.path);
  rocksdb::Options how = rocksdb_options(options);
  how.write_buffer_size = 64 << 20;
  section = Section();
  auto database = open_database(how, options.path, true);
  rocksdb::WriteBatch batch;
  for (auto at = arena.begin(); at.valid();) {
    batch.Clear();
    for (int i = 0; i < 128 && at.valid(); ++i, at.next()) {
      check(batch.Put(slice(at.key()), slice(at.value())));
      result.raw_bytes += at.key().size() + at.value().size();
      ++result.pairs;
    }
    check(database->Write(rocksdb::WriteOptions(), &batch));
  }
  check(database->Flush(rocksdb::FlushOptions()));
  check(database->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
  database.reset();
  section.stop();
  count_files(options.path, result);
  return result;
}

struct DatabaseCursor {
  std::unique_ptr<rocksdb::Iterator> it;
  [[nodiscard]] bool valid() const { return it->Valid(); }
  [[nodiscard]] std::string_view key() const { return view(it->key()); }
  [[nodiscard]] std::string_view value() const { return view(it->value()); }
  void next() { it->Next(); }
};

/// Modes `dbscan` and `dbpipeline`, the latter into files at PATH.export, which are removed.
inline RunResult walk_database(const Options& options, Section& section) {
  auto database = open_database(rocksdb_options(options), options.path, false);
  rocksdb::ReadOptions how;
  how.fill_cache = false;
  how.readahead_size = 2 << 20;
  RunResult result;
  section = Section();
  DatabaseCursor cursor{std::unique_ptr<rocksdb::Iterator>(database->NewIterator(how))};
  cursor.it->SeekToFirst();
  if (options.mode == "dbscan") {
    for (; cursor.valid(); cursor.next()) {
      result.raw_bytes += cursor.key().size() + cursor.value().size();
      ++result.pairs;
    }
    section.stop();
    return result;
  }
  Options to = options;
  to.path += ".export";
  result = export_tables(to, "pipeline", std::move(cursor));
  section.stop();
  for (std::uint64_t i = 0; i < result.files; ++i) std::filesystem::remove(to.file_name(i));
  return result;
}

/// Mode `checkpoint`: hard links, on the same disk only.
inline RunResult checkpoint(const Options& options, Section& section) {
  auto database = open_database(rocksdb_options(options), options.path, false);
  const std::string to = options.path + ".ckpt";
  std::filesystem::remove_all(to);
  rocksdb::Checkpoint* made = nullptr;
  check(rocksdb::Checkpoint::Create(database.get(), &made));
  const std::unique_ptr<rocksdb::Checkpoint> held(made);
  RunResult result;
  section = Section();
  check(held->CreateCheckpoint(to));
  section.stop();
  count_files(to, result);
  std::filesystem::remove_all(to);
  return result;
}

/// Modes `backup` and `restore`, by BackupEngine.
inline RunResult back_up_database(const Options& options, Section& section) {
  auto database = open_database(rocksdb_options(options), options.path, false);
  const std::string to = options.path + ".bak";
  const std::string restored = options.path + ".restored";
  std::filesystem::remove_all(to);
  std::filesystem::remove_all(restored);
  rocksdb::BackupEngineOptions how(to);
  how.max_background_operations = options.parallel;
  RunResult result;
  section = Section();
  rocksdb::BackupEngine* opened = nullptr;
  check(rocksdb::BackupEngine::Open(how, rocksdb::Env::Default(), &opened));
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  check(engine->CreateNewBackup(database.get(), true));
  section.stop();
  if (options.mode == "restore") {
    section = Section();
    check(engine->RestoreDBFromLatestBackup(restored, restored));
    section.stop();
  }
  count_files(to, result);
  std::filesystem::remove_all(to);
  std::filesystem::remove_all(restored);
  return result;
}

}  // namespace bench
