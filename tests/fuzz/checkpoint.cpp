// SPDX-License-Identifier: Apache-2.0
// Objects of a checkpoint. An input is a byte of modes and the object: bit 0 chooses between a job
// and parts; bit 1 seals the input and names it as it says itself, since no mutation finds a seal.
#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

template <class M>
std::string name_of(const M& message) {
  if constexpr (requires { message.number; }) {
    return checkpoint_name(message.job_id, message.number);
  } else {
    return checkpoint_name(message.job_id, 0);
  }
}

// What is accepted is read again as the same; each entry costs memory for the bytes that spell it.
template <class M, class Decode>
void read(ByteView bytes, bool seals, Decode decode_object) {
  std::string object(bytes);
  std::string name = checkpoint_name("0123456789abcdef", 0);
  if (seals) {
    detail::append_seal(object);
    if (object.size() > (std::size_t{1} << 16)) return;
    // entries without limit are what the reader refuses before it makes them
    if (!detail::entries_fit(bytes, 0, 0) || !detail::checkpoint_entries_fit(bytes)) {
      fuzz::require(!decode_object(name, ByteView(object)).ok(), "too many entries are accepted");
      return;
    }
    if (const auto message = decode<M>(bytes); message.ok()) name = name_of(message.value());
  }
  const auto decoded = decode_object(name, ByteView(object));
  if (!decoded.ok()) return;
  fuzz::require(name_of(decoded.value()) == name, "an object of another name is accepted");
  fuzz::require(is_checkpoint_name(name), "an object whose name is none is accepted");
  const auto again = decode_object(name, ByteView(encode_checkpoint(decoded.value())));
  fuzz::require_ok(again.status());
  fuzz::require(again.value() == decoded.value(), "it is read as something else again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint64_t modes = input.number(1);
  const fuzz::AllocationLimit limit(256 * size + (1 << 17));
  const bool seals = (modes & 2) != 0;
  if ((modes & 1) == 0) {
    read<CheckpointJob>(input.rest(), seals, [](std::string_view name, ByteView bytes) {
      return decode_checkpoint_job(name, bytes);
    });
  } else {
    read<CheckpointParts>(input.rest(), seals, [](std::string_view name, ByteView bytes) {
      return decode_checkpoint_parts(name, bytes);
    });
  }
  return 0;
}
