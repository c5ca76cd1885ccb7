// SPDX-License-Identifier: Apache-2.0
// What the tests of this room have in common: backups in memory, and how they are broken.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"

namespace restore_test {

using namespace kvbackup;
using test_support::many_pairs;
using test_support::Store;

inline void require_ok(const Status& status) {
  INFO(status.to_string());
  REQUIRE(status.ok());
}

/// Every one of `parts` stands in `text`.
inline void check_contains(const std::string& text, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    INFO(text);
    INFO("lacks: " << part);
    CHECK(text.find(part) != std::string::npos);
  }
}
inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Replaces an object, or makes it.
inline void put(const MemoryBackend& backend, std::string_view name, ByteView bytes) {
  auto writer = backend.create(name, {.size_hint = {}, .if_absent = false});
  require_ok(writer.status());
  require_ok(writer.value().append(bytes));
  require_ok(writer.value().commit().status());
}

template <class Codec = NoneCodec, class LayoutT = RawLayout>
MemoryBackend backup_of(const Store& store, std::uint64_t part_size = default_part_size,
                        Codec codec = {}, LayoutT layout = {}) {
  MemoryBackend backend;
  test_support::FixedClock clock;
  BackupOptions options;
  options.part_size = part_size;
  options.clock = &clock;
  const auto meta =
      BackupPipeline(RangeSnapshot(store), codec, FileHasher{}, backend, layout).run(options);
  require_ok(meta.status());
  return backend;
}

inline Backup<MemoryBackend> opened(const MemoryBackend& backend) {
  auto backup = Backup<MemoryBackend>::open(backend);
  require_ok(backup.status());
  return std::move(backup).value();
}

inline VerifyReport verified(MemoryBackend backend, const VerifyOptions& options = {}) {
  auto report = verify_backup(backend, FileHasher{}, BuiltDecoders{}, options);
  require_ok(report.status());
  return std::move(report).value();
}

/// The findings of that severity, one a line.
inline std::string lines_of(const VerifyReport& report, Severity severity) {
  std::string lines;
  for (const Finding& finding : report.findings) {
    if (finding.severity == severity) lines += finding.to_string() + "\n";
  }
  return lines;
}
inline std::string damages(const MemoryBackend& backend) {
  return lines_of(verified(backend), Severity::damage);
}

/// Lets `change` edit what backupmeta says, and seals it again.
template <class Change>
void rewrite_manifest(const MemoryBackend& backend, Change&& change) {
  auto manifest = decode_manifest(backend.read(backupmeta_name).value());
  require_ok(manifest.status());
  change(manifest.value().meta, *manifest.value().info);
  put(backend, backupmeta_name, encode_manifest(manifest.value().meta, *manifest.value().info));
}

/// All pairs of a scan.
template <class Source>
Store pairs_of(Source& source) {
  Store store;
  for (; source.valid(); source.next()) store.emplace(source.key(), source.value());
  require_ok(source.status());
  return store;
}

}  // namespace restore_test
