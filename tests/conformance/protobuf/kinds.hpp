// SPDX-License-Identifier: Apache-2.0
// The messages of kinds.proto.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace kinds_test {

enum class Color : std::int32_t { red = 0, green = 1, blue = -7 };

struct Node {
  std::vector<Node> children;
  std::uint32_t id = 0;
  std::string unknown_fields;

  bool operator==(const Node&) const = default;
};

struct Empty {
  std::string unknown_fields;

  bool operator==(const Empty&) const = default;
};

struct Kinds {
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  std::int32_t i32 = 0;
  std::int64_t i64 = 0;
  bool flag = false;
  Color color = Color::red;
  std::string text;
  std::string raw;
  std::optional<Node> node;
  std::vector<std::uint32_t> u32s;
  std::vector<std::uint64_t> u64s;
  std::vector<std::int32_t> i32s;
  std::vector<std::int64_t> i64s;
  std::vector<bool> flags;
  std::vector<Color> colors;
  std::vector<std::string> texts;
  std::vector<std::string> raws;
  std::vector<Node> nodes;
  std::map<std::string, std::string> pairs;
  std::variant<std::monostate, Node, Empty> choice;
  std::uint32_t last = 0;
  std::string unknown_fields;

  bool operator==(const Kinds&) const = default;
};

}  // namespace kinds_test

template <>
struct kvbackup::EnumTraits<kinds_test::Color> {
  static constexpr std::string_view name = "kinds.Color";
  static constexpr EnumValue values[] = {{0, "RED"}, {1, "GREEN"}, {-7, "BLUE"}};
};

template <>
struct kvbackup::MessageTraits<kinds_test::Node> {
  using Node = kinds_test::Node;
  static constexpr std::string_view name = "kinds.Node";
  static constexpr FieldInfo fields[] = {
      field<&Node::children>(1, "children"),
      field<&Node::id>(2, "id"),
  };
};

template <>
struct kvbackup::MessageTraits<kinds_test::Empty> {
  static constexpr std::string_view name = "kinds.Empty";
  static constexpr auto fields = no_fields;
};

template <>
struct kvbackup::MessageTraits<kinds_test::Kinds> {
  using Kinds = kinds_test::Kinds;
  static constexpr std::string_view name = "kinds.Kinds";
  static constexpr FieldInfo fields[] = {
      field<&Kinds::u32>(1, "u32"),
      field<&Kinds::u64>(2, "u64"),
      field<&Kinds::i32>(3, "i32"),
      field<&Kinds::i64>(4, "i64"),
      field<&Kinds::flag>(5, "flag"),
      field<&Kinds::color>(6, "color"),
      string_field<&Kinds::text>(7, "text"),
      bytes_field<&Kinds::raw>(8, "raw"),
      field<&Kinds::node>(9, "node"),
      field<&Kinds::u32s>(11, "u32s"),
      field<&Kinds::u64s>(12, "u64s"),
      field<&Kinds::i32s>(13, "i32s"),
      field<&Kinds::i64s>(14, "i64s"),
      field<&Kinds::flags>(15, "flags"),
      field<&Kinds::colors>(16, "colors"),
      string_field<&Kinds::texts>(17, "texts"),
      bytes_field<&Kinds::raws>(18, "raws"),
      field<&Kinds::nodes>(19, "nodes"),
      field<&Kinds::pairs>(20, "pairs"),
      oneof_field<&Kinds::choice, kinds_test::Node>(21, "one"),
      oneof_field<&Kinds::choice, kinds_test::Empty>(3000, "nothing"),
      field<&Kinds::last>(536870911, "last"),
  };
};

static_assert(kvbackup::Message<kinds_test::Node>);
static_assert(kvbackup::Message<kinds_test::Empty>);
static_assert(kvbackup::Message<kinds_test::Kinds>);
