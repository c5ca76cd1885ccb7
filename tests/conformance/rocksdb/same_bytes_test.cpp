// SPDX-License-Identifier: Apache-2.0
// Everything before the properties block is what RocksDB's SstFileWriter writes: the cuts of
// blocks, the filter and the index. Properties differ: RocksDB's name the machine and the session.
#include <algorithm>

#include "conformance/rocksdb/rocksdb_support.hpp"
#include "support/catch.hpp"

using namespace rocksdb_test;
using kvbackup::ByteView;
using kvbackup::IndexShortening;
using kvbackup::PrefixExtractor;
using kvbackup::TableOptions;

namespace {

/// The parts of a file before its properties block, trailers included.
struct Regions {
  std::string data;
  std::string filter;
  std::string index;
};

Regions regions_of(const std::string& file, std::size_t data_size) {
  ByteView footer = ByteView(file).substr(file.size() - 53 + 1);
  std::uint64_t handles[4];
  for (std::uint64_t& handle : handles) {
    if (!kvbackup::take_varint64(footer, handle)) throw std::runtime_error("bad footer");
  }
  const std::uint64_t index = handles[2];
  return {file.substr(0, data_size), file.substr(data_size, index - data_size),
          file.substr(index, handles[3] + 5)};
}

/// The filter block of RocksDB 6.29 and later for prefixes alone: with the second key that has a
/// prefix they add an empty one, which RocksDB 6.4, our model, does not.
std::string prefix_filter_of_rocksdb(const Model& model, const TableOptions& options) {
  kvbackup::detail::LegacyBloomBits bits(options.filter_bits_per_key);
  bool after_prefix = false;
  bool has_empty = false;
  for (const auto& [key, value] : model) {
    if (after_prefix && !has_empty) {
      bits.add("");
      has_empty = true;
    }
    after_prefix = options.prefix_extractor.in_domain(key);
    if (after_prefix) bits.add(options.prefix_extractor.transform(key));
  }
  if (bits.empty()) return {};
  kvbackup::detail::GrowingBuffer payload;
  bits.finish(payload);
  std::string block(payload.view());
  const std::uint32_t checksum = kvbackup::Crc32cChecksum::of(block, 0);
  block.push_back(0);
  kvbackup::append_le32(block, checksum);
  return block;
}

/// What SstFileWriter writes, into memory.
std::string write_theirs(const Model& model, rocksdb::Options options) {
  const std::unique_ptr<rocksdb::Env> memory(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  options.env = memory.get();
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
  require_ok(writer.Open("/theirs.sst"));
  for (const auto& [key, value] : model) require_ok(writer.Put(key, value));
  require_ok(writer.Finish());
  std::string file;
  require_ok(rocksdb::ReadFileToString(memory.get(), "/theirs.sst", &file));
  return file;
}

/// Without Catch's own comparison, which would print megabytes.
bool same_bytes(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  UNSCOPED_INFO("sizes " << a.size() << " and " << b.size() << ", first difference at " << at);
  return false;
}

template <class Codec>
void check_same(const Model& model, TableOptions ours,
                const std::shared_ptr<const rocksdb::SliceTransform>& extractor, const Codec& codec,
                rocksdb::CompressionType compression) {
  CAPTURE(ours.block_size, ours.block_size_deviation, ours.block_restart_interval,
          ours.filter_bits_per_key, ours.whole_key_filtering, ours.prefix_extractor.name(),
          static_cast<int>(ours.index_shortening), model.size());
  // The type byte of shortened index keys in RocksDB 7.8, which has wide-column entities.
  ours.index_seek_type = 0x16;
  kvbackup::TableSummary summary;
  const std::string file = write_ours(model, ours, codec, &summary);
  const Regions mine = regions_of(file, summary.data_size);
  const Regions theirs = regions_of(
      write_theirs(model, rocksdb_options(ours, extractor, compression)), summary.data_size);
  CHECK(same_bytes(mine.data, theirs.data));
  CHECK(same_bytes(mine.index, theirs.index));
  if (ours.whole_key_filtering) {
    CHECK(same_bytes(mine.filter, theirs.filter));
  } else {
    CHECK(same_bytes(prefix_filter_of_rocksdb(model, ours), theirs.filter));
  }
}

template <class Codec>
void check_layouts(const Codec& codec, rocksdb::CompressionType compression) {
  const auto same = [&](const Model& model, const TableOptions& options) {
    std::shared_ptr<const rocksdb::SliceTransform> extractor;
    if (options.prefix_extractor == PrefixExtractor::fixed_prefix(9)) {
      extractor.reset(rocksdb::NewFixedPrefixTransform(9));
    } else if (options.prefix_extractor == PrefixExtractor::fixed_suffix(8)) {
      extractor = std::make_shared<FixedSuffixTransform>(8);
    }
    check_same(model, options, extractor, codec, compression);
  };
  const std::vector<Model> models{random_model(20000, 3), even_model(20000), Model{{"k", "v"}},
                                  Model{{"", ""}, {"\x01", ""}, {std::string("\x01\0", 2), "v"}}};
  for (const Model& model : models) {
    for (const std::uint32_t block_size : {1u, 500u, 1024u, 4096u, 16384u, 65536u}) {
      TableOptions options;
      options.block_size = block_size;
      same(model, options);
    }
    for (const std::uint32_t deviation : {0u, 1u, 50u, 100u}) {
      TableOptions options;
      options.block_size = 4096;
      options.block_size_deviation = deviation;
      same(model, options);
    }
    for (const std::uint32_t restart_interval : {1u, 3u, 1000u}) {
      TableOptions options;
      options.block_size = 4096;
      options.block_restart_interval = restart_interval;
      same(model, options);
    }
    for (const std::uint32_t bits : {0u, 1u, 5u, 14u, 20u, 50u}) {
      TableOptions options;
      options.block_size = 4096;
      options.filter_bits_per_key = bits;
      same(model, options);
    }
    for (const auto shortening :
         {IndexShortening::none, IndexShortening::separators_and_successor}) {
      TableOptions options;
      options.block_size = 1024;
      options.index_shortening = shortening;
      same(model, options);
    }
    for (const auto& extractor :
         {PrefixExtractor::fixed_prefix(9), PrefixExtractor::fixed_suffix(8)}) {
      for (const bool whole_keys : {false, true}) {
        TableOptions options;
        options.block_size = 4096;
        options.prefix_extractor = extractor;
        options.whole_key_filtering = whole_keys;
        same(model, options);
      }
    }
  }
}

}  // namespace

TEST_CASE("data, filter and index without compression are RocksDB's own bytes") {
  check_layouts(kvbackup::NoneCodec{}, rocksdb::kNoCompression);
}

#if KVBACKUP_WITH_LZ4
TEST_CASE("data, filter and index with LZ4 in its exact mode are RocksDB's own bytes") {
  check_layouts(kvbackup::Lz4Codec{.exact = true}, rocksdb::kLZ4Compression);
}
#endif

#if KVBACKUP_WITH_SNAPPY
TEST_CASE("data, filter and index with Snappy are RocksDB's own bytes") {
  check_layouts(kvbackup::SnappyCodec{}, rocksdb::kSnappyCompression);
}
#endif

#if KVBACKUP_WITH_ZSTD
TEST_CASE("data, filter and index with Zstandard in its exact mode are RocksDB's own bytes") {
  check_layouts(kvbackup::ZstdCodec{.exact = true}, rocksdb::kZSTD);
}
#endif
