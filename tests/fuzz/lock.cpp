// SPDX-License-Identifier: Apache-2.0
// Locks of a destination. An input is a byte of modes, times in 8 bytes each, and the object: bit 0
// seals it and names it as it says itself; bits 1 and 2: the storage tells those times.
#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint64_t modes = input.number(1);
  const std::uint64_t modified = input.number(8);
  const std::uint64_t written = input.number(8);
  const std::uint64_t now = input.number(8);
  const fuzz::AllocationLimit limit(256 * size + (1 << 17));
  std::string object(input.rest());
  std::string name = lock_name("0123456789abcdef");
  if ((modes & 1) != 0) {
    const auto lock = decode<DestinationLock>(object);
    if (lock.ok()) name = lock_name(lock.value().run_id);
    detail::append_seal(object);
  }
  FoundLock found{name, std::nullopt, std::nullopt};
  if ((modes & 2) != 0) found.modified_ms = modified;
  const std::optional<std::uint64_t> told =
      (modes & 4) != 0 ? std::optional<std::uint64_t>(written) : std::nullopt;
  auto decoded = decode_lock(name, object);
  if (decoded.ok()) {
    fuzz::require(is_lock_name(name), "a lock whose name is none is accepted");
    fuzz::require(lock_name(decoded.value().run_id) == name, "a lock of another run is accepted");
    const auto again = decode_lock(name, encode_lock(decoded.value()));
    fuzz::require_ok(again.status());
    fuzz::require(again.value() == decoded.value(), "it is read as something else again");
    found.lock = std::move(decoded).value();
  }
  const std::string text = describe_lock(found);
  for (const char c : text)
    fuzz::require(c >= 0x20 && c < 0x7f, "a message with a control character");
  const bool live = is_live(found, told, now);
  // no lock lives for longer than the longest lease, whatever it says
  if (found.lock && live && found.modified_ms && told && *told > modified) {
    fuzz::require(*told - modified <= longest_lease_ms + 2'000, "a lock lives for ever");
  }
  return 0;
}
