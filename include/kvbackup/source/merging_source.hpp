// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/source/range_source.hpp"

namespace kvbackup::inline v1 {

/// What a merge does with a key that two of its sources hold.
enum class Duplicates : std::uint8_t {
  refuse,      ///< an error that names the key: which value is meant cannot be told
  first_wins,  ///< the source that stands earlier in the list gives the value
};

/// Several sorted sources as one, whose keys rise too. The work a pair grows with the logarithm of
/// the number of sources; nothing is allocated for it.
///
/// Ends with the failure of the first source that fails, and with out_of_order, naming the key,
/// where Duplicates::refuse meets one key in two sources. It can seek where its sources can.
template <SortedSource Source>
class MergingSource {
 public:
  explicit MergingSource(std::vector<Source> sources, Duplicates duplicates = Duplicates::refuse)
      : sources_(std::move(sources)), duplicates_(duplicates) {
    heap_.reserve(sources_.size());
    gather();
  }

  [[nodiscard]] bool valid() const { return failure_.ok() && !heap_.empty(); }
  [[nodiscard]] ByteView key() const { return heap_.front().key; }
  [[nodiscard]] ByteView value() const { return sources_[heap_.front().source].value(); }
  /// The source that has the current pair; it must not be moved on.
  [[nodiscard]] Source& current() { return sources_[heap_.front().source]; }
  [[nodiscard]] const Source& current() const { return sources_[heap_.front().source]; }
  void next() {
    if (duplicates_ == Duplicates::first_wins) drop_twins();
    if (failure_.ok()) advance(0);
    check_front();
  }
  void seek(ByteView key) requires SeekableSource<Source> {
    for (Source& source : sources_) source.seek(key);
    gather();
  }
  [[nodiscard]] Status status() const { return failure_; }

 private:
  /// A source that has a pair, and that pair's key: a view that the source keeps until its next().
  struct Head {
    ByteView key;
    std::size_t source = 0;
    [[nodiscard]] bool before(const Head& other) const {
      return key != other.key ? key < other.key : source < other.source;
    }
  };

  void gather() {
    failure_ = Status();
    heap_.clear();
    for (std::size_t i = 0; i < sources_.size() && failure_.ok(); ++i) {
      if (sources_[i].valid()) {
        heap_.push_back({ByteView(sources_[i].key()), i});
      } else {
        failure_ = sources_[i].status();
      }
    }
    for (std::size_t at = heap_.size() / 2; at-- > 0;) sift_down(at);
    check_front();
  }

  /// Moves the source at heap position `at` to its next pair.
  void advance(std::size_t at) {
    Source& source = sources_[heap_[at].source];
    source.next();
    if (source.valid()) {
      heap_[at].key = ByteView(source.key());
    } else {
      failure_ = source.status();
      heap_[at] = heap_.back();
      heap_.pop_back();
    }
    if (at < heap_.size()) sift_down(at);
  }

  /// Where another head with the key of the first one stands, 0 if there is none.
  [[nodiscard]] std::size_t twin_of_front() const {
    for (std::size_t child = 1; child < heap_.size() && child <= 2; ++child) {
      if (heap_[child].key == heap_.front().key) return child;
    }
    return 0;
  }

  /// Leaves out the pairs that lose to the current one.
  void drop_twins() {
    for (std::size_t twin = twin_of_front(); twin != 0 && failure_.ok(); twin = twin_of_front()) {
      advance(twin);
    }
  }

  void check_front() {
    if (duplicates_ == Duplicates::first_wins || !valid() || twin_of_front() == 0) return;
    failure_ = Status::error(StatusCode::out_of_order,
                             "two of the merged sources hold this key, and which value is meant "
                             "cannot be told; take it out of one of them, or let the earlier "
                             "source win (Duplicates::first_wins)")
                   .with_key(heap_.front().key);
  }

  void sift_down(std::size_t at) {
    const Head sinking = heap_[at];
    for (;;) {
      std::size_t child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1].before(heap_[child])) ++child;
      if (!heap_[child].before(sinking)) break;
      heap_[at] = heap_[child];
      at = child;
    }
    heap_[at] = sinking;
  }

  std::vector<Source> sources_;
  Duplicates duplicates_;
  std::vector<Head> heap_;  // binary heap, the least first
  Status failure_;
};

static_assert(SeekableSource<
              MergingSource<RangeSource<const std::vector<std::pair<std::string, std::string>>&>>>);

}  // namespace kvbackup::inline v1
