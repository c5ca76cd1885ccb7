// SPDX-License-Identifier: Apache-2.0
// kvbackup backup: a store to storage.
#include <cstdio>
#include <memory>

#include "backup_run.hpp"
#include "program.hpp"
#include "storage.hpp"
#include "stores.hpp"
#include "uri.hpp"
#include "verify.hpp"

namespace program {

using namespace kvbackup;

namespace {

/// What this program can compress with, in the order of BR's own help.
constexpr std::string_view built_compressions =
#if KVBACKUP_WITH_LZ4
    "lz4, "
#endif
#if KVBACKUP_WITH_SNAPPY
    "snappy, "
#endif
#if KVBACKUP_WITH_ZSTD
    "zstd, "
#endif
    "none";

Result<BuiltCodecs> codec_of(const BackupFlags& flags) {
  const std::string& name = flags.compression;
  if (flags.compression_level && (name == "lz4" || name == "snappy" || name == "none")) {
    return usage_error("--compression-level is for --compression zstd; " + name + " has no levels");
  }
#if KVBACKUP_WITH_ZSTD
  if (name == "zstd") {
    return BuiltCodecs(ZstdCodec{.level = flags.compression_level.value_or(ZstdCodec{}.level)});
  }
#endif
#if KVBACKUP_WITH_SNAPPY
  if (name == "snappy") return BuiltCodecs(SnappyCodec{});
#endif
#if KVBACKUP_WITH_LZ4
  if (name == "lz4") return BuiltCodecs(Lz4Codec{});
#endif
  if (name == "none") return BuiltCodecs(NoneCodec{});
  const bool known = name == "lz4" || name == "snappy" || name == "zstd";
  return usage_error("--compression: " +
                     (known ? name + " is not built into this program"
                            : "there is no compression \"" + name + "\"") +
                     "; there are " + std::string(built_compressions));
}

Status check_profile(const BackupFlags& flags) {
  if (flags.profile == "br") return {};
  if (flags.profile != "rocksdb") {
    return usage_error("--profile: there is no profile \"" + flags.profile +
                       "\"; there are br and rocksdb");
  }
#if KVBACKUP_WITH_XXHASH
  return {};
#else
  return usage_error("--profile: rocksdb is not built into this program, which lacks xxHash");
#endif
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

}  // namespace

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

namespace {
std::string notes_json(const Notes& notes) {
  std::string out;
  for (const std::string& note : notes) out += (out.empty() ? "" : ", ") + json_string(note);
  return "[" + out + "]";
}
}  // namespace

void print_summary(const BackupResult& result, const std::string& url, double seconds,
                   const Notes& notes, const Verification* verification, const BackupFlags& flags) {
  const KvbackupTotals& totals = *result.info.totals;
  const double speed = seconds > 0 ? static_cast<double>(totals.bytes) / seconds : 0;
  const std::uint64_t size = totals.stored_bytes + result.backupmeta_size;
  if (flags.common.json) {
    JsonObject root;
    root.add("command", "backup").add("storage", url);
    root.add_json("ranges", ranges_json(completed_ranges(result.info), flags.common));
    root.add("files", totals.files).add("total_kvs", totals.kvs).add("total_bytes", totals.bytes);
    root.add("size", size).add("crc64xor", std::to_string(totals.crc64xor));
    root.add("rebuilt_parts", result.rebuilt_parts);
    root.add("resumed_files", result.resumed_files);
    root.add("seconds", seconds).add("bytes_per_second", speed);
    root.add_json("notes", notes_json(notes));
    if (verification != nullptr) {
      JsonObject found;
      root.add_json("verification", add_verification(found, *verification, flags.common).text());
    }
    std::printf("%s\n", root.text().c_str());
    return;
  }
  const std::size_t ranges = result.info.ranges.size();
  std::string rebuilt;
  if (result.rebuilt_parts > 0) {
    rebuilt = ", parts built again: " + std::to_string(result.rebuilt_parts);
  }
  if (result.resumed_files > 0) {
    rebuilt += ", files of an earlier run: " + std::to_string(result.resumed_files);
  }
  std::printf(
      "Full backup success summary: total backup ranges: %zu, total success: %zu, total failed: 0, "
      "total take(real time): %s, total kv: %llu, total size(Byte): %llu, avg speed(Byte/s): %.2f, "
      "files: %llu, Size: %llu%s\n",
      ranges, ranges, human_duration(seconds).c_str(), static_cast<unsigned long long>(totals.kvs),
      static_cast<unsigned long long>(totals.bytes), speed,
      static_cast<unsigned long long>(totals.files), static_cast<unsigned long long>(size),
      rebuilt.c_str());
  for (const std::string& note : notes) std::printf("%s\n", printable(note).c_str());
  if (verification != nullptr) print_verification(*verification, url, flags.common);
}

namespace {

Result<int> run_backup(const BackupFlags& flags) {
  if (Status status = check_profile(flags); !status.ok()) return status;
  if (Status status = check_txn_flags(flags); !status.ok()) return status;
  auto codec = codec_of(flags);
  if (!codec.ok()) return codec.status();
  auto backend = flags.verify_after && !flags.dry_run ? open_readable_storage(flags.storage)
                                                      : open_storage(flags.storage);
  if (!backend.ok()) return backend.status();
  const auto uri = parse_store_uri(flags.source);
  if (!uri.ok()) return uri.status();
  if (flags.txn) {
    return run_txn(uri.value(), std::move(codec).value(), std::move(backend).value(), flags);
  }
#if KVBACKUP_WITH_XXHASH
  if (flags.profile == "rocksdb") {
    return run_rocksdb_profile(uri.value(), std::move(codec).value(), std::move(backend).value(),
                               flags);
  }
#endif
  return run_br_profile(uri.value(), std::move(codec).value(), std::move(backend).value(), flags);
}

}  // namespace

void add_backup_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<BackupFlags>();
  CLI::App* command = app.add_subcommand("backup", "Back a store up");
  command
      ->add_option(
          "--source", flags->source,
          "Store: rocksdb:PATH?cf=NAME, lmdb:PATH?db=NAME, leveldb:PATH, sst:PATH, tsv:PATH")
      ->required();
  add_storage_flags(*command, flags->storage, "Where to (noop:// keeps nothing)");
  command->add_option("--start", flags->start, "First key, in --format (default: the first)");
  command->add_option("--end", flags->end, "End of the keys, exclusive, in --format");
  command->add_option("--format", flags->format, "Of --start and --end: raw, escaped, hex")
      ->capture_default_str();
  command->add_option("--cf", flags->cf,
                      "Column family of RocksDB, database of LMDB (default: all)");
  command
      ->add_option("--profile", flags->profile, "br: files as TiKV's; rocksdb: for RocksDB alone")
      ->capture_default_str();
  command->add_option("--compression", flags->compression, "lz4, snappy, zstd or none")
      ->capture_default_str();
  // zstd's own ends: ZSTD_minCLevel() and ZSTD_maxCLevel()
  command
      ->add_option("--compression-level", flags->compression_level,
                   "Of zstd: more is smaller, 0 = 3")
      ->check(CLI::Range(-131072, 22));
  command->add_option("--concurrency", flags->concurrency, "Threads of the run")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--ratelimit", flags->rate_limit_mib,
                      "Stored MiB a second, whole run (default 0: no limit)");
  command->add_option("--read-ratelimit", flags->read_rate_limit_mib,
                      "MiB of pairs read a second (default 0: no limit)");
  command->add_option("--file-size", flags->file_size_mib, "MiB of keys and values in one file")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--cluster-id", flags->cluster_id, "Recorded in the backup (default 0)");
  command->add_flag("--txn", flags->txn, "Back up a rocksdb: store in TiKV's MVCC layout");
  command->add_option("--backupts", flags->backup_ts,
                      "With --txn: the timestamp it is taken at, a TSO or YYYY-MM-DD HH:MM:SS");
  command->add_option("--lastbackupts", flags->last_backup_ts,
                      "With --txn: only what was committed after it");
  command->add_option("--gc-safe-point", flags->gc_safe_point,
                      "With --txn: refuse versions that TiKV may have dropped");
  command->add_flag("--resume", flags->resume, "Go on with such a backup that did not end");
  command
      ->add_option("--checkpoint-interval", flags->checkpoint_interval_ms,
                   "Milliseconds of work that --resume does again, at most")
      ->capture_default_str();
  command->add_flag("--dry-run", flags->dry_run, "Say what would be backed up, write nothing");
  command->add_flag("--verify-after", flags->verify_after,
                    "Read the backup again and prove it, as verify does");
  command->add_flag("--store-folder", flags->store_folder,
                    "Files in a folder of the store, as TiKV 6.2 on S3");
  add_telemetry_flags(*command);
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] {
    run = [flags] {
      const Result<int> code = run_backup(*flags);
      return code.ok() ? code.value() : report_failure("backup", code.status(), flags->common);
    };
  });
}

}  // namespace program
