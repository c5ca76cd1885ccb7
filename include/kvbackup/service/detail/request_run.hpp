// SPDX-License-Identifier: Apache-2.0
// One BackupRequest at work: its clips among its workers, an answer for each part.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/layout.hpp"
#include "kvbackup/backup/observer.hpp"
#include "kvbackup/backup/part_writer.hpp"
#include "kvbackup/backup/sub_range_writer.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/executor.hpp"
#include "kvbackup/base/rate_limiter.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/proto/backup_service.hpp"
#include "kvbackup/service/concept.hpp"
#include "kvbackup/service/errors.hpp"
#include "kvbackup/service/regions.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1::detail {

/// What a service says of itself in the names of files, and how it works.
struct RequestSettings {
  std::uint64_t store_id = 1;
  std::uint64_t part_size = 0;
  std::uint32_t part_retries = 0;
  std::size_t workers = 1;
  Clock* clock = nullptr;
  Executor* executor = nullptr;
};

/// Hands the answers of several workers on, one at a time, until one is not taken.
class Answers {
 public:
  Answers(RespondRef respond, const CancelToken* parent) : respond_(respond), cancel_(parent) {}

  Status send(BackupResponse&& response) {
    const MutexLock lock(mutex_);
    if (!failure_.ok()) return failure_;
    failure_ = respond_(std::move(response));
    if (!failure_.ok()) stop();
    return failure_;
  }
  /// Ends the request with `status`, unless it has failed already.
  void fail(Status status) {
    const MutexLock lock(mutex_);
    if (failure_.ok()) failure_ = std::move(status);
    stop();
  }
  /// Why the request ended early. To be asked when no worker is left.
  [[nodiscard]] const Status& failure() const { return failure_; }
  /// Set once the request ends early, or when the caller's token is.
  [[nodiscard]] const CancelToken& cancel() const { return cancel_; }
  [[nodiscard]] const std::atomic<bool>& stopped() const { return stopped_; }

 private:
  void stop() {
    cancel_.cancel();
    stopped_.store(true, std::memory_order_relaxed);
  }

  RespondRef respond_;
  CancelToken cancel_;
  std::atomic<bool> stopped_{false};
  Mutex mutex_;
  Status failure_;  // under mutex_
};

template <Snapshot S, Layout LayoutT, BlockCodec Codec, Hasher Hash, ObjectBackend Backend,
          RegionLayout Regions>
class RequestRun {
 public:
  RequestRun(const BackupRequest& request, const RequestSettings& settings, const S& snapshot,
             LayoutT layout, Codec codec, Hash hash, Backend backend, const Regions& regions,
             Answers& answers)
      : request_(request),
        settings_(settings),
        snapshot_(snapshot),
        layout_(std::move(layout)),
        codec_(std::move(codec)),
        hash_(std::move(hash)),
        backend_(std::move(backend)),
        regions_(regions),
        answers_(answers) {}

  /// Answers for every clip that the regions have of `range`. Errors: the caller's, see
  /// BackupNode.
  Status run(const KeyRange& range) {
    clips_ = regions_.clips(range);
    cf_ = range.cf;
    if (request_.rate_limit > 0) limiter_.emplace(request_.rate_limit, *settings_.clock);
    std::size_t workers = std::min(settings_.workers, clips_.size());
    if constexpr (requires { std::size_t{snapshot_.workers()}; }) {
      workers = std::min(workers, std::size_t{snapshot_.workers()});
    }
    const auto work = [this](std::size_t) { take_clips(); };
    if (workers <= 1 || settings_.executor == nullptr) {
      work(0);
    } else {
      settings_.executor->run(workers, work);
    }
    if (!answers_.failure().ok()) return answers_.failure();
    if (finished_.load(std::memory_order_relaxed) == clips_.size()) return {};
    return Status::error(StatusCode::internal,
                         "the executor returned without running every task it was given");
  }

 private:
  void take_clips() {
    while (!answers_.stopped().load(std::memory_order_relaxed)) {
      const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= clips_.size()) return;
      if (Status status = answer_clip(index); !status.ok()) return answers_.fail(std::move(status));
      finished_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  /// Fails only where the whole request has to end.
  Status answer_clip(std::size_t index) {
    const RegionClip& clip = clips_[index];
    if (Status status = check_cancel(&answers_.cancel()); !status.ok()) return status;
    if constexpr (requires { regions_.check(clip); }) {
      if (auto error = regions_.check(clip)) {
        return answers_.send(failed(clip.start, clip.end, region_failed(*std::move(error))));
      }
    }
    std::string answered = clip.start;
    bool any = false;
    const auto part_done = [&](ByteView start, ByteView end, std::vector<FileRecord>& files) {
      any = true;
      answered = end;
      return answers_.send(done(start, end, files));
    };
    Status status = write_clip(index, part_done);
    if (status.ok()) return any ? Status() : answers_.send(done(clip.start, clip.end, {}));
    if (answers_.cancel().cancelled()) return status;
    return answers_.send(failed(answered, clip.end, error_of(status)));
  }

  Status write_clip(std::size_t index, PartDone part_done) {
    const RegionClip& clip = clips_[index];
    RunContext context;
    context.name = {.store_id = settings_.store_id,
                    .region_id = clip.region_id,
                    .epoch = clip.version,
                    .unix_ms = settings_.clock->unix_ms(),
                    .is_raw_kv = LayoutT::is_raw_kv};
    context.cancel = &answers_.cancel();
    context.clock = settings_.clock;
    context.rate_limiter = limiter_ ? &*limiter_ : nullptr;
    context.part_retries = settings_.part_retries;
    context.progress = &progress_;
    context.part_done = part_done;
    const KeyRange range{cf_, clip.start, clip.end};
    SubRangeWriter<LayoutT, Codec, Hash, Backend> writer(layout_, codec_, hash_, backend_, context,
                                                         settings_.part_size, index, range,
                                                         answers_.stopped());
    std::vector<FileRecord> files;
    return writer.write(snapshot_, files);
  }

  /// Takes `files` out of their list, so that a clip of any size needs the memory of one part.
  BackupResponse done(ByteView start, ByteView end, std::vector<FileRecord>& files) {
    BackupResponse response;
    response.start_key = start;
    response.end_key = end;
    for (FileRecord& record : files) {
      record.file.start_version = request_.start_version;
      record.file.end_version = request_.end_version;
      response.files.push_back(std::move(record.file));
    }
    files.clear();
    return response;
  }
  BackupResponse done(ByteView start, ByteView end, std::vector<FileRecord>&& files) {
    return done(start, end, files);
  }

  static BackupResponse failed(ByteView start, ByteView end, Error error) {
    BackupResponse response;
    response.start_key = start;
    response.end_key = end;
    response.error = std::move(error);
    return response;
  }

  const BackupRequest& request_;
  const RequestSettings& settings_;
  const S& snapshot_;
  LayoutT layout_;
  Codec codec_;
  Hash hash_;
  Backend backend_;
  const Regions& regions_;
  Answers& answers_;
  std::string cf_;
  std::vector<RegionClip> clips_;
  std::optional<RateLimiter> limiter_;
  ProgressReporter progress_{nullptr, 0, {}};
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> finished_{0};
};

}  // namespace kvbackup::inline v1::detail
