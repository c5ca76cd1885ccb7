// SPDX-License-Identifier: Apache-2.0
// kvbackup backup: a store to storage.
#include <cstdio>
#include <memory>
#include <optional>

#include "program.hpp"
#include "progress.hpp"
#include "stores.hpp"
#include "uri.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct BackupFlags {
  CommonFlags common;
  std::string source;
  std::string storage;
  std::string start;
  std::string end;
  std::string format = "hex";
  std::string cf;
  std::string compression = "lz4";
  std::optional<int> compression_level;
  std::uint64_t concurrency = 4;
  std::uint64_t rate_limit_mib = 0;
  std::uint64_t file_size_mib = default_part_size >> 20;
  bool dry_run = false;
};

Result<BuiltCodecs> codec_of(const BackupFlags& flags) {
  const std::string& name = flags.compression;
  if (name == "zstd") {
    return BuiltCodecs(ZstdCodec{.level = flags.compression_level.value_or(ZstdCodec{}.level)});
  }
  if (name != "lz4" && name != "snappy" && name != "none") {
    return usage_error("there is no compression \"" + name +
                       "\"; there are lz4, snappy, zstd and none");
  }
  if (flags.compression_level) {
    return usage_error("--compression-level is for --compression zstd; " + name + " has no levels");
  }
  if (name == "snappy") return BuiltCodecs(SnappyCodec{});
  if (name == "lz4") return BuiltCodecs(Lz4Codec{});
  return BuiltCodecs(NoneCodec{});
}

Result<std::uint64_t> mib(std::uint64_t count, const char* flag) {
  constexpr std::uint64_t most = UINT64_MAX >> 20;
  if (count > most) return usage_error(std::string(flag) + " is too large");
  return count << 20;
}

/// The ranges that --start, --end and --cf ask for; none where they ask for everything.
template <class Source>
Result<std::vector<KeyRange>> asked_ranges(const Source& source, const BackupFlags& flags) {
  const auto format = parse_key_format(flags.format);
  if (!format.ok()) return format.status();
  if (flags.start.empty() && flags.end.empty() && flags.cf.empty()) return std::vector<KeyRange>{};
  KeyRange range;
  range.cf = flags.cf;
  for (const auto& [flag, text, key] : {std::tuple("--start", &flags.start, &range.start),
                                        std::tuple("--end", &flags.end, &range.end)}) {
    auto decoded = decode_key(format.value(), *text);
    if (!decoded.ok()) {
      return usage_error(std::string(flag) + ": " + std::string(decoded.status().message()));
    }
    *key = std::move(decoded).value();
  }
  if constexpr (EnumerableSnapshot<Source>) {
    const auto all = source.ranges();
    if (!all.ok()) return all.status();
    if (range.cf.empty() && all.value().size() != 1) {
      return usage_error("the store has " + std::to_string(all.value().size()) +
                         " databases; name one with --cf where a key range is given");
    }
    if (range.cf.empty()) range.cf = all.value().front().cf;
  }
  if (range.cf.empty()) range.cf = default_cf;
  if (range.empty()) {
    return usage_error("--start must be below --end").with_range(range.start, range.end);
  }
  return std::vector<KeyRange>{std::move(range)};
}

std::vector<KeyRange> completed_ranges(const KvbackupInfo& info) {
  std::vector<KeyRange> out;
  for (const CompletedRange& range : info.ranges) {
    out.push_back({.cf = range.cf, .start = range.start, .end = range.end});
  }
  return out;
}

std::string ranges_json(const std::vector<KeyRange>& ranges, const CommonFlags& flags) {
  std::string out;
  for (const KeyRange& range : ranges) {
    JsonObject object;
    object.add("cf", range.cf);
    if (!flags.redact) object.add("start", to_hex(range.start)).add("end", to_hex(range.end));
    if (!out.empty()) out += ", ";
    out += object.text();
  }
  return "[" + out + "]";
}

void print_plan(const BackupPlan& plan, const std::string& url, const BackupFlags& flags) {
  const auto number = [](const std::optional<std::uint64_t>& n) {
    return n ? std::to_string(*n) : std::string("unknown");
  };
  if (flags.common.json) {
    JsonObject root;
    root.add("command", "backup").add("dry_run", true).add("storage", url);
    root.add_json("ranges", ranges_json(plan.ranges, flags.common));
    root.add("sub_ranges", std::uint64_t{plan.sub_ranges.size()});
    root.add_json("total_kvs", plan.total.pairs ? number(plan.total.pairs) : "null");
    root.add_json("total_bytes", plan.total.bytes ? number(plan.total.bytes) : "null");
    std::printf("%s\n", root.text().c_str());
    return;
  }
  std::printf("Dry run: nothing is written to %s\n", url.c_str());
  for (const KeyRange& range : plan.ranges) {
    if (flags.common.redact) {
      std::printf("  %s\n", printable(range.cf).c_str());
    } else {
      std::printf("  %s [%s, %s)\n", printable(range.cf).c_str(), to_hex(range.start).c_str(),
                  to_hex(range.end).c_str());
    }
  }
  std::printf("sub-ranges: %zu, pairs: %s, bytes: %s\n", plan.sub_ranges.size(),
              number(plan.total.pairs).c_str(), number(plan.total.bytes).c_str());
}

/// What the source says of itself.
using Notes = std::vector<std::string>;

template <class Source>
Notes notes_of(const Source& source) {
  if constexpr (AnnotatedSource<Source>) return source.notes();
  return {};
}

std::string notes_json(const Notes& notes) {
  std::string out;
  for (const std::string& note : notes) out += (out.empty() ? "" : ", ") + json_string(note);
  return "[" + out + "]";
}

void print_summary(const BackupResult& result, const std::string& url, double seconds,
                   const Notes& notes, const BackupFlags& flags) {
  const KvbackupTotals& totals = *result.info.totals;
  const double speed = seconds > 0 ? static_cast<double>(totals.bytes) / seconds : 0;
  const std::uint64_t size = totals.stored_bytes + result.backupmeta_size;
  if (flags.common.json) {
    JsonObject root;
    root.add("command", "backup").add("storage", url);
    root.add_json("ranges", ranges_json(completed_ranges(result.info), flags.common));
    root.add("files", totals.files).add("total_kvs", totals.kvs).add("total_bytes", totals.bytes);
    root.add("size", size).add("crc64xor", std::to_string(totals.crc64xor));
    root.add("seconds", seconds).add("bytes_per_second", speed);
    root.add_json("notes", notes_json(notes));
    std::printf("%s\n", root.text().c_str());
    return;
  }
  const std::size_t ranges = result.info.ranges.size();
  std::printf(
      "Full backup success summary: total backup ranges: %zu, total success: %zu, total failed: 0, "
      "total take(real time): %s, total kv: %llu, total size(Byte): %llu, avg speed(Byte/s): %.2f, "
      "files: %llu, Size: %llu\n",
      ranges, ranges, human_duration(seconds).c_str(), static_cast<unsigned long long>(totals.kvs),
      static_cast<unsigned long long>(totals.bytes), speed,
      static_cast<unsigned long long>(totals.files), static_cast<unsigned long long>(size));
  for (const std::string& note : notes) std::printf("%s\n", printable(note).c_str());
}

template <class Source>
Status back_up(Source source, BuiltCodecs codec, BuiltBackends backend, const BackupFlags& flags) {
  SystemClock clock;
  ThreadExecutor threads;
  BackupOptions options;
  auto ranges = asked_ranges(source, flags);
  auto part_size = mib(flags.file_size_mib, "--file-size");
  auto rate_limit = mib(flags.rate_limit_mib, "--ratelimit");
  if (!ranges.ok()) return ranges.status();
  if (!part_size.ok()) return part_size.status();
  if (!rate_limit.ok()) return rate_limit.status();
  options.ranges = std::move(ranges).value();
  options.part_size = part_size.value();
  options.rate_limit = rate_limit.value();
  options.concurrency = flags.concurrency;
  options.clock = &clock;
  options.executor = &threads;
  options.cancel = &cancel_token();

  const std::string url = backend.url();
  const Notes notes = notes_of(source);
  BackupPipeline pipeline(std::move(source), std::move(codec), FileHasher{}, std::move(backend));
  if (flags.dry_run) {
    auto plan = pipeline.plan(options);
    if (!plan.ok()) return plan.status();
    print_plan(plan.value(), url, flags);
    return {};
  }
  const std::uint64_t start = clock.steady_ns();
  std::optional<ProgressDisplay> display(std::in_place, "Full backup", clock);
  options.observer = &*display;
  auto result = pipeline.run_detailed(options);
  display.reset();
  if (!result.ok()) return result.status();
  print_summary(result.value(), url, static_cast<double>(clock.steady_ns() - start) * 1e-9, notes,
                flags);
  return {};
}

Status run_backup(const BackupFlags& flags) {
  auto codec = codec_of(flags);
  if (!codec.ok()) return codec.status();
  auto backend = open_storage(flags.storage);
  if (!backend.ok()) return backend.status();
  const auto uri = parse_store_uri(flags.source);
  if (!uri.ok()) return uri.status();
  return with_source(uri.value(), flags.concurrency, [&](auto source) {
    return back_up(std::move(source), std::move(codec).value(), std::move(backend).value(), flags);
  });
}

}  // namespace

void add_backup_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<BackupFlags>();
  CLI::App* command = app.add_subcommand("backup", "Back a store up");
  command
      ->add_option(
          "--source", flags->source,
          "Store to back up: rocksdb:PATH?cf=NAME, lmdb:PATH?db=NAME, leveldb:PATH, tsv:PATH")
      ->required();
  command->add_option("-s,--storage", flags->storage, "Where to: a path, local:///path, noop://")
      ->required();
  command->add_option("--start", flags->start, "First key, in --format (default: the first)");
  command->add_option("--end", flags->end, "End of the keys, exclusive, in --format");
  command->add_option("--format", flags->format, "Of --start and --end: raw, escaped or hex")
      ->capture_default_str();
  command->add_option("--cf", flags->cf,
                      "Column family: of RocksDB, or a database of an LMDB environment");
  command->add_option("--compression", flags->compression, "lz4, snappy, zstd or none")
      ->capture_default_str();
  // zstd's own ends: ZSTD_minCLevel() and ZSTD_maxCLevel()
  command
      ->add_option("--compression-level", flags->compression_level,
                   "Of zstd: 1 (fast) to 22 (small), below 0 still faster, 0 = 3")
      ->check(CLI::Range(-131072, 22));
  command->add_option("--concurrency", flags->concurrency, "Sub-ranges worked on at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--ratelimit", flags->rate_limit_mib,
                      "Stored MiB a second for the whole run, 0 = unlimited");
  command->add_option("--file-size", flags->file_size_mib, "MiB of keys and values in one file")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--dry-run", flags->dry_run, "Say what would be backed up, write nothing");
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] {
    run = [flags] {
      const Status status = run_backup(*flags);
      return status.ok() ? done : report_failure("backup", status, flags->common);
    };
  });
}

}  // namespace program
