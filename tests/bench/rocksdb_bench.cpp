// SPDX-License-Identifier: Apache-2.0
// rocksdb_bench: what RocksDB's users can do today, timed. Options: options.hpp. Modes:
//
//   iterate        walks the input only: what the harness costs
//   table          SstFileWriter (default)
//   pipeline       SstFileWriter into memory and CRC-64 of every pair, then the file is read,
//                  hashed with SHA-256 and written with fdatasync: what TiKV does
//   pipeline-memory  the same without a file
//   pipeline-file  SstFileWriter to the file and CRC-64, then the file is read for SHA-256
//   scan           SstFileReader's iterator over the files that were written
//   verify         scan, CRC-64 of every pair and SHA-256 of every file
//   verify-blocks  SstFileReader::VerifyChecksum
//   ingest mkdb dbscan dbpipeline checkpoint backup restore   rocksdb_database.hpp
#include <array>
#include <atomic>
#include <dlfcn.h>
#include <memory>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

#include "data_sets.hpp"
#include "measure.hpp"
#include "options.hpp"
#include "report.hpp"
#include "rocksdb_database.hpp"
#include "rocksdb_tables.hpp"

namespace {

std::atomic<int> next_cpu{-1};  // below 0: threads are not pinned

}  // namespace

// Threads that RocksDB starts itself are reached by standing in for pthread_create.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*function)(void*), void* argument) {
  using Real = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const Real real = reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (next_cpu < 0) return real(thread, attributes, function, argument);
  struct Start {
    void* (*function)(void*);
    void* argument;
    int cpu;
  };
  const auto run = [](void* p) -> void* {
    const std::unique_ptr<Start> start(static_cast<Start*>(p));
    bench::pin_this_thread(start->cpu);
    return start->function(start->argument);
  };
  return real(thread, attributes, run, new Start{function, argument, next_cpu++});
}

namespace bench {
namespace {

RunResult export_all(const Options& options, const Arena& arena) {
  if (options.writers == 1) return export_tables(options, options.mode, arena.begin());
  const auto n = static_cast<unsigned>(options.writers);
  std::vector<RunResult> parts(n);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < n; ++i) {
    threads.emplace_back([&, i] {
      Options mine = options;
      mine.path += ".w" + std::to_string(i);
      parts[i] = export_tables(mine, options.mode, arena.part(i, n));
    });
  }
  for (auto& thread : threads) thread.join();
  RunResult sum;
  for (const RunResult& part : parts) sum.add(part);
  return sum;
}

RunResult run(const Options& options, const Arena* arena, Section& section) {
  const std::string& mode = options.mode;
  if (mode == "ingest") return ingest(options, section);
  if (mode == "mkdb") return make_database(options, *arena, section);
  if (mode == "dbscan" || mode == "dbpipeline") return walk_database(options, section);
  if (mode == "checkpoint") return checkpoint(options, section);
  if (mode == "backup" || mode == "restore") return back_up_database(options, section);
  section = Section();
  RunResult result;
  if (mode == "iterate") {
    result = iterate(*arena);
  } else if (mode == "table" || mode.starts_with("pipeline")) {
    result = export_all(options, *arena);
  } else if (mode == "scan" || mode == "verify" || mode == "verify-blocks") {
    result = read_tables(options);
  } else {
    die("there is no mode " + mode);
  }
  section.stop();
  return result;
}

bool needs_pairs(const std::string& mode) {
  constexpr std::array modes = {"iterate",         "table",         "pipeline",
                                "pipeline-memory", "pipeline-file", "mkdb"};
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  const bench::Options options = bench::parse_options(argc, argv, "table");
  if (options.pin) {
    bench::pin_this_thread(0);
    next_cpu = options.writers > 1 ? 0 : 1;
  }
  std::unique_ptr<bench::Arena> arena;
  if (bench::needs_pairs(options.mode)) {
    arena = std::make_unique<bench::Arena>(options.set, options.raw_mib << 20, options.seed);
  }
  for (int i = 0; i < options.repeat; ++i) {
    bench::Section section;
    const bench::RunResult result = bench::run(options, arena.get(), section);
    bench::print_line("rocksdb", options, result, section, i == 0 ? arena.get() : nullptr);
  }
}
