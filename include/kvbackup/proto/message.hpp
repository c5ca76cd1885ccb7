// SPDX-License-Identifier: Apache-2.0
// How a plain struct becomes a protobuf message: one constexpr table of its fields, which drives
// the wire format and JSON both ways.
//
//   struct Pair {
//     std::string key;
//     std::uint64_t count = 0;
//     std::string unknown_fields;
//   };
//   template <>
//   struct kvbackup::MessageTraits<Pair> {
//     static constexpr std::string_view name = "example.Pair";
//     static constexpr FieldInfo fields[] = {
//         bytes_field<&Pair::key>(1, "key"),
//         field<&Pair::count>(2, "count"),
//     };
//   };
//
// Members by the type of their field:
//
//   uint32 uint64 int32 int64 bool   std::uint32_t ... bool
//   enum                             an enum of underlying type std::int32_t with EnumTraits
//   string, bytes                    std::string
//   message                          std::optional of its struct
//   repeated                         std::vector
//   map<string, string>              std::map<std::string, std::string>
//   oneof of messages                std::variant<std::monostate, ...>
//
// `unknown_fields` keeps what a reader found and the table does not name, in wire format.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "kvbackup/proto/detail/member_ops.hpp"

namespace kvbackup::inline v1 {

/// The type of one value of a field.
enum class FieldKind : std::uint8_t {
  uint32,
  uint64,
  int32,
  int64,
  boolean,
  enumeration,
  string,
  bytes,
  message,
};

/// How many values a field holds, and where.
enum class FieldShape : std::uint8_t { singular, repeated, map, oneof };

/// One named value of an enum.
struct EnumValue {
  std::int32_t number;
  std::string_view name;
};

/// An enum of the schema.
struct EnumInfo {
  std::string_view name;  ///< with its package
  std::span<const EnumValue> values;
};

struct MessageInfo;

/// One row of a message's table.
struct FieldInfo {
  std::uint32_t number;
  FieldKind kind;  ///< of a map: string
  FieldShape shape;
  std::string_view name;                ///< as in the schema
  const MessageInfo& (*message)();      ///< of a message; null elsewhere
  const EnumInfo& (*enumeration)();     ///< of an enum; null elsewhere
  void* (*member)(void* owner);         ///< the struct's member
  const detail::MemberOps* operations;  ///< what can be done with it
};

/// The table of one message.
struct MessageInfo {
  std::string_view name;  ///< with its package
  std::span<const FieldInfo> fields;
  std::string& (*unknown_fields)(void* owner);
};

/// The `fields` of a message without any.
inline constexpr std::span<const FieldInfo> no_fields{};

/// Specialised for each message: `name` and `fields`, the numbers of the latter rising.
template <class M>
struct MessageTraits;

/// Specialised for each enum of a message: `name` and `values`.
template <class E>
struct EnumTraits;

/// The names of an enum's values.
template <class E>
[[nodiscard]] const EnumInfo& enum_info() {
  static constexpr EnumInfo info{EnumTraits<E>::name, EnumTraits<E>::values};
  return info;
}

/// A message's table.
template <class M>
[[nodiscard]] const MessageInfo& message_info() {
  static constexpr MessageInfo info{
      MessageTraits<M>::name, std::span<const FieldInfo>(MessageTraits<M>::fields),
      [](void* owner) -> std::string& { return static_cast<M*>(owner)->unknown_fields; }};
  return info;
}

namespace detail {

template <class Value>
constexpr FieldKind kind_of() {
  if constexpr (std::same_as<Value, std::uint32_t>) {
    return FieldKind::uint32;
  } else if constexpr (std::same_as<Value, std::uint64_t>) {
    return FieldKind::uint64;
  } else if constexpr (std::same_as<Value, std::int32_t>) {
    return FieldKind::int32;
  } else if constexpr (std::same_as<Value, std::int64_t>) {
    return FieldKind::int64;
  } else if constexpr (std::same_as<Value, bool>) {
    return FieldKind::boolean;
  } else if constexpr (std::is_enum_v<Value>) {
    static_assert(std::same_as<std::underlying_type_t<Value>, std::int32_t>,
                  "an enum of the schema has 32 bits, and unknown values are kept");
    return FieldKind::enumeration;
  } else {
    static_assert(std::is_class_v<Value> && !std::same_as<Value, std::string>,
                  "say string_field or bytes_field");
    return FieldKind::message;
  }
}

template <auto Member>
void* member_of(void* owner) {
  using Owner = typename MemberPointer<decltype(Member)>::Owner;
  return &(static_cast<Owner*>(owner)->*Member);
}

template <auto Member, class Value>
constexpr FieldInfo make_field(std::uint32_t number, std::string_view name, FieldKind kind,
                               FieldShape shape) {
  using Type = typename MemberPointer<decltype(Member)>::Type;
  FieldInfo info{number, kind, shape, name, nullptr, nullptr, &member_of<Member>, nullptr};
  if constexpr (!std::same_as<Value, void>) info.operations = &member_ops<Type, Value>;
  if constexpr (std::is_enum_v<Value>) info.enumeration = &enum_info<Value>;
  if constexpr (std::is_class_v<Value> && !std::same_as<Value, std::string>) {
    info.message = &message_info<Value>;
  }
  return info;
}

}  // namespace detail

/// A number, a bool, an enum or a message, singular or repeated; or a map.
template <auto Member>
[[nodiscard]] constexpr FieldInfo field(std::uint32_t number, std::string_view name) {
  using Type = typename detail::MemberPointer<decltype(Member)>::Type;
  if constexpr (std::same_as<Type, detail::StringMap>) {
    return detail::make_field<Member, void>(number, name, FieldKind::string, FieldShape::map);
  } else {
    using Value = detail::ValueOf<Type>;
    return detail::make_field<Member, Value>(
        number, name, detail::kind_of<Value>(),
        detail::is_vector<Type> ? FieldShape::repeated : FieldShape::singular);
  }
}

/// A `string`, singular or repeated: a reader refuses what is not UTF-8.
template <auto Member>
[[nodiscard]] constexpr FieldInfo string_field(std::uint32_t number, std::string_view name) {
  using Type = typename detail::MemberPointer<decltype(Member)>::Type;
  static_assert(std::same_as<detail::ValueOf<Type>, std::string>);
  return detail::make_field<Member, std::string>(
      number, name, FieldKind::string,
      detail::is_vector<Type> ? FieldShape::repeated : FieldShape::singular);
}

/// A `bytes`, singular or repeated.
template <auto Member>
[[nodiscard]] constexpr FieldInfo bytes_field(std::uint32_t number, std::string_view name) {
  FieldInfo info = string_field<Member>(number, name);
  info.kind = FieldKind::bytes;
  return info;
}

/// One message of a oneof; each alternative of the variant has its row.
template <auto Member, class Alternative>
[[nodiscard]] constexpr FieldInfo oneof_field(std::uint32_t number, std::string_view name) {
  return detail::make_field<Member, Alternative>(number, name, FieldKind::message,
                                                 FieldShape::oneof);
}

namespace detail {

/// Numbers rise and are in protobuf's range.
template <std::size_t N>
consteval bool is_table(const FieldInfo (&fields)[N]) {
  std::uint32_t last = 0;
  for (const FieldInfo& info : fields) {
    if (info.number <= last || info.number >= 1u << 29) return false;
    last = info.number;
  }
  return true;
}
consteval bool is_table(std::span<const FieldInfo> fields) { return fields.empty(); }

}  // namespace detail

/// A struct with a table: encode, decode, to_json and from_json take it.
template <class M>
concept Message = std::is_default_constructible_v<M> && std::is_move_constructible_v<M> &&
    requires(M& message) {
  { MessageTraits<M>::name } -> std::convertible_to<std::string_view>;
  requires detail::is_table(MessageTraits<M>::fields);
  { message.unknown_fields } -> std::same_as<std::string&>;
};

}  // namespace kvbackup::inline v1
