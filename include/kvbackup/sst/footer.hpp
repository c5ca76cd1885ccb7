// SPDX-License-Identifier: Apache-2.0
// Block handles, block trailers and the footer of an SST.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
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

/// Takes a handle off the front of `in`; false if there is none.
[[nodiscard]] inline bool take_handle(ByteView& in, BlockHandle& handle) noexcept {
  return take_varint64(in, handle.offset) && take_varint64(in, handle.size);
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

/// LevelDB's magic number, and that of RocksDB's format_version 0.
inline constexpr std::uint64_t legacy_table_magic = 0xdb4775248b80fb57;

/// Size of the footer of format_version 0 and of LevelDB.
inline constexpr std::size_t legacy_footer_size = 48;

/// What a footer says.
struct Footer {
  std::uint32_t format_version = 0;   ///< 0 to 7; LevelDB's is 0
  std::uint32_t checksum_kind = 1;    ///< a ChecksumKind, if it is one that is known
  std::uint32_t base_context = 0;     ///< mixed into the checksums from format_version 6 on
  std::uint32_t stored_checksum = 0;  ///< of the footer itself; from format_version 6 on
  std::uint64_t offset = 0;           ///< of the footer in its file
  BlockHandle metaindex;
  BlockHandle index;  ///< not set from format_version 6 on: the metaindex names it

  /// What is added to the checksum of a block at `offset`, so that a block at another place or of
  /// another file is noticed (RocksDB's ChecksumModifierForContext).
  [[nodiscard]] std::uint32_t checksum_context(std::uint64_t block_offset) const {
    if (base_context == 0) return 0;
    return base_context ^ (static_cast<std::uint32_t>(block_offset) +
                           static_cast<std::uint32_t>(block_offset >> 32));
  }
};

namespace detail {

[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status bad_footer(StatusCode code, std::string what) {
  return Status::error(code, "cannot read a table: " + std::move(what));
}

/// From format_version 6 on: fixed fields, and the metaindex right before the footer.
[[nodiscard]] inline Status decode_extended_footer(ByteView bytes, Footer& footer) {
  // RocksDB's kExtendedMagic: no handle of an older footer begins so
  constexpr ByteView marker("\x3e\0\x7a\0", 4);
  if (bytes.substr(1, 4) != marker || load_le64(bytes.data() + 33) != 0) {
    return bad_footer(StatusCode::corruption, "its footer is damaged; take it from another copy");
  }
  footer.stored_checksum = load_le32(bytes.data() + 5);
  footer.base_context = load_le32(bytes.data() + 9);
  footer.metaindex.size = load_le32(bytes.data() + 13);
  const std::uint64_t with_trailer = footer.metaindex.size + block_trailer_size;
  if (with_trailer > footer.offset) {
    return bad_footer(
        StatusCode::corruption,
        "its footer names a metaindex larger than the file; take it from another copy");
  }
  footer.metaindex.offset = footer.offset - with_trailer;
  return {};
}

}  // namespace detail

/// Reads the footer at the end of `tail`, the last bytes of a file of `file_size`, as many as a
/// footer has at most or the whole file. corruption if it is none; unsupported for a format that is
/// not read. Whether the handles lie in the file, and the checksum of the footer, is not checked.
[[nodiscard]] inline Result<Footer> decode_footer(ByteView tail, std::uint64_t file_size) {
  using detail::bad_footer;
  Footer footer;
  if (tail.size() < legacy_footer_size) {
    return bad_footer(StatusCode::corruption, "the file has " + std::to_string(file_size) +
                                                  " bytes and is too short to be a table");
  }
  const std::uint64_t magic = load_le64(tail.data() + tail.size() - 8);
  if (magic != legacy_table_magic && magic != block_based_table_magic) {
    return bad_footer(
        StatusCode::corruption,
        "the file does not end as a block-based table does; it is cut off, damaged or "
        "of another kind");
  }
  ByteView handles;
  if (magic == legacy_table_magic) {
    footer.offset = file_size - legacy_footer_size;
    handles = tail.substr(tail.size() - legacy_footer_size, 2 * max_block_handle);
  } else {
    if (tail.size() < footer_size) {
      return bad_footer(StatusCode::corruption, "the file is too short to be a table");
    }
    const ByteView bytes = tail.substr(tail.size() - footer_size);
    footer.offset = file_size - footer_size;
    footer.checksum_kind = static_cast<unsigned char>(bytes[0]);
    footer.format_version = load_le32(bytes.data() + 41);
    if (footer.format_version == 0) {
      return bad_footer(StatusCode::corruption, "its footer is damaged; take it from another copy");
    }
    if (footer.format_version > 7) {
      return bad_footer(StatusCode::unsupported,
                        "its format_version is " + std::to_string(footer.format_version) +
                            ", the newest that is read is 7; take a newer release");
    }
    if (footer.format_version >= 6) {
      Status status = detail::decode_extended_footer(bytes, footer);
      if (!status.ok()) return status;
      return footer;
    }
    handles = bytes.substr(1, 2 * max_block_handle);
  }
  if (!take_handle(handles, footer.metaindex) || !take_handle(handles, footer.index)) {
    return bad_footer(StatusCode::corruption, "its footer is damaged; take it from another copy");
  }
  return footer;
}

}  // namespace kvbackup::inline v1
