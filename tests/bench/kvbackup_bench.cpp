// SPDX-License-Identifier: Apache-2.0
// kvbackup_bench: what this library does with the same pairs as rocksdb_bench. Options:
// options.hpp. Modes:
//
//   iterate        walks the input only: what the harness costs
//   table          TableWriter into files at PATH (default)
//   pipeline       BackupPipeline into the folder PATH.backup: tables, CRC-64 of every pair,
//                  SHA-256, files that are synced, backupmeta
//   pipeline-memory  the same into memory
//   generated      the same into nowhere, of --pairs pairs that are made on the way and never held:
//                  whether the cost is linear in their number and size; RAW_MIB is not looked at
//   scan           TableReader's pairs of the files at PATH, whoever wrote them
//   verify-blocks  TableReader::verify_blocks of them
//   verify         Backup::verify of PATH.backup: every byte and every pair
#include <algorithm>
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "data_sets.hpp"
#include "measure.hpp"
#include "options.hpp"
#include "report.hpp"

namespace bench {
namespace {

using namespace kvbackup;

void check(const Status& status) {
  if (!status.ok()) die("kvbackup: " + status.to_string());
}

// As RocksDB's defaults have it, with what the command line says.
TableOptions table_options(const Options& options) {
  TableOptions out = TableOptions::rocksdb();
  out.block_size = static_cast<std::uint32_t>(options.block_size);
  out.filter = options.bloom != 0 ? FilterKind::fast_local_bloom : FilterKind::none;
  out.filter_bits_per_key = static_cast<std::uint32_t>(options.bloom);
  return out;
}

// Keys as they are, in such tables.
class TablesOnly : public PlainLayout {
 public:
  using Checksum = Xxh3Checksum;
  explicit TablesOnly(TableOptions options) : options_(std::move(options)) {}
  [[nodiscard]] TableOptions table_options(std::string_view /*cf*/) const { return options_; }

 private:
  TableOptions options_;
};
static_assert(Layout<TablesOnly>);

class ArenaSource {
 public:
  explicit ArenaSource(Arena::Cursor at) : at_(at) {}
  [[nodiscard]] bool valid() const { return at_.valid(); }
  [[nodiscard]] ByteView key() const { return at_.key(); }
  [[nodiscard]] ByteView value() const { return at_.value(); }
  void next() { at_.next(); }
  [[nodiscard]] static Status status() { return {}; }

 private:
  Arena::Cursor at_;
};
static_assert(SortedSource<ArenaSource>);

// A file that is written 256 KiB at a time.
class FileOutput {
 public:
  explicit FileOutput(const std::string& path) {
    auto file = FileHandle::open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    check(file.status());
    file_ = std::move(file).value();
  }
  Status append(ByteView bytes) {
    buffer_.append(bytes);
    if (buffer_.size() < buffer_size) return {};
    return flush();
  }
  Status flush() {
    Status status = file_.write_all(buffer_);
    buffer_.clear();
    return status;
  }

 private:
  static constexpr std::size_t buffer_size = 256 << 10;
  FileHandle file_;
  std::string buffer_;
};

template <class Codec>
RunResult write_tables(const Options& options, const Codec& codec, Arena::Cursor at) {
  RunResult result;
  while (at.valid()) {
    TableWriter<Codec, Xxh3Checksum, FileOutput> writer(
        table_options(options), codec, FileOutput(options.file_name(result.files++)));
    std::uint64_t raw = 0;
    for (; at.valid() && raw < options.file_bytes(); at.next()) {
      check(writer.add(at.key(), at.value()));
      raw += at.key().size() + at.value().size();
      ++result.pairs;
    }
    const auto summary = writer.finish();
    check(summary.status());
    check(writer.output().flush());
    result.raw_bytes += raw;
    result.output_bytes += summary.value().file_size;
  }
  return result;
}

// Threads on the CPUs in turn, where that is asked for: some kernels keep two on one.
class PinnedThreads final : public Executor {
 public:
  explicit PinnedThreads(bool pin) : pin_(pin) {}
  void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
    threads_.run(count, [&](std::size_t i) {
      if (pin_) pin_this_thread(static_cast<int>(i));
      task(i);
    });
  }

 private:
  ThreadExecutor threads_;
  bool pin_;
};

template <class Codec, class Source, class Backend>
RunResult back_up(const Options& options, const Codec& codec, Source source, Backend backend) {
  BackupPipeline pipeline(std::move(source), codec, FileHasher{}, std::move(backend),
                          TablesOnly(table_options(options)));
  BackupOptions how;
  how.part_size = options.file_bytes();
  PinnedThreads threads(options.pin);
  how.executor = &threads;
  how.concurrency = static_cast<std::size_t>(options.threads);
  const auto written = pipeline.run_detailed(how);
  check(written.status());
  const KvbackupTotals& totals = *written.value().info.totals;
  RunResult result;
  result.pairs = totals.kvs;
  result.raw_bytes = totals.bytes;
  result.output_bytes = totals.stored_bytes;
  result.files = totals.files;
  result.has_crc = true;
  result.crc64xor = totals.crc64xor;
  return result;
}

template <class Codec>
RunResult export_part(const Options& options, const Codec& codec, Arena::Cursor at) {
  if (options.mode == "table") return write_tables(options, codec, at);
  const ArenaSource source(at);
  if (options.mode == "pipeline-memory") return back_up(options, codec, source, MemoryBackend());
  return back_up(options, codec, source, LocalBackend(options.path + ".backup"));
}

template <class Codec>
RunResult export_all(const Options& options, const Codec& codec, const Arena& arena) {
  if (options.writers == 1) return export_part(options, codec, arena.begin());
  const auto n = static_cast<unsigned>(options.writers);
  std::vector<RunResult> parts(n);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < n; ++i) {
    threads.emplace_back([&, i] {
      if (options.pin) pin_this_thread(static_cast<int>(i));
      Options mine = options;
      mine.path += ".w" + std::to_string(i);
      parts[i] = export_part(mine, codec, arena.part(i, n));
    });
  }
  for (auto& thread : threads) thread.join();
  RunResult sum;
  for (const RunResult& part : parts) sum.add(part);
  return sum;
}

template <class Codec>
RunResult back_up_generated(const Options& options, const Codec& codec) {
  auto source = GeneratorSource::make(
      {.count = options.pairs, .value_size = static_cast<std::size_t>(options.value_size)});
  check(source.status());
  return back_up(options, codec, std::move(source).value(), NoopBackend());
}

template <class Codec>
RunResult write_with(const Options& options, const Codec& codec, const Arena* arena) {
  return arena != nullptr ? export_all(options, codec, *arena) : back_up_generated(options, codec);
}

RunResult write_with_codec(const Options& options, const Arena* arena) {
  if (options.codec == "none") return write_with(options, NoneCodec{}, arena);
  if (options.codec == "snappy") return write_with(options, SnappyCodec{}, arena);
  if (options.codec == "lz4") return write_with(options, Lz4Codec{}, arena);
  if (options.codec == "zstd") return write_with(options, ZstdCodec{.level = options.level}, arena);
  die("the codec is none, snappy, lz4 or zstd");
}

RunResult read_tables(const Options& options) {
  RunResult result;
  std::uint64_t touched = 0;
  while (result.files == 0 || std::filesystem::exists(options.file_name(result.files))) {
    if (result.files > 0 && options.file_mb == 0) break;
    auto file = PosixFile::open(options.file_name(result.files));
    check(file.status());
    const auto reader = TableReader<PosixFile, BuiltDecoders>::open(std::move(file).value());
    check(reader.status());
    ++result.files;
    result.output_bytes += reader.value().file_size();
    if (options.mode == "verify-blocks") {
      check(reader.value().verify_blocks());
      const TableProperties& properties = reader.value().properties();
      constexpr std::uint64_t tail = 8;  // of an internal key
      result.pairs += properties.num_entries;
      result.raw_bytes +=
          properties.raw_key_size - tail * properties.num_entries + properties.raw_value_size;
      continue;
    }
    auto at = reader.value().source();
    for (; at.valid(); at.next()) {
      const ByteView value = at.value();
      result.raw_bytes += at.key().size() + value.size();
      if (!value.empty()) touched += static_cast<unsigned char>(value.back());
      ++result.pairs;
    }
    check(at.status());
  }
  keep(touched);
  return result;
}

RunResult verify(const Options& options) {
  const auto backup = Backup<LocalBackend>::open(LocalBackend(options.path + ".backup"));
  check(backup.status());
  const auto report = backup.value().verify();
  check(report.status());
  for (const Finding& finding : report.value().findings) die("kvbackup: " + finding.to_string());
  RunResult result;
  result.pairs = report.value().pairs;
  result.raw_bytes = report.value().bytes;
  result.output_bytes = report.value().stored_bytes;
  result.files = report.value().files;
  result.has_crc = true;  // proven to be that of the pairs
  result.crc64xor = backup.value().manifest().info->totals->crc64xor;
  return result;
}

RunResult run(const Options& options, const Arena* arena) {
  const std::string& mode = options.mode;
  if (mode == "iterate") return iterate(*arena);
  if (mode == "table" || mode.starts_with("pipeline") || mode == "generated") {
    return write_with_codec(options, arena);
  }
  if (mode == "scan" || mode == "verify-blocks") return read_tables(options);
  if (mode == "verify") return verify(options);
  die("there is no mode " + mode);
}

// A backup is never written over another one.
void remove_backups(const Options& options) {
  std::filesystem::remove_all(options.path + ".backup");
  for (int i = 0; i < options.writers; ++i) {
    std::filesystem::remove_all(options.path + ".w" + std::to_string(i) + ".backup");
  }
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  const bench::Options options = bench::parse_options(argc, argv, "table");
  constexpr std::array needs_pairs = {"iterate", "table", "pipeline", "pipeline-memory"};
  std::unique_ptr<bench::Arena> arena;
  if (std::find(needs_pairs.begin(), needs_pairs.end(), options.mode) != needs_pairs.end()) {
    arena = std::make_unique<bench::Arena>(options.set, options.raw_mib << 20, options.seed);
  }
  for (int i = 0; i < options.repeat; ++i) {
    if (options.mode == "pipeline") bench::remove_backups(options);
    bench::Section section;
    const bench::RunResult result = bench::run(options, arena.get());
    section.stop();
    bench::print_line("kvbackup", options, result, section, i == 0 ? arena.get() : nullptr);
  }
}
