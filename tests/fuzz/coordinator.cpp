// SPDX-License-Identifier: Apache-2.0
// What nodes answer. An input is a byte of modes and answers of two nodes: whose it is and whether
// the stream breaks behind it (1 byte), its length (2 bytes, little-endian) and a BackupResponse.
// Each node says the same whenever it is asked.
#include <array>
#include <set>
#include <vector>

#include "fuzz/fuzz_target.hpp"
#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"

using namespace kvbackup;

namespace {

struct Line {
  BackupResponse response;
  bool breaks_behind = false;
};

struct Node {
  std::string name;
  std::vector<Line> lines{};

  Status backup(const BackupRequest&, RespondRef respond, const CancelToken*) const {
    for (const Line& line : lines) {
      BackupResponse response = line.response;
      if (Status status = respond(std::move(response)); !status.ok()) return status;
      if (line.breaks_behind) {
        return Status::error(StatusCode::unavailable, "the stream broke").as_retryable();
      }
    }
    return {};
  }
  [[nodiscard]] std::string_view address() const { return name; }
};

// Whatever was answered: what is called complete is.
void check_result(const CoordinatorResult& result, const KeyRange& asked) {
  std::string covered_to = asked.start;
  for (const CompletedRange& range : result.info.ranges) {
    fuzz::require(range.start == covered_to, "a gap between what is complete");
    fuzz::require(range.end.empty() || range.end > range.start, "a range upside down");
    covered_to = range.end;
  }
  fuzz::require(covered_to == asked.end, "the end is missing");
  std::set<std::string> names;
  for (const File& file : result.meta.files) {
    fuzz::require(names.insert(file.name).second, "a file is listed twice");
    fuzz::require_ok(check_object_name(file.name));
    fuzz::require(file.start_key >= asked.start && file.end_key <= asked.end,
                  "a file goes beyond what was asked for");
  }
  for (const OrphanedFile& orphan : result.orphans) {
    fuzz::require(!names.contains(orphan.name), "a file that is listed is called an orphan");
  }
  const auto manifest = decode_manifest(encode_manifest(result.meta, result.info));
  fuzz::require_ok(manifest.status());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Two bytes of an input make an element of a list, which each of the rounds copies.
  const fuzz::AllocationLimit limit(8192 * size + (1 << 20));
  fuzz::Input input(data, size);
  const std::uint64_t modes = input.number(1);
  std::array<Node, 2> nodes{Node{"a"}, Node{"b"}};
  while (!input.rest().empty()) {
    const std::uint64_t how = input.number(1);
    auto response = decode<BackupResponse>(input.bytes(input.number(2)));
    if (!response.ok()) continue;
    nodes[how & 1].lines.push_back({std::move(response).value(), (how & 2) != 0});
  }
  test_support::FixedClock clock;
  test_support::FixedRandom random(1);
  CoordinatorOptions options;
  options.request.is_raw_kv = (modes & 1) != 0;
  options.request.end_version = options.request.is_raw_kv ? 0 : 7;
  options.request.start_key = "b";
  options.request.end_key = "y";
  options.retry.attempts = 3;
  options.clock = &clock;
  options.random = &random;
  NoopBackend backend;
  const std::vector<NodeRef> refs{NodeRef(nodes[0]), NodeRef(nodes[1])};
  const auto result = coordinate_backup(refs, backend, options);
  if (result.ok()) {
    check_result(result.value(), {"default", "b", "y"});
  } else {
    fuzz::require(result.status().code() != StatusCode::internal, "an internal error");
  }
  return 0;
}
