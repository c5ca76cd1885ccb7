// SPDX-License-Identifier: Apache-2.0
// What `kvbackup request` does once its flags are known.
#include <kvbackup/kvbackup.hpp>

#if KVBACKUP_WITH_GRPC
#include <cstdio>
#include <deque>
#include <tuple>
#include <utility>
#include <vector>

#include <kvbackup/ext/grpc.hpp>

#include "request.hpp"
#include "storage.hpp"
#include "telemetry.hpp"

namespace program {

using namespace kvbackup;

namespace {

/// Says on standard error what a run meets, and every few seconds how far it is.
class RequestDisplay final : public CoordinatorObserver {
 public:
  RequestDisplay(Clock& clock, KeyDisplay keys)
      : clock_(clock), keys_(keys), last_ns_(clock.steady_ns()) {}

  void on_progress(const CoordinatorProgress& progress) override {
    telemetry().on_progress("request", {.pairs = progress.kvs,
                                        .logical_bytes = progress.bytes,
                                        .stored_bytes = 0,
                                        .files = progress.files,
                                        .throttled_ns = 0});
    constexpr std::uint64_t interval_ns = 5'000'000'000;
    const std::uint64_t now = clock_.steady_ns();
    if (now - last_ns_ < interval_ns) return;
    last_ns_ = now;
    std::fprintf(stderr,
                 "Request: round %llu, %llu of %llu requests ended, %llu ranges done, %llu files, "
                 "%llu pairs, %s\n",
                 static_cast<unsigned long long>(progress.round),
                 static_cast<unsigned long long>(progress.asked),
                 static_cast<unsigned long long>(progress.to_ask),
                 static_cast<unsigned long long>(progress.answers),
                 static_cast<unsigned long long>(progress.files),
                 static_cast<unsigned long long>(progress.kvs),
                 human_bytes(static_cast<double>(progress.bytes)).c_str());
  }
  void on_trouble(const Status& why) override {
    // of a cluster that is away a round tells as much for every range
    constexpr std::uint64_t most_a_round = 20;
    if (++troubles_ <= most_a_round) say("asked again later: " + why.to_string(keys_));
    if (troubles_ == most_a_round + 1) say("more of the same is left out until the next round");
  }
  void on_retry(const Status& why, std::uint64_t wait_ms) override {
    troubles_ = 0;
    say("again in " + std::to_string(wait_ms) + " ms: " + why.to_string(keys_));
    telemetry().on_retry("get all key ranges", why, wait_ms);
  }
  void on_gap(const KeyRange& keys, const Status& why) override {
    say("missing: " + Status(why).with_range(keys.start, keys.end).to_string(keys_));
  }

 private:
  static void say(const std::string& line) {
    std::fprintf(stderr, "kvbackup request: %s\n", printable(line).c_str());
  }

  Clock& clock_;
  KeyDisplay keys_;
  std::uint64_t last_ns_;
  std::uint64_t troubles_ = 0;
};

std::string array_json(const std::vector<std::string>& members) {
  std::string out;
  for (const std::string& member : members) out += (out.empty() ? "" : ", ") + member;
  return "[" + out + "]";
}

void print_json(const CoordinatorResult& result, const std::string& url, double seconds,
                const CommonFlags& flags) {
  const KvbackupTotals& totals = *result.info.totals;
  std::vector<std::string> ranges;
  for (const CompletedRange& range : result.info.ranges) {
    JsonObject object;
    object.add("cf", range.cf);
    if (!flags.redact) object.add("start", to_hex(range.start)).add("end", to_hex(range.end));
    ranges.push_back(object.text());
  }
  std::vector<std::string> orphans;
  for (const OrphanedFile& orphan : result.orphans) {
    JsonObject object;
    object.add("name", orphan.name).add("size", orphan.size);
    orphans.push_back(object.text());
  }
  std::vector<std::string> notes;
  for (const Status& note : result.notes) notes.push_back(json_string(note.to_string()));
  JsonObject root;
  root.add("command", "request").add("storage", url);
  root.add_json("ranges", array_json(ranges));
  root.add("files", totals.files).add("total_kvs", totals.kvs).add("total_bytes", totals.bytes);
  root.add("size", totals.stored_bytes + result.backupmeta_size);
  root.add("crc64xor", std::to_string(totals.crc64xor)).add("rounds", result.rounds);
  root.add_json("orphans", array_json(orphans));
  root.add("orphans_left_out", result.orphans_left_out);
  root.add_json("notes", array_json(notes)).add("seconds", seconds);
  std::printf("%s\n", root.text().c_str());
}

void print_text(const CoordinatorResult& result, double seconds) {
  const KvbackupTotals& totals = *result.info.totals;
  std::printf(
      "%s backup success summary: total backup ranges: %zu, total success: %zu, total failed: 0, "
      "total take(real time): %s, total kv: %llu, total size(Byte): %llu, files: %llu, Size: %llu, "
      "rounds: %llu\n",
      result.meta.start_version == 0 ? "Full" : "Incremental", result.info.ranges.size(),
      result.info.ranges.size(), human_duration(seconds).c_str(),
      static_cast<unsigned long long>(totals.kvs), static_cast<unsigned long long>(totals.bytes),
      static_cast<unsigned long long>(totals.files),
      static_cast<unsigned long long>(totals.stored_bytes + result.backupmeta_size),
      static_cast<unsigned long long>(result.rounds));
  for (const Status& note : result.notes) std::printf("%s\n", printable(note.to_string()).c_str());
  for (const OrphanedFile& orphan : result.orphans) {
    std::printf("orphaned: %s, %llu bytes: a newer answer took its place\n",
                printable(orphan.name).c_str(), static_cast<unsigned long long>(orphan.size));
  }
  if (result.orphans_left_out != 0) {
    std::printf("and %llu more orphaned files\n",
                static_cast<unsigned long long>(result.orphans_left_out));
  }
}

Result<GrpcNodeOptions> node_options(const RequestFlags& flags) {
  GrpcNodeOptions options;
  if (flags.tls_ca.empty()) return options;
  GrpcClientTls tls;
  for (const auto& [flag, path, text] :
       {std::tuple("--tls-ca", &flags.tls_ca, &tls.ca),
        std::tuple("--tls-cert", &flags.tls_cert, &tls.certificate),
        std::tuple("--tls-key", &flags.tls_key, &tls.key)}) {
    if (path->empty()) continue;
    auto pem = pem_file(flag, *path);
    if (!pem.ok()) return std::move(pem).status();
    *text = std::move(pem).value();
  }
  options.tls = std::move(tls);
  return options;
}

}  // namespace

Status run_request(const RequestFlags& flags) {
  auto backend = open_storage(flags.storage);
  if (!backend.ok()) return std::move(backend).status();
  auto options = request_options(flags);
  if (!options.ok()) return std::move(options).status();
  const auto grpc = node_options(flags);
  if (!grpc.ok()) return grpc.status();
  std::deque<GrpcBackupNode> nodes;
  std::vector<NodeRef> refs;
  for (const std::string& address : flags.nodes) {
    refs.emplace_back(nodes.emplace_back(address, grpc.value()));
  }
  SystemClock clock;
  ThreadExecutor threads;
  RequestDisplay display(clock, flags.common.key_display());
  options.value().clock = &clock;
  options.value().random = &process_random();
  options.value().executor = &threads;
  options.value().observer = &display;
  options.value().cancel = &cancel_token();
  const std::uint64_t start = clock.steady_ns();
  const auto result = coordinate_backup(refs, backend.value(), options.value());
  if (!result.ok()) return result.status();
  const double seconds = static_cast<double>(clock.steady_ns() - start) * 1e-9;
  if (flags.common.json) {
    print_json(result.value(), backend.value().url(), seconds, flags.common);
  } else {
    print_text(result.value(), seconds);
  }
  return {};
}

}  // namespace program

#endif  // KVBACKUP_WITH_GRPC
