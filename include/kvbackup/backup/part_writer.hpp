// SPDX-License-Identifier: Apache-2.0
// Writes one part of a backup: the tables of its column families, each streamed to its object.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/layout.hpp"
#include "kvbackup/backup/observer.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/helper_pool.hpp"
#include "kvbackup/base/rate_limiter.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/sst/table_writer.hpp"

namespace kvbackup::inline v1::detail {

/// A committed file: its entry in backupmeta, and the checksum that BR's message has no field for.
struct FileRecord {
  File file;
  std::uint32_t crc32c = 0;
  std::string proof;  ///< ObjectInfo::proof
};

/// A part all of whose files are committed. Views live as long as the call it is given to.
struct FinishedPart {
  std::uint64_t sub_range = 0;
  std::uint64_t number = 0;  ///< in its sub-range, from 0
  ByteView start;            ///< of the keys that it covers, as `end`
  ByteView end;
  std::span<const FileRecord> files;
};

/// The parts of a sub-range that a run need not write again: from its start on.
struct FinishedParts {
  std::uint64_t count = 0;
  std::string end;  ///< of the keys that they cover
  std::vector<FileRecord> files;
};

/// Looks on while a run works. Called from any of its threads, also at once; a failure ends the
/// run.
struct RunWatch {
  FunctionRef<Status()> tick;     ///< called every now and then
  FunctionRef<Status()> writing;  ///< the same, before something is written
  FunctionRef<Status(const FinishedPart&)> part_done;
  FunctionRef<Status()> before_backupmeta;  ///< when everything is stored but that
};

/// Takes the files of a part that was finished, and the keys that the part covers. A failure ends
/// the sub-range.
using PartDone = FunctionRef<Status(ByteView start, ByteView end, std::vector<FileRecord>& files)>;

/// What the parts of one run share; outlives them all.
struct RunContext {
  FileNameParts name;  ///< a region_id of 0 is replaced by the number of the part
  const CancelToken* cancel = nullptr;
  Clock* clock = nullptr;
  RateLimiter* rate_limiter = nullptr;
  RateLimiter* read_limiter = nullptr;
  std::uint32_t part_retries = 0;
  ProgressReporter* progress = nullptr;
  std::uint64_t start_version = 0;  ///< of every file, as those below
  std::uint64_t end_version = 0;
  std::atomic<std::uint64_t>* backupmeta_size = nullptr;  ///< if given: what its files take there
  HelperPool* helpers = nullptr;  ///< threads that compress beside the workers
  const RunWatch* watch = nullptr;
  /// What an earlier run of the job has finished, one a sub-range; then its other files may be
  /// there as well.
  std::span<FinishedParts> finished;
  std::optional<PartDone> part_done;  ///< called with all files of the sub-range so far
};

/// Hands the bytes of one table to its hasher and its object, as blocks finish.
template <class Hash, class Writer>
class TableOutput {
 public:
  TableOutput(const Hash& prototype, Writer writer, const RunContext& run)
      : hash_(prototype), writer_(std::move(writer)), run_(&run) {}

  Status append(ByteView bytes) {
    if (Status status = check_cancel(run_->cancel); !status.ok()) return status;
    if (run_->watch != nullptr) {
      if (Status status = run_->watch->writing(); !status.ok()) return status;
    }
    if (run_->rate_limiter != nullptr) {
      std::uint64_t waited_ns = 0;
      Status status = run_->rate_limiter->acquire(bytes.size(), run_->cancel, &waited_ns);
      run_->progress->add_throttled(waited_ns);
      if (!status.ok()) return status;
    }
    hash_.add_bytes(bytes);
    run_->progress->add_stored(bytes.size());
    Status status = writer_.append(bytes);
    append_failed_ = !status.ok();
    return status;
  }

  Hash& hash() { return hash_; }
  Writer& writer() { return writer_; }
  [[nodiscard]] bool append_failed() const { return append_failed_; }

 private:
  Hash hash_;
  Writer writer_;
  const RunContext* run_;
  bool append_failed_ = false;
};

/// One part: add() its entries, then finish(). Destroyed without finish(), it leaves nothing but
/// what was committed. After a failure restart() begins anew, with the part's first entry.
template <class LayoutT, BlockCodec Codec, Hasher Hash, ObjectBackend Backend>
class PartWriter {
 public:
  PartWriter(LayoutT& layout, const Codec& codec, const Hash& hash, Backend& backend,
             const RunContext& run, std::string_view range_cf, std::uint64_t part_number,
             ByteView start)
      : layout_(layout),
        codec_(codec),
        hash_(hash),
        backend_(backend),
        run_(run),
        name_(run.name),
        start_(start),
        cfs_(layout.cfs(range_cf)),
        files_(cfs_.size()),
        part_number_(part_number) {
    if (name_.region_id == 0) name_.region_id = part_number;
  }

  Status add(const SourceEntry& entry) {
    Status status = layout_.store(entry, [this](std::size_t table, ByteView key, ByteView value) {
      PartFile& file = files_[table];
      if (file.table == nullptr) {
        if (file.committed) return Status();
        if (Status opened = open(table); !opened.ok()) return opened;
      }
      return file.table->add(key, value);
    });
    if (!status.ok()) return status;
    if (const auto pair = layout_.counted(entry)) {
      PartFile& file = files_[pair->table];
      if (!file.committed) file.table->output().hash().add_pair(pair->key, pair->value);
      bytes_ += pair->key.size() + pair->value.size();
    }
    return {};
  }

  /// The first key that the part covers.
  [[nodiscard]] const std::string& start() const { return start_; }
  /// Keys and values counted so far.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Commits the part's files, which cover the keys up to `end`, and appends them to `files`.
  Status finish(ByteView end, std::vector<FileRecord>& files) {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (files_[i].table == nullptr) continue;
      Status status = finish_table(i, end);
      if (!status.ok()) return std::move(status).with_object(file_name(i)).with_range(start_, end);
    }
    for (PartFile& file : files_) {
      if (!file.committed) continue;
      run_.progress->add_file(file.committed->file);
      files.push_back(*std::move(file.committed));
    }
    return {};
  }

  /// Whether it was an object's create, append or commit that failed.
  [[nodiscard]] bool object_failed() const {
    return object_failed_ || std::any_of(files_.begin(), files_.end(), [](const PartFile& file) {
             return file.table != nullptr && file.table->output().append_failed();
           });
  }

  /// Abandons what is not committed. Files that are committed stay, and what is added of them
  /// again is passed over: to remove them could ask for rights that a writer does not have.
  void restart() {
    for (PartFile& file : files_) file.table.reset();
    object_failed_ = false;
    bytes_ = 0;
  }

 private:
  using Writer = WriterOf<Backend>;
  using Table = TableWriter<Codec, typename LayoutT::Checksum, TableOutput<Hash, Writer>,
                            typename LayoutT::Collector>;

  struct PartFile {
    std::unique_ptr<Table> table;  // while it is written
    std::optional<FileRecord> committed;
    bool commit_failed = false;  // in an attempt before this one
  };

  [[nodiscard]] std::string file_name(std::size_t table) const {
    return sst_file_name(name_, start_, cfs_[table]);
  }

  Status open(std::size_t table) {
    auto writer = backend_.create(file_name(table), CreateOptions{});
    if (!writer.ok()) {
      object_failed_ = true;
      return std::move(writer).status();
    }
    TableOptions options = layout_.table_options(cfs_[table]);
    // no two tables of a session may have the same number, see TableIdentity
    if (!options.identity.session.empty()) {
      options.identity.file_number = (part_number_ - 1) * cfs_.size() + table + 1;
    }
    files_[table].table =
        std::make_unique<Table>(std::move(options), codec_,
                                TableOutput<Hash, Writer>(hash_, std::move(writer).value(), run_),
                                layout_.collector(cfs_[table]), run_.helpers);
    return {};
  }

  Status finish_table(std::size_t table, ByteView end) {
    PartFile& file = files_[table];
    auto summary = file.table->finish();
    if (!summary.ok()) return std::move(summary).status();
    if (Status status = check_cancel(run_.cancel); !status.ok()) return status;
    const FileDigest digest = file.table->output().hash().finish();
    FileRecord record;
    record.file.name = file_name(table);
    record.file.sha256 = as_bytes(digest.sha256);
    record.file.start_key = start_;
    record.file.end_key = end;
    record.file.start_version = run_.start_version;
    record.file.end_version = run_.end_version;
    record.file.crc64xor = digest.crc64xor;
    record.file.total_kvs = digest.total_kvs;
    record.file.total_bytes = digest.total_bytes;
    record.file.cf = cfs_[table];
    record.file.size = summary.value().file_size;
    record.crc32c = digest.crc32c;
    if (Status status = commit(file, record); !status.ok()) {
      object_failed_ = true;
      file.commit_failed = true;
      return status;
    }
    file.committed = std::move(record);
    file.table.reset();
    return {};
  }

  Status commit(PartFile& file, FileRecord& record) {
    auto committed = file.table->output().writer().commit();
    if (committed.ok()) {
      record.proof = std::move(committed.value().proof);
      return {};
    }
    // a commit that failed may have been done, and only its answer lost, or its record
    if (committed.status().code() == StatusCode::already_exists &&
        (file.commit_failed || !run_.finished.empty())) {
      auto ours = find_stored(record.file);
      if (!ours.ok()) return std::move(ours).status();
      if (ours.value()) {
        record.proof = std::move(ours.value()->proof);
        return {};
      }
    }
    return std::move(committed).status();
  }

  /// The object of that name if it is, byte for byte, the one that `description` is about.
  Result<std::optional<ObjectInfo>> find_stored(const File& description) {
    std::optional<ObjectInfo> stored;
    if constexpr (ReadableBackend<Backend>) {
      constexpr std::uint64_t most_at_once = 1u << 20;
      auto listed = backend_.list(description.name);
      if (!listed.ok()) return std::move(listed).status();
      const ObjectInfo* const found = find_object(listed.value(), description.name);
      if (found == nullptr || found->size != description.size) return stored;
      Hash hash = hash_;
      for (std::uint64_t at = 0; at < description.size;) {
        if (Status status = check_cancel(run_.cancel); !status.ok()) return status;
        const std::uint64_t length = std::min(description.size - at, most_at_once);
        auto bytes = backend_.read_range(description.name, at, length);
        if (!bytes.ok()) return std::move(bytes).status();
        hash.add_bytes(bytes.value());
        at += length;
      }
      const FileDigest digest = hash.finish();
      if (as_bytes(digest.sha256) == ByteView(description.sha256)) stored = *found;
    }
    return stored;
  }

  LayoutT& layout_;
  const Codec& codec_;
  const Hash& hash_;
  Backend& backend_;
  const RunContext& run_;
  FileNameParts name_;
  std::string start_;
  std::vector<std::string> cfs_;
  std::vector<PartFile> files_;  // one a table
  std::uint64_t part_number_;
  bool object_failed_ = false;
  std::uint64_t bytes_ = 0;
};

}  // namespace kvbackup::inline v1::detail
