// SPDX-License-Identifier: Apache-2.0
// Protobuf's wire format to messages.
//
// What is accepted, and what it means, is libprotobuf's answer: a later scalar replaces an earlier
// one, a later message merges into it; numbers may be packed or not; a known field of another wire
// type is an unknown one; a `string` must be UTF-8. Unknown fields are kept in unknown_fields, in
// their shortest form; those inside the entry of a map are dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "kvbackup/base/result.hpp"
#include "kvbackup/proto/detail/field_error.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/proto/message.hpp"
#include "kvbackup/proto/wire.hpp"

namespace kvbackup::inline v1 {

namespace detail {

inline bool decode_message(const MessageInfo& info, void* message, ByteView bytes,
                           std::size_t depth, FieldError& error);

/// The values of a packed field.
inline bool decode_packed(const FieldInfo& info, void* member, ByteView payload,
                          FieldError& error) {
  std::uint64_t value = 0;
  while (!payload.empty()) {
    if (!take_wire_varint(payload, value)) {
      error.set("a packed varint is cut off or has more than ten bytes");
      return error.inside(info, info.operations->count(member));
    }
    info.operations->put_scalar(member, value);
  }
  return true;
}

/// One entry: a message of key = 1 and value = 2.
inline bool decode_map_entry(StringMap& map, ByteView payload, std::size_t depth,
                             FieldError& error) {
  ByteView key;
  ByteView value;
  WireReader reader(payload, depth);
  WireField entry;
  while (reader.next(entry)) {
    if (entry.wire_type != WireType::length_delimited || entry.number > 2) continue;
    if (!is_utf8(entry.payload)) return error.set(not_utf8);
    (entry.number == 1 ? key : value) = entry.payload;
  }
  if (reader.error() != nullptr) return error.set(reader.error());
  map.insert_or_assign(std::string(key), std::string(value));
  return true;
}

/// A length-delimited value. `depth` is what is left for messages and groups.
inline bool decode_payload(const FieldInfo& info, void* member, ByteView payload, std::size_t depth,
                           FieldError& error) {
  if (info.kind != FieldKind::message && info.shape != FieldShape::map) {
    if (info.kind == FieldKind::string && !is_utf8(payload)) {
      error.set(not_utf8);
      return error.inside(info, info.operations->count(member));
    }
    static_cast<std::string*>(info.operations->open_object(member))->assign(payload);
    return true;
  }
  if (depth == 0) {
    error.set(nested_too_deeply);
    return error.inside(info, 0);
  }
  if (info.shape == FieldShape::map) {
    return decode_map_entry(*static_cast<StringMap*>(member), payload, depth - 1, error) ||
           error.inside(info, 0);
  }
  void* object = info.operations->open_object(member);
  return decode_message(info.message(), object, payload, depth - 1, error) ||
         error.inside(info, info.operations->count(member) - 1);
}

/// The row of `number`, or null. Most writers keep to rising numbers, so the search goes on from
/// `hint`, the row of the field before.
inline const FieldInfo* find_field(const MessageInfo& info, std::uint32_t number,
                                   std::size_t& hint) {
  const std::size_t size = info.fields.size();
  for (std::size_t tried = 0; tried < size; ++tried) {
    if (info.fields[hint].number == number) return &info.fields[hint];
    hint = hint + 1 == size ? 0 : hint + 1;
  }
  return nullptr;
}

inline bool decode_message(const MessageInfo& info, void* message, ByteView bytes,
                           std::size_t depth, FieldError& error) {
  WireReader reader(bytes, depth);
  WireField field;
  std::size_t hint = 0;
  while (reader.next(field)) {
    const FieldInfo* row = find_field(info, field.number, hint);
    const bool scalar = row != nullptr && row->kind < FieldKind::string;
    const bool delimited = field.wire_type == WireType::length_delimited;
    if (row != nullptr && !scalar && delimited) {
      if (!decode_payload(*row, row->member(message), field.payload, depth, error)) return false;
    } else if (scalar && field.wire_type == WireType::varint) {
      row->operations->put_scalar(row->member(message), field.value);
    } else if (scalar && delimited && row->shape == FieldShape::repeated) {
      if (!decode_packed(*row, row->member(message), field.payload, error)) return false;
    } else {
      append_normalised(info.unknown_fields(message), field);
    }
  }
  return reader.error() == nullptr || error.set(reader.error());
}

KVBACKUP_DETAIL_COLD inline Status decode_failure(const MessageInfo& info,
                                                  const FieldError& error) {
  std::string doing = "cannot decode ";
  doing += info.name;
  return error.status(StatusCode::corruption, doing,
                      "the bytes are damaged or are another message");
}

/// Merges the message that `bytes` spell into `message`; after a failure that holds a part of them.
[[nodiscard]] inline Status decode_into(const MessageInfo& info, void* message, ByteView bytes) {
  FieldError error;
  if (decode_message(info, message, bytes, wire_depth_limit, error)) return {};
  return decode_failure(info, error);
}

}  // namespace detail

/// The message that `bytes` spell. Errors: corruption, naming the message and the field. Takes
/// memory for at most the bytes it reads and, for every two of them, one element of a repeated
/// field.
template <Message M>
[[nodiscard]] Result<M> decode(ByteView bytes) {
  M message;
  Status status = detail::decode_into(message_info<M>(), &message, bytes);
  if (!status.ok()) return status;
  return message;
}

}  // namespace kvbackup::inline v1
