// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/restore/detail/version_source.hpp"
#include "kvbackup/source/merging_source.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// The values that a reader at `read_ts` finds: of each user key the version of the first source
/// that has one, unless it is a deletion.
template <class Backup>
class FlatSource {
 public:
  /// The newest backup comes first.
  FlatSource(std::vector<VersionSource<Backup>> versions, std::uint64_t read_ts)
      : merged_(std::move(versions), Duplicates::first_wins), read_ts_(read_ts) {
    settle();
  }
  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] ByteView key() const { return merged_.key(); }
  [[nodiscard]] ByteView value() const { return value_; }
  void next() {
    merged_.next();
    settle();
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  void settle() {
    while (merged_.valid() && merged_.current().is_hidden(read_ts_)) merged_.next();
    valid_ = merged_.valid();
    status_ = merged_.status();
    if (!valid_) return;
    auto value = merged_.current().user_value();
    valid_ = value.ok();
    if (valid_) {
      value_ = value.value();
    } else {
      status_ = std::move(value).status();
    }
  }

  MergingSource<VersionSource<Backup>> merged_;
  std::uint64_t read_ts_;
  ByteView value_;
  bool valid_ = false;
  Status status_;
};

/// The records of one column family, each version once, with the data prefix of the store that they
/// are for.
template <class Backup>
class TikvSource {
 public:
  TikvSource(std::vector<typename Backup::Source> records, std::string prefix)
      : merged_(std::move(records), Duplicates::first_wins),
        key_(std::move(prefix)),
        prefix_size_(key_.size()) {
    settle();
  }
  [[nodiscard]] bool valid() const { return merged_.valid(); }
  [[nodiscard]] ByteView key() const { return key_; }
  [[nodiscard]] ByteView value() const { return merged_.value(); }
  void next() {
    merged_.next();
    settle();
  }
  [[nodiscard]] Status status() const { return merged_.status(); }

 private:
  void settle() {
    if (!merged_.valid()) return;
    key_.resize(prefix_size_);
    key_ += merged_.key();
  }

  MergingSource<typename Backup::Source> merged_;
  std::string key_;
  std::size_t prefix_size_;
};

}  // namespace detail

/// The pairs of a range of a transactional backup, in either of its views: a SortedSource. Borrows
/// the backup.
template <class Backup>
class TxnSource {
  using Flat = detail::FlatSource<Backup>;
  using Tikv = detail::TikvSource<Backup>;

 public:
  explicit TxnSource(Flat source) : source_(std::move(source)) {}
  explicit TxnSource(Tikv source) : source_(std::move(source)) {}

  [[nodiscard]] bool valid() const {
    return visit([](const auto& source) { return source.valid(); });
  }
  [[nodiscard]] ByteView key() const {
    return visit([](const auto& source) { return source.key(); });
  }
  [[nodiscard]] ByteView value() const {
    return visit([](const auto& source) { return source.value(); });
  }
  void next() {
    if (Flat* flat = std::get_if<Flat>(&source_)) return flat->next();
    std::get_if<Tikv>(&source_)->next();
  }
  [[nodiscard]] Status status() const {
    return visit([](const auto& source) { return Status(source.status()); });
  }

 private:
  template <class F>
  auto visit(F&& f) const {
    if (const Flat* flat = std::get_if<Flat>(&source_)) return f(*flat);
    return f(*std::get_if<Tikv>(&source_));
  }

  std::variant<Flat, Tikv> source_;
};

}  // namespace kvbackup::inline v1
