// SPDX-License-Identifier: Apache-2.0
// Messages as JSON.
#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

// What was read is printed in a form that reads as the same again.
template <Message M>
void check(ByteView text) {
  std::string bytes;
  std::string printed;
  {
    const auto message = from_json<M>(text);
    if (!message.ok()) {
      fuzz::require(message.status().code() == StatusCode::invalid_argument,
                    "not a parser's error");
      return;
    }
    bytes = encode(message.value());
    auto json = to_json(message.value());
    fuzz::require_ok(json.status());
    printed = std::move(json).value();
  }
  const auto again = from_json<M>(printed);
  fuzz::require_ok(again.status());
  fuzz::require(encode(again.value()) == bytes, "what was printed reads as something else");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView text(reinterpret_cast<const char*>(data), size);
  // Three characters make an element of a repeated field, which is a struct of some hundred bytes.
  // The parser's own pieces are of 64 KiB.
  const fuzz::AllocationLimit limit(1024 * size + (1 << 20));
  check<BackupMeta>(text);
  check<KvbackupInfo>(text);
  check<BackupRequest>(text);
  check<BackupResponse>(text);
  check<StorageBackend>(text);
  return 0;
}
