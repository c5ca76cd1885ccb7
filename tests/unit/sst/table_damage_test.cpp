// SPDX-License-Identifier: Apache-2.0
// Damaged and malicious tables: an error that says what is wrong, or the right data; never more.
#include <random>
#include <span>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/crafted_table.hpp"
#include "unit/sst/reader_support.hpp"

using namespace kvbackup;
using namespace sst_test;

namespace {

using Entries = CraftedTable::Entries;
const auto internal_key = CraftedTable::internal_key;

/// Opens, verifies the blocks and reads everything in every way; the first failure.
Status read_all(const std::string& file, std::vector<Pair>* pairs = nullptr) {
  auto opened = InMemoryTable::open(MemoryFile::borrow(file), {}, {.filter = FilterUse::always});
  if (!opened.ok()) return opened.status();
  const InMemoryTable& reader = opened.value();
  Status status = reader.verify_blocks();
  std::size_t entries = 0;
  auto it = reader.entries();
  for (; it.valid(); it.next()) {
    if (pairs != nullptr) pairs->emplace_back(it.key(), it.value());
    if (++entries % 4 != 1) continue;
    const auto found = reader.get(it.key());
    if (status.ok() && !found.ok()) status = found.status();
  }
  if (status.ok()) status = it.status();
  auto source = reader.source("key00000004", "key00000018");
  for (; source.valid(); source.next()) {
  }
  if (status.ok()) status = source.status();
  if (status.ok()) status = reader.range_tombstones().status();
  return status;
}

std::string message_of(const std::string& file) {
  const Status status = read_all(file);
  return status.to_string();
}
bool says(const std::string& file, const std::string& code, const std::string& text) {
  const std::string message = message_of(file);
  INFO(message);
  CHECK(message.find(text) != std::string::npos);
  return message.starts_with(code);
}

std::vector<TableOptions> small_forms() {
  TableOptions two_level = TableOptions::rocksdb();
  two_level.format_version = 4;
  two_level.filter = FilterKind::legacy_bloom;
  two_level.index_type = IndexType::two_level;
  two_level.metadata_block_size = 60;
  two_level.partition_filters = true;
  two_level.index_block_restart_interval = 3;
  std::vector<TableOptions> out{TableOptions::br_default_cf(), TableOptions::rocksdb(), two_level};
  for (TableOptions& options : out) options.block_size = 120;
  return out;
}

template <class Codec, class Checksum>
std::string small_table(const TableOptions& options, const Codec& codec) {
  std::string file;
  TableWriter<Codec, Checksum, StringOutput> writer(options, codec, StringOutput{&file});
  for (const auto& [key, value] : counted_pairs(12)) {
    if (!writer.add(key, value).ok()) throw std::runtime_error("add");
  }
  if (!writer.finish().ok()) throw std::runtime_error("finish");
  return file;
}

/// Where the 8 bytes stand that RocksDB changes without mending the checksum.
std::size_t seqno_place(const std::string& file) {
  const std::string name = "external_sst_file.global_seqno";
  return file.find(name) + name.size();
}

/// Flips every bit of `file`: in a block it is noticed.
void check_flips(const std::string& file) {
  std::vector<Pair> expected;
  REQUIRE(read_all(file, &expected).ok());
  const std::size_t seqno = seqno_place(file);
  std::size_t unnoticed = 0;
  std::size_t wrong = 0;
  std::string damaged = file;
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      damaged[i] = static_cast<char>(file[i] ^ 1 << bit);
      std::vector<Pair> pairs;
      const Status status = read_all(damaged, &pairs);
      if (status.ok()) {
        wrong += pairs != expected;
        unnoticed += i < file.size() - footer_size && (i < seqno || i >= seqno + 8);
      } else {
        wrong +=
            status.code() != StatusCode::corruption && status.code() != StatusCode::unsupported;
      }
    }
    damaged[i] = file[i];
  }
  CHECK(unnoticed == 0);
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("every flipped bit of a table is noticed or changes nothing") {
  for (const TableOptions& options : small_forms()) {
    check_flips(small_table<NoneCodec, Crc32cChecksum>(options, NoneCodec{}));
  }
#if KVBACKUP_WITH_LZ4 && KVBACKUP_WITH_XXHASH
  check_flips(small_table<Lz4Codec, Xxh3Checksum>(small_forms()[1], Lz4Codec{}));
#endif
}

TEST_CASE("every truncation of a table is noticed") {
  for (const TableOptions& options : small_forms()) {
    const std::string file = small_table<NoneCodec, Crc32cChecksum>(options, NoneCodec{});
    std::size_t unnoticed = 0;
    for (std::size_t size = 0; size < file.size(); ++size) {
      unnoticed += read_all(file.substr(0, size)).code() != StatusCode::corruption;
    }
    CHECK(unnoticed == 0);
  }
}

TEST_CASE("without checksums every flipped bit gives an error or some data, and no more") {
  const auto check = [](const std::string& file) {
    std::string damaged = file;
    for (std::size_t i = 0; i < file.size(); ++i) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        damaged[i] = static_cast<char>(file[i] ^ 1 << bit);
        static_cast<void>(read_all(damaged));
      }
      damaged[i] = file[i];
    }
    std::mt19937 random(1);
    for (int i = 0; i < 1000; ++i) {
      damaged = file;
      for (auto n = 1 + random() % 6; n > 0; --n) {
        static constexpr unsigned char likely[] = {0, 1, 0x7f, 0x80, 0xff};
        damaged[random() % damaged.size()] = static_cast<char>(likely[random() % 5]);
      }
      static_cast<void>(read_all(damaged));
    }
    SUCCEED();
  };
  for (const TableOptions& options : small_forms()) {
    check(small_table<NoneCodec, NoneChecksum>(options, NoneCodec{}));
#if KVBACKUP_WITH_LZ4
    check(small_table<Lz4Codec, NoneChecksum>(options, Lz4Codec{}));
#endif
#if KVBACKUP_WITH_SNAPPY
    check(small_table<SnappyCodec, NoneChecksum>(options, SnappyCodec{}));
#endif
#if KVBACKUP_WITH_ZSTD
    check(small_table<ZstdCodec, NoneChecksum>(options, ZstdCodec{}));
#endif
  }
}

TEST_CASE("a block that says it is longer than it can be is refused before memory is taken") {
  std::string small;
  append_varint(small, std::uint64_t{1} << 30);
  small.append(1000, '\0');
#if KVBACKUP_WITH_LZ4
  CHECK(says(table_of_block(small, 4), "corruption", "says a length"));
#endif
#if KVBACKUP_WITH_SNAPPY
  CHECK(says(table_of_block(small, 1), "corruption", "says a length"));
#endif
#if KVBACKUP_WITH_ZSTD
  CHECK(says(table_of_block(small, 7), "corruption", "says a length"));
#endif
  CHECK(says(table_of_block(small, 2), "unsupported", "codec zlib is not built in"));
  CHECK(says(table_of_block(small, 3), "unsupported", "codec bzip2 is not built in"));
  CHECK(says(table_of_block(small, 9), "corruption", "compression type that is none: 9"));
}

TEST_CASE("entries of a data block that cannot be are refused") {
  const std::string key = internal_key("k", 0, 1);
  const std::string good = CraftedTable::entries({{key, "v"}});
  CHECK(read_all(table_of_block(good)).ok());
  CHECK(says(table_of_block(CraftedTable::entries({{"short", "v"}})), "corruption",
             "data block at 0 of"));
  CHECK(says(table_of_block(""), "corruption", "bad entry"));
  CHECK(says(table_of_block(std::string(4, '\0')), "corruption", "bad entry"));
  const auto changed = [&good](std::size_t at, char to) {
    std::string out = good;
    out[at] = to;
    return table_of_block(out);
  };
  CHECK(says(changed(0, 1), "corruption", "bad entry"));                   // shares with nothing
  CHECK(says(changed(1, 100), "corruption", "bad entry"));                 // key too long
  CHECK(says(changed(2, 100), "corruption", "bad entry"));                 // value too long
  CHECK(says(changed(2, '\xff'), "corruption", "bad entry"));              // no varint
  CHECK(says(changed(good.size() - 4, 0), "corruption", "bad entry"));     // no restart
  CHECK(says(changed(good.size() - 4, 100), "corruption", "bad entry"));   // too many
  CHECK(says(changed(good.size() - 1, 0x10), "corruption", "bad entry"));  // keys and values apart
  CHECK(read_all(changed(good.size() - 1, 0x20)).ok());                    // uniform keys: a hint
}

TEST_CASE("keys out of order are refused by name, older versions of a key are not") {
  const auto table = [](const std::string& a, const std::string& b) {
    return table_of_block(CraftedTable::entries({{a, "1"}, {b, "2"}}));
  };
  CHECK(read_all(table(internal_key("a", 0, 1), internal_key("b", 0, 1))).ok());
  CHECK(read_all(table(internal_key("a", 2, 1), internal_key("a", 1, 1))).ok());
  CHECK(says(table(internal_key("a", 1, 1), internal_key("a", 2, 1)), "corruption", "key 61"));
  CHECK(says(table(internal_key("a", 1, 1), internal_key("a", 1, 1)), "corruption", "order"));
  CHECK(says(table(internal_key("b", 1, 1), internal_key("a", 9, 1)), "corruption", "order"));
  CHECK(says(table(internal_key("ab", 1, 1), internal_key("a", 1, 1)), "corruption", "order"));

  CraftedTable two_blocks;
  const auto add = [&two_blocks](const std::string& key, const std::string& bound) {
    two_blocks.index(internal_key(bound, 0, 1),
                     two_blocks.block(CraftedTable::entries({{internal_key(key, 0, 1), "v"}})));
  };
  add("b", "b");
  add("a", "c");
  CHECK(says(two_blocks.finish(), "corruption", "order"));
}

TEST_CASE("keys that the index would not find are refused by name") {
  const auto table = [](const std::string& first_bound, const std::string& second_bound) {
    CraftedTable out;
    for (const auto& [key, bound] : {std::pair("b", first_bound), std::pair("d", second_bound)}) {
      const Entries entries{{internal_key(key, 5, 1), "v"}};
      out.index(internal_key(bound, 0, 1), out.block(CraftedTable::entries(entries)));
    }
    return out.finish();
  };
  CHECK(read_all(table("b", "d")).ok());
  CHECK(read_all(table("c", "z")).ok());
  CHECK(read_all(table("d", "d")).ok());  // versions of one key may lie in two blocks
  CHECK(says(table("a", "d"), "corruption", "key 62"));
  CHECK(says(table("e", "f"), "corruption", "key 64"));
  CHECK(says(table("b", "c"), "corruption", "key 64"));
}

TEST_CASE("a seek into a block without entries goes on behind it") {
  const auto table = [](const std::string& empty_bound) {
    CraftedTable out;
    out.index(internal_key(empty_bound, 0, 1), out.block(CraftedTable::entries({})));
    const Entries entries{{internal_key("x", 5, 1), "v"}};
    out.index(internal_key("x", 0, 1), out.block(CraftedTable::entries(entries)));
    return out.finish();
  };
  const InMemoryTable reader = open_table(table("bbbb"));
  for (const char* from : {"", "a", "bbbb", "c", "x"}) {
    CHECK(pairs_of(reader.source(from)) == std::vector<Pair>{{"x", "v"}});
  }
  CHECK(reader.get("a").value().outcome == Lookup::Outcome::absent);
  auto cursor = reader.cursor();
  cursor.seek("y");
  CHECK_FALSE(cursor.valid());
  CHECK(cursor.status().ok());
  // the key stands behind a block in which a lookup would look for it
  CHECK(says(table("y"), "corruption", "key 78"));
}

#if KVBACKUP_WITH_ZSTD
TEST_CASE("a small block that is long once decompressed is read within a bound only") {
  const std::string value(4u << 20, 'v');
  const std::string plain = CraftedTable::entries({{internal_key("k", 7, 1), value}});
  std::string stored;
  append_varint(stored, plain.size());
  const std::size_t prefix = stored.size();
  stored.resize(prefix + ZstdCodec().bound(plain.size()));
  const auto size = ZstdCodec().compressor().compress(
      plain, std::span<char>(stored.data() + prefix, stored.size() - prefix));
  stored.resize(prefix + size.value());
  REQUIRE(stored.size() < 10'000);
  const std::string file = table_of_block(stored, 7);
  CHECK(open_table(file).get("k").value().value == value);
  BuiltDecoders narrow;
  narrow.largest_inflated = 1u << 20;
  const auto reader = InMemoryTable::open(MemoryFile::borrow(file), narrow);
  REQUIRE(reader.ok());
  CHECK(reader.value().get("k").status().code() == StatusCode::resource_exhausted);
  CHECK(reader.value().source().status().code() == StatusCode::resource_exhausted);

  // by default less than what a file of 50 KB can ask for
  std::string bomb;
  append_varint(bomb, 1'500'000'000);
  bomb.resize(50'000, '\0');
  CHECK(says(table_of_block(bomb, 7), "resource_exhausted", "largest_inflated"));
}

TEST_CASE("LevelDB's Zstandard blocks have a bare frame") {
  const std::string plain =
      CraftedTable::entries({{internal_key("k", 7, 1), std::string(500, 'v')}});
  std::string frame(ZstdCodec().bound(plain.size()), '\0');
  frame.resize(ZstdCodec().compressor().compress(plain, frame).value());
  CraftedTable table(true);
  table.index(internal_key("z", 0, 1), table.block(frame, 2));
  const InMemoryTable reader = open_table(table.finish());
  CHECK(reader.is_leveldb());
  CHECK(reader.get("k").value().value == std::string(500, 'v'));
  CHECK(reader.get("k").value().sequence == 7);

  CraftedTable other(true);
  other.index(internal_key("z", 0, 1), other.block("no frame at all", 2));
  CHECK(says(other.finish(), "unsupported", "codec zlib is not built in"));
}
#endif

TEST_CASE("handles that leave the file, overlap or go backwards are refused") {
  const auto table = [](BlockHandle second) {
    CraftedTable out;
    const auto block = [&out](const char* key) {
      return out.block(CraftedTable::entries({{internal_key(key, 0, 1), "v"}}));
    };
    out.index(internal_key("a", 0, 1), block("a"));
    block("b");
    out.index(internal_key("b", 0, 1), second);
    return out.finish();
  };
  const std::uint64_t size = CraftedTable::entries({{internal_key("a", 0, 1), "v"}}).size();
  CHECK(read_all(table({size + 5, size})).ok());
  CHECK(says(table({0, size}), "corruption", "index block"));
  CHECK(says(table({size + 4, size}), "corruption", "index block"));
  const std::uint64_t most = ~std::uint64_t{0};
  for (const BlockHandle handle :
       {BlockHandle{size + 5, 1u << 20}, BlockHandle{size + 5, most - 6}, BlockHandle{most, size},
        BlockHandle{most, most}, BlockHandle{std::uint64_t{1} << 40, 10}}) {
    CHECK(says(table(handle), "corruption", "does not lie in the file"));
  }
}

TEST_CASE("entries whose value a table does not tell are never passed over") {
  for (const auto& [type, text] : std::vector<std::pair<unsigned, std::string>>{
           {2, "merge operand"}, {0x11, "blob"}, {0x16, "wide columns"}, {0x7e, "type 126"}}) {
    const std::string file =
        table_of_block(CraftedTable::entries({{internal_key("a", 5, 1), "v"},
                                              {internal_key("b", 5, type), "v"},
                                              {internal_key("b", 4, 1), "v"}}));
    const InMemoryTable reader = open_table(file, {.name = "t.sst"});
    auto source = reader.source();
    REQUIRE(source.valid());
    source.next();
    CHECK(!source.valid());
    for (const Status& status : {source.status(), reader.get("b").status()}) {
      CHECK(status.code() == StatusCode::unsupported);
      CHECK(status.key() == "b");
      CHECK(status.object() == "t.sst");
      CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(text));
    }
    auto it = reader.entries();
    it.next();
    CHECK(static_cast<unsigned>(it.type()) == type);
  }
}

TEST_CASE("deletions and range tombstones hide what is older than they are") {
  CraftedTable table;
  const Entries points{{internal_key("a", 9, 1), "kept: newer"},
                       {internal_key("b", 3, 1), "gone"},
                       {internal_key("c", 8, 0), ""},
                       {internal_key("c", 7, 1), "gone"},
                       {internal_key("d", 8, 7), ""},
                       {internal_key("d", 2, 1), "gone"},
                       {internal_key("e", 5, 1), "kept: same number"},
                       {internal_key("f", 4, 2), "a merge that is gone"},
                       {internal_key("g", 3, 1), "kept: outside"},
                       {internal_key("h", 2, 1), "gone"}};
  table.index(internal_key("z", 0, 1), table.block(CraftedTable::entries(points)));
  table.meta("rocksdb.range_del",
             table.block(CraftedTable::entries({{internal_key("h", 9, 0xf), "i"},
                                                {internal_key("a", 5, 0xf), "g"},
                                                {internal_key("a", 1, 0xf), "z"},
                                                {internal_key("x", 1, 0xf), "x"},
                                                {internal_key("y", 1, 0xf), "a"}})));
  const InMemoryTable reader = open_table(table.finish());
  const std::vector<Pair> expected{
      {"a", "kept: newer"}, {"e", "kept: same number"}, {"g", "kept: outside"}};
  CHECK(pairs_of(reader.source()) == expected);
  for (const auto& [key, value] : points) {
    const std::string user_key = key.substr(0, 1);
    const auto found = reader.get(user_key);
    REQUIRE(found.ok());
    const bool kept = user_key == "a" || user_key == "e" || user_key == "g";
    CHECK(found.value().outcome == (kept ? Lookup::Outcome::found : Lookup::Outcome::deleted));
  }
  CHECK(reader.get("bb").value().outcome == Lookup::Outcome::deleted);
  CHECK(reader.get("zz").value().outcome == Lookup::Outcome::absent);
  CHECK(reader.range_tombstones().value().size() == 5);
}

TEST_CASE("footers and properties that are not read are named") {
  const std::string file = small_table<NoneCodec, Crc32cChecksum>(TableOptions(), NoneCodec{});
  const auto footer = [&file](std::size_t from_end, const std::string& bytes) {
    std::string out = file;
    return out.replace(file.size() - from_end, bytes.size(), bytes);
  };
  CHECK(says("", "corruption", "has 0 bytes"));
  CHECK(says(footer(12, "\x08"), "unsupported", "format_version is 8"));
  CHECK(says(footer(12, std::string(1, '\0')), "corruption", "footer"));
  CHECK(says(footer(53, "\x05"), "corruption", "checksum 5"));
  CHECK(says(footer(8, std::string("\x95\x3f\xbf\x63\x29\x22\x42\x82")), "corruption",
             "another kind"));  // RocksDB's plain table

  CraftedTable unknown_index;
  unknown_index.property_number("rocksdb.block.based.table.index.type", 4, 4);
  CHECK(says(unknown_index.finish(), "unsupported", "unknown type 4"));
  CraftedTable seqno;
  seqno.property_number("rocksdb.external_sst_file.global_seqno", 7, 8);
  CHECK(says(seqno.finish(), "corruption", "global sequence number"));
  CraftedTable bad_number;
  bad_number.property("rocksdb.num.entries", "\xff");
  CHECK(says(bad_number.finish(), "corruption", "properties block"));
}
