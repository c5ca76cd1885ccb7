// SPDX-License-Identifier: Apache-2.0
// Proves a backup: every byte of it is what was written, and it is all there.
//
// Of backupmeta: its seal, that the sums of its files are the totals and what schemas say of their
// tables, that names are names, that the files tile the ranges. Of the storage: that every file is
// there and has its size, and what else lies there. Of each file, in one pass: SHA-256 and CRC-32C
// of its bytes, the checksum of every block, key order, that keys lie in the file's range behind
// the right prefix, counts and crc64xor. Of a transactional backup also that versions are of those
// that it is of, and that both files of a part agree about its large values.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/workers.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/hash/sha256_portable.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/restore/detail/br_rules.hpp"
#include "kvbackup/restore/detail/coverage.hpp"
#include "kvbackup/restore/detail/file_check.hpp"
#include "kvbackup/restore/detail/mvcc_file.hpp"
#include "kvbackup/restore/detail/schema_check.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/progress.hpp"
#include "kvbackup/restore/verify_report.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// One verification of the backup that `manifest` describes.
template <ReadableBackend Backend, Hasher Hash, class Decoders>
class Verifier {
 public:
  Verifier(Backend& backend, const Manifest& manifest, const Hash& hash, const Decoders& decoders,
           const VerifyOptions& options)
      : backend_(backend),
        manifest_(manifest),
        hash_(hash),
        decoders_(decoders),
        options_(options) {}

  [[nodiscard]] Result<VerifyReport> run() {
    report_.is_sealed = manifest_.is_sealed;
    report_.end_version = manifest_.meta.end_version;
    if (manifest_.info) report_.created_unix_ms = manifest_.info->created_unix_ms;
    report_.quick = options_.quick;
    report_.files = manifest_.meta.files.size();
    if (!manifest_.is_sealed) {
      report_.add({Severity::unprovable, std::string(backupmeta_name), std::nullopt,
                   "it is BR's own and has no seal: what it says cannot be proven"});
    }
    if (manifest_.meta.is_raw_kv && lacks_crc()) {
      report_.add({Severity::unprovable, "", std::nullopt,
                   "it records no crc64xor, as TiKV before 6.1 does for raw files"});
    }
    check_sums();
    CoverageCheck(manifest_, report_).run();
    check_schemas(manifest_, report_);
    if (options_.br_rules) BrRules(manifest_, report_).run();
    auto listed = backend_.list("");
    if (!listed.ok()) return std::move(listed).status();
    const std::vector<ObjectInfo>& objects = listed.value();
    const std::vector<bool> readable = check_objects(objects);
    if (Status status = check_files(readable); !status.ok()) return status;
    check_strangers(objects);
    return std::move(report_);
  }

 private:
  using FileFindings = std::vector<Finding>;

  [[nodiscard]] bool lacks_crc() const {
    const std::vector<File>& files = manifest_.meta.files;
    const bool wrote_them = manifest_.info && !manifest_.info->file_crc32c.empty();
    return !wrote_them && std::any_of(files.begin(), files.end(), [](const File& file) {
      return file.total_kvs != 0 && file.crc64xor == 0;
    });
  }

  // What KvbackupInfo says of all files is the sum of what it says of each.
  void check_sums() {
    if (!manifest_.info || !manifest_.info->totals) return;
    KvbackupTotals sums;
    for (const File& file : manifest_.meta.files) {
      sums.files += 1;
      sums.kvs += file.total_kvs;
      sums.bytes += file.total_bytes;
      sums.stored_bytes += file.size;
      sums.crc64xor ^= file.crc64xor;
    }
    const KvbackupTotals& totals = *manifest_.info->totals;
    const auto compare = [this](const char* what, std::uint64_t recorded, std::uint64_t sum) {
      if (recorded == sum) return;
      report_.add({Severity::damage, std::string(backupmeta_name), std::nullopt,
                   std::string("the total of ") + what + " is recorded as " +
                       std::to_string(recorded) + ", and the files have " + std::to_string(sum)});
    };
    compare("files", totals.files, sums.files);
    compare("pairs", totals.kvs, sums.kvs);
    compare("bytes", totals.bytes, sums.bytes);
    compare("stored bytes", totals.stored_bytes, sums.stored_bytes);
    compare("crc64xor", totals.crc64xor, sums.crc64xor);
  }

  // Names and sizes. Gives, for each file, whether there is something to read.
  [[nodiscard]] std::vector<bool> check_objects(const std::vector<ObjectInfo>& objects) {
    std::vector<bool> readable(manifest_.meta.files.size(), false);
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < readable.size(); ++i) {
      const File& file = manifest_.meta.files[i];
      const auto add = [this, &file](std::string what) {
        report_.add({Severity::damage, file.name, range_of(file), std::move(what)});
      };
      if (!names.insert(file.name).second) {
        add("backupmeta names it twice");
        continue;
      }
      if (const Status status = check_object_name(file.name); !status.ok()) {
        add("it cannot be: " + std::string(status.message()));
        continue;
      }
      if (!name_fits(file)) add("its name is made of another start key or column family");
      const ObjectInfo* object = find_object(objects, file.name);
      if (object == nullptr) {
        add("it is missing");
      } else if (object->size != file.size) {
        add("it has " + std::to_string(object->size) + " bytes instead of " +
            std::to_string(file.size));
      } else {
        readable[i] = true;
      }
    }
    return readable;
  }

  /// A name with a SHA-256 in it has that of the file's start key, and ends with its cf.
  [[nodiscard]] static bool name_fits(const File& file) {
    const std::string_view name = file.name;
    const std::string ending = "_" + percent_encode(cf_of(file)) + ".sst";
    if (!name.ends_with(ending)) return !name.ends_with(".sst") || name.find('_') == name.npos;
    constexpr std::size_t digest_length = 64;
    for (std::size_t begin = 0; begin < name.size();) {
      const std::size_t end = std::min(name.find('_', begin), name.size());
      const std::string_view piece = name.substr(begin, end - begin);
      if (piece.size() == digest_length && from_hex(piece)) {
        return piece == to_hex(as_bytes(PortableSha256::of(file.start_key)));
      }
      begin = end + 1;
    }
    return true;
  }

  [[nodiscard]] static KeyRange range_of(const File& file) {
    return {std::string(cf_of(file)), file.start_key, file.end_key};
  }

  [[nodiscard]] Status check_files(const std::vector<bool>& readable) {
    if (options_.quick) return check_cancel(options_.cancel);
    const std::vector<File>& files = manifest_.meta.files;
    std::vector<std::size_t> work;
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (!readable[i]) continue;
      work.push_back(i);
      size += files[i].size;
    }
    RestoreReporter reporter(options_.observer, work.size(), size);
    std::vector<FileFindings> found(work.size());
    std::vector<std::optional<LargeValues>> large_values(files.size());
    std::atomic<std::uint64_t> unproven{0};
    Status status =
        run_workers(work.size(), options_.concurrency, options_.executor, [&](std::size_t index) {
          FileCheck<Backend, Hash, Decoders> check(backend_, manifest_, work[index], hash_,
                                                   decoders_, options_.cancel, reporter);
          Status checked = check.run(found[index]);
          if (checked.ok()) reporter.add_file();
          if (check.is_unproven()) unproven.fetch_add(1, std::memory_order_relaxed);
          large_values[work[index]] = check.large_values();
          return checked;
        });
    reporter.finish();
    for (FileFindings& findings : found) {
      for (Finding& finding : findings) report_.add(std::move(finding));
    }
    if (status.ok() && !manifest_.meta.is_raw_kv) {
      check_large_values(files, large_values, report_);
    }
    const RestoreProgress progress = reporter.progress();
    report_.unproven_files = unproven.load(std::memory_order_relaxed);
    report_.pairs = progress.pairs;
    report_.bytes = progress.bytes;
    report_.stored_bytes = progress.stored_bytes;
    return status;
  }

  // What lies there and is not of the backup.
  void check_strangers(const std::vector<ObjectInfo>& objects) {
    std::set<std::string_view> known{backupmeta_name};
    for (const File& file : manifest_.meta.files) known.insert(file.name);
    for (const MetaObject& object : manifest_.meta_objects) known.insert(object.name);
    const Severity severity = options_.strict ? Severity::damage : Severity::warning;
    for (const ObjectInfo& object : objects) {
      if (known.contains(object.name)) continue;
      report_.add({severity, object.name, std::nullopt, describe_stranger(object.name)});
    }
  }
  [[nodiscard]] static std::string describe_stranger(std::string_view name) {
    constexpr const char* left = " a run that backs up to here or did not end well";
    if (name == backup_lock_name) return std::string("it is BR's lock file, left by") + left;
    if (is_lock_name(name)) return std::string("it is the lock of") + left;
    if (is_checkpoint_name(name) || is_br_checkpoint_name(name)) {
      return std::string("it is the checkpoint of") + left;
    }
    return "it is not listed in backupmeta, and no part of this backup";
  }

  Backend& backend_;
  const Manifest& manifest_;
  const Hash& hash_;
  const Decoders& decoders_;
  const VerifyOptions& options_;
  VerifyReport report_;
};

}  // namespace detail

/// Verifies the backup of `manifest`. What is wrong with the backup stands in the report; a failure
/// is about the verification itself: it was cancelled, or the storage cannot be listed.
template <ReadableBackend Backend, Hasher Hash, class Decoders>
[[nodiscard]] Result<VerifyReport> verify_files(Backend& backend, const Manifest& manifest,
                                                const Hash& hash, const Decoders& decoders,
                                                const VerifyOptions& options = {}) {
  if (options.concurrency == 0 || (options.concurrency > 1 && options.executor == nullptr)) {
    return Status::error(StatusCode::invalid_argument,
                         "VerifyOptions::concurrency must be at least 1, and above 1 it needs an "
                         "executor, such as ThreadExecutor");
  }
  return detail::Verifier<Backend, Hash, Decoders>(backend, manifest, hash, decoders, options)
      .run();
}

/// The same, backupmeta included: where it is damaged, the report says that and nothing else. Also
/// fails where there is no backup at all (not_found), or one that is not read (unsupported).
template <ReadableBackend Backend, Hasher Hash, class Decoders>
[[nodiscard]] Result<VerifyReport> verify_backup(Backend& backend, const Hash& hash,
                                                 const Decoders& decoders,
                                                 const VerifyOptions& options = {}) {
  auto manifest = read_manifest(backend);
  if (manifest.ok()) return verify_files(backend, manifest.value(), hash, decoders, options);
  if (manifest.status().code() != StatusCode::corruption) return std::move(manifest).status();
  VerifyReport report;
  report.quick = options.quick;
  std::string object(manifest.status().object());
  report.add({Severity::damage, object.empty() ? std::string(backupmeta_name) : std::move(object),
              std::nullopt, std::string(manifest.status().message())});
  return report;
}

}  // namespace kvbackup::inline v1
