// SPDX-License-Identifier: Apache-2.0
// A file that a TiKV 5.0.0-rc cluster wrote during a BR backup; BR recorded its SHA-256
// (pingcap/br pkg/utils/json_test.go). tests/golden/ has the bytes, for a look at a difference.
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/sst/parsed_table.hpp"

using namespace kvbackup;
using namespace sst_test;

namespace {

/// Named as Zstd; finds every block too small, as Zstd does with this one.
struct ZstdThatSavesNothing {
  struct Compressor {
    std::optional<std::size_t> compress(ByteView, std::span<char>) { return std::nullopt; }
  };
  struct Decompressor {
    Status decompress(ByteView, std::span<char>) { return {}; }
  };
  [[nodiscard]] BlockCompression type() const { return BlockCompression::zstd; }
  [[nodiscard]] std::string_view name() const { return "ZSTD"; }
  [[nodiscard]] std::size_t bound(std::size_t n) const { return n; }
  [[nodiscard]] Compressor compressor() const { return {}; }
  [[nodiscard]] Decompressor decompressor() const { return {}; }
};

}  // namespace

TEST_CASE("one recorded pair gives the very file that TiKV wrote from it") {
  const std::map<std::string, std::string> model{
      {*from_hex("7a7480000000000000ff365f720168656c6cff6f000000fc000000fcfa1db96cbe4bfffc"),
       *from_hex("508280d08db4d291f1057606800000000000")}};
  const std::string file = write_table(model, TableOptions::br_write_cf(), ZstdThatSavesNothing{},
                                       TikvCollector::write_cf());
  CHECK(file.size() == 1423);
  CHECK(to_hex(as_bytes(PortableSha256::of(file))) ==
        "aa5cefba077644dbb2aa1d7fae2a0f879b56411195ad62d18caaf4ec76fae48f");
}
