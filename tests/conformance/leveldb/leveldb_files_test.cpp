// SPDX-License-Identifier: Apache-2.0
// Files that LevelDB wrote, read by us, against what LevelDB itself says is in them.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/options.h>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"

using namespace kvbackup;

namespace {

using Model = std::map<std::string, std::string>;
using FileReader = TableReader<PosixFile, BuiltDecoders>;
using Database = std::unique_ptr<leveldb::DB>;

void require_ok(const leveldb::Status& status) {
  if (!status.ok()) throw std::runtime_error("LevelDB: " + status.ToString());
}
void require_ok(const Status& status) {
  if (!status.ok()) throw std::runtime_error("kvbackup: " + status.to_string());
}

Database open_database(const std::string& path, const leveldb::Options& options) {
  leveldb::DB* raw = nullptr;
  require_ok(leveldb::DB::Open(options, path, &raw));
  return Database(raw);
}

std::vector<FileReader> tables_of(const std::string& folder) {
  std::vector<FileReader> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".ldb" && entry.path().extension() != ".sst") continue;
    auto file = PosixFile::open(entry.path().string());
    require_ok(file.status());
    auto reader = FileReader::open(std::move(file).value());
    require_ok(reader.status());
    out.push_back(std::move(reader).value());
  }
  return out;
}

Model pairs_of(leveldb::DB& db) {
  Model out;
  const std::unique_ptr<leveldb::Iterator> it(db.NewIterator(leveldb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    out.emplace(it->key().ToString(), it->value().ToString());
  }
  require_ok(it->status());
  return out;
}

std::string random_key(std::mt19937& random) {
  std::string key = random() % 3 == 0 ? "" : "common/" + std::to_string(random() % 50) + "/";
  for (auto i = random() % 12; i > 0; --i) key.push_back(static_cast<char>(random()));
  return key;
}

leveldb::Options options_of(bool snappy, std::size_t block_size, int restarts) {
  leveldb::Options options;
  options.create_if_missing = true;
  options.compression = snappy ? leveldb::kSnappyCompression : leveldb::kNoCompression;
  options.block_size = block_size;
  options.block_restart_interval = restarts;
  options.write_buffer_size = 1 << 20;
  return options;
}

}  // namespace

TEST_CASE("the files of a compacted LevelDB have its pairs, each once") {
  const std::unique_ptr<const leveldb::FilterPolicy> filter(leveldb::NewBloomFilterPolicy(10));
  for (const bool snappy : {false, true}) {
    for (const bool filtered : {false, true}) {
      CAPTURE(snappy, filtered);
      const test_support::TempDir folder;
      leveldb::Options options = options_of(snappy, filtered ? 4096 : 300, snappy ? 16 : 3);
      if (filtered) options.filter_policy = filter.get();
      const Database db = open_database(folder.path("db"), options);
      std::mt19937 random(snappy ? 1 : 2);
      for (int i = 0; i < 40'000; ++i) {
        const std::string key = random_key(random);
        if (random() % 5 == 0) {
          require_ok(db->Delete(leveldb::WriteOptions(), key));
        } else {
          require_ok(db->Put(leveldb::WriteOptions(), key, std::string(random() % 150, 'v')));
        }
      }
      db->CompactRange(nullptr, nullptr);
      const Model expected = pairs_of(*db);
      Model ours;
      std::size_t found = 0;
      std::size_t wrong = 0;
      const std::vector<FileReader> readers = tables_of(folder.path("db"));
      REQUIRE(!readers.empty());
      for (const FileReader& reader : readers) {
        CHECK(reader.is_leveldb());
        CHECK(reader.format_version() == 0);
        require_ok(reader.verify_blocks());
        auto source = reader.source();
        for (; source.valid(); source.next()) {
          wrong += !ours.emplace(source.key(), source.value()).second;
        }
        require_ok(source.status());
      }
      CHECK(wrong == 0);
      CHECK(ours == expected);
      for (const auto& [key, value] : expected) {
        for (const FileReader& reader : readers) {
          const auto lookup = reader.get(key);
          require_ok(lookup.status());
          found += lookup.value().found() && lookup.value().value == value;
        }
      }
      CHECK(found == expected.size());
    }
  }
}

TEST_CASE("a file that LevelDB flushed has real sequence numbers, versions and deletions") {
  const test_support::TempDir folder;
  const leveldb::Options options = options_of(true, 200, 16);
  std::vector<std::pair<std::string, bool>> writes;  // the sequence numbers count from 1
  {
    const Database db = open_database(folder.path("db"), options);
    std::mt19937 random(3);
    for (int i = 0; i < 3000; ++i) {
      const std::string key = "key" + std::to_string(random() % 500);
      writes.emplace_back(key, random() % 3 != 0);
      if (writes.back().second) {
        require_ok(db->Put(leveldb::WriteOptions(), key, std::to_string(i)));
      } else {
        require_ok(db->Delete(leveldb::WriteOptions(), key));
      }
    }
  }
  const Database db = open_database(folder.path("db"), options);  // writes the log out as a table
  const std::vector<FileReader> readers = tables_of(folder.path("db"));
  REQUIRE(readers.size() == 1);
  std::size_t wrong = 0;
  std::size_t entries = 0;
  auto it = readers[0].entries();
  for (; it.valid(); it.next(), ++entries) {
    REQUIRE(it.sequence() >= 1);
    REQUIRE(it.sequence() <= writes.size());
    const auto& [key, is_put] = writes[it.sequence() - 1];
    wrong += it.key() != key || it.type() != (is_put ? EntryType::value : EntryType::deletion);
    if (is_put) wrong += it.value() != std::to_string(it.sequence() - 1);
  }
  require_ok(it.status());
  CHECK(wrong == 0);
  CHECK(entries == writes.size());
  Model live;
  auto source = readers[0].source();
  for (; source.valid(); source.next()) live.emplace(source.key(), source.value());
  require_ok(source.status());
  CHECK(live == pairs_of(*db));
}
