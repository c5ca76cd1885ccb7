// SPDX-License-Identifier: Apache-2.0
// Messages to protobuf's wire format.
//
// The bytes are those of libprotobuf's deterministic serialisation: known fields by rising number,
// proto3's defaults left out, numbers packed, maps by key, then the unknown fields as they were
// read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kvbackup/base/coding.hpp"
#include "kvbackup/proto/message.hpp"
#include "kvbackup/proto/wire.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// Appends what `write` appends, behind its length.
template <class Write>
void append_measured(std::string& out, Write write) {
  // Most messages are shorter than 128 bytes and need no move.
  const std::size_t at = out.size();
  out.push_back('\0');
  write();
  const std::size_t size = out.size() - at - 1;
  char length[max_varint64];
  const auto length_size = static_cast<std::size_t>(store_varint(length, size) - length);
  out.replace(at, 1, length, length_size);
}

inline void encode_message(const MessageInfo& info, const void* message, std::string& out);

inline void encode_map(const FieldInfo& info, const StringMap& map, std::string& out) {
  for (const auto& entry : map) {
    append_tag(out, info.number, WireType::length_delimited);
    append_measured(out, [&] {
      append_bytes_field(out, 1, entry.first);
      append_bytes_field(out, 2, entry.second);
    });
  }
}

inline void encode_scalars(const FieldInfo& info, const void* member, std::size_t count,
                           std::string& out) {
  if (info.shape == FieldShape::singular) {
    return append_varint_field(out, info.number, info.operations->scalar(member, 0));
  }
  append_tag(out, info.number, WireType::length_delimited);
  append_measured(out, [&] {
    for (std::size_t i = 0; i < count; ++i) {
      append_varint(out, info.operations->scalar(member, i));
    }
  });
}

inline void encode_field(const FieldInfo& info, const void* member, std::string& out) {
  if (info.shape == FieldShape::map) {
    return encode_map(info, *static_cast<const StringMap*>(member), out);
  }
  const std::size_t count = info.operations->count(member);
  if (count == 0) return;
  switch (info.kind) {
    case FieldKind::string:
    case FieldKind::bytes:
      for (std::size_t i = 0; i < count; ++i) {
        const void* object = info.operations->object(member, i);
        append_bytes_field(out, info.number, *static_cast<const std::string*>(object));
      }
      return;
    case FieldKind::message:
      for (std::size_t i = 0; i < count; ++i) {
        append_tag(out, info.number, WireType::length_delimited);
        append_measured(
            out, [&] { encode_message(info.message(), info.operations->object(member, i), out); });
      }
      return;
    case FieldKind::uint32:
    case FieldKind::uint64:
    case FieldKind::int32:
    case FieldKind::int64:
    case FieldKind::boolean:
    case FieldKind::enumeration: return encode_scalars(info, member, count, out);
  }
}

inline void encode_message(const MessageInfo& info, const void* message, std::string& out) {
  // The tables give members to read and to write through one pointer; here they are only read.
  void* owner = const_cast<void*>(message);
  for (const FieldInfo& row : info.fields) encode_field(row, row.member(owner), out);
  out += info.unknown_fields(owner);
}

}  // namespace detail

/// Appends the bytes of `message` to `out`. A reader refuses them if a `string` is not UTF-8, or if
/// they are 2 GiB or more.
template <Message M>
void encode_to(const M& message, std::string& out) {
  detail::encode_message(message_info<M>(), &message, out);
}

/// The bytes of `message`; see encode_to.
template <Message M>
[[nodiscard]] std::string encode(const M& message) {
  std::string out;
  encode_to(message, out);
  return out;
}

}  // namespace kvbackup::inline v1
