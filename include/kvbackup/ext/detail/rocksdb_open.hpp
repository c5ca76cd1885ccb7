// SPDX-License-Identifier: Apache-2.0
// Opens a RocksDB store of another process, or of nobody, for reading and leaves its files alone.
//
// Whose LOCK is free is opened read-only, else as a secondary, which follows a live store's
// MANIFEST and log; it is never told to catch up again, so what it shows stays. RocksDB opens
// neither at one instant: it reads the MANIFEST, then the tables and the log that this names, and
// the store's owner removes tables and logs meanwhile that it has replaced. An opening is therefore
// believed only if no log went away during it, and no table but those it has open; else it is done
// again.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/rocksdb_common.hpp>
#include <kvbackup/ext/detail/store_lock.hpp>
#include <kvbackup/kvbackup.hpp>
#include <rocksdb/comparator.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/metadata.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/options_util.h>

namespace kvbackup::inline v1 {

namespace detail {

/// A store's options and column families, as they stand in its files.
struct RocksdbLayout {
  rocksdb::DBOptions options;
  std::vector<rocksdb::ColumnFamilyDescriptor> cfs;  // "default" first, then by name
};

/// Whether an option that this RocksDB does not know, or an object that is not built in, is passed
/// over (enough for a reader) or an error.
enum class RocksdbUnknown { ignored, refused };

[[nodiscard]] inline bool holds_rocksdb_logs(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() == ".log") return true;
  }
  return false;
}

/// Decides where the log of the store at `path` is. RocksDB keeps a `wal_dir` that was given as an
/// absolute path in the store's options, the store's own folder included, so in a copy, or after a
/// move, it names the folder of another store: whose log is not this one's, and which RocksDB would
/// clear when it opens the copy for writing.
[[nodiscard]] inline Status settle_log_folder(const std::string& path, const std::string& object,
                                              rocksdb::DBOptions& options) {
  const std::string& logs = options.wal_dir;
  if (logs.empty()) return {};
  std::error_code error;
  const bool is_own = std::filesystem::equivalent(logs, path, error);
  const bool is_there = std::filesystem::is_directory(logs, error);
  const bool is_a_store = std::filesystem::exists(join_path(logs, "CURRENT"), error);
  const bool has_own = holds_rocksdb_logs(path);
  if (is_own || (has_own && (is_a_store || !is_there))) {
    options.wal_dir.clear();
    return {};
  }
  if (is_there && !is_a_store && !has_own) return {};
  const std::string where = " (its option wal_dir, in its file OPTIONS): " + logs;
  if (!is_there) {
    return Status::error(
               StatusCode::not_found,
               "what is in the store's log would be missing: its folder is not there" + where)
        .with_object(object);
  }
  return Status::error(StatusCode::unsupported,
                       "it cannot be told whether the store's log is its own or that of a store "
                       "that this one is a copy of; correct the folder of the log" +
                           where)
      .with_object(object);
}

/// Reads the layout of the store at `path`, which messages call `object`. not_found where there is
/// no store or no folder for its log; unsupported where its log may be another store's.
[[nodiscard]] inline Status rocksdb_layout(const std::string& path, RocksdbUnknown unknown,
                                           const std::string& object, RocksdbLayout& layout) {
  std::error_code error;
  if (!std::filesystem::exists(join_path(path, "CURRENT"), error)) {
    if (error) return errno_status(error.value(), "open the RocksDB store", object);
    return Status::error(StatusCode::not_found, "there is no RocksDB store (no file CURRENT)")
        .with_object(object);
  }
  layout = {};
  rocksdb::ConfigOptions config;
  config.ignore_unknown_options = unknown == RocksdbUnknown::ignored;
  config.ignore_unsupported_options = unknown == RocksdbUnknown::ignored;
  std::string options_file;
  std::vector<rocksdb::ColumnFamilyDescriptor> known;
  if (rocksdb::GetLatestOptionsFileName(path, config.env, &options_file).ok()) {
    const rocksdb::Status status =
        rocksdb::LoadLatestOptions(config, path, &layout.options, &known);
    if (!status.ok()) return rocksdb_status(status, "read the store's options", object);
  }
  if (Status status = settle_log_folder(path, object, layout.options); !status.ok()) return status;
  std::vector<std::string> names;
  const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(layout.options, path, &names);
  if (!status.ok()) return rocksdb_status(status, "list the store's column families", object);
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a != default_cf, ByteView(a)) < std::pair(b != default_cf, ByteView(b));
  });
  for (std::string& name : names) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&name](const auto& each) { return each.name == name; });
    layout.cfs.emplace_back(std::move(name),
                            found != known.end() ? found->options : rocksdb::ColumnFamilyOptions());
  }
  return {};
}

/// Refuses an order that a backup cannot represent, by name.
[[nodiscard]] inline Status check_rocksdb_order(const rocksdb::Comparator* comparator,
                                                const std::string& object) {
  if (comparator == nullptr) return {};
  const std::string_view name = comparator->Name();
  if (comparator->timestamp_size() > 0) {
    std::string message(
        "cannot back up the column family: its keys carry user-defined timestamps (");
    message += name;
    message += "), which a plain pair cannot represent";
    return Status::error(StatusCode::unsupported, std::move(message)).with_object(object);
  }
  if (name == bytewise_comparator) return {};
  std::string message("cannot back up the column family: its comparator is ");
  message += name;
  message += "; only ";
  message += bytewise_comparator;
  message += " orders keys as a backup does";
  return Status::error(StatusCode::unsupported, std::move(message)).with_object(object);
}

/// A new folder below the system's one for temporary files; goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() = default;
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] Status make() {
    std::error_code error;
    const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
    std::string path = join_path(error ? std::string("/tmp") : folder.string(), "kvbackup-XXXXXX");
    if (::mkdtemp(path.data()) == nullptr) {
      return errno_status(errno, "make a folder for temporary files", path);
    }
    path_ = std::move(path);
    return {};
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// An open store that does not change.
struct RocksdbFrozen {
  TemporaryFolder logs;  // of a secondary; outlives it
  RocksdbHandles handles;
  StoreLockHolder holder;
};

class RocksdbOpener {
 public:
  /// Opens the column family `cf` of the store at `path`, or all if there is none of that name.
  RocksdbOpener(const std::string& path, const std::optional<std::string>& cf, std::string where)
      : path_(path), cf_(cf), where_(std::move(where)) {}

  [[nodiscard]] Status open(RocksdbFrozen& frozen) {
    Status status;
    // 100: a busy store replaces files a few times a second, and an opening takes milliseconds
    for (int attempt = 0; attempt < 100; ++attempt) {
      frozen.handles.close().PermitUncheckedError();
      const std::set<std::string> before = files();
      status = open_once(frozen);
      const std::set<std::string> after = files();
      if (status.ok() && !lost_files(before, after, *frozen.handles.db)) return {};
      if (!status.ok() && before == after) return status;
    }
    frozen.handles.close().PermitUncheckedError();
    std::string message(
        "cannot open the RocksDB store: its files changed whenever it was tried; try again when it "
        "is less busy, or back up from within the process that has it open");
    if (!status.ok()) message += " (" + std::string(status.message()) + ")";
    return Status::error(StatusCode::unavailable, std::move(message))
        .with_object(where_)
        .as_retryable();
  }

 private:
  [[nodiscard]] Status open_once(RocksdbFrozen& frozen) {
    RocksdbLayout layout;
    Status status = rocksdb_layout(path_, RocksdbUnknown::ignored, where_, layout);
    if (!status.ok()) return status;
    if (cf_) {
      if (Status found = choose(layout.cfs); !found.ok()) return found;
    }
    for (rocksdb::ColumnFamilyDescriptor& each : layout.cfs) {
      const bool wanted = !cf_ || each.name == *cf_;
      status = wanted ? check_rocksdb_order(each.options.comparator, where_ + "?cf=" + each.name)
                      : Status();
      if (!status.ok()) return status;
      for_reading(each.options);
    }
    for_reading(layout.options);
    log_folder_ = layout.options.wal_dir;
    frozen.holder = store_lock_holder(path_);
    rocksdb::DB* db = nullptr;
    rocksdb::Status opened;
    if (frozen.holder.state == StoreLock::free) {
      opened =
          rocksdb::DB::OpenForReadOnly(layout.options, path_, layout.cfs, &frozen.handles.cfs, &db);
    } else {
      if (frozen.logs.path().empty()) status = frozen.logs.make();
      if (!status.ok()) return status;
      opened = rocksdb::DB::OpenAsSecondary(layout.options, path_, frozen.logs.path(), layout.cfs,
                                            &frozen.handles.cfs, &db);
    }
    frozen.handles.db.reset(db);
    if (opened.ok()) return {};
    frozen.handles.cfs.clear();
    const std::string text = opened.ToString();
    status = rocksdb_status(opened, "open the RocksDB store", where_);
    if (text.find("does not match existing comparator") == std::string::npos) return status;
    return Status::error(
               StatusCode::unsupported,
               "cannot back up the store: a column family has a comparator of its own, so "
               "its keys are in another order than a backup's (" +
                   text + ")")
        .with_object(where_);
  }

  /// Leaves what must be opened for cf_: RocksDB opens no store without its column family default.
  [[nodiscard]] Status choose(std::vector<rocksdb::ColumnFamilyDescriptor>& cfs) const {
    std::string names;
    bool found = false;
    for (const rocksdb::ColumnFamilyDescriptor& each : cfs) {
      found = found || each.name == *cf_;
      names += (names.empty() ? "" : ", ") + each.name;
    }
    if (!found) {
      return Status::error(StatusCode::not_found,
                           "there is no such column family; the store has " + names)
          .with_object(where_ + "?cf=" + *cf_);
    }
    std::erase_if(cfs, [this](const auto& each) {
      return each.name != *cf_ && each.name != rocksdb::kDefaultColumnFamilyName;
    });
    return {};
  }

  static void for_reading(rocksdb::DBOptions& options) {
    options.create_if_missing = false;
    options.create_missing_column_families = false;
    options.error_if_exists = false;
    options.paranoid_checks = true;
    options.info_log = std::make_shared<RocksdbSilence>();
    options.db_log_dir.clear();
    // every file is opened now, so that it may be removed later
    options.max_open_files = -1;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    options.track_and_verify_wals_in_manifest = false;
    options.best_efforts_recovery = false;
    // The last record may be torn, as a process that died leaves it. RocksDB's default passes over
    // everything behind a damaged record, and behind one that it cannot apply.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    options.statistics = nullptr;
    options.rate_limiter = nullptr;
    options.sst_file_manager = nullptr;
    options.write_buffer_manager = nullptr;
    options.row_cache = nullptr;
    options.listeners.clear();
  }
  static void for_reading(rocksdb::ColumnFamilyOptions& options) {
    options.compaction_filter = nullptr;
    options.compaction_filter_factory = nullptr;
    if (!options.table_factory) return;
    // scans ask no filter, so none is read
    auto* const table = options.table_factory->GetOptions<rocksdb::BlockBasedTableOptions>();
    if (table != nullptr) table->filter_policy = nullptr;
  }

  /// Paths of all files in the store's folder and that of its logs.
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> found;
    for (const std::string& folder : {path_, log_folder_}) {
      if (folder.empty()) continue;
      std::error_code error;
      for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
           at.increment(error)) {
        found.insert(at->path().string());
      }
    }
    return found;
  }
  /// Whether the opening may have missed something.
  [[nodiscard]] bool lost_files(const std::set<std::string>& before,
                                const std::set<std::string>& after, rocksdb::DB& db) const {
    if (log_folder_ != seen_log_folder_) {
      seen_log_folder_ = log_folder_;
      if (!log_folder_.empty() && log_folder_ != path_) return true;  // `before` was without it
    }
    std::vector<std::string> gone;
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                        std::back_inserter(gone));
    std::erase_if(gone, [](const std::string& path) {
      return !path.ends_with(".log") && !path.ends_with(".sst") && !path.ends_with(".ldb") &&
             !path.ends_with(".blob");
    });
    if (gone.empty()) return false;
    std::vector<rocksdb::LiveFileMetaData> live;
    db.GetLiveFilesMetaData(&live);
    return std::any_of(gone.begin(), gone.end(), [&live](const std::string& path) {
      return std::none_of(live.begin(), live.end(), [&path](const auto& file) {
        return path.ends_with(file.name);  // "/000012.sst"
      });
    });
  }

  const std::string& path_;
  const std::optional<std::string>& cf_;
  std::string where_;
  std::string log_folder_;
  mutable std::string seen_log_folder_;
};

}  // namespace detail

}  // namespace kvbackup::inline v1
