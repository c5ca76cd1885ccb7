// SPDX-License-Identifier: Apache-2.0
// One run of `kvbackup restore`, for either kind of backup.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

#include <kvbackup/ext/leveldb.hpp>
#include <kvbackup/ext/lmdb.hpp>
#include <kvbackup/ext/rocksdb.hpp>
#include <sys/stat.h>

#include "progress.hpp"
#include "restore_target.hpp"
#include "stores.hpp"
#include "telemetry.hpp"

namespace program::restoration {

using namespace kvbackup;

#if KVBACKUP_WITH_XXHASH && KVBACKUP_WITH_LZ4
using RocksdbParts = BasicRocksdbRestore<Xxh3Checksum, Lz4Codec>;
#else
using RocksdbParts = RocksdbRestore;
#endif

class RestoreDisplay final : public RestoreObserver {
 public:
  RestoreDisplay(Clock& clock, std::uint64_t pairs) : display_("Full restore", "", clock) {
    shown_.total.pairs = pairs;
  }
  void on_progress(const RestoreProgress& progress) override {
    telemetry().on_progress("restore", numbers_of(progress));
    shown_.pairs = progress.pairs;
    shown_.bytes = progress.bytes;
    shown_.stored_bytes = progress.stored_bytes;
    shown_.files = progress.files;
    shown_.ranges = progress.files;
    shown_.total_ranges = progress.total_files;
    display_.on_progress(shown_);
  }

 private:
  ProgressDisplay display_;
  Progress shown_;
};

inline bool is_there(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}
/// Whether there is a store for --merge and --replace to work on; without one they make a new one.
inline bool store_is_there(const StoreUri& sink) {
  if (sink.scheme == "rocksdb") return is_there(sink.path + "/CURRENT");
  struct stat info {};
  if (sink.scheme == "lmdb" && ::stat(sink.path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
    return true;
  }
  if (sink.scheme == "lmdb") return is_there(sink.path + "/data.mdb");
  return sink.path != "-" && is_there(sink.path);
}

/// Pairs of one column family go where the URI says, others where they came from.
inline void choose_target_cf(const StoreUri& sink, RestoreOptions& options) {
  options.target_cf = sink.parameter(sink.scheme == "lmdb" ? "db" : "cf");
}
/// LMDB's own database of the name "default"; that column family is the unnamed one else.
inline std::string lmdb_default_db(const StoreUri& sink) {
  return sink.parameter("db") == default_cf ? std::string(default_cf) : std::string();
}

/// Whether every backupmeta that is read has a seal.
template <class AnyBackup>
bool is_protected(const AnyBackup& backup) {
  if constexpr (requires { backup.members(); }) {
    return std::all_of(backup.members().begin(), backup.members().end(),
                       [](const auto& member) { return member.is_sealed(); });
  } else {
    return backup.is_sealed();
  }
}
/// Of what time its state is; 0 where that is not known.
template <class AnyBackup>
std::uint64_t state_of(const AnyBackup& backup) {
  if constexpr (requires { backup.members(); }) {
    return state_unix_ms(backup.end_version(), 0);
  } else {
    const Manifest& manifest = backup.manifest();
    return state_unix_ms(manifest.meta.end_version,
                         manifest.info ? manifest.info->created_unix_ms : 0);
  }
}
template <class AnyBackup>
void warn_unless_protected(const AnyBackup& backup) {
  if (is_protected(backup)) return;
  constexpr std::string_view warning =
      "the backup is unprotected: BR's backupmeta has no seal, so nothing proves what it says";
  std::fprintf(stderr, "kvbackup: warning: %s\n", warning.data());
  telemetry().on_warning(warning);
}

/// One restore: the store, how it was opened, what was done to it.
template <class AnyBackup>
class Restoration {
 public:
  Restoration(const AnyBackup& backup, const StoreUri& sink, const RestoreOptions& options,
              const RestoreFlags& flags)
      : backup_(backup), sink_(sink), options_(options), flags_(flags) {
    choose_target_cf(sink_, options_);
    options_.clock = &clock_;
    options_.executor = &threads_;
    options_.clear_ranges = flags_.replace && store_is_there(sink_);
    fills_ = (flags_.replace || flags_.merge) && store_is_there(sink_);
  }

  int run() {
    telemetry().on_snapshot(state_of(backup_));
    const auto plan = make_restore_plan(backup_, options_);
    if (!plan.ok()) return failed(plan.status());
    warn_unless_protected(backup_);
    const std::uint64_t start = clock_.steady_ns();
    display_.emplace(clock_, plan.value().pairs);
    options_.observer = &*display_;
    const int code = open_and_restore(plan.value());
    display_.reset();
    if (code != done) return code;
    if (Status status = read_back(); !status.ok()) {
      return report_failure("restore", status, flags_.common);
    }
    print_summary(static_cast<double>(clock_.steady_ns() - start) * 1e-9);
    return done;
  }

 private:
  int failed(const Status& status) {
    display_.reset();
    return report_read_failure("restore", status, flags_.common);
  }

  int open_and_restore(const RestorePlan& plan) {
    if (sink_.scheme == "rocksdb") {
      RocksdbSinkOptions options;
      options.target = fills_ ? RocksdbTarget::existing : RocksdbTarget::fresh;
      return restore_into(RocksdbParts::open(sink_.path, options));
    }
    if (sink_.scheme == "lmdb" && fills_) return restore_into(open_lmdb_update(plan));
    if (sink_.scheme == "lmdb") {
      LmdbSinkOptions options;
      options.db = lmdb_default_db(sink_);
      return restore_into(LmdbSink::open(sink_.path, options));
    }
    if (fills_) {
      return failed(usage_error("--merge and --replace are for rocksdb: and lmdb:, not for " +
                                sink_.scheme + ":, which is only made anew"));
    }
    if (sink_.scheme == "leveldb") return restore_into(LeveldbSink::open(sink_.path));
    if (sink_.scheme == "sst") return failed(usage_error("sst: is a source, not a sink"));
    const auto format = tsv_format(sink_);
    if (!format.ok()) return failed(format.status());
    if (sink_.path != "-") return restore_into(create_tsv(sink_.path, format.value()));
    using StdoutSink = decltype(tsv_to_fd(STDOUT_FILENO, "", format.value()));
    return restore_into(
        Result<StdoutSink>(tsv_to_fd(STDOUT_FILENO, "standard output", format.value())));
  }
  Result<LmdbUpdateSink> open_lmdb_update(const RestorePlan& plan) const {
    LmdbUpdateOptions options;
    options.db = lmdb_default_db(sink_);
    options.expected_pairs = plan.pairs;
    options.expected_bytes = plan.bytes;
    if (options_.rewrite_prefix) {
      options.expected_bytes += plan.pairs * options_.rewrite_prefix->to.size();
    }
    return LmdbUpdateSink::open(sink_.path, options);
  }
  template <class Target>
  int restore_into(Result<Target> target) {
    if (!target.ok()) {
      display_.reset();
      Status status = target.status();
      const bool can_be_filled = sink_.scheme == "rocksdb" || sink_.scheme == "lmdb";
      if (status.code() == StatusCode::already_exists && can_be_filled) {
        status = std::move(status).with_note("--merge or --replace fill a store that is there");
      }
      return report_failure("restore", status, flags_.common);
    }
    auto result = restore(backup_, target.value(), options_);
    if (!result.ok()) return failed(result.status());
    result_ = std::move(result).value();
    return done;
  }

  /// Proves what the store holds now. Standard output cannot be read back.
  Status read_back() {
    if (flags_.no_read_back || sink_.path == "-") return {};
    return with_source(sink_, 1, [this](auto source) -> Status {
      using Source = decltype(source);
      if constexpr (Snapshot<Source>) {
        if (!fills_ || options_.clear_ranges) {
          return check_restored(source, result_, options_.cancel);
        }
        const auto comparison = compare_with(backup_, source, options_);
        if (!comparison.ok()) return comparison.status();
        if (comparison.value().equal == result_.total.pairs) return {};
        return differs(comparison.value().equal);
      } else {
        PairSums found;
        for (; source.valid(); source.next()) found.add(source.key(), source.value());
        if (Status status = source.status(); !status.ok()) return status;
        return found == result_.total ? Status() : differs(found.pairs);
      }
    });
  }
  Status differs(std::uint64_t found) const {
    return Status::error(StatusCode::corruption,
                         "the store does not hold what was restored to it: of " +
                             std::to_string(result_.total.pairs) + " pairs it has " +
                             std::to_string(found) + "; is something else writing there?")
        .with_object(flags_.sink);
  }

  void print_summary(double seconds) const {
    const double speed = seconds > 0 ? static_cast<double>(result_.total.bytes) / seconds : 0;
    const bool read_back = !flags_.no_read_back && sink_.path != "-";
    if (flags_.common.json && sink_.path != "-") {
      JsonObject root;
      root.add("command", "restore").add("storage", backup_.url()).add("sink", flags_.sink);
      root.add("files", std::uint64_t{result_.files}).add("total_kvs", result_.total.pairs);
      root.add("total_bytes", result_.total.bytes);
      root.add("crc64xor", std::to_string(result_.total.crc64xor)).add("read_back", read_back);
      root.add("protected", is_protected(backup_));
      root.add("seconds", seconds).add("bytes_per_second", speed);
      std::printf("%s\n", root.text().c_str());
      return;
    }
    // with tsv:- the pairs themselves are the result
    std::fprintf(sink_.path == "-" ? stderr : stdout,
                 "Full restore success summary: total restore files: %zu, total success: %zu, "
                 "total failed: 0, total take(real time): %s, total kv: %llu, total size(Byte): "
                 "%llu, avg speed(Byte/s): %.2f, read back: %s\n",
                 result_.files, result_.files, human_duration(seconds).c_str(),
                 static_cast<unsigned long long>(result_.total.pairs),
                 static_cast<unsigned long long>(result_.total.bytes), speed,
                 read_back ? "equal" : "no");
  }

  const AnyBackup& backup_;
  const StoreUri& sink_;
  RestoreOptions options_;
  const RestoreFlags& flags_;
  SystemClock clock_;
  ThreadExecutor threads_;
  std::optional<RestoreDisplay> display_;
  bool fills_ = false;  // a store that is there, instead of making one
  RestoreResult result_;
};

inline std::size_t files_of(const RestorePlan& plan) { return plan.pieces.size(); }
inline std::size_t files_of(const TxnRestorePlan& plan) { return plan.files.size(); }

template <class Plan>
void print_dry_run(const Plan& plan, const PairSums& sums,
                   const std::optional<RestoreComparison>& comparison, const RestoreFlags& flags) {
  const std::uint64_t collisions = comparison ? comparison->present : 0;
  const std::uint64_t removed = comparison ? comparison->others : 0;
  if (flags.common.json) {
    JsonObject root;
    root.add("command", "restore").add("dry_run", true).add("sink", flags.sink);
    root.add("files", std::uint64_t{files_of(plan)}).add("stored_bytes", plan.stored_bytes);
    root.add("total_kvs", sums.pairs).add("total_bytes", sums.bytes);
    root.add("store_is_there", comparison.has_value());
    root.add("collisions", collisions).add("removed", removed);
    std::printf("%s\n", root.text().c_str());
    return;
  }
  std::printf("Dry run: nothing is written to %s\n", printable(flags.sink).c_str());
  std::printf("files: %zu (%s), pairs: %llu, bytes: %llu, collisions: %llu\n", files_of(plan),
              human_bytes(static_cast<double>(plan.stored_bytes)).c_str(),
              static_cast<unsigned long long>(sums.pairs),
              static_cast<unsigned long long>(sums.bytes),
              static_cast<unsigned long long>(collisions));
  if (flags.replace) {
    std::printf("--replace removes pairs that the backup does not have: %llu\n",
                static_cast<unsigned long long>(removed));
  }
  if (comparison && !flags.merge && !flags.replace) {
    std::printf("The store is there: the restore needs --merge or --replace\n");
  }
}

template <class AnyBackup>
int show(const AnyBackup& backup, const StoreUri& sink, RestoreOptions options,
         const RestoreFlags& flags) {
  choose_target_cf(sink, options);
  options.clear_ranges = flags.replace;
  std::optional<RestoreComparison> there;
  PairSums sums;
  const auto plan = make_restore_plan(backup, options);
  Status status = plan.status();
  if (status.ok() && store_is_there(sink)) {
    status = with_source(sink, 1, [&](auto source) -> Status {
      using Source = decltype(source);
      if constexpr (Snapshot<Source>) {
        const auto comparison = compare_with(backup, source, options);
        if (!comparison.ok()) return comparison.status();
        sums = comparison.value().pairs;
        there = comparison.value();
        return {};
      } else {
        return Status::error(StatusCode::already_exists,
                             "there is a file of that name, which no restore replaces");
      }
    });
  } else if (status.ok()) {
    const auto counted = count_restore(backup, options);
    status = counted.status();
    if (status.ok()) sums = counted.value();
  }
  if (!status.ok()) return report_read_failure("restore", status, flags.common);
  warn_unless_protected(backup);
  print_dry_run(plan.value(), sums, there, flags);
  return done;
}

}  // namespace program::restoration
