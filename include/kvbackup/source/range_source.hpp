// SPDX-License-Identifier: Apache-2.0
// A source over any range of pair-like elements: std::map, a sorted vector of pairs, a view.
#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

namespace detail {

template <class E>
concept FirstSecond = requires(const E& e) {
  as_bytes(e.first);
  as_bytes(e.second);
};
template <class E>
concept TupleOfTwo = requires(const E& e) {
  as_bytes(std::get<0>(e));
  as_bytes(std::get<1>(e));
};

template <class E>
[[nodiscard]] ByteView element_key(const E& element) {
  if constexpr (FirstSecond<E>) {
    return as_bytes(element.first);
  } else {
    return as_bytes(std::get<0>(element));
  }
}
template <class E>
[[nodiscard]] ByteView element_value(const E& element) {
  if constexpr (FirstSecond<E>) {
    return as_bytes(element.second);
  } else {
    return as_bytes(std::get<1>(element));
  }
}

/// Keeps what a source or snapshot is made of: an lvalue by pointer, anything else behind one, so
/// that iterators stay good when the holder moves.
template <class R>
class RangeHolder {
 public:
  explicit RangeHolder(R&& range) : range_(std::make_unique<R>(std::move(range))) {}
  [[nodiscard]] R& get() const noexcept { return *range_; }

 private:
  std::unique_ptr<R> range_;
};
template <class R>
class RangeHolder<R&> {
 public:
  explicit RangeHolder(R& range) noexcept : range_(&range) {}
  [[nodiscard]] R& get() const noexcept { return *range_; }

 private:
  R* range_;
};

template <class R>
concept ViewLowerBound = requires(R& range, ByteView key) {
  { range.lower_bound(key) } -> std::convertible_to<std::ranges::iterator_t<R>>;
};
/// lower_bound() wants the container's own key type, which bytes can be copied into.
template <class R>
concept KeyLowerBound = requires(R& range, const typename R::key_type& key, ByteView bytes) {
  { range.lower_bound(key) } -> std::convertible_to<std::ranges::iterator_t<R>>;
  requires std::constructible_from<typename R::key_type, decltype(bytes.begin()),
                                   decltype(bytes.end())>;
};
template <class R>
concept Searchable = ViewLowerBound<R> || KeyLowerBound<R> || std::ranges::random_access_range<R>;

/// The first element of `range` whose key is not below `key`.
template <Searchable R>
[[nodiscard]] auto lower_bound_of(R& range, ByteView key) {
  if constexpr (ViewLowerBound<R>) {
    return range.lower_bound(key);
  } else if constexpr (KeyLowerBound<R>) {
    return range.lower_bound(typename R::key_type(key.begin(), key.end()));
  } else {
    return std::ranges::partition_point(
        range, [key](const auto& element) { return element_key(element) < key; });
  }
}

}  // namespace detail

/// A range whose elements have a key and a value that as_bytes() takes: `.first` and `.second`, or
/// std::get<0> and std::get<1>.
template <class R>
concept PairRange = std::ranges::input_range<R> &&
    (detail::FirstSecond<std::remove_cvref_t<std::ranges::range_reference_t<R>>> ||
     detail::TupleOfTwo<std::remove_cvref_t<std::ranges::range_reference_t<R>>>);

/// One pass over a range, in its own order.
///
/// `RangeSource(lvalue)` borrows: the range outlives the source and is not changed meanwhile.
/// `RangeSource(rvalue)` owns. The elements must already be sorted by key as unsigned bytes; that
/// is not checked here: whoever writes a table reports out_of_order. It can seek where the range
/// has lower_bound() or random access. Views of elements that the range makes on the fly die at
/// next() or when the source moves.
template <class R>
requires PairRange<std::remove_reference_t<R>>
class RangeSource {
  using Range = std::remove_reference_t<R>;
  using Iterator = std::ranges::iterator_t<Range>;
  /// Elements made on the fly (by a transform view, say) are kept here while they are current.
  static constexpr bool made = !std::is_lvalue_reference_v<std::ranges::range_reference_t<Range>>;
  struct Nothing {};
  using Kept = std::conditional_t<made, std::optional<std::ranges::range_value_t<Range>>, Nothing>;

 public:
  explicit RangeSource(R&& range)
      : range_(std::forward<R>(range)), at_(std::ranges::begin(range_.get())) {
    keep();
  }

  [[nodiscard]] bool valid() const { return !(at_ == std::ranges::end(range_.get())); }
  [[nodiscard]] ByteView key() const {
    if constexpr (made) {
      return detail::element_key(*kept_);
    } else {
      return detail::element_key(*at_);
    }
  }
  [[nodiscard]] ByteView value() const {
    if constexpr (made) {
      return detail::element_value(*kept_);
    } else {
      return detail::element_value(*at_);
    }
  }
  void next() {
    ++at_;
    keep();
  }
  void seek(ByteView key) requires detail::Searchable<Range> {
    at_ = detail::lower_bound_of(range_.get(), key);
    keep();
  }
  [[nodiscard]] Status status() const { return {}; }

 private:
  void keep() {
    if constexpr (made) {
      kept_.reset();
      if (valid()) kept_.emplace(*at_);
    }
  }

  detail::RangeHolder<R> range_;
  Iterator at_;
  [[no_unique_address]] Kept kept_;
};

template <class R>
RangeSource(R&&) -> RangeSource<R>;

static_assert(SeekableSource<RangeSource<std::vector<std::pair<std::string, std::string>>>>);
static_assert(SeekableSource<RangeSource<const std::vector<std::pair<ByteView, ByteView>>&>>);

}  // namespace kvbackup::inline v1
