// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <string>
#include <utility>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/restore/object_file.hpp"
#include "kvbackup/sst/random_access.hpp"

namespace kvbackup::inline v1::detail {

/// Reads an object once from front to back, in steps whatever the size of the reads; what is asked
/// for further behind is read by itself. `tap.add_bytes` is given every step while it is in the
/// cache: after read_rest() it has seen the whole object once and in order.
///
/// Belongs to one thread. Borrows backend, tap and token.
template <ReadableBackend Backend, class Tap>
class ForwardReader {
 public:
  ForwardReader(Backend& backend, std::string name, std::uint64_t size, std::size_t step, Tap& tap,
                const CancelToken* cancel)
      : backend_(backend),
        name_(std::move(name)),
        size_(size),
        step_(step),
        tap_(tap),
        cancel_(cancel) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// The bytes [offset, offset + length), a view of `scratch`.
  [[nodiscard]] Result<ByteView> read(std::uint64_t offset, std::size_t length,
                                      std::string& scratch) {
    if (!lies_inside(size_, offset, length)) {
      return read_past_end(size_, offset, length).with_object(name_);
    }
    const std::uint64_t begin = steps_.empty() ? end_ : steps_.front().offset;
    if (offset < begin || offset > end_ + step_) return read_apart(offset, length, scratch);
    scratch.clear();
    scratch.reserve(length);
    while (scratch.size() < length) {
      const std::uint64_t at = offset + scratch.size();
      if (at >= end_) {
        if (Status status = advance(); !status.ok()) return status;
        continue;
      }
      const Step& step = *std::prev(std::partition_point(
          steps_.begin(), steps_.end(), [at](const Step& each) { return each.offset <= at; }));
      scratch.append(
          ByteView(step.bytes)
              .substr(static_cast<std::size_t>(at - step.offset), length - scratch.size()));
    }
    return ByteView(scratch);
  }

  /// Gives the tap what it has not seen, to the end of the object.
  Status read_rest() {
    while (end_ < size_) {
      if (Status status = advance(); !status.ok()) return status;
    }
    return {};
  }

 private:
  struct Step {
    std::uint64_t offset;
    std::string bytes;
  };

  Status advance() {
    constexpr std::size_t kept = 3;  // so that of a small object no byte is read twice
    if (Status status = check_cancel(cancel_); !status.ok()) return status;
    auto bytes =
        read_object_range(backend_, name_, end_, std::min<std::uint64_t>(step_, size_ - end_));
    if (!bytes.ok()) return std::move(bytes).status();
    tap_.add_bytes(bytes.value());
    if (steps_.size() == kept) steps_.pop_front();
    const std::uint64_t offset = end_;
    end_ += bytes.value().size();
    steps_.push_back({offset, std::move(bytes).value()});
    return {};
  }

  [[nodiscard]] Result<ByteView> read_apart(std::uint64_t offset, std::size_t length,
                                            std::string& scratch) {
    if (Status status = check_cancel(cancel_); !status.ok()) return status;
    auto bytes = read_object_range(backend_, name_, offset, length);
    if (!bytes.ok()) return std::move(bytes).status();
    scratch = std::move(bytes).value();
    return ByteView(scratch);
  }

  Backend& backend_;
  std::string name_;
  std::uint64_t size_;
  std::size_t step_;
  Tap& tap_;
  const CancelToken* cancel_;
  std::uint64_t end_ = 0;   // of what was read step by step
  std::deque<Step> steps_;  // the last of it, without gaps
};

/// A ForwardReader as the file of a TableReader that one thread uses. Borrows it.
template <class Reader>
class ForwardFile {
 public:
  explicit ForwardFile(Reader& reader) : reader_(&reader) {}

  [[nodiscard]] std::uint64_t size() const { return reader_->size(); }
  [[nodiscard]] const std::string& name() const { return reader_->name(); }
  [[nodiscard]] Result<ByteView> read(std::uint64_t offset, std::size_t length,
                                      std::string& scratch) const {
    return reader_->read(offset, length, scratch);
  }

 private:
  Reader* reader_;
};

}  // namespace kvbackup::inline v1::detail
