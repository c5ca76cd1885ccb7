// SPDX-License-Identifier: Apache-2.0
// A restore that ends at any of its system calls: the store is not there, or it is whole; and the
// next restore makes it.
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>

#include <kvbackup/ext/lmdb.hpp>
#include <kvbackup/ext/rocksdb.hpp>

#include "crash_support.hpp"

namespace crash_test {

namespace {

using test_support::Store;

Store lmdb_store() {
  Store store = small_store();
  store.erase("");  // LMDB has no empty key
  return store;
}

struct Lmdb {
  static auto sink(const std::string& path, bool single_file) {
    LmdbSinkOptions options;
    options.single_file = single_file;
    return LmdbSink::open(path, options);
  }
  static auto open(const std::string& path) { return LmdbSnapshot::open(path); }
};
struct LmdbFolder : Lmdb {
  static auto sink(const std::string& path) { return Lmdb::sink(path, false); }
};
struct LmdbFile : Lmdb {
  static auto sink(const std::string& path) { return Lmdb::sink(path, true); }
};
struct Rocksdb {
  static auto sink(const std::string& path) { return RocksdbSink::open(path); }
  static auto open(const std::string& path) { return RocksdbSnapshot::open(path); }
};

template <class Kind>
bool put_back(const std::string& backup_path, const std::string& path) {
  auto backup = Backup<LocalBackend>::open(LocalBackend(backup_path));
  auto sink = Kind::sink(path);
  return backup.ok() && sink.ok() && restore(backup.value(), sink.value()).ok();
}

template <class Kind>
bool is_store(const std::string& path, const Store& store) {
  auto snapshot = Kind::open(path);
  if (!snapshot.ok()) return false;
  auto source = snapshot.value().scan({.cf = std::string(default_cf), .start = {}, .end = {}});
  if (!source.ok()) return false;
  Store found;
  for (; source.value().valid(); source.value().next()) {
    found.emplace(source.value().key(), source.value().value());
  }
  return source.value().status().ok() && found == store;
}

// `action` at each `step`-th operation.
template <class Kind>
std::uint64_t fail_everywhere(SyscallFault action, std::uint64_t step, int error = 0) {
  const Store store = lmdb_store();
  const TempDir folder;
  const std::string backup = folder.path("backup");
  REQUIRE(back_up(store, LocalBackend(backup)).ok());
  for (std::uint64_t n = 1;; n += step) {
    INFO("action " << static_cast<int>(action) << ", operation " << n);
    const TempDir target;
    const std::string path = target.path("store");
    const Outcome outcome = in_child({action, n, error, {path, path + ".restoring"}},
                                     [&] { return put_back<Kind>(backup, path); });
    if (!std::filesystem::exists(path)) {
      CHECK(outcome.end != End::success);
      CHECK(succeeds([&] { return put_back<Kind>(backup, path); }));
    }
    CHECK(succeeds([&] { return is_store<Kind>(path, store); }));
    CHECK_FALSE(succeeds([&] { return put_back<Kind>(backup, path); }));  // it is there
    if (outcome.end == End::success && outcome.operations < n) return n;
  }
}

}  // namespace

TEST_CASE("an LMDB store is whole or not there, wherever its restore ends") {
  CHECK(fail_everywhere<LmdbFolder>(SyscallFault::cut, 1) > 10);
  CHECK(fail_everywhere<LmdbFile>(SyscallFault::cut, 1) > 5);
}

TEST_CASE("a RocksDB store is whole or not there, wherever its restore ends") {
  CHECK(fail_everywhere<Rocksdb>(SyscallFault::cut, 11) > 50);
}

TEST_CASE("the same at every operation of a restore, by a kill or a full disk too", "[.][full]") {
  CHECK(fail_everywhere<LmdbFolder>(SyscallFault::kill, 1) > 10);
  CHECK(fail_everywhere<LmdbFolder>(SyscallFault::fail, 1, ENOSPC) > 10);
  CHECK(fail_everywhere<LmdbFile>(SyscallFault::kill, 1) > 5);
  CHECK(fail_everywhere<LmdbFile>(SyscallFault::fail, 1, ENOSPC) > 5);
  CHECK(fail_everywhere<Rocksdb>(SyscallFault::cut, 3) > 50);
  CHECK(fail_everywhere<Rocksdb>(SyscallFault::kill, 5) > 50);
}

}  // namespace crash_test
