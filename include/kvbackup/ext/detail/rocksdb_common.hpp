// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdarg>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#if !KVBACKUP_WITH_ROCKSDB || !KVBACKUP_WITH_POSIX
#error \
    "kvbackup/ext/rocksdb.hpp needs KVBACKUP_WITH_ROCKSDB=1 and KVBACKUP_WITH_POSIX=1; link RocksDB"
#endif

namespace kvbackup::inline v1 {

namespace detail {

[[nodiscard]] inline StatusCode rocksdb_code(const rocksdb::Status& status) {
  switch (status.code()) {
    case rocksdb::Status::kNotFound:
    case rocksdb::Status::kColumnFamilyDropped: return StatusCode::not_found;
    case rocksdb::Status::kCorruption: return StatusCode::corruption;
    case rocksdb::Status::kNotSupported:
    case rocksdb::Status::kMergeInProgress: return StatusCode::unsupported;
    case rocksdb::Status::kInvalidArgument: return StatusCode::invalid_argument;
    case rocksdb::Status::kIOError:
      switch (status.subcode()) {
        case rocksdb::Status::kNoSpace:
        case rocksdb::Status::kSpaceLimit: return StatusCode::no_space;
        case rocksdb::Status::kPathNotFound: return StatusCode::not_found;
        default: return StatusCode::io_error;
      }
    case rocksdb::Status::kTimedOut:
    case rocksdb::Status::kBusy:
    case rocksdb::Status::kTryAgain:
    case rocksdb::Status::kShutdownInProgress: return StatusCode::unavailable;
    case rocksdb::Status::kAborted:
      return status.IsMemoryLimit() ? StatusCode::resource_exhausted : StatusCode::io_error;
    default: return StatusCode::io_error;
  }
}

/// A status of RocksDB as ours: "cannot `doing`: TEXT"; the native code is RocksDB's. `object` is
/// the store, with ?cf= the column family.
[[nodiscard]] inline Status rocksdb_status(const rocksdb::Status& status, std::string_view doing,
                                           std::string_view object) {
  if (status.ok()) return {};
  StatusCode code = rocksdb_code(status);
  std::string message("cannot ");
  message += doing;
  message += ": ";
  message += status.ToString();
  // the only sign of it that RocksDB gives
  if (message.find("merge_operator") != std::string::npos) {
    code = StatusCode::unsupported;
    message += "; there are merge operands, and their merge operator is not in this program: ";
    message += "back up from within the program that has it";
  }
  return Status::error(code, std::move(message))
      .with_object(object)
      .with_native(static_cast<int>(status.code()))
      .as_retryable(code == StatusCode::unavailable);
}

[[nodiscard]] inline rocksdb::Slice rocksdb_slice(ByteView bytes) {
  return {bytes.data(), bytes.size()};
}
[[nodiscard]] inline ByteView rocksdb_view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

/// The only order that a backup has.
inline constexpr std::string_view bytewise_comparator = "leveldb.BytewiseComparator";

/// RocksDB's log of what it does, thrown away: the file that it would write lies in the store.
class RocksdbSilence final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

/// The handles of an open store, closed in the order that RocksDB asks for.
struct RocksdbHandles {
  RocksdbHandles() = default;
  RocksdbHandles(const RocksdbHandles&) = delete;
  RocksdbHandles& operator=(const RocksdbHandles&) = delete;
  ~RocksdbHandles() { close(); }
  /// Ends use of the store; what it could not write is the status.
  rocksdb::Status close() {
    rocksdb::Status status;
    if (!db) return status;
    for (rocksdb::ColumnFamilyHandle* const handle : cfs) {
      db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    cfs.clear();
    status = db->Close();
    db.reset();
    return status;
  }

  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> cfs;
};

}  // namespace detail

}  // namespace kvbackup::inline v1
