// SPDX-License-Identifier: Apache-2.0
// Storage URLs. What goes wrong with one may be logged, so it must not show what a query holds.
#include <optional>
#include <string>
#include <variant>

#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {
// A run must not depend on what files there are.
class NoFiles final : public Environment {
 public:
  std::optional<std::string> variable(const char* /*name*/) override { return std::nullopt; }
  Result<std::string> file(const std::string& /*path*/) override {
    return Status::error(StatusCode::not_found, "there is no such file");
  }
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView url(reinterpret_cast<const char*>(data), size);
  const fuzz::AllocationLimit limit(16 * size + (16 << 10));
  NoFiles files;
  const auto storage = parse_storage_url(url, files);
  if (storage.ok()) {
    const auto* local = std::get_if<Local>(&storage.value().backend);
    fuzz::require(local == nullptr || local->path.find('\0') == std::string::npos,
                  "a path holds a zero byte, where the system ends it");
    const std::string shown = storage_url(storage.value());
    if (const auto* s3 = std::get_if<S3>(&storage.value().backend)) {
      const auto again = parse_storage_url(shown, files);
      fuzz::require(again.ok(), "what is shown of an S3 message is no URL");
      S3 without = *s3;
      without.access_key.clear();
      without.secret_access_key.clear();
      fuzz::require(std::get<S3>(again.value().backend) == without,
                    "what is shown of an S3 message is another place");
    }
    return 0;
  }
  const auto message_with = [url, &files](std::string_view secret) {
    const std::string text = std::string(url) + "?k=" + std::string(secret);
    return parse_storage_url(text, files).status().to_string();
  };
  fuzz::require(message_with("1234567") == message_with("abcdefg"), "an error shows a query");
  return 0;
}
