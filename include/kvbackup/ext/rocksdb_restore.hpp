// SPDX-License-Identifier: Apache-2.0
// A RocksDB store that a backup is restored to.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/rocksdb_common.hpp>
#include <kvbackup/ext/detail/rocksdb_staging.hpp>
#include <kvbackup/ext/detail/rocksdb_target.hpp>
#include <kvbackup/kvbackup.hpp>
#include <sys/stat.h>

namespace kvbackup::inline v1 {

/// Builds a new RocksDB store from the parts of a restore, or fills one that is there: a PartTarget
/// for restore().
///
/// Each part is written as SST files of its own, by the thread that restores it, into a folder of
/// the store; a file of the backup that needs no change is copied there. finish() has RocksDB
/// ingest all of them in one step, together with the removal of the ranges to clear: the store has
/// all of it or nothing. A new store is built in PATH.restoring and gets its name by finish(). A
/// process that dies leaves a store that it was filling as it was, and in it a folder
/// kvbackup-staging, which the next restore removes.
///
/// Where ranges are cleared the files go to level 0, and RocksDB compacts them when the store is
/// next opened for writing. `Checksum` and `Codec` are those of the blocks of the files.
template <BlockChecksum Checksum = Crc32cChecksum, BlockCodec Codec = NoneCodec>
class BasicRocksdbRestore {
  struct Build {
    Build(const RocksdbSinkOptions& asked, Codec chosen)
        : options(asked), codec(std::move(chosen)), store(asked) {}

    /// A new name in the staging folder.
    [[nodiscard]] std::string new_path() {
      const MutexLock lock(mutex);
      return detail::join_path(store.staging(), std::to_string(++parts));
    }
    void add_files(std::size_t family, std::vector<std::string>& paths) {
      const MutexLock lock(mutex);
      std::vector<std::string>& files = store.at(family).files;
      files.insert(files.end(), paths.begin(), paths.end());
      paths.clear();
    }
    [[nodiscard]] Result<std::size_t> family(std::string_view cf) {
      const MutexLock lock(mutex);
      return store.family(cf);
    }

    RocksdbSinkOptions options;
    Codec codec;
    Mutex mutex;
    detail::RocksdbStoreWriter store;  // its families under mutex
    std::size_t parts = 0;             // under mutex
  };

 public:
  /// Pairs that become files of about RocksdbSinkOptions::file_bytes.
  class Part {
   public:
    Part(Build& build, std::size_t family, std::string folder)
        : build_(&build), family_(family), stager_(build.codec, build.options.file_bytes) {
      stager_.set_folder(std::move(folder));
    }
    [[nodiscard]] Status put(ByteView key, ByteView value) {
      return stager_.put(key, value, files_);
    }
    [[nodiscard]] Status finish() {
      Status status = stager_.end_file(files_);
      if (status.ok()) build_->add_files(family_, files_);
      return status;
    }

   private:
    Build* build_;
    std::size_t family_;
    detail::TableStager<Checksum, Codec> stager_;
    std::vector<std::string> files_;
  };
  /// The bytes of an SST file.
  class Copy {
   public:
    Copy(Build& build, std::size_t family, FileHandle file)
        : build_(&build), family_(family), paths_{file.path()}, file_(std::move(file)) {}
    [[nodiscard]] Status append(ByteView bytes) { return file_.append(bytes); }
    [[nodiscard]] Status finish() {
      Status status = file_.finish();
      if (status.ok()) build_->add_files(family_, paths_);
      return status;
    }

   private:
    Build* build_;
    std::size_t family_;
    std::vector<std::string> paths_;
    detail::StagedFile file_;
  };

  /// As BasicRocksdbSink::open; RocksdbSinkOptions::way is ingest.
  [[nodiscard]] static Result<BasicRocksdbRestore> open(const std::string& path,
                                                        RocksdbSinkOptions options = {},
                                                        Codec codec = {}) {
    options.way = RocksdbWay::ingest;
    options.file_bytes = std::max(options.file_bytes, std::uint64_t{1} << 20);
    auto build = std::make_unique<Build>(options, std::move(codec));
    if (Status status = build->store.begin(path); !status.ok()) return status;
    return BasicRocksdbRestore(std::move(build));
  }

  [[nodiscard]] Result<Part> begin(std::string_view cf) {
    if (build_ == nullptr) return detail::sink_is_closed();
    const auto family = build_->family(cf);
    if (!family.ok()) return family.status();
    std::string folder = build_->new_path();
    if (::mkdir(folder.c_str(), 0755) != 0) {
      return errno_status(errno, "make a folder for files", folder);
    }
    return Part(*build_, family.value(), std::move(folder));
  }
  [[nodiscard]] Result<Copy> begin_copy(std::string_view cf) {
    if (build_ == nullptr) return detail::sink_is_closed();
    const auto family = build_->family(cf);
    if (!family.ok()) return family.status();
    auto file = FileHandle::open(build_->new_path() + ".sst", O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file.ok()) return std::move(file).status();
    return Copy(*build_, family.value(), std::move(file).value());
  }
  /// The column family is made if it is not there.
  [[nodiscard]] Status add_cf(std::string_view cf) {
    if (build_ == nullptr) return detail::sink_is_closed();
    return build_->family(cf).status();
  }
  /// Of a store that is filled: what it has in `range` goes when the parts come.
  [[nodiscard]] Status clear_range(const KeyRange& range) {
    if (build_ == nullptr) return detail::sink_is_closed();
    const auto family = build_->family(range.cf);
    if (!family.ok()) return family.status();
    return build_->store.stage_clearing(family.value(), range);
  }
  [[nodiscard]] Status finish() {
    if (build_ == nullptr) return detail::sink_is_closed();
    Status status = build_->store.finish();
    build_.reset();
    return status;
  }
  void abandon() { build_.reset(); }

 private:
  explicit BasicRocksdbRestore(std::unique_ptr<Build> build) : build_(std::move(build)) {}

  std::unique_ptr<Build> build_;  // null once finished or abandoned
};

/// The one that needs no other library: blocks as they are, with CRC-32C.
using RocksdbRestore = BasicRocksdbRestore<>;

static_assert(CopyTarget<RocksdbRestore>);

}  // namespace kvbackup::inline v1
