// SPDX-License-Identifier: Apache-2.0
// A store in memory behind a BackupService, and a client's side that collects the answers.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/stores.hpp"

namespace test_support {

/// A BackupHost over a Store that outlives it. Storage that is `local` stands for one in memory,
/// which copies share; every other one is refused, and unreachable if it is `gcs`.
struct MemoryHost {
  const Store* store;
  kvbackup::MemoryBackend backend{};

  kvbackup::Result<kvbackup::RangeSnapshot<const Store&>> snapshot() const {
    return kvbackup::RangeSnapshot<const Store&>(*store);
  }
  kvbackup::Result<kvbackup::MemoryBackend> open_storage(
      const kvbackup::StorageBackend& storage, const kvbackup::CancelToken* /*cancel*/) const {
    using kvbackup::Status;
    using kvbackup::StatusCode;
    if (std::holds_alternative<kvbackup::Local>(storage.backend)) return backend;
    if (std::holds_alternative<kvbackup::GCS>(storage.backend)) {
      return Status::error(StatusCode::unavailable, "nobody answers").as_retryable();
    }
    return Status::error(StatusCode::permission_denied, "this storage is not allowed");
  }
};

inline kvbackup::StorageBackend local_storage(const std::string& path = "/memory") {
  kvbackup::Local local;
  local.path = path;
  kvbackup::StorageBackend storage;
  storage.backend = std::move(local);
  return storage;
}

inline kvbackup::BackupRequest raw_request(std::string start = "", std::string end = "") {
  kvbackup::BackupRequest request;
  request.is_raw_kv = true;
  request.start_key = std::move(start);
  request.end_key = std::move(end);
  request.storage_backend = local_storage();
  return request;
}

/// What a node answered, in the order of the keys.
struct Answered {
  kvbackup::Status status;
  std::vector<kvbackup::BackupResponse> responses;

  /// The bounds of the answers follow one another from `start` to `end`.
  [[nodiscard]] bool tiles(const std::string& start, const std::string& end) const {
    std::string at = start;
    for (const kvbackup::BackupResponse& each : responses) {
      if (each.start_key != at) return false;
      at = each.end_key;
    }
    return at == end && !responses.empty();
  }
};

template <kvbackup::BackupNode Node>
Answered ask(Node& node, const kvbackup::BackupRequest& request,
             const kvbackup::CancelToken* cancel = nullptr) {
  Answered out;
  const auto respond = [&out](kvbackup::BackupResponse&& response) {
    out.responses.push_back(std::move(response));
    return kvbackup::Status();
  };
  out.status = node.backup(request, respond, cancel);
  std::sort(out.responses.begin(), out.responses.end(), [](const auto& a, const auto& b) {
    return kvbackup::ByteView(a.start_key) < kvbackup::ByteView(b.start_key);
  });
  return out;
}

/// The pairs of the files of an answer, without the data prefix, read with our own reader.
inline Store pairs_of(kvbackup::MemoryBackend& backend,
                      const std::vector<kvbackup::BackupResponse>& responses) {
  Store pairs;
  for (const kvbackup::BackupResponse& response : responses) {
    for (const kvbackup::File& file : response.files) {
      auto bytes = backend.read(file.name);
      if (!bytes.ok()) return {};
      auto table = kvbackup::TableReader<kvbackup::MemoryFile, kvbackup::BuiltDecoders>::open(
          kvbackup::MemoryFile(std::move(bytes).value()));
      if (!table.ok()) return {};
      for (auto source = table.value().source(); source.valid(); source.next()) {
        pairs.emplace(std::string(source.key().substr(1)), std::string(source.value()));
      }
    }
  }
  return pairs;
}

}  // namespace test_support
