// SPDX-License-Identifier: Apache-2.0
// What RocksDB's users do today to write and to prove tables.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <isa-l/crc64.h>
#include <openssl/evp.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <sys/stat.h>

#include "measure.hpp"
#include "options.hpp"
#include "report.hpp"

namespace bench {

inline void check(const rocksdb::Status& status) {
  if (!status.ok()) die("RocksDB: " + status.ToString());
}

inline rocksdb::CompressionType rocksdb_codec(const std::string& name) {
  if (name == "none") return rocksdb::kNoCompression;
  if (name == "snappy") return rocksdb::kSnappyCompression;
  if (name == "lz4") return rocksdb::kLZ4Compression;
  if (name == "zstd") return rocksdb::kZSTD;
  die("the codec is none, snappy, lz4 or zstd");
}

inline rocksdb::Options rocksdb_options(const Options& ours, rocksdb::Env* env = nullptr) {
  rocksdb::Options options;
  options.compression = rocksdb_codec(ours.codec);
  if (ours.level != 0) options.compression_opts.level = ours.level;
  options.compression_opts.parallel_threads = static_cast<std::uint32_t>(ours.parallel);
  rocksdb::BlockBasedTableOptions table;
  table.block_size = ours.block_size;
  table.checksum = ours.checksum == "crc32c" ? rocksdb::kCRC32c : rocksdb::kXXH3;
  if (ours.bloom != 0) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(ours.bloom));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (env != nullptr) options.env = env;
  return options;
}

/// SHA-256 by OpenSSL, as TiKV has it.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void update(std::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  void finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

/// CRC-64/XZ of key and value by ISA-L, the fastest there is.
inline std::uint64_t pair_crc(std::string_view key, std::string_view value) {
  std::uint64_t crc =
      crc64_ecma_refl(0, reinterpret_cast<const unsigned char*>(key.data()), key.size());
  crc = crc64_ecma_refl(crc, reinterpret_cast<const unsigned char*>(value.data()), value.size());
#if defined(__x86_64__)
  // Its AVX-512 routine leaves the upper halves of registers in use, which slows down SSE code that
  // runs next (Snappy by a fifth). A fair reference clears them.
  static const bool has_avx = __builtin_cpu_supports("avx") != 0;
  if (has_avx) __asm__ volatile("vzeroupper" ::: "memory");
#endif
  return crc;
}

inline rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

/// Hashes the file `from`; with `copy`, writes it to `to` meanwhile.
inline void hash_and_store(rocksdb::Env* env, const std::string& from, const std::string& to,
                           bool copy) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  check(env->NewSequentialFile(from, &file, rocksdb::EnvOptions()));
  std::vector<char> buffer(256 << 10);
  int fd = -1;
  if (copy) {
    fd = ::open(to.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) die("cannot create " + to);
  }
  Sha256 sha256;
  for (;;) {
    rocksdb::Slice got;
    check(file->Read(buffer.size(), &got, buffer.data()));
    if (got.empty()) break;
    sha256.update(view(got));
    if (copy && ::write(fd, got.data(), got.size()) != static_cast<ssize_t>(got.size())) {
      die("short write to " + to);
    }
  }
  if (copy && (::fdatasync(fd) != 0 || ::close(fd) != 0)) die("cannot sync " + to);
  sha256.finish();
}

/// One pass of an export over a cursor with valid(), key(), value(), next(): mode `table`,
/// `pipeline`, `pipeline-memory` or `pipeline-file`.
template <class Cursor>
RunResult export_tables(const Options& options, const std::string& mode, Cursor cursor) {
  RunResult result;
  const bool in_memory = mode == "pipeline" || mode == "pipeline-memory";
  result.has_crc = mode != "table";
  std::unique_ptr<rocksdb::Env> memory;
  if (in_memory) memory.reset(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  rocksdb::Env* const env = in_memory ? memory.get() : rocksdb::Env::Default();
  const rocksdb::Options table_options = rocksdb_options(options, env);
  while (cursor.valid()) {
    const std::string to = options.file_name(result.files++);
    const std::string path = in_memory ? "/sst" + std::to_string(result.files) : to;
    std::uint64_t raw = 0;
    {
      rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), table_options, nullptr,
                                    !options.keep_cache);
      check(writer.Open(path));
      for (; cursor.valid() && raw < options.file_bytes(); cursor.next()) {
        const std::string_view key = cursor.key();
        const std::string_view value = cursor.value();
        check(writer.Put(slice(key), slice(value)));
        if (result.has_crc) result.crc64xor ^= pair_crc(key, value);
        raw += key.size() + value.size();
        ++result.pairs;
      }
      rocksdb::ExternalSstFileInfo info;
      check(writer.Finish(&info));
      result.output_bytes += info.file_size;
    }
    result.raw_bytes += raw;
    if (result.has_crc) hash_and_store(env, path, to, mode == "pipeline");
    if (in_memory) check(env->DeleteFile(path));
  }
  return result;
}

inline std::vector<std::string> table_files(const Options& options) {
  std::vector<std::string> files;
  if (options.file_mb == 0) return {options.path};
  while (std::filesystem::exists(options.file_name(files.size()))) {
    files.push_back(options.file_name(files.size()));
  }
  return files;
}

/// Reads the files of an export: mode `scan`, `verify` or `verify-blocks`.
inline RunResult read_tables(const Options& options) {
  RunResult result;
  const bool proves_all = options.mode == "verify";
  result.has_crc = proves_all;
  const rocksdb::Options table_options = rocksdb_options(options);
  std::uint64_t touched = 0;
  for (const std::string& file : table_files(options)) {
    if (proves_all) hash_and_store(rocksdb::Env::Default(), file, "", false);
    rocksdb::SstFileReader reader(table_options);
    check(reader.Open(file));
    ++result.files;
    result.output_bytes += std::filesystem::file_size(file);
    if (options.mode == "verify-blocks") {
      check(reader.VerifyChecksum());
      const auto properties = reader.GetTableProperties();
      constexpr std::uint64_t tail = 8;  // of an internal key
      result.pairs += properties->num_entries;
      result.raw_bytes +=
          properties->raw_key_size - tail * properties->num_entries + properties->raw_value_size;
      continue;
    }
    rocksdb::ReadOptions read_options;
    read_options.verify_checksums = true;
    read_options.fill_cache = false;
    read_options.readahead_size = 2 << 20;
    const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(read_options));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const std::string_view key = view(it->key());
      const std::string_view value = view(it->value());
      result.raw_bytes += key.size() + value.size();
      if (proves_all) result.crc64xor ^= pair_crc(key, value);
      if (!value.empty()) touched += static_cast<unsigned char>(value.back());
      ++result.pairs;
    }
    check(it->status());
  }
  keep(touched);
  return result;
}

}  // namespace bench
