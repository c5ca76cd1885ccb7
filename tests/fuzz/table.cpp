// SPDX-License-Identifier: Apache-2.0
// SST files, RocksDB's and LevelDB's. An input is the file.
#include <algorithm>
#include <array>
#include <type_traits>

#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

using SmallCodecs = CodecSet<NoneCodec, Lz4Codec, SnappyCodec>;
using SmallDecoders = TableDecoders<SmallCodecs, BuiltDecoders::ChecksumsUsed>;

// Accepts every checksum that stands in the input, so that damage comes to what lies behind the
// proof. A context of format_version 6 and later is not accepted.
struct AnyChecksum {
  static inline ByteView file;

  [[nodiscard]] static constexpr bool has(ChecksumKind) { return true; }
  [[nodiscard]] static std::uint32_t of(ChecksumKind, ByteView payload_and_type) {
    const auto begin = reinterpret_cast<std::uintptr_t>(file.data());
    const auto end =
        reinterpret_cast<std::uintptr_t>(payload_and_type.data()) + payload_and_type.size();
    if (end < begin || end - begin > file.size() || file.size() - (end - begin) < 4) return 0;
    return load_le32(file.data() + (end - begin));
  }
};
using TrustingDecoders = TableDecoders<SmallCodecs, AnyChecksum>;

// A small file may hold many entries; a fuzzer has better to do than to walk through them.
constexpr std::size_t most_entries = 20000;

void expect_read_error(const Status& status) {
  const StatusCode code = status.code();
  fuzz::require(status.ok() || code == StatusCode::corruption || code == StatusCode::unsupported ||
                    code == StatusCode::resource_exhausted,
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

// Wherever a damaged index leads, a seek ends in rising keys or an error.
template <class Reader>
void seek(const Reader& reader, ByteView key) {
  constexpr std::size_t most_steps = 100;
  auto source = reader.source(key);
  std::string last;
  for (std::size_t i = 0; source.valid() && i < most_steps; ++i, source.next()) {
    fuzz::require(source.key() >= key, "a seek gives a key below the one sought");
    fuzz::require(i == 0 || ByteView(last) < source.key(), "keys do not rise behind a seek");
    last.assign(source.key());
  }
  if (!source.valid()) expect_read_error(source.status());
  source.seek(key);
  if (!source.valid()) expect_read_error(source.status());
}

template <bool proves, class Reader>
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
  const bool sound = proves && !source.valid() && source.status().ok() &&
                     reader.checksum_kind() != ChecksumKind::none && reader.verify_blocks().ok();
  for (std::size_t i = 0; i < std::min(pairs, some.size()); ++i) {
    const std::string& key = some[i].first;
    if (sound) look_up(reader, key, some[i].second);
    for (const std::string& sought : {key, key + '\0', key.substr(0, key.size() / 2)}) {
      expect_read_error(reader.get(sought).status());
      seek(reader, sought);
    }
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
  walk_pairs<!std::is_same_v<Decoders, TrustingDecoders>>(reader.value());
  expect_read_error(reader.value().range_tombstones().status());
  expect_read_error(reader.value().verify_blocks());
  expect_read_error(reader.value().get("").status());
  seek(reader.value(), "");
  seek(reader.value(), "key");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView file(reinterpret_cast<const char*>(data), size);
  {
    // LZ4's blocks are at most 255 times as long plain.
    const fuzz::AllocationLimit limit(1024 * size + (1 << 20));
    read_table<SmallDecoders>(file, FilterUse::always, NoBlockCache());
    AnyChecksum::file = file;
    read_table<TrustingDecoders>(file, FilterUse::always, NoBlockCache());
  }
  // Four bytes of Zstandard's are at most 128 KiB, and there may be a block and its copy.
  const fuzz::AllocationLimit limit(3 * 32768 * size + (2 << 20));
  read_table<BuiltDecoders>(file, FilterUse::when_it_pays, LruBlockCache(1 << 20));
  return 0;
}
