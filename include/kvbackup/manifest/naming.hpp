// SPDX-License-Identifier: Apache-2.0
// Names of the objects of a backup, as TiKV 5.x and BR give them.
//
//   {store_id}_{region_id}_{epoch}_{hex(sha256(start key))}_{unix ms}_{cf}.sst
//   {store_id}_{region_id}_{epoch}_{cf}.sst     a raw part that starts at the empty key
//   backupmeta                                  written last; without it there is no backup
//   backup.lock                                 written first by what many stores back up to
//   kvbackup.lock.{run id}                      while a run writes there: destination_lock.hpp
//   kvbackup.checkpoint.{job id}.{number}       until a run's backupmeta is there: checkpoint.hpp
//
// (TiKV v5.1 components/backup/src/{endpoint,writer}.rs). TiKV 6.2 and later name files on S3
// {store_id}/{region_id}_..., since S3 limits the requests a second of each prefix. A column
// family's name may hold any byte, so what could not stand in an object name is percent-coded.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/hash/sha256_portable.hpp"

namespace kvbackup::inline v1 {

/// The object that makes the others a backup.
inline constexpr std::string_view backupmeta_name = "backupmeta";

/// BR's sign that a destination is in use or was; it stays there. Then its content.
inline constexpr std::string_view backup_lock_name = "backup.lock";
inline constexpr std::string_view backup_lock_text =
    "DO NOT DELETE\nThis file exists to remind other backup jobs won't use this path";

/// Whether BR keeps a checkpoint in the object (br/pkg/checkpoint: `checkpoint.meta`,
/// `checkpoints/...`).
[[nodiscard]] inline bool is_br_checkpoint_name(std::string_view name) {
  return name.starts_with("checkpoint");
}

/// What the names of locks, and of checkpoints, begin with.
inline constexpr std::string_view lock_prefix = "kvbackup.lock.";
inline constexpr std::string_view checkpoint_prefix = "kvbackup.checkpoint.";

/// Whether `text` can name a run: 16 to 64 lower-case hex digits.
[[nodiscard]] inline bool is_run_id(std::string_view text) {
  return text.size() >= 16 && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// The object that says that the run writes to the destination.
[[nodiscard]] inline std::string lock_name(std::string_view run_id) {
  return std::string(lock_prefix).append(run_id);
}
[[nodiscard]] inline bool is_lock_name(std::string_view name) {
  return name.starts_with(lock_prefix) && is_run_id(name.substr(lock_prefix.size()));
}

/// What the name of an object of a checkpoint says.
struct CheckpointName {
  std::string_view job_id;   ///< lives as long as the name
  std::uint64_t number = 0;  ///< 0: the job; above: parts
};

[[nodiscard]] inline std::string checkpoint_name(std::string_view job_id, std::uint64_t number) {
  return std::string(checkpoint_prefix).append(job_id) + '.' + std::to_string(number);
}
/// Nothing if checkpoint_name() gives no such name.
[[nodiscard]] inline std::optional<CheckpointName> parse_checkpoint_name(std::string_view name) {
  if (!name.starts_with(checkpoint_prefix)) return std::nullopt;
  name.remove_prefix(checkpoint_prefix.size());
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || !is_run_id(name.substr(0, dot))) return std::nullopt;
  const std::string_view digits = name.substr(dot + 1);
  CheckpointName parsed{.job_id = name.substr(0, dot)};
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, parsed.number);
  if (digits.empty() || error != std::errc() || stop != end) return std::nullopt;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  return parsed;
}
[[nodiscard]] inline bool is_checkpoint_name(std::string_view name) {
  return parse_checkpoint_name(name).has_value();
}

/// What the name of one file is made of.
struct FileNameParts {
  std::uint64_t store_id = 1;
  std::uint64_t region_id = 1;
  std::uint64_t epoch = 1;
  std::uint64_t unix_ms = 0;
  bool is_raw_kv = true;
  bool store_folder = false;  ///< as TiKV 6.2 and later on S3: a folder for each store
};

/// What the names of all files of that store begin with.
[[nodiscard]] inline std::string sst_file_prefix(std::uint64_t store_id, bool store_folder) {
  return std::to_string(store_id) + (store_folder ? '/' : '_');
}

/// The name of the file of `cf` of the part that begins at the user key `start_key`. Files of one
/// part differ in their cf only.
[[nodiscard]] inline std::string sst_file_name(const FileNameParts& parts, ByteView start_key,
                                               ByteView cf) {
  std::string name = sst_file_prefix(parts.store_id, parts.store_folder);
  name += std::to_string(parts.region_id);
  name += '_';
  name += std::to_string(parts.epoch);
  if (!parts.is_raw_kv || !start_key.empty()) {
    const Sha256Digest digest = PortableSha256::of(start_key);
    name += '_';
    append_hex(name, as_bytes(digest));
    name += '_';
    name += std::to_string(parts.unix_ms);
  }
  name += '_';
  name += percent_encode(cf);
  name += ".sst";
  return name;
}

namespace detail {

/// Takes a decimal number as std::to_string() spells it, and the byte `behind`, off the front.
[[nodiscard]] inline bool take_number(std::string_view& text, char behind) {
  const std::size_t end = text.find(behind);
  if (end == 0 || end > 20 || end == std::string_view::npos) return false;
  const std::string_view digits = text.substr(0, end);
  text.remove_prefix(end + 1);
  return (digits.size() == 1 || digits.front() != '0') &&
         std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace detail

/// Whether sst_file_name() may give that name. One with a folder for the store and without a hash
/// is taken for one only if its column family's name has no '_': "1/2_3_4_default.sst" is a file of
/// another backup, in a folder "1".
[[nodiscard]] inline bool is_sst_file_name(std::string_view name) {
  constexpr std::string_view ending = ".sst";
  constexpr std::size_t digest_length = 64;
  if (!name.ends_with(ending)) return false;
  name.remove_suffix(ending.size());
  const bool has_folder = name.find('/') != std::string_view::npos;
  for (const char behind : {has_folder ? '/' : '_', '_', '_'}) {
    if (!detail::take_number(name, behind)) return false;
  }
  if (name.empty() || name.find('/') != std::string_view::npos) return false;
  const std::size_t end = name.find('_');
  if (end == digest_length && from_hex(name.substr(0, end))) {
    name.remove_prefix(end + 1);
    return detail::take_number(name, '_') && !name.empty();
  }
  return !has_folder || end == std::string_view::npos;
}

}  // namespace kvbackup::inline v1
