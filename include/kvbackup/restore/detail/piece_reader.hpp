// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/checked_file.hpp"
#include "kvbackup/restore/detail/key_domain.hpp"
#include "kvbackup/sst/table_reader.hpp"

namespace kvbackup::inline v1::detail {

/// The pairs of one file of a backup, read strictly: what no backup writes is corruption.
template <class Table>
class PieceReader {
 public:
  /// Borrows the manifest and the file's entry in it.
  PieceReader(const Manifest& manifest, const File& file, Table table)
      : file_(file),
        prefix_(key_prefix_of(manifest)),
        stored_(stored_range(manifest, file.start_key, file.end_key)),
        table_(std::move(table)),
        at_(table_.cursor()) {}

  /// The file has entries and nothing but: no range tombstones.
  [[nodiscard]] Status check_form() const {
    const auto tombstones = table_.range_tombstones();
    if (!tombstones.ok()) return named(tombstones.status());
    return tombstones.value().empty() ? Status() : strange("range tombstones");
  }

  [[nodiscard]] const auto& properties() const { return table_.properties(); }

  /// Calls f(key, value) -> Status for the pairs of `range`, in logical keys, and gives its
  /// failure.
  template <class F>
  [[nodiscard]] Status for_each(const KeyRange& range, F&& f) {
    // what stands outside of the file's own range is looked for where all of it is asked for
    const bool from_start = range.start == file_.start_key;
    at_.seek(from_start ? ByteView() : ByteView(stored(range.start)));
    const std::string end = range.end == file_.end_key ? std::string() : stored(range.end);
    for (; at_.valid(); at_.next()) {
      const ByteView key = at_.key();
      if (!end.empty() && key >= ByteView(end)) return {};
      if (Status status = check_entry(key); !status.ok()) return status;
      if (Status status = f(key.substr(prefix_.size()), at_.value()); !status.ok()) return status;
    }
    return named(at_.status());
  }

 private:
  [[nodiscard]] std::string stored(ByteView key) const {
    std::string out(prefix_);
    out += key;
    return out;
  }
  [[nodiscard]] Status check_entry(ByteView key) const {
    if (key < ByteView(stored_.low) || (!stored_.high.empty() && key >= ByteView(stored_.high))) {
      return strange("a key outside of its key range, or without the prefix of this backup's keys");
    }
    if (at_.type() != EntryType::value) return strange("entries that are no plain values");
    return at_.repeats_key() ? strange("one key twice") : Status();
  }
  [[nodiscard]] Status strange(std::string_view what) const {
    std::string message("it holds ");
    message += what;
    message += ", which no backup writes; verify the backup";
    return named(Status::error(StatusCode::corruption, std::move(message)));
  }
  [[nodiscard]] Status named(Status status) const {
    return std::move(status).with_object(file_.name).with_range(file_.start_key, file_.end_key);
  }

  const File& file_;
  std::string_view prefix_;
  StoredRange stored_;
  Table table_;
  decltype(std::declval<const Table&>().cursor()) at_;
};

}  // namespace kvbackup::inline v1::detail
