// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <map>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/parsed_table.hpp"

namespace block_cut_test {

using namespace kvbackup;
using namespace sst_test;

namespace {

TableOptions with_blocks(std::uint32_t block_size, std::uint32_t deviation) {
  TableOptions options;
  options.block_size = block_size;
  options.block_size_deviation = deviation;
  return options;
}

/// Entries per block when the pairs have one-byte keys "a", "b", ... and values of these sizes.
std::vector<std::size_t> cut(const TableOptions& options, const std::vector<std::size_t>& values) {
  std::map<std::string, std::string> model;
  for (std::size_t i = 0; i < values.size(); ++i) {
    model.emplace(std::string(1, static_cast<char>('a' + i)), std::string(values[i], 'v'));
  }
  std::vector<std::size_t> out;
  for (const auto& block : parse_table(write_table(model, options)).blocks) {
    out.push_back(block.size());
  }
  return out;
}

using Sizes = std::vector<std::size_t>;

}  // namespace

// An entry here has 3 bytes of lengths, a key of 1 + 8 bytes and its value: 12 + value bytes
// (nothing is shared, the keys differ in their first byte). A block adds 8 for its one restart and
// the count.

TEST_CASE("a block is closed once it has reached the block size, not a byte before") {
  CHECK(cut(with_blocks(120, 0), {100, 1, 1}) == Sizes{1, 2});  // 12 + 100 + 8 = 120
  CHECK(cut(with_blocks(120, 0), {99, 1, 1}) == Sizes{2, 1});   // 119, then the next one passes
  CHECK(cut(with_blocks(121, 0), {100, 1, 1}) == Sizes{2, 1});
}

TEST_CASE("within the deviation a block is closed if the next entry would pass the block size") {
  // limit = (1000 * 90 + 99) / 100 = 900; the next entry is taken for 9 + value + 4 + 1 + 1 bytes.
  const TableOptions options = with_blocks(1000, 10);
  const std::size_t at_limit = 900 - 8 - 13;  // a value of two length bytes: 13 + value
  CHECK(cut(options, {at_limit, 100, 1}) == Sizes{2, 1});     // 900 is not above the limit
  CHECK(cut(options, {at_limit + 1, 84, 1}) == Sizes{2, 1});  // 901 + 15 + 84 = 1000
  CHECK(cut(options, {at_limit + 1, 85, 1}) == Sizes{1, 2});  // 1001
}

TEST_CASE("the estimate counts a restart that the next entry begins") {
  // Sixteen entries of 12 + 40 bytes and 8 = 840 bytes, above the limit of 800. The 17th is taken
  // for 9 + value + 4 + 1 + 2 bytes, and 4 for the restart.
  Sizes values(16, 40);
  values.push_back(1000 - 840 - 20);
  values.push_back(1);
  CHECK(cut(with_blocks(1000, 20), values) == Sizes{17, 1});
  ++values[16];
  CHECK(cut(with_blocks(1000, 20), values) == Sizes{16, 2});
}

TEST_CASE("a deviation of 0 or 100 percent leaves only the block size") {
  for (const std::uint32_t deviation : {0u, 100u}) {
    CHECK(cut(with_blocks(1000, deviation), {900, 5000, 1}) == Sizes{2, 1});
  }
}

}  // namespace block_cut_test
