// SPDX-License-Identifier: Apache-2.0
#include "fuzz/decompress.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::decompress(kvbackup::SnappyCodec{}, data, size, 64 << 10);
}
