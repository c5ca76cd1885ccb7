// SPDX-License-Identifier: Apache-2.0
// What `kvbackup backup` runs once its flags are known. A pipeline is compiled for every kind of
// source and every profile, so each profile is a file of its own: profile_*.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "program.hpp"
#include "progress.hpp"
#include "storage.hpp"
#include "stores.hpp"
#include "telemetry.hpp"
#include "uri.hpp"
#include "verify.hpp"

namespace program {

struct BackupFlags {
  CommonFlags common;
  std::string source;
  StorageFlags storage;
  std::string start;
  std::string end;
  std::string format = "hex";
  std::string cf;
  std::string profile = "br";
  std::string compression = "lz4";
  std::optional<int> compression_level;
  std::uint64_t concurrency = 4;
  std::uint64_t rate_limit_mib = 0;
  std::uint64_t read_rate_limit_mib = 0;
  std::uint64_t file_size_mib = kvbackup::default_part_size >> 20;
  bool dry_run = false;
  bool verify_after = false;
  bool store_folder = false;
  bool resume = false;
  std::uint64_t checkpoint_interval_ms = kvbackup::BackupOptions().checkpoint_interval_ms;
  std::uint64_t cluster_id = 0;
  bool txn = false;
  std::string backup_ts;
  std::string last_backup_ts;
  std::optional<std::uint64_t> gc_safe_point;
};

void print_plan(const kvbackup::BackupPlan& plan, const std::string& url, const BackupFlags& flags);
/// What a source says of itself.
using Notes = std::vector<std::string>;
template <class Source>
Notes notes_of(const Source& source) {
  if constexpr (kvbackup::AnnotatedSource<Source>) return source.notes();
  return {};
}
/// `verification` is null without --verify-after.
void print_summary(const kvbackup::BackupResult& result, const std::string& url, double seconds,
                   const Notes& notes, const Verification* verification, const BackupFlags& flags);

/// The ranges that --start, --end and --cf ask for; none where they ask for everything.
template <class Source>
kvbackup::Result<std::vector<kvbackup::KeyRange>> asked_ranges(const Source& source,
                                                               const BackupFlags& flags) {
  const auto format = kvbackup::parse_key_format(flags.format);
  if (!format.ok()) return format.status();
  if (flags.start.empty() && flags.end.empty() && flags.cf.empty())
    return std::vector<kvbackup::KeyRange>{};
  kvbackup::KeyRange range;
  range.cf = flags.cf;
  for (const auto& [flag, text, key] : {std::tuple("--start", &flags.start, &range.start),
                                        std::tuple("--end", &flags.end, &range.end)}) {
    auto decoded = kvbackup::decode_key(format.value(), *text);
    if (!decoded.ok()) {
      return usage_error(std::string(flag) + ": " + std::string(decoded.status().message()));
    }
    *key = std::move(decoded).value();
  }
  if constexpr (kvbackup::EnumerableSnapshot<Source>) {
    const auto all = source.ranges();
    if (!all.ok()) return all.status();
    if (range.cf.empty() && all.value().size() != 1) {
      return usage_error("the store has " + std::to_string(all.value().size()) +
                         " databases; name one with --cf where a key range is given");
    }
    if (range.cf.empty()) range.cf = all.value().front().cf;
  }
  if (range.cf.empty()) range.cf = kvbackup::default_cf;
  if (range.empty()) {
    return usage_error("--start must be below --end").with_range(range.start, range.end);
  }
  return std::vector<kvbackup::KeyRange>{std::move(range)};
}

/// Of what time its state is: of its version, where it has one, else of now, when it was opened.
template <class Source>
std::uint64_t state_unix_ms(const Source& source, kvbackup::Clock& clock) {
  if constexpr (kvbackup::VersionedSource<Source>) {
    return state_unix_ms(source.end_version(), clock.unix_ms());
  } else {
    return clock.unix_ms();
  }
}

/// Backs `source` up as `LayoutT` has it. Gives the exit code.
template <class LayoutT, class Source>
kvbackup::Result<int> back_up(Source source, kvbackup::BuiltCodecs codec,
                              kvbackup::BuiltBackends backend, const BackupFlags& flags) {
  kvbackup::SystemClock clock;
  kvbackup::ThreadExecutor threads;
  kvbackup::BackupOptions options;
  auto ranges = asked_ranges(source, flags);
  auto part_size = mib(flags.file_size_mib, "--file-size");
  auto rate_limit = mib(flags.rate_limit_mib, "--ratelimit");
  auto read_rate_limit = mib(flags.read_rate_limit_mib, "--read-ratelimit");
  if (!ranges.ok()) return ranges.status();
  if (!part_size.ok()) return part_size.status();
  if (!rate_limit.ok()) return rate_limit.status();
  if (!read_rate_limit.ok()) return read_rate_limit.status();
  options.ranges = std::move(ranges).value();
  options.part_size = part_size.value();
  options.rate_limit = rate_limit.value();
  options.read_rate_limit = read_rate_limit.value();
  options.concurrency = flags.concurrency;
  options.cluster_id = flags.cluster_id;
  options.clock = &clock;
  options.executor = &threads;
  options.cancel = &cancel_token();
  options.store_folder = flags.store_folder;
  options.lock = true;
  // a backup of a source that cannot tell its state could not be resumed
  options.checkpoint = !kvbackup::source_state(source).empty();
  options.checkpoint_interval_ms = flags.checkpoint_interval_ms;
  options.resume = flags.resume;

  const std::string url = backend.url();
  const Notes notes = notes_of(source);
  // a copy, since the backup is read again afterwards
  kvbackup::BackupPipeline pipeline(std::move(source), std::move(codec), kvbackup::FileHasher{},
                                    kvbackup::BuiltBackends(backend), LayoutT{});
  if (flags.dry_run) {
    auto plan = pipeline.plan(options);
    if (!plan.ok()) return plan.status();
    print_plan(plan.value(), url, flags);
    return int{done};
  }
  telemetry().on_snapshot(state_unix_ms(pipeline.source(), clock));
  const std::uint64_t start = clock.steady_ns();
  std::optional<ProgressDisplay> display(std::in_place, "Full backup", "backup", clock);
  options.observer = &*display;
  auto result = pipeline.run_detailed(options);
  display.reset();
  if (!result.ok()) return result.status();
  const double seconds = static_cast<double>(clock.steady_ns() - start) * 1e-9;
  std::optional<Verification> verification;
  if (flags.verify_after) {
    verification.emplace(verify_storage(backend, {.concurrency = flags.concurrency}));
  }
  print_summary(result.value(), url, seconds, notes, verification ? &*verification : nullptr,
                flags);
  return int{verification ? exit_code_of(*verification) : done};
}

/// Opens the source and backs it up as `LayoutT` has it.
template <class LayoutT>
kvbackup::Result<int> run_profile(const StoreUri& source, kvbackup::BuiltCodecs codec,
                                  kvbackup::BuiltBackends backend, const BackupFlags& flags) {
  return with_source(source, flags.concurrency, [&](auto opened) {
    return back_up<LayoutT>(std::move(opened), std::move(codec), std::move(backend), flags);
  });
}
[[nodiscard]] kvbackup::Result<int> run_br_profile(const StoreUri& source,
                                                   kvbackup::BuiltCodecs codec,
                                                   kvbackup::BuiltBackends backend,
                                                   const BackupFlags& flags);
[[nodiscard]] kvbackup::Result<int> run_rocksdb_profile(const StoreUri& source,
                                                        kvbackup::BuiltCodecs codec,
                                                        kvbackup::BuiltBackends backend,
                                                        const BackupFlags& flags);
/// Whether the flags of --txn are there with it only, and no others against it.
[[nodiscard]] kvbackup::Status check_txn_flags(const BackupFlags& flags);
[[nodiscard]] kvbackup::Result<int> run_txn(const StoreUri& source, kvbackup::BuiltCodecs codec,
                                            kvbackup::BuiltBackends backend,
                                            const BackupFlags& flags);

}  // namespace program
