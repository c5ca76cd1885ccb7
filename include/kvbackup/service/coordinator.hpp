// SPDX-License-Identifier: Apache-2.0
// Backs up what many nodes hold, as BR does: asks them all, finds what none answered for, asks
// again, and writes one backupmeta over the files that they wrote.
//
//   backup.lock     first, but for a raw backup: as BR
//   the files       by the nodes, which reach the same storage
//   backupmeta      last; without it there is no backup
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/key_ranges.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/kvbackup_info.hpp"
#include "kvbackup/service/coordinator_options.hpp"
#include "kvbackup/service/detail/answer_book.hpp"
#include "kvbackup/service/detail/coordinator_run.hpp"
#include "kvbackup/service/detail/table_sums.hpp"
#include "kvbackup/service/node_ref.hpp"
#include "kvbackup/version.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// The storage as a coordinator needs it, whatever its type.
struct CoordinatorStorage {
  std::string url;
  bool keeps_objects = true;
  FunctionRef<Result<bool>(std::string_view)> exists;
  FunctionRef<Result<std::vector<ObjectInfo>>()> list;
  /// Creates an object that must not be there.
  FunctionRef<Status(std::string_view, ByteView)> put;
};

class Coordinator {
 public:
  Coordinator(std::span<const NodeRef> nodes, const CoordinatorStorage& storage,
              const CoordinatorOptions& options)
      : nodes_(nodes), storage_(storage), options_(options) {}

  [[nodiscard]] Result<CoordinatorResult> run() {
    if (Status status = check_options(); !status.ok()) return status;
    const auto tables = TableSums::make(options_.schemas);
    if (!tables.ok()) return tables.status();
    const auto ranges = ranges_to_ask(tables.value());
    if (!ranges.ok()) return ranges.status();
    const std::vector<KeyRange>& asked = ranges.value();
    if (Status status = check_destination(); !status.ok()) return status;
    const std::uint64_t begun_ms = options_.clock->unix_ms();
    if (Status status = write_lock(); !status.ok()) return status;

    CoordinatorRun run(nodes_, asked, options_);
    if (Status status = run.run(); !status.ok()) return status;
    CoordinatorResult result;
    result.rounds = run.rounds();
    run.put_orphans(result);
    describe(result, begun_ms);
    for (std::size_t i = 0; i < asked.size(); ++i) add_range(result, asked[i], run.book().take(i));
    add_sums(result);
    if (Status status = check_stored(result.meta.files); !status.ok()) return status;
    if (Status status = tables.value().settle(result.meta, asked, result.notes); !status.ok()) {
      return status;
    }
    if (Status status = write_backupmeta(result); !status.ok()) return status;
    return result;
  }

 private:
  [[nodiscard]] Status check_options() const {
    const auto refuse = [](std::string why) {
      return Status::error(StatusCode::invalid_argument, std::move(why));
    };
    if (nodes_.empty()) return refuse("there is no node to ask");
    if (options_.clock == nullptr || options_.random == nullptr) {
      return refuse("CoordinatorOptions needs a clock and a random source");
    }
    if (options_.concurrency == 0) {
      return refuse("CoordinatorOptions::concurrency must be at least 1");
    }
    if (!is_utf8(options_.cluster_version)) {
      return refuse("CoordinatorOptions::cluster_version must be UTF-8");
    }
    if (Status status = check_versions(); !status.ok()) return status;
    return check_cancel(options_.cancel);
  }

  [[nodiscard]] Status check_versions() const {
    const BackupRequest& request = options_.request;
    const std::string from = std::to_string(request.start_version);
    const std::string to = std::to_string(request.end_version);
    if (request.is_raw_kv) {
      if (request.start_version != 0 || request.end_version != 0 || !options_.schemas.empty()) {
        return Status::error(StatusCode::invalid_argument,
                             "a raw backup has no versions and no tables");
      }
    } else if (request.end_version == 0) {
      return Status::error(StatusCode::invalid_argument,
                           "a transactional backup needs the version to back up; a raw one is "
                           "asked for as such");
    } else if (request.start_version >= request.end_version) {
      return Status::error(StatusCode::invalid_argument,
                           "the backup is to begin after version " + from + " and to end at " + to +
                               ": the first must be the lower one, or 0 for a full backup");
    }
    return {};
  }

  [[nodiscard]] Result<std::vector<KeyRange>> ranges_to_ask(const TableSums& tables) const {
    const BackupRequest& request = options_.request;
    std::vector<KeyRange> ranges = options_.ranges;
    const bool by_table = ranges.empty() && !options_.schemas.empty() &&
                          request.start_key.empty() && request.end_key.empty();
    if (by_table) {
      ranges = tables.key_ranges();
    } else if (ranges.empty()) {
      ranges.push_back({request.cf, request.start_key, request.end_key});
    }
    for (KeyRange& range : ranges) {
      if (!request.is_raw_kv) range.cf = default_cf;
      if (is_utf8(range.cf)) continue;
      return Status::error(StatusCode::invalid_argument,
                           "the name of a column family must be UTF-8")
          .with_object(range.cf);
    }
    auto merged = normalize_ranges(ranges);
    // tables side by side stay ranges of their own: BR restores no file of two
    if (merged.ok() && by_table) return ranges;
    return merged;
  }

  /// BR's gates, in BR's words.
  [[nodiscard]] Status check_destination() const {
    auto meta = storage_.exists(backupmeta_name);
    if (!meta.ok()) return std::move(meta).status();
    if (meta.value()) {
      return Status::error(StatusCode::already_exists,
                           "backup meta exists, may be some backup files in the path already; "
                           "choose an empty destination")
          .with_object(storage_.url);
    }
    auto lock = storage_.exists(backup_lock_name);
    if (!lock.ok()) return std::move(lock).status();
    return lock.value() ? lock_exists() : Status();
  }
  [[nodiscard]] Status lock_exists() const {
    return Status::error(StatusCode::already_exists,
                         "backup lock exists, may be some backup files in the path already; "
                         "choose an empty destination")
        .with_object(storage_.url);
  }

  [[nodiscard]] Status write_lock() const {
    if (options_.request.is_raw_kv) return {};
    Status status = storage_.put(backup_lock_name, backup_lock_text);
    if (status.code() == StatusCode::already_exists) return lock_exists();
    return status;
  }

  void describe(CoordinatorResult& result, std::uint64_t begun_ms) const {
    const BackupRequest& request = options_.request;
    BackupMeta& meta = result.meta;
    meta.cluster_id = request.cluster_id;
    meta.cluster_version = options_.cluster_version;
    meta.start_version = request.start_version;
    meta.end_version = request.end_version;
    meta.is_raw_kv = request.is_raw_kv;
    meta.schemas = options_.schemas;
    meta.ddls = !options_.ddls.empty() ? options_.ddls : request.is_raw_kv ? "null" : "[]";
    meta.br_version = "kvbackup " KVBACKUP_VERSION_STRING;
    KvbackupInfo& info = result.info;
    info.format = kvbackup_info_format;
    info.key_prefix = "z";  // of TiKV's own files, and of those of a kvbackup that is a node
    info.profile = "br";
    info.created_unix_ms = begun_ms;
    info.source_kind = "cluster";
    if (request.cluster_id != 0) info.source_identity = std::to_string(request.cluster_id);
    info.totals.emplace();
  }

  /// Adds the files of a range, and what of it is complete: a stretch of answers with files, which
  /// tile it, or of answers without.
  void add_range(CoordinatorResult& result, const KeyRange& asked,
                 std::vector<AnsweredRange> answers) const {
    if (options_.request.is_raw_kv) {
      RawRange raw;
      raw.cf = asked.cf;
      raw.start_key = asked.start;
      raw.end_key = asked.end;
      result.meta.raw_ranges.push_back(std::move(raw));
    }
    std::vector<CompletedRange>& completed = result.info.ranges;
    const AnsweredRange* before = nullptr;
    for (AnsweredRange& answer : answers) {
      if (before != nullptr && before->files.empty() == answer.files.empty()) {
        completed.back().end = answer.end;
      } else {
        CompletedRange range;
        range.cf = asked.cf;
        range.start = answer.start;
        range.end = answer.end;
        completed.push_back(std::move(range));
      }
      before = &answer;
    }
    for (AnsweredRange& answer : answers) {
      std::move(answer.files.begin(), answer.files.end(), std::back_inserter(result.meta.files));
    }
  }

  static void add_sums(CoordinatorResult& result) {
    KvbackupTotals& totals = *result.info.totals;
    for (const File& file : result.meta.files) {
      totals.files += 1;
      totals.kvs += file.total_kvs;
      totals.bytes += file.total_bytes;
      totals.stored_bytes += file.size;
      totals.crc64xor ^= file.crc64xor;
    }
  }

  /// Every file lies in the storage as it is seen from here, with the size that its node says.
  [[nodiscard]] Status check_stored(const std::vector<File>& files) const {
    if (!storage_.keeps_objects || files.empty()) return {};
    auto listed = storage_.list();
    if (!listed.ok()) return std::move(listed).status();
    for (const File& file : files) {
      const ObjectInfo* const found = find_object(listed.value(), file.name);
      if (found != nullptr && found->size == file.size) continue;
      return Status::error(
                 StatusCode::corruption,
                 found != nullptr
                     ? "the destination holds " + std::to_string(found->size) +
                           " bytes of a file of which a node wrote " + std::to_string(file.size)
                     : "a file that a node wrote is not in the destination; do all nodes and "
                       "this program see the same storage? A local path must be shared")
          .with_object(file.name)
          .with_range(file.start_key, file.end_key);
    }
    return {};
  }

  [[nodiscard]] Status write_backupmeta(CoordinatorResult& result) const {
    const std::string bytes = encode_manifest(result.meta, result.info);
    // what cannot be read back must not count as a backup
    if (bytes.size() > max_backupmeta_size) {
      return Status::error(StatusCode::resource_exhausted,
                           "backupmeta would have " + std::to_string(bytes.size()) +
                               " bytes, more than is read; ask for fewer keys at once");
    }
    if (auto read_back = decode_manifest(bytes); !read_back.ok()) {
      return std::move(read_back).status();
    }
    result.backupmeta_size = bytes.size();
    if (Status status = check_cancel(options_.cancel); !status.ok()) return status;
    return storage_.put(backupmeta_name, bytes);
  }

  std::span<const NodeRef> nodes_;
  const CoordinatorStorage& storage_;
  const CoordinatorOptions& options_;
};

}  // namespace detail

/// Backs up what `nodes` hold into the storage that `options.request` names and that `backend` is;
/// the nodes write the files, and this call blocks until all keys are answered for.
///
/// On failure there is no backupmeta; backup.lock and files of nodes are left. A failure that ends
/// the retries names the first key range that is missing, the node and why; on_gap() names all of
/// them. A node is fatal that is of another cluster, that cannot be asked (invalid_argument,
/// permission_denied, unsupported), or whose storage fails for good.
template <ObjectBackend Backend>
[[nodiscard]] Result<CoordinatorResult> coordinate_backup(std::span<const NodeRef> nodes,
                                                          Backend& backend,
                                                          const CoordinatorOptions& options) {
  const auto exists = [&backend](std::string_view name) -> Result<bool> {
    if constexpr (ReadableBackend<Backend>) return backend.exists(name);
    return false;
  };
  const auto list = [&backend]() -> Result<std::vector<ObjectInfo>> {
    if constexpr (ReadableBackend<Backend>) return backend.list("");
    return std::vector<ObjectInfo>();
  };
  const auto put = [&backend](std::string_view name, ByteView bytes) -> Status {
    auto writer = backend.create(name, {.size_hint = bytes.size(), .if_absent = true});
    if (!writer.ok()) return std::move(writer).status();
    if (Status status = writer.value().append(bytes); !status.ok()) return status;
    auto committed = writer.value().commit();
    return committed.ok() ? Status() : std::move(committed).status();
  };
  const detail::CoordinatorStorage storage{
      .url = backend.url(),
      .keeps_objects = ReadableBackend<Backend> && keeps_objects(backend),
      .exists = exists,
      .list = list,
      .put = put};
  return detail::Coordinator(nodes, storage, options).run();
}

}  // namespace kvbackup::inline v1
