// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/source/mvcc_keys.hpp"
#include "kvbackup/source/mvcc_records.hpp"

namespace kvbackup::inline v1::detail {

inline constexpr std::string_view write_cf = "write";

/// One entry of a file of a transactional backup, understood. Its views live as long as the entry.
class VersionRecord {
 public:
  /// Reads the entry of a file of `cf`; `key` is without data prefix. Gives what is wrong with it,
  /// in words that go on "it holds ...", or null. A backup holds no locks and no rollbacks.
  [[nodiscard]] const char* parse(std::string_view cf, ByteView key, ByteView value) {
    const auto split = split_mvcc_key(key);
    if (!split || !from_memcomparable(split->row, user_key_)) {
      return "a key that is none of a version in TiKV's form";
    }
    key_ = *split;
    counted_.reset();
    if (cf != write_cf) {
      counted_ = value;
      return nullptr;
    }
    const auto write = parse_mvcc_write(value);
    if (!write.ok()) return "a record that is none of column family write";
    write_ = write.value();
    switch (write_.type) {
      case MvccWriteType::put: counted_ = write_.short_value; return nullptr;
      case MvccWriteType::remove: counted_ = ByteView(); return nullptr;
      default: return "a lock or rollback record";
    }
  }

  [[nodiscard]] const std::string& user_key() const { return user_key_; }
  [[nodiscard]] const MvccKey& key() const { return key_; }
  /// Of a record of column family write.
  [[nodiscard]] const MvccWrite& write() const { return write_; }
  /// The value that is counted in this file, beside the user key: where the value itself stands, or
  /// a deletion. TiKV counts each once.
  [[nodiscard]] const std::optional<ByteView>& counted() const { return counted_; }

 private:
  std::string user_key_;
  MvccKey key_;
  MvccWrite write_;
  std::optional<ByteView> counted_;
};

}  // namespace kvbackup::inline v1::detail
