// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/object_file.hpp"
#include "kvbackup/sst/table_reader.hpp"

namespace kvbackup::inline v1::detail {

/// What the users of one open backup share.
template <ReadableBackend BackendT, class Hash, class Decoders, class Cache>
class OpenBackup {
 public:
  using Backend = BackendT;
  using Table = TableReader<ObjectFile<Backend>, Decoders, Cache>;

  OpenBackup(Backend backend_, Manifest manifest_, Hash hash_, Decoders decoders_, Cache cache,
             std::size_t open_files)
      : backend(std::move(backend_)),
        manifest(std::move(manifest_)),
        index(manifest.meta.files),
        hash(std::move(hash_)),
        decoders(std::move(decoders_)),
        cache_(std::move(cache)),
        most_open_(open_files == 0 ? 1 : open_files) {}
  OpenBackup(const OpenBackup&) = delete;
  OpenBackup& operator=(const OpenBackup&) = delete;

  /// unsupported if what the files hold is not pairs of key and value.
  [[nodiscard]] Status check_logical() const {
    if (manifest.meta.is_raw_kv) return {};
    return Status::error(StatusCode::unsupported,
                         "this is a transactional backup, which holds versions and no pairs: read "
                         "it through a TxnBackup")
        .with_object(backend.url());
  }

  /// The table of file `file_index`, which stays open while it is among those used last.
  [[nodiscard]] Result<std::shared_ptr<const Table>> table(std::size_t file_index) {
    if (auto open = find_open(file_index)) return open;
    const File& file = manifest.meta.files[file_index];
    auto opened =
        Table::open(ObjectFile<Backend>(backend, file.name, file.size), decoders, {}, cache_);
    if (!opened.ok()) return std::move(opened).status().with_object(file.name);
    auto table = std::make_shared<const Table>(std::move(opened).value());
    const MutexLock lock(mutex_);
    open_.push_front({file_index, table});
    if (open_.size() > most_open_) open_.pop_back();
    return table;
  }

  mutable Backend backend;  // reading changes nothing that is seen
  const Manifest manifest;
  const FileIndex index;  // of manifest
  const Hash hash;
  const Decoders decoders;

 private:
  struct Open {
    std::size_t file_index;
    std::shared_ptr<const Table> table;
  };

  [[nodiscard]] std::shared_ptr<const Table> find_open(std::size_t file_index) {
    const MutexLock lock(mutex_);
    for (auto at = open_.begin(); at != open_.end(); ++at) {
      if (at->file_index != file_index) continue;
      open_.splice(open_.begin(), open_, at);
      return at->table;
    }
    return nullptr;
  }

  Cache cache_;
  std::size_t most_open_;
  Mutex mutex_;
  std::list<Open> open_;  // the one used last comes first
};

}  // namespace kvbackup::inline v1::detail
