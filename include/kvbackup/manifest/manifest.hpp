// SPDX-License-Identifier: Apache-2.0
// The object `backupmeta`.
//
//   fields of BR's BackupMeta            as BR writes them
//   field 100001, KvbackupInfo           what BR's message has no place for
//   field 100002, bytes                  the seal: SHA-256 of every byte before this field's tag
//
// The seal stands exactly once, and last. BR skips both fields as unknown ones.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/result.hpp"
#include "kvbackup/manifest/detail/entry_bound.hpp"
#include "kvbackup/manifest/detail/looks_random.hpp"
#include "kvbackup/manifest/meta_index.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/manifest/seal.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/backup_index.hpp"
#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/kvbackup_info.hpp"
#include "kvbackup/proto/wire.hpp"

namespace kvbackup::inline v1 {

/// The KvbackupInfo::format that this library writes, and the highest it reads.
inline constexpr std::uint32_t kvbackup_info_format = 1;

/// A field number in backupmeta that BR does not use and never will: its own end below 100.
inline constexpr std::uint32_t kvbackup_info_field = 100001;

/// The largest backupmeta that is read, in bytes: 256 MiB name some half a million files, which
/// hold 70 TiB in parts of the default size.
inline constexpr std::uint64_t max_backupmeta_size = 256ull << 20;

/// What a backupmeta says. Without a seal it is BR's own, and nothing proves that it is whole.
struct Manifest {
  BackupMeta meta;
  std::optional<KvbackupInfo> info;
  bool is_sealed = false;
  /// What BR 5.1 and later say beyond BackupMeta; of BR's own only.
  std::optional<BackupMetaIndex> index;
  /// The objects beside backupmeta that its lists were read from, in that order: BR's meta version
  /// 2. Filled in by read_manifest.
  std::vector<MetaObject> meta_objects;

  /// The lists of `meta` stand in objects of their own, and were not read yet.
  [[nodiscard]] bool needs_meta_objects() const {
    return index && meta_objects.empty() &&
           (index->file_index || index->schema_index || index->raw_range_index ||
            index->ddl_indexes);
  }
};

/// The bytes of `backupmeta`.
[[nodiscard]] inline std::string encode_manifest(const BackupMeta& meta, const KvbackupInfo& info) {
  std::string out = encode(meta);
  append_bytes_field(out, kvbackup_info_field, encode(info));
  detail::append_seal(out);
  return out;
}

namespace detail {

[[nodiscard]] inline Status damaged_backupmeta(std::string why) {
  return Status::error(StatusCode::corruption, "backupmeta is damaged: " + std::move(why))
      .with_object(backupmeta_name);
}

/// What can be told of a backupmeta before anything is allocated for it.
struct ManifestOutline {
  std::size_t seals = 0;
  std::size_t infos = 0;
  bool has_later_fields = false;
  ByteView info;
  ByteView br_version;
};

[[nodiscard]] constexpr bool is_own_field(std::uint32_t number) {
  return number == seal_field || number == kvbackup_info_field;
}
/// BackupMeta.version, and the roots of BR's trees.
[[nodiscard]] constexpr bool is_index_field(std::uint32_t number) {
  return number >= 12 && number <= 16;
}

[[nodiscard]] inline Result<ManifestOutline> outline_of(ByteView bytes) {
  // BackupMeta.files
  constexpr std::uint32_t files_field = 4;
  // BackupMeta.br_version; what follows it is of BR 5.1 and later
  constexpr std::uint32_t br_version_field = 11;
  ManifestOutline outline;
  WireReader reader(bytes);
  WireField field;
  bool fits = entries_fit(bytes, files_field, files_field);
  while (reader.next(field)) {
    const bool has_payload = field.wire_type == WireType::length_delimited;
    if (has_payload && is_index_field(field.number)) fits = fits && node_fits(field.payload);
    if (field.number == seal_field) {
      ++outline.seals;
    } else if (field.number == kvbackup_info_field) {
      ++outline.infos;
      if (!has_payload) return damaged_backupmeta("field 100001 is no message");
      outline.info = field.payload;
      fits = fits && entries_fit(field.payload, 0, 0);
    } else if (field.number == br_version_field && has_payload) {
      outline.br_version = field.payload;
    } else if (field.number > br_version_field) {
      outline.has_later_fields = true;
    }
  }
  if (reader.status().ok() && !fits) {
    return damaged_backupmeta("its lists have more entries than its bytes can spell");
  }
  if (reader.status().ok()) return outline;
  if (looks_random(bytes)) {
    return Status::error(StatusCode::unsupported,
                         "backupmeta is no protobuf message and its bytes look random: it is "
                         "encrypted (BR's --crypter.method), which is not read, or damaged")
        .with_object(backupmeta_name);
  }
  return damaged_backupmeta(std::string(reader.status().message()));
}

/// Takes the fields that `is_dropped` names out of `unknown_fields`.
inline void drop_fields(std::string& unknown_fields, bool (*is_dropped)(std::uint32_t number)) {
  std::string others;
  WireReader reader(unknown_fields);
  WireField field;
  while (reader.next(field)) {
    if (!is_dropped(field.number)) others.append(field.extent);
  }
  unknown_fields = std::move(others);
}

/// A backup whose lists are somewhere else must not be taken for an empty one.
[[nodiscard]] inline Status check_index(const Manifest& manifest) {
  // BackupMeta.mode (1: copies of EBS volumes, which are no files) and BackupMeta.ranges (BR 8 and
  // later list files there)
  constexpr std::uint32_t mode_field = 23;
  constexpr std::uint32_t ranges_field = 24;
  const bool has_index = manifest.needs_meta_objects();
  bool is_elsewhere = manifest.index->version > 1;
  WireReader reader(manifest.index->unknown_fields);
  WireField field;
  while (reader.next(field)) {
    if (field.number == mode_field && field.value != 0) is_elsewhere = true;
    if (field.number == ranges_field && !has_index && manifest.meta.files.empty()) {
      is_elsewhere = true;
    }
  }
  if (!is_elsewhere) return {};
  return Status::error(StatusCode::unsupported,
                       "this backupmeta has a form of a later BR, which is not read")
      .with_object(backupmeta_name);
}

[[nodiscard]] inline Status check_info(const KvbackupInfo& info, std::size_t files) {
  if (info.format == 0 || info.format > kvbackup_info_format) {
    return Status::error(StatusCode::unsupported, "this backup has format " +
                                                      std::to_string(info.format) +
                                                      ", and this version reads only up to " +
                                                      std::to_string(kvbackup_info_format))
        .with_object(backupmeta_name);
  }
  if (!info.file_crc32c.empty() && info.file_crc32c.size() != files) {
    return damaged_backupmeta("it has not one checksum a file");
  }
  return {};
}

}  // namespace detail

/// Reads the bytes of a `backupmeta` and proves its seal, before anything is made of what they say.
/// Errors: corruption for anything that is not exactly what encode_manifest or BR writes;
/// unsupported for a later format of ours or of BR's, and for what is probably encrypted. Lists
/// that BR keeps in objects of their own are left empty (Manifest::needs_meta_objects).
[[nodiscard]] inline Result<Manifest> decode_manifest(ByteView bytes) {
  if (bytes.empty()) return detail::damaged_backupmeta("it is empty");
  const auto outlined = detail::outline_of(bytes);
  if (!outlined.ok()) return outlined.status();
  const detail::ManifestOutline& outline = outlined.value();

  Manifest manifest;
  manifest.is_sealed =
      outline.seals != 0 || outline.infos != 0 || !outline.br_version.starts_with("BR");
  if (manifest.is_sealed) {
    if (outline.seals != 1) return detail::damaged_backupmeta("its seal is missing or repeated");
    if (!detail::sealed_part(bytes)) {
      return detail::damaged_backupmeta("its bytes do not match its seal");
    }
    if (outline.infos != 1)
      return detail::damaged_backupmeta("field 100001 is missing or repeated");
  }
  auto meta = decode<BackupMeta>(bytes);
  if (!meta.ok()) return detail::damaged_backupmeta(std::string(meta.status().message()));
  manifest.meta = std::move(meta).value();
  if (!manifest.is_sealed) {
    if (!outline.has_later_fields) return manifest;
    auto index = decode<BackupMetaIndex>(manifest.meta.unknown_fields);
    if (!index.ok()) return detail::damaged_backupmeta(std::string(index.status().message()));
    manifest.index = std::move(index).value();
    if (Status status = detail::check_index(manifest); !status.ok()) return status;
    detail::drop_fields(manifest.meta.unknown_fields, detail::is_index_field);
    return manifest;
  }
  detail::drop_fields(manifest.meta.unknown_fields, detail::is_own_field);

  auto info = decode<KvbackupInfo>(outline.info);
  if (!info.ok()) return detail::damaged_backupmeta(std::string(info.status().message()));
  Status status = detail::check_info(info.value(), manifest.meta.files.size());
  if (!status.ok()) return status;
  manifest.info = std::move(info).value();
  return manifest;
}

namespace detail {

/// Fills the lists of `manifest` from BR's trees, as if they had stood in backupmeta.
template <class Backend>
[[nodiscard]] Status read_meta_objects(Backend& backend, Manifest& manifest) {
  if (!manifest.needs_meta_objects()) return {};
  MetaTreeReader<Backend> reader(backend);
  std::vector<std::string> ddls;
  BackupMetaIndex& index = *manifest.index;
  for (auto* root :
       {&index.file_index, &index.schema_index, &index.raw_range_index, &index.ddl_indexes}) {
    if (!root->has_value()) continue;
    Status status = reader.read(std::move(**root), manifest.meta, ddls);
    if (!status.ok()) return status;
    root->reset();
  }
  manifest.meta_objects = std::move(reader).objects();
  if (ddls.empty()) return {};
  // an array of jobs, as BackupMeta.ddls is
  std::string& all = manifest.meta.ddls;
  all = "[";
  for (const std::string& job : ddls) {
    if (all.size() > 1) all += ',';
    all += job;
  }
  all += ']';
  return {};
}

}  // namespace detail

/// Reads and proves the backupmeta of a ReadableBackend, and the objects that it keeps its lists
/// in; spelled out here, since that concept stands in a room of the same floor. not_found where
/// there is no backupmeta.
template <class Backend>
requires requires(Backend& b, std::string_view name) {
  { b.read(name) } -> std::same_as<Result<std::string>>;
  { b.list(name).value().front().size } -> std::convertible_to<std::uint64_t>;
  { b.url() } -> std::same_as<std::string>;
}
[[nodiscard]] Result<Manifest> read_manifest(Backend& backend) {
  auto listed = backend.list(backupmeta_name);
  if (!listed.ok()) return std::move(listed).status();
  bool found = false;
  for (const auto& object : listed.value()) {
    if (object.name != backupmeta_name) continue;
    found = true;
    if (object.size <= max_backupmeta_size) continue;
    return Status::error(StatusCode::resource_exhausted, "backupmeta has " +
                                                             std::to_string(object.size) +
                                                             " bytes, more than this library reads")
        .with_object(backend.url());
  }
  if (!found) {
    return Status::error(StatusCode::not_found, "there is no backup here: backupmeta is missing")
        .with_object(backend.url());
  }
  auto bytes = backend.read(backupmeta_name);
  if (!bytes.ok()) return std::move(bytes).status();
  auto manifest = decode_manifest(bytes.value());
  if (!manifest.ok()) return manifest;
  Status status = detail::read_meta_objects(backend, manifest.value());
  if (!status.ok()) return status;
  return manifest;
}

}  // namespace kvbackup::inline v1
