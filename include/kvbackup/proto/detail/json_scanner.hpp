// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/detail/field_error.hpp"
#include "kvbackup/proto/message.hpp"

#if KVBACKUP_WITH_RAPIDJSON
#include <rapidjson/document.h>

namespace kvbackup::inline v1::detail {

/// Reads messages out of a parsed document.
class JsonScanner {
 public:
  using Value = rapidjson::Value;

  [[nodiscard]] bool scan(const MessageInfo& info, void* message, const Value& json,
                          std::size_t depth) {
    if (!json.IsObject()) return error_.set("a JSON object is expected");
    if (depth == 0) return error_.set(nested_too_deeply);
    std::vector<bool> seen(info.fields.size() + 1);
    for (const auto& entry : json.GetObject()) {
      const std::string_view name = view(entry.name);
      const std::size_t row = row_of(info, name);
      if (row > info.fields.size()) return named(name, "there is no such field");
      if (seen[row]) return named(name, "the field is there twice");
      seen[row] = true;
      if (entry.value.IsNull()) continue;
      if (row == info.fields.size()) {
        if (!scan_unknown(info, message, entry.value)) return error_.inside(name);
      } else {
        if (is_oneof_set(info, info.fields[row], message)) {
          return named(name, "another field of its oneof is there too");
        }
        void* member = info.fields[row].member(message);
        if (!scan_field(info.fields[row], member, entry.value, depth)) return false;
      }
    }
    return true;
  }

  [[nodiscard]] const FieldError& error() const { return error_; }

 private:
  /// Not always UTF-8: RapidJSON 1.1 takes the escape of half a surrogate pair.
  static std::string_view view(const Value& json) {
    return {json.GetString(), json.GetStringLength()};
  }

  bool named(std::string_view name, std::string_view why) {
    error_.set(why);
    // Long or strange names are of no help in a message.
    if (!is_utf8(name)) return error_.inside("(a name that is not UTF-8)");
    return error_.inside(name.size() <= 64 ? name : "(a name of over 64 bytes)");
  }

  /// The row of `name`; one past the last is that of unknown_fields, and what is beyond, none.
  static std::size_t row_of(const MessageInfo& info, std::string_view name) {
    std::size_t row = 0;
    while (row < info.fields.size() && info.fields[row].name != name) ++row;
    return row == info.fields.size() && name != unknown_fields_name ? row + 1 : row;
  }

  static bool is_oneof_set(const MessageInfo& info, const FieldInfo& field, void* message) {
    if (field.shape != FieldShape::oneof) return false;
    const void* member = field.member(message);
    for (const FieldInfo& row : info.fields) {
      if (row.member(message) == member && row.operations->count(member) != 0) return true;
    }
    return false;
  }

  bool scan_unknown(const MessageInfo& info, void* message, const Value& json) {
    if (!json.IsString()) return error_.set("a string of hex digits is expected");
    const auto bytes = from_hex(view(json));
    if (!bytes) return error_.set("it is not hex");
    return decode_message(info, message, *bytes, wire_depth_limit, error_);
  }

  bool scan_field(const FieldInfo& info, void* member, const Value& json, std::size_t depth) {
    if (info.shape == FieldShape::map) {
      return scan_map(*static_cast<StringMap*>(member), json) || error_.inside(info.name);
    }
    if (info.shape != FieldShape::repeated) {
      return scan_value(info, member, json, depth) || error_.inside(info.name);
    }
    if (!json.IsArray()) {
      return error_.set("a JSON array is expected") || error_.inside(info.name);
    }
    std::size_t index = 0;
    for (const Value& element : json.GetArray()) {
      if (!scan_value(info, member, element, depth)) return error_.inside(info, index);
      ++index;
    }
    return true;
  }

  bool scan_map(StringMap& map, const Value& json) {
    if (!json.IsObject()) return error_.set("a JSON object is expected");
    for (const auto& entry : json.GetObject()) {
      if (!entry.value.IsString()) return error_.set("its values must be strings");
      if (!is_utf8(view(entry.name)) || !is_utf8(view(entry.value))) return error_.set(not_utf8);
      if (!map.emplace(view(entry.name), view(entry.value)).second) {
        return error_.set("a key is there twice");
      }
    }
    return true;
  }

  bool scan_value(const FieldInfo& info, void* member, const Value& json, std::size_t depth) {
    std::uint64_t bits = 0;
    switch (info.kind) {
      case FieldKind::string:
        if (!json.IsString()) return error_.set("a string is expected");
        if (!is_utf8(view(json))) return error_.set(not_utf8);
        static_cast<std::string*>(info.operations->open_object(member))->assign(view(json));
        return true;
      case FieldKind::bytes: return scan_bytes(info, member, json);
      case FieldKind::message:
        return scan(info.message(), info.operations->open_object(member), json, depth - 1);
      case FieldKind::boolean:
        if (!json.IsBool()) return error_.set("true or false is expected");
        bits = json.GetBool() ? 1 : 0;
        break;
      case FieldKind::enumeration:
        if (!scan_enum(info.enumeration(), json, bits)) return false;
        break;
      case FieldKind::uint32:
        if (!scan_integer<std::uint32_t>(json, bits)) return false;
        break;
      case FieldKind::uint64:
        if (!scan_integer<std::uint64_t>(json, bits)) return false;
        break;
      case FieldKind::int32:
        if (!scan_integer<std::int32_t>(json, bits)) return false;
        break;
      case FieldKind::int64:
        if (!scan_integer<std::int64_t>(json, bits)) return false;
        break;
    }
    info.operations->put_scalar(member, bits);
    return true;
  }

  bool scan_bytes(const FieldInfo& info, void* member, const Value& json) {
    auto bytes = json.IsString() ? from_hex(view(json)) : std::nullopt;
    if (!bytes) return error_.set("a string of hex digits is expected");
    *static_cast<std::string*>(info.operations->open_object(member)) = *std::move(bytes);
    return true;
  }

  bool scan_enum(const EnumInfo& info, const Value& json, std::uint64_t& bits) {
    if (json.IsString()) {
      for (const EnumValue& value : info.values) {
        if (value.name != view(json)) continue;
        bits = to_bits(value.number);
        return true;
      }
    }
    return scan_integer<std::int32_t>(json, bits) ||
           error_.set("the name or the 32-bit number of a value is expected");
  }

  template <class Integer>
  bool scan_integer(const Value& json, std::uint64_t& bits) {
    Integer value = 0;
    bool fits = false;
    if (json.IsString()) {
      const std::string_view digits = view(json);
      const char* end = digits.data() + digits.size();
      const auto [rest, failed] = std::from_chars(digits.data(), end, value);
      fits = rest == end && failed == std::errc();
    } else if (json.IsUint64()) {
      value = static_cast<Integer>(json.GetUint64());
      fits = std::in_range<Integer>(json.GetUint64());
    } else if (json.IsInt64()) {
      value = static_cast<Integer>(json.GetInt64());
      fits = std::in_range<Integer>(json.GetInt64());
    }
    bits = to_bits(value);
    return fits || error_.set("an integer of the field's type is expected");
  }

  FieldError error_;
};

}  // namespace kvbackup::inline v1::detail

#endif  // KVBACKUP_WITH_RAPIDJSON
