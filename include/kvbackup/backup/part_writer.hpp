// SPDX-License-Identifier: Apache-2.0
// Writes one part of a backup: the tables of its column families, each streamed to its object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/layout.hpp"
#include "kvbackup/backup/observer.hpp"
#include "kvbackup/base/cancel.hpp"
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
};

/// What the parts of one run share; outlives them all.
struct RunContext {
  FileNameParts name;  ///< region_id is set for each part
  const CancelToken* cancel = nullptr;
  RateLimiter* rate_limiter = nullptr;
  ProgressReporter* progress = nullptr;
};

/// Hands the bytes of one table to its hasher and its object, as blocks finish.
template <class Hash, class Writer>
class TableOutput {
 public:
  TableOutput(const Hash& prototype, Writer writer, const RunContext& run)
      : hash_(prototype), writer_(std::move(writer)), run_(&run) {}

  Status append(ByteView bytes) {
    if (Status status = check_cancel(run_->cancel); !status.ok()) return status;
    if (run_->rate_limiter != nullptr) {
      Status status = run_->rate_limiter->acquire(bytes.size(), run_->cancel);
      if (!status.ok()) return status;
    }
    hash_.add_bytes(bytes);
    run_->progress->add_stored(bytes.size());
    return writer_.append(bytes);
  }

  Hash& hash() { return hash_; }
  Writer& writer() { return writer_; }

 private:
  Hash hash_;
  Writer writer_;
  const RunContext* run_;
};

/// One part: add() its entries, then finish(). Destroyed without finish(), it leaves nothing.
template <class LayoutT, BlockCodec Codec, Hasher Hash, ObjectBackend Backend>
class PartWriter {
 public:
  PartWriter(LayoutT& layout, const Codec& codec, const Hash& hash, Backend& backend,
             const RunContext& run, std::string_view range_cf, std::uint64_t region_id,
             ByteView start)
      : layout_(layout),
        codec_(codec),
        hash_(hash),
        backend_(backend),
        run_(run),
        name_(run.name),
        start_(start),
        cfs_(layout.cfs(range_cf)),
        tables_(cfs_.size()) {
    name_.region_id = region_id;
  }

  Status add(const SourceEntry& entry) {
    Status status = layout_.store(entry, [this](std::size_t table, ByteView key, ByteView value) {
      if (tables_[table] == nullptr) {
        if (Status opened = open(table); !opened.ok()) return opened;
      }
      return tables_[table]->add(key, value);
    });
    if (!status.ok()) return status;
    if (const auto pair = layout_.counted(entry)) {
      tables_[pair->table]->output().hash().add_pair(pair->key, pair->value);
      bytes_ += pair->key.size() + pair->value.size();
    }
    return {};
  }

  /// Keys and values counted so far.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Commits the part's files, which cover the keys up to `end`, and appends them to `files`.
  Status finish(ByteView end, std::vector<FileRecord>& files) {
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      if (tables_[i] == nullptr) continue;
      Status status = finish_table(i, end, files);
      if (!status.ok()) return std::move(status).with_object(file_name(i)).with_range(start_, end);
    }
    return {};
  }

 private:
  using Writer = WriterOf<Backend>;
  using Table = TableWriter<Codec, typename LayoutT::Checksum, TableOutput<Hash, Writer>,
                            typename LayoutT::Collector>;

  [[nodiscard]] std::string file_name(std::size_t table) const {
    return sst_file_name(name_, start_, cfs_[table]);
  }

  Status open(std::size_t table) {
    auto writer = backend_.create(file_name(table), CreateOptions{});
    if (!writer.ok()) return std::move(writer).status();
    tables_[table] =
        std::make_unique<Table>(layout_.table_options(cfs_[table]), codec_,
                                TableOutput<Hash, Writer>(hash_, std::move(writer).value(), run_),
                                layout_.collector(cfs_[table]));
    return {};
  }

  Status finish_table(std::size_t table, ByteView end, std::vector<FileRecord>& files) {
    auto summary = tables_[table]->finish();
    if (!summary.ok()) return std::move(summary).status();
    if (Status status = check_cancel(run_.cancel); !status.ok()) return status;
    auto committed = tables_[table]->output().writer().commit();
    if (!committed.ok()) return std::move(committed).status();
    const FileDigest digest = tables_[table]->output().hash().finish();
    FileRecord record;
    record.file.name = file_name(table);
    record.file.sha256 = as_bytes(digest.sha256);
    record.file.start_key = start_;
    record.file.end_key = end;
    record.file.crc64xor = digest.crc64xor;
    record.file.total_kvs = digest.total_kvs;
    record.file.total_bytes = digest.total_bytes;
    record.file.cf = cfs_[table];
    record.file.size = summary.value().file_size;
    record.crc32c = digest.crc32c;
    run_.progress->add_file(record.file);
    files.push_back(std::move(record));
    tables_[table].reset();
    return {};
  }

  LayoutT& layout_;
  const Codec& codec_;
  const Hash& hash_;
  Backend& backend_;
  const RunContext& run_;
  FileNameParts name_;
  std::string start_;
  std::vector<std::string> cfs_;
  std::vector<std::unique_ptr<Table>> tables_;
  std::uint64_t bytes_ = 0;
};

}  // namespace kvbackup::inline v1::detail
