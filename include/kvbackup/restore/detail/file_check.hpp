// SPDX-License-Identifier: Apache-2.0
// Proves one file of a backup, in one pass over its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/wire.hpp"
#include "kvbackup/restore/detail/forward_file.hpp"
#include "kvbackup/restore/detail/key_domain.hpp"
#include "kvbackup/restore/detail/mvcc_file.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/progress.hpp"
#include "kvbackup/restore/verify_report.hpp"
#include "kvbackup/sst/block_cache.hpp"
#include "kvbackup/sst/table_reader.hpp"

namespace kvbackup::inline v1::detail {

/// Checks file `index` of a backup. Belongs to one thread.
template <ReadableBackend Backend, Hasher Hash, class Decoders>
class FileCheck {
 public:
  FileCheck(Backend& backend, const Manifest& manifest, std::size_t index, const Hash& hash,
            const Decoders& decoders, const CancelToken* cancel, RestoreReporter& reporter)
      : manifest_(manifest),
        file_(manifest.meta.files[index]),
        index_(index),
        decoders_(decoders),
        mvcc_(file_),
        tap_{hash, reporter, 0, 0},
        reader_(backend, file_.name, file_.size, step_size, tap_, cancel) {}

  /// Adds what is wrong to `findings`. A failure is StatusCode::cancelled.
  [[nodiscard]] Status run(std::vector<Finding>& findings) {
    findings_ = &findings;
    const Status table = read_table();
    if (table.code() == StatusCode::cancelled) return table;
    const Status rest = is_reading_failure(table) ? table : reader_.read_rest();
    if (rest.code() == StatusCode::cancelled) return rest;
    if (!rest.ok()) {
      report_unread(rest);
      return {};
    }
    tap_.flush_pairs();
    const FileDigest digest = tap_.hash.finish();
    const bool bytes_fit = check_bytes(digest);
    if (table.ok()) {
      check_content(digest);
      is_read_ = true;
    } else {
      report_table(table, bytes_fit);
    }
    return {};
  }

  /// Its bytes are those that were recorded, and its content could not be looked at.
  [[nodiscard]] bool is_unproven() const { return is_unproven_; }
  /// Of a file of a transactional backup that was read to its end.
  [[nodiscard]] std::optional<LargeValues> large_values() const {
    return is_read_ ? std::optional(mvcc_.large_values()) : std::nullopt;
  }

 private:
  /// Read at once: what the second-level cache holds several times over, and long enough for
  /// storage that is far away.
  static constexpr std::size_t step_size = 512 * 1024;

  /// Takes the stored bytes as they come, and the pairs that are found in them.
  struct Tap {
    Hash hash;
    RestoreReporter& reporter;
    std::uint64_t pairs = 0;
    std::uint64_t pair_bytes = 0;

    void add_bytes(ByteView bytes) {
      hash.add_bytes(bytes);
      flush_pairs();
      reporter.add_stored(bytes.size());
    }
    void add_pair(ByteView key, ByteView value) {
      hash.add_pair(key, value);
      pairs += 1;
      pair_bytes += key.size() + value.size();
    }
    void flush_pairs() {
      reporter.add_pairs(std::exchange(pairs, 0), std::exchange(pair_bytes, 0));
    }
  };
  using Reader = ForwardReader<Backend, Tap>;
  using Table = TableReader<ForwardFile<Reader>, Decoders, NoBlockCache>;

  [[nodiscard]] static bool is_reading_failure(const Status& status) {
    switch (status.code()) {
      case StatusCode::ok:
      case StatusCode::corruption:
      case StatusCode::unsupported:
      case StatusCode::resource_exhausted: return false;
      default: return true;
    }
  }

  // Reads every entry: block checksums, order, kinds of entries, key range.
  [[nodiscard]] Status read_table() {
    auto table = Table::open(ForwardFile<Reader>(reader_), decoders_, {});
    if (!table.ok()) return std::move(table).status();
    is_table_ = true;
    recorded_entries_ = table.value().properties().num_entries;
    has_properties_ = !table.value().properties().all.empty();
    const auto tombstones = table.value().range_tombstones();
    if (!tombstones.ok()) return tombstones.status();
    entries_ = tombstones.value().size();
    if (entries_ != 0) strange_entry_ = "range tombstones";
    const StoredRange stored = stored_range(manifest_, file_.start_key, file_.end_key);
    const std::size_t prefix = key_prefix_of(manifest_).size();
    bool is_low = true;  // no key of the file's range was seen yet
    auto at = table.value().entries();
    for (; at.valid(); at.next()) {
      const ByteView key = at.key();
      ++entries_;
      // they rise, which the reader has checked
      const bool is_below = is_low && key < ByteView(stored.low);
      is_low = is_below;
      if (is_below || (!stored.high.empty() && key >= ByteView(stored.high))) {
        if (outside_++ == 0) first_outside_ = key;
        continue;
      }
      if (at.type() != EntryType::value) strange_entry_ = "entries that are no plain values";
      if (at.repeats_key()) strange_entry_ = "a key twice";
      if (manifest_.meta.is_raw_kv) {
        tap_.add_pair(key.substr(prefix), at.value());
      } else {
        mvcc_.add(key.substr(prefix), at.value(),
                  [this](ByteView user_key, ByteView value) { tap_.add_pair(user_key, value); });
      }
    }
    if (!at.status().ok()) return at.status();
    return table.value().verify_other_blocks();  // which stand behind those of data
  }

  void add(Severity severity, std::string what) {
    findings_->push_back({severity, file_.name,
                          KeyRange{std::string(cf_of(file_)), file_.start_key, file_.end_key},
                          std::move(what)});
  }

  void report_unread(const Status& status) {
    if (status.code() == StatusCode::corruption) {
      return add(Severity::damage, std::string(status.message()));
    }
    add(Severity::unreadable,
        "it cannot be read: " + std::string(kvbackup::v1::to_string(status.code())) + ": " +
            std::string(status.message()));
  }

  // The digests of the stored bytes.
  [[nodiscard]] bool check_bytes(const FileDigest& digest) {
    if (as_bytes(digest.sha256) != file_.sha256) {
      add(Severity::damage, "its SHA-256 is " + to_hex(as_bytes(digest.sha256)) + ", and " +
                                to_hex(file_.sha256) + " was recorded");
      return false;
    }
    if (has_crc32c() && digest.crc32c != manifest_.info->file_crc32c[index_]) {
      add(Severity::damage, "its CRC-32C is not the one that was recorded");
      return false;
    }
    return true;
  }

  // Only who wrote the files knows it.
  [[nodiscard]] bool has_crc32c() const {
    return manifest_.info && !manifest_.info->file_crc32c.empty();
  }

  // The table could not be read to its end.
  void report_table(const Status& status, bool bytes_fit) {
    if (status.code() == StatusCode::unsupported ||
        status.code() == StatusCode::resource_exhausted) {
      is_unproven_ = bytes_fit;
      return add(Severity::unprovable,
                 "its content cannot be proven: " + std::string(status.message()));
    }
    if (bytes_fit && !is_table_ && has_cipher_iv()) {
      is_unproven_ = true;
      return add(Severity::unprovable,
                 "its bytes are those that were recorded, and they are no SST: it is encrypted "
                 "(BR's --crypter.method), so its content cannot be proven");
    }
    add(Severity::damage, std::string(status.message()));
  }
  // File.cipher_iv = 12 of TiKV 5.3 and later, which set it for plain files too.
  [[nodiscard]] bool has_cipher_iv() const {
    constexpr std::uint32_t cipher_iv_field = 12;
    WireReader reader(file_.unknown_fields);
    WireField field;
    while (reader.next(field)) {
      if (field.number == cipher_iv_field) return true;
    }
    return false;
  }

  // What the table holds, against what backupmeta and the table itself say of it.
  void check_content(const FileDigest& digest) {
    if (outside_ != 0) report_outside();
    if (strange_entry_ != nullptr) {
      add(Severity::damage, std::string("it holds ") + strange_entry_ + ", which no backup writes");
    }
    if (has_properties_ && recorded_entries_ != entries_) {
      add(Severity::damage, "its properties say " + std::to_string(recorded_entries_) +
                                " entries, and it has " + std::to_string(entries_));
    }
    if (!manifest_.meta.is_raw_kv && mvcc_.problem() != nullptr) {
      add(Severity::damage,
          std::string("it holds ") + mvcc_.problem() + ", which no transactional backup writes");
    }
    compare("pairs", file_.total_kvs, digest.total_kvs);
    compare("bytes of keys and values", file_.total_bytes, digest.total_bytes);
    // TiKV before 6.1 records none for raw files
    const bool has_crc = has_crc32c() || !manifest_.meta.is_raw_kv || file_.crc64xor != 0;
    if (has_crc) compare("crc64xor", file_.crc64xor, digest.crc64xor);
  }
  void report_outside() {
    const std::string_view prefix = key_prefix_of(manifest_);
    std::string first = std::move(first_outside_);
    if (first.starts_with(prefix)) first.erase(0, prefix.size());
    KeyRange range{std::string(cf_of(file_)), first, first + '\0'};
    findings_->push_back({Severity::damage, file_.name, std::move(range),
                          std::to_string(outside_) +
                              " of its keys lie outside of its key range or lack the prefix of "
                              "this backup's keys; the first is named"});
  }
  void compare(const char* what, std::uint64_t recorded, std::uint64_t found) {
    if (recorded == found) return;
    // with TTL or API V2 the pairs that TiKV counts are not those that it stores
    const bool is_known = manifest_.info || !manifest_.index || manifest_.index->api_version == 0;
    add(is_known ? Severity::damage : Severity::unprovable,
        std::string("its ") + what + ": " + std::to_string(recorded) + " recorded, " +
            std::to_string(found) + " found");
  }
  const Manifest& manifest_;
  const File& file_;
  std::size_t index_;
  const Decoders& decoders_;
  MvccFile mvcc_;
  Tap tap_;
  Reader reader_;
  std::vector<Finding>* findings_ = nullptr;

  bool is_read_ = false;
  bool is_unproven_ = false;
  bool is_table_ = false;
  bool has_properties_ = false;
  std::uint64_t recorded_entries_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t outside_ = 0;
  std::string first_outside_;
  const char* strange_entry_ = nullptr;
};

}  // namespace kvbackup::inline v1::detail
