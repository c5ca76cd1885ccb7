// SPDX-License-Identifier: Apache-2.0
// What the codecs do to a member of a message without knowing its type. All members of one type
// share one set of operations, so the codecs themselves are compiled once and not for each message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace kvbackup::inline v1::detail {

using StringMap = std::map<std::string, std::string>;

/// Numbers, bools and enums travel as 64 bits, signed ones with their sign. Strings and messages
/// are objects.
struct MemberOps {
  /// Values that the wire shows: elements; or one or none, a singular default being none.
  std::size_t (*count)(const void* member);
  std::uint64_t (*scalar)(const void* member, std::size_t index);
  /// Sets a singular one, appends to a repeated one.
  void (*put_scalar)(void* member, std::uint64_t bits);
  const void* (*object)(const void* member, std::size_t index);
  /// The singular one, made if it is not there; a new one of a repeated field.
  void* (*open_object)(void* member);
};

template <class>
struct MemberPointer;
template <class OwnerT, class TypeT>
struct MemberPointer<TypeT OwnerT::*> {
  using Owner = OwnerT;
  using Type = TypeT;
};

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

template <class T>
struct ValueOfMember {
  using type = T;
};
template <class T>
struct ValueOfMember<std::optional<T>> {
  using type = T;
};
template <class T>
struct ValueOfMember<std::vector<T>> {
  using type = T;
};
template <class T>
using ValueOf = typename ValueOfMember<T>::type;

template <class T>
constexpr std::uint64_t to_bits(T value) {
  if constexpr (std::is_enum_v<T>) {
    return to_bits(static_cast<std::int32_t>(value));
  } else if constexpr (std::is_signed_v<T>) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  } else {
    return static_cast<std::uint64_t>(value);
  }
}
template <class T>
constexpr T from_bits(std::uint64_t bits) {
  if constexpr (std::is_same_v<T, bool>) {
    return bits != 0;
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(static_cast<std::int32_t>(bits));
  } else {
    return static_cast<T>(bits);
  }
}

/// The operations of a member of type T that holds values of type Value.
template <class T, class Value>
struct OpsOf;

template <class T>
struct OpsOf<T, T> {
  static std::size_t count(const void* member) {
    return *static_cast<const T*>(member) != T() ? 1 : 0;
  }
  static std::uint64_t scalar(const void* member, std::size_t) {
    return to_bits(*static_cast<const T*>(member));
  }
  static void put_scalar(void* member, std::uint64_t bits) {
    *static_cast<T*>(member) = from_bits<T>(bits);
  }
};

template <>
struct OpsOf<std::string, std::string> {
  static std::size_t count(const void* member) {
    return static_cast<const std::string*>(member)->empty() ? 0 : 1;
  }
  static const void* object(const void* member, std::size_t) { return member; }
  static void* open_object(void* member) { return member; }
};

template <class T>
struct OpsOf<std::optional<T>, T> {
  using Member = std::optional<T>;
  static std::size_t count(const void* member) {
    return static_cast<const Member*>(member)->has_value() ? 1 : 0;
  }
  static const void* object(const void* member, std::size_t) {
    return &**static_cast<const Member*>(member);
  }
  static void* open_object(void* member) {
    auto& slot = *static_cast<Member*>(member);
    return slot ? &*slot : &slot.emplace();
  }
};

template <class T>
struct OpsOf<std::vector<T>, T> {
  using Member = std::vector<T>;
  static std::size_t count(const void* member) {
    return static_cast<const Member*>(member)->size();
  }
  static std::uint64_t scalar(const void* member, std::size_t index) {
    return to_bits<T>((*static_cast<const Member*>(member))[index]);
  }
  static void put_scalar(void* member, std::uint64_t bits) {
    static_cast<Member*>(member)->push_back(from_bits<T>(bits));
  }
  static const void* object(const void* member, std::size_t index) {
    return &(*static_cast<const Member*>(member))[index];
  }
  static void* open_object(void* member) { return &static_cast<Member*>(member)->emplace_back(); }
};

template <class... Ts, class T>
struct OpsOf<std::variant<std::monostate, Ts...>, T> {
  static_assert((std::is_same_v<Ts, T> + ...) == 1, "the oneof has no such alternative");
  using Member = std::variant<std::monostate, Ts...>;
  static std::size_t count(const void* member) {
    return std::holds_alternative<T>(*static_cast<const Member*>(member)) ? 1 : 0;
  }
  static const void* object(const void* member, std::size_t) {
    return std::get_if<T>(static_cast<const Member*>(member));
  }
  static void* open_object(void* member) {
    auto& oneof = *static_cast<Member*>(member);
    T* held = std::get_if<T>(&oneof);
    return held != nullptr ? held : &oneof.template emplace<T>();
  }
};

template <class T, class Value>
constexpr MemberOps make_member_ops() {
  using Ops = OpsOf<T, Value>;
  if constexpr (std::is_class_v<Value>) {
    return {&Ops::count, nullptr, nullptr, &Ops::object, &Ops::open_object};
  } else {
    return {&Ops::count, &Ops::scalar, &Ops::put_scalar, nullptr, nullptr};
  }
}

template <class T, class Value>
inline constexpr MemberOps member_ops = make_member_ops<T, Value>();

}  // namespace kvbackup::inline v1::detail
