// SPDX-License-Identifier: Apache-2.0
// Opens what a source or sink URI names and hands it, with its own type, to a function.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include <kvbackup/ext/leveldb.hpp>
#include <kvbackup/ext/lmdb.hpp>
#include <kvbackup/ext/rocksdb.hpp>
#include <kvbackup/kvbackup.hpp>

#include "program.hpp"
#include "sst_store.hpp"
#include "uri.hpp"

namespace program {

/// The format of a tsv: URI, hex unless it says otherwise.
[[nodiscard]] inline kvbackup::Result<kvbackup::KeyFormat> tsv_format(const StoreUri& uri) {
  const auto name = uri.parameter("format");
  if (!name) return kvbackup::KeyFormat::hex;
  return kvbackup::parse_key_format(*name);
}

/// Calls `use` with the source: a Snapshot (of a store) or a plain SortedSource (sst, tsv). `scans`
/// is how many scans of a Snapshot will be open at once. `use` gives a Status or a Result.
template <class Use>
auto with_source(const StoreUri& uri, std::size_t scans, Use&& use)
    -> decltype(use(std::declval<kvbackup::LmdbSnapshot>())) {
  if (uri.scheme == "rocksdb") {
    kvbackup::RocksdbSnapshotOptions options;
    options.cf = uri.parameter("cf");
    auto snapshot = kvbackup::RocksdbSnapshot::open(uri.path, options);
    if (!snapshot.ok()) return std::move(snapshot).status();
    return use(std::move(snapshot).value());
  }
  if (uri.scheme == "leveldb") {
    auto snapshot = kvbackup::LeveldbSnapshot::open(uri.path);
    if (!snapshot.ok()) return std::move(snapshot).status();
    return use(std::move(snapshot).value());
  }
  if (uri.scheme == "lmdb") {
    kvbackup::LmdbSnapshotOptions options;
    options.db = uri.parameter("db");
    options.workers = scans;
    options.one_scan_a_database = true;
    auto snapshot = kvbackup::LmdbSnapshot::open(uri.path, options);
    if (!snapshot.ok()) return std::move(snapshot).status();
    return use(std::move(snapshot).value());
  }
  if (uri.scheme == "sst") {
    auto source = SstSource::open(uri.path);
    if (!source.ok()) return std::move(source).status();
    return use(std::move(source).value());
  }
  const auto format = tsv_format(uri);
  if (!format.ok()) return format.status();
  auto source = kvbackup::open_tsv(uri.path, format.value(), &cancel_token());
  if (!source.ok()) return std::move(source).status();
  return use(std::move(source).value());
}

}  // namespace program
