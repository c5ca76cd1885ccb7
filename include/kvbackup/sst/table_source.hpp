// SPDX-License-Identifier: Apache-2.0
// A table as a sorted source of live pairs.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/range_tombstones.hpp"
#include "kvbackup/sst/table_iterator.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// What the entry of a user key that is the newest says of it.
enum class Liveness : std::uint8_t { live, dead, unreadable };

[[nodiscard]] constexpr Liveness liveness_of(EntryType type) {
  switch (type) {
    case EntryType::value: return Liveness::live;
    case EntryType::deletion:
    case EntryType::single_deletion: return Liveness::dead;
    default: return Liveness::unreadable;
  }
}

/// What is said of an entry that one table alone does not tell the value of.
[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status unreadable_entry(EntryType type, ByteView key) {
  std::string what("cannot give the value of a key: the table holds ");
  switch (type) {
    case EntryType::merge:
      what += "a merge operand, which only its store's operator can apply";
      break;
    case EntryType::blob_index: what += "a reference to a blob file"; break;
    case EntryType::wide_column_entity: what += "wide columns"; break;
    case EntryType::deletion_with_timestamp: what += "a deletion with a timestamp"; break;
    case EntryType::value_with_preferred_seqno: what += "a value with a preferred number"; break;
    default: what += "an entry of type " + std::to_string(static_cast<unsigned>(type));
  }
  what += "; read the store itself";
  return Status::error(StatusCode::unsupported, std::move(what)).with_key(key);
}

}  // namespace detail

/// The live pairs of a table with start <= key < end, a SeekableSource: of each user key the newest
/// version, without what was deleted by an entry or a range tombstone of the table itself. A merge
/// operand, a blob reference or the like is never passed over: status() is unsupported and names
/// the key.
template <class Core>
class TableSource {
 public:
  /// An empty `end` is no bound.
  TableSource(std::shared_ptr<const Core> core, std::size_t read_ahead, ByteView start,
              ByteView end)
      : core_(core), at_(std::move(core), read_ahead), start_(start), end_(end) {
    auto tombstones = core_->tombstones();
    if (!tombstones.ok()) {
      status_ = std::move(tombstones).status();
      return;
    }
    tombstones_ = tombstones.value();
    // whether a table of another order seeks or not, its keys do not rise bytewise
    at_.seek(start_);
    settle();
  }

  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] ByteView key() const { return at_.key(); }
  [[nodiscard]] ByteView value() const { return at_.value(); }
  void next() {
    at_.next();
    while (at_.valid() && at_.repeats_key()) at_.next();
    settle();
  }
  void seek(ByteView key) {
    if (!status_.ok()) return;
    at_.seek(key < ByteView(start_) ? ByteView(start_) : key);
    settle();
  }
  [[nodiscard]] Status status() const { return status_.ok() ? at_.status() : status_; }

 private:
  /// On to a key that is alive; the entry is the newest of its key.
  void settle() {
    for (valid_ = at_.valid(); valid_; valid_ = at_.valid()) {
      if (!end_.empty() && at_.key() >= ByteView(end_)) {
        valid_ = false;
        return;
      }
      const detail::Liveness liveness = detail::liveness_of(at_.type());
      const bool deleted = !tombstones_->empty() && tombstones_->deletes(at_.key(), at_.sequence());
      if (liveness == detail::Liveness::live && !deleted) return;
      if (liveness == detail::Liveness::unreadable && !deleted) return fail();
      at_.next();
      while (at_.valid() && at_.repeats_key()) at_.next();
    }
  }
  KVBACKUP_DETAIL_COLD void fail() {
    valid_ = false;
    status_ = core_->blocks.named(detail::unreadable_entry(at_.type(), at_.key()));
  }

  std::shared_ptr<const Core> core_;
  TableIterator<Core> at_;
  const detail::TombstoneMap* tombstones_ = nullptr;  // the core's
  std::string start_;
  std::string end_;
  bool valid_ = false;
  Status status_;
};

}  // namespace kvbackup::inline v1
