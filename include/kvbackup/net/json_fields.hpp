// SPDX-License-Identifier: Apache-2.0
// The JSON that credential endpoints and object stores answer with, without a JSON library.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/net/detail/code_point.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// Walks a document once, by recursion no deeper than `deepest`.
class JsonFieldScanner {
 public:
  using OnValue = FunctionRef<Status(std::string_view path, std::string_view value)>;

  JsonFieldScanner(std::string_view text, OnValue on_value) : rest_(text), on_value_(on_value) {}

  Status run() {
    if (!is_utf8(rest_)) return bad("it is not UTF-8");
    if (Status status = take_value(0); !status.ok()) return status;
    skip_space();
    return rest_.empty() ? Status() : bad("something follows its end");
  }

 private:
  static constexpr std::size_t deepest = 16;

  KVBACKUP_DETAIL_COLD static Status bad(const char* why) {
    std::string message = "the server's answer is no JSON that can be read: ";
    message += why;
    return Status::error(StatusCode::corruption, std::move(message));
  }

  void skip_space() {
    const std::size_t at = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(at == std::string_view::npos ? rest_.size() : at);
  }
  bool take(char c) {
    skip_space();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Status take_value(std::size_t depth) {
    if (depth == deepest) return bad("it nests too deeply");
    if (take('{')) return take_members('}', depth);
    if (take('[')) return take_members(']', depth);
    if (rest_.starts_with('"')) {
      std::string text;
      if (!take_string(text)) return bad("a string is not well formed");
      return on_value_(path_, text);
    }
    const std::string_view word = rest_.substr(0, rest_.find_first_of(" \t\r\n,]}"));
    if (word.empty() || word.find_first_not_of("+-.0123456789Eaeflnrstu") != std::string::npos) {
      return bad("a value is missing");
    }
    rest_.remove_prefix(word.size());
    return on_value_(path_, word);
  }

  /// What stands between the brackets; an element of an array has the path "[]".
  Status take_members(char end, std::size_t depth) {
    const std::size_t before = path_.size();
    for (bool first = true; !take(end); first = false) {
      if (!first && !take(',')) return bad("a comma is missing");
      skip_space();
      if (before != 0) path_ += '/';
      if (end == ']') {
        path_ += "[]";
      } else if (!take_string(path_) || !take(':')) {
        return bad("a name is missing");
      }
      if (Status status = take_value(depth + 1); !status.ok()) return status;
      path_.resize(before);
    }
    // the end of a member of an array, so that a caller can tell its members apart
    return on_value_(path_, end == '}' ? "{}" : "[]");
  }

  bool take_string(std::string& out) {
    if (!rest_.starts_with('"')) return false;
    rest_.remove_prefix(1);
    while (true) {
      const std::size_t at = rest_.find_first_of("\"\\");
      if (at == std::string_view::npos) return false;
      out += rest_.substr(0, at);
      const char c = rest_[at];
      rest_.remove_prefix(at + 1);
      if (c == '"') return true;
      if (!take_escape(out)) return false;
    }
  }

  bool take_escape(std::string& out) {
    constexpr std::string_view letters = "\"\\/bfnrt";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    if (rest_.empty()) return false;
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c != 'u') {
      const std::size_t index = letters.find(c);
      if (index == std::string_view::npos) return false;
      out += meanings[index];
      return true;
    }
    std::uint32_t point = 0;
    if (!take_hex(point)) return false;
    if (point >= 0xd800 && point < 0xdc00 && rest_.starts_with("\\u")) {
      rest_.remove_prefix(2);
      std::uint32_t low = 0;
      if (!take_hex(low) || low < 0xdc00 || low > 0xdfff) return false;
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    return append_code_point(out, point);
  }

  bool take_hex(std::uint32_t& value) {
    if (rest_.size() < 4) return false;
    const auto [end, failed] = std::from_chars(rest_.data(), rest_.data() + 4, value, 16);
    if (failed != std::errc() || end != rest_.data() + 4) return false;
    rest_.remove_prefix(4);
    return true;
  }

  std::string_view rest_;
  OnValue on_value_;
  std::string path_;
};

}  // namespace detail

/// Calls `on_value(path, value)` for each string (decoded), number, true, false and null: its names
/// from the root joined by '/', "[]" for an element of an array ("items/[]/name"). At the end of an
/// object or array it is called with its path and "{}" or "[]". Both views die with the call.
/// Errors: the first that on_value gives; corruption for what is no JSON.
[[nodiscard]] inline Status scan_json(
    std::string_view text,
    FunctionRef<Status(std::string_view path, std::string_view value)> on_value) {
  return detail::JsonFieldScanner(text, on_value).run();
}

}  // namespace kvbackup::inline v1
