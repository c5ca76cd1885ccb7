// SPDX-License-Identifier: Apache-2.0
// Turns one planned sub-range into its parts: the work of one worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backup/part_writer.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1::detail {

/// The number of a part stands where TiKV has the region's id. It rises with the part's key and
/// depends on the plan and the data only: sub-ranges are numbered a million parts apart.
inline constexpr std::uint64_t parts_of_a_sub_range = 1'000'000;

/// No part of a plan of that many sub-ranges has a higher number.
[[nodiscard]] constexpr std::uint64_t last_part_number(std::size_t sub_ranges) {
  return (std::uint64_t{sub_ranges} + 1) * parts_of_a_sub_range;
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

  /// Writes every pair of `scan`, which gives the pairs of the range and no others.
  template <SortedSource Scan>
  Status write(Scan& scan, std::vector<FileRecord>& files) {
    for (; scan.valid(); scan.next()) {
      const SourceEntry entry{.cf = range_.cf, .key = scan.key(), .value = scan.value()};
      if (!range_.end.empty() && entry.key >= ByteView(range_.end)) return outside(entry.key);
      if (Status status = add(entry, files); !status.ok()) {
        return std::move(status).with_key(entry.key);
      }
    }
    if (Status status = scan.status(); !status.ok()) return status;
    return close(range_.end, files);
  }

  /// Writes the pairs of `source` that lie in the range, and leaves the source behind them.
  template <SortedSource Source>
  Status write_bounded(Source& source, std::vector<FileRecord>& files) {
    if (!range_.start.empty()) {
      if constexpr (SeekableSource<Source>) {
        source.seek(range_.start);
      } else {
        if (Status status = skip_to_start(source); !status.ok()) return status;
      }
    }
    Bounded<Source> bounded{&source, range_.end};
    return write(bounded, files);
  }

 private:
  using Part = PartWriter<LayoutT, Codec, Hash, Backend>;

  /// Pairs are reported to the observer about once that many bytes.
  static constexpr std::uint64_t report_interval = 1u << 20;

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
  Status skip_to_start(Source& source) {
    constexpr std::uint64_t pairs_between_looks = 1024;
    for (std::uint64_t n = 1; source.valid() && ByteView(source.key()) < ByteView(range_.start);
         ++n) {
      source.next();
      if (n % pairs_between_looks != 0) continue;
      if (Status status = check_cancel(run_.cancel); !status.ok()) return status;
    }
    return {};
  }

  Status add(const SourceEntry& entry, std::vector<FileRecord>& files) {
    if (part_ && part_->bytes() >= part_size_) {
      if (entry.key <= ByteView(last_key_)) {
        return Status::error(StatusCode::out_of_order,
                             "the keys of the source do not strictly rise; sort it and remove "
                             "duplicates");
      }
      if (Status status = close(entry.key, files); !status.ok()) return status;
    }
    if (!part_) {
      if (entry.key < ByteView(range_.start)) return outside(entry.key);
      part_.emplace(layout_, codec_, hash_, backend_, run_, range_.cf, part_number(),
                    parts_ == 0 ? ByteView(range_.start) : entry.key);
    }
    // the table's own message has the key as it is stored, with the layout's prefix
    if (Status status = part_->add(entry); !status.ok()) {
      return std::move(status).rekeyed(entry.key);
    }
    if (part_->bytes() >= part_size_) last_key_ = entry.key;
    pairs_ += 1;
    bytes_ += entry.key.size() + entry.value.size();
    return bytes_ < report_interval ? Status() : report();
  }

  KVBACKUP_DETAIL_COLD static Status outside(ByteView key) {
    return Status::error(StatusCode::internal,
                         "the source gave a key outside the range that it was asked for")
        .with_key(key);
  }

  Status report() {
    run_.progress->add_pairs(std::exchange(pairs_, 0), std::exchange(bytes_, 0));
    if (stop_.load(std::memory_order_relaxed)) {
      return Status::error(StatusCode::cancelled, "another worker of this run failed");
    }
    return check_cancel(run_.cancel);
  }

  Status close(ByteView end, std::vector<FileRecord>& files) {
    if (pairs_ > 0) {
      if (Status status = report(); !status.ok()) return status;
    }
    if (!part_) return {};
    if (Status status = part_->finish(end, files); !status.ok()) return status;
    part_.reset();
    ++parts_;
    return {};
  }

  [[nodiscard]] std::uint64_t part_number() const {
    return std::uint64_t{index_} * parts_of_a_sub_range + parts_ + 1;
  }

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
  std::uint64_t pairs_ = 0;
  std::uint64_t bytes_ = 0;
  std::string last_key_;
};

}  // namespace kvbackup::inline v1::detail
