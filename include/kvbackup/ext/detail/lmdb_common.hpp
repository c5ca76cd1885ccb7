// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <lmdb.h>
#include <string>
#include <string_view>
#include <utility>

#include <kvbackup/kvbackup.hpp>

#if !KVBACKUP_WITH_LMDB || !KVBACKUP_WITH_POSIX
#error "kvbackup/ext/lmdb.hpp needs KVBACKUP_WITH_LMDB=1 and KVBACKUP_WITH_POSIX=1; link LMDB"
#endif

namespace kvbackup::inline v1 {

namespace detail {

/// An LMDB return code (negative) or errno (positive) as a status: "cannot `doing`: TEXT".
[[nodiscard]] inline Status lmdb_status(int rc, std::string_view doing, std::string_view object) {
  if (rc > 0) return errno_status(rc, doing, object);
  StatusCode code = StatusCode::io_error;
  switch (rc) {
    case MDB_NOTFOUND: code = StatusCode::not_found; break;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID: code = StatusCode::corruption; break;
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE: code = StatusCode::unsupported; break;
    case MDB_MAP_FULL:
    case MDB_DBS_FULL:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL: code = StatusCode::resource_exhausted; break;
    case MDB_MAP_RESIZED: code = StatusCode::unavailable; break;
    case MDB_BAD_VALSIZE: code = StatusCode::invalid_argument; break;
    default: break;
  }
  std::string message("cannot ");
  message += doing;
  message += ": ";
  message += mdb_strerror(rc);
  return Status::error(code, std::move(message)).with_object(object).with_native(rc);
}

[[nodiscard]] inline MDB_val lmdb_val(ByteView bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}
[[nodiscard]] inline ByteView lmdb_view(const MDB_val& val) {
  return {static_cast<const char*>(val.mv_data), val.mv_size};
}

/// The size of a named database's record in the unnamed one: LMDB's MDB_db (lmdb.h 0.9: 8 bytes,
/// then five words). Only values of that size need the question whether they are such a record.
inline constexpr std::size_t lmdb_record_size = 8 + 5 * sizeof(std::size_t);

/// The flag of a database that is no plain store of one value a key in the order of its bytes; null
/// where it has none.
[[nodiscard]] inline const char* lmdb_foreign_order(unsigned flags) {
  if ((flags & MDB_DUPSORT) != 0) return "MDB_DUPSORT";
  if ((flags & MDB_INTEGERKEY) != 0) return "MDB_INTEGERKEY";
  return (flags & MDB_REVERSEKEY) != 0 ? "MDB_REVERSEKEY" : nullptr;
}

/// Refuses pairs that LMDB cannot hold.
[[nodiscard]] inline Status lmdb_check_pair(MDB_env* env, ByteView key, ByteView value) {
  const int longest = mdb_env_get_maxkeysize(env);
  if (key.empty() || key.size() > static_cast<std::size_t>(longest)) {
    std::string message(key.empty() ? "the key is empty" : "the key is too long");
    message += ": LMDB's keys have 1 to ";
    message += std::to_string(longest);
    message += " bytes";
    return Status::error(StatusCode::unsupported, std::move(message)).with_key(key);
  }
  if (value.size() > UINT32_MAX) {
    return Status::error(StatusCode::unsupported, "the value is too long: LMDB's are below 4 GiB")
        .with_key(key);
  }
  return {};
}

/// Names are C strings to LMDB, and keys of the unnamed database.
[[nodiscard]] inline bool lmdb_name_fits(ByteView name, int longest) {
  return !name.empty() && name.size() <= static_cast<std::size_t>(longest) &&
         name.find('\0') == ByteView::npos;
}

}  // namespace detail

}  // namespace kvbackup::inline v1
