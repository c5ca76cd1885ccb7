// SPDX-License-Identifier: Apache-2.0
// Turns one planned sub-range into its parts: the work of one worker.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backup/part_numbers.hpp"
#include "kvbackup/backup/part_writer.hpp"
#include "kvbackup/backup/unfinished_job.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/rate_limiter.hpp"
#include "kvbackup/base/wait.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1::detail {

/// What is said of a backup that describes itself by more than is ever read.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status backupmeta_too_large() {
  return Status::error(StatusCode::resource_exhausted,
                       "the backup has too many parts, or keys too long, to be described: its "
                       "backupmeta would have more than the " +
                           std::to_string(max_backupmeta_size) +
                           " bytes that are read back; make parts larger "
                           "(BackupOptions::part_size, --file-size), or divide the backup by key "
                           "range")
      .with_object(backupmeta_name);
}

template <class LayoutT, BlockCodec Codec, Hasher Hash, ObjectBackend Backend>
class SubRangeWriter {
 public:
  SubRangeWriter(const LayoutT& layout, const Codec& codec, const Hash& hash, Backend& backend,
                 const RunContext& run, std::uint64_t part_size, std::size_t index,
                 const KeyRange& range, const std::atomic<bool>& stop)
      : layout_(layout),
        codec_(codec),
        hash_(hash),
        backend_(backend),
        run_(run),
        part_size_(part_size),
        index_(index),
        range_(range),
        stop_(stop) {}

  /// Goes on behind the parts that an earlier run finished, whose files it takes.
  Status resume(FinishedParts&& finished, std::vector<FileRecord>& files) {
    parts_ = resumed_parts_ = finished.count;
    resumed_end_ = std::move(finished.end);
    std::uint64_t pairs = 0;
    std::uint64_t bytes = 0;
    std::uint64_t stored = 0;
    for (FileRecord& each : finished.files) {
      pairs += each.file.total_kvs;
      bytes += each.file.total_bytes;
      stored += each.file.size;
      files.push_back(std::move(each));
    }
    run_.progress->add_finished(finished.files.size(), pairs, bytes, stored);
    return describe(files, 0);
  }
  /// Whether these were all of the sub-range.
  [[nodiscard]] bool is_finished() const { return parts_ > 0 && resumed_end_ == range_.end; }

  /// Writes the pairs that `snapshot` has in the range. A part whose object is lost in mid-write is
  /// built again by another scan, and cut where the first one would have been.
  template <Snapshot S>
  Status write(const S& snapshot, std::vector<FileRecord>& files) {
    KeyRange rest = range_;
    if (parts_ > 0) rest.start = resumed_end_;
    for (;;) {
      Status status;
      {
        auto scan = snapshot.scan(rest);
        status =
            scan.ok() ? write_pairs(scan.value(), rest.start, files) : std::move(scan).status();
      }
      if (!lost_object(status)) return status;
      if (Status ready = prepare_rebuild(std::move(status)); !ready.ok()) return ready;
      rest.start = part_->start();
    }
  }

  /// Writes the pairs of `source` that lie in the range, and leaves the source behind them.
  template <SortedSource Source>
  Status write_bounded(Source& source, std::vector<FileRecord>& files) {
    const std::string& start = parts_ > 0 ? resumed_end_ : range_.start;
    if (!start.empty()) {
      if constexpr (SeekableSource<Source>) {
        source.seek(start);
      } else {
        if (Status status = skip_to(source, start); !status.ok()) return status;
      }
    }
    Bounded<Source> bounded{&source, range_.end};
    Status status = write_pairs(bounded, start, files);
    if (!lost_object(status)) return status;
    return std::move(status).with_note(
        "this source can be read once, so the part cannot be built again; start the backup anew, "
        "with an empty destination");
  }

 private:
  using Part = PartWriter<LayoutT, Codec, Hash, Backend>;

  /// Pairs are reported to the observer about once that many bytes.
  static constexpr std::uint64_t report_interval = 1u << 20;
  /// What is read is charged to the limit about once that many bytes: a fraction of a block of the
  /// default size, so that a slow limit does not come in bursts.
  static constexpr std::uint64_t charge_interval = 16u << 10;
  /// The pause before a part is built again doubles from the one to the other.
  static constexpr std::uint64_t first_pause_ns = 500'000'000;
  static constexpr std::uint64_t longest_pause_ns = 30'000'000'000;

  /// What came from the source.
  struct Taken {
    std::uint64_t pairs = 0;
    std::uint64_t bytes = 0;
  };

  template <class Source>
  struct Bounded {
    Source* source;
    ByteView end;
    [[nodiscard]] bool valid() const {
      return source->valid() && (end.empty() || ByteView(source->key()) < end);
    }
    [[nodiscard]] ByteView key() const { return source->key(); }
    [[nodiscard]] ByteView value() const { return source->value(); }
    void next() { source->next(); }
    [[nodiscard]] Status status() const { return source->status(); }
  };

  template <class Source>
  Status skip_to(Source& source, ByteView start) {
    constexpr std::uint64_t pairs_between_looks = 1024;
    for (std::uint64_t n = 1; source.valid() && ByteView(source.key()) < start; ++n) {
      const std::uint64_t size = ByteView(source.key()).size() + ByteView(source.value()).size();
      if (Status status = charge(size); !status.ok()) return status;
      source.next();
      if (n % pairs_between_looks != 0) continue;
      if (Status status = check_cancel(run_.cancel); !status.ok()) return status;
      if (run_.watch == nullptr) continue;
      if (Status status = run_.watch->tick(); !status.ok()) return status;
    }
    return {};
  }

  /// Writes every pair of `scan`, which gives the pairs of the range from `start` on, where the
  /// open part starts if there is one, and no others.
  template <SortedSource Scan>
  Status write_pairs(Scan& scan, ByteView start, std::vector<FileRecord>& files) {
    if (scan.valid() && ByteView(scan.key()) < start) return outside(scan.key());
    for (; scan.valid(); scan.next()) {
      const SourceEntry entry{.cf = range_.cf, .key = scan.key(), .value = scan.value()};
      if (!range_.end.empty() && entry.key >= ByteView(range_.end)) return outside(entry.key);
      if (Status status = add(entry, files); !status.ok()) {
        return std::move(status).with_key(entry.key);
      }
    }
    if (Status status = scan.status(); !status.ok()) return status;
    if (Status status = pay(); !status.ok()) return status;
    return close(range_.end, files);
  }

  Status add(const SourceEntry& entry, std::vector<FileRecord>& files) {
    if (part_ && part_->bytes() >= part_size_ && taken_.pairs % entries_per_batch<LayoutT>() == 0) {
      if (entry.key <= ByteView(last_key_)) {
        return Status::error(StatusCode::out_of_order,
                             "the keys of the source do not strictly rise; sort it and remove "
                             "duplicates");
      }
      if (Status status = close(entry.key, files); !status.ok()) return status;
    }
    if (!part_) {
      if (parts_ > 0 && parts_ == resumed_parts_ && entry.key != ByteView(resumed_end_)) {
        return Status::error(StatusCode::internal,
                             "the source no longer has the pair that followed the last finished "
                             "part; remove what the unfinished run left (kvbackup clean) and begin "
                             "anew");
      }
      part_.emplace(layout_, codec_, hash_, backend_, run_, range_.cf, part_number(),
                    parts_ == 0 ? ByteView(range_.start) : entry.key);
    }
    const std::uint64_t size = entry.key.size() + entry.value.size();
    if (Status status = charge(size); !status.ok()) return status;
    // the table's own message has the key as it is stored, with the layout's prefix
    if (Status status = part_->add(entry); !status.ok()) {
      return std::move(status).rekeyed(entry.key);
    }
    if (part_->bytes() >= part_size_) last_key_ = entry.key;
    taken_.pairs += 1;
    taken_.bytes += size;
    return taken_.bytes < report_at_ ? Status() : report();
  }

  KVBACKUP_DETAIL_COLD static Status outside(ByteView key) {
    return Status::error(StatusCode::internal,
                         "the source gave a key outside the range that it was asked for")
        .with_key(key);
  }

  /// Counts what is taken from the source against the limit of reading.
  Status charge(std::uint64_t bytes) {
    unpaid_ += bytes;
    return unpaid_ < charge_interval ? Status() : pay();
  }
  Status pay() {
    const std::uint64_t bytes = std::exchange(unpaid_, 0);
    if (run_.read_limiter == nullptr) return {};
    std::uint64_t waited_ns = 0;
    Status status = run_.read_limiter->acquire(bytes, run_.cancel, &waited_ns);
    run_.progress->add_throttled(waited_ns);
    return status;
  }

  /// Reports what the open part has taken, but nothing that was reported of it before.
  Status report() {
    if (taken_.pairs > reported_.pairs) {
      run_.progress->add_pairs(taken_.pairs - reported_.pairs, taken_.bytes - reported_.bytes);
      reported_ = taken_;
    }
    report_at_ = taken_.bytes + report_interval;
    if (stopped()) return another_failed();
    return check_cancel(run_.cancel);
  }

  Status close(ByteView end, std::vector<FileRecord>& files) {
    if (!part_) return {};
    if (taken_.pairs == 0 || taken_.pairs < lost_.pairs) {
      return Status::error(StatusCode::internal,
                           "another scan of a snapshot's range gave fewer pairs than the first")
          .with_range(part_->start(), end);
    }
    if (Status status = report(); !status.ok()) return status;
    const std::size_t files_before = files.size();
    if (Status status = part_->finish(end, files); !status.ok()) return status;
    if (Status status = describe(files, files_before); !status.ok()) return status;
    const std::string start = part_->start();
    part_.reset();
    ++parts_;
    rebuilds_ = 0;
    taken_ = reported_ = lost_ = Taken();
    report_at_ = report_interval;
    if (run_.watch != nullptr) {
      Status status = run_.watch->part_done({.sub_range = index_,
                                             .number = parts_ - 1,
                                             .start = start,
                                             .end = end,
                                             .files = std::span(files).subspan(files_before)});
      if (!status.ok()) return status;
    }
    return run_.part_done ? (*run_.part_done)(start, end, files) : Status();
  }

  /// Counts what files[first] and those behind it take in backupmeta, so that one that cannot be
  /// read is not found out at the end of a long run.
  Status describe(const std::vector<FileRecord>& files, std::size_t first) {
    if (run_.backupmeta_size == nullptr) return {};
    std::uint64_t size = 0;
    for (std::size_t i = first; i < files.size(); ++i) size += encode(files[i].file).size();
    const std::uint64_t before = run_.backupmeta_size->fetch_add(size, std::memory_order_relaxed);
    return before + size <= max_backupmeta_size ? Status() : backupmeta_too_large();
  }

  /// Whether the open part ended with the loss of an object that may be stored by another attempt.
  [[nodiscard]] bool lost_object(const Status& status) const {
    return status.retryable() && part_ && part_->object_failed();
  }

  /// Makes the part that `lost` ended ready to be added from its first pair, after a pause.
  Status prepare_rebuild(Status lost) {
    if (rebuilds_ >= run_.part_retries) {
      if (rebuilds_ == 0) return lost;
      return std::move(lost).with_note("the part was built " + std::to_string(rebuilds_ + 1) +
                                       " times, and each time an object of it was lost");
    }
    part_->restart();
    if (taken_.pairs > lost_.pairs) lost_ = taken_;
    taken_ = Taken();
    report_at_ = report_interval;
    run_.progress->add_rebuild(lost);
    Status paused = pause(std::min(first_pause_ns << std::min(rebuilds_, 10u), longest_pause_ns));
    ++rebuilds_;
    // a clock that stands still is no reason to hide why there is a pause
    if (paused.code() == StatusCode::invalid_argument) return lost;
    return paused;
  }

  Status pause(std::uint64_t duration_ns) {
    if (run_.clock != nullptr) {
      std::uint64_t now = run_.clock->steady_ns();
      for (const std::uint64_t end = now + duration_ns; now < end && !stopped();) {
        now = std::min(end, now + wait_slice_ns);
        if (Status status = wait_until(*run_.clock, now, run_.cancel); !status.ok()) return status;
      }
    }
    if (stopped()) return another_failed();
    return check_cancel(run_.cancel);
  }

  [[nodiscard]] bool stopped() const { return stop_.load(std::memory_order_relaxed); }
  KVBACKUP_DETAIL_COLD static Status another_failed() {
    return Status::error(StatusCode::cancelled, "another worker of this run failed");
  }

  [[nodiscard]] std::uint64_t part_number() const { return part_number_of(index_, parts_); }

  LayoutT layout_;
  const Codec& codec_;
  const Hash& hash_;
  Backend& backend_;
  const RunContext& run_;
  std::uint64_t part_size_;
  std::size_t index_;
  const KeyRange& range_;
  const std::atomic<bool>& stop_;
  std::optional<Part> part_;
  std::uint64_t parts_ = 0;
  std::uint64_t resumed_parts_ = 0;  // of these, those of an earlier run
  std::string resumed_end_;          // of the keys that they cover
  std::uint32_t rebuilds_ = 0;       // of the open part
  Taken taken_;                      // by the open part
  Taken reported_;                   // of these, also by attempts that were lost
  Taken lost_;                       // by the longest attempt that was lost
  std::uint64_t report_at_ = report_interval;
  std::uint64_t unpaid_ = 0;  // bytes taken that were not charged yet
  std::string last_key_;
};

}  // namespace kvbackup::inline v1::detail
