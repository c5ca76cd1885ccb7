// SPDX-License-Identifier: Apache-2.0
// A RocksDB store to put pairs into.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/ext/detail/rocksdb_common.hpp>
#include <kvbackup/ext/detail/rocksdb_staging.hpp>
#include <kvbackup/ext/detail/rocksdb_target.hpp>
#include <kvbackup/kvbackup.hpp>

namespace kvbackup::inline v1 {

/// Builds a new RocksDB store, or fills one that is there.
///
/// A new one is built in the folder PATH.restoring and gets its name by finish(), in one step;
/// abandoned, it goes away. Such a folder that a process left that died is used again.
///
/// By ingestion an existing store too gets all column families' pairs in one step, or none; they
/// take the place of pairs of the same keys. By WriteBatch what is put into an existing store stays
/// when the sink is abandoned.
///
/// `Checksum` and `Codec` are those of the blocks of ingested files; the store's own compactions
/// rewrite them by its options. RocksDB must be built with the codec.
///
/// Keys that do not strictly rise within a column family are out_of_order; a key or a value of 4
/// GiB, or a pair that fills a block of that size, resource_exhausted.
template <BlockChecksum Checksum = Crc32cChecksum, BlockCodec Codec = NoneCodec>
class BasicRocksdbSink {
 public:
  /// Fresh: already_exists if `path` is there and is no empty folder, unavailable while another run
  /// builds it. Existing: not_found without a store; unavailable while a process (this one too)
  /// holds it; invalid_argument or unsupported if its options name what this RocksDB has not, since
  /// a store must not be written without its merge operator or comparator.
  [[nodiscard]] static Result<BasicRocksdbSink> open(const std::string& path,
                                                     const RocksdbSinkOptions& options = {},
                                                     Codec codec = {}) {
    auto build = std::make_unique<Build>(options, std::move(codec));
    if (Status status = build->store.begin(path); !status.ok()) return status;
    build->stager.set_folder(build->store.staging());
    BasicRocksdbSink sink(std::move(build));
    if (Status status = sink.use(default_cf); !status.ok()) return status;
    return sink;
  }
  BasicRocksdbSink(BasicRocksdbSink&&) noexcept = default;
  BasicRocksdbSink& operator=(BasicRocksdbSink&&) noexcept = default;
  ~BasicRocksdbSink() = default;

  /// The column family that the next pairs belong to; "default" to begin with. It is made if it is
  /// not there. One that had its turn before goes on where it was.
  [[nodiscard]] Status use(std::string_view cf) {
    if (!status_.ok()) return status_;
    status_ = end_file();
    if (!status_.ok()) return status_;
    const auto family = build_->store.family(cf);
    if (!family.ok()) {
      status_ = family.status();
    } else {
      build_->current = family.value();
    }
    return status_;
  }
  [[nodiscard]] Status put(ByteView key, ByteView value) {
    if (!status_.ok()) return status_;
    detail::RocksdbStoreWriter::Family& family = build_->store.at(build_->current);
    status_ = build_->store.check(family, key, value);
    if (status_.ok()) {
      status_ = build_->options.way == RocksdbWay::ingest
                    ? build_->stager.put(key, value, family.files)
                    : build_->store.write(build_->current, key, value);
    }
    if (status_.ok()) {
      family.last_key.assign(key.data(), key.size());
      family.any = true;
    } else {
      status_ = std::move(status_).with_object(build_->store.where_of(build_->current));
    }
    return status_;
  }
  /// Adds SST files that are ready for ingestion into `cf`; finish() moves them into the store (it
  /// copies those on another file system). An abandoned sink leaves them where they are.
  [[nodiscard]] Status ingest_files(std::string_view cf, const std::vector<std::string>& paths) {
    if (!status_.ok()) return status_;
    const auto family = build_->store.family(cf);
    if (!family.ok()) {
      status_ = family.status();
    } else {
      std::vector<std::string>& files = build_->store.at(family.value()).files;
      files.insert(files.end(), paths.begin(), paths.end());
    }
    return status_;
  }
  /// Removes the pairs of `range` that an existing store has, at once: abandon() does not bring
  /// them back. Whole tables go first, so that it costs little.
  [[nodiscard]] Status clear_range(const KeyRange& range) {
    if (!status_.ok()) return status_;
    const auto family = build_->store.family(range.cf);
    status_ = family.ok() ? build_->store.clear_range(family.value(), range) : family.status();
    return status_;
  }
  /// Everything is in the store and on the disk when it returns, and the store is closed.
  [[nodiscard]] Status finish() {
    if (!status_.ok()) return status_;
    status_ = end_file();
    if (status_.ok()) status_ = build_->store.finish();
    if (!status_.ok()) return status_;
    status_ = detail::sink_is_closed();
    return {};
  }
  void abandon() {
    if (status_.ok()) status_ = detail::sink_is_closed();
    build_.reset();
  }

 private:
  struct Build {
    Build(const RocksdbSinkOptions& asked, Codec codec)
        : options(asked),
          store(asked),
          stager(std::move(codec), std::max(asked.file_bytes, std::uint64_t{1} << 20)) {}

    RocksdbSinkOptions options;
    detail::RocksdbStoreWriter store;
    detail::TableStager<Checksum, Codec> stager;
    std::size_t current = 0;
  };

  explicit BasicRocksdbSink(std::unique_ptr<Build> build) : build_(std::move(build)) {}

  [[nodiscard]] Status end_file() {
    return build_->stager.end_file(build_->store.at(build_->current).files);
  }

  std::unique_ptr<Build> build_;  // null once abandoned
  Status status_;
};

/// The sink that needs no other library: blocks as they are, with CRC-32C. Where xxHash is built
/// in, BasicRocksdbSink<Xxh3Checksum, Lz4Codec> makes smaller files that RocksDB reads faster.
using RocksdbSink = BasicRocksdbSink<>;

static_assert(Sink<RocksdbSink>);

}  // namespace kvbackup::inline v1
