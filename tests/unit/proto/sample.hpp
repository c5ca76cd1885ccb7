// SPDX-License-Identifier: Apache-2.0
// A message of a host's own, with every type and shape of field.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace sample {

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

enum class Color : std::int32_t { red = 0, green = 1, blue = -7 };

struct Leaf {
  std::uint32_t id = 0;
  std::string text;
  std::string unknown_fields;

  bool operator==(const Leaf&) const = default;
};

struct Tree {
  std::vector<Tree> children;
  std::string unknown_fields;

  bool operator==(const Tree&) const = default;
};

struct Sample {
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  std::int32_t i32 = 0;
  std::int64_t i64 = 0;
  bool flag = false;
  Color color = Color::red;
  std::string text;
  std::string raw;
  std::optional<Leaf> leaf;
  std::vector<std::uint64_t> numbers;
  std::vector<std::string> texts;
  std::vector<Leaf> leaves;
  std::map<std::string, std::string> pairs;
  std::variant<std::monostate, Leaf, Tree> choice;
  std::string unknown_fields;

  bool operator==(const Sample&) const = default;
};

}  // namespace sample

template <>
struct kvbackup::EnumTraits<sample::Color> {
  static constexpr std::string_view name = "sample.Color";
  static constexpr EnumValue values[] = {{0, "RED"}, {1, "GREEN"}, {-7, "BLUE"}};
};

template <>
struct kvbackup::MessageTraits<sample::Leaf> {
  static constexpr std::string_view name = "sample.Leaf";
  static constexpr FieldInfo fields[] = {
      field<&sample::Leaf::id>(1, "id"),
      string_field<&sample::Leaf::text>(2, "text"),
  };
};

template <>
struct kvbackup::MessageTraits<sample::Tree> {
  static constexpr std::string_view name = "sample.Tree";
  static constexpr FieldInfo fields[] = {field<&sample::Tree::children>(1, "children")};
};

template <>
struct kvbackup::MessageTraits<sample::Sample> {
  using Sample = sample::Sample;
  static constexpr std::string_view name = "sample.Sample";
  static constexpr FieldInfo fields[] = {
      field<&Sample::u32>(1, "u32"),
      field<&Sample::u64>(2, "u64"),
      field<&Sample::i32>(3, "i32"),
      field<&Sample::i64>(4, "i64"),
      field<&Sample::flag>(5, "flag"),
      field<&Sample::color>(6, "color"),
      string_field<&Sample::text>(7, "text"),
      bytes_field<&Sample::raw>(8, "raw"),
      field<&Sample::leaf>(9, "leaf"),
      field<&Sample::numbers>(10, "numbers"),
      string_field<&Sample::texts>(11, "texts"),
      field<&Sample::leaves>(12, "leaves"),
      field<&Sample::pairs>(13, "pairs"),
      oneof_field<&Sample::choice, sample::Leaf>(14, "one"),
      oneof_field<&Sample::choice, sample::Tree>(15, "other"),
  };
};

namespace sample {

/// The bytes that hex digits spell; blanks are for the reader.
inline std::string hex(std::string_view digits) {
  std::string packed;
  for (const char c : digits) {
    if (c != ' ') packed.push_back(c);
  }
  return kvbackup::from_hex(packed).value();
}

}  // namespace sample
