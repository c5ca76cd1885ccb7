// SPDX-License-Identifier: Apache-2.0
// A transactional backup (TiKV's MVCC), read together with the incremental ones that follow it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/backup_reader.hpp"
#include "kvbackup/restore/detail/held_ranges.hpp"
#include "kvbackup/restore/detail/key_domain.hpp"
#include "kvbackup/restore/table_schema.hpp"
#include "kvbackup/restore/txn_source.hpp"
#include "kvbackup/source/mvcc_keys.hpp"
#include "kvbackup/source/mvcc_snapshot.hpp"
#include "kvbackup/sst/block_cache.hpp"

namespace kvbackup::inline v1 {

/// What the pairs of a transactional backup are.
enum class TxnView : std::uint8_t {
  /// User keys, each with its newest value, as a reader at the last end_version sees them; what was
  /// deleted is not there. One column family, "default".
  flat,
  /// The records of column families default and write, as a store of TiKV has them; of a full
  /// backup with incremental ones every version that any of them holds.
  tikv,
};

struct TxnReadOptions {
  TxnView view = TxnView::flat;
  /// Of TxnView::tikv: what the store has before every key, TiKV's own 'z' or nothing.
  std::string key_prefix{detail::br_key_prefix};
  /// Leaves out the backups after the one that ends there.
  std::optional<std::uint64_t> to_version;
};

namespace detail {

[[nodiscard]] inline Status chain_error(const std::string& url, std::string message) {
  return Status::error(StatusCode::invalid_argument, std::move(message)).with_object(url);
}

/// The key ranges of a transactional backup, once each though they may be recorded for every column
/// family; all keys where nothing is recorded.
[[nodiscard]] inline std::vector<KeyRange> txn_ranges(const Manifest& manifest) {
  std::vector<KeyRange> out;
  if (manifest.info) {
    for (const CompletedRange& range : manifest.info->ranges) {
      KeyRange user{std::string(default_cf), range.start, range.end};
      if (std::find(out.begin(), out.end(), user) == out.end()) out.push_back(std::move(user));
    }
  }
  if (out.empty()) out.emplace_back();
  return out;
}

/// Whether `next` goes on where `last` ends.
[[nodiscard]] inline Status check_follows(const Manifest& last, const Manifest& next,
                                          const std::string& url) {
  const BackupMeta& before = last.meta;
  const BackupMeta& after = next.meta;
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  if (after.cluster_id != before.cluster_id) {
    return chain_error(url, "it is of cluster " + number(after.cluster_id) +
                                ", and the backup before it of cluster " +
                                number(before.cluster_id));
  }
  if (is_full(after)) {
    return chain_error(url,
                       "it is a full backup: it needs none before it, so name it first, or alone");
  }
  if (after.start_version > before.end_version) {
    return chain_error(url, "it begins after version " + number(after.start_version) +
                                ", and the backup before it ends with " +
                                number(before.end_version) +
                                ": the changes between are in neither; name the backup that has "
                                "them too");
  }
  if (after.end_version <= before.end_version) {
    return chain_error(url, "it ends with version " + number(after.end_version) +
                                ", which the backup before it, that ends with " +
                                number(before.end_version) +
                                ", holds already: name each once, the older ones first");
  }
  if (txn_ranges(last) != txn_ranges(next)) {
    return chain_error(url,
                       "it holds other key ranges than the backup before it: what the two have in "
                       "common is no state of either");
  }
  return {};
}

}  // namespace detail

/// A full backup and, in their order, the incremental ones that follow it: a Snapshot in the view
/// that was asked for. Safe to use from several threads; scans borrow what it holds.
template <ReadableBackend Backend, Hasher Hash, class Decoders, BlockCache Cache = NoBlockCache>
class BasicTxnBackup {
 public:
  using Member = BasicBackup<Backend, Hash, Decoders, Cache>;
  using Source = TxnSource<Member>;

  /// Takes `members`, the full backup first; reads nothing. Errors (invalid_argument, naming the
  /// backup): one that is raw; a first one that is not full; one that does not follow the one
  /// before it, as to cluster, versions or ranges; a to_version at which none ends.
  [[nodiscard]] static Result<BasicTxnBackup> open(std::vector<Member> members,
                                                   TxnReadOptions options = {}) {
    if (Status status = check_members(members); !status.ok()) return status;
    if (options.to_version) {
      if (Status status = cut(members, *options.to_version); !status.ok()) return status;
    }
    return BasicTxnBackup(std::move(members), std::move(options));
  }

  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  [[nodiscard]] TxnView view() const { return options_.view; }
  /// The version whose state it shows.
  [[nodiscard]] std::uint64_t end_version() const { return members_.back().meta().end_version; }
  /// In user keys, of column family "default".
  [[nodiscard]] std::vector<KeyRange> user_ranges() const {
    return detail::txn_ranges(members_.front().manifest());
  }

  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    std::vector<KeyRange> out;
    for (const KeyRange& range : user_ranges()) {
      for (KeyRange& each : view_of(range)) out.push_back(std::move(each));
    }
    return out;
  }

  /// not_found, naming the range, unless all of `asked`, which is in the view, was backed up.
  [[nodiscard]] Status check_held(const std::vector<KeyRange>& asked) const {
    auto held = ranges();
    if (!held.ok()) return std::move(held).status();
    return detail::check_held(std::move(held).value(), asked);
  }

  /// The pairs of `range`, which in TxnView::tikv begins and ends between user keys, as ranges()
  /// and view_of() have it. corruption that names the key where a value is missing; not_found for a
  /// column family that the view does not have.
  [[nodiscard]] Result<Source> scan(const KeyRange& range) const {
    if (!has_cf(range.cf)) return detail::no_such_cf(range.cf);
    return view() == TxnView::flat ? scan_flat(range) : scan_tikv(range);
  }

  /// The value of a user key; nothing if it is not there. In TxnView::flat.
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view cf, ByteView key) const {
    if (!has_cf(cf)) return std::optional<std::string>();
    KeyRange range{std::string(cf), std::string(key), std::string(key)};
    range.end.push_back('\0');
    auto source = scan(range);
    if (!source.ok()) return std::move(source).status();
    if (source.value().valid()) return std::optional<std::string>(source.value().value());
    if (Status status = source.value().status(); !status.ok()) return status;
    return std::optional<std::string>();
  }

  /// What keys of the view those of a range of user keys are: in TxnView::tikv a range of each of
  /// the two column families.
  [[nodiscard]] std::vector<KeyRange> view_of(const KeyRange& user) const {
    if (view() == TxnView::flat) return {user};
    KeyRange write = user;
    write.cf = mvcc_write_cf;
    return {view_range(user), view_range(write)};
  }
  /// The user keys that a range of view_of() is of.
  [[nodiscard]] Result<KeyRange> user_range_of(const KeyRange& range) const {
    KeyRange user{range.cf, {}, {}};
    if (view() == TxnView::flat) return range;
    const ByteView prefix = options_.key_prefix;
    const auto bound = [&prefix](ByteView key, std::string& out) {
      return key.starts_with(prefix) && from_memcomparable(key.substr(prefix.size()), out);
    };
    const bool starts = ByteView(range.start) <= prefix || bound(range.start, user.start);
    const bool ends =
        range.end.empty() || range.end == detail::prefix_end(prefix) || bound(range.end, user.end);
    if (starts && ends) return user;
    return Status::error(StatusCode::invalid_argument,
                         "a range of TiKV's records begins and ends between user keys, in their "
                         "memcomparable form")
        .with_object(range.cf)
        .with_range(range.start, range.end);
  }

  /// Cuts `range` where files of the full backup begin, into pieces of about that many stored
  /// bytes.
  [[nodiscard]] Result<std::vector<KeyRange>> split(const KeyRange& range,
                                                    std::uint64_t target_bytes) const {
    auto user = user_range_of(range);
    if (!user.ok()) return std::move(user).status();
    if (view() == TxnView::flat) user.value().cf = stored_cf(range.cf);
    const Member& full = members_.front();
    const auto files = full.files().overlapping(user.value());
    if (!files.ok()) return files.status();
    std::vector<KeyRange> parts{range};
    std::uint64_t bytes = 0;
    for (const std::size_t index : files.value()) {
      const File& file = full.meta().files[index];
      if (bytes > 0 && bytes >= target_bytes && file.start_key > user.value().start) {
        std::string cut = view_range({range.cf, file.start_key, {}}).start;
        parts.back().end = cut;
        parts.push_back({range.cf, std::move(cut), range.end});
        bytes = 0;
      }
      bytes += file.size;
    }
    return parts;
  }

  [[nodiscard]] static std::string kind() { return "kvbackup"; }
  [[nodiscard]] std::string identity() const { return url(); }
  [[nodiscard]] std::string url() const { return members_.back().url(); }

 private:
  BasicTxnBackup(std::vector<Member> members, TxnReadOptions options)
      : members_(std::move(members)), options_(std::move(options)) {}

  [[nodiscard]] bool has_cf(std::string_view cf) const {
    return cf == default_cf || (view() == TxnView::tikv && cf == mvcc_write_cf);
  }
  /// Where the versions of a column family of the flat view are; none elsewhere.
  [[nodiscard]] static std::string stored_cf(std::string_view cf) {
    return std::string(cf == default_cf ? mvcc_write_cf : std::string_view());
  }
  [[nodiscard]] KeyRange view_range(const KeyRange& user) const {
    if (view() == TxnView::flat) return user;
    const auto stored = [this](ByteView key) {
      std::string out = options_.key_prefix;
      append_memcomparable(out, key);
      return out;
    };
    return {user.cf, user.start.empty() ? options_.key_prefix : stored(user.start),
            user.end.empty() ? detail::prefix_end(options_.key_prefix) : stored(user.end)};
  }

  [[nodiscard]] static Status check_members(const std::vector<Member>& members) {
    if (members.empty()) return detail::chain_error("", "no backup is named");
    for (const Member& member : members) {
      if (!member.meta().is_raw_kv) continue;
      return detail::chain_error(
          member.url(), "it is a raw backup, and only transactional ones build on one another");
    }
    const BackupMeta& first = members.front().meta();
    if (!is_full(first)) {
      return detail::chain_error(
          members.front().url(),
          "it is an incremental backup, of the changes after version " +
              std::to_string(first.start_version) +
              ": the full backup, and the incremental ones between, have to be named before it");
    }
    for (std::size_t i = 1; i < members.size(); ++i) {
      Status status =
          detail::check_follows(members[i - 1].manifest(), members[i].manifest(), members[i].url());
      if (!status.ok()) return status;
    }
    return {};
  }
  [[nodiscard]] static Status cut(std::vector<Member>& members, std::uint64_t to_version) {
    std::string ends;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::uint64_t end = members[i].meta().end_version;
      if (end == to_version) {
        members.erase(members.begin() + static_cast<std::ptrdiff_t>(i) + 1, members.end());
        return {};
      }
      ends += (i == 0 ? "" : ", ") + std::to_string(end);
    }
    return Status::error(StatusCode::invalid_argument, "no backup ends with version " +
                                                           std::to_string(to_version) +
                                                           "; those named end with " + ends);
  }

  [[nodiscard]] Result<Source> scan_flat(const KeyRange& range) const {
    KeyRange write = range;
    write.cf = stored_cf(range.cf);
    std::vector<detail::VersionSource<Member>> versions;
    versions.reserve(members_.size());
    for (std::size_t i = members_.size(); i-- > 0;) {
      auto records = members_[i].scan_versions(write);
      if (!records.ok()) return std::move(records).status();
      versions.emplace_back(members_[i], std::move(records).value(), range);
    }
    return Source(detail::FlatSource<Member>(std::move(versions), end_version()));
  }
  [[nodiscard]] Result<Source> scan_tikv(const KeyRange& range) const {
    const auto user = user_range_of(range);
    if (!user.ok()) return user.status();
    std::vector<typename Member::Source> records;
    for (std::size_t i = members_.size(); i-- > 0;) {
      auto source = members_[i].scan_versions(user.value());
      if (!source.ok()) return std::move(source).status();
      records.push_back(std::move(source).value());
    }
    return Source(detail::TikvSource<Member>(std::move(records), options_.key_prefix));
  }

  std::vector<Member> members_;
  TxnReadOptions options_;
};

}  // namespace kvbackup::inline v1
