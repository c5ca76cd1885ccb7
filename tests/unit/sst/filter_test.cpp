// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/parsed_table.hpp"

namespace filter_test {

using namespace kvbackup;
using namespace sst_test;

namespace {

std::map<std::string, std::string> numbered(std::size_t count, std::size_t per_prefix = 1) {
  std::map<std::string, std::string> model;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string prefix = std::to_string(1000000 + i / per_prefix);
    model.emplace("p" + prefix + std::to_string(1000 + i % per_prefix), "v");
  }
  return model;
}

double false_positives(const std::string& filter) {
  int hits = 0;
  for (int i = 0; i < 10000; ++i) hits += may_contain(filter, "absent" + std::to_string(i));
  return hits / 10000.0;
}

}  // namespace

TEST_CASE("the filter knows every key and few others, about as the bits allow") {
  for (const std::size_t count : {1u, 2u, 1000u, 70000u}) {
    const auto model = numbered(count);
    const ParsedTable table = parse_table(write_table(model, TableOptions{}));
    for (const auto& [key, value] : model) REQUIRE(may_contain(table.filter, key));
    CHECK(false_positives(table.filter) < 0.025);
    CHECK(table.properties.at("rocksdb.filter.policy") == "rocksdb.BuiltinBloomFilter");
  }
}

TEST_CASE("more bits make a larger and better filter") {
  TableOptions options;
  options.filter_bits_per_key = 2;
  const auto model = numbered(2000);
  const ParsedTable poor = parse_table(write_table(model, options));
  options.filter_bits_per_key = 20;
  const ParsedTable good = parse_table(write_table(model, options));
  CHECK(good.filter.size() > 5 * poor.filter.size());
  CHECK(false_positives(good.filter) < 0.006);
  CHECK(false_positives(poor.filter) > 0.1);
  for (const auto& [key, value] : model) REQUIRE(may_contain(poor.filter, key));
}

TEST_CASE("one probe is the least: a filter of one bit a key still knows its keys") {
  TableOptions options;
  options.filter_bits_per_key = 1;
  const auto model = numbered(1000);
  const ParsedTable table = parse_table(write_table(model, options));
  CHECK(table.filter[table.filter.size() - 5] == 1);
  for (const auto& [key, value] : model) REQUIRE(may_contain(table.filter, key));
}

TEST_CASE("without bits there is no filter and no name of one") {
  TableOptions options;
  options.filter_bits_per_key = 0;
  const ParsedTable table = parse_table(write_table(numbered(10), options));
  CHECK(table.filter.empty());
  CHECK(table.metaindex.size() == 1);
  CHECK(table.properties.count("rocksdb.filter.policy") == 0);
  CHECK(table.number("rocksdb.filter.size") == 0);
}

TEST_CASE("a prefix filter holds each prefix once and no whole key") {
  TableOptions options;
  options.whole_key_filtering = false;
  options.prefix_extractor = PrefixExtractor::fixed_prefix(8);
  const auto model = numbered(10000, 100);
  const ParsedTable table = parse_table(write_table(model, options));
  // 100 prefixes of 10 bits: two lines, made odd.
  CHECK(table.filter.size() == 3 * 64 + 5);
  for (const auto& [key, value] : model) REQUIRE(may_contain(table.filter, key.substr(0, 8)));
  CHECK(table.properties.at("rocksdb.prefix.extractor.name") == "rocksdb.FixedPrefix.8");
  CHECK(table.properties.at("rocksdb.block.based.table.whole.key.filtering") == "0");
  CHECK(table.properties.at("rocksdb.block.based.table.prefix.filtering") == "1");
}

TEST_CASE("a filter of whole keys and prefixes knows both, each prefix once") {
  TableOptions options;
  options.prefix_extractor = PrefixExtractor::fixed_suffix(4);
  const auto model = numbered(10000, 100);
  const ParsedTable table = parse_table(write_table(model, options));
  for (const auto& [key, value] : model) {
    REQUIRE(may_contain(table.filter, key));
    REQUIRE(may_contain(table.filter, key.substr(0, 8)));
  }
  CHECK(table.filter.size() == (10100 * 10 + 511) / 512 * 64 + 64 * (1 - 198 % 2) + 5);
}

TEST_CASE("if no key has a prefix there is no filter block") {
  TableOptions options;
  options.whole_key_filtering = false;
  options.prefix_extractor = PrefixExtractor::fixed_prefix(100);
  const ParsedTable table = parse_table(write_table(numbered(10), options));
  CHECK(table.filter.empty());
  CHECK(table.metaindex.size() == 1);
}

TEST_CASE("a prefix extractor cuts keys that are long enough and has its writer's name") {
  CHECK_FALSE(PrefixExtractor().enabled());
  CHECK_FALSE(PrefixExtractor().in_domain("key"));
  CHECK(PrefixExtractor().name() == "nullptr");
  const PrefixExtractor prefix = PrefixExtractor::fixed_prefix(3);
  CHECK(prefix.name() == "rocksdb.FixedPrefix.3");
  CHECK_FALSE(prefix.in_domain("ab"));
  CHECK(prefix.in_domain("abc"));
  CHECK(prefix.transform("abcd") == "abc");
  const PrefixExtractor suffix = PrefixExtractor::fixed_suffix(3);
  CHECK(suffix.name() == "FixedSuffixSliceTransform");
  CHECK_FALSE(suffix.in_domain("ab"));
  CHECK(suffix.transform("abc") == "");
  CHECK(suffix.transform("abcd") == "a");
}

}  // namespace filter_test
