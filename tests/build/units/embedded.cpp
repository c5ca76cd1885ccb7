// SPDX-License-Identifier: Apache-2.0
// A unit without exceptions, RTTI, threads, POSIX and libraries writes tables to a callback, and
// every allocation is counted.
//
// Bound: what TableWriter's comment says it keeps, doubled, since buffers grow by doubling:
//   2 x (block size + largest pair) for the open block, and as much for its compressed form;
//   2 x (key size + 20) for each data block's index entry;
//   2 x 4 bytes for each key, and the filter's 10 bits a key;
//   16 KiB for properties, options and the like.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include <kvbackup/kvbackup.hpp>

#if defined(__cpp_exceptions) || defined(__cpp_rtti) || KVBACKUP_WITH_THREADS || KVBACKUP_WITH_POSIX
#error "this unit is meant to be built without exceptions, RTTI, threads and POSIX"
#endif

namespace {
struct Counted {
  std::size_t live = 0;
  std::size_t peak = 0;
  std::size_t calls = 0;
};
Counted counted;

// Room for the size in front of each allocation.
constexpr std::size_t head = alignof(std::max_align_t);

void* take(std::size_t size) {
  auto* raw = static_cast<char*>(std::malloc(size + head));
  if (raw == nullptr) std::abort();
  *reinterpret_cast<std::size_t*>(raw) = size;
  counted.live += size;
  if (counted.live > counted.peak) counted.peak = counted.live;
  ++counted.calls;
  return raw + head;
}
void give_back(void* pointer) {
  if (pointer == nullptr) return;
  char* raw = static_cast<char*>(pointer) - head;
  counted.live -= *reinterpret_cast<std::size_t*>(raw);
  std::free(raw);
}
}  // namespace

void* operator new(std::size_t size) { return take(size); }
void* operator new[](std::size_t size) { return take(size); }
void operator delete(void* pointer) noexcept { give_back(pointer); }
void operator delete[](void* pointer) noexcept { give_back(pointer); }
void operator delete(void* pointer, std::size_t /*size*/) noexcept { give_back(pointer); }
void operator delete[](void* pointer, std::size_t /*size*/) noexcept { give_back(pointer); }

namespace {
struct Callback {
  std::size_t* sent;
  kvbackup::Status append(kvbackup::ByteView bytes) const {
    *sent += bytes.size();
    return {};
  }
};

constexpr std::size_t key_size = 10;
constexpr std::size_t value_size = 30;
constexpr std::uint32_t block_size = 1024;

/// Writes one table of `pairs` pairs. True if it was written, handed everything back and stayed
/// below the bound.
bool write_table(std::size_t pairs) {
  counted = {.live = counted.live, .peak = counted.live, .calls = 0};
  const std::size_t live_before = counted.live;
  std::size_t sent = 0;
  std::size_t calls_to_add = 0;
  std::size_t blocks = 0;
  {
    kvbackup::TableOptions options = kvbackup::TableOptions::br_default_cf();
    options.block_size = block_size;
    kvbackup::TableWriter<kvbackup::NoneCodec, kvbackup::Crc32cChecksum, Callback> table(
        options, kvbackup::NoneCodec{}, Callback{&sent});
    const std::size_t calls_before = counted.calls;
    for (std::size_t i = 0; i < pairs; ++i) {
      char key[key_size];
      for (std::size_t at = key_size, rest = i; at-- > 0; rest /= 10) {
        key[at] = static_cast<char>('0' + rest % 10);
      }
      char value[value_size];
      for (char& c : value) c = static_cast<char>('a' + i % 26);
      if (!table.add(kvbackup::ByteView(key, key_size), kvbackup::ByteView(value, value_size))
               .ok()) {
        return false;
      }
    }
    calls_to_add = counted.calls - calls_before;
    const auto summary = table.finish();
    if (!summary.ok() || summary.value().file_size != sent) return false;
    blocks = static_cast<std::size_t>(summary.value().num_data_blocks);
  }
  const std::size_t bound = 4 * (block_size + key_size + value_size) +
                            2 * blocks * (key_size + 20) + pairs * 8 + pairs * 10 / 8 + 16 * 1024;
  const std::size_t peak = counted.peak - live_before;
  std::printf(
      "%zu pairs, %zu blocks, %zu bytes sent; peak %zu bytes (bound %zu), %zu allocations, "
      "%zu of them by add()\n",
      pairs, blocks, sent, peak, bound, counted.calls, calls_to_add);
  // add() allocates only to let its buffers grow, so rarely: never once a block, let alone a pair.
  return peak <= bound && counted.live == live_before && calls_to_add * 4 < blocks;
}

// The check values of the CRC catalogue, and of FIPS 180-4: a setting may make hashes slow, never
// wrong.
bool hashes_are_right() {
  const std::string digits = "1234567891234567812345678";  // longer than a step of eight bytes
  return kvbackup::crc32c("123456789") == 0xe3069283 &&
         kvbackup::crc64_xz("123456789") == 0x995dc9bbdf1939fa &&
         kvbackup::crc32c(digits) ==
             kvbackup::crc32c(digits.substr(3), kvbackup::crc32c(digits.substr(0, 3))) &&
         kvbackup::crc64_xz_pair("1234", "56789") == 0x995dc9bbdf1939fa &&
         static_cast<unsigned char>(kvbackup::PortableSha256::of("abc")[0]) == 0xba;
}
}  // namespace

int main() { return hashes_are_right() && write_table(20'000) && write_table(200'000) ? 0 : 1; }
