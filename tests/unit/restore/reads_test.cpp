// SPDX-License-Identifier: Apache-2.0
// What reading a backup asks of its storage.
#include <algorithm>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/counting_backend.hpp"
#include "unit/restore/restore_support.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::CountingBackend;

namespace {

// 4 KiB blocks below an index of two levels, as a layout of an own would write them.
class TwoLevelLayout : public RawLayout {
 public:
  [[nodiscard]] TableOptions table_options(std::string_view cf) const {
    TableOptions options = RawLayout::table_options(cf);
    options.block_size = 4096;
    options.index_type = IndexType::two_level;
    return options;
  }
};
static_assert(Layout<TwoLevelLayout>);

// `count` pairs of 250 bytes with keys that rise.
GeneratorSource pairs_of_250_bytes(std::uint64_t count) {
  GeneratorOptions options;
  options.count = count;
  options.key_size = 16;
  options.value_size = 234;
  return GeneratorSource::make(options).value();
}

template <class LayoutT>
CountingBackend<MemoryBackend> backup_of_250_bytes(std::uint64_t count, std::uint64_t part_size,
                                                   LayoutT layout) {
  CountingBackend<MemoryBackend> backend{MemoryBackend()};
  BackupOptions options;
  options.part_size = part_size;
  require_ok(BackupPipeline(pairs_of_250_bytes(count), NoneCodec{}, FileHasher{}, backend, layout)
                 .run(options)
                 .status());
  return backend;
}

// At most 6 reads and 256 KiB for a key of a file that is not open, and of an open one its block,
// with a partition of the index before it where that has two levels.
template <class LayoutT>
void check_gets(std::uint64_t count, std::uint64_t part_size, LayoutT layout,
                std::uint64_t reads_of_open_file, std::uint64_t bytes_of_open_file) {
  auto backend = backup_of_250_bytes(count, part_size, layout);
  const auto backup = Backup<CountingBackend<MemoryBackend>>::open(backend);
  require_ok(backup.status());
  std::vector<std::string> keys;
  auto source = pairs_of_250_bytes(count);
  const std::uint64_t step = count / 37;
  for (std::uint64_t n = 0; source.valid(); source.next(), ++n) {
    if (n % step < 2) keys.emplace_back(source.key());
  }
  std::size_t open_file = SIZE_MAX;
  for (const std::string& key : keys) {
    const std::size_t file = *backup.value().files().find("default", key).value();
    backend.reset();
    const auto value = backup.value().get("default", key);
    require_ok(value.status());
    REQUIRE(value.value());
    CHECK(value.value()->size() == 234);
    CAPTURE(backend.reads(), backend.bytes());
    if (file == open_file) {
      CHECK(backend.reads() <= reads_of_open_file);
      CHECK(backend.bytes() <= bytes_of_open_file);
    } else {
      CHECK(backend.reads() <= 6);
      CHECK(backend.bytes() <= 256 * 1024);
    }
    open_file = file;
  }
}

constexpr std::uint64_t block_of_br = 64 * 1024 + 512;

}  // namespace

TEST_CASE("a get reads little of its file, and a second one a single block") {
  check_gets(60'000, 4 << 20, RawLayout{}, 1, block_of_br);
}

TEST_CASE("a get through an index of two levels reads as little") {
  check_gets(60'000, 8 << 20, TwoLevelLayout{}, 2, 3 * 4096);
}

TEST_CASE("a get out of 1 GiB in files of 64 MiB reads at most 6 times and 256 KiB", "[.full]") {
  check_gets((1ull << 30) / 250, 64 << 20, RawLayout{}, 1, block_of_br);
}

TEST_CASE("the same with blocks of 4 KiB below an index of two levels", "[.full]") {
  check_gets((1ull << 30) / 250, 64 << 20, TwoLevelLayout{}, 2, 3 * 4096);
}

TEST_CASE("a key that no file answers for costs no read") {
  auto backend = backup_of_250_bytes(1000, 100'000, RawLayout{});
  const auto backup = Backup<CountingBackend<MemoryBackend>>::open(backend);
  require_ok(backup.status());
  backend.reset();
  CHECK_FALSE(backup.value().get("other", "key").value());
  CHECK(backend.reads() == 0);
}

TEST_CASE("only the files used last stay open") {
  auto backend = backup_of_250_bytes(4000, 100'000, RawLayout{});
  Backup<CountingBackend<MemoryBackend>>::Options options;
  options.open_files = 2;
  const auto backup = Backup<CountingBackend<MemoryBackend>>::open(backend, options);
  require_ok(backup.status());
  const auto& files = backup.value().meta().files;
  REQUIRE(files.size() >= 4);
  const auto reads_of_get = [&](std::size_t file) {
    const std::string key = file == 0 ? std::string() : files[file].start_key;
    backend.reset();
    require_ok(backup.value().get("default", key).status());
    return backend.reads();
  };
  CHECK(reads_of_get(1) >= 1);
  const std::uint64_t open_reads = reads_of_get(1);
  CHECK(open_reads <= 1);
  (void)reads_of_get(2);
  (void)reads_of_get(3);
  CHECK(reads_of_get(3) <= 1);
  CHECK(reads_of_get(1) > open_reads);
}

TEST_CASE("a cache of blocks answers a get that was asked before without a read") {
  auto backend = backup_of_250_bytes(20'000, 4 << 20, RawLayout{});
  using Cached = Backup<CountingBackend<MemoryBackend>, LruBlockCache>;
  const auto backup = Cached::open(backend, {.open_files = 4, .cache = LruBlockCache(1 << 20)});
  require_ok(backup.status());
  const std::string key = backup.value().meta().files[1].start_key;
  require_ok(backup.value().get("default", key).status());
  backend.reset();
  CHECK(backup.value().get("default", key).value());
  CHECK(backend.reads() == 0);
}

TEST_CASE("a scan of a part reads the files it needs, and of them about that part") {
  auto backend = backup_of_250_bytes(60'000, 4 << 20, RawLayout{});
  const auto backup = Backup<CountingBackend<MemoryBackend>>::open(backend);
  require_ok(backup.status());
  const auto& files = backup.value().meta().files;
  backend.reset();
  auto source = backup.value().scan({"default", files[1].start_key, files[2].start_key});
  require_ok(source.status());
  std::uint64_t pairs = 0;
  for (; source.value().valid(); source.value().next()) ++pairs;
  CHECK(pairs == files[1].total_kvs);
  CHECK(backend.bytes() < files[1].size * 9 / 8);
  CHECK(backend.reads() < 40);  // some 256 KiB at a time
}

TEST_CASE("a verification reads a file about once, in steps") {
  auto backend = backup_of_250_bytes(60'000, 8 << 20, RawLayout{});
  const auto manifest = read_manifest(backend);
  require_ok(manifest.status());
  backend.reset();
  const auto report = verify_files(backend, manifest.value(), FileHasher{}, BuiltDecoders{});
  require_ok(report.status());
  CHECK(report.value().is_whole());
  CHECK(backend.bytes() < report.value().stored_bytes * 21 / 20);
  CHECK(backend.largest() <= 1 << 20);
}
