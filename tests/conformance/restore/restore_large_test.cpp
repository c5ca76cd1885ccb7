// SPDX-License-Identifier: Apache-2.0
// Stores of many pairs and of large ones, there and back.
#include "restore_stores.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::TempDir;

namespace {

/// Pairs that are made as they are read: number i has a key of 12 bytes, a value of i % 200.
class NumberedSource {
 public:
  explicit NumberedSource(std::uint64_t count) : count_(count) { make(); }
  [[nodiscard]] bool valid() const { return at_ < count_; }
  [[nodiscard]] ByteView key() const { return key_; }
  [[nodiscard]] ByteView value() const { return value_; }
  void next() {
    ++at_;
    make();
  }
  [[nodiscard]] static Status status() { return {}; }

 private:
  void make() {
    key_ = "key/" + std::to_string(10'000'000 + at_);
    value_.assign(at_ % 200, static_cast<char>(at_ * 7));
  }
  std::uint64_t count_;
  std::uint64_t at_ = 0;
  std::string key_;
  std::string value_;
};

template <class Source>
PairSums sums_of(Source source) {
  PairSums sums;
  std::string last;
  for (; source.valid(); source.next()) sums.add(as_bytes(source.key()), as_bytes(source.value()));
  must(source.status());
  return sums;
}

void round_trip_of(std::uint64_t count, std::uint64_t part_size) {
  TempDir dir;
  const PairSums expected = sums_of(NumberedSource(count));
  {
    auto sink = must(RocksdbSink::open(dir.path("store")));
    for (NumberedSource source(count); source.valid(); source.next()) {
      must(sink.put(source.key(), source.value()));
    }
    must(sink.finish());
  }
  back_up_rocksdb(dir.path("store"), dir.path("backup"), part_size);
  const LocalBackup backup = open_backup(dir.path("backup"));
  Threads threads;

  auto rocksdb = must(RocksdbRestore::open(dir.path("rocksdb")));
  CHECK(must(restore(backup, rocksdb, threads.options)).total == expected);
  CHECK(sums_of(must(must(RocksdbSnapshot::open(dir.path("rocksdb"))).scan({}))) == expected);

  auto lmdb = must(LmdbSink::open(dir.path("lmdb")));
  CHECK(must(restore(backup, lmdb, threads.options)).total == expected);
  const LmdbSnapshot snapshot = must(LmdbSnapshot::open(dir.path("lmdb")));
  CHECK(sums_of(must(snapshot.scan({}))) == expected);

  auto tsv = must(create_tsv(dir.path("pairs.tsv")));
  CHECK(must(restore(backup, tsv, threads.options)).total == expected);
  CHECK(sums_of(must(open_tsv(dir.path("pairs.tsv"), KeyFormat::hex))) == expected);
}

void large_pairs(std::size_t key_size, std::size_t value_size) {
  TempDir dir;
  Store store{{"", ""}, {std::string(1, '\0'), std::string(1, '\0')}};
  for (const char c : {'\0', 'k', '\xff'}) {
    store[std::string(key_size, c)] = std::string(value_size, c);
    store[std::string(key_size - 1, c)] = "";
  }
  make_rocksdb(dir.path("store"), {{"default", store}});
  back_up_rocksdb(dir.path("store"), dir.path("backup"), value_size);
  const LocalBackup backup = open_backup(dir.path("backup"));
  auto rocksdb = must(RocksdbRestore::open(dir.path("rocksdb")));
  must(restore(backup, rocksdb).status());
  CHECK((rocksdb_content(dir.path("rocksdb")) == Families{{"default", store}}));
  auto tsv = must(create_tsv(dir.path("pairs.tsv")));
  must(restore(backup, tsv).status());
  CHECK((sums_of(must(open_tsv(dir.path("pairs.tsv"), KeyFormat::hex))) ==
         sums_of(RangeSource(store))));
}

}  // namespace

TEST_CASE("twenty thousand pairs survive the way to RocksDB, LMDB and TSV") {
  round_trip_of(20'000, 200'000);
}
TEST_CASE("a million pairs survive the way to RocksDB, LMDB and TSV", "[.][full]") {
  round_trip_of(1'000'000, 10'000'000);
}
TEST_CASE("keys of 64 KiB and values of 1 MiB survive the way to RocksDB and TSV") {
  large_pairs(64 << 10, 1 << 20);
}
TEST_CASE("keys of 64 KiB and values of 64 MiB survive the way to RocksDB and TSV", "[.][full]") {
  large_pairs(64 << 10, 64 << 20);
}
