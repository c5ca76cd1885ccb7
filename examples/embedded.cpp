// SPDX-License-Identifier: Apache-2.0
// A small device: no exceptions, RTTI, threads, libraries or streams, and a heap of a stated size.
// Its records become a whole backup, `backupmeta` included, that goes to a callback of the host or,
// built with -DDEVICE_HAS_FILES=1, to a folder. BackupPipeline does this and more; put together by
// hand from its parts it is half as large.
//
//   g++ -std=c++20 -Os -ffunction-sections -fdata-sections -Wl,--gc-sections
//     -fno-exceptions -fno-rtti -DKVBACKUP_WITH_FAST_HASHES=0 -DKVBACKUP_WITH_THREADS=0
//     -DKVBACKUP_WITH_POSIX=0 -Iinclude examples/embedded.cpp
//
// Where exceptions are off, nobody can be told that the heap is full: operator new must not return,
// and here ends the program. Then there is no `backupmeta`, and so no backup.
#include <cstdio>
#include <cstdlib>
#include <new>

#include <kvbackup/kvbackup.hpp>

namespace {

// The device's records: a log of readings, in the order of their numbers.
class Readings {
 public:
  explicit Readings(std::uint32_t count) : count_(count) { next(); }

  bool valid() const { return at_ <= count_; }
  kvbackup::ByteView key() const { return {key_, sizeof key_}; }
  kvbackup::ByteView value() const { return {value_, sizeof value_}; }
  void next() {
    ++at_;
    for (std::uint32_t i = 0; i < 4; ++i) key_[i] = static_cast<char>(at_ >> (24 - 8 * i));
    for (std::uint32_t i = 0; i < sizeof value_; ++i) {
      value_[i] = static_cast<char>('0' + (at_ * (i + 7)) % 10);
    }
  }
  kvbackup::Status status() const { return {}; }

 private:
  std::uint32_t count_;
  std::uint32_t at_ = 0;
  char key_[4];
  char value_[24];
};
static_assert(kvbackup::SortedSource<Readings>);

#if DEVICE_HAS_FILES
using Storage = kvbackup::LocalBackend;
Storage storage() { return Storage("readings"); }
#else
// What the host gives: `bytes` of the object `name` as they come, then null when it is whole.
// False if they could not be taken.
using Send = bool (*)(const char* name, const char* bytes, std::size_t size);

class Uplink {
 public:
  class Writer {
   public:
    Writer(Send send, std::string_view name) : send_(send), info_{.name = std::string(name)} {}

    kvbackup::Status append(kvbackup::ByteView bytes) {
      info_.size += bytes.size();
      return passed(send_(info_.name.c_str(), bytes.data(), bytes.size()));
    }
    kvbackup::Result<kvbackup::ObjectInfo> commit() {
      const kvbackup::Status status = passed(send_(info_.name.c_str(), nullptr, 0));
      if (!status.ok()) return status;
      return info_;
    }
    void abandon() {}  // the host drops what it was not told to be whole

   private:
    kvbackup::Status passed(bool taken) const {
      if (taken) return {};
      return kvbackup::Status::error(kvbackup::StatusCode::io_error, "the uplink is down");
    }
    Send send_;
    kvbackup::ObjectInfo info_;
  };

  explicit Uplink(Send send) : send_(send) {}
  kvbackup::Result<Writer> create(std::string_view name, kvbackup::CreateOptions) const {
    return Writer(send_, name);
  }
  std::string url() const { return "uplink:"; }

 private:
  Send send_;
};
using Storage = Uplink;

std::size_t sent = 0;
Storage storage() {
  return Storage([](const char* name, const char* bytes, std::size_t size) {
    sent += size;
    if (bytes == nullptr) std::printf("%s is whole\n", name);
    return true;
  });
}
#endif

// The heap, in bytes: its size, and what is in use by the heads of the allocations.
#if DEVICE_HAS_FILES
std::size_t heap_size = 400 * 1024;  // LocalBackend gathers 256 KiB for each write
#else
std::size_t heap_size = 96 * 1024;
#endif
std::size_t heap_end = static_cast<std::size_t>(-1);  // before main() it is not ours
std::size_t in_use = 0;
std::size_t most_in_use = 0;
constexpr std::size_t head = alignof(std::max_align_t);

void* take(std::size_t size) {
  void* const raw = size > heap_end - in_use ? nullptr : std::malloc(size + head);
  if (raw == nullptr) {
    std::fputs("the heap is full: the backup ends without a backupmeta\n", stderr);
    std::_Exit(3);
  }
  *static_cast<std::size_t*>(raw) = size;
  in_use += size;
  if (in_use > most_in_use) most_in_use = in_use;
  return static_cast<char*>(raw) + head;
}
void give_back(void* pointer) {
  if (pointer == nullptr) return;
  void* const raw = static_cast<char*>(pointer) - head;
  in_use -= *static_cast<std::size_t*>(raw);
  std::free(raw);
}

}  // namespace

void* operator new(std::size_t size) { return take(size); }
void operator delete(void* pointer) noexcept { give_back(pointer); }
void operator delete(void* pointer, std::size_t /*size*/) noexcept { give_back(pointer); }

namespace {

using Hash = kvbackup::BasicFileHasher<kvbackup::PortableSha256>;

// What a table is written to: every byte is hashed on its way.
struct HashedOutput {
  Hash* hash;
  kvbackup::WriterOf<Storage>* writer;
  kvbackup::Status append(kvbackup::ByteView bytes) {
    hash->add_bytes(bytes);
    return writer->append(bytes);
  }
};

// The one file of the backup: what backupmeta is to say of it is in `file` and `crc32c`.
kvbackup::Status write_file(Readings readings, Storage& to, kvbackup::File& file,
                            std::uint32_t& crc32c) {
  auto writer = to.create(file.name, {});
  if (!writer.ok()) return writer.status();
  Hash hash;
  kvbackup::TableOptions options = kvbackup::TableOptions::br_default_cf();
  options.block_size = 1024;  // an open block is held in memory; so are the index and the filter
  kvbackup::TableWriter<kvbackup::NoneCodec, kvbackup::Crc32cChecksum, HashedOutput> table(
      options, kvbackup::NoneCodec{}, HashedOutput{&hash, &writer.value()});
  for (; readings.valid(); readings.next()) {
    const kvbackup::Status added = table.add(readings.key(), readings.value());
    if (!added.ok()) return added;
    hash.add_pair(readings.key(), readings.value());
  }
  const auto summary = table.finish();
  if (!summary.ok()) return summary.status();
  const auto stored = writer.value().commit();
  if (!stored.ok()) return stored.status();

  const kvbackup::FileDigest digest = hash.finish();
  file.sha256.assign(digest.sha256.data(), digest.sha256.size());
  file.crc64xor = digest.crc64xor;
  file.total_kvs = digest.total_kvs;
  file.total_bytes = digest.total_bytes;
  file.size = stored.value().size;
  crc32c = digest.crc32c;
  return {};
}

kvbackup::Status back_up(Readings readings, Storage to) {
  kvbackup::BackupMeta meta;
  meta.br_version = "kvbackup " KVBACKUP_VERSION_STRING;
  meta.is_raw_kv = true;
  meta.ddls = "null";
  kvbackup::KvbackupInfo info;
  info.format = kvbackup::kvbackup_info_format;
  info.profile = "plain";
  info.ranges.resize(1);  // from the first key to the last
  info.ranges[0].cf = "default";
  info.totals.emplace();
  info.file_crc32c.resize(1);

  meta.files.resize(1);
  kvbackup::File& file = meta.files[0];
  file.cf = "default";
  file.name = kvbackup::sst_file_name({}, {}, file.cf);
  const kvbackup::Status status = write_file(readings, to, file, info.file_crc32c[0]);
  if (!status.ok()) return status;
  info.totals->files = 1;
  info.totals->kvs = file.total_kvs;
  info.totals->bytes = file.total_bytes;
  info.totals->stored_bytes = file.size;
  info.totals->crc64xor = file.crc64xor;

  // Last: it makes the file a backup.
  auto writer = to.create(kvbackup::backupmeta_name, {});
  if (!writer.ok()) return writer.status();
  const kvbackup::Status appended = writer.value().append(kvbackup::encode_manifest(meta, info));
  if (!appended.ok()) return appended;
  return writer.value().commit().status();
}

}  // namespace

// An argument is another size of the heap, to see what comes of a small one.
int main(int count, char** arguments) {
  if (count > 1) heap_size = std::strtoul(arguments[1], nullptr, 10);
  const std::size_t before = in_use;  // by the libraries that this is linked with, if there are any
  heap_end = before + heap_size;
  most_in_use = before;
  const kvbackup::Status status = back_up(Readings(5'000), storage());
  if (!status.ok()) {
    std::fputs(status.to_string().c_str(), stderr);
    return 1;
  }
  std::printf("at most %zu of %zu bytes of heap in use\n", most_in_use - before, heap_size);
}
