// SPDX-License-Identifier: Apache-2.0
// How everything in this library fails: a Status. Nothing here throws, prints, aborts or exits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

/// What kind of failure it is; what a caller may want to branch on.
enum class StatusCode : std::uint8_t {
  ok,
  cancelled,           ///< the caller's CancelToken was set
  invalid_argument,    ///< an option, flag, URL or name that can never work
  out_of_order,        ///< keys of a source do not strictly rise
  corruption,          ///< bytes do not say what their format or checksum promises
  not_found,           ///< no such object, database, column family
  already_exists,      ///< an object that must not be replaced is there
  permission_denied,   ///< refused by the system or a server
  no_space,            ///< disk or quota is full
  resource_exhausted,  ///< a limit of the format or of this library is passed
  io_error,            ///< the system or a library reports a failed read or write
  unavailable,         ///< a server or resource that may be back later
  unsupported,         ///< not built in, or not expressible
  internal,            ///< a bug in this library
};

/// The code's name as it stands in messages and JSON: "out_of_order" and so on.
[[nodiscard]] constexpr std::string_view to_string(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::ok: return "ok";
    case StatusCode::cancelled: return "cancelled";
    case StatusCode::invalid_argument: return "invalid_argument";
    case StatusCode::out_of_order: return "out_of_order";
    case StatusCode::corruption: return "corruption";
    case StatusCode::not_found: return "not_found";
    case StatusCode::already_exists: return "already_exists";
    case StatusCode::permission_denied: return "permission_denied";
    case StatusCode::no_space: return "no_space";
    case StatusCode::resource_exhausted: return "resource_exhausted";
    case StatusCode::io_error: return "io_error";
    case StatusCode::unavailable: return "unavailable";
    case StatusCode::unsupported: return "unsupported";
    case StatusCode::internal: return "internal";
  }
  return "unknown";
}

/// Whether Status::to_string shows the keys it carries.
enum class KeyDisplay : std::uint8_t { shown, redacted };

/// Success, or what went wrong. One pointer, null on success, so passing it on costs nothing.
///
/// A message says what was being done and what to do about it; the object and the keys it happened
/// to are carried beside it, never inside, so that keys can be hidden when it is shown.
class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status& other) : detail_(other.copy()) {}
  Status& operator=(const Status& other) {
    if (this != &other) detail_ = other.copy();
    return *this;
  }
  ~Status() = default;

  /// A failure. `code` is never ok; `message` holds neither keys nor credentials.
  KVBACKUP_DETAIL_COLD static Status error(StatusCode code, std::string message) {
    KVBACKUP_ASSERT(code != StatusCode::ok);
    Status status;
    status.detail_ = std::make_unique<Detail>();
    status.detail_->code = code;
    status.detail_->message = std::move(message);
    return status;
  }

  [[nodiscard]] bool ok() const noexcept { return detail_ == nullptr; }
  [[nodiscard]] StatusCode code() const noexcept {
    return detail_ ? detail_->code : StatusCode::ok;
  }
  /// errno, an HTTP status or a library's own code, as the message says; 0 where there is none.
  [[nodiscard]] int native_code() const noexcept { return detail_ ? detail_->native_code : 0; }
  [[nodiscard]] std::string_view message() const noexcept {
    return detail_ ? std::string_view(detail_->message) : std::string_view();
  }
  /// The object (file, URL, database) it happened to; empty where there is none.
  [[nodiscard]] std::string_view object() const noexcept {
    return detail_ ? std::string_view(detail_->object) : std::string_view();
  }
  [[nodiscard]] bool has_key() const noexcept { return detail_ && detail_->keys != Keys::none; }
  /// The key, or the start of the key range, it happened to.
  [[nodiscard]] ByteView key() const noexcept {
    return detail_ ? ByteView(detail_->key) : ByteView();
  }
  /// The end of that key range.
  [[nodiscard]] ByteView key_end() const noexcept {
    return detail_ ? ByteView(detail_->key_end) : ByteView();
  }
  /// The same call may succeed later without anybody changing anything.
  [[nodiscard]] bool retryable() const noexcept { return detail_ && detail_->retryable; }

  // Builders: add to a failure what the place that knows it knows. No effect on success, and an
  // object or key that is already there (from nearer to the failure) stays.
  KVBACKUP_DETAIL_COLD Status&& with_object(std::string_view object) && {
    if (detail_ && detail_->object.empty()) detail_->object = object;
    return std::move(*this);
  }
  KVBACKUP_DETAIL_COLD Status&& with_key(ByteView key) && {
    if (detail_ && detail_->keys == Keys::none) {
      detail_->keys = Keys::one;
      detail_->key = key;
    }
    return std::move(*this);
  }
  /// Names `key` in place of whatever key or range is there: a caller that put a prefix before a
  /// key shows its own.
  KVBACKUP_DETAIL_COLD Status&& rekeyed(ByteView key) && {
    if (detail_) {
      detail_->keys = Keys::one;
      detail_->key = key;
      detail_->key_end.clear();
    }
    return std::move(*this);
  }
  KVBACKUP_DETAIL_COLD Status&& with_range(ByteView start, ByteView end) && {
    if (detail_ && detail_->keys == Keys::none) {
      detail_->keys = Keys::range;
      detail_->key = start;
      detail_->key_end = end;
    }
    return std::move(*this);
  }
  /// Puts "; " and `note` behind the message: what the failure means where it is passed on.
  KVBACKUP_DETAIL_COLD Status&& with_note(std::string_view note) && {
    if (detail_) detail_->message.append("; ").append(note);
    return std::move(*this);
  }
  Status&& with_native(int native_code) && {
    if (detail_) detail_->native_code = native_code;
    return std::move(*this);
  }
  Status&& as_retryable(bool retryable = true) && {
    if (detail_) detail_->retryable = retryable;
    return std::move(*this);
  }

  /// One line for people: "io_error: cannot write block (errno 5): object 1_1_1.sst, key 6b31".
  /// Keys are hex, cut at 64 bytes, or left out when `keys` is redacted.
  KVBACKUP_DETAIL_COLD [[nodiscard]] std::string to_string(
      KeyDisplay keys = KeyDisplay::shown) const {
    if (!detail_) return "ok";
    std::string out(kvbackup::v1::to_string(detail_->code));
    out += ": ";
    out += detail_->message;
    const char* separator = ": ";
    if (!detail_->object.empty()) {
      out += separator;
      out += "object ";
      out += detail_->object;
      separator = ", ";
    }
    if (detail_->keys == Keys::none) return out;
    out += separator;
    if (detail_->keys == Keys::one) {
      out += "key ";
      append_key(out, detail_->key, keys);
    } else {
      out += "key range [";
      append_key(out, detail_->key, keys);
      out += ", ";
      append_key(out, detail_->key_end, keys);
      out += ")";
    }
    return out;
  }

 private:
  enum class Keys : std::uint8_t { none, one, range };
  struct Detail {
    StatusCode code = StatusCode::internal;
    Keys keys = Keys::none;
    bool retryable = false;
    int native_code = 0;
    std::string message;
    std::string object;
    std::string key;
    std::string key_end;
  };

  [[nodiscard]] std::unique_ptr<Detail> copy() const {
    return detail_ ? std::make_unique<Detail>(*detail_) : nullptr;
  }

  static void append_key(std::string& out, ByteView key, KeyDisplay display) {
    constexpr std::size_t longest = 64;
    if (display == KeyDisplay::redacted) {
      out += '?';
      return;
    }
    append_hex(out, key.substr(0, longest));
    if (key.size() > longest) out += "...";
    if (key.empty()) out += "\"\"";
  }

  std::unique_ptr<Detail> detail_;
};

}  // namespace kvbackup::inline v1
