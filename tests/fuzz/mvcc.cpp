// SPDX-License-Identifier: Apache-2.0
// Keys and records of TiKV's column families: whatever the bytes, they are read within their
// bounds, and what is read is written as something that reads the same.
#include <algorithm>
#include <string>

#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

void check_key(ByteView bytes) {
  std::string key;
  if (from_memcomparable(bytes, key)) {
    fuzz::require(to_memcomparable(key) == bytes, "a memcomparable key has two forms");
  }
  if (const auto split = split_mvcc_key(bytes)) {
    std::string again(split->row);
    append_mvcc_ts(again, split->ts);
    fuzz::require(again == bytes, "a key is not the sum of its halves");
  }
}

void check_write(ByteView bytes) {
  const auto write = parse_mvcc_write(bytes);
  if (!write.ok()) return;
  const std::string record = encode_mvcc_write(write.value());
  const auto again = parse_mvcc_write(record);
  fuzz::require_ok(again.status());
  fuzz::require(encode_mvcc_write(again.value()) == record, "a write record changes");
}

void check_lock(ByteView bytes) {
  const auto lock = parse_mvcc_lock(bytes);
  if (!lock.ok()) return;
  const auto again = parse_mvcc_lock(encode_mvcc_lock(lock.value()));
  fuzz::require_ok(again.status());
  fuzz::require(again.value() == lock.value(), "a lock record changes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // a secondary key of no bytes takes one here and a std::string there
  const fuzz::AllocationLimit limit(std::size_t{1} << 20 | size * 256);
  fuzz::Input input(data, size);
  switch (input.number(1) % 3) {
    case 0: check_key(input.rest()); break;
    case 1: check_write(input.rest()); break;
    default: check_lock(input.rest()); break;
  }
  return 0;
}
