// SPDX-License-Identifier: Apache-2.0
// The checkpoint of a run that is not finished: what it does, and which parts are done.
//
//   kvbackup.checkpoint.{job id}.0     CheckpointJob, written before the first file
//   kvbackup.checkpoint.{job id}.{n}   CheckpointParts, n from 1 on: each is written once
//
// Every object is a message of kvbackup.proto and the seal behind it. A part is recorded once all
// of its files are stored durably; a part that is not recorded may be there as well. BR looks at
// none of them, and they are removed once backupmeta is in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/manifest/detail/entry_bound.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/manifest/seal.hpp"
#include "kvbackup/proto/checkpoint.hpp"
#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/wire.hpp"

namespace kvbackup::inline v1 {

/// The CheckpointJob::format that this library writes, and the highest it reads.
inline constexpr std::uint32_t checkpoint_format = 1;

/// The largest object of a checkpoint that is read, and the most that all of one may have together,
/// in bytes: what it names has to fit one backupmeta.
inline constexpr std::uint64_t max_checkpoint_size = max_backupmeta_size;

namespace detail {

[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status damaged_checkpoint(std::string_view name,
                                                                    std::string_view why) {
  std::string message = "the checkpoint is damaged: ";
  message += why;
  return Status::error(StatusCode::corruption, message)
      .with_object(name)
      .with_note("remove what the unfinished run left, with `kvbackup clean`, and begin anew");
}

/// Whether the lists of CheckpointParts have no more entries than its bytes can honestly spell, as
/// entries_fit() has it: a file has a SHA-256 and a name, a part has a file.
[[nodiscard]] inline bool checkpoint_entries_fit(ByteView message) {
  constexpr std::uint32_t parts_field = 3;
  constexpr std::uint32_t files_field = 5;
  constexpr std::size_t least_entry = 24;
  constexpr std::size_t always = 100;
  std::size_t entries = 0;
  WireReader reader(message);
  WireField part;
  while (reader.next(part)) {
    if (part.number != parts_field || part.wire_type != WireType::length_delimited) continue;
    ++entries;
    WireReader inside(part.payload);
    WireField file;
    while (inside.next(file)) entries += file.number == files_field ? 1 : 0;
  }
  return entries <= message.size() / least_entry + always;
}

/// The message before the seal.
template <class M>
[[nodiscard]] Result<M> decode_checkpoint(std::string_view name, ByteView bytes) {
  if (!is_checkpoint_name(name))
    return damaged_checkpoint(name, "its name is none of a checkpoint");
  if (bytes.size() > max_checkpoint_size) return damaged_checkpoint(name, "it is too large");
  const auto message = sealed_part(bytes);
  if (!message) return damaged_checkpoint(name, "its bytes do not match its seal");
  if (!entries_fit(*message, 0, 0) || !checkpoint_entries_fit(*message)) {
    return damaged_checkpoint(name, "its lists have more entries than its bytes can spell");
  }
  auto decoded = decode<M>(*message);
  if (!decoded.ok()) return damaged_checkpoint(name, decoded.status().message());
  return decoded;
}

[[nodiscard]] inline Status check_part(std::string_view name, const CheckpointPart& part) {
  if (part.files.empty()) return damaged_checkpoint(name, "a part has no files");
  for (const CheckpointFile& each : part.files) {
    constexpr std::size_t sha256_size = 32;
    if (!each.file || each.file->name.empty() || each.file->sha256.size() != sha256_size) {
      return damaged_checkpoint(name, "a file lacks its name or its SHA-256");
    }
    if (each.file->start_key != part.start || each.file->end_key != part.end) {
      return damaged_checkpoint(name, "a file has other keys than its part");
    }
  }
  return {};
}

}  // namespace detail

/// The bytes of the object checkpoint_name(job.job_id, 0).
[[nodiscard]] inline std::string encode_checkpoint(const CheckpointJob& job) {
  std::string out = encode(job);
  detail::append_seal(out);
  return out;
}
/// The bytes of the object checkpoint_name(parts.job_id, parts.number).
[[nodiscard]] inline std::string encode_checkpoint(const CheckpointParts& parts) {
  std::string out = encode(parts);
  detail::append_seal(out);
  return out;
}

/// Reads number 0 of a checkpoint, whose object has that name. Errors: corruption for anything that
/// is not exactly what encode_checkpoint() writes under it; unsupported for a later format.
[[nodiscard]] inline Result<CheckpointJob> decode_checkpoint_job(std::string_view name,
                                                                 ByteView bytes) {
  auto job = detail::decode_checkpoint<CheckpointJob>(name, bytes);
  if (!job.ok()) return job;
  const CheckpointJob& read = job.value();
  if (read.format == 0 || read.format > checkpoint_format) {
    return Status::error(StatusCode::unsupported, "this checkpoint has format " +
                                                      std::to_string(read.format) +
                                                      ", and this version reads only up to " +
                                                      std::to_string(checkpoint_format))
        .with_object(name);
  }
  if (checkpoint_name(read.job_id, 0) != name) {
    return detail::damaged_checkpoint(name, "it is of another job");
  }
  return job;
}

/// The same of number 1 and above.
[[nodiscard]] inline Result<CheckpointParts> decode_checkpoint_parts(std::string_view name,
                                                                     ByteView bytes) {
  auto parts = detail::decode_checkpoint<CheckpointParts>(name, bytes);
  if (!parts.ok()) return parts;
  if (parts.value().number == 0 ||
      checkpoint_name(parts.value().job_id, parts.value().number) != name) {
    return detail::damaged_checkpoint(name, "it is of another job");
  }
  for (const CheckpointPart& part : parts.value().parts) {
    if (Status status = detail::check_part(name, part); !status.ok()) return status;
  }
  return parts;
}

}  // namespace kvbackup::inline v1
