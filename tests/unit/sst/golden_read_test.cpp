// SPDX-License-Identifier: Apache-2.0
// Files of RocksDB's format_version 6 and 7, against the digests of what RocksDB put into them.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"
#include "unit/sst/reader_support.hpp"

using namespace kvbackup;
using namespace sst_test;

namespace {

/// FNV-1a with 64 bits.
class Digest {
 public:
  void add(ByteView bytes) {
    for (const char c : bytes) {
      hash_ ^= static_cast<unsigned char>(c);
      hash_ *= 0x100000001b3;
    }
  }
  void add_sized(ByteView bytes) {
    std::string size;
    append_le32(size, static_cast<std::uint32_t>(bytes.size()));
    add(size);
    add(bytes);
  }
  void add_tail(std::uint64_t sequence, unsigned type) {
    std::string tail;
    append_le64(tail, sequence << 8 | type);
    add(tail);
  }
  [[nodiscard]] std::string hex() const {
    std::string bytes;
    append_be64(bytes, hash_);
    return to_hex(bytes);
  }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

std::string range_digest(std::vector<RangeTombstone> tombstones) {
  std::sort(tombstones.begin(), tombstones.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  Digest digest;
  for (const RangeTombstone& t : tombstones) {
    digest.add_sized(t.begin);
    digest.add_tail(t.sequence, 0x0f);
    digest.add_sized(t.end);
  }
  return digest.hex();
}

std::vector<std::vector<std::string>> manifest() {
  std::ifstream in(std::string(KVBACKUP_GOLDEN_DIR) + "/MANIFEST.tsv");
  std::vector<std::vector<std::string>> rows;
  std::string line;
  std::getline(in, line);  // the names of the columns
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::vector<std::string> row;
    for (std::string field; std::getline(fields, field, '\t');) row.push_back(field);
    rows.push_back(std::move(row));
  }
  return rows;
}

void check_golden(const std::vector<std::string>& row) {
  const std::string path = std::string(KVBACKUP_GOLDEN_DIR) + "/" + row[0] + ".sst";
  const InMemoryTable reader =
      open_table(test_support::read_file(path), {.filter = FilterUse::always});
  CHECK(std::to_string(reader.format_version()) == row[1]);
  CHECK(reader.verify_blocks().ok());
  Digest digest;
  std::size_t points = 0;
  std::size_t lost = 0;
  std::string first;
  std::string last;
  auto it = reader.entries();
  for (; it.valid(); it.next(), ++points) {
    digest.add_sized(it.key());
    digest.add_tail(it.sequence(), static_cast<unsigned>(it.type()));
    digest.add_sized(it.value());
    if (points == 0) first = it.key();
    last = it.key();
    const auto found = reader.get(last);
    lost += found.ok() ? found.value().outcome == Lookup::Outcome::absent
                       : found.status().code() != StatusCode::unsupported;
  }
  CHECK(it.status().ok());
  CHECK(lost == 0);
  CHECK(std::to_string(points) == row[6]);
  CHECK(digest.hex() == row[8]);
  CHECK(to_hex(first) == row[10]);
  CHECK(to_hex(last) == row[11]);
  const auto tombstones = reader.range_tombstones();
  REQUIRE(tombstones.ok());
  CHECK(std::to_string(tombstones.value().size()) == row[7]);
  if (row[9] != "-") CHECK(range_digest(tombstones.value()) == row[9]);
  if (row[5] == "twolevel") CHECK(reader.properties().index_type == 2);
  if (row[5] == "firstkey") CHECK(reader.properties().index_type == 3);
  if (row[4] == "none") return;
  std::size_t useless = 0;
  for (std::size_t i = 0; i < 300; ++i) {
    const auto found = reader.get("user/0003/absent" + std::to_string(i));
    useless += !found.ok() || found.value().outcome != Lookup::Outcome::absent;
  }
  CHECK(useless == 0);
  if (points > 1) CHECK(reader.counters().filter_useful > 250);
}

}  // namespace

TEST_CASE("format_version 6 and 7 are read as RocksDB wrote them") {
  const auto rows = manifest();
  REQUIRE(rows.size() >= 11);
  for (const auto& row : rows) {
    REQUIRE(row.size() >= 12);
    CAPTURE(row[0]);
#if !KVBACKUP_WITH_XXHASH
    if (row[3] != "nosum") continue;
#endif
    check_golden(row);
  }
}

TEST_CASE("a block of format_version 6 at another place than its own is noticed") {
  const std::string path = std::string(KVBACKUP_GOLDEN_DIR) + "/comp_zstd_fv6.sst";
  std::string file = test_support::read_file(path);
  file.insert(0, 1, '\0');
  const auto shifted = InMemoryTable::open(MemoryFile(file));
  CHECK(shifted.status().code() == StatusCode::corruption);
}

TEST_CASE("the file of a TiKV cluster has its one pair") {
  const std::string path = std::string(KVBACKUP_GOLDEN_DIR) + "/tikv-5.0.0rc-1kv-write.sst";
  const InMemoryTable reader = open_table(test_support::read_file(path),
                                          {.prefix_extractor = PrefixExtractor::fixed_suffix(8)});
  const std::string key =
      *from_hex("7a7480000000000000ff365f720168656c6cff6f000000fc000000fcfa1db96cbe4bfffc");
  const std::vector<Pair> expected{{key, *from_hex("508280d08db4d291f1057606800000000000")}};
  CHECK(pairs_of(reader.source()) == expected);
  CHECK(reader.get(key).value().found());
  CHECK(reader.get("another key of the table").value().outcome == Lookup::Outcome::absent);
  CHECK(reader.counters().filter_useful == 1);
  CHECK(reader.properties().find("tikv.num_rows").has_value());
}
