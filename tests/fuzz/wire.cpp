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

// What a run leaves in a destination; sealed, since the fuzzer cannot guess a seal.
void check_run_objects(ByteView bytes) {
  const std::string id = "0123456789abcdef";
  std::string sealed(bytes);
  detail::append_seal(sealed);
  const auto lock = decode_lock(lock_name(id), sealed);
  if (lock.ok()) {
    fuzz::require_ok(decode_lock(lock_name(id), encode_lock(lock.value())).status());
    const FoundLock found{.name = lock_name(id), .lock = lock.value(), .modified_ms = 1};
    (void)is_live(found, 1, 1);
    (void)describe_lock(found);
  }
  const auto job = decode_checkpoint_job(checkpoint_name(id, 0), sealed);
  if (job.ok()) {
    (void)detail::tiles_all(job.value().ranges, job.value().sub_ranges);
    fuzz::require_ok(
        decode_checkpoint_job(checkpoint_name(id, 0), encode_checkpoint(job.value())).status());
  }
  auto parts = decode_checkpoint_parts(checkpoint_name(id, 1), sealed);
  if (!parts.ok()) return;
  CheckpointJob whole;
  whole.job_id = id;
  whole.sub_ranges.emplace_back();
  detail::PartGatherer gatherer(checkpoint_name(id, 0), whole);
  if (gatherer.add(std::move(parts.value().parts)).ok()) (void)std::move(gatherer).take();
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
  check<DestinationLock>(bytes);
  check<CheckpointJob>(bytes);
  check<CheckpointParts>(bytes);
  check_run_objects(bytes);
  check_manifest(bytes);
  // The fuzzer cannot guess a seal, so it gets one.
  if (const auto info = decode<KvbackupInfo>(bytes); info.ok()) {
    check_manifest(encode_manifest(BackupMeta(), info.value()));
  }
  return 0;
}
