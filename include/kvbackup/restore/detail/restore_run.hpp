// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/rate_limiter.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/base/workers.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/backup_reader.hpp"
#include "kvbackup/restore/detail/checked_file.hpp"
#include "kvbackup/restore/detail/piece_reader.hpp"
#include "kvbackup/restore/detail/put_turns.hpp"
#include "kvbackup/restore/pair_sums.hpp"
#include "kvbackup/restore/part_target.hpp"
#include "kvbackup/restore/progress.hpp"
#include "kvbackup/restore/restore_options.hpp"
#include "kvbackup/restore/restore_plan.hpp"
#include "kvbackup/sink/concept.hpp"
#include "kvbackup/sst/block_cache.hpp"
#include "kvbackup/sst/table_reader.hpp"

namespace kvbackup::inline v1::detail {

/// Executes one plan. Every file is proven before its first pair goes to the target.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache>
class RestoreRun {
 public:
  using Backup = BasicBackup<Backend, Hash, Decoders, Cache>;

  /// Borrows all three.
  RestoreRun(const Backup& backup, const RestorePlan& plan, const RestoreOptions& options)
      : backup_(backup),
        plan_(plan),
        options_(options),
        reporter_(options.observer, plan.pieces.size(), plan.stored_bytes),
        sums_(plan.ranges.size()) {
    if (options.rate_limit > 0) limiter_.emplace(options.rate_limit, *options.clock);
  }

  [[nodiscard]] Status check_objects() {
    std::vector<const File*> files;
    for (const RestorePiece& piece : plan_.pieces) files.push_back(&file_of(piece));
    return check_listed(backup_.backend(), files);
  }

  /// Proves every file and restores none, for a target that cannot take back what is done to it.
  [[nodiscard]] Status check_files() {
    return run_workers(plan_.pieces.size(), options_.concurrency, options_.executor,
                       [&](std::size_t i) {
                         return check(plan_.pieces[i], [](ByteView) { return Status(); }).status();
                       });
  }

  /// Files are proven `concurrency` at once, and their pairs put one after the other, on the
  /// calling thread.
  template <Sink S>
  [[nodiscard]] Status into_sink(S& sink) {
    if (Status status = check_cfs<S>(plan_); !status.ok()) return status;
    std::size_t entered = 0;  // ranges whose column family had its turn
    for (std::size_t begin = 0; begin < plan_.pieces.size(); begin += options_.concurrency) {
      const std::size_t count = std::min(options_.concurrency, plan_.pieces.size() - begin);
      std::vector<std::optional<CheckedFile<Backend>>> files(count);
      Status status =
          run_workers(count, options_.concurrency, options_.executor, [&](std::size_t i) -> Status {
            auto file = check(plan_.pieces[begin + i], [](ByteView) { return Status(); });
            if (!file.ok()) return std::move(file).status();
            files[i].emplace(std::move(file).value());
            return {};
          });
      for (std::size_t i = 0; status.ok() && i < count; ++i) {
        const RestorePiece& piece = plan_.pieces[begin + i];
        status = enter_ranges(sink, plan_, entered, piece.parts.front().range + 1);
        if (status.ok()) {
          status = apply(piece, *files[i],
                         [&sink](ByteView key, ByteView value) { return sink.put(key, value); });
        }
        files[i].reset();
      }
      if (!status.ok()) return status;
    }
    return enter_ranges(sink, plan_, entered, plan_.ranges.size());
  }

  /// Each file becomes a part of its own, `concurrency` at once.
  template <PartTarget T>
  [[nodiscard]] Status into_parts(T& target) {
    if (Status status = add_cfs(target, plan_); !status.ok()) return status;
    return run_workers(plan_.pieces.size(), options_.concurrency, options_.executor,
                       [&](std::size_t i) { return make_part(target, plan_.pieces[i]); });
  }

  /// What went to each of the plan's target ranges.
  [[nodiscard]] const std::vector<PairSums>& sums() const { return sums_; }
  void finish_progress() { reporter_.finish(); }

 private:
  using Table = TableReader<CheckedFile<Backend>, Decoders, NoBlockCache>;
  using Reader = PieceReader<Table>;

  [[nodiscard]] const File& file_of(const RestorePiece& piece) const {
    return backup_.meta().files[piece.file];
  }
  [[nodiscard]] const std::string& target_cf_of(const RestorePiece& piece) const {
    return plan_.target_ranges[piece.parts.front().range].cf;
  }

  template <class Tee>
  [[nodiscard]] Result<CheckedFile<Backend>> check(const RestorePiece& piece, Tee&& tee) {
    return check_file(backup_.backend(), file_of(piece), backup_.hash(), options_.file_memory,
                      options_.cancel, reporter_, tee);
  }

  template <class Put>
  [[nodiscard]] Status apply(const RestorePiece& piece, CheckedFile<Backend> checked, Put&& put) {
    auto reader = open(piece, std::move(checked));
    if (!reader.ok()) return std::move(reader).status();
    return apply(piece, reader.value(), put);
  }
  [[nodiscard]] Result<Reader> open(const RestorePiece& piece, CheckedFile<Backend> checked) {
    const File& file = file_of(piece);
    auto table = Table::open(std::move(checked), backup_.decoders());
    if (!table.ok()) return std::move(table).status().with_object(file.name);
    Reader reader(backup_.manifest(), file, std::move(table).value());
    if (Status status = reader.check_form(); !status.ok()) return status;
    return reader;
  }
  /// Puts the pairs of a piece, and proves what backupmeta says of a whole file.
  template <class Put>
  [[nodiscard]] Status apply(const RestorePiece& piece, Reader& reader, Put&& put) {
    PairMeter meter(reporter_, limiter_ ? &*limiter_ : nullptr, options_.cancel);
    PairSums original;
    std::string target_key;
    for (const RestorePiece::Part& part : piece.parts) {
      PairSums restored;
      Status status = reader.for_each(part.keys, [&](ByteView key, ByteView value) {
        if (options_.rewrite_prefix) {
          original.add(key, value);
          rewrite_key(*options_.rewrite_prefix, key, target_key);
          key = target_key;
        }
        restored.add(key, value);
        if (Status metered = meter.add(key.size() + value.size()); !metered.ok()) return metered;
        return put(key, value);
      });
      if (!status.ok()) return status;
      if (!options_.rewrite_prefix) original.add(restored);
      const MutexLock lock(mutex_);
      sums_[part.range].add(restored);
    }
    if (Status status = meter.flush(); !status.ok()) return status;
    if (Status status = check_sums(piece, original); !status.ok()) return status;
    reporter_.add_file();
    return {};
  }

  [[nodiscard]] Status check_sums(const RestorePiece& piece, const PairSums& found) const {
    const File& file = file_of(piece);
    const Manifest& manifest = backup_.manifest();
    // with TTL or API V2 the pairs that TiKV counts are not those that it stores
    const bool counts_fit = manifest.info || !manifest.index || manifest.index->api_version == 0;
    if (!piece.whole || !counts_fit) return {};
    // TiKV before 6.1 records no crc64xor for raw files
    const bool has_crc = manifest.info || file.crc64xor != 0;
    if (found.pairs == file.total_kvs && found.bytes == file.total_bytes &&
        (!has_crc || found.crc64xor == file.crc64xor)) {
      return {};
    }
    return Status::error(StatusCode::corruption,
                         "it holds " + std::to_string(found.pairs) + " pairs of " +
                             std::to_string(found.bytes) + " bytes with crc64xor " +
                             std::to_string(found.crc64xor) + ", and backupmeta says " +
                             std::to_string(file.total_kvs) + ", " +
                             std::to_string(file.total_bytes) + " and " +
                             std::to_string(file.crc64xor) + "; verify the backup")
        .with_object(file.name)
        .with_range(file.start_key, file.end_key);
  }

  template <PartTarget T>
  [[nodiscard]] Status make_part(T& target, const RestorePiece& piece) {
    if constexpr (CopyTarget<T>) {
      if (may_be_copied(piece)) return copy_part(target, piece);
    }
    auto file = check(piece, [](ByteView) { return Status(); });
    if (!file.ok()) return std::move(file).status();
    auto reader = open(piece, std::move(file).value());
    if (!reader.ok()) return std::move(reader).status();
    return write_part(target, piece, reader.value());
  }
  template <PartTarget T>
  [[nodiscard]] Status write_part(T& target, const RestorePiece& piece, Reader& reader) {
    using Begun = typename decltype(target.begin(std::string_view()))::value_type;
    std::optional<Begun> part;  // begun with its first pair
    Status status = apply(piece, reader, [&](ByteView key, ByteView value) -> Status {
      if (!part) {
        auto begun = target.begin(target_cf_of(piece));
        if (!begun.ok()) return std::move(begun).status();
        part.emplace(std::move(begun).value());
      }
      return part->put(key, value);
    });
    return status.ok() && part ? part->finish() : status;
  }

  [[nodiscard]] bool may_be_copied(const RestorePiece& piece) const {
    return piece.whole && !options_.rewrite_prefix && backup_.key_prefix().empty();
  }
  /// The bytes of the file become the part while they are proven; then its pairs are counted. A
  /// table with a session identity is written anew: a store that gets a second one of that identity
  /// takes blocks of one for those of the other.
  template <CopyTarget T>
  [[nodiscard]] Status copy_part(T& target, const RestorePiece& piece) {
    auto copy = target.begin_copy(target_cf_of(piece));
    if (!copy.ok()) return std::move(copy).status();
    auto file = check(piece, [&copy](ByteView bytes) { return copy.value().append(bytes); });
    if (!file.ok()) return std::move(file).status();
    auto reader = open(piece, std::move(file).value());
    if (!reader.ok()) return std::move(reader).status();
    if (!reader.value().properties().session_identity.empty()) {
      return write_part(target, piece, reader.value());
    }
    Status status = apply(piece, reader.value(), [](ByteView, ByteView) { return Status(); });
    return status.ok() ? copy.value().finish() : status;
  }

  const Backup& backup_;
  const RestorePlan& plan_;
  const RestoreOptions& options_;
  RestoreReporter reporter_;
  std::optional<RateLimiter> limiter_;
  Mutex mutex_;
  std::vector<PairSums> sums_;  // under mutex_; one a range of the plan
};

}  // namespace kvbackup::inline v1::detail
