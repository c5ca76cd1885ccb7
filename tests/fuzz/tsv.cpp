// SPDX-License-Identifier: Apache-2.0
// TSV files. An input is the format (1 byte) and the file; what is read is written and read again.
#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

// Every pair of `text` to `use`, and how that ended.
template <class Use>
Status read(ByteView text, const TsvOptions& options, Use use) {
  TsvSource<MemoryReader> source(MemoryReader(text), options);
  std::string last;
  bool first = true;
  for (; source.valid(); source.next()) {
    fuzz::require(first || ByteView(last) < source.key(), "keys do not rise");
    fuzz::require(source.line() > 0, "a line has no number");
    use(source.key(), source.value());
    last.assign(source.key());
    first = false;
  }
  return source.status();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  TsvOptions options;
  options.format = static_cast<KeyFormat>(input.number(1) % 3);
  options.longest_line = 4096;
  std::string escaped;
  // The reader's buffer is of 64 KiB, and grows by half where a line needs it.
  const fuzz::AllocationLimit limit(64 * size + (512 << 10));
  TsvSink<StringWriter> sink(StringWriter(escaped), KeyFormat::escaped);
  std::size_t pairs = 0;
  const Status status = read(input.rest(), options, [&](ByteView key, ByteView value) {
    fuzz::require_ok(sink.put(key, value));
    ++pairs;
  });
  if (!status.ok()) return 0;
  fuzz::require_ok(sink.finish());
  TsvOptions as_written;
  as_written.format = KeyFormat::escaped;
  std::size_t pairs_again = 0;
  fuzz::require_ok(read(escaped, as_written, [&](ByteView, ByteView) { ++pairs_again; }));
  fuzz::require(pairs == pairs_again, "the pairs that were written are not those read");
  return 0;
}
