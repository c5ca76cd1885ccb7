// SPDX-License-Identifier: Apache-2.0
// Reads an SST as its format says, by code that shares nothing with the writer but the checksum and
// the codec. Throws std::runtime_error on whatever is wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace sst_test {

using Pair = std::pair<std::string, std::string>;

inline void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

/// Takes integers off the front of some bytes.
struct Input {
  std::string_view rest;
  std::uint64_t varint() {
    std::uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
      require(!rest.empty() && shift < 64, "bad varint");
      const auto byte = static_cast<std::uint8_t>(rest[0]);
      rest.remove_prefix(1);
      v |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return v;
    }
  }
  std::string_view bytes(std::uint64_t n) {
    require(n <= rest.size(), "cut off");
    const std::string_view out = rest.substr(0, n);
    rest.remove_prefix(n);
    return out;
  }
  std::uint64_t little_endian(unsigned n) {
    std::uint64_t v = 0;
    const std::string_view in = bytes(n);
    for (unsigned i = 0; i < n; ++i) v |= std::uint64_t{static_cast<std::uint8_t>(in[i])} << 8 * i;
    return v;
  }
};

struct Handle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

inline Handle take_handle(Input& in) {
  Handle handle;
  handle.offset = in.varint();
  handle.size = in.varint();
  return handle;
}

struct Block {
  std::uint64_t offset = 0;
  std::uint64_t stored_size = 0;
  int type = 0;
  std::string payload;
};

inline Block read_block(std::string_view file, Handle handle) {
  require(handle.offset + handle.size + 5 <= file.size(), "handle outside the file");
  Block block;
  block.offset = handle.offset;
  block.stored_size = handle.size;
  const std::string_view stored = file.substr(handle.offset, handle.size);
  Input trailer{file.substr(handle.offset + handle.size, 5)};
  block.type = static_cast<int>(trailer.little_endian(1));
  const std::uint32_t crc = kvbackup::crc32c(file.substr(handle.offset, handle.size + 1));
  require(trailer.little_endian(4) == ((crc >> 15 | crc << 17) + 0xa282ead8u), "bad checksum");
  if (block.type == 0) {
    block.payload = stored;
    return block;
  }
#if KVBACKUP_WITH_LZ4
  require(block.type == 4, "unknown compression");
  Input in{stored};
  block.payload.resize(in.varint());
  require(kvbackup::Lz4Codec().decompressor().decompress(in.rest, block.payload).ok(), "bad LZ4");
  return block;
#else
  throw std::runtime_error("unknown compression");
#endif
}

/// Entries of a block; `restart_interval` is checked.
inline std::vector<Pair> entries_of(std::string_view payload, std::uint64_t restart_interval) {
  require(payload.size() >= 8, "short block");
  const std::uint64_t count = Input{payload.substr(payload.size() - 4)}.little_endian(4);
  require(count >= 1 && count * 4 + 4 <= payload.size(), "bad restart count");
  Input restarts{payload.substr(payload.size() - 4 - 4 * count)};
  Input in{payload.substr(0, payload.size() - 4 - 4 * count)};
  const std::size_t whole = in.rest.size();
  std::vector<Pair> out;
  std::string key;
  while (!in.rest.empty()) {
    const std::size_t at = whole - in.rest.size();
    const std::uint64_t shared = in.varint();
    const std::uint64_t rest = in.varint();
    const std::uint64_t value = in.varint();
    if (out.size() % restart_interval == 0) {
      require(restarts.little_endian(4) == at, "restart at a wrong place");
      require(shared == 0, "restart with a shared prefix");
    }
    require(shared <= key.size(), "shared prefix longer than the key before");
    std::string next = key.substr(0, shared);
    next += in.bytes(rest);
    if (out.size() % restart_interval != 0) {
      const bool longest =
          shared == key.size() || shared == next.size() || key[shared] != next[shared];
      require(longest, "shared prefix not the longest");
    }
    key = next;
    out.emplace_back(key, std::string(in.bytes(value)));
  }
  require(restarts.rest.size() == 4, "restarts without entries");
  return out;
}

inline std::string user_key(const std::string& internal, std::string_view tail) {
  require(internal.size() >= 8, "key without its tail");
  require(std::string_view(internal).substr(internal.size() - 8) == tail, "wrong tail");
  return internal.substr(0, internal.size() - 8);
}

struct ParsedTable {
  std::vector<std::vector<Pair>> blocks;  ///< user keys and values
  std::vector<Block> stored;              ///< the same blocks as they are stored
  std::vector<Pair> index;                ///< internal keys and handles
  Block index_block;
  std::map<std::string, std::string> properties;
  std::map<std::string, std::string> metaindex;
  std::string filter;  ///< empty if there is none

  [[nodiscard]] std::vector<Pair> pairs() const {
    std::vector<Pair> out;
    for (const auto& block : blocks) out.insert(out.end(), block.begin(), block.end());
    return out;
  }
  [[nodiscard]] std::uint64_t number(const std::string& name) const {
    return Input{properties.at(name)}.varint();
  }
};

inline ParsedTable parse_table(std::string_view file, std::uint64_t restart_interval = 16) {
  require(file.size() >= 53, "short file");
  Input footer{file.substr(file.size() - 53)};
  require(footer.little_endian(1) == 1, "checksum is not crc32c");
  const Handle metaindex = take_handle(footer);
  const Handle index = take_handle(footer);
  while (footer.rest.size() > 12) require(footer.little_endian(1) == 0, "padding is not zero");
  require(footer.little_endian(4) == 2, "format_version is not 2");
  require(footer.little_endian(8) == 0x88e241b785f4cff7u, "bad magic");
  require(metaindex.offset + metaindex.size + 5 + 53 == file.size(), "gap before the footer");

  ParsedTable table;
  for (auto& [name, value] : entries_of(read_block(file, metaindex).payload, 1)) {
    table.metaindex.emplace(name, value);
    Input in{value};
    const Handle handle = take_handle(in);
    if (name == "rocksdb.properties") {
      std::string last;
      for (auto& [property, bytes] : entries_of(read_block(file, handle).payload, 1u << 31)) {
        require(last < property, "properties unsorted");
        last = property;
        table.properties.emplace(property, bytes);
      }
    } else {
      require(name == "fullfilter.rocksdb.BuiltinBloomFilter", "unknown name in the metaindex");
      table.filter = read_block(file, handle).payload;
    }
  }
  table.index_block = read_block(file, index);
  table.index = entries_of(table.index_block.payload, 1);
  std::uint64_t end = 0;
  for (const auto& [key, value] : table.index) {
    Input in{value};
    const Handle handle = take_handle(in);
    require(in.rest.empty() && handle.offset == end, "data blocks do not touch");
    end = handle.offset + handle.size + 5;
    table.stored.push_back(read_block(file, handle));
    table.blocks.emplace_back();
    for (auto& [internal, v] : entries_of(table.stored.back().payload, restart_interval)) {
      table.blocks.back().emplace_back(user_key(internal, std::string_view("\x01\0\0\0\0\0\0", 8)),
                                       v);
    }
    require(!table.blocks.back().empty(), "empty data block");
  }
  return table;
}

/// What a reader asks a legacy bloom filter; the hash is the library's.
inline bool may_contain(const std::string& filter, std::string_view key) {
  const std::size_t size = filter.size() - 5;
  const auto probes = static_cast<std::uint8_t>(filter[size]);
  const auto lines =
      static_cast<std::uint32_t>(Input{std::string_view(filter).substr(size + 1)}.little_endian(4));
  require(lines % 2 == 1 && size == std::size_t{lines} * 64, "bad filter");
  std::uint32_t h = kvbackup::legacy_bloom_hash(key);
  const std::size_t line = std::size_t{h % lines} * 64;
  const std::uint32_t delta = h >> 17 | h << 15;
  for (unsigned i = 0; i < probes; ++i, h += delta) {
    const std::uint32_t bit = h & 511;
    if ((filter[line + bit / 8] >> bit % 8 & 1) == 0) return false;
  }
  return true;
}

/// Collects a table's bytes in a string that outlives the writer.
struct StringOutput {
  std::string* bytes;
  kvbackup::Status append(kvbackup::ByteView more) {
    bytes->append(more);
    return {};
  }
};

/// The file that holds `pairs` (any range of pairs), which are legal.
template <class Codec = kvbackup::NoneCodec, class Collector = kvbackup::NoCollector, class Pairs>
std::string write_table(const Pairs& pairs, const kvbackup::TableOptions& options,
                        const Codec& codec = {}, Collector collector = {},
                        kvbackup::TableSummary* summary = nullptr) {
  std::string file;
  kvbackup::TableWriter<Codec, kvbackup::Crc32cChecksum, StringOutput, Collector> writer(
      options, codec, StringOutput{&file}, std::move(collector));
  for (const auto& [key, value] : pairs) {
    const kvbackup::Status status = writer.add(key, value);
    if (!status.ok()) throw std::runtime_error(status.to_string());
    require(writer.file_size() == file.size(), "file_size() is not what was handed out");
  }
  const auto result = writer.finish();
  if (!result.ok()) throw std::runtime_error(result.status().to_string());
  require(result.value().file_size == file.size(), "summary has a wrong file size");
  if (summary != nullptr) *summary = result.value();
  return file;
}

}  // namespace sst_test
