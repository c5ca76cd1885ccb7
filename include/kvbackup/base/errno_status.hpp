// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

/// The kind of failure that an errno value stands for.
[[nodiscard]] constexpr StatusCode code_from_errno(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return StatusCode::not_found;
    case EEXIST:
    case ENOTEMPTY: return StatusCode::already_exists;
    case EACCES:
    case EPERM:
    case EROFS: return StatusCode::permission_denied;
    case ENOSPC:
    case EDQUOT: return StatusCode::no_space;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EFBIG: return StatusCode::resource_exhausted;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP: return StatusCode::invalid_argument;
    case EAGAIN:
    case EBUSY: return StatusCode::unavailable;
    default: return StatusCode::io_error;
  }
}

/// A failed call of the system: `doing` ("cannot write the file"), the system's own text, and errno
/// as the native code.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status status_from_errno(int error, const char* doing) {
  std::string message(doing);
  message += ": ";
  message += std::generic_category().message(error);
  return Status::error(code_from_errno(error), std::move(message)).with_native(error);
}

}  // namespace kvbackup::inline v1
