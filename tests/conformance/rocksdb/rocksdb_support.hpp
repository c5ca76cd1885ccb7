// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>

#include <kvbackup/kvbackup.hpp>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>

namespace rocksdb_test {

using Model = std::map<std::string, std::string>;

inline void require_ok(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
}
inline void require_ok(const kvbackup::Status& status) {
  if (!status.ok()) throw std::runtime_error("kvbackup: " + status.to_string());
}

/// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "kvbackup_rocksdb_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// TiKV's extractor for its write column family, as RocksDB sees it.
class FixedSuffixTransform final : public rocksdb::SliceTransform {
 public:
  explicit FixedSuffixTransform(std::size_t bytes) : bytes_(bytes) {}
  [[nodiscard]] const char* Name() const override { return "FixedSuffixSliceTransform"; }
  [[nodiscard]] rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), key.size() - bytes_};
  }
  [[nodiscard]] bool InDomain(const rocksdb::Slice& key) const override {
    return key.size() >= bytes_;
  }

 private:
  std::size_t bytes_;
};

/// Collects a table's bytes in a string that outlives the writer.
struct StringOutput {
  std::string* bytes;
  kvbackup::Status append(kvbackup::ByteView more) {
    bytes->append(more);
    return {};
  }
};

/// A codec of those that are built in, chosen at run time.
using AnyExactCodec = kvbackup::AnyCodec<kvbackup::NoneCodec
#if KVBACKUP_WITH_SNAPPY
                                         ,
                                         kvbackup::SnappyCodec
#endif
#if KVBACKUP_WITH_LZ4
                                         ,
                                         kvbackup::Lz4Codec
#endif
#if KVBACKUP_WITH_ZSTD
                                         ,
                                         kvbackup::ZstdCodec
#endif
                                         >;

template <class Checksum, class Codec, class Collector>
std::string write_with(const Model& model, const kvbackup::TableOptions& options,
                       const Codec& codec, kvbackup::TableSummary* summary, Collector collector) {
  std::string file;
  kvbackup::TableWriter<Codec, Checksum, StringOutput, Collector> writer(
      options, codec, StringOutput{&file}, std::move(collector));
  for (const auto& [key, value] : model) require_ok(writer.add(key, value));
  auto result = writer.finish();
  require_ok(result.status());
  if (summary != nullptr) *summary = result.value();
  return file;
}

/// The file that our writer makes of `model`.
template <class Codec, class Collector = kvbackup::NoCollector>
std::string write_ours(const Model& model, const kvbackup::TableOptions& options,
                       const Codec& codec, kvbackup::TableSummary* summary = nullptr,
                       Collector collector = {},
                       kvbackup::ChecksumKind checksum = kvbackup::ChecksumKind::crc32c) {
  using kvbackup::ChecksumKind;
  switch (checksum) {
    case ChecksumKind::none:
      return write_with<kvbackup::NoneChecksum>(model, options, codec, summary, collector);
    case ChecksumKind::crc32c:
      return write_with<kvbackup::Crc32cChecksum>(model, options, codec, summary, collector);
#if KVBACKUP_WITH_XXHASH
    case ChecksumKind::xxhash:
      return write_with<kvbackup::XxHashChecksum>(model, options, codec, summary, collector);
    case ChecksumKind::xxhash64:
      return write_with<kvbackup::XxHash64Checksum>(model, options, codec, summary, collector);
    case ChecksumKind::xxh3:
      return write_with<kvbackup::Xxh3Checksum>(model, options, codec, summary, collector);
#endif
    default: break;
  }
  throw std::runtime_error("no such checksum");
}

/// The same extractor as RocksDB sees it, or none.
inline std::shared_ptr<const rocksdb::SliceTransform> rocksdb_extractor(
    const kvbackup::PrefixExtractor& ours) {
  using kvbackup::PrefixExtractor;
  if (!ours.enabled()) return nullptr;
  for (std::size_t bytes = 0; bytes < 64; ++bytes) {
    if (ours == PrefixExtractor::fixed_suffix(bytes)) {
      return std::make_shared<FixedSuffixTransform>(bytes);
    }
    if (ours == PrefixExtractor::fixed_prefix(bytes)) {
      return std::shared_ptr<const rocksdb::SliceTransform>(
          rocksdb::NewFixedPrefixTransform(bytes));
    }
  }
  throw std::runtime_error("no such extractor");
}

/// RocksDB's options that say the same as ours.
inline rocksdb::Options rocksdb_options(
    const kvbackup::TableOptions& ours, std::shared_ptr<const rocksdb::SliceTransform> extractor,
    rocksdb::CompressionType compression,
    kvbackup::ChecksumKind checksum = kvbackup::ChecksumKind::crc32c) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = ours.format_version;
  table.checksum = static_cast<rocksdb::ChecksumType>(checksum);
  table.block_align = ours.block_align;
  table.index_type = static_cast<rocksdb::BlockBasedTableOptions::IndexType>(ours.index_type);
  table.index_block_restart_interval = static_cast<int>(ours.index_block_restart_interval);
  table.metadata_block_size = ours.metadata_block_size;
  table.partition_filters = ours.partition_filters;
  table.block_size = ours.block_size;
  table.block_size_deviation = static_cast<int>(ours.block_size_deviation);
  table.block_restart_interval = static_cast<int>(ours.block_restart_interval);
  table.index_shortening =
      static_cast<rocksdb::BlockBasedTableOptions::IndexShorteningMode>(ours.index_shortening);
  table.whole_key_filtering = ours.whole_key_filtering;
  if (ours.has_filter()) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(ours.filter_bits_per_key, false));
  }
  rocksdb::Options options;
  options.compression = compression;
  options.bottommost_compression = compression;
  options.prefix_extractor = std::move(extractor);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

/// Strings with runs of 0x00 and 0xff, shared prefixes and prefixes of one another.
inline Model random_model(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  Model model;
  while (model.size() < count) {
    std::string key;
    if (random() % 8 != 0) key = "common/prefix/" + std::to_string(random() % (count / 20 + 1));
    const std::size_t tail = random() % 20;
    for (std::size_t i = 0; i < tail; ++i) key.push_back(static_cast<char>(random()));
    if (random() % 16 == 0) key.append(1 + random() % 9, '\xff');
    if (random() % 16 == 0) key.append("\x01\0\0\0\0\0\0", 8);
    std::string value(random() % 4 == 0 ? 0 : random() % 150, '\0');
    for (char& c : value) c = static_cast<char>(random() % 3 == 0 ? random() : 'v');
    if (random() % 2000 == 0) value.append(65536, 'L');
    model.emplace(std::move(key), std::move(value));
  }
  return model;
}

/// Keys of 24 bytes in order, values of 40 that compress.
inline Model even_model(std::size_t count) {
  Model model;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(1000000000 + 7 * i);
    model.emplace("even/key/" + number + "/tail", "value " + number + std::string(24, 'x'));
  }
  return model;
}

/// Keys and values of few different bytes, most of them 0xff.
inline Model ff_model(std::size_t count) {
  std::mt19937 random(7);
  Model model;
  while (model.size() < count) {
    std::string key(1 + random() % 24, '\xff');
    for (char& c : key) c = static_cast<char>(random() % 3 == 0 ? 0xfd + random() % 3 : 0xff);
    model.emplace(std::move(key), std::string(random() % 40, static_cast<char>(random())));
  }
  return model;
}

}  // namespace rocksdb_test
