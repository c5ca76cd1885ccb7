// SPDX-License-Identifier: Apache-2.0
// Messages of proto/kvbackup.proto: what a run leaves in the destination until its backupmeta is
// there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/kvbackup_info.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1 {

/// The run that writes to a destination.
struct DestinationLock {
  std::uint32_t format = 0;  ///< the version of this message's meaning; 1
  std::string run_id;        ///< of the run that holds it
  std::string job_id;        ///< of the first run of its job, by which its checkpoint is named
  std::string host;
  std::uint64_t pid = 0;
  std::string process;  ///< what tells the process from any other of that host; may be empty
  std::uint64_t started_unix_ms = 0;  ///< by the clock of the host, as the next one
  std::uint64_t renewed_unix_ms = 0;
  std::uint64_t lease_ms = 0;  ///< how long after each renewal it lives
  std::string unknown_fields;

  bool operator==(const DestinationLock&) const = default;
};

template <>
struct MessageTraits<DestinationLock> {
  static constexpr std::string_view name = "kvbackuppb.DestinationLock";
  static constexpr FieldInfo fields[] = {
      field<&DestinationLock::format>(1, "format"),
      string_field<&DestinationLock::run_id>(2, "run_id"),
      string_field<&DestinationLock::job_id>(3, "job_id"),
      string_field<&DestinationLock::host>(4, "host"),
      field<&DestinationLock::pid>(5, "pid"),
      string_field<&DestinationLock::process>(6, "process"),
      field<&DestinationLock::started_unix_ms>(7, "started_unix_ms"),
      field<&DestinationLock::renewed_unix_ms>(8, "renewed_unix_ms"),
      field<&DestinationLock::lease_ms>(9, "lease_ms"),
  };
};

/// What a run does that was not finished: number 0 of its checkpoint.
struct CheckpointJob {
  std::uint32_t format = 0;  ///< the version of the meaning, also of CheckpointParts; 1
  std::string job_id;
  /// When the first run of the job began; it is in the names of its files.
  std::uint64_t created_unix_ms = 0;
  /// Whatever decides the bytes of the backup: options, versions, the state of the source.
  std::map<std::string, std::string> settings;
  std::vector<CompletedRange> ranges;
  /// Its division among workers, which a source may see otherwise another time.
  std::vector<CompletedRange> sub_ranges;
  std::string unknown_fields;

  bool operator==(const CheckpointJob&) const = default;
};

template <>
struct MessageTraits<CheckpointJob> {
  static constexpr std::string_view name = "kvbackuppb.CheckpointJob";
  static constexpr FieldInfo fields[] = {
      field<&CheckpointJob::format>(1, "format"),
      string_field<&CheckpointJob::job_id>(2, "job_id"),
      field<&CheckpointJob::created_unix_ms>(3, "created_unix_ms"),
      field<&CheckpointJob::settings>(4, "settings"),
      field<&CheckpointJob::ranges>(5, "ranges"),
      field<&CheckpointJob::sub_ranges>(6, "sub_ranges"),
  };
};

/// A stored file, what BR's message has no field for, and by what the storage knows its bytes again
/// (ObjectInfo::proof).
struct CheckpointFile {
  std::optional<File> file;
  std::uint32_t crc32c = 0;
  std::string proof;
  std::string unknown_fields;

  bool operator==(const CheckpointFile&) const = default;
};

template <>
struct MessageTraits<CheckpointFile> {
  static constexpr std::string_view name = "kvbackuppb.CheckpointFile";
  static constexpr FieldInfo fields[] = {
      field<&CheckpointFile::file>(1, "file"),
      field<&CheckpointFile::crc32c>(2, "crc32c"),
      bytes_field<&CheckpointFile::proof>(3, "proof"),
  };
};

/// A part all of whose files are stored durably; it covers the keys [start, end).
struct CheckpointPart {
  std::uint64_t sub_range = 0;  ///< index in CheckpointJob::sub_ranges
  std::uint64_t number = 0;     ///< of the part inside of it, from 0
  std::string start;
  std::string end;
  std::vector<CheckpointFile> files;
  std::string unknown_fields;

  bool operator==(const CheckpointPart&) const = default;
};

template <>
struct MessageTraits<CheckpointPart> {
  static constexpr std::string_view name = "kvbackuppb.CheckpointPart";
  static constexpr FieldInfo fields[] = {
      field<&CheckpointPart::sub_range>(1, "sub_range"),
      field<&CheckpointPart::number>(2, "number"),
      bytes_field<&CheckpointPart::start>(3, "start"),
      bytes_field<&CheckpointPart::end>(4, "end"),
      field<&CheckpointPart::files>(5, "files"),
  };
};

/// Finished parts: numbers 1 and above of a checkpoint.
struct CheckpointParts {
  std::string job_id;
  std::uint64_t number = 0;
  std::vector<CheckpointPart> parts;
  std::string unknown_fields;

  bool operator==(const CheckpointParts&) const = default;
};

template <>
struct MessageTraits<CheckpointParts> {
  static constexpr std::string_view name = "kvbackuppb.CheckpointParts";
  static constexpr FieldInfo fields[] = {
      string_field<&CheckpointParts::job_id>(1, "job_id"),
      field<&CheckpointParts::number>(2, "number"),
      field<&CheckpointParts::parts>(3, "parts"),
  };
};

static_assert(Message<DestinationLock>);
static_assert(Message<CheckpointJob>);
static_assert(Message<CheckpointFile>);
static_assert(Message<CheckpointPart>);
static_assert(Message<CheckpointParts>);

}  // namespace kvbackup::inline v1
