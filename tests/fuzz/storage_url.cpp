// SPDX-License-Identifier: Apache-2.0
// Storage URLs. What goes wrong with one may be logged, so it must not show what a query holds.
#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView url(reinterpret_cast<const char*>(data), size);
  const fuzz::AllocationLimit limit(16 * size + (4 << 10));
  const auto location = parse_storage_url(url);
  if (location.ok()) {
    fuzz::require(location.value().path.find('\0') == std::string::npos,
                  "a path holds a zero byte, where the system ends it");
    return 0;
  }
  const auto message_with = [url](std::string_view secret) {
    return parse_storage_url(std::string(url) + "?k=" + std::string(secret)).status().to_string();
  };
  fuzz::require(message_with("1234567") == message_with("abcdefg"), "an error shows a query");
  return 0;
}
