// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <set>
#include <string>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_source.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

GeneratorOptions options_of(std::uint64_t count, std::size_t key_size, std::size_t value_size,
                            double compressibility = 0.5) {
  GeneratorOptions options;
  options.count = count;
  options.key_size = key_size;
  options.value_size = value_size;
  options.compressibility = compressibility;
  return options;
}

}  // namespace

TEST_CASE("a generated store has the count and the sizes asked for, in rising order") {
  const auto key_size = GENERATE(values<std::size_t>({4, 8, 19, 20, 21, 64}));
  const auto value_size = GENERATE(values<std::size_t>({0, 1, 7, 8, 9, 100}));
  auto source = GeneratorSource::make(options_of(1234, key_size, value_size)).value();
  std::string last;
  std::uint64_t count = 0;
  for (; source.valid(); source.next(), ++count) {
    REQUIRE(source.key().size() == key_size);
    REQUIRE(source.value().size() == value_size);
    REQUIRE((count == 0 || ByteView(last) < source.key()));
    last = source.key();
  }
  CHECK(count == 1234);
  CHECK(source.status().ok());
}

TEST_CASE("the same options give the same bytes on every machine") {
  GeneratorOptions options = options_of(3, 24, 12);
  options.seed = 42;
  auto source = GeneratorSource::make(options).value();
  source.next();
  // an independent splitmix64 of these options gave this
  CHECK(std::string(source.key().substr(0, 20)) == "00000000000000000001");
  CHECK(to_hex(source.key().substr(20)) == "68647978");
  CHECK(to_hex(source.value()) == "4cb955bb20842e2e2e2e2e2e");
  CHECK(source.kind() == "generator");
  CHECK(source.identity() == "count=3 key_size=24 value_size=12 seed=42 compressibility=0.500000");
}

TEST_CASE("another seed gives other values") {
  GeneratorOptions options = options_of(50, 24, 64, 0);
  std::set<std::string> values;
  for (options.seed = 0; options.seed < 4; ++options.seed) {
    for (auto source = GeneratorSource::make(options).value(); source.valid(); source.next()) {
      values.insert(std::string(source.value()));
    }
  }
  CHECK(values.size() == 200);
}

TEST_CASE("compressibility is the part of a value that repeats") {
  const double part = GENERATE(0.0, 0.25, 0.5, 1.0);
  auto source = GeneratorSource::make(options_of(1, 8, 10'000, part)).value();
  const std::string value(source.value());
  std::size_t repeated = 0;
  while (repeated < value.size() && value[value.size() - 1 - repeated] == '.') ++repeated;
  CHECK(repeated == static_cast<std::size_t>(part * 10'000));
}

TEST_CASE("generated sources and snapshots keep their contracts") {
  const GeneratorOptions options = options_of(300, 22, 40);
  CHECK(testing::to_string(
            testing::check_source([&] { return GeneratorSource::make(options).value(); })) == "");
  ThreadExecutor threads;
  const GeneratorSnapshot snapshot = GeneratorSnapshot::make(options).value();
  CHECK(testing::to_string(testing::check_snapshot(snapshot, threads, 4)) == "");
  CHECK(snapshot.estimate({}).pairs == 300u);
  CHECK(snapshot.estimate({}).bytes == 300u * 62);
  CHECK(snapshot.split({}, 6200).value().size() == 3);
  CHECK(snapshot.scan({"other", "", ""}).status().code() == StatusCode::not_found);
  CHECK(testing::to_string(
            testing::check_snapshot(GeneratorSnapshot::make(options_of(0, 8, 8)).value())) == "");
}

TEST_CASE("a huge store costs nothing until it is read") {
  GeneratorOptions options = options_of(std::numeric_limits<std::uint64_t>::max(), 20, 1 << 20);
  const GeneratorSnapshot snapshot = GeneratorSnapshot::make(options).value();
  CHECK(snapshot.split({}, 1).value().size() <= (std::size_t{1} << 20) + 1);
  CHECK_FALSE(snapshot.estimate({}).bytes.has_value());
  auto source = snapshot.scan({}).value();
  source.seek("18446744073709551614");
  REQUIRE(source.valid());
  CHECK(source.key() == "18446744073709551614");
  source.next();
  CHECK_FALSE(source.valid());
}

TEST_CASE("sizes that no rising keys can have are refused") {
  const auto refused = [](GeneratorOptions options) {
    const bool both = GeneratorSnapshot::make(options).status().code() ==
                      GeneratorSource::make(options).status().code();
    CHECK(both);
    return GeneratorSource::make(options).status().code() == StatusCode::invalid_argument;
  };
  CHECK(refused(options_of(1, 0, 1)));
  CHECK(refused(options_of(1, 65537, 1)));
  CHECK(refused(options_of(101, 2, 1)));
  CHECK_FALSE(refused(options_of(100, 2, 1)));
  CHECK(refused(options_of(std::uint64_t{10'000'000'000'000'000'000u} + 1, 19, 1)));
  CHECK_FALSE(refused(options_of(std::uint64_t{10'000'000'000'000'000'000u}, 19, 1)));
  CHECK(refused(options_of(1, 8, (std::size_t{1} << 30) + 1)));
  CHECK(refused(options_of(1, 8, 8, -0.1)));
  CHECK(refused(options_of(1, 8, 8, 1.1)));
  CHECK(refused(options_of(1, 8, 8, std::numeric_limits<double>::quiet_NaN())));
}
