// SPDX-License-Identifier: Apache-2.0
// A backup that is read where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/backup_source.hpp"
#include "kvbackup/restore/detail/held_ranges.hpp"
#include "kvbackup/restore/detail/key_domain.hpp"
#include "kvbackup/restore/detail/open_backup.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/verify.hpp"
#include "kvbackup/restore/verify_report.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/sst/block_cache.hpp"

namespace kvbackup::inline v1 {

/// A backup of ours, or of BR's, opened for reading; a Snapshot of what was backed up.
///
/// Nothing but backupmeta (and the objects that it keeps its lists in) is read by open(). Safe to
/// use from several threads. Movable; scans borrow what it holds and end before it does. `Hash`
/// proves files, `Decoders` (TableDecoders) is what their blocks may be made with, `Cache` keeps
/// blocks that get() and scan() have read.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache = NoBlockCache>
class BasicBackup {
  using State = detail::OpenBackup<Backend, Hash, Decoders, Cache>;

 public:
  struct Options {
    /// How many files stay open, each with its index in memory (30 KiB for 64 MiB in blocks of 64
    /// KiB). At least 1.
    std::size_t open_files = 16;
    Cache cache = {};
    Hash hash = {};
    Decoders decoders = {};
  };
  using Source = BackupSource<State>;

  /// Reads and proves backupmeta. Errors: not_found where there is no backup; corruption where
  /// backupmeta or an object it names is damaged; unsupported for a later format and for what is
  /// probably encrypted.
  [[nodiscard]] static Result<BasicBackup> open(Backend backend, Options options = {}) {
    auto manifest = read_manifest(backend);
    if (!manifest.ok()) return std::move(manifest).status();
    return BasicBackup(std::make_unique<State>(std::move(backend), std::move(manifest).value(),
                                               std::move(options.hash), std::move(options.decoders),
                                               std::move(options.cache), options.open_files));
  }

  [[nodiscard]] const Manifest& manifest() const { return state_->manifest; }
  [[nodiscard]] const BackupMeta& meta() const { return state_->manifest.meta; }
  /// False: BR's own, whose backupmeta nothing proves ("unprotected").
  [[nodiscard]] bool is_sealed() const { return state_->manifest.is_sealed; }
  /// What stands before every key inside the files: "z", or nothing.
  [[nodiscard]] std::string_view key_prefix() const {
    return detail::key_prefix_of(state_->manifest);
  }
  [[nodiscard]] const FileIndex& files() const { return state_->index; }
  [[nodiscard]] Backend& backend() const { return state_->backend; }
  [[nodiscard]] const Hash& hash() const { return state_->hash; }
  [[nodiscard]] const Decoders& decoders() const { return state_->decoders; }
  /// unsupported if what the files hold is not pairs of key and value.
  [[nodiscard]] Status check_logical() const { return state_->check_logical(); }
  [[nodiscard]] std::string url() const { return state_->backend.url(); }

  /// The value of `key`; nothing if the backup does not have it. Reads footer, index and one data
  /// block of one file; of a file that is still open the block alone. corruption names the file.
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view cf, ByteView key) const {
    if (Status status = state_->check_logical(); !status.ok()) return status;
    const auto file = state_->index.find(cf, key);
    if (!file.ok()) return file.status();
    if (!file.value()) return std::optional<std::string>();
    auto table = state_->table(*file.value());
    if (!table.ok()) return std::move(table).status();
    std::string stored(key_prefix());
    stored += key;
    auto lookup = table.value()->get(stored);
    if (!lookup.ok()) return std::move(lookup).status().rekeyed(key);
    if (!lookup.value().found()) return std::optional<std::string>();
    return std::optional<std::string>(std::move(lookup.value().value));
  }

  /// The logical pairs that the backup has of `range`, in key order; of keys that were not backed
  /// up there are none (check_held() tells). Reads what it needs of the files that it needs, as it
  /// goes on. not_found for a column family that the backup does not hold.
  [[nodiscard]] Result<Source> scan(const KeyRange& range) const {
    if (Status status = state_->check_logical(); !status.ok()) return status;
    if (Status status = check_cf(range.cf); !status.ok()) return status;
    return source_of(range);
  }

  /// Of a transactional backup, the records of column family write or default: `range` is in user
  /// keys, the keys are TiKV's without data prefix. BasicTxnBackup makes pairs of them.
  [[nodiscard]] Result<Source> scan_versions(const KeyRange& range) const {
    return source_of(range);
  }

  /// The ranges that were backed up, as far as backupmeta says: what a copy of all of it takes.
  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    std::vector<KeyRange> out;
    if (state_->manifest.info) {
      for (const CompletedRange& range : state_->manifest.info->ranges) {
        out.push_back({range.cf, range.start, range.end});
      }
    } else {
      for (const RawRange& range : meta().raw_ranges) {
        out.push_back({range.cf.empty() ? std::string(default_cf) : range.cf, range.start_key,
                       range.end_key});
      }
    }
    if (!out.empty()) return out;
    for (std::string& cf : state_->index.cfs()) out.push_back({std::move(cf), "", ""});
    return out;
  }

  /// not_found, naming the range, unless all of `asked` was backed up. A backup of this one asks
  /// it, and so may who takes the lack of a key for its absence.
  [[nodiscard]] Status check_held(const std::vector<KeyRange>& asked) const {
    auto held = ranges();
    if (!held.ok()) return std::move(held).status();
    return detail::check_held(std::move(held).value(), asked);
  }

  /// Cuts `range` where files begin.
  [[nodiscard]] Result<std::vector<KeyRange>> split(const KeyRange& range,
                                                    std::uint64_t target_bytes) const {
    auto files = state_->index.overlapping(range);
    if (!files.ok()) return std::move(files).status();
    std::vector<KeyRange> parts{range};
    std::uint64_t bytes = 0;
    for (const std::size_t index : files.value()) {
      const File& file = meta().files[index];
      if (bytes > 0 && bytes >= target_bytes && file.start_key > range.start) {
        parts.back().end = file.start_key;
        parts.push_back({range.cf, file.start_key, range.end});
        bytes = 0;
      }
      bytes += file.total_bytes;
    }
    return parts;
  }

  /// What the files of `range` hold, their parts outside of it too.
  [[nodiscard]] SizeEstimate estimate(const KeyRange& range) const {
    const auto files = state_->index.overlapping(range);
    if (!files.ok()) return {};
    std::uint64_t pairs = 0;
    std::uint64_t bytes = 0;
    for (const std::size_t index : files.value()) {
      pairs += meta().files[index].total_kvs;
      bytes += meta().files[index].total_bytes;
    }
    return {.pairs = pairs, .bytes = bytes};
  }

  [[nodiscard]] static std::string kind() { return "kvbackup"; }
  [[nodiscard]] std::string identity() const { return url(); }

  /// Proves files and backupmeta's account of them: verify_files().
  [[nodiscard]] Result<VerifyReport> verify(const VerifyOptions& options = {}) const {
    return verify_files(state_->backend, state_->manifest, state_->hash, state_->decoders, options);
  }

 private:
  explicit BasicBackup(std::unique_ptr<State> state) : state_(std::move(state)) {}

  [[nodiscard]] Status check_cf(std::string_view cf) const {
    if (state_->index.has_cf(cf)) return {};
    const auto held = ranges();
    if (!held.ok()) return held.status();
    for (const KeyRange& range : held.value()) {
      if (range.cf == cf) return {};
    }
    return detail::no_such_cf(cf);
  }

  [[nodiscard]] Result<Source> source_of(const KeyRange& range) const {
    auto files = state_->index.overlapping(range);
    if (!files.ok()) return std::move(files).status();
    return Source(*state_, files.value(), range);
  }

  std::unique_ptr<State> state_;
};

}  // namespace kvbackup::inline v1
