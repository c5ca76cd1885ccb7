// SPDX-License-Identifier: Apache-2.0
// BackupPipeline: Source -> Layout -> TableWriter (Codec) -> Hasher -> Backend, then backupmeta.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/job_settings.hpp"
#include "kvbackup/backup/layout.hpp"
#include "kvbackup/backup/options.hpp"
#include "kvbackup/backup/part_numbers.hpp"
#include "kvbackup/backup/part_writer.hpp"
#include "kvbackup/backup/plan.hpp"
#include "kvbackup/backup/run_keeper.hpp"
#include "kvbackup/backup/sub_range_writer.hpp"
#include "kvbackup/backup/unfinished_job.hpp"
#include "kvbackup/base/helper_pool.hpp"
#include "kvbackup/base/rate_limiter.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/base/workers.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

/// What run() gives: the backup's description as it was written.
struct BackupResult {
  BackupMeta meta;
  KvbackupInfo info;
  std::uint64_t backupmeta_size = 0;  ///< bytes of the object `backupmeta`
  std::uint64_t rebuilt_parts = 0;    ///< times that a part was built again, its object lost
  std::uint64_t resumed_files = 0;    ///< files that an earlier run of the job had finished
};

/// Backs up a Snapshot or a plain SortedSource.
///
/// run() blocks. On success the backend holds the files and, written last, `backupmeta`. On failure
/// there is no `backupmeta`; files that were complete by then may be left, never a partial one, and
/// with BackupOptions::checkpoint another run can go on with them. For
/// one source state and a fixed clock the bytes are the same whatever the concurrency.
template <class Source, BlockCodec Codec, Hasher Hash, ObjectBackend Backend,
          class LayoutT = RawLayout>
requires((Snapshot<Source> || SortedSource<Source>)&&Layout<LayoutT>) class BackupPipeline {
 public:
  BackupPipeline(Source source, Codec codec, Hash hash, Backend backend, LayoutT layout = {})
      : source_(std::move(source)),
        codec_(std::move(codec)),
        hash_(std::move(hash)),
        backend_(std::move(backend)),
        layout_(std::move(layout)) {}

  /// Runs the backup. A plain source is spent by it: a second run() is invalid_argument.
  [[nodiscard]] Result<BackupMeta> run(const BackupOptions& options = {}) {
    auto result = run_detailed(options);
    if (!result.ok()) return std::move(result).status();
    return std::move(result.value().meta);
  }

  /// The same, with what backupmeta says beyond BR's message.
  [[nodiscard]] Result<BackupResult> run_detailed(const BackupOptions& options = {}) {
    if (Status status = check(options); !status.ok()) return status;
    auto plan = make_plan(source_, options);
    if (!plan.ok()) return std::move(plan).status();
    if (Status status = check_names(plan.value(), options); !status.ok()) return status;
    if (options.lock || options.checkpoint || options.resume) {
      if constexpr (ReadableBackend<Backend>) {
        if (keeps_objects(backend_)) return run_kept(std::move(plan).value(), options);
      } else {
        return Status::error(StatusCode::unsupported,
                             "BackupOptions::lock, checkpoint and resume need a storage that can "
                             "be read")
            .with_object(backend_.url());
      }
    }
    if (Status status = check_destination(); !status.ok()) return status;
    return run_plan(plan.value(), options, unix_ms(options), {}, nullptr);
  }

  /// What run() would do, without doing it: the plan, after the checks that need no writing.
  [[nodiscard]] Result<BackupPlan> plan(const BackupOptions& options = {}) {
    if (Status status = check(options); !status.ok()) return status;
    if (Status status = check_destination(); !status.ok()) return status;
    auto plan = make_plan(source_, options);
    if (!plan.ok()) return plan;
    if (Status status = check_names(plan.value(), options); !status.ok()) return status;
    return plan;
  }

  [[nodiscard]] Backend& backend() { return backend_; }
  [[nodiscard]] Source& source() { return source_; }

 private:
  using Files = std::vector<detail::FileRecord>;

  [[nodiscard]] Status check(const BackupOptions& options) const {
    const auto refuse = [](const char* why) {
      return Status::error(StatusCode::invalid_argument, why);
    };
    if (spent_) return refuse("this source can be read once, and a run has read it");
    if (options.part_size == 0) return refuse("BackupOptions::part_size must be at least 1");
    if (options.concurrency == 0) return refuse("BackupOptions::concurrency must be at least 1");
    if (options.concurrency > 1 && options.executor == nullptr) {
      return refuse("BackupOptions::concurrency above 1 needs an executor, such as ThreadExecutor");
    }
    if (options.rate_limit > 0 && options.clock == nullptr) {
      return refuse("BackupOptions::rate_limit needs a clock, such as SystemClock");
    }
    if (options.read_rate_limit > 0 && options.clock == nullptr) {
      return refuse("BackupOptions::read_rate_limit needs a clock, such as SystemClock");
    }
    if (options.lock || options.checkpoint || options.resume) {
      if (options.clock == nullptr) {
        return refuse(
            "BackupOptions::lock, checkpoint and resume need a clock, such as "
            "SystemClock");
      }
      if (!options.run_id.empty() && !is_run_id(options.run_id)) {
        return refuse("BackupOptions::run_id must be 16 to 64 lower-case hex digits");
      }
    }
    if ((options.checkpoint || options.resume) && source_state(source_).empty()) {
      return refuse(
          "this source cannot tell its state from another one, so a backup of it cannot "
          "be resumed (BackupOptions::checkpoint and resume, --resume)");
    }
    if (!is_utf8(options.cluster_version)) {
      return refuse("BackupOptions::cluster_version must be UTF-8");
    }
    return check_cancel(options.cancel);
  }

  /// Column families stand in backupmeta, as UTF-8, and in the names of files.
  [[nodiscard]] static Status check_names(const BackupPlan& plan, const BackupOptions& options) {
    // NAME_MAX of POSIX file systems, less what LocalBackend puts around a temporary name
    constexpr std::size_t longest = 255 - 32;
    const FileNameParts parts{
        .store_id = options.store_id,
        .region_id = std::max(options.region_id, detail::last_part_number(plan.sub_ranges.size())),
        .epoch = options.region_epoch,
        .unix_ms = 9'999'999'999'999,  // as long as any until 2286; the clock is read once a run
        .is_raw_kv = false,
        .store_folder = options.store_folder};
    for (const KeyRange& range : plan.ranges) {
      if (!is_utf8(range.cf)) {
        return Status::error(StatusCode::unsupported,
                             "the name of a column family is not UTF-8, which backupmeta cannot "
                             "hold; rename it or leave it out")
            .with_object(range.cf);
      }
      if (sst_file_name(parts, {}, range.cf).size() > longest) {
        return Status::error(StatusCode::unsupported,
                             "the name of a column family is too long to stand in a file's name; "
                             "rename it or leave it out")
            .with_object(range.cf);
      }
    }
    return {};
  }

  [[nodiscard]] static std::uint64_t unix_ms(const BackupOptions& options) {
    if (options.clock != nullptr) return options.clock->unix_ms();
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
  }

  /// A destination that holds a backup, or is BR's, is refused before anything is read or written.
  [[nodiscard]] Status check_destination() {
    if constexpr (ReadableBackend<Backend>) {
      auto exists = backend_.exists(backupmeta_name);
      if (!exists.ok()) return std::move(exists).status();
      if (exists.value()) return detail::holds_a_backup(backend_.url());
      auto locked = backend_.exists(backup_lock_name);
      if (!locked.ok()) return std::move(locked).status();
      if (locked.value()) return detail::holds_br_lock(backend_.url());
    }
    return {};
  }

  /// A run that keeps the destination, and may go on with an earlier one.
  [[nodiscard]] Result<BackupResult> run_kept(BackupPlan plan, const BackupOptions& options) {
    const std::uint64_t now = unix_ms(options);
    detail::RunKeeper<Backend, Hash> keeper(backend_, hash_, options);
    Status begun = keeper.begin(detail::job_of(source_, codec_, layout_, plan, options, now),
                                name_parts(options, now));
    if (!begun.ok()) return begun;
    const CheckpointJob& job = keeper.job();
    plan.sub_ranges.clear();
    for (const CompletedRange& each : job.sub_ranges) {
      plan.sub_ranges.push_back({.cf = each.cf, .start = each.start, .end = each.end});
    }
    const auto tick = [&keeper] { return keeper.tick(); };
    const auto writing = [&keeper] { return keeper.writing(); };
    const auto part_done = [&keeper](const detail::FinishedPart& part) {
      return keeper.part_done(part);
    };
    const auto before_backupmeta = [&keeper] { return keeper.before_backupmeta(); };
    const detail::RunWatch watch{tick, writing, part_done, before_backupmeta};
    auto result = keeper.is_complete()
                      ? read_result(job.created_unix_ms)
                      : run_plan(plan, options, job.created_unix_ms, keeper.finished(), &watch);
    if (!result.ok()) {
      keeper.give_up();
      return result;
    }
    if (Status left = keeper.end(); !left.ok() && options.observer != nullptr) {
      options.observer->on_note(
          "the backup is complete, but its checkpoint or lock could not be "
          "removed: " +
          left.to_string());
    }
    return result;
  }

  /// What the backupmeta says that is there, of the run that began then.
  [[nodiscard]] Result<BackupResult> read_result(std::uint64_t created_unix_ms) {
    auto manifest = read_manifest(backend_);
    if (!manifest.ok()) return std::move(manifest).status();
    if (!manifest.value().info || manifest.value().info->created_unix_ms != created_unix_ms) {
      return detail::holds_a_backup(backend_.url());
    }
    BackupResult result;
    result.meta = std::move(manifest.value().meta);
    result.info = *std::move(manifest.value().info);
    result.backupmeta_size = encode_manifest(result.meta, result.info).size();
    result.resumed_files = result.meta.files.size();
    return result;
  }

  [[nodiscard]] static FileNameParts name_parts(const BackupOptions& options,
                                                std::uint64_t unix_ms) {
    return {.store_id = options.store_id,
            .region_id = options.region_id,
            .epoch = options.region_epoch,
            .unix_ms = unix_ms,
            .is_raw_kv = LayoutT::is_raw_kv,
            .store_folder = options.store_folder};
  }

  /// Carries the plan out. `finished` are the parts of each sub-range that an earlier run has
  /// finished, if there was one; `watch` may be null.
  [[nodiscard]] Result<BackupResult> run_plan(const BackupPlan& plan, const BackupOptions& options,
                                              std::uint64_t created_unix_ms,
                                              std::span<detail::FinishedParts> finished,
                                              const detail::RunWatch* watch) {
    spent_ = !Snapshot<Source>;
    std::optional<RateLimiter> limiter;
    std::optional<RateLimiter> read_limiter;
    if (options.rate_limit > 0) limiter.emplace(options.rate_limit, *options.clock);
    if (options.read_rate_limit > 0) read_limiter.emplace(options.read_rate_limit, *options.clock);
    detail::ProgressReporter progress(options.observer, plan.sub_ranges.size(), plan.total);
    detail::RunContext context;
    context.name = name_parts(options, created_unix_ms);
    context.cancel = options.cancel;
    context.clock = options.clock;
    context.rate_limiter = limiter ? &*limiter : nullptr;
    context.read_limiter = read_limiter ? &*read_limiter : nullptr;
    context.part_retries = options.part_retries;
    context.progress = &progress;
    context.watch = watch;
    context.finished = finished;
    std::atomic<std::uint64_t> backupmeta_size{0};
    context.backupmeta_size = &backupmeta_size;
    if constexpr (VersionedSource<Source>) {
      context.start_version = source_.start_version();
      context.end_version = source_.end_version();
    }

    auto files = run_sub_ranges(plan, options, context);
    if (!files.ok()) return std::move(files).status();
    if (Status status = check_stored(files.value(), options); !status.ok()) return status;
    if constexpr (ConfirmedSource<Source>) {
      if (Status status = source_.confirm(); !status.ok()) return status;
    }
    return write_backupmeta(plan, options, context, std::move(files).value());
  }

  // Workers take sub-ranges in plan order; the results stand in plan order too.
  [[nodiscard]] Result<Files> run_sub_ranges(const BackupPlan& plan, const BackupOptions& options,
                                             detail::RunContext& context) {
    std::vector<Files> results(plan.sub_ranges.size());
    const auto work = [&](std::size_t index, const std::atomic<bool>& stop) -> Status {
      Status written =
          run_sub_range(index, plan.sub_ranges[index], options, context, stop, results[index]);
      if (written.ok()) context.progress->add_range();
      return written;
    };
    const std::size_t workers = worker_count(plan, options);
    const std::size_t threads = detail::useful_threads(workers, options, codec_);
    HelperPool helpers(options.cancel);
    if (threads > 1) context.helpers = &helpers;
    Status status = detail::run_workers(plan.sub_ranges.size(), workers, options.executor, work,
                                        context.helpers, threads);
    context.helpers = nullptr;
    if (!status.ok()) return status;
    Files files;
    for (Files& each : results) {
      std::move(each.begin(), each.end(), std::back_inserter(files));
    }
    return files;
  }

  [[nodiscard]] std::size_t worker_count(const BackupPlan& plan,
                                         const BackupOptions& options) const {
    std::size_t workers = std::min(options.concurrency, plan.sub_ranges.size());
    if constexpr (requires(const Source& s) { std::size_t{s.workers()}; }) {
      workers = std::min(workers, source_.workers());
    }
    return workers;
  }

  [[nodiscard]] Status run_sub_range(std::size_t index, const KeyRange& range,
                                     const BackupOptions& options,
                                     const detail::RunContext& context,
                                     const std::atomic<bool>& stop, Files& files) {
    detail::SubRangeWriter<LayoutT, Codec, Hash, Backend> writer(
        layout_, codec_, hash_, backend_, context, options.part_size, index, range, stop);
    Status status;
    if (!context.finished.empty()) {
      status = writer.resume(std::move(context.finished[index]), files);
      if (status.ok() && writer.is_finished()) return status;
    }
    if (status.ok()) {
      if constexpr (Snapshot<Source>) {
        status = writer.write(source_, files);
      } else {
        status = writer.write_bounded(source_, files);
      }
    }
    if (status.ok()) return status;
    return std::move(status).with_range(range.start, range.end);
  }

  /// Every file is there, with the size that was written.
  [[nodiscard]] Status check_stored(const Files& files, const BackupOptions& options) {
    if constexpr (ReadableBackend<Backend>) {
      if (!keeps_objects(backend_) || files.empty()) return {};
      // only what begins like our own names: what else lies there is none of our business
      auto listed = backend_.list(sst_file_prefix(options.store_id, options.store_folder));
      if (!listed.ok()) return std::move(listed).status();
      for (const detail::FileRecord& record : files) {
        const ObjectInfo* const found = find_object(listed.value(), record.file.name);
        if (found == nullptr) {
          return Status::error(StatusCode::corruption,
                               "a file of this backup is gone from the destination before its "
                               "backupmeta was written; is something else writing there?")
              .with_object(record.file.name);
        }
        if (found->size != record.file.size) {
          return Status::error(StatusCode::corruption,
                               "the destination holds " + std::to_string(found->size) +
                                   " bytes of a file of which " + std::to_string(record.file.size) +
                                   " were written")
              .with_object(record.file.name);
        }
      }
    }
    return {};
  }

  [[nodiscard]] Result<BackupResult> write_backupmeta(const BackupPlan& plan,
                                                      const BackupOptions& options,
                                                      const detail::RunContext& context,
                                                      Files files) {
    BackupResult result;
    result.rebuilt_parts = context.progress->progress().rebuilt_parts;
    result.resumed_files = context.progress->progress().resumed_files;
    result.meta = make_meta(plan, options);
    result.info = make_info(plan, context);
    for (detail::FileRecord& record : files) {
      result.info.totals->files += 1;
      result.info.totals->kvs += record.file.total_kvs;
      result.info.totals->bytes += record.file.total_bytes;
      result.info.totals->stored_bytes += record.file.size;
      result.info.totals->crc64xor ^= record.file.crc64xor;
      result.info.file_crc32c.push_back(record.crc32c);
      result.meta.files.push_back(std::move(record.file));
    }
    const std::string bytes = encode_manifest(result.meta, result.info);
    if (bytes.size() > max_backupmeta_size) return detail::backupmeta_too_large();
    // what cannot be read back must not count as a backup
    if (auto read_back = decode_manifest(bytes); !read_back.ok()) {
      return std::move(read_back).status();
    }
    if (context.watch != nullptr) {
      if (Status status = context.watch->before_backupmeta(); !status.ok()) return status;
    }
    result.backupmeta_size = bytes.size();
    if (Status status = check_cancel(options.cancel); !status.ok()) return status;
    auto writer = backend_.create(backupmeta_name, {.size_hint = bytes.size(), .if_absent = true});
    if (!writer.ok()) return std::move(writer).status();
    if (Status status = writer.value().append(bytes); !status.ok()) return status;
    auto committed = writer.value().commit();
    if (!committed.ok()) return std::move(committed).status();
    return result;
  }

  [[nodiscard]] BackupMeta make_meta(const BackupPlan& plan, const BackupOptions& options) const {
    BackupMeta meta;
    meta.cluster_id = options.cluster_id;
    meta.cluster_version = options.cluster_version;
    meta.br_version = "kvbackup " KVBACKUP_VERSION_STRING;
    meta.is_raw_kv = LayoutT::is_raw_kv;
    if constexpr (VersionedSource<Source>) {
      meta.start_version = source_.start_version();
      meta.end_version = source_.end_version();
    }
    // a JSON array of DDL jobs; BR writes the literal null for a raw backup
    meta.ddls = LayoutT::is_raw_kv ? "null" : "[]";
    if (!LayoutT::is_raw_kv) return meta;
    // TiKV crashes on files whose keys lack its prefix. BR restores nothing where no range is
    // named.
    if (layout_.key_prefix() != tikv_data_prefix) return meta;
    for (const KeyRange& range : plan.ranges) {
      RawRange raw;
      raw.start_key = range.start;
      raw.end_key = range.end;
      raw.cf = range.cf;
      meta.raw_ranges.push_back(std::move(raw));
    }
    return meta;
  }

  [[nodiscard]] KvbackupInfo make_info(const BackupPlan& plan,
                                       const detail::RunContext& context) const {
    KvbackupInfo info;
    info.format = kvbackup_info_format;
    info.key_prefix = layout_.key_prefix();
    info.profile = layout_.profile();
    info.created_unix_ms = context.name.unix_ms;
    if constexpr (IdentifiedSource<Source>) {
      info.source_kind = source_.kind();
      info.source_identity = source_.identity();
    }
    for (const KeyRange& range : plan.ranges) {
      CompletedRange completed;
      completed.cf = range.cf;
      completed.start = range.start;
      completed.end = range.end;
      info.ranges.push_back(std::move(completed));
    }
    info.totals.emplace();
    return info;
  }

  Source source_;
  Codec codec_;
  Hash hash_;
  Backend backend_;
  LayoutT layout_;
  bool spent_ = false;
};

}  // namespace kvbackup::inline v1
