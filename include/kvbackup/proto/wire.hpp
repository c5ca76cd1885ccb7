// SPDX-License-Identifier: Apache-2.0
// Protobuf's wire format without any message: fields are written one by one, and read as
// (number, wire type, value).
//
// What counts as well-formed is libprotobuf's answer: a tag has at most five bytes and its number
// is not 0, a varint has at most ten (bits past the 64th are dropped), a length at most five,
// groups close in order and nest no deeper than wire_depth_limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

/// The low three bits of a tag.
enum class WireType : std::uint8_t {
  varint = 0,
  fixed64 = 1,
  length_delimited = 2,
  start_group = 3,
  end_group = 4,
  fixed32 = 5,
};

/// How deep messages and groups may nest inside a message; libprotobuf's default.
inline constexpr std::size_t wire_depth_limit = 100;

/// The tag of a field; `number` is 1 to 2^29-1.
inline void append_tag(std::string& out, std::uint32_t number, WireType type) {
  append_varint(out, std::uint64_t{number} << 3 | static_cast<std::uint64_t>(type));
}
/// A field of wire type varint.
inline void append_varint_field(std::string& out, std::uint32_t number, std::uint64_t value) {
  append_tag(out, number, WireType::varint);
  append_varint(out, value);
}
/// A string, bytes or message field. `bytes` is below 2 GiB; protobuf's readers take no more.
inline void append_bytes_field(std::string& out, std::uint32_t number, ByteView bytes) {
  append_tag(out, number, WireType::length_delimited);
  append_length_prefixed(out, bytes);
}

/// One field as it stands on the wire. Views live as long as the bytes that were read.
struct WireField {
  std::uint32_t number = 0;
  WireType wire_type = WireType::varint;
  std::uint64_t value = 0;  ///< of varint, fixed64 and fixed32
  ByteView payload;         ///< of length_delimited; of a group: the fields inside
  ByteView extent;          ///< all bytes of the field, tag and a group's end tag included
};

namespace detail {

/// Takes a tag off the front of `in`; bits past the 32nd are dropped.
[[nodiscard]] inline bool take_tag(ByteView& in, std::uint32_t& tag) noexcept {
  std::uint32_t result = 0;
  for (std::size_t i = 0; i < in.size() && i < max_varint32; ++i) {
    const auto byte = static_cast<unsigned char>(in[i]);
    result |= static_cast<std::uint32_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      tag = result;
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

/// Takes a value off the front of `in`; unlike take_varint64 it drops bits past the 64th, as
/// protobuf's readers do.
[[nodiscard]] inline bool take_wire_varint(ByteView& in, std::uint64_t& value) noexcept {
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < in.size() && i < max_varint64; ++i) {
    const auto byte = static_cast<unsigned char>(in[i]);
    result |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      value = result;
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

/// Takes one field off the front of `in`, of a group only its start or its end. `extent` is not
/// set. Gives null, or what is wrong.
[[nodiscard]] inline const char* take_token(ByteView& in, WireField& token) noexcept {
  std::uint32_t tag = 0;
  if (!take_tag(in, tag)) return "the tag is cut off or has more than five bytes";
  token.number = tag >> 3;
  if (token.number == 0) return "the field number is 0";
  token.wire_type = static_cast<WireType>(tag & 7);
  switch (token.wire_type) {
    case WireType::varint:
      if (take_wire_varint(in, token.value)) return nullptr;
      return "the varint is cut off or has more than ten bytes";
    case WireType::fixed64:
      if (in.size() < 8) return "the fixed64 is cut off";
      token.value = load_le64(in.data());
      in.remove_prefix(8);
      return nullptr;
    case WireType::length_delimited:
      if (take_length_prefixed(in, token.payload)) return nullptr;
      return "the length is damaged or reaches past the end";
    case WireType::start_group:
    case WireType::end_group: return nullptr;
    case WireType::fixed32:
      if (in.size() < 4) return "the fixed32 is cut off";
      token.value = load_le32(in.data());
      in.remove_prefix(4);
      return nullptr;
  }
  return "the wire type is unknown";
}

/// The field as libprotobuf writes it again: tag, lengths and varints in their shortest form,
/// inside groups too. `field` is well-formed.
inline void append_normalised(std::string& out, const WireField& field) {
  append_tag(out, field.number, field.wire_type);
  switch (field.wire_type) {
    case WireType::varint: return append_varint(out, field.value);
    case WireType::fixed64: return append_le64(out, field.value);
    case WireType::fixed32: return append_le32(out, static_cast<std::uint32_t>(field.value));
    case WireType::length_delimited: return append_length_prefixed(out, field.payload);
    case WireType::end_group: return;
    case WireType::start_group: break;
  }
  // Flat: the starts and ends of inner groups are tokens like any other.
  ByteView rest = field.payload;
  WireField token;
  while (!rest.empty() && take_token(rest, token) == nullptr) {
    if (token.wire_type == WireType::start_group) {
      append_tag(out, token.number, token.wire_type);
    } else {
      append_normalised(out, token);
    }
  }
  append_tag(out, field.number, WireType::end_group);
}

}  // namespace detail

/// Walks the fields of one message, strictly forward; allocates nothing.
///
///     WireReader reader(bytes);
///     WireField field;
///     while (reader.next(field)) { ... }
///     if (!reader.status().ok()) ...
class WireReader {
 public:
  /// `depth` is how deep groups may nest in `bytes`; more than wire_depth_limit counts as that.
  explicit WireReader(ByteView bytes, std::size_t depth = wire_depth_limit) noexcept
      : begin_(bytes.data()),
        rest_(bytes),
        depth_(depth < wire_depth_limit ? depth : wire_depth_limit) {}

  /// The next field; false at the end and at the first byte that is not well-formed, and from then
  /// on.
  [[nodiscard]] bool next(WireField& field) noexcept {
    if (rest_.empty() || why_ != nullptr) return false;
    const ByteView before = rest_;
    why_ = detail::take_token(rest_, field);
    if (why_ == nullptr && field.wire_type == WireType::end_group) {
      why_ = "a group ends that was not begun";
    }
    if (why_ == nullptr && field.wire_type == WireType::start_group) skip_group(field);
    if (why_ != nullptr) {
      rest_ = before;
      return false;
    }
    field.extent = before.substr(0, before.size() - rest_.size());
    return true;
  }

  /// What is not well-formed, or null.
  [[nodiscard]] const char* error() const noexcept { return why_; }
  /// The first byte that next() has not passed.
  [[nodiscard]] std::size_t offset() const noexcept {
    return static_cast<std::size_t>(rest_.data() - begin_);
  }
  /// Ok, or corruption with the offset of the field that is not well-formed.
  [[nodiscard]] Status status() const { return why_ == nullptr ? Status() : failure(); }

 private:
  void skip_group(WireField& group) noexcept {
    std::uint32_t open[wire_depth_limit];
    std::size_t depth = 0;
    const ByteView content = rest_;
    WireField token = group;
    while (true) {
      if (token.wire_type == WireType::start_group) {
        if (depth == depth_) {
          why_ = "groups nest too deeply";
          return;
        }
        open[depth++] = token.number;
      } else if (token.wire_type == WireType::end_group) {
        if (token.number != open[depth - 1]) {
          why_ = "a group ends that was not begun";
          return;
        }
        if (--depth == 0) break;
      }
      const std::size_t left = rest_.size();
      why_ = left == 0 ? "a group has no end" : detail::take_token(rest_, token);
      if (why_ != nullptr) return;
      group.payload = content.substr(0, content.size() - left);
    }
  }

  KVBACKUP_DETAIL_COLD Status failure() const {
    std::string message = "cannot read protobuf fields: at byte ";
    message += std::to_string(offset());
    message += ' ';
    message += why_;
    message += "; the bytes are damaged or are no protobuf message";
    return Status::error(StatusCode::corruption, std::move(message));
  }

  const char* begin_;
  ByteView rest_;
  std::size_t depth_;
  const char* why_ = nullptr;
};

}  // namespace kvbackup::inline v1
