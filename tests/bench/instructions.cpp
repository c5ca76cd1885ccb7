// SPDX-License-Identifier: Apache-2.0
// What instructions.py counts the instructions of: each function measured_* is one piece of work
// over the pairs of set A or D, as its name says, and is called once. Prints how many pairs there
// are.
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

// Not inlined, so that the tool finds them by name.
[[gnu::noinline]] std::string measured_table_a(const bench::Arena& a) { return build(a, false); }
[[gnu::noinline]] std::string measured_table_d(const bench::Arena& d) { return build(d, false); }
[[gnu::noinline]] std::string measured_filter_d(const bench::Arena& d) { return build(d, true); }
[[gnu::noinline]] std::uint64_t measured_crc64_a(const bench::Arena& a) { return pair_crcs(a); }
[[gnu::noinline]] std::uint64_t measured_crc64_d(const bench::Arena& d) { return pair_crcs(d); }
[[gnu::noinline]] std::uint64_t measured_decode_a(const std::string& a) { return decode(a); }
[[gnu::noinline]] std::uint64_t measured_decode_d(const std::string& d) { return decode(d); }

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
