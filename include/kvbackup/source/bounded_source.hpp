// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

/// Only the pairs with start <= key < end of another source (an empty `end` is no bound). Goes to
/// `start` by seek() where the source has it, else by skipping, which reads everything before it.
template <SortedSource Source>
class BoundedSource {
 public:
  BoundedSource(Source source, ByteView start, ByteView end)
      : source_(std::move(source)), start_(start), end_(end) {
    if constexpr (SeekableSource<Source>) {
      if (!start_.empty()) source_.seek(start_);
    } else {
      while (source_.valid() && ByteView(source_.key()) < ByteView(start_)) source_.next();
    }
    look();
  }

  [[nodiscard]] bool valid() const { return inside_; }
  [[nodiscard]] ByteView key() const { return source_.key(); }
  [[nodiscard]] ByteView value() const { return source_.value(); }
  void next() {
    source_.next();
    look();
  }
  void seek(ByteView key) requires SeekableSource<Source> {
    source_.seek(key < ByteView(start_) ? ByteView(start_) : key);
    look();
  }
  /// Ok past `end`, whatever the source does there.
  [[nodiscard]] Status status() const {
    if (source_.valid()) return {};
    return source_.status();
  }

 private:
  void look() {
    inside_ = source_.valid() && (end_.empty() || ByteView(source_.key()) < ByteView(end_));
  }

  Source source_;
  std::string start_;
  std::string end_;
  bool inside_ = false;
};

}  // namespace kvbackup::inline v1
