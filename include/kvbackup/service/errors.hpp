// SPDX-License-Identifier: Apache-2.0
// A Status as a node tells it: backup.Error, whose text BR reads.
//
// BR takes an error without a sub-message for one of the storage and looks for words in it: what
// says "notfound" or "permissiondenied" ends a backup with advice, "error during dispatch" is tried
// again, and everything else ends it (br pkg/backup/push.go, pkg/utils/retry.go). TiKV's texts are
// Rust's Debug form of its error types, and so are these.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/backup_service.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// `text` as Rust's Debug shows a string; control characters as \u{07}.
[[nodiscard]] inline std::string rust_string(std::string_view text) {
  std::string out(1, '"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += "\\u{";
      append_hex(out, ByteView(&c, 1));
      out += '}';
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

[[nodiscard]] inline std::string error_text(const Status& status) {
  return rust_string((status.retryable() ? "error during dispatch: " : "") + status.to_string());
}

/// std::io::ErrorKind's word for a failure.
[[nodiscard]] constexpr std::string_view io_error_kind(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::not_found: return "NotFound";
    case StatusCode::already_exists: return "AlreadyExists";
    case StatusCode::permission_denied: return "PermissionDenied";
    case StatusCode::invalid_argument:
    case StatusCode::unsupported: return "InvalidInput";
    case StatusCode::corruption:
    case StatusCode::out_of_order: return "InvalidData";
    case StatusCode::cancelled:
    case StatusCode::unavailable: return "Interrupted";
    default: return "Other";
  }
}

}  // namespace detail

/// `status`, which is not ok, of storage or of what is written there, as a node's answer. Keys and
/// object names stand in its text.
[[nodiscard]] inline Error error_of(const Status& status) {
  Error error;
  error.msg = "Io(Custom { kind: ";
  error.msg += detail::io_error_kind(status.code());
  error.msg += ", error: " + detail::error_text(status) + " })";
  return error;
}

/// The same of the store that is backed up: no word of it is about storage.
[[nodiscard]] inline Error store_error_of(const Status& status) {
  Error error;
  error.msg = "Other(" + detail::error_text(status) + ")";
  return error;
}

/// A range cannot be read before a transaction has ended.
[[nodiscard]] inline Error key_is_locked(LockInfo lock) {
  KeyError key;
  key.locked = std::move(lock);
  Error error;
  error.msg = "KeyIsLocked";
  error.detail = std::move(key);
  return error;
}

/// The request names another cluster than `current`.
[[nodiscard]] inline Error wrong_cluster(std::uint64_t current, std::uint64_t request) {
  ClusterIDError detail;
  detail.current = current;
  detail.request = request;
  Error error;
  error.msg = "ClusterID { current: " + std::to_string(current) +
              ", request: " + std::to_string(request) + " }";
  error.detail = std::move(detail);
  return error;
}

/// A region cannot serve.
[[nodiscard]] inline Error region_failed(RegionError region) {
  Error error;
  error.msg = "region error: " + region.message;
  error.detail = std::move(region);
  return error;
}

/// The node has too much to do: BR asks again, `backoff_ms` later or when it pleases.
[[nodiscard]] inline Error server_is_busy(std::string reason, std::uint64_t backoff_ms) {
  RegionError region;
  region.message = reason;
  region.server_is_busy.emplace();
  region.server_is_busy->reason = std::move(reason);
  region.server_is_busy->backoff_ms = backoff_ms;
  return region_failed(std::move(region));
}

}  // namespace kvbackup::inline v1
