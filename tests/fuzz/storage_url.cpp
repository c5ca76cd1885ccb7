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
  constexpr std::string_view secret = "c0ffee-c0ffee-c0ffee";
  const auto with_secret = parse_storage_url(std::string(url) + "?secret=" + std::string(secret));
  const std::string message = with_secret.status().to_string();
  fuzz::require(message.find(secret) == std::string::npos || url.find(secret) != ByteView::npos,
                "an error shows the query of a URL");
  return 0;
}
