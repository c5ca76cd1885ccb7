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
  const std::size_t query = url.find('?');
  constexpr std::size_t telling = 12;  // shorter ones may stand in a message by chance
  if (query != ByteView::npos && url.size() - query > telling && url.find("://") < query) {
    const std::string message = location.status().to_string();
    fuzz::require(message.find(url.substr(query + 1)) == std::string::npos,
                  "an error shows the query of a URL");
  }
  return 0;
}
