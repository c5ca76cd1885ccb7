// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/parsed_table.hpp"

namespace tikv_properties_test {

using namespace kvbackup;
using namespace sst_test;

namespace {

std::uint64_t big_endian(std::string_view in) {
  require(in.size() == 8, "not eight bytes");
  std::uint64_t v = 0;
  for (const char c : in) v = v << 8 | static_cast<std::uint8_t>(c);
  return v;
}

/// An index: key, and two numbers.
using Points = std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t>>;
Points points_of(std::string_view bytes) {
  Input in{bytes};
  Points out;
  while (!in.rest.empty()) {
    const std::string key(in.bytes(big_endian(in.bytes(8))));
    const std::uint64_t first = big_endian(in.bytes(8));
    out.emplace_back(key, first, big_endian(in.bytes(8)));
  }
  return out;
}

template <class Collector>
std::map<std::string, std::string> finish(Collector& collector) {
  std::map<std::string, std::string> out;
  auto emit = [&out](std::string_view name, ByteView bytes) {
    require(out.emplace(name, bytes).second, "a property twice");
  };
  collector.finish(emit);
  return out;
}

/// A key of the write column family.
std::string version(const std::string& row, std::uint64_t commit_ts) {
  std::string key = "z" + row;
  append_be64(key, ~commit_ts);
  return key;
}

std::string numbered(std::uint64_t i) { return "zkey" + std::to_string(10000000 + i); }

}  // namespace

TEST_CASE("range_index has the first and the last key, with sizes up to and with them") {
  TikvRangeCollector collector;
  collector.add("za", "123");
  collector.add("zb", "4");
  collector.add("zcc", "");
  CHECK(points_of(finish(collector).at("tikv.range_index")) ==
        Points{{"za", 5, 1}, {"zcc", 11, 3}});
}

TEST_CASE("range_index of one key has one point") {
  TikvRangeCollector collector;
  collector.add("za", "123");
  CHECK(points_of(finish(collector).at("tikv.range_index")) == Points{{"za", 5, 1}});
}

TEST_CASE("range_index has a point at every 40960 keys after the one before") {
  TikvRangeCollector collector;
  for (std::uint64_t i = 0; i < 90000; ++i) collector.add(numbered(i), "");
  const Points points = points_of(finish(collector).at("tikv.range_index"));
  // The first point is behind the first key, so each next one is 40960 keys further.
  CHECK(points == Points{{numbered(0), 12, 1},
                         {numbered(40960), 12 * 40961, 40961},
                         {numbered(81920), 12 * 81921, 81921},
                         {numbered(89999), 12 * 90000, 90000}});
}

TEST_CASE("range_index has a point at every 4 MiB of keys and values after the one before") {
  TikvRangeCollector collector;
  const std::string mebibyte((1 << 20) - 12, 'v');
  for (std::uint64_t i = 0; i < 6; ++i) collector.add(numbered(i), mebibyte);
  CHECK(points_of(finish(collector).at("tikv.range_index")) ==
        Points{{numbered(0), 1 << 20, 1}, {numbered(4), 5 << 20, 5}, {numbered(5), 6 << 20, 6}});
}

TEST_CASE("mvcc properties count rows, versions and writes, and the span of commit timestamps") {
  TikvMvccCollector collector;
  collector.add(version("a", 30), "P...");
  collector.add(version("a", 20), "D");
  collector.add(version("a", 10), "R");
  collector.add(version("b", 25), "L");
  collector.add(version("c", 40), "P");
  const auto properties = finish(collector);
  const auto number = [&](const char* name) { return big_endian(properties.at(name)); };
  CHECK(properties.size() == 9);
  CHECK(number("tikv.min_ts") == 10);
  CHECK(number("tikv.max_ts") == 40);
  CHECK(number("tikv.num_rows") == 3);
  CHECK(number("tikv.num_puts") == 2);
  CHECK(number("tikv.num_deletes") == 1);
  CHECK(number("tikv.num_versions") == 5);
  CHECK(number("tikv.max_row_versions") == 3);
  CHECK(number("tikv.num_errors") == 0);
  CHECK(points_of(properties.at("tikv.rows_index")) == Points{{"za", 1, 1}, {"zc", 2, 3}});
}

TEST_CASE("mvcc properties count what is no write record as an error") {
  TikvMvccCollector collector;
  collector.add("", "P");               // no data prefix
  collector.add("a1234567890", "P");    // another prefix
  collector.add("z123456", "P");        // too short for a timestamp
  collector.add(version("a", 1), "");   // no type
  collector.add(version("b", 2), "X");  // an unknown one
  collector.add(version("c", 3), "P");
  const auto properties = finish(collector);
  const auto number = [&](const char* name) { return big_endian(properties.at(name)); };
  CHECK(number("tikv.num_errors") == 5);
  CHECK(number("tikv.num_versions") == 3);
  CHECK(number("tikv.num_rows") == 3);
  CHECK(number("tikv.num_puts") == 1);
  // Rows whose newest version cannot be read do not count here.
  CHECK(points_of(properties.at("tikv.rows_index")) == Points{{"zc", 1, 1}});
}

TEST_CASE("mvcc properties of no record have the highest timestamp as lowest") {
  TikvMvccCollector collector;
  const auto properties = finish(collector);
  CHECK(properties.at("tikv.min_ts") == std::string(8, '\xff'));
  CHECK(properties.at("tikv.max_ts") == std::string(8, '\0'));
  CHECK(properties.at("tikv.rows_index").empty());
}

TEST_CASE("rows_index has a point at the first row, every 10000 rows, and the last") {
  TikvMvccCollector collector;
  for (std::uint64_t i = 0; i < 10005; ++i) {
    for (std::uint64_t ts = 3; ts > 0; --ts) collector.add(version(numbered(i), ts), "P");
  }
  CHECK(points_of(finish(collector).at("tikv.rows_index")) ==
        Points{{"z" + numbered(0), 1, 1},
               {"z" + numbered(10000), 10000, 10001},
               {"z" + numbered(10004), 4, 10005}});
}

TEST_CASE("the properties block names the collectors and has their properties in order") {
  const std::map<std::string, std::string> model{{version("a", 5), "P"}};
  const auto collectors = [&](auto collector) {
    return parse_table(write_table(model, TableOptions::br_write_cf(), NoneCodec{}, collector))
        .properties;
  };
  const auto of_write = collectors(TikvCollector::write_cf());
  CHECK(of_write.at("rocksdb.property.collectors") ==
        "[tikv.mvcc-properties-collector,tikv.range-properties-collector]");
  CHECK(of_write.count("tikv.num_puts") == 1);
  const auto of_default = collectors(TikvCollector::default_cf());
  CHECK(of_default.at("rocksdb.property.collectors") == "[tikv.range-properties-collector]");
  CHECK(of_default.count("tikv.num_puts") == 0);
  CHECK(of_default.count("tikv.range_index") == 1);
  CHECK(collectors(NoCollector{}).at("rocksdb.property.collectors") == "[]");
}

namespace {

/// Emits one name, twice or once.
struct NamingCollector {
  std::string property;
  int times;
  void add(ByteView, ByteView) {}
  void finish(PropertyEmit emit) {
    for (int i = 0; i < times; ++i) emit(property, "v");
  }
  [[nodiscard]] static std::string name() { return "naming"; }
};

}  // namespace

TEST_CASE("a property name that would come twice is refused, since readers refuse it") {
  for (const auto& collector :
       {NamingCollector{"mine", 2}, NamingCollector{"rocksdb.num.entries", 1}}) {
    std::string file;
    TableWriter<NoneCodec, Crc32cChecksum, StringOutput, NamingCollector> writer(
        TableOptions{}, NoneCodec{}, StringOutput{&file}, collector);
    REQUIRE(writer.add("k", "v").ok());
    const auto result = writer.finish();
    CHECK(result.status().code() == StatusCode::invalid_argument);
    CHECK(result.status().message().find("given twice") != std::string_view::npos);
  }
}

}  // namespace tikv_properties_test
