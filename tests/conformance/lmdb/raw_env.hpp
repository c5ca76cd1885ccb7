// SPDX-License-Identifier: Apache-2.0
// LMDB used directly and through its tools: the other side of every test here.
#pragma once

#include <cstdio>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>

#include <kvbackup/ext/lmdb.hpp>
#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"

namespace lmdb_test {

using Pairs = std::map<std::string, std::string>;

inline void must(int rc) {
  if (rc != 0) throw std::runtime_error(mdb_strerror(rc));
}

/// An environment open for writing.
class RawEnv {
 public:
  explicit RawEnv(const std::string& path, unsigned flags = 0) {
    if ((flags & MDB_NOSUBDIR) == 0) std::filesystem::create_directories(path);
    must(mdb_env_create(&env_));
    must(mdb_env_set_mapsize(env_, std::size_t{256} << 20));
    must(mdb_env_set_maxdbs(env_, 500));
    must(mdb_env_open(env_, path.c_str(), flags | MDB_NOSYNC, 0644));
  }
  RawEnv(const RawEnv&) = delete;
  RawEnv& operator=(const RawEnv&) = delete;
  ~RawEnv() { mdb_env_close(env_); }

  MDB_env* get() const { return env_; }

  /// Puts pairs into a database ("" is the unnamed one) in one transaction.
  void put(const std::string& name, const Pairs& pairs, unsigned flags = 0) {
    MDB_txn* txn = nullptr;
    MDB_dbi dbi = 0;
    must(mdb_txn_begin(env_, nullptr, 0, &txn));
    must(mdb_dbi_open(txn, name.empty() ? nullptr : name.c_str(), flags | MDB_CREATE, &dbi));
    for (const auto& [key, value] : pairs) {
      MDB_val k{key.size(), const_cast<char*>(key.data())};
      MDB_val v{value.size(), const_cast<char*>(value.data())};
      must(mdb_put(txn, dbi, &k, &v, 0));
    }
    must(mdb_txn_commit(txn));
  }

 private:
  MDB_env* env_ = nullptr;
};

/// What mdb_dump says that a database holds.
inline Pairs dumped(const std::string& path, const std::string& db, bool single_file = false) {
  std::string command = std::string(MDB_DUMP) + (single_file ? " -n" : "");
  if (!db.empty()) command += " -s " + db;
  command += " " + path;
  FILE* const pipe = popen(command.c_str(), "r");
  std::string text;
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) {
    text.append(buffer, got);
  }
  REQUIRE(pclose(pipe) == 0);
  Pairs pairs;
  std::string key;
  bool is_key = true;
  for (std::size_t at = text.find("HEADER=END\n") + 11; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line == "DATA=END") break;
    const std::string bytes = kvbackup::from_hex(line.substr(1)).value();
    if (is_key) {
      key = bytes;
    } else {
      pairs[key] = bytes;
    }
    is_key = !is_key;
  }
  return pairs;
}

template <class Source>
Pairs drained(Source source) {
  Pairs pairs;
  std::string last;
  for (; source.valid(); source.next()) {
    const std::string key(source.key());
    REQUIRE((pairs.empty() || last < key));
    pairs[key] = std::string(source.value());
    last = key;
  }
  REQUIRE(source.status().to_string() == "ok");
  return pairs;
}

inline Pairs scanned(const kvbackup::LmdbSnapshot& snapshot, const std::string& cf,
                     const std::string& start = "", const std::string& end = "") {
  auto source = snapshot.scan({cf, start, end});
  REQUIRE(source.status().to_string() == "ok");
  return drained(std::move(source).value());
}

inline std::vector<std::string> cfs_of(const kvbackup::LmdbSnapshot& snapshot) {
  std::vector<std::string> cfs;
  const auto ranges = snapshot.ranges();
  for (const kvbackup::KeyRange& range : ranges.value()) cfs.push_back(range.cf);
  return cfs;
}

inline kvbackup::LmdbSnapshot opened(const std::string& path,
                                     const kvbackup::LmdbSnapshotOptions& options = {}) {
  auto snapshot = kvbackup::LmdbSnapshot::open(path, options);
  REQUIRE(snapshot.status().to_string() == "ok");
  return std::move(snapshot).value();
}

inline Pairs numbered(int count, const std::string& prefix, const std::string& value) {
  Pairs pairs;
  for (int i = 0; i < count; ++i) {
    std::string number = std::to_string(i);
    pairs[prefix + std::string(6 - number.size(), '0') + number] = value + number;
  }
  return pairs;
}

}  // namespace lmdb_test
