// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <kvbackup/kvbackup.hpp>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/slice.h>
#include <leveldb/status.h>

#if !KVBACKUP_WITH_LEVELDB || !KVBACKUP_WITH_POSIX
#error \
    "kvbackup/ext/leveldb.hpp needs KVBACKUP_WITH_LEVELDB=1 and KVBACKUP_WITH_POSIX=1; link LevelDB"
#endif

namespace kvbackup::inline v1 {

namespace detail {

/// A status of LevelDB as ours: "cannot `doing`: TEXT". LevelDB tells little by its codes, so a
/// full disk is an io_error with the system's text.
[[nodiscard]] inline Status leveldb_status(const leveldb::Status& status, std::string_view doing,
                                           std::string_view object) {
  if (status.ok()) return {};
  StatusCode code = StatusCode::io_error;
  if (status.IsNotFound()) code = StatusCode::not_found;
  if (status.IsCorruption()) code = StatusCode::corruption;
  if (status.IsNotSupportedError()) code = StatusCode::unsupported;
  if (status.IsInvalidArgument()) code = StatusCode::invalid_argument;
  std::string message("cannot ");
  message += doing;
  message += ": ";
  message += status.ToString();
  return Status::error(code, std::move(message)).with_object(object);
}

[[nodiscard]] inline leveldb::Slice leveldb_slice(ByteView bytes) {
  return {bytes.data(), bytes.size()};
}
[[nodiscard]] inline ByteView leveldb_view(const leveldb::Slice& slice) {
  return {slice.data(), slice.size()};
}

/// A log to nowhere, so that LevelDB does not replace the store's own. Null where there is no
/// /dev/null; LevelDB then writes its own. (Its Logger is not a class to derive from where one
/// library is built without RTTI and the other with it.)
[[nodiscard]] inline std::unique_ptr<leveldb::Logger> leveldb_silence() {
  leveldb::Logger* logger = nullptr;
  if (!leveldb::Env::Default()->NewLogger("/dev/null", &logger).ok()) return nullptr;
  return std::unique_ptr<leveldb::Logger>(logger);
}

}  // namespace detail

}  // namespace kvbackup::inline v1
