// SPDX-License-Identifier: Apache-2.0
// The lock of a destination: the object `kvbackup.lock.{run id}`, which the run that writes there
// keeps while it does.
//
// Whether its holder lives is judged by the storage's clock, never by that of a host: by when the
// storage says that the lock was written, beside when it says that another object was, which the
// judge wrote just now.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/process.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/manifest/naming.hpp"
#include "kvbackup/manifest/seal.hpp"
#include "kvbackup/net/time_text.hpp"
#include "kvbackup/proto/checkpoint.hpp"
#include "kvbackup/proto/decode.hpp"
#include "kvbackup/proto/encode.hpp"

namespace kvbackup::inline v1 {

/// The DestinationLock::format that this library writes, and the highest it reads.
inline constexpr std::uint32_t lock_format = 1;
/// A holder renews its lock this often, in milliseconds.
inline constexpr std::uint64_t lock_renewal_ms = 60'000;
/// How long a lock lives behind its last renewal, in milliseconds: that of BR's checkpoint.lock.
inline constexpr std::uint64_t lock_lease_ms = 300'000;
/// Whatever a lock says, it lives no longer.
inline constexpr std::uint64_t longest_lease_ms = 3'600'000;
/// The largest lock that is read, in bytes.
inline constexpr std::uint64_t max_lock_size = 16u << 10;

/// The bytes of the object lock_name(lock.run_id).
[[nodiscard]] inline std::string encode_lock(const DestinationLock& lock) {
  std::string out = encode(lock);
  detail::append_seal(out);
  return out;
}

/// Reads the lock whose object has that name. Errors: corruption for anything that is not exactly
/// what encode_lock() writes under it, unsupported for a later format.
[[nodiscard]] inline Result<DestinationLock> decode_lock(std::string_view name, ByteView bytes) {
  constexpr std::size_t longest_text = 255;
  const auto damaged = [name](const char* why) {
    return Status::error(StatusCode::corruption, why).with_object(name);
  };
  const auto message = bytes.size() > max_lock_size ? std::nullopt : detail::sealed_part(bytes);
  if (!message) return damaged("the lock is damaged: its bytes do not match its seal");
  auto decoded = decode<DestinationLock>(*message);
  if (!decoded.ok()) return std::move(decoded).status().with_object(name);
  const DestinationLock& lock = decoded.value();
  if (lock.format == 0 || lock.format > lock_format) {
    return Status::error(StatusCode::unsupported, "the lock is of a later version")
        .with_object(name);
  }
  if (!is_lock_name(name) || lock_name(lock.run_id) != name || !is_run_id(lock.job_id)) {
    return damaged("the lock is damaged: it is of another run");
  }
  for (const std::string* text : {&lock.host, &lock.process}) {
    const bool is_plain =
        std::all_of(text->begin(), text->end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (text->size() > longest_text || !is_plain) {
      return damaged("the lock is damaged: the name of its host is none");
    }
  }
  return decoded;
}

/// A lock that was found in a destination, and what the storage says of it.
struct FoundLock {
  std::string name;
  std::optional<DestinationLock> lock;       ///< nothing where it cannot be read
  std::optional<std::uint64_t> modified_ms;  ///< ObjectInfo::modified_ms
};

/// Whether the holder of `found` has to be taken for alive. `written_ms` is when the storage says
/// that an object was written that was written just now, `now_ms` the time of this host, by which
/// it is judged where the storage tells no times. A holder on this host that has ended is not
/// alive, however long its lease is.
[[nodiscard]] inline bool is_live(const FoundLock& found, std::optional<std::uint64_t> written_ms,
                                  std::uint64_t now_ms) {
  // some storages tell whole seconds
  constexpr std::uint64_t slack_ms = 2'000;
  std::uint64_t lease = lock_lease_ms;
  std::uint64_t renewed = 0;
  if (found.lock) {
    const DestinationLock& lock = *found.lock;
    if (is_dead_process({lock.host, lock.pid, lock.process})) return false;
    lease = std::min(lock.lease_ms, longest_lease_ms);
    renewed = std::min(lock.renewed_unix_ms, now_ms);
  }
  if (found.modified_ms && written_ms) {
    renewed = *found.modified_ms;
    now_ms = *written_ms;
  } else if (!found.lock) {
    return true;
  }
  return now_ms < renewed || now_ms - renewed < lease + slack_ms;
}

/// Who holds it, for a message: "process 12 on host-a, started at 20210402T081321Z, ...".
[[nodiscard]] inline std::string describe_lock(const FoundLock& found) {
  if (!found.lock) return "a holder whose lock cannot be read";
  const DestinationLock& lock = *found.lock;
  std::string text = "process " + std::to_string(lock.pid);
  if (!lock.host.empty()) text += " on " + lock.host;
  text += ", started at " + amz_date(lock.started_unix_ms) + ", its lock renewed at " +
          amz_date(found.modified_ms.value_or(lock.renewed_unix_ms)) + " and good for " +
          std::to_string(std::min(lock.lease_ms, longest_lease_ms) / 1'000) + " s after that";
  return text;
}

}  // namespace kvbackup::inline v1
