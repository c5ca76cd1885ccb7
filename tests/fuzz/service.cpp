// SPDX-License-Identifier: Apache-2.0
// What a node is asked. An input is a byte of modes and a BackupRequest: bit 0 gives it storage
// that is allowed, bit 1 makes it raw, bit 2 gives it bounds that fit; bits 3 to 5 are the node's.
#include <set>

#include "fuzz/fuzz_target.hpp"
#include "support/fixed_clock.hpp"
#include "support/service_host.hpp"

using namespace kvbackup;

namespace {

const test_support::Store& store() {
  static const test_support::Store pairs = test_support::many_pairs(60);
  return pairs;
}

BackupRequest changed(BackupRequest request, std::uint64_t modes) {
  if ((modes & 1) != 0) request.storage_backend = test_support::local_storage();
  if ((modes & 2) != 0) {
    request.is_raw_kv = true;
    request.cf.clear();
  }
  if ((modes & 4) != 0 && !request.end_key.empty() && request.end_key <= request.start_key) {
    std::swap(request.start_key, request.end_key);
  }
  // a rate of a byte a second is for real clocks; levels that Zstandard takes long for, too
  if (request.compression_level > 3) request.compression_level = 3;
  return request;
}

bool is_within(const std::string& start, const std::string& end, const BackupRequest& request) {
  const bool ends = request.end_key.empty() || (!end.empty() && end <= request.end_key);
  return start >= request.start_key && ends;
}

void check_answers(const BackupRequest& request, const test_support::Answered& got) {
  std::set<std::string> names;
  for (const BackupResponse& response : got.responses) {
    fuzz::require(is_within(response.start_key, response.end_key, request) || response.error,
                  "an answer goes beyond what was asked for");
    fuzz::require(!response.error || response.files.empty(), "an error with files");
    for (const File& file : response.files) {
      fuzz::require(names.insert(file.name).second, "a file is answered twice");
      fuzz::require_ok(check_object_name(file.name));
    }
    std::string wire = encode(response);
    fuzz::require(decode<BackupResponse>(wire).ok(), "an answer that cannot be read");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)store();
  fuzz::Input input(data, size);
  const std::uint64_t modes = input.number(1);
  const fuzz::AllocationLimit limit(8192 * size + (64u << 20));
  auto decoded = decode<BackupRequest>(input.rest());
  if (!decoded.ok()) return 0;
  const BackupRequest request = changed(std::move(decoded).value(), modes);
  test_support::FixedClock clock;
  BackupServiceOptions options;
  options.cluster_id = (modes & 8) != 0 ? 7 : 0;
  options.part_size = (modes & 16) != 0 ? 300 : default_part_size;
  auto regions =
      FixedRegions::split_at((modes & 32) != 0 ? std::vector<std::string>{"user/3", "user/6"}
                                               : std::vector<std::string>{});
  fuzz::require_ok(regions.status());
  BackupService<test_support::MemoryHost, BuiltCodecs, FileHasher, FixedRegions> service(
      {&store()}, BuiltCodecs{}, FileHasher{}, clock, nullptr, options, std::move(regions).value());
  const test_support::Answered got = test_support::ask(service, request);
  fuzz::require(got.status.code() != StatusCode::internal, "an internal error");
  check_answers(request, got);
  return 0;
}
