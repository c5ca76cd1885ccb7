// SPDX-License-Identifier: Apache-2.0
// Keys as text, in the three spellings that BR's --format knows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/result.hpp"

namespace kvbackup::inline v1 {

/// How bytes are spelled in flags and text files.
enum class KeyFormat : std::uint8_t {
  raw,      ///< the bytes as they are
  escaped,  ///< printable ASCII as it is; C's escapes, `\xHH` and `\ooo` (octal) for the rest
  hex,      ///< two digits a byte; lower case is written, both are read
};

/// "raw", "escaped" or "hex".
[[nodiscard]] constexpr std::string_view to_string(KeyFormat format) noexcept {
  switch (format) {
    case KeyFormat::raw: return "raw";
    case KeyFormat::escaped: return "escaped";
    case KeyFormat::hex: return "hex";
  }
  return "unknown";
}

/// The format of that name, or invalid_argument.
[[nodiscard]] inline Result<KeyFormat> parse_key_format(std::string_view name) {
  for (const KeyFormat format : {KeyFormat::raw, KeyFormat::escaped, KeyFormat::hex}) {
    if (name == to_string(format)) return format;
  }
  return Status::error(StatusCode::invalid_argument, "unknown key format: give raw, escaped or hex")
      .with_object(name);
}

namespace detail {

/// The letters that may follow a backslash, and what each stands for.
inline constexpr std::string_view escape_letters = "abfnrtv\\'\"";
inline constexpr std::string_view escape_bytes = "\a\b\f\n\r\t\v\\'\"";

inline void append_escaped(std::string& out, ByteView bytes) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\r' || c == '\t' || c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(escape_letters[escape_bytes.find(c)]);
    } else if (byte >= 0x20 && byte < 0x7f) {
      out.push_back(c);
    } else {
      out.push_back('\\');
      out.push_back(static_cast<char>('0' + (byte >> 6)));
      out.push_back(static_cast<char>('0' + (byte >> 3 & 7)));
      out.push_back(static_cast<char>('0' + (byte & 7)));
    }
  }
}

/// One escape, `text` beginning after its backslash. Gives how many characters it took, 0 if it is
/// no escape.
[[nodiscard]] inline std::size_t take_escape(ByteView text, std::string& out) {
  if (text.empty()) return 0;
  const std::size_t letter = escape_letters.find(text[0]);
  if (letter != std::string_view::npos) {
    out.push_back(escape_bytes[letter]);
    return 1;
  }
  if (text.size() < 3) return 0;
  if (text[0] == 'x') {
    const int high = hex_digit(text[1]);
    const int low = hex_digit(text[2]);
    if (high < 0 || low < 0) return 0;
    out.push_back(static_cast<char>(high << 4 | low));
    return 3;
  }
  unsigned value = 0;
  for (const char c : text.substr(0, 3)) {
    if (c < '0' || c > '7') return 0;
    value = value * 8 + static_cast<unsigned>(c - '0');
  }
  if (value > 0xff) return 0;
  out.push_back(static_cast<char>(value));
  return 3;
}

/// hex_digit() of every character.
inline constexpr std::array<signed char, 256> hex_values = [] {
  std::array<signed char, 256> values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<signed char>(hex_digit(static_cast<char>(i)));
  }
  return values;
}();

/// Appends what `text` spells; gives why it spells nothing, or null.
[[nodiscard]] inline const char* append_decoded(KeyFormat format, ByteView text, std::string& out) {
  if (format == KeyFormat::raw) {
    out.append(text);
    return nullptr;
  }
  if (format == KeyFormat::hex) {
    if (text.size() % 2 != 0) return "is not hex: it has an odd number of digits";
    const std::size_t before = out.size();
    out.resize(before + text.size() / 2);
    char* to = out.data() + before;
    for (std::size_t i = 0; i < text.size(); i += 2) {
      const int high = hex_values[static_cast<unsigned char>(text[i])];
      const int low = hex_values[static_cast<unsigned char>(text[i + 1])];
      if ((high | low) < 0) return "is not hex: it has a character that is no hex digit";
      *to++ = static_cast<char>(high << 4 | low);
    }
    return nullptr;
  }
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      out.push_back(c);
      continue;
    }
    const std::size_t taken = take_escape(text, out);
    if (taken == 0) {
      return "is not escaped text: a backslash begins none of \\a \\b \\f \\n \\r \\t \\v \\\\ "
             "\\' \\\" \\xHH \\ooo";
    }
    text.remove_prefix(taken);
  }
  return nullptr;
}

}  // namespace detail

/// Appends `bytes` spelled in `format`.
inline void append_key_text(std::string& out, KeyFormat format, ByteView bytes) {
  switch (format) {
    case KeyFormat::raw: out.append(bytes); return;
    case KeyFormat::escaped: detail::append_escaped(out, bytes); return;
    case KeyFormat::hex: append_hex(out, bytes); return;
  }
}

/// `bytes` spelled in `format`.
[[nodiscard]] inline std::string encode_key(KeyFormat format, ByteView bytes) {
  std::string out;
  append_key_text(out, format, bytes);
  return out;
}

/// The bytes that `text` spells in `format`; invalid_argument, saying why, if it spells none.
[[nodiscard]] inline Result<std::string> decode_key(KeyFormat format, ByteView text) {
  std::string out;
  const char* const why = detail::append_decoded(format, text, out);
  if (why == nullptr) return out;
  std::string message("the key ");
  message += why;
  return Status::error(StatusCode::invalid_argument, std::move(message));
}

}  // namespace kvbackup::inline v1
