// SPDX-License-Identifier: Apache-2.0
// Small inputs that ask for much memory.
#pragma once

#include <map>
#include <string>

#include <kvbackup/kvbackup.hpp>

namespace fuzz {

/// Tables of which one block has keys that share a long prefix, so that copies of them take the
/// square of its size.
class TableBombs {
 public:
  enum class Where { tombstones, properties, metaindex };

  [[nodiscard]] static std::string table(Where where, bool compressed) {
    using namespace kvbackup;
    TableBombs out;
    const std::string value_tail("\x01\0\0\0\0\0\0\0", 8);
    const std::string data = handle(out.add_block(entry(0, "k" + value_tail, "v"), false));
    const std::string index = handle(out.add_block(entry(0, "l" + value_tail, data), false));

    std::string names;
    if (where == Where::metaindex) names = keys("a", "", data);
    std::string properties = entry(0, "rocksdb.block.based.table.index.type", std::string(4, 0));
    if (where == Where::properties) properties = keys("a", "", "");
    const bool in_properties = where == Where::properties && compressed;
    names += entry(0, "rocksdb.properties", handle(out.add_block(properties, in_properties)));
    if (where == Where::tombstones) {
      const std::string tombstones = keys("a", std::string("\x0f\0\0\0\0\0\0\0", 8), "z");
      names += entry(0, "rocksdb.range_del", handle(out.add_block(tombstones, compressed)));
    }
    const bool in_metaindex = where == Where::metaindex && compressed;
    const BlockHandle metaindex = out.add_block(names, in_metaindex);
    ByteView index_view = index;
    BlockHandle index_handle;
    if (!take_handle(index_view, index_handle)) return {};
    return out.file_ + encode_footer(ChecksumKind::none, 2, metaindex, index_handle);
  }

 private:
  static constexpr std::size_t block_bytes = 60000;

  static std::string entry(std::size_t shared, const std::string& rest, const std::string& value) {
    std::string out;
    kvbackup::append_varint(out, shared);
    kvbackup::append_varint(out, rest.size());
    kvbackup::append_varint(out, value.size());
    return out + rest + value;
  }
  static std::string keys(const std::string& first, const std::string& tail,
                          const std::string& value) {
    const std::string prefix = first + std::string(block_bytes / 2, 'a');
    std::string out = entry(0, prefix + tail, value);
    for (std::uint32_t i = 0; out.size() < block_bytes; ++i) {
      std::string number("b");
      for (int shift = 24; shift >= 0; shift -= 8) number.push_back(static_cast<char>(i >> shift));
      out += entry(prefix.size(), number + tail, value);
    }
    return out;
  }
  static std::string handle(const kvbackup::BlockHandle& handle) {
    std::string out;
    kvbackup::append_handle(out, handle);
    return out;
  }
  kvbackup::BlockHandle add_block(std::string payload, bool compressed) {
    kvbackup::append_le32(payload, 0);
    kvbackup::append_le32(payload, 1);
    auto type = kvbackup::BlockCompression::none;
    if (compressed) {
      const kvbackup::Lz4Codec codec;
      std::string packed(codec.bound(payload.size()), '\0');
      const auto size = codec.compressor().compress(payload, packed);
      std::string stored;
      kvbackup::append_varint(stored, payload.size());
      payload = stored.append(packed, 0, size.value_or(0));
      type = codec.type();
    }
    const kvbackup::BlockHandle at{file_.size(), payload.size()};
    file_ += payload;
    file_.push_back(static_cast<char>(type));
    kvbackup::append_le32(file_, 0);
    return at;
  }

  std::string file_;
};

/// By name.
[[nodiscard]] inline std::map<std::string, std::string> table_bombs() {
  using Where = TableBombs::Where;
  return {{"tombstones", TableBombs::table(Where::tombstones, true)},
          {"properties", TableBombs::table(Where::properties, true)},
          {"metaindex", TableBombs::table(Where::metaindex, true)}};
}

/// Objects of BR's meta version 2, each of which names the one below it many times.
[[nodiscard]] inline kvbackup::MemoryBackend meta_tree_bomb() {
  using namespace kvbackup;
  MemoryBackend backend;
  const auto put = [&backend](const std::string& name, const std::string& bytes) {
    auto writer = backend.create(name);
    return writer.ok() && writer.value().append(bytes).ok() && writer.value().commit().ok();
  };
  MetaFile node;
  node.data_files.resize(500);
  for (int level = 0; level < 4; ++level) {
    const std::string name = "backupmeta.datafile.00000000" + std::to_string(level);
    const std::string bytes = encode(node);
    if (!put(name, bytes)) return backend;
    File entry;
    entry.name = name;
    entry.sha256 = std::string(as_bytes(PortableSha256::of(bytes)));
    node = {};
    node.meta_files.assign(12, entry);
  }
  BackupMeta meta;
  meta.br_version = "BR v6.0.0";
  meta.is_raw_kv = true;
  BackupMetaIndex index;
  index.version = 1;
  index.file_index = node;
  static_cast<void>(put(std::string(backupmeta_name), encode(meta) + encode(index)));
  return backend;
}

}  // namespace fuzz
