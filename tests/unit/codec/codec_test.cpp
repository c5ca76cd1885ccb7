// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <variant>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_codec.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

template <BlockCodec C>
std::string broken_laws(const C& codec) {
  return testing::to_string(testing::check_codec(codec));
}

/// A second codec whose contexts have the types of NoneCodec's.
struct OtherNoneCodec : NoneCodec {
  static std::string_view name() { return "NoCompression"; }
};

}  // namespace

TEST_CASE("the none codec keeps the laws of its contract") {
  CHECK(broken_laws(NoneCodec{}) == "");
  CHECK(NoneCodec{}.type() == BlockCompression::none);
  CHECK(std::string(NoneCodec{}.name()) == "NoCompression");
}

TEST_CASE("the none codec never has a block fit, and copies it back") {
  std::string out(100, '\0');
  CHECK_FALSE(NoneCodec{}.compressor().compress("bytes", out).has_value());
  std::string plain(5, '\0');
  CHECK(NoneCodec{}.decompressor().decompress("bytes", plain).ok());
  CHECK(plain == "bytes");
  const Status status = NoneCodec{}.decompressor().decompress("four", plain);
  CHECK(status.code() == StatusCode::corruption);
  CHECK(NoneCodec{}.decompressor().decompress({}, {}).ok());
}

TEST_CASE("a codec chosen at run time keeps the laws of its contract") {
  CHECK(broken_laws(AnyCodec<NoneCodec>{}) == "");
#if KVBACKUP_WITH_LZ4
  using Codec = AnyCodec<NoneCodec, Lz4Codec>;
  CHECK(broken_laws(Codec{}) == "");
  CHECK(broken_laws(Codec{Lz4Codec{}}) == "");
  CHECK(broken_laws(Codec{Lz4Codec{.exact = true}}) == "");
#endif
}

TEST_CASE("a codec chosen at run time says what it was made of") {
  using Codec = AnyCodec<NoneCodec, OtherNoneCodec>;
  CHECK(Codec{}.type() == BlockCompression::none);
  CHECK(Codec{OtherNoneCodec{}}.bound(10) == 10);
#if KVBACKUP_WITH_LZ4
  AnyCodec<NoneCodec, Lz4Codec> codec;
  CHECK(codec.type() == BlockCompression::none);
  codec = Lz4Codec{};
  CHECK(codec.type() == BlockCompression::lz4);
  CHECK(std::string(codec.name()) == "LZ4");
  CHECK(codec.bound(1000) == Lz4Codec{}.bound(1000));
#endif
}
