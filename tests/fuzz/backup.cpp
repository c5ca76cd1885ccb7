// SPDX-License-Identifier: Apache-2.0
// Whole backups: open, verify, get, scan. An input is how its backupmeta is to be treated (1 byte,
// Mending) and the objects: length of the name (1 byte) and the name, length (3 bytes,
// little-endian) and the content.
#include <algorithm>

#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

// The fuzzer cannot guess digests. These bits have right ones put in, so that it gets behind them.
enum Mending : std::uint64_t { seal = 1, file_digests = 2, sizes = 4, range_ends = 8 };

constexpr std::size_t most_pairs = 5000;

void expect_read_error(const Status& status) {
  switch (status.code()) {
    case StatusCode::ok:
    case StatusCode::corruption:
    case StatusCode::unsupported:
    case StatusCode::not_found:
    case StatusCode::invalid_argument:
    case StatusCode::resource_exhausted: return;
    default: fuzz::fail(status.to_string().c_str());
  }
}

void put(MemoryBackend& backend, std::string_view name, ByteView content) {
  auto writer = backend.create(name, {.size_hint = std::nullopt, .if_absent = false});
  if (!writer.ok()) return;  // no name of an object
  fuzz::require_ok(writer.value().append(content));
  fuzz::require_ok(writer.value().commit().status());
}

void mend_files(const MemoryBackend& backend, std::uint64_t what, BackupMeta& meta,
                KvbackupInfo& info) {
  info.file_crc32c.clear();
  info.totals.emplace();
  for (File& file : meta.files) {
    const auto bytes = backend.read(file.name);
    const std::string content = bytes.ok() ? bytes.value() : std::string();
    if ((what & Mending::file_digests) != 0) {
      file.sha256 = std::string(as_bytes(PortableSha256::of(content)));
    }
    if ((what & Mending::sizes) != 0) file.size = content.size();
    info.file_crc32c.push_back(crc32c(content));
    info.totals->files += 1;
    info.totals->kvs += file.total_kvs;
    info.totals->bytes += file.total_bytes;
    info.totals->stored_bytes += file.size;
    info.totals->crc64xor ^= file.crc64xor;
  }
}

void mend(MemoryBackend& backend, std::uint64_t what) {
  if (what == 0) return;
  const auto bytes = backend.read(backupmeta_name);
  if (!bytes.ok()) return;
  auto meta = decode<BackupMeta>(bytes.value());
  if (!meta.ok()) return;
  KvbackupInfo info;
  WireReader reader(meta.value().unknown_fields);
  for (WireField field; reader.next(field);) {
    if (field.number != kvbackup_info_field || field.wire_type != WireType::length_delimited) {
      continue;
    }
    auto read = decode<KvbackupInfo>(field.payload);
    if (read.ok()) info = std::move(read).value();
  }
  mend_files(backend, what, meta.value(), info);
  if ((what & Mending::range_ends) != 0) {
    info.ranges.clear();
    info.ranges.emplace_back();
  }
  if ((what & Mending::seal) != 0) {
    info.format = kvbackup_info_format;
    meta.value().unknown_fields.clear();
    put(backend, backupmeta_name, encode_manifest(meta.value(), info));
  } else {
    put(backend, backupmeta_name, encode(meta.value()));
  }
}

using Opened = Backup<MemoryBackend>;

// Reads all that is there, and looks up some of it.
void read(const Opened& backup) {
  const auto ranges = backup.ranges();
  fuzz::require_ok(ranges.status());
  std::size_t pairs = 0;
  for (const KeyRange& range : ranges.value()) {
    expect_read_error(backup.split(range, 100).status());
    static_cast<void>(backup.estimate(range));
    auto source = backup.scan(range);
    expect_read_error(source.status());
    if (!source.ok()) continue;
    std::string last;
    bool first = true;
    for (auto& at = source.value(); at.valid() && pairs < most_pairs; at.next(), ++pairs) {
      fuzz::require(first || ByteView(last) < at.key(), "keys do not rise");
      fuzz::require(range.start <= at.key(), "a key is below the range");
      fuzz::require(range.end.empty() || at.key() < ByteView(range.end), "a key is not in range");
      last.assign(at.key());
      first = false;
    }
    if (!source.value().valid()) expect_read_error(source.value().status());
    expect_read_error(backup.get(range.cf, last).status());
    expect_read_error(backup.get(range.cf, range.start).status());
    if (pairs >= most_pairs) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  // Elements of lists are structs of some hundred bytes, and Zstandard's blocks grow without end:
  // as in the targets `wire` and `table`.
  const fuzz::AllocationLimit limit(3 * 32768 * size + (8 << 20));
  MemoryBackend backend;
  const std::uint64_t mending = input.number(1);
  while (!input.rest().empty()) {
    const ByteView name = input.bytes(static_cast<std::size_t>(input.number(1)));
    put(backend, name, input.bytes(static_cast<std::size_t>(input.number(3))));
  }
  mend(backend, mending);

  const auto quick = verify_backup(backend, FileHasher{}, BuiltDecoders{}, {.quick = true});
  const auto full = verify_backup(backend, FileHasher{}, BuiltDecoders{});
  expect_read_error(quick.status());
  expect_read_error(full.status());
  fuzz::require(quick.ok() == full.ok(), "a quick look and a full one do not agree");
  if (full.ok() && quick.value().is_damaged()) {
    fuzz::require(full.value().is_damaged(), "a full look misses what a quick one finds");
  }
  const auto backup = Opened::open(backend);
  if (!backup.ok()) {
    expect_read_error(backup.status());
    return 0;
  }
  fuzz::require(full.ok(), "a backup is opened that cannot be verified");
  read(backup.value());
  return 0;
}
