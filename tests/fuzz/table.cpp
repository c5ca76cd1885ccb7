// SPDX-License-Identifier: Apache-2.0
// SST files, RocksDB's and LevelDB's. An input is the file.
#include <algorithm>
#include <array>

#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

using SmallCodecs = CodecSet<NoneCodec, Lz4Codec, SnappyCodec>;
using SmallDecoders = TableDecoders<SmallCodecs, BuiltDecoders::ChecksumsUsed>;

// A small file may hold many entries; a fuzzer has better to do than to walk through them.
constexpr std::size_t most_entries = 20000;

void expect_read_error(const Status& status) {
  const StatusCode code = status.code();
  fuzz::require(status.ok() || code == StatusCode::corruption || code == StatusCode::unsupported,
                "not an error of damaged bytes");
}

template <class Reader>
void walk_entries(const Reader& reader) {
  auto it = reader.entries();
  std::string last;
  const std::string& comparator = reader.properties().comparator;
  const bool known_order = comparator.empty() || comparator == "leveldb.BytewiseComparator";
  for (std::size_t i = 0; it.valid() && i < most_entries; ++i) {
    last.assign(it.key());
    it.next();
    fuzz::require(!it.valid() || !known_order || ByteView(last) <= it.key(),
                  "entries are out of order");
  }
  if (!it.valid()) expect_read_error(it.status());
}

// What a scan gives, a seek and a lookup must find.
template <class Reader>
void look_up(const Reader& reader, ByteView key, ByteView value) {
  auto source = reader.source(key);
  fuzz::require(source.valid() && source.key() == key, "a seek does not find what a scan gave");
  const auto lookup = reader.get(key);
  if (!lookup.ok()) return expect_read_error(lookup.status());
  fuzz::require(!lookup.value().found() || lookup.value().value == value,
                "a lookup gives another value than a scan");
}

template <class Reader>
void walk_pairs(const Reader& reader) {
  std::array<std::pair<std::string, std::string>, 4> some;
  auto source = reader.source();
  std::size_t pairs = 0;
  for (; source.valid() && pairs < most_entries; source.next(), ++pairs) {
    auto& [key, value] = some[pairs % some.size()];
    const std::string& before = some[(pairs + some.size() - 1) % some.size()].first;
    fuzz::require(pairs == 0 || ByteView(before) < source.key(), "keys do not rise");
    key.assign(source.key());
    value.assign(source.value());
  }
  if (!source.valid()) expect_read_error(source.status());
  // A damaged index leads elsewhere than a scan goes, so only a table that is proven must agree.
  const bool sound = !source.valid() && source.status().ok() &&
                     reader.checksum_kind() != ChecksumKind::none && reader.verify_blocks().ok();
  for (std::size_t i = 0; i < std::min(pairs, some.size()); ++i) {
    if (sound) look_up(reader, some[i].first, some[i].second);
    expect_read_error(reader.get(some[i].first + '\0').status());
    expect_read_error(reader.get(some[i].first.substr(0, some[i].first.size() / 2)).status());
  }
}

template <class Decoders, class Cache>
void read_table(ByteView file, FilterUse filter, Cache cache) {
  TableReaderOptions options;
  options.filter = filter;
  options.read_ahead = 4096;
  const auto reader =
      TableReader<MemoryFile, Decoders, Cache>::open(MemoryFile::borrow(file), {}, options, cache);
  if (!reader.ok()) return expect_read_error(reader.status());
  walk_entries(reader.value());
  walk_pairs(reader.value());
  expect_read_error(reader.value().range_tombstones().status());
  expect_read_error(reader.value().verify_blocks());
  expect_read_error(reader.value().get("").status());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView file(reinterpret_cast<const char*>(data), size);
  {
    // LZ4's blocks are at most 255 times as long plain.
    const fuzz::AllocationLimit limit(1024 * size + (1 << 20));
    read_table<SmallDecoders>(file, FilterUse::always, NoBlockCache());
  }
  // Four bytes of Zstandard's are at most 128 KiB, and there may be a block and its copy.
  const fuzz::AllocationLimit limit(3 * 32768 * size + (2 << 20));
  read_table<BuiltDecoders>(file, FilterUse::when_it_pays, LruBlockCache(1 << 20));
  return 0;
}
