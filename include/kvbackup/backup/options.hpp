// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kvbackup/backup/observer.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/executor.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/codec/concept.hpp"

namespace kvbackup::inline v1 {

/// TiKV 5.x's `backup.sst-max-size`: 1.5 regions of 96 MiB (raftstore coprocessor/config.rs).
inline constexpr std::uint64_t default_part_size = 144ull << 20;

/// What one run does. Everything has a default; pointers are borrowed for the length of the run.
struct BackupOptions {
  /// The ranges to back up. Empty: all column families of a Snapshot, or all of a plain source.
  /// Ranges of one column family must not overlap; adjacent ones are merged.
  std::vector<KeyRange> ranges;
  /// A part is closed once the keys and values in it are that many bytes. At least 1.
  std::uint64_t part_size = default_part_size;
  /// Threads at work at once; above 1 it needs an `executor`. Each takes a sub-range, and those
  /// that find none, because the store has fewer or the run nears its end, compress blocks for the
  /// others. There is no second number for these: a host knows how many of its cores the run may
  /// have, and how many of them sub-ranges keep busy depends on the data and changes during a run.
  /// Never changes the output.
  std::size_t concurrency = 1;
  /// Stored bytes a second for the whole run, 0 = unlimited. Needs a `clock`.
  std::uint64_t rate_limit = 0;
  /// Bytes of keys and values a second that are taken from the source, for the whole run, 0 =
  /// unlimited. Needs a `clock`. What a store reads to find them is not seen from here.
  std::uint64_t read_rate_limit = 0;
  /// How often one part of a Snapshot is built again where its object is lost in mid-write: where
  /// the backend fails with a Status that is retryable(). Never changes the output.
  std::uint32_t part_retries = 3;
  /// Wall time and waiting. Null: the time of the run is std::chrono::system_clock's, and a part is
  /// built again without a pause.
  Clock* clock = nullptr;
  /// Threads. Null: the calling thread does everything.
  Executor* executor = nullptr;
  Observer* observer = nullptr;
  const CancelToken* cancel = nullptr;

  /// Keep the destination with a lock while the run writes to it: of two runs never both go on.
  /// Needs a ReadableBackend and a `clock`. A backend that keeps nothing does without.
  bool lock = false;
  /// Record finished parts in the destination, so that a run that ends early can be resumed.
  /// Implies `lock`. Needs a source that tells its state, see source_state().
  bool checkpoint = false;
  /// Go on with the unfinished backup that is in the destination, if there is one and it is of the
  /// same ranges, options and state of the source; else begin one. Implies `checkpoint`.
  bool resume = false;
  /// A checkpoint is written at most that often, in milliseconds, and less often in long runs; 0:
  /// for every part.
  std::uint64_t checkpoint_interval_ms = 1'000;
  /// Of the run, in the names of its lock and checkpoint: 16 to 64 lower-case hex digits that no
  /// other run has. Empty: made of time, process and host.
  std::string run_id;

  // What backupmeta and file names say of the cluster. A store that is no cluster leaves the
  // defaults.
  std::uint64_t cluster_id = 0;
  std::string cluster_version;
  std::uint64_t store_id = 1;
  /// Of the one region that is backed up. 0: none, names have the number of the part in its place.
  std::uint64_t region_id = 0;
  std::uint64_t region_epoch = 1;
  /// Files are named "1/2_..." and not "1_2_...", as by TiKV 6.2 and later on S3.
  bool store_folder = false;
};

namespace detail {
/// How many of the threads of a run find something to do where `workers` of them write.
template <BlockCodec Codec>
[[nodiscard]] std::size_t useful_threads(std::size_t workers, const BackupOptions& options,
                                         const Codec& codec) {
  // more find little: what one thread does in order, SHA-256 above all, takes an eighth of the time
  // that the usual codecs take
  constexpr std::size_t most_of_a_worker = 8;
  if (codec.type() == BlockCompression::none) return workers;
  return std::min(options.concurrency, workers * most_of_a_worker);
}
}  // namespace detail

}  // namespace kvbackup::inline v1
