// SPDX-License-Identifier: Apache-2.0
// Whether an answer can be one to a request. What a node sends is bytes from a stranger: nothing of
// it counts before it was looked at here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/backup_service.hpp"
#include "kvbackup/restore/file_index.hpp"

namespace kvbackup::inline v1::detail {

KVBACKUP_DETAIL_COLD inline Status bad_answer(std::string why) {
  return Status::error(StatusCode::corruption,
                       "the node gave an answer that cannot be: " + std::move(why));
}
KVBACKUP_DETAIL_COLD inline Status bad_file(const File& file, std::string_view why) {
  return bad_answer("its file " + file.name.substr(0, 256) + " " + std::string(why));
}

[[nodiscard]] inline bool is_within(ByteView start, ByteView end, ByteView outer_start,
                                    ByteView outer_end) {
  return start >= outer_start && ends_within(end, outer_end);
}

/// The cf of raw files; transactional ones are of "default" and "write".
[[nodiscard]] inline bool is_cf_asked_for(const BackupRequest& asked, const File& file) {
  if (!asked.is_raw_kv) return file.cf == default_cf || file.cf == "write";
  return cf_of(file) == (asked.cf.empty() ? default_cf : std::string_view(asked.cf));
}

[[nodiscard]] inline Status check_file_name(const File& file) {
  if (Status status = check_object_name(file.name); !status.ok()) {
    return bad_file(file, "cannot have that name: " + std::string(status.message()));
  }
  if (!is_utf8(file.name)) return bad_file(file, "has a name that is not UTF-8");
  if (file.name == backupmeta_name || file.name == backup_lock_name) {
    return bad_file(file, "has the name of another object of a backup");
  }
  return {};
}

[[nodiscard]] inline Status check_file(const BackupRequest& asked, const File& file) {
  // so that sums over as many files as memory holds cannot pass 64 bits
  constexpr std::uint64_t most = 1ull << 40;
  if (Status status = check_file_name(file); !status.ok()) return status;
  if (file.sha256.size() != 32) return bad_file(file, "has no SHA-256");
  if (file.size == 0) return bad_file(file, "has no bytes");
  if (file.size > most || file.total_kvs > most || file.total_bytes > most) {
    return bad_file(file, "says that it holds more than a file can");
  }
  if (!is_cf_asked_for(asked, file)) return bad_file(file, "is of another column family");
  if (file.start_version != asked.start_version || file.end_version != asked.end_version) {
    return bad_file(file, "is of other versions than were asked for");
  }
  if (is_inverted(file)) return bad_file(file, "has a key range without keys");
  return {};
}

/// The order of backupmeta: by start key, then "default" before "write".
inline void sort_files(std::vector<File>& files) {
  std::stable_sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return std::tie(a.start_key, a.cf) < std::tie(b.start_key, b.cf);
  });
}

/// Sorted files tile the range of their answer: one a part, or one a part and cf.
[[nodiscard]] inline Status check_tiling(const BackupResponse& answer) {
  const File* before = nullptr;
  for (const File& file : answer.files) {
    const bool same_part = before != nullptr && before->start_key == file.start_key &&
                           before->end_key == file.end_key && cf_of(*before) != cf_of(file);
    if (!same_part) {
      const ByteView expected =
          before == nullptr ? ByteView(answer.start_key) : ByteView(before->end_key);
      if ((before != nullptr && before->end_key.empty()) || file.start_key != expected) {
        return bad_file(file, "does not begin where its answer does or the file before it ends");
      }
    }
    before = &file;
  }
  if (before != nullptr && before->end_key != answer.end_key) {
    return bad_file(*before, "is the last one and does not end where its answer does");
  }
  return {};
}

/// Checks an answer without an error against what was asked, and sorts its files.
[[nodiscard]] inline Status check_answer(const BackupRequest& asked, BackupResponse& answer) {
  if (!begins_before(answer.start_key, answer.end_key)) {
    return bad_answer("its key range has no keys").with_range(answer.start_key, answer.end_key);
  }
  if (!is_within(answer.start_key, answer.end_key, asked.start_key, asked.end_key)) {
    return bad_answer("it is for keys that it was not asked for")
        .with_range(answer.start_key, answer.end_key);
  }
  sort_files(answer.files);
  for (const File& file : answer.files) {
    if (Status status = check_file(asked, file); !status.ok()) {
      return std::move(status).with_range(answer.start_key, answer.end_key);
    }
  }
  return check_tiling(answer).with_range(answer.start_key, answer.end_key);
}

/// What the bookkeeping of an answer takes, in bytes.
[[nodiscard]] inline std::size_t size_in_memory(const File& file) {
  return sizeof(File) + file.name.size() + file.sha256.size() + file.start_key.size() +
         file.end_key.size() + file.cf.size() + file.unknown_fields.size();
}

}  // namespace kvbackup::inline v1::detail
