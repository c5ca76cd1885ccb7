// SPDX-License-Identifier: Apache-2.0
// What object stores say, as numbers and as a part of messages.
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

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1::detail {

/// A decimal number of at most 64 bits, and nothing else.
[[nodiscard]] inline std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
  std::uint64_t size = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, size);
  if (failed != std::errc() || rest != end) return std::nullopt;
  return size;
}

/// A word of a server in a message: printable and short, and UTF-8 if it was. Nothing of the
/// request is in it, but for what the server repeats; `secrets` are taken out.
[[nodiscard]] inline std::string shown_text(std::string_view text,
                                            const std::vector<std::string_view>& secrets) {
  constexpr std::size_t longest = 200;
  std::string out(text);
  for (const std::string_view secret : secrets) {
    if (secret.empty()) continue;
    for (std::size_t at = 0; (at = out.find(secret, at)) != std::string::npos;) {
      out.replace(at, secret.size(), "***");
    }
  }
  if (out.size() > longest) {
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
    out.resize(end);
  }
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return out;
}

/// How a server refused a request, and what that means.
struct Refusal {
  int http_status = 0;
  std::string code;     // the server's word for it; may be empty
  std::string message;  // the same in a sentence; may be empty
  bool passing = false;
  StatusCode meaning = StatusCode::invalid_argument;
  std::string_view advice;  // empty: a right is missing
};

/// A refusal as a failure, retryable if it passes. `doing` completes "cannot ..."; `right` is the
/// permission that is missing where there is no other advice.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status refusal_status(
    const Refusal& refusal, std::string_view doing, std::string_view right,
    const std::vector<std::string_view>& secrets) {
  std::string message = "cannot ";
  message += doing;
  message += ": the server answered ";
  message += std::to_string(refusal.http_status);
  if (!refusal.code.empty()) {
    message += ' ';
    message += shown_text(refusal.code, secrets);
  }
  if (!refusal.message.empty()) {
    message += " (";
    message += shown_text(refusal.message, secrets);
    message += ')';
  }
  message += "; ";
  if (refusal.passing) {
    message += "try again later";
  } else if (!refusal.advice.empty()) {
    message += refusal.advice;
  } else {
    message += "the credentials need the right ";
    message += right;
  }
  return Status::error(refusal.passing ? StatusCode::unavailable : refusal.meaning,
                       std::move(message))
      .with_native(refusal.http_status)
      .as_retryable(refusal.passing);
}

}  // namespace kvbackup::inline v1::detail
