// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/block_builder.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/sst/decoders.hpp"
#include "kvbackup/sst/detail/growing_buffer.hpp"
#include "kvbackup/sst/footer.hpp"
#include "kvbackup/sst/random_access.hpp"

namespace kvbackup::inline v1::detail {

/// What stands in a block, for messages.
enum class BlockRole : std::uint8_t {
  data,
  index,
  filter,
  dictionary,
  range_del,
  properties,
  meta
};

[[nodiscard]] constexpr const char* role_name(BlockRole role) {
  switch (role) {
    case BlockRole::data: return "data";
    case BlockRole::index: return "index";
    case BlockRole::filter: return "filter";
    case BlockRole::dictionary: return "dictionary";
    case BlockRole::range_del: return "range tombstone";
    case BlockRole::properties: return "properties";
    case BlockRole::meta: return "metaindex";
  }
  return "";
}

/// A failure of the block at `handle`.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status block_status(StatusCode code, BlockRole role,
                                                              const BlockHandle& handle,
                                                              std::string_view what) {
  std::string message("the ");
  message += role_name(role);
  message += " block at ";
  message += std::to_string(handle.offset);
  message += " of ";
  message += std::to_string(handle.size);
  message += " bytes ";
  message += what;
  return Status::error(code, std::move(message));
}

/// Bytes of a file that one user reads, ahead of what it asked for once it goes on reading forward.
struct ReadWindow {
  std::string scratch;
  ByteView bytes;
  std::uint64_t begin = 0;
  std::uint64_t next = 0;      ///< end of what was asked for last
  std::size_t ahead = 0;       ///< how far was read at a time
  std::size_t most_ahead = 0;  ///< 0 = never more than is asked for
};

/// Reads single blocks of a table and proves their checksums. What it gives names the file.
template <RandomAccessFile File, class Decoders>
class BlockReader {
 public:
  using Contexts = typename Decoders::Contexts;

  BlockReader(File file, Decoders decoders, std::string name)
      : file_(std::move(file)),
        decoders_(std::move(decoders)),
        name_(std::move(name)),
        file_size_(file_.size()) {}

  /// Reads the last `tail_bytes`, at least the longest footer, and the footer in them.
  Status open(std::size_t tail_bytes) {
    const std::uint64_t length =
        std::min<std::uint64_t>(file_size_, std::max(tail_bytes, footer_size));
    auto tail = file_.read(file_size_ - length, static_cast<std::size_t>(length), tail_scratch_);
    if (!tail.ok()) return named(std::move(tail).status());
    tail_ = tail.value();
    tail_begin_ = file_size_ - length;
    auto footer = decode_footer(tail_, file_size_);
    if (!footer.ok()) return named(std::move(footer).status());
    footer_ = footer.value();
    return named(check_footer());
  }

  [[nodiscard]] const Footer& footer() const { return footer_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t file_size() const { return file_size_; }
  /// Whether reading it asks nothing of the file.
  [[nodiscard]] bool in_memory(const BlockHandle& handle) const {
    return handle.offset >= tail_begin_;
  }
  /// The file is LevelDB's: what follows differs from RocksDB's format_version 0.
  void set_leveldb() { is_leveldb_ = true; }
  [[nodiscard]] bool is_leveldb() const { return is_leveldb_; }
  void set_dictionary(ByteView bytes) { dictionary_ = bytes; }
  [[nodiscard]] Contexts contexts() const { return Contexts(decoders_.codecs, dictionary_); }

  /// Payload, type and checksum as they are stored; lives until `window` is used again.
  [[nodiscard]] Result<ByteView> stored(const BlockHandle& handle, BlockRole role,
                                        ReadWindow& window) const {
    if (!lies_inside(footer_.offset, handle.offset, handle.size) ||
        !lies_inside(footer_.offset, handle.offset + handle.size, block_trailer_size) ||
        handle.size >= max_block_bytes) {
      return failed(StatusCode::corruption, role, handle,
                    "does not lie in the file; the table is damaged, take it from another copy");
    }
    return bytes_of(handle.offset, static_cast<std::size_t>(handle.size) + block_trailer_size,
                    window);
  }
  /// Whether the checksum behind `stored` is right.
  [[nodiscard]] bool checksum_fits(ByteView stored, std::uint64_t offset) const {
    return load_le32(stored.data() + stored.size() - 4) ==
           checksum_of(stored.substr(0, stored.size() - 4), offset);
  }
  /// The same for payload and type that stand alone.
  [[nodiscard]] std::uint32_t checksum_of(ByteView payload_and_type, std::uint64_t offset) const {
    using Checksums = typename Decoders::ChecksumsUsed;
    return Checksums::of(kind(), payload_and_type) + footer_.checksum_context(offset);
  }
  [[nodiscard]] ChecksumKind kind() const {
    return static_cast<ChecksumKind>(footer_.checksum_kind);
  }
  /// As stored(), and the checksum is right.
  [[nodiscard]] Result<ByteView> checked(const BlockHandle& handle, BlockRole role,
                                         ReadWindow& window) const {
    auto bytes = stored(handle, role, window);
    if (bytes.ok() && !checksum_fits(bytes.value(), handle.offset)) {
      return checksum_failure(role, handle);
    }
    return bytes;
  }
  [[nodiscard]] KVBACKUP_DETAIL_COLD Status checksum_failure(BlockRole role,
                                                             const BlockHandle& handle) const {
    std::string what("does not have its checksum (");
    what += checksum_name(kind());
    what += "): it is damaged, take the file from another copy";
    return failed(StatusCode::corruption, role, handle, what);
  }

  /// The plain payload: in `plain`, or where it is stored plain, as long as stored() has it.
  [[nodiscard]] Result<ByteView> plain(const BlockHandle& handle, BlockRole role,
                                       Contexts& contexts, ReadWindow& window,
                                       GrowingBuffer& plain) const {
    auto bytes = checked(handle, role, window);
    if (!bytes.ok()) return bytes;
    const ByteView payload = bytes.value().substr(0, static_cast<std::size_t>(handle.size));
    const auto type = static_cast<BlockCompression>(bytes.value()[payload.size()]);
    if (type == BlockCompression::none) return payload;
    return decompressed(handle, role, type, payload, contexts, plain);
  }

  [[nodiscard]] KVBACKUP_DETAIL_COLD Status failed(StatusCode code, BlockRole role,
                                                   const BlockHandle& handle,
                                                   std::string_view what) const {
    return named(block_status(code, role, handle, what));
  }
  /// A block's content is not what it must be.
  [[nodiscard]] KVBACKUP_DETAIL_COLD Status malformed(BlockRole role,
                                                      const BlockHandle& handle) const {
    return failed(StatusCode::corruption, role, handle,
                  "has a bad entry; the table is damaged, take it from another copy");
  }
  [[nodiscard]] Status named(Status status) const {
    if (status.ok() || name_.empty()) return status;
    return std::move(status).with_object(name_);
  }

 private:
  Status check_footer() {
    using Checksums = typename Decoders::ChecksumsUsed;
    const char* const known = footer_.checksum_kind < 256
                                  ? checksum_name(static_cast<ChecksumKind>(footer_.checksum_kind))
                                  : nullptr;
    if (known == nullptr) {
      return bad_footer(StatusCode::corruption,
                        "its footer names checksum " + std::to_string(footer_.checksum_kind) +
                            ", which is none; take the file from another copy");
    }
    if (!Checksums::has(kind())) {
      return bad_footer(StatusCode::unsupported, std::string("its blocks have checksum ") + known +
                                                     ", which is not built in");
    }
    if (footer_.format_version < 6) return {};
    std::string bytes(tail_.substr(tail_.size() - footer_size));
    std::fill_n(bytes.begin() + 5, 4, '\0');
    if (footer_.stored_checksum != checksum_of(bytes, footer_.offset)) {
      return bad_footer(StatusCode::corruption,
                        "its footer does not have its checksum: it is damaged, take the file from "
                        "another copy");
    }
    return {};
  }

  [[nodiscard]] Result<ByteView> bytes_of(std::uint64_t offset, std::size_t length,
                                          ReadWindow& window) const {
    if (offset >= tail_begin_) {
      return tail_.substr(static_cast<std::size_t>(offset - tail_begin_), length);
    }
    const std::uint64_t end = offset + length;
    if (offset < window.begin || end > window.begin + window.bytes.size()) {
      Status status = fill(window, offset, length);
      if (!status.ok()) return named(std::move(status));
    }
    window.next = end;
    return window.bytes.substr(static_cast<std::size_t>(offset - window.begin), length);
  }
  Status fill(ReadWindow& window, std::uint64_t offset, std::size_t length) const {
    constexpr std::size_t first_ahead = 16 * 1024;
    constexpr std::uint64_t largest_padding = 4096;  // between aligned blocks
    const bool goes_on =
        window.next != 0 && offset >= window.next && offset - window.next < largest_padding;
    if (!goes_on) {
      window.ahead = 0;
    } else {
      window.ahead = std::min(std::max(2 * window.ahead, first_ahead), window.most_ahead);
    }
    const std::uint64_t most = footer_.offset - offset;
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(most, std::max(length, window.ahead)));
    auto bytes = file_.read(offset, size, window.scratch);
    window.bytes = bytes.ok() ? bytes.value() : ByteView();
    window.begin = offset;
    return bytes.status();
  }

  [[nodiscard]] Result<ByteView> decompressed(const BlockHandle& handle, BlockRole role,
                                              BlockCompression stored_type, ByteView payload,
                                              Contexts& contexts, GrowingBuffer& plain) const {
    BlockCompression type = decoding_type(stored_type);
    const bool bare_zstd = is_leveldb_ && type == BlockCompression::zlib && payload.size() >= 4 &&
                           load_le32(payload.data()) == zstd_frame_magic;
    if (bare_zstd) type = BlockCompression::zstd;
    const char* const known = compression_name(type);
    if (known == nullptr) {
      return failed(StatusCode::corruption, role, handle,
                    "has a compression type that is none: " +
                        std::to_string(static_cast<unsigned>(stored_type)));
    }
    if (!decoders_.codecs.has(type)) {
      return failed(StatusCode::unsupported, role, handle,
                    std::string("cannot be decompressed: codec ") + known + " is not built in");
    }
    const std::optional<std::uint64_t> size = plain_size(type, bare_zstd, payload);
    if (!size || *size >= max_block_bytes || *size > most_plain_bytes(type, payload.size())) {
      return failed(
          StatusCode::corruption, role, handle,
          "says a length that its compressed form cannot have; the table is damaged, take "
          "it from another copy");
    }
    if (*size > decoders_.largest_inflated && *size / trusted_ratio > payload.size()) {
      return failed(StatusCode::resource_exhausted, role, handle,
                    "would take " + std::to_string(*size) +
                        " bytes of memory, more than is given to a block so small; if the table is "
                        "trusted, raise TableDecoders::largest_inflated");
    }
    plain.clear();
    char* const out = plain.room(static_cast<std::size_t>(*size));
    Status status = contexts.decompress(type, role == BlockRole::data, payload,
                                        std::span<char>(out, static_cast<std::size_t>(*size)));
    if (!status.ok()) {
      return failed(status.code(), role, handle,
                    "cannot be decompressed: " + std::string(status.message()));
    }
    plain.set_end(out + *size);
    return plain.view();
  }
  /// Takes the plain length off `payload` where it stands in front.
  [[nodiscard]] std::optional<std::uint64_t> plain_size(BlockCompression type, bool bare_zstd,
                                                        ByteView& payload) const {
    std::uint32_t size = 0;
    if (bare_zstd) return decoders_.codecs.plain_size(type, payload);
    if (type == BlockCompression::snappy) {
      ByteView in = payload;  // Snappy's own format begins with it
      if (!take_varint32(in, size)) return std::nullopt;
      return size;
    }
    if (footer_.format_version < 2 && type != BlockCompression::zstd) {
      if (type != BlockCompression::lz4) return decoders_.codecs.plain_size(type, payload);
      if (payload.size() < 8) return std::nullopt;
      const std::uint64_t wide = load_le64(payload.data());
      payload.remove_prefix(8);
      return wide;
    }
    if (!take_varint32(payload, size)) return std::nullopt;
    return size;
  }

  static constexpr std::uint32_t zstd_frame_magic = 0xfd2fb528;

  File file_;
  Decoders decoders_;
  std::string name_;
  std::uint64_t file_size_;
  std::string tail_scratch_;
  ByteView tail_;
  std::uint64_t tail_begin_ = 0;
  Footer footer_;
  ByteView dictionary_;
  bool is_leveldb_ = false;
};

}  // namespace kvbackup::inline v1::detail
