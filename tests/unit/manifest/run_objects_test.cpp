// SPDX-License-Identifier: Apache-2.0
// Checkpoints and locks: what is written is read again, and hostile bytes are refused.
#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace run_objects {
namespace {

const std::string job_id = "00112233445566778899aabbccddeeff";

CheckpointJob sample_job() {
  CheckpointJob job;
  job.format = checkpoint_format;
  job.job_id = job_id;
  job.created_unix_ms = 1'600'000'000'000;
  job.settings = {{"compression", "lz4"}, {"part size", "150994944"}};
  job.ranges.push_back({.cf = "default", .start = "a", .end = "", .unknown_fields = {}});
  job.sub_ranges = job.ranges;
  return job;
}

CheckpointParts sample_parts() {
  CheckpointParts parts;
  parts.job_id = job_id;
  parts.number = 3;
  CheckpointPart part;
  part.number = 1;
  part.start = "a";
  part.end = "b";
  CheckpointFile file;
  file.file.emplace();
  file.file->name = "1_2_1_x_default.sst";
  file.file->sha256 = std::string(32, '\x7f');
  file.file->start_key = "a";
  file.file->end_key = "b";
  file.crc32c = 0xffffffff;
  file.proof = "etag";
  part.files.push_back(file);
  parts.parts.push_back(part);
  return parts;
}

DestinationLock sample_lock() {
  DestinationLock lock;
  lock.format = lock_format;
  lock.run_id = "ffeeddccbbaa99887766554433221100";
  lock.job_id = job_id;
  lock.host = "host-a";
  lock.pid = 12;
  lock.started_unix_ms = 1'600'000'000'000;
  lock.renewed_unix_ms = 1'600'000'060'000;
  lock.lease_ms = lock_lease_ms;
  return lock;
}

std::string sealed(std::string message) {
  detail::append_seal(message);
  return message;
}

// Every truncation and every flipped bit is refused as damage.
template <class Decode>
void check_every_damage(const std::string& bytes, Decode decode) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (decode(ByteView(bytes).substr(0, size)) != StatusCode::corruption) FAIL("cut at " << size);
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    if (decode(damaged) != StatusCode::corruption) FAIL("bit " << bit);
  }
}

}  // namespace

TEST_CASE("a checkpoint is read as it was written, under its own name only") {
  const CheckpointJob job = sample_job();
  const std::string job_bytes = encode_checkpoint(job);
  CHECK(decode_checkpoint_job(checkpoint_name(job_id, 0), job_bytes).value() == job);
  CHECK(decode_checkpoint_job(checkpoint_name("0123456789abcdef", 0), job_bytes).status().code() ==
        StatusCode::corruption);
  const CheckpointParts parts = sample_parts();
  const std::string bytes = encode_checkpoint(parts);
  CHECK(decode_checkpoint_parts(checkpoint_name(job_id, 3), bytes).value() == parts);
  CHECK(decode_checkpoint_parts(checkpoint_name(job_id, 4), bytes).status().code() ==
        StatusCode::corruption);
}

TEST_CASE("any damage to a checkpoint or a lock is found") {
  check_every_damage(encode_checkpoint(sample_job()), [](ByteView bytes) {
    return decode_checkpoint_job(checkpoint_name(job_id, 0), bytes).status().code();
  });
  check_every_damage(encode_checkpoint(sample_parts()), [](ByteView bytes) {
    return decode_checkpoint_parts(checkpoint_name(job_id, 3), bytes).status().code();
  });
  const DestinationLock lock = sample_lock();
  check_every_damage(encode_lock(lock), [&lock](ByteView bytes) {
    return decode_lock(lock_name(lock.run_id), bytes).status().code();
  });
}

TEST_CASE("a sealed checkpoint with parts that cannot be is refused") {
  using Change = void (*)(CheckpointParts&);
  for (const Change change :
       {Change([](CheckpointParts& p) { p.number = 0; }),
        Change([](CheckpointParts& p) { p.parts[0].files.clear(); }),
        Change([](CheckpointParts& p) { p.parts[0].files[0].file.reset(); }),
        Change([](CheckpointParts& p) { p.parts[0].end = "c"; }),
        Change([](CheckpointParts& p) { p.parts[0].files[0].file->sha256 = "short"; })}) {
    CheckpointParts parts = sample_parts();
    change(parts);
    const auto read = decode_checkpoint_parts(checkpoint_name(job_id, 3), encode_checkpoint(parts));
    CHECK(read.status().code() == StatusCode::corruption);
  }
  CheckpointJob job = sample_job();
  job.format = checkpoint_format + 1;
  CHECK(decode_checkpoint_job(checkpoint_name(job_id, 0), encode_checkpoint(job)).status().code() ==
        StatusCode::unsupported);
}

TEST_CASE("lists that would take more memory than their bytes are refused before they are read") {
  std::string part;
  for (int i = 0; i < 100'000; ++i) append_bytes_field(part, 5, "");  // CheckpointPart.files
  std::string parts;
  append_bytes_field(parts, 3, part);
  auto read = decode_checkpoint_parts(checkpoint_name(job_id, 1), sealed(parts));
  CHECK(read.status().code() == StatusCode::corruption);
  CHECK_THAT(read.status().to_string(), Catch::Matchers::Contains("more entries"));
  std::string ranges;
  for (int i = 0; i < 100'000; ++i) append_bytes_field(ranges, 6, "");  // CheckpointJob.sub_ranges
  auto job = decode_checkpoint_job(checkpoint_name(job_id, 0), sealed(ranges));
  CHECK_THAT(job.status().to_string(), Catch::Matchers::Contains("more entries"));
}

TEST_CASE("a lock is read as it was written, and refused where it says what none can") {
  const DestinationLock lock = sample_lock();
  CHECK(decode_lock(lock_name(lock.run_id), encode_lock(lock)).value() == lock);
  CHECK(decode_lock(lock_name(job_id), encode_lock(lock)).status().code() ==
        StatusCode::corruption);
  DestinationLock other = lock;
  other.host = "a\nb";
  CHECK_FALSE(decode_lock(lock_name(other.run_id), encode_lock(other)).ok());
  other.host = std::string(256, 'h');
  CHECK_FALSE(decode_lock(lock_name(other.run_id), encode_lock(other)).ok());
  other = lock;
  other.job_id = "../x";
  CHECK_FALSE(decode_lock(lock_name(other.run_id), encode_lock(other)).ok());
  other = lock;
  other.format = lock_format + 1;
  CHECK(decode_lock(lock_name(other.run_id), encode_lock(other)).status().code() ==
        StatusCode::unsupported);
}

TEST_CASE("whether a lock lives is judged by the clock of the storage") {
  FoundLock found{.name = "x", .lock = sample_lock(), .modified_ms = 1'000'000};
  // the host's clock says that it ended long ago, or that it has not begun
  for (const std::uint64_t host_now : {std::uint64_t{0}, std::uint64_t{1} << 60}) {
    CHECK(is_live(found, 1'000'000 + lock_lease_ms, host_now));
    CHECK_FALSE(is_live(found, 1'000'000 + lock_lease_ms + 2'000, host_now));
    CHECK(is_live(found, 999'999, host_now));
  }
  // a lock that nobody can read is given the usual time, and one without times all the time
  found.lock.reset();
  CHECK(is_live(found, 1'000'000 + lock_lease_ms, 0));
  CHECK_FALSE(is_live(found, 1'000'000 + lock_lease_ms + 2'000, 0));
  found.modified_ms.reset();
  CHECK(is_live(found, 1u << 30, ~std::uint64_t{0}));
  // where the storage tells no times, those in the lock count
  found.lock = sample_lock();
  CHECK(is_live(found, std::nullopt, found.lock->renewed_unix_ms + lock_lease_ms));
  CHECK_FALSE(is_live(found, std::nullopt, found.lock->renewed_unix_ms + lock_lease_ms + 2'000));
  // however long it says that it lives
  found.lock->lease_ms = ~std::uint64_t{0};
  CHECK_FALSE(is_live(found, std::nullopt, found.lock->renewed_unix_ms + longest_lease_ms + 2'000));
}

#if KVBACKUP_WITH_POSIX
TEST_CASE("a process that runs is not taken for dead, and one that is no more is") {
  const ProcessIdentity self = this_process();
  CHECK_FALSE(is_dead_process(self));
  if (self.process.empty()) return;  // a system without /proc
  ProcessIdentity other = self;
  other.pid = 1;  // runs, but did not start when this did
  CHECK(is_dead_process(other));
  other.pid = std::uint64_t{1} << 40;
  CHECK_FALSE(is_dead_process(other));  // no number of a process: nothing is known
  other = self;
  other.process = "another boot/" + self.process;
  CHECK_FALSE(is_dead_process(other));
  FoundLock found{.name = "x", .lock = sample_lock(), .modified_ms = 1'000'000};
  found.lock->process = self.process;
  found.lock->pid = 1;
  CHECK_FALSE(is_live(found, 1'000'000, 0));
}
#endif

}  // namespace run_objects
