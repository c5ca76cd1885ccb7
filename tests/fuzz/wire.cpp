// SPDX-License-Identifier: Apache-2.0
// Protobuf's wire format: every message that comes from outside, and backupmeta with its seal.
#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

// What was read is written in a form that reads as the same again.
template <Message M>
void check(ByteView bytes) {
  std::string once;
  {
    const auto message = decode<M>(bytes);
    if (!message.ok()) {
      fuzz::require(message.status().code() == StatusCode::corruption, "not a decoder's error");
      return;
    }
    once = encode(message.value());
  }
  const auto again = decode<M>(once);
  fuzz::require_ok(again.status());
  fuzz::require(encode(again.value()) == once, "what was written reads as something else");
}

void check_manifest(ByteView bytes) {
  const auto manifest = decode_manifest(bytes);
  if (!manifest.ok() || !manifest.value().info) return;
  const std::string written = encode_manifest(manifest.value().meta, *manifest.value().info);
  fuzz::require_ok(decode_manifest(written).status());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(reinterpret_cast<const char*>(data), size);
  // Two bytes make an element of a repeated field, which is a struct of some hundred bytes.
  const fuzz::AllocationLimit limit(1024 * size + (256 << 10));
  check<BackupMeta>(bytes);
  check<KvbackupInfo>(bytes);
  check<BackupRequest>(bytes);
  check<BackupResponse>(bytes);
  check<StorageBackend>(bytes);
  check<RawRange>(bytes);
  check_manifest(bytes);
  // The fuzzer cannot guess a seal, so it gets one.
  if (const auto info = decode<KvbackupInfo>(bytes); info.ok()) {
    check_manifest(encode_manifest(BackupMeta(), info.value()));
  }
  return 0;
}
