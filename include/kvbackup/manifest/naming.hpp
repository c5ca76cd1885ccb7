// SPDX-License-Identifier: Apache-2.0
// Names of the objects of a backup, as TiKV 5.x and BR give them.
//
//   {store_id}_{region_id}_{epoch}_{hex(sha256(start key))}_{unix ms}_{cf}.sst
//   {store_id}_{region_id}_{epoch}_{cf}.sst     a raw part that starts at the empty key
//   backupmeta                                  written last; without it there is no backup
//   backup.lock                                 written first by what many stores back up to
//
// (TiKV v5.1 components/backup/src/{endpoint,writer}.rs). TiKV 6.2 and later name files on S3
// {store_id}/{region_id}_..., since S3 limits the requests a second of each prefix. A column
// family's name may hold any byte, so what could not stand in an object name is percent-coded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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

}  // namespace kvbackup::inline v1
