// SPDX-License-Identifier: Apache-2.0
// Views of bytes, and how foreign byte containers become one.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <string_view>
#include <type_traits>

namespace kvbackup::inline v1 {

/// Bytes that somebody else owns. Compares as unsigned bytes, shorter first, which is the order
/// of every store this library backs up (RocksDB's and LevelDB's BytewiseComparator, LMDB's
/// default).
using ByteView = std::string_view;

/// A contiguous sized range whose elements are one byte wide: std::string, std::vector<uint8_t>,
/// std::span<const std::byte>, a RocksDB or LevelDB Slice-like type does not qualify (see
/// as_bytes).
template <class T>
concept ByteRange = std::ranges::contiguous_range<T> && std::ranges::sized_range<T> &&
                        sizeof(std::ranges::range_value_t<T>) == 1 &&
                    std::is_trivially_copyable_v<std::ranges::range_value_t<T>>;

/// A type with data() and size() over chars, such as rocksdb::Slice.
template <class T>
concept SliceLike = !ByteRange<T> && requires(const T& t) {
  { t.data() } -> std::convertible_to<const char*>;
  { t.size() } -> std::convertible_to<std::size_t>;
};

namespace detail {
struct AsBytes {
  template <class T>
  requires(std::convertible_to<const T&, ByteView> || ByteRange<const T> || SliceLike<T>)
      [[nodiscard]] constexpr ByteView
      operator()(const T& t) const noexcept {
    if constexpr (std::convertible_to<const T&, ByteView>) {
      return t;
    } else if constexpr (ByteRange<const T>) {
      return {reinterpret_cast<const char*>(std::ranges::data(t)), std::ranges::size(t)};
    } else {
      return {t.data(), t.size()};
    }
  }
};
}  // namespace detail

/// as_bytes(t): the bytes of `t`; the view lives as long as `t`'s own storage does. An object and
/// no function, so that std::as_bytes is not found beside it for a span.
inline constexpr detail::AsBytes as_bytes{};

}  // namespace kvbackup::inline v1
