// SPDX-License-Identifier: Apache-2.0
// What instructions.py counts the instructions of: each function below `measured_` is one piece of
// work over PAIRS_A pairs of set A or PAIRS_D of set D, called once. Prints one line for each:
// its name and the number of pairs.
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include <kvbackup/codec/none.hpp>
#include <kvbackup/hash/crc64.hpp>
#include <kvbackup/sst/checksum.hpp>
#include <kvbackup/sst/table_reader.hpp>
#include <kvbackup/sst/table_writer.hpp>

#include "data_sets.hpp"
#include "measure.hpp"

namespace {

using namespace kvbackup;
using Decoders = TableDecoders<CodecSet<NoneCodec>, ChecksumSet<Xxh3Checksum>>;

void check(const Status& status) {
  if (!status.ok()) bench::die("kvbackup: " + status.to_string());
}

struct StringOutput {
  Status append(ByteView bytes) {
    file.append(bytes);
    return {};
  }
  std::string file;
};

std::string build(const bench::Arena& arena, bool with_filter) {
  TableOptions options = TableOptions::rocksdb();
  if (!with_filter) options.filter = FilterKind::none;
  TableWriter<NoneCodec, Xxh3Checksum, StringOutput> writer(options, NoneCodec{}, StringOutput{});
  writer.output().file.reserve(2 * arena.used_bytes());
  for (auto at = arena.begin(); at.valid(); at.next()) check(writer.add(at.key(), at.value()));
  check(writer.finish().status());
  return std::move(writer.output().file);
}

std::uint64_t pair_crcs(const bench::Arena& arena) {
  std::uint64_t sum = 0;
  for (auto at = arena.begin(); at.valid(); at.next()) sum ^= crc64_xz_pair(at.key(), at.value());
  return sum;
}

std::uint64_t decode(const std::string& file) {
  const auto reader = TableReader<MemoryFile, Decoders>::open(MemoryFile::borrow(file));
  check(reader.status());
  std::uint64_t touched = 0;
  auto at = reader.value().source();
  for (; at.valid(); at.next()) touched += at.key().size() + at.value().size();
  check(at.status());
  return touched;
}

}  // namespace

// Not inlined and by these names, so that the tool finds them.
#define MEASURED(name, type, parameter) \
  extern "C" [[gnu::noinline]] type measured_##name(parameter); \
  type measured_##name(parameter)

MEASURED(table_a, std::string, const bench::Arena& pairs) { return build(pairs, false); }
MEASURED(table_d, std::string, const bench::Arena& pairs) { return build(pairs, false); }
MEASURED(filter_d, std::string, const bench::Arena& pairs) { return build(pairs, true); }
MEASURED(crc64_a, std::uint64_t, const bench::Arena& pairs) { return pair_crcs(pairs); }
MEASURED(crc64_d, std::uint64_t, const bench::Arena& pairs) { return pair_crcs(pairs); }
MEASURED(decode_a, std::uint64_t, const std::string& file) { return decode(file); }
MEASURED(decode_d, std::uint64_t, const std::string& file) { return decode(file); }

int main() {
  const bench::Arena a('A', 2u << 20);
  const bench::Arena d('D', 512u << 10);
  const std::string table_a = measured_table_a(a);
  const std::string table_d = measured_table_d(d);
  const std::uint64_t touched = measured_filter_d(d).size() + measured_crc64_a(a) +
                                measured_crc64_d(d) + measured_decode_a(table_a) +
                                measured_decode_d(table_d);
  bench::keep(touched);
  std::printf("a %llu\nd %llu\n", static_cast<unsigned long long>(a.count()),
              static_cast<unsigned long long>(d.count()));
}
