// SPDX-License-Identifier: Apache-2.0
// Reads the checkpoint of a run that did not end, and proves that it is of the same job and that
// its files are there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/part_writer.hpp"
#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/hash/sha256_portable.hpp"
#include "kvbackup/manifest/checkpoint.hpp"
#include "kvbackup/manifest/naming.hpp"

namespace kvbackup::inline v1::detail {

/// What the checkpoint in a destination says.
struct UnfinishedJob {
  CheckpointJob job;
  std::vector<FinishedParts> finished;  ///< one a sub-range
  std::uint64_t next_number = 1;        ///< of the checkpoint's next object
};

[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status unfinished_run(std::string_view name) {
  return Status::error(StatusCode::already_exists,
                       "the destination holds a backup that is not finished; go on with it "
                       "(BackupOptions::resume, --resume), or remove what it left (kvbackup clean)")
      .with_object(name);
}

/// The job whose checkpoint is in the destination; empty if there is none. already_exists if there
/// are several.
[[nodiscard]] inline Result<std::string> job_in(const std::vector<ObjectInfo>& objects) {
  std::string job_id;
  for (const ObjectInfo& each : objects) {
    const auto name = parse_checkpoint_name(each.name);
    if (!name) continue;
    if (job_id.empty()) job_id = name->job_id;
    if (job_id == name->job_id) continue;
    return Status::error(StatusCode::already_exists,
                         "the destination holds more than one backup that is not finished; remove "
                         "what they left (kvbackup clean)")
        .with_object(each.name);
  }
  return job_id;
}

/// Refuses by name what differs between the job that is asked for and the one that was begun.
[[nodiscard]] inline Status check_same_job(const CheckpointJob& asked, const CheckpointJob& begun) {
  std::string differences;
  const auto add = [&differences](const std::string& what) {
    differences += (differences.empty() ? "" : ", ") + what;
  };
  const auto value_of = [](const CheckpointJob& job, const std::string& name) {
    const auto at = job.settings.find(name);
    return at == job.settings.end() ? std::string("not known") : '"' + at->second + '"';
  };
  std::set<std::string> names;
  for (const CheckpointJob* job : {&asked, &begun}) {
    for (const auto& setting : job->settings) names.insert(setting.first);
  }
  for (const std::string& name : names) {
    const std::string now = value_of(asked, name);
    const std::string then = value_of(begun, name);
    if (now != then) add(name + " is " + now + " and was " + then);
  }
  if (asked.ranges != begun.ranges) add("its key ranges are others");
  if (differences.empty()) return {};
  return Status::error(StatusCode::already_exists,
                       "the unfinished backup in the destination is another one: " + differences +
                           "; ask for the same backup again, or remove what it left (kvbackup "
                           "clean) and begin anew")
      .with_object(checkpoint_name(begun.job_id, 0));
}

/// Whether `parts` follow one another through all of `ranges`, in their order.
[[nodiscard]] inline bool tiles_all(const std::vector<CompletedRange>& ranges,
                                    const std::vector<CompletedRange>& parts) {
  std::size_t next = 0;
  for (const CompletedRange& range : ranges) {
    const std::string* at = &range.start;
    for (bool open = true; open; ++next) {
      if (next == parts.size()) return false;
      const CompletedRange& part = parts[next];
      const bool rises = part.end.empty() || ByteView(part.start) < ByteView(part.end);
      if (part.cf != range.cf || part.start != *at || !rises) return false;
      at = &part.end;
      open = part.end != range.end;
      if (open &&
          (part.end.empty() || (!range.end.empty() && ByteView(part.end) > ByteView(range.end)))) {
        return false;
      }
    }
  }
  return next == parts.size();
}

/// Gathers the parts of a checkpoint by sub-range: of each those from its start on that follow one
/// another. A part behind a gap, which a lost object of the checkpoint leaves, is built again.
class PartGatherer {
 public:
  PartGatherer(std::string_view name, const CheckpointJob& job)
      : name_(name), job_(job), parts_(job.sub_ranges.size()) {}

  [[nodiscard]] Status add(std::vector<CheckpointPart> parts) {
    for (CheckpointPart& each : parts) {
      if (each.sub_range >= parts_.size()) {
        return damaged_checkpoint(name_, "a part is of no sub-range");
      }
      parts_[static_cast<std::size_t>(each.sub_range)].push_back(std::move(each));
    }
    return {};
  }

  [[nodiscard]] Result<std::vector<FinishedParts>> take() && {
    std::vector<FinishedParts> finished(parts_.size());
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      std::sort(parts_[i].begin(), parts_[i].end(),
                [](const auto& a, const auto& b) { return a.number < b.number; });
      FinishedParts& out = finished[i];
      out.end = job_.sub_ranges[i].start;
      for (CheckpointPart& part : parts_[i]) {
        if (part.number != out.count) break;
        if (Status status = take_part(part, job_.sub_ranges[i], out); !status.ok()) return status;
      }
    }
    return finished;
  }

 private:
  [[nodiscard]] Status take_part(CheckpointPart& part, const CompletedRange& range,
                                 FinishedParts& out) const {
    const bool is_last = out.count > 0 && out.end == range.end;
    const bool rises = part.end.empty()
                           ? range.end.empty()
                           : ByteView(part.start) < ByteView(part.end) &&
                                 (range.end.empty() || ByteView(part.end) <= ByteView(range.end));
    if (is_last || part.start != out.end || !rises) {
      return damaged_checkpoint(name_, "the parts of a sub-range do not follow one another");
    }
    for (CheckpointFile& each : part.files) {
      FileRecord record;
      record.file = *std::move(each.file);
      record.crc32c = each.crc32c;
      record.proof = std::move(each.proof);
      out.files.push_back(std::move(record));
    }
    out.end = std::move(part.end);
    ++out.count;
    return {};
  }

  std::string name_;
  const CheckpointJob& job_;
  std::vector<std::vector<CheckpointPart>> parts_;
};

/// Reads the checkpoint of `job_id`, whose objects were listed, where it is that of `asked`.
template <ReadableBackend Backend>
[[nodiscard]] Result<UnfinishedJob> read_unfinished_job(Backend& backend,
                                                        const std::vector<ObjectInfo>& objects,
                                                        const std::string& job_id,
                                                        const CheckpointJob& asked) {
  const std::string header = checkpoint_name(job_id, 0);
  std::uint64_t size = 0;
  for (const ObjectInfo& each : objects) size += std::min(each.size, max_checkpoint_size);
  if (size > max_checkpoint_size) return damaged_checkpoint(header, "it is too large");
  if (find_object(objects, header) == nullptr) {
    return damaged_checkpoint(header, "the object that says what the run did is gone");
  }
  auto bytes = backend.read(header);
  if (!bytes.ok()) return std::move(bytes).status();
  auto job = decode_checkpoint_job(header, bytes.value());
  if (!job.ok()) return std::move(job).status();
  UnfinishedJob unfinished;
  unfinished.job = std::move(job).value();
  if (Status status = check_same_job(asked, unfinished.job); !status.ok()) return status;
  if (!tiles_all(unfinished.job.ranges, unfinished.job.sub_ranges)) {
    return damaged_checkpoint(header, "its sub-ranges do not tile its ranges");
  }
  PartGatherer gatherer(header, unfinished.job);
  for (const ObjectInfo& each : objects) {
    const auto name = parse_checkpoint_name(each.name);
    if (!name || name->job_id != job_id || name->number == 0) continue;
    auto object = backend.read(each.name);
    if (!object.ok()) return std::move(object).status();
    auto parts = decode_checkpoint_parts(each.name, object.value());
    if (!parts.ok()) return std::move(parts).status();
    Status status = gatherer.add(std::move(parts.value().parts));
    if (!status.ok()) return status;
    unfinished.next_number = std::max(unfinished.next_number, name->number + 1);
  }
  auto finished = std::move(gatherer).take();
  if (!finished.ok()) return std::move(finished).status();
  unfinished.finished = std::move(finished).value();
  return unfinished;
}

/// Proves that a file of a finished part is what was written: by the proof that the storage gave
/// when it was committed, or where it gives none, by reading it. `tick` is called now and then.
template <ReadableBackend Backend, Hasher Hash>
[[nodiscard]] Status prove_file(Backend& backend, const std::vector<ObjectInfo>& listed,
                                const FileRecord& record, const Hash& prototype,
                                FunctionRef<Status()> tick) {
  constexpr std::uint64_t most_at_once = 1u << 20;
  const auto changed = [&record](const char* why) {
    return Status::error(StatusCode::corruption,
                         std::string("a file of the unfinished backup is not what was written: ") +
                             why + "; remove what the run left (kvbackup clean) and begin anew")
        .with_object(record.file.name);
  };
  const ObjectInfo* const found = find_object(listed, record.file.name);
  if (found == nullptr) return changed("it is gone");
  if (found->size != record.file.size) return changed("it has another size");
  if (!record.proof.empty() && !found->proof.empty()) {
    return found->proof == record.proof ? tick() : changed("it was written again");
  }
  Hash hash = prototype;
  for (std::uint64_t at = 0; at < record.file.size;) {
    if (Status status = tick(); !status.ok()) return status;
    const std::uint64_t length = std::min(record.file.size - at, most_at_once);
    auto bytes = backend.read_range(record.file.name, at, length);
    if (!bytes.ok()) return std::move(bytes).status();
    hash.add_bytes(bytes.value());
    at += length;
  }
  const FileDigest digest = hash.finish();
  if (as_bytes(digest.sha256) == ByteView(record.file.sha256) && digest.crc32c == record.crc32c) {
    return {};
  }
  return changed("its SHA-256 is another");
}

}  // namespace kvbackup::inline v1::detail
