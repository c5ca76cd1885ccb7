// SPDX-License-Identifier: Apache-2.0
// Small tables that RocksDB and LevelDB write.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include <leveldb/env.h>
#include <leveldb/options.h>
#include <leveldb/table_builder.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

namespace fuzz {

/// For a Status of either.
template <class Status>
void require_ok(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

/// The bytes of the file at `path`, which goes.
inline std::string take_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::filesystem::remove(path);
  return bytes;
}
inline std::string temporary_path() {
  return (std::filesystem::temp_directory_path() / ("fuzz_seed." + std::to_string(::getpid())))
      .string();
}

inline std::string rocksdb_table(const rocksdb::BlockBasedTableOptions& table,
                                 rocksdb::CompressionType compression, std::size_t pairs) {
  rocksdb::Options options;
  options.compression = compression;
  if (compression == rocksdb::kZSTD) options.compression_opts.max_dict_bytes = 512;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  const std::string path = temporary_path();
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
  require_ok(writer.Open(path));
  for (std::size_t i = 0; i < pairs; ++i) {
    const std::string key = "key/" + std::to_string(1000 + i);
    if (i % 7 == 3) {
      require_ok(writer.Delete(key));
    } else if (i % 7 == 5) {
      require_ok(writer.Merge(key, "m"));
    } else {
      require_ok(writer.Put(key, std::string(i % 30, 'v')));
    }
  }
  require_ok(writer.DeleteRange("key/1003", "key/1006"));
  require_ok(writer.DeleteRange("key/2", "key/3"));
  require_ok(writer.Finish());
  return take_file(path);
}

/// LevelDB's, whose metaindex and index may be compressed too.
inline std::string leveldb_table(leveldb::CompressionType compression) {
  leveldb::Options options;
  options.block_size = 128;
  options.compression = compression;
  const std::string path = temporary_path();
  leveldb::WritableFile* opened = nullptr;
  require_ok(options.env->NewWritableFile(path, &opened));
  const std::unique_ptr<leveldb::WritableFile> file(opened);
  leveldb::TableBuilder builder(options, opened);
  for (int i = 0; i < 40; ++i) {
    // an internal key: sequence number 0, and 1 = a value, 0 = a deletion
    const char type = i % 7 == 3 ? '\0' : '\1';
    builder.Add("key/" + std::to_string(1000 + i) + type + std::string(7, '\0'),
                std::string(static_cast<std::size_t>(i), 'v'));
  }
  require_ok(builder.Finish());
  require_ok(file->Close());
  return take_file(path);
}

/// Every index type, filter and version, half of them without checksums.
inline std::map<std::string, std::string> foreign_tables() {
  using Options = rocksdb::BlockBasedTableOptions;
  std::map<std::string, std::string> tables;
  const auto add = [&tables](const std::string& name, Options options,
                             rocksdb::CompressionType compression) {
    options.block_size = 128;
    options.metadata_block_size = 64;
    options.checksum = rocksdb::kNoChecksum;
    tables["rocksdb_" + name] = rocksdb_table(options, compression, 40);
    options.checksum = rocksdb::kxxHash64;
    tables["rocksdb_" + name + "_xxhash64"] = rocksdb_table(options, compression, 40);
  };
  for (const std::uint32_t version : {0u, 3u, 4u, 5u}) {
    Options options;
    options.format_version = version;
    add("v" + std::to_string(version), options, rocksdb::kNoCompression);
    add("v" + std::to_string(version) + "_lz4", options, rocksdb::kLZ4Compression);
  }
  Options first_key;
  first_key.index_type = Options::kBinarySearchWithFirstKey;
  add("first_key", first_key, rocksdb::kZSTD);
  Options two_level;
  two_level.index_type = Options::kTwoLevelIndexSearch;
  two_level.partition_filters = true;
  two_level.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  add("two_level_bloom", two_level, rocksdb::kSnappyCompression);
  Options ribbon;
  ribbon.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(10));
  ribbon.data_block_index_type = Options::kDataBlockBinaryAndHash;
  add("ribbon_hash", ribbon, rocksdb::kNoCompression);
  tables["leveldb"] = leveldb_table(leveldb::kNoCompression);
  tables["leveldb_snappy"] = leveldb_table(leveldb::kSnappyCompression);
  return tables;
}

}  // namespace fuzz
