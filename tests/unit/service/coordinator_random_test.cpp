// SPDX-License-Identifier: Apache-2.0
// Random nodes, failures and duplicates: a run that says it is complete is complete.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/service/scripted_node.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {

// The keys of this world; number 0 is the empty key, number `key_count` is behind the last one.
constexpr unsigned key_count = 16;
std::string key(unsigned number) {
  return number == 0 || number == key_count ? "" : std::string(1, char('a' + number));
}

/// A node of some regions that does a random thing instead of an answer, until it has done enough.
class RandomNode {
 public:
  RandomNode(std::uint32_t seed, std::string name, Bench& bench, std::vector<KeyRange> regions,
             unsigned misdeeds, bool is_gone)
      : engine_(seed),
        name_(std::move(name)),
        bench_(bench),
        regions_(std::move(regions)),
        misdeeds_(misdeeds),
        is_gone_(is_gone) {}

  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken*) {
    if (is_gone_) return Status::error(StatusCode::unavailable, "gone").as_retryable();
    std::shuffle(regions_.begin(), regions_.end(), engine_);
    for (const KeyRange& region : regions_) {
      const auto clip = intersection(region, {"default", request.start_key, request.end_key});
      if (!clip) continue;
      Status status = misdeeds_ > 0 && random(2) == 0 ? misbehave(*clip, respond)
                                                      : answer(*clip, respond, true);
      if (!status.ok()) return status;
    }
    return {};
  }
  [[nodiscard]] std::string_view address() const { return name_; }

 private:
  unsigned random(unsigned below) { return static_cast<unsigned>(engine_()) % below; }

  Status misbehave(const KeyRange& clip, RespondRef respond) {
    --misdeeds_;
    switch (random(8)) {
      case 0: return Status::error(StatusCode::unavailable, "killed").as_retryable();
      case 1: return respond(error_response(clip.start, clip.end, busy_error()));
      case 2: return respond(error_response("", "", message_error("connection refused")));
      case 3: return respond(error_response(clip.start, clip.end, lock_error(clip.start, 9)));
      case 4: return {};  // nothing at all: a hole
      case 5: {           // the same again, under another name
        Status status = answer(clip, respond, true);
        return status.ok() ? answer(clip, respond, true) : status;
      }
      case 6: {  // the same again, an empty one now
        Status status = answer(clip, respond, true);
        return status.ok() ? answer(clip, respond, false) : status;
      }
      default: {  // beyond what was asked
        BackupResponse response = answer_of(bench_, clip.start, "", next_name());
        response.start_key = response.files[0].start_key = clip.start + "\xff";
        response.end_key = clip.end;
        return respond(std::move(response));
      }
    }
  }

  Status answer(const KeyRange& clip, RespondRef respond, bool with_file) {
    BackupResponse response = answer_of(bench_, clip.start, clip.end, next_name());
    if (!with_file || random(4) == 0) response.files.clear();
    return respond(std::move(response));
  }
  std::string next_name() { return name_ + "_" + std::to_string(++files_) + ".sst"; }

  std::mt19937 engine_;
  std::string name_;
  Bench& bench_;
  std::vector<KeyRange> regions_;
  unsigned misdeeds_;
  bool is_gone_;
  unsigned files_ = 0;
};

/// What the world can give: the keys that some node that is there has.
struct World {
  std::vector<RandomNode*> nodes;
  std::set<unsigned> reachable;
};

void check_complete(const CoordinatorResult& result, Bench& bench, const KeyRange& asked) {
  // every key is in exactly one completed range, and in at most one file; in one if the range of
  // its answer has files
  for (unsigned k = 0; k < key_count; ++k) {
    if (!asked.contains(key(k))) continue;
    std::size_t ranges = 0;
    for (const CompletedRange& range : result.info.ranges) {
      ranges += KeyRange{"", range.start, range.end}.contains(key(k)) ? 1 : 0;
    }
    REQUIRE(ranges == 1);
    std::size_t files = 0;
    for (const File& file : result.meta.files) {
      files += KeyRange{"", file.start_key, file.end_key}.contains(key(k)) ? 1 : 0;
    }
    REQUIRE(files <= 1);
  }
  VerifyOptions quick;
  quick.quick = true;
  const auto report = verify_backup(bench.storage, FileHasher{}, BuiltDecoders{}, quick);
  REQUIRE(report.ok());
  for (const Finding& finding : report.value().findings) {
    // the names of these files are no TiKV's, and the rest of the findings are none
    if (finding.severity != Severity::damage) continue;
    INFO(finding.to_string());
    REQUIRE(finding.what.find("name") != std::string::npos);
  }
  // no file is both of the backup and an orphan, or either twice
  std::set<std::string> known;
  for (const File& file : result.meta.files) REQUIRE(known.insert(file.name).second);
  for (const OrphanedFile& orphan : result.orphans) REQUIRE(known.insert(orphan.name).second);
}

}  // namespace

TEST_CASE("no gap is ever silent, whatever the nodes do") {
  unsigned complete = 0;
  unsigned incomplete = 0;
  for (std::uint32_t seed = 0; seed < 4000; ++seed) {
    INFO("seed " << seed);
    std::mt19937 engine(seed);
    const auto random = [&engine](unsigned below) {
      return static_cast<unsigned>(engine()) % below;
    };
    Bench bench;
    const unsigned first = random(key_count);
    const unsigned last = first + 1 + random(key_count - first);
    bench.options.request.start_key = key(first);
    bench.options.request.end_key = key(last);
    bench.options.retry = {.attempts = 40, .first_wait_ms = 1, .longest_wait_ms = 5};
    bench.options.concurrency = 1 + random(3);
    ThreadExecutor threads;
    if (seed % 16 == 0) bench.options.executor = &threads;

    // regions of random bounds, each with one to all of the nodes
    const unsigned count = 1 + random(4);
    std::vector<std::vector<KeyRange>> regions(count);
    std::vector<std::set<unsigned>> holders(key_count);
    for (unsigned at = 0; at < key_count;) {
      const unsigned end = std::min(key_count, at + 1 + random(5));
      const unsigned holder = random(count + (random(20) == 0 ? 1 : 0));
      for (unsigned node = 0; node < count; ++node) {
        if (node != holder && random(5) != 0) continue;
        regions[node].push_back({"default", key(at), key(end)});
        for (unsigned k = at; k < end; ++k) holders[k].insert(node);
      }
      at = end;
    }
    std::vector<std::optional<RandomNode>> nodes(count);
    std::vector<NodeRef> refs;
    std::set<unsigned> gone;
    for (unsigned node = 0; node < count; ++node) {
      if (random(12) == 0) gone.insert(node);
      nodes[node].emplace(seed * 8 + node, "n" + std::to_string(node), bench, regions[node],
                          random(8), gone.contains(node));
      refs.emplace_back(*nodes[node]);
    }
    std::set<unsigned> lost;
    for (unsigned k = first; k < last; ++k) {
      if (std::all_of(holders[k].begin(), holders[k].end(),
                      [&gone](unsigned node) { return gone.contains(node); })) {
        lost.insert(k);
      }
    }

    const auto result = coordinate_backup(refs, bench.storage, bench.options);
    REQUIRE_FALSE(bench.recorder.overlapped);
    if (lost.empty()) {
      INFO(result.status().to_string());
      REQUIRE(result.ok());
      check_complete(result.value(), bench, {"", key(first), key(last)});
      ++complete;
      continue;
    }
    // exactly the keys that nobody can give are told to be missing
    REQUIRE_FALSE(result.ok());
    REQUIRE_FALSE(bench.has("backupmeta"));
    std::set<unsigned> told;
    for (const KeyRange& gap : bench.recorder.gaps) {
      for (unsigned k = first; k < last; ++k) {
        if (gap.contains(key(k))) told.insert(k);
      }
    }
    REQUIRE(told == lost);
    REQUIRE(result.status().key() == key(*lost.begin()));
    ++incomplete;
  }
  CHECK(complete > 1000);
  CHECK(incomplete > 300);
}
