// SPDX-License-Identifier: Apache-2.0
// A source over a foreign store's own iterator, by duck typing: RocksDB, LevelDB and whatever else
// spells it Valid/Next/key/value.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

/// Where CursorSource begins.
enum class CursorStart : std::uint8_t {
  seek_to_first,  ///< calls SeekToFirst() if the iterator has one
  as_is,          ///< the host has positioned it
};

namespace detail {

/// What key() and value() may give: bytes that somebody else owns. A string made for the call
/// would be gone before it is read.
template <class T>
concept BorrowedBytes = requires(const std::remove_cvref_t<T>& bytes) {
  as_bytes(bytes);
}
&&(std::is_lvalue_reference_v<T> || SliceLike<std::remove_cvref_t<T>> ||
   std::ranges::borrowed_range<std::remove_cvref_t<T>>);

template <class C>
concept ForeignCursor = requires(C& c) {
  { c.Valid() } -> std::convertible_to<bool>;
  c.Next();
  { c.key() } -> BorrowedBytes;
  { c.value() } -> BorrowedBytes;
};

/// The iterator itself, which It holds by value or points to.
template <class It>
[[nodiscard]] auto& cursor_of(It& it) {
  if constexpr (ForeignCursor<It>) {
    return it;
  } else {
    return *it;
  }
}
template <class It>
concept ForeignCursorOrPointer = ForeignCursor<It> || requires(It& it) {
  requires ForeignCursor<std::remove_reference_t<decltype(*it)>>;
};

template <class S>
[[nodiscard]] StatusCode foreign_code(const S& status) {
  if constexpr (requires { status.IsCorruption(); }) {
    if (status.IsCorruption()) return StatusCode::corruption;
  }
  if constexpr (requires { status.IsNotFound(); }) {
    if (status.IsNotFound()) return StatusCode::not_found;
  }
  if constexpr (requires { status.IsNotSupported(); }) {
    if (status.IsNotSupported()) return StatusCode::unsupported;
  }
  return StatusCode::io_error;
}

template <class C>
concept SeeksByView = requires(C& c, ByteView key) {
  c.Seek(key);
};
/// Seek() takes the type that key() gives, made from a pointer and a length.
template <class C>
concept SeeksBySlice = requires(C& c, const char* data, std::size_t size) {
  c.Seek(std::remove_cvref_t<decltype(c.key())>(data, size));
};

}  // namespace detail

/// A foreign library's status as ours: ok() decides, ToString() gives the text, and IsCorruption(),
/// IsNotFound(), IsNotSupported() the code, where there are such members; io_error otherwise.
template <class S>
requires requires(const S& s) {
  { s.ok() } -> std::convertible_to<bool>;
}
[[nodiscard]] Status status_from_foreign(const S& status, const char* doing) {
  if (status.ok()) return {};
  std::string message(doing);
  if constexpr (requires { std::string(status.ToString()); }) {
    message += ": ";
    message += std::string(status.ToString());
  }
  return Status::error(detail::foreign_code(status), std::move(message));
}

/// One pass of an iterator with Valid(), Next(), key() and value(); status(), SeekToFirst() and
/// Seek() are used where it has them. `It` is the iterator itself, a pointer to it (borrowed) or a
/// smart pointer (owned): `CursorSource(db->NewIterator(options))` borrows,
/// `CursorSource(std::unique_ptr<rocksdb::Iterator>(...))` owns. key() and value() give bytes that
/// live in the iterator until its Next(). The store's comparator must order keys as unsigned bytes.
template <detail::ForeignCursorOrPointer It>
class CursorSource {
  using Cursor = std::remove_reference_t<decltype(detail::cursor_of(std::declval<It&>()))>;

 public:
  explicit CursorSource(It it, CursorStart start = CursorStart::seek_to_first)
      : it_(std::move(it)) {
    if constexpr (requires(Cursor & c) { c.SeekToFirst(); }) {
      if (start == CursorStart::seek_to_first) cursor().SeekToFirst();
    }
    (void)start;
  }

  [[nodiscard]] bool valid() const { return static_cast<bool>(cursor().Valid()); }
  [[nodiscard]] ByteView key() const { return view(cursor().key()); }
  [[nodiscard]] ByteView value() const { return view(cursor().value()); }
  void next() { cursor().Next(); }
  void seek(ByteView key) requires(detail::SeeksByView<Cursor> || detail::SeeksBySlice<Cursor>) {
    if constexpr (detail::SeeksByView<Cursor>) {
      cursor().Seek(key);
    } else {
      cursor().Seek(std::remove_cvref_t<decltype(cursor().key())>(key.data(), key.size()));
    }
  }
  [[nodiscard]] Status status() const {
    if constexpr (requires(Cursor & c) { c.status().ok(); }) {
      return status_from_foreign(cursor().status(), "cannot read on in the store");
    } else {
      return {};
    }
  }

 private:
  [[nodiscard]] Cursor& cursor() const { return detail::cursor_of(it_); }
  template <class Bytes>
  [[nodiscard]] static ByteView view(const Bytes& bytes) {
    return as_bytes(bytes);
  }

  mutable It it_;  // foreign iterators do not always mark their readers const
};

namespace detail {
/// The least that CursorSource needs.
struct SmallestCursor {
  bool Valid() { return false; }
  void Next() {}
  ByteView key() { return {}; }
  ByteView value() { return {}; }
};
}  // namespace detail
static_assert(SortedSource<CursorSource<detail::SmallestCursor>>);
static_assert(SortedSource<CursorSource<detail::SmallestCursor*>>);

}  // namespace kvbackup::inline v1
