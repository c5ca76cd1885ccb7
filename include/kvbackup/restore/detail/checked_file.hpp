// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/object_file.hpp"
#include "kvbackup/restore/progress.hpp"
#include "kvbackup/sst/random_access.hpp"

namespace kvbackup::inline v1::detail {

/// A file of a backup whose SHA-256 was proven: in memory, or to be read again from its backend.
/// Borrows the backend.
template <ReadableBackend Backend>
class CheckedFile {
 public:
  CheckedFile(ObjectFile<Backend> object, std::optional<std::string> bytes)
      : object_(std::move(object)) {
    if (bytes) memory_.emplace(std::move(*bytes));
  }

  [[nodiscard]] std::uint64_t size() const { return object_.size(); }
  [[nodiscard]] const std::string& name() const { return object_.name(); }
  [[nodiscard]] Result<ByteView> read(std::uint64_t offset, std::size_t length,
                                      std::string& scratch) const {
    return memory_ ? memory_->read(offset, length, scratch) : object_.read(offset, length, scratch);
  }

 private:
  ObjectFile<Backend> object_;
  std::optional<MemoryFile> memory_;
};

KVBACKUP_DETAIL_COLD [[nodiscard]] inline Status damaged_file(const File& file, std::string what) {
  what += "; nothing of it was restored: take the file from another copy of the backup";
  return Status::error(StatusCode::corruption, std::move(what))
      .with_object(file.name)
      .with_range(file.start_key, file.end_key);
}

/// All `files` are there and have their size, so that a backup with a hole is refused at once.
template <ReadableBackend Backend>
[[nodiscard]] Status check_listed(Backend& backend, const std::vector<const File*>& files) {
  if (files.empty()) return {};
  const auto listed = backend.list("");
  if (!listed.ok()) return listed.status();
  for (const File* file : files) {
    const ObjectInfo* const found = find_object(listed.value(), file->name);
    if (found == nullptr) return damaged_file(*file, "it is missing");
    if (found->size != file->size) {
      return damaged_file(*file, "it has " + std::to_string(found->size) + " bytes instead of " +
                                     std::to_string(file->size));
    }
  }
  return {};
}

/// Reads all of `file` once and proves its SHA-256. One of at most `memory` bytes stays in memory.
/// `tee(ByteView) -> Status` is given every byte, before it is proven.
template <ReadableBackend Backend, Hasher Hash, class Tee>
[[nodiscard]] Result<CheckedFile<Backend>> check_file(Backend& backend, const File& file, Hash hash,
                                                      std::uint64_t memory,
                                                      const CancelToken* cancel,
                                                      RestoreReporter& reporter, Tee&& tee) {
  constexpr std::uint64_t step = 1u << 20;
  std::optional<std::string> kept;
  if (file.size <= memory) kept.emplace();
  for (std::uint64_t at = 0; at < file.size;) {
    if (Status status = check_cancel(cancel); !status.ok()) return status;
    auto bytes = read_object_range(backend, file.name, at, std::min(step, file.size - at));
    if (!bytes.ok()) return std::move(bytes).status();
    hash.add_bytes(bytes.value());
    reporter.add_stored(bytes.value().size());
    if (Status status = tee(ByteView(bytes.value())); !status.ok()) return status;
    at += bytes.value().size();
    if (kept && at == file.size && kept->empty()) {
      kept = std::move(bytes).value();
    } else if (kept) {
      kept->append(bytes.value());
    }
  }
  const FileDigest digest = hash.finish();
  if (as_bytes(digest.sha256) != ByteView(file.sha256)) {
    return damaged_file(file, "its SHA-256 is " + to_hex(as_bytes(digest.sha256)) + ", and " +
                                  to_hex(file.sha256) + " was recorded");
  }
  return CheckedFile<Backend>(ObjectFile<Backend>(backend, file.name, file.size), std::move(kept));
}

}  // namespace kvbackup::inline v1::detail
