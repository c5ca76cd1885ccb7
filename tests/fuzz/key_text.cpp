// SPDX-License-Identifier: Apache-2.0
// Keys as text in the three formats, percent codes, hex digits.
#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(reinterpret_cast<const char*>(data), size);
  const fuzz::AllocationLimit limit(32 * size + (4 << 10));
  for (const KeyFormat format : {KeyFormat::raw, KeyFormat::escaped, KeyFormat::hex}) {
    const auto spelled = decode_key(format, encode_key(format, bytes));
    fuzz::require_ok(spelled.status());
    fuzz::require(spelled.value() == bytes, "a key is spelled as another");
    const auto key = decode_key(format, bytes);
    if (!key.ok()) continue;
    fuzz::require(key.value().size() <= size, "a key is longer than its text");
    const auto again = decode_key(format, encode_key(format, key.value()));
    fuzz::require(again.ok() && again.value() == key.value(), "a key is spelled as another");
  }
  const auto coded = percent_decode(percent_encode(bytes, "/"));
  fuzz::require(coded.has_value() && *coded == bytes, "a percent code stands for something else");
  if (const auto plain = percent_decode(bytes)) {
    fuzz::require(percent_decode(percent_encode(*plain)) == plain, "percent codes do not agree");
  }
  fuzz::require(from_hex(to_hex(bytes)) == std::string(bytes), "hex digits do not agree");
  if (const auto plain = from_hex(bytes)) fuzz::require(plain->size() * 2 == size, "hex of a half");
  return 0;
}
