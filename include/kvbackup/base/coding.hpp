// SPDX-License-Identifier: Apache-2.0
// Fixed-width and variable-length integers: the one little-endian loader, the one varint coder.
//
// Varints are LEB128, low 7 bits first, at most 5 bytes for 32 bits and 10 for 64, as in LevelDB,
// RocksDB and protobuf. Everything works byte by byte, so it gives the same bytes on any machine;
// compilers turn the loops into single loads and stores.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "kvbackup/base/bytes.hpp"

namespace kvbackup::inline v1 {

namespace detail {
template <class U>
[[nodiscard]] constexpr U byte_swapped(U v) noexcept {
  U out = 0;
  for (std::size_t i = 0; i < sizeof(U); ++i) {
    out = static_cast<U>(out << 8 | (v & 0xff));
    v = static_cast<U>(v >> 8);
  }
  return out;
}
template <class U>
[[nodiscard]] inline U load(const char* p, std::endian order) noexcept {
  U v;
  std::memcpy(&v, p, sizeof v);
  return order == std::endian::native ? v : byte_swapped(v);
}
template <class U>
inline void store(char* p, U v, std::endian order) noexcept {
  if (order != std::endian::native) v = byte_swapped(v);
  std::memcpy(p, &v, sizeof v);
}
template <class U>
inline void append(std::string& out, U v, std::endian order) {
  char bytes[sizeof(U)];
  store(bytes, v, order);
  out.append(bytes, sizeof bytes);
}
}  // namespace detail

/// Integers at `p`, which need not be aligned; the caller has checked that the bytes are there.
[[nodiscard]] inline std::uint32_t load_le32(const char* p) noexcept {
  return detail::load<std::uint32_t>(p, std::endian::little);
}
[[nodiscard]] inline std::uint64_t load_le64(const char* p) noexcept {
  return detail::load<std::uint64_t>(p, std::endian::little);
}
[[nodiscard]] inline std::uint64_t load_be64(const char* p) noexcept {
  return detail::load<std::uint64_t>(p, std::endian::big);
}
inline void store_le32(char* p, std::uint32_t v) noexcept {
  detail::store(p, v, std::endian::little);
}
inline void store_le64(char* p, std::uint64_t v) noexcept {
  detail::store(p, v, std::endian::little);
}
inline void append_le32(std::string& out, std::uint32_t v) {
  detail::append(out, v, std::endian::little);
}
inline void append_le64(std::string& out, std::uint64_t v) {
  detail::append(out, v, std::endian::little);
}
inline void append_be64(std::string& out, std::uint64_t v) {
  detail::append(out, v, std::endian::big);
}

/// The longest varint of 32 and of 64 bits, in bytes.
inline constexpr std::size_t max_varint32 = 5;
inline constexpr std::size_t max_varint64 = 10;

/// Bytes that `v` takes as a varint.
[[nodiscard]] constexpr std::size_t varint_size(std::uint64_t v) noexcept {
  return static_cast<std::size_t>(std::bit_width(v | 1) + 6) / 7;
}

/// Writes `v` at `p`, which has room for max_varint64 bytes, and gives the end of what it wrote.
inline char* store_varint(char* p, std::uint64_t v) noexcept {
  while (v >= 0x80) {
    *p++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *p++ = static_cast<char>(v);
  return p;
}
inline void append_varint(std::string& out, std::uint64_t v) {
  // byte by byte: g++ 12 takes an append of store_varint's buffer for an overrun and warns
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
}
/// varint32 length, then the bytes.
inline void append_length_prefixed(std::string& out, ByteView bytes) {
  append_varint(out, bytes.size());
  out.append(bytes);
}

/// Takes a varint of at most 64 bits off the front of `in`. False, and `in` unchanged, if it is cut
/// off, longer than 10 bytes, or does not fit 64 bits.
[[nodiscard]] inline bool take_varint64(ByteView& in, std::uint64_t& v) noexcept {
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < in.size() && i < max_varint64; ++i) {
    const auto byte = static_cast<unsigned char>(in[i]);
    if (i == 9 && byte > 1) return false;
    result |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      v = result;
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}
/// The same for 32 bits: at most 5 bytes, and a value over 2^32-1 is refused.
[[nodiscard]] inline bool take_varint32(ByteView& in, std::uint32_t& v) noexcept {
  ByteView rest = in.substr(0, max_varint32);
  const std::size_t before = rest.size();
  std::uint64_t wide = 0;
  if (!take_varint64(rest, wide) || wide > 0xffffffffu) return false;
  v = static_cast<std::uint32_t>(wide);
  in.remove_prefix(before - rest.size());
  return true;
}
/// Takes a varint32 length and that many bytes off the front of `in`; false, and `in` unchanged, if
/// they are not all there.
[[nodiscard]] inline bool take_length_prefixed(ByteView& in, ByteView& bytes) noexcept {
  ByteView rest = in;
  std::uint32_t size = 0;
  if (!take_varint32(rest, size) || rest.size() < size) return false;
  bytes = rest.substr(0, size);
  in = rest.substr(size);
  return true;
}

}  // namespace kvbackup::inline v1
