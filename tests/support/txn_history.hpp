// SPDX-License-Identifier: Apache-2.0
// Histories of transactions, what a reader of TiKV sees of them, and backups of them. Which
// versions a backup takes is decided here, by the rules of TiKV's scanner; tables, sums and names
// are the library's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/mvcc_store.hpp"
#include "support/stores.hpp"

namespace test_support {

/// One committed version of a key.
struct TxnVersion {
  kvbackup::MvccWriteType type = kvbackup::MvccWriteType::put;
  std::uint64_t start_ts = 0;
  std::string value;
  std::optional<std::uint64_t> gc_fence;

  [[nodiscard]] bool is_large() const {
    return type == kvbackup::MvccWriteType::put && value.size() > kvbackup::mvcc_short_value_limit;
  }
  [[nodiscard]] std::string record() const {
    kvbackup::MvccWrite write;
    write.type = type;
    write.start_ts = start_ts;
    if (type == kvbackup::MvccWriteType::put && !is_large()) write.short_value = value;
    write.gc_fence = gc_fence;
    return kvbackup::encode_mvcc_write(write);
  }
};

/// Of each user key its versions, by commit_ts.
using TxnHistory = std::map<std::string, std::map<std::uint64_t, TxnVersion>>;

/// The newest version that says something at `ts`, if it is later than `after`.
inline const std::pair<const std::uint64_t, TxnVersion>* newest_version(
    const std::map<std::uint64_t, TxnVersion>& versions, std::uint64_t after, std::uint64_t ts) {
  for (auto at = versions.rbegin(); at != versions.rend(); ++at) {
    const auto& [commit_ts, version] = *at;
    if (commit_ts > ts) continue;
    if (commit_ts <= after) return nullptr;
    if (version.gc_fence && *version.gc_fence != 0 && *version.gc_fence <= ts) return nullptr;
    if (version.type == kvbackup::MvccWriteType::put ||
        version.type == kvbackup::MvccWriteType::remove) {
      return &*at;
    }
  }
  return nullptr;
}

/// What a reader at `ts` sees.
inline Store state_at(const TxnHistory& history, std::uint64_t ts) {
  Store state;
  for (const auto& [key, versions] : history) {
    const auto* newest = newest_version(versions, 0, ts);
    if (newest == nullptr || newest->second.type != kvbackup::MvccWriteType::put) continue;
    state[key] = newest->second.value;
  }
  return state;
}

/// `keys` keys with some versions each, of all types, at timestamps up to `last_ts`.
inline TxnHistory random_history(std::mt19937& random, std::size_t keys, std::uint64_t last_ts) {
  TxnHistory history;
  const Store some = many_pairs(keys, static_cast<std::uint32_t>(random()));
  for (const auto& [key, unused] : some) {
    auto& versions = history[key];
    std::uint64_t ts = 0;
    for (;;) {
      const std::uint64_t start_ts = ts + 1 + random() % (last_ts / 4 + 1);
      ts = start_ts + random() % 3;
      if (ts > last_ts) break;
      TxnVersion version;
      version.start_ts = start_ts;
      const auto dice = random() % 10;
      if (dice < 2) version.type = kvbackup::MvccWriteType::remove;
      if (dice == 2) version.type = kvbackup::MvccWriteType::lock;
      if (dice == 3) version.type = kvbackup::MvccWriteType::rollback;
      if (dice > 3)
        version.value.assign(random() % 4 == 0 ? 250 + random() % 20 : random() % 9, 'v');
      if (dice > 3) version.value += std::to_string(ts);
      // a fence is the version of a later put or deletion
      const bool is_change = dice < 2 || dice > 3;
      if (is_change && !versions.empty() && random() % 8 == 0) {
        versions.rbegin()->second.gc_fence = ts;
      }
      versions[ts] = std::move(version);
    }
  }
  return history;
}

/// The versions in column families write and default of a store of TiKV's, each key behind
/// `prefix`; throws for what is none.
inline TxnHistory history_in(const std::map<std::string, Store>& families,
                             const std::string& prefix) {
  TxnHistory history;
  for (const auto& [stored, record] : families.at("write")) {
    if (!stored.starts_with(prefix)) throw std::runtime_error("a key without its prefix");
    const auto key = kvbackup::split_mvcc_key(kvbackup::ByteView(stored).substr(prefix.size()));
    std::string user_key;
    if (!key || !kvbackup::from_memcomparable(key->row, user_key)) {
      throw std::runtime_error("a key that is no version's");
    }
    const kvbackup::MvccWrite write = kvbackup::parse_mvcc_write(record).value();
    TxnVersion version{write.type, write.start_ts, {}, write.gc_fence};
    if (write.short_value) version.value = *write.short_value;
    if (write.has_large_value()) {
      version.value =
          families.at("default").at(prefix + kvbackup::mvcc_key(user_key, version.start_ts));
    }
    history[user_key][key->ts] = version;
  }
  return history;
}

/// A store of TiKV's that holds the history.
inline MvccStore store_of(const TxnHistory& history) {
  MvccStore store;
  for (const auto& [key, versions] : history) {
    for (const auto& [commit_ts, version] : versions) {
      store.families["write"][store.prefix + kvbackup::mvcc_key(key, commit_ts)] = version.record();
      if (!version.is_large()) continue;
      store.families["default"][store.prefix + kvbackup::mvcc_key(key, version.start_ts)] =
          version.value;
    }
  }
  return store;
}

/// What a hand-made backup is like.
struct TxnBackupOptions {
  std::uint64_t start_ts = 0;
  std::uint64_t end_ts = 0;
  std::uint64_t cluster_id = 7;
  std::string key_prefix = "z";
  std::size_t keys_a_part = 50;
  kvbackup::KeyRange range;
  bool is_br = false;  ///< BR's own: without seal and info
  std::vector<kvbackup::Schema> schemas;
  std::string ddls = "[]";
  /// May change what stands in the tables, by column family, before they are written.
  std::function<void(std::string_view cf, Store& records)> change_records;
  std::function<void(kvbackup::BackupMeta&)> change_meta;
};

namespace detail {

struct StringOutput {
  std::string* out;
  kvbackup::Status append(kvbackup::ByteView piece) {
    *out += piece;
    return {};
  }
};

inline void store_object(const kvbackup::MemoryBackend& backend, std::string_view name,
                         kvbackup::ByteView bytes) {
  auto writer = backend.create(name, {.size_hint = {}, .if_absent = false});
  (void)writer.value().append(bytes);
  (void)writer.value().commit();
}

/// One part: at most one file a column family.
class TxnPart {
 public:
  TxnPart(const TxnBackupOptions& options, std::string start, std::string end, std::size_t number)
      : options_(options), start_(std::move(start)), end_(std::move(end)), number_(number) {}

  void add(const std::string& key, std::uint64_t commit_ts, const TxnVersion& version) {
    Cf& write = cfs_["write"];
    write.records[kvbackup::mvcc_key(key, commit_ts)] = version.record();
    if (!version.is_large()) return write.hash.add_pair(key, version.value);
    Cf& values = cfs_["default"];
    values.records[kvbackup::mvcc_key(key, version.start_ts)] = version.value;
    values.hash.add_pair(key, version.value);
  }
  void store(const kvbackup::MemoryBackend& backend, kvbackup::BackupMeta& meta,
             kvbackup::KvbackupInfo& info) {
    for (auto& [cf, content] : cfs_) {
      if (options_.change_records) options_.change_records(cf, content.records);
      if (content.records.empty()) continue;
      std::string bytes;
      kvbackup::TableWriter<kvbackup::NoneCodec, kvbackup::Crc32cChecksum, StringOutput> writer(
          kvbackup::TableOptions::br_default_cf(), kvbackup::NoneCodec{}, StringOutput{&bytes});
      for (const auto& [key, value] : content.records) {
        (void)writer.add(options_.key_prefix + key, value);
      }
      (void)writer.finish();
      content.hash.add_bytes(bytes);
      const kvbackup::FileDigest digest = content.hash.finish();
      kvbackup::File file;
      file.name = kvbackup::sst_file_name({1, number_, 1, 1'600'000'000'000, false}, start_, cf);
      file.sha256 = kvbackup::as_bytes(digest.sha256);
      file.start_key = start_;
      file.end_key = end_;
      file.start_version = options_.start_ts;
      file.end_version = options_.end_ts;
      file.crc64xor = digest.crc64xor;
      file.total_kvs = digest.total_kvs;
      file.total_bytes = digest.total_bytes;
      file.cf = cf;
      file.size = bytes.size();
      store_object(backend, file.name, bytes);
      info.totals->files += 1;
      info.totals->kvs += file.total_kvs;
      info.totals->bytes += file.total_bytes;
      info.totals->stored_bytes += file.size;
      info.totals->crc64xor ^= file.crc64xor;
      info.file_crc32c.push_back(digest.crc32c);
      meta.files.push_back(std::move(file));
    }
  }

 private:
  struct Cf {
    Store records;
    kvbackup::FileHasher hash;
  };
  const TxnBackupOptions& options_;
  std::string start_;
  std::string end_;
  std::size_t number_;
  std::map<std::string, Cf> cfs_;
};

}  // namespace detail

/// A backup of the versions in (start_ts, end_ts] of the keys in the range, whole if start_ts is 0.
inline kvbackup::MemoryBackend txn_backup(const TxnHistory& history,
                                          const TxnBackupOptions& options) {
  kvbackup::MemoryBackend backend;
  kvbackup::BackupMeta meta;
  kvbackup::KvbackupInfo info;
  info.format = kvbackup::kvbackup_info_format;
  info.key_prefix = options.key_prefix;
  info.profile = options.key_prefix.empty() ? "rocksdb" : "br";
  info.ranges.push_back({"", options.range.start, options.range.end, {}});
  info.totals.emplace();
  meta.cluster_id = options.cluster_id;
  meta.start_version = options.start_ts;
  meta.end_version = options.end_ts;
  meta.schemas = options.schemas;
  meta.ddls = options.ddls;
  meta.br_version = options.is_br ? "BR\nRelease Version: v5.0.0\n" : "kvbackup test";

  struct Found {
    std::string key;
    std::uint64_t commit_ts;
    TxnVersion version;
  };
  std::vector<Found> found;
  const bool is_full = options.start_ts == 0 || options.start_ts == options.end_ts;
  for (const auto& [key, versions] : history) {
    if (!options.range.contains(key)) continue;
    const auto* newest = newest_version(versions, is_full ? 0 : options.start_ts, options.end_ts);
    if (newest == nullptr) continue;
    if (newest->second.type == kvbackup::MvccWriteType::remove && is_full) continue;
    found.push_back({key, newest->first, newest->second});
  }
  std::string start = options.range.start;
  for (std::size_t at = 0; at < found.size();) {
    const std::size_t end = std::min(found.size(), at + options.keys_a_part);
    const std::string& end_key = end < found.size() ? found[end].key : options.range.end;
    detail::TxnPart part(options, start, end_key, at + 1);
    for (; at < end; ++at) part.add(found[at].key, found[at].commit_ts, found[at].version);
    part.store(backend, meta, info);
    start = end_key;
  }
  if (options.change_meta) options.change_meta(meta);
  detail::store_object(
      backend, kvbackup::backupmeta_name,
      options.is_br ? kvbackup::encode(meta) : kvbackup::encode_manifest(meta, info));
  return backend;
}

}  // namespace test_support
