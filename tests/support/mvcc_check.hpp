// SPDX-License-Identifier: Apache-2.0
// Compares scans of an MvccSnapshot with an MvccModel.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/mvcc_model.hpp"

namespace test_support {

/// What an MVCC source gives; `status` is how it ended. `foreign` is set where a record or a large
/// value is not the one that stands in the model's store.
struct MvccScan {
  std::vector<MvccVersion> versions;
  kvbackup::Status status;
  bool foreign = false;
};

template <class Source>
[[nodiscard]] MvccScan read_versions(kvbackup::Result<Source> source, const MvccStore& store) {
  MvccScan out;
  if (!source.ok()) {
    out.status = source.status();
    return out;
  }
  auto& at = source.value();
  const auto& writes = store.families.find("write")->second;
  for (; at.valid(); at.next()) {
    const auto entry = kvbackup::unpack_mvcc_entry(at.value());
    if (!entry.ok()) {
      out.status = entry.status();
      return out;
    }
    const std::string key(at.key());
    const std::uint64_t commit_ts = entry.value().commit_ts;
    const auto stored = writes.find(store.prefix + kvbackup::mvcc_key(key, commit_ts));
    out.foreign = out.foreign || stored == writes.end() || stored->second != entry.value().record;
    MvccVersion version{key, commit_ts, std::nullopt};
    if (entry.value().write.type == kvbackup::MvccWriteType::put) {
      version.value = std::string(entry.value().value());
    }
    out.versions.push_back(std::move(version));
  }
  out.status = at.status();
  return out;
}

/// Scans one random range of a snapshot of the model's store, `take(options)`, full or incremental,
/// and gives what is wrong with it, or nothing.
template <class Take>
[[nodiscard]] std::string check_against(MvccModel& model, Take&& take) {
  kvbackup::MvccOptions options;
  options.end_version = model.number(model.safe_point, model.now() + 3);
  if (options.end_version == 0) options.end_version = 1;
  // of an incremental backup the start too must not be collected
  if (model.number(0, 1) == 0 && model.safe_point < options.end_version) {
    options.start_version = model.number(model.safe_point, options.end_version - 1);
  }
  kvbackup::KeyRange range;
  if (model.number(0, 2) == 0) range.start = model.key();
  if (model.number(0, 2) == 0) range.end = model.key();
  if (range.empty()) range.end.clear();

  auto snapshot = take(options);
  if (!snapshot.ok()) return snapshot.status().to_string();
  const auto lock = model.expected_lock(options.end_version, range);
  const auto found = snapshot.value().find_lock(range);
  if (!found.ok()) return found.status().to_string();
  if (found.value().has_value() != lock.has_value()) return "finds another lock";
  const MvccScan scan = read_versions(snapshot.value().scan(range), model.store);
  if (lock) {
    if (found.value()->key != *lock) return "finds the lock of another key";
    if (scan.status.code() != kvbackup::StatusCode::unavailable) return "does not fail at a lock";
    return scan.status.key() == *lock ? "" : "fails at another key than the locked one";
  }
  if (!scan.status.ok()) return scan.status.to_string();
  if (scan.foreign) return "a record or a value is not verbatim";
  const auto expected = model.expected(options.start_version, options.end_version, range);
  if (scan.versions == expected) return "";
  return "gives " + std::to_string(scan.versions.size()) + " versions, and not the " +
         std::to_string(expected.size()) + " expected, of (" +
         std::to_string(options.start_version) + ", " + std::to_string(options.end_version) + "]";
}

}  // namespace test_support
