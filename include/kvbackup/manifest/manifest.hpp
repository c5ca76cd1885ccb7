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

#include "kvbackup/base/result.hpp"
#include "kvbackup/hash/sha256_portable.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"
#include "kvbackup/proto/kvbackup_info.hpp"
#include "kvbackup/proto/wire.hpp"

namespace kvbackup::inline v1 {

/// The KvbackupInfo::format that this library writes, and the highest it reads.
inline constexpr std::uint32_t kvbackup_info_format = 1;

/// Field numbers in backupmeta that BR does not use and never will: its own end below 100.
inline constexpr std::uint32_t kvbackup_info_field = 100001;
inline constexpr std::uint32_t seal_field = 100002;

/// What a backupmeta says. Without a seal it is BR's own, and nothing proves that it is whole.
struct Manifest {
  BackupMeta meta;
  std::optional<KvbackupInfo> info;
  bool is_sealed = false;
};

/// The bytes of `backupmeta`.
[[nodiscard]] inline std::string encode_manifest(const BackupMeta& meta, const KvbackupInfo& info) {
  std::string out = encode(meta);
  append_bytes_field(out, kvbackup_info_field, encode(info));
  const Sha256Digest seal = PortableSha256::of(out);
  append_bytes_field(out, seal_field, as_bytes(seal));
  return out;
}

namespace detail {

[[nodiscard]] inline Status damaged_backupmeta(std::string why) {
  return Status::error(StatusCode::corruption, "backupmeta is damaged: " + std::move(why))
      .with_object(backupmeta_name);
}

/// The seal's field as it ends a backupmeta whose other bytes are `before`.
[[nodiscard]] inline std::string seal_of(ByteView before) {
  std::string out;
  const Sha256Digest digest = PortableSha256::of(before);
  append_bytes_field(out, seal_field, as_bytes(digest));
  return out;
}

/// Takes our two fields out of the unknown ones. `info` is what the first field 100001 holds.
[[nodiscard]] inline Status take_own_fields(BackupMeta& meta, std::optional<std::string>& info,
                                            std::size_t& seals) {
  std::string others;
  WireReader reader(meta.unknown_fields);
  WireField field;
  while (reader.next(field)) {
    if (field.number == seal_field) {
      ++seals;
    } else if (field.number == kvbackup_info_field) {
      if (info || field.wire_type != WireType::length_delimited) {
        return damaged_backupmeta("field 100001 is there twice, or is no message");
      }
      info.emplace(field.payload);
    } else {
      others.append(field.extent);
    }
  }
  if (!reader.status().ok()) return reader.status();
  meta.unknown_fields = std::move(others);
  return {};
}

}  // namespace detail

/// Reads the bytes of a `backupmeta` and proves its seal. Errors: corruption for anything that is
/// not exactly what encode_manifest or BR writes, unsupported for a later format of ours.
[[nodiscard]] inline Result<Manifest> decode_manifest(ByteView bytes) {
  constexpr std::size_t seal_size = 3 + 1 + 32;  // tag of field 100002, length, SHA-256
  if (bytes.empty()) return detail::damaged_backupmeta("it is empty");
  auto meta = decode<BackupMeta>(bytes);
  if (!meta.ok()) return detail::damaged_backupmeta(std::string(meta.status().message()));
  Manifest manifest;
  manifest.meta = std::move(meta).value();
  std::optional<std::string> info;
  std::size_t seals = 0;
  Status status = detail::take_own_fields(manifest.meta, info, seals);
  if (!status.ok()) return status;

  if (seals == 0 && !info && manifest.meta.br_version.starts_with("BR")) return manifest;
  if (seals != 1 || bytes.size() < seal_size) {
    return detail::damaged_backupmeta("its seal is missing or repeated");
  }
  const ByteView before = bytes.substr(0, bytes.size() - seal_size);
  if (bytes.substr(before.size()) != ByteView(detail::seal_of(before))) {
    return detail::damaged_backupmeta("its bytes do not match its seal");
  }
  manifest.is_sealed = true;
  if (!info) return detail::damaged_backupmeta("field 100001 is missing");
  auto decoded = decode<KvbackupInfo>(*info);
  if (!decoded.ok()) return detail::damaged_backupmeta(std::string(decoded.status().message()));
  manifest.info = std::move(decoded).value();
  if (manifest.info->format == 0 || manifest.info->format > kvbackup_info_format) {
    return Status::error(StatusCode::unsupported, "this backup has format " +
                                                      std::to_string(manifest.info->format) +
                                                      ", and this version reads only up to " +
                                                      std::to_string(kvbackup_info_format))
        .with_object(backupmeta_name);
  }
  if (manifest.info->file_crc32c.size() != manifest.meta.files.size()) {
    return detail::damaged_backupmeta("it has not one checksum a file");
  }
  return manifest;
}

/// Reads and proves the backupmeta of a ReadableBackend; spelled out here, since that concept stands
/// in a room of the same floor. not_found where there is no backupmeta.
template <class Backend>
requires requires(Backend& b, std::string_view name) {
  { b.read(name) } -> std::same_as<Result<std::string>>;
  { b.url() } -> std::same_as<std::string>;
}
[[nodiscard]] Result<Manifest> read_manifest(Backend& backend) {
  auto bytes = backend.read(backupmeta_name);
  if (!bytes.ok()) {
    if (bytes.status().code() != StatusCode::not_found) return std::move(bytes).status();
    return Status::error(StatusCode::not_found, "there is no backup here: backupmeta is missing")
        .with_object(backend.url());
  }
  return decode_manifest(bytes.value());
}

}  // namespace kvbackup::inline v1
