// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace sst_test {

/// A table put together block by block, whatever sense it makes: format_version 2 without
/// checksums, or as LevelDB has it.
class CraftedTable {
 public:
  explicit CraftedTable(bool leveldb = false) : leveldb_(leveldb) {
    property_number("rocksdb.block.based.table.index.type", 0, 4);
  }

  /// Adds the bytes of a block and gives its handle.
  kvbackup::BlockHandle block(const std::string& payload, unsigned type = 0) {
    const kvbackup::BlockHandle handle{file_.size(), payload.size()};
    std::string stored = payload;
    stored.push_back(static_cast<char>(type));
    file_ += stored;
    kvbackup::append_le32(file_, leveldb_ ? kvbackup::Crc32cChecksum::of(stored) : 0);
    return handle;
  }
  /// Names a data block in the index.
  void index(const std::string& internal_key, const kvbackup::BlockHandle& handle) {
    std::string value;
    kvbackup::append_handle(value, handle);
    index_.emplace_back(internal_key, value);
  }
  void property(const std::string& name, const std::string& bytes) { properties_[name] = bytes; }
  void property_number(const std::string& name, std::uint64_t v, std::size_t size) {
    std::string bytes;
    kvbackup::append_le64(bytes, v);
    property(name, bytes.substr(0, size));
  }
  void meta(const std::string& name, const kvbackup::BlockHandle& handle) {
    kvbackup::append_handle(metaindex_[name], handle);
  }

  [[nodiscard]] std::string finish() {
    if (!leveldb_) {
      meta("rocksdb.properties", block(entries({properties_.begin(), properties_.end()})));
    }
    const kvbackup::BlockHandle index = block(entries(index_));
    const kvbackup::BlockHandle metaindex = block(entries({metaindex_.begin(), metaindex_.end()}));
    if (!leveldb_) {
      return file_ + kvbackup::encode_footer(kvbackup::ChecksumKind::none, 2, metaindex, index);
    }
    std::string footer;
    kvbackup::append_handle(footer, metaindex);
    kvbackup::append_handle(footer, index);
    footer.resize(40);
    kvbackup::append_le64(footer, 0xdb4775248b80fb57);
    return file_ + footer;
  }

  using Entries = std::vector<std::pair<std::string, std::string>>;
  /// A block with one restart whose keys are stored whole.
  static std::string entries(const Entries& pairs) {
    std::string out;
    for (const auto& [key, value] : pairs) {
      kvbackup::append_varint(out, 0);
      kvbackup::append_varint(out, key.size());
      kvbackup::append_varint(out, value.size());
      out += key + value;
    }
    kvbackup::append_le32(out, 0);
    kvbackup::append_le32(out, 1);
    return out;
  }
  static std::string internal_key(std::string user_key, std::uint64_t sequence, unsigned type) {
    kvbackup::append_le64(user_key, sequence << 8 | type);
    return user_key;
  }

 private:
  bool leveldb_;
  std::string file_;
  Entries index_;
  std::map<std::string, std::string> properties_;
  std::map<std::string, std::string> metaindex_;
};

/// A table of one data block, which the index names by a key above all.
inline std::string table_of_block(const std::string& payload, unsigned type = 0) {
  CraftedTable table;
  table.index(CraftedTable::internal_key(std::string(20, '\xff'), 0, 1),
              table.block(payload, type));
  return table.finish();
}

}  // namespace sst_test
