// SPDX-License-Identifier: Apache-2.0
// A device without threads, files, exceptions or libraries: one SST is streamed to a callback.
// Nothing but the C++ standard library is needed; memory is the open block, the index and the
// filter.
#include <cstdio>

#include <kvbackup/kvbackup.hpp>

// Stands for a radio or flash driver that takes bytes as they come.
struct Uplink {
  std::size_t sent = 0;
  kvbackup::Status append(kvbackup::ByteView bytes) {
    sent += bytes.size();
    return {};
  }
};

int main() {
  kvbackup::TableOptions options = kvbackup::TableOptions::br_default_cf();
  options.block_size = 1024;
  kvbackup::TableWriter<kvbackup::NoneCodec, kvbackup::Crc32cChecksum, Uplink> table(
      options, kvbackup::NoneCodec{}, Uplink{});
  for (int i = 0; i < 1000; ++i) {
    char key[16];
    std::snprintf(key, sizeof key, "sensor%04d", i);
    if (!table.add(key, "21.5").ok()) return 1;
  }
  if (!table.finish().ok()) return 1;
  std::printf("sent %zu bytes\n", table.output().sent);
}
