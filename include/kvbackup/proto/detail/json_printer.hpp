// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "kvbackup/base/hex.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/proto/detail/field_error.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/proto/message.hpp"

#if KVBACKUP_WITH_RAPIDJSON
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace kvbackup::inline v1::detail {

/// Writes one message; the message lives as long as this does.
class JsonPrinter {
 public:
  [[nodiscard]] bool print(const MessageInfo& info, const void* message) {
    // The tables give members to read and to write through one pointer; here they are only read.
    void* owner = const_cast<void*>(message);
    writer_.StartObject();
    for (const FieldInfo& row : info.fields) {
      if (!print_field(row, row.member(owner))) return false;
    }
    const std::string& unknown = info.unknown_fields(owner);
    if (!unknown.empty()) {
      put(unknown_fields_name);
      if (!text(to_hex(unknown))) return error_.inside(unknown_fields_name);
    }
    writer_.EndObject();
    return true;
  }

  [[nodiscard]] std::string take() const { return {buffer_.GetString(), buffer_.GetSize()}; }
  [[nodiscard]] const FieldError& error() const { return error_; }

 private:
  // Names and values are the same to the writer.
  void put(std::string_view text) {
    writer_.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  }

  bool text(std::string_view text) {
    // The writer counts in 32 bits, and an escape takes six bytes.
    if (text.size() > std::numeric_limits<rapidjson::SizeType>::max() / 8) {
      return error_.set("the value is too long for JSON");
    }
    if (!is_utf8(text)) return error_.set(not_utf8);
    put(text);
    return true;
  }

  bool print_field(const FieldInfo& info, const void* member) {
    if (info.shape == FieldShape::map) {
      return print_map(info, *static_cast<const StringMap*>(member));
    }
    const std::size_t count = info.operations->count(member);
    if (count == 0) return true;
    put(info.name);
    const bool repeated = info.shape == FieldShape::repeated;
    if (repeated) writer_.StartArray();
    for (std::size_t i = 0; i < count; ++i) {
      if (!print_value(info, member, i)) return error_.inside(info, i);
    }
    if (repeated) writer_.EndArray();
    return true;
  }

  bool print_map(const FieldInfo& info, const StringMap& map) {
    if (map.empty()) return true;
    put(info.name);
    writer_.StartObject();
    for (const auto& [key, value] : map) {
      if (!text(key) || !text(value)) return error_.inside(info, 0);
    }
    writer_.EndObject();
    return true;
  }

  bool print_value(const FieldInfo& info, const void* member, std::size_t index) {
    const MemberOps& operations = *info.operations;
    switch (info.kind) {
      case FieldKind::uint32:
      case FieldKind::uint64: writer_.Uint64(operations.scalar(member, index)); return true;
      case FieldKind::int32:
      case FieldKind::int64:
        writer_.Int64(static_cast<std::int64_t>(operations.scalar(member, index)));
        return true;
      case FieldKind::boolean: writer_.Bool(operations.scalar(member, index) != 0); return true;
      case FieldKind::enumeration:
        print_enum(info.enumeration(), static_cast<std::int32_t>(operations.scalar(member, index)));
        return true;
      case FieldKind::string:
        return text(*static_cast<const std::string*>(operations.object(member, index)));
      case FieldKind::bytes:
        return text(to_hex(*static_cast<const std::string*>(operations.object(member, index))));
      case FieldKind::message: return print(info.message(), operations.object(member, index));
    }
    return true;
  }

  void print_enum(const EnumInfo& info, std::int32_t number) {
    for (const EnumValue& value : info.values) {
      if (value.number == number) return put(value.name);
    }
    writer_.Int(number);
  }

  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
  FieldError error_;
};

}  // namespace kvbackup::inline v1::detail

#endif  // KVBACKUP_WITH_RAPIDJSON
