// SPDX-License-Identifier: Apache-2.0
// Block handles, block trailers and the footer of an SST.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/sst/concept.hpp"

namespace kvbackup::inline v1 {

/// Where a block stands in its file; `size` does not count the trailer.
struct BlockHandle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  friend bool operator==(const BlockHandle&, const BlockHandle&) = default;
};

/// The longest encoded handle.
inline constexpr std::size_t max_block_handle = 2 * max_varint64;

/// Writes the handle at `p`, which has room for max_block_handle bytes, and gives its end.
inline char* store_handle(char* p, const BlockHandle& handle) noexcept {
  return store_varint(store_varint(p, handle.offset), handle.size);
}
inline void append_handle(std::string& out, const BlockHandle& handle) {
  append_varint(out, handle.offset);
  append_varint(out, handle.size);
}
/// Writes, for a block that follows right behind `before`, how its size differs, at `p`, which has
/// room for max_varint64 bytes, and gives the end: signed, the sign in the lowest bit.
inline char* store_handle_change(char* p, const BlockHandle& before,
                                 const BlockHandle& handle) noexcept {
  const std::uint64_t change = handle.size - before.size;
  return store_varint(p, change << 1 ^ (change >> 63 != 0 ? ~std::uint64_t{0} : 0));
}

/// Behind every block: its compression type, then its checksum.
inline constexpr std::size_t block_trailer_size = 5;

/// RocksDB's kBlockBasedTableMagicNumber.
inline constexpr std::uint64_t block_based_table_magic = 0x88e241b785f4cff7;

/// Size of the footer from format_version 1 on.
inline constexpr std::size_t footer_size = 53;

/// The footer of format_version 1 to 5.
[[nodiscard]] inline std::string encode_footer(ChecksumKind kind, std::uint32_t format_version,
                                               const BlockHandle& metaindex,
                                               const BlockHandle& index) {
  constexpr std::size_t kind_and_handles = 1 + 2 * max_block_handle;
  std::string out(1, static_cast<char>(kind));
  append_handle(out, metaindex);
  append_handle(out, index);
  out.resize(kind_and_handles);
  append_le32(out, format_version);
  append_le64(out, block_based_table_magic);
  return out;
}

}  // namespace kvbackup::inline v1
