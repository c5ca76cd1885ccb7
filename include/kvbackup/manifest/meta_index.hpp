// SPDX-License-Identifier: Apache-2.0
// Reads the trees in which BR 5.1 and later (--use-backupmeta-v2) keep the lists of a backupmeta.
//
//   backupmeta                         names the roots: file_index, schema_index, ...
//   backupmeta.datafile.000000001      a MetaFile message; so are backupmeta.schema.* and .ddl.*
//
// An entry names an object, its size and the SHA-256 of its message, so a tree is proven from its
// root. Each object is named once, so there is no more to read than lies there; how much that may
// be is bounded all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/hash/sha256_portable.hpp"
#include "kvbackup/manifest/detail/entry_bound.hpp"
#include "kvbackup/manifest/detail/looks_random.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/backup_index.hpp"
#include "kvbackup/proto/decode.hpp"

namespace kvbackup::inline v1 {

/// Bounds on the trees: how deep (BR makes one level), how many objects, how many bytes (a leaf of
/// BR's has at most 128 MiB).
inline constexpr std::size_t max_meta_tree_depth = 8;
inline constexpr std::size_t max_meta_tree_objects = 65'536;
inline constexpr std::uint64_t max_meta_tree_size = 1ull << 30;

/// An object that a list was read from.
struct MetaObject {
  std::string name;
  std::uint64_t size = 0;  ///< bytes

  friend bool operator==(const MetaObject&, const MetaObject&) = default;
};

namespace detail {

/// Whether the bytes of a MetaFile can spell its lists; the first two are of files.
[[nodiscard]] inline bool node_fits(ByteView bytes) { return entries_fit(bytes, 1, 2); }

/// Walks the trees of one backup depth first, in the order of their entries.
template <class Backend>
class MetaTreeReader {
 public:
  explicit MetaTreeReader(Backend& backend) : backend_(backend) {}

  /// Appends what the tree under `root` lists to `meta`, and its DDL jobs to `ddls`.
  Status read(MetaFile root, BackupMeta& meta, std::vector<std::string>& ddls) {
    return take(std::move(root), meta, ddls, 0);
  }

  /// The objects read so far.
  [[nodiscard]] std::vector<MetaObject> objects() && { return std::move(objects_); }

 private:
  // NOLINTNEXTLINE(misc-no-recursion): max_meta_tree_depth bounds it
  Status take(MetaFile node, BackupMeta& meta, std::vector<std::string>& ddls, std::size_t depth) {
    if (Status status = check_known(node); !status.ok()) return status;
    append(meta.files, std::move(node.data_files));
    append(meta.schemas, std::move(node.schemas));
    append(meta.raw_ranges, std::move(node.raw_ranges));
    append(ddls, std::move(node.ddls));
    if (!node.meta_files.empty() && depth == max_meta_tree_depth) {
      return too_much("nest more than " + std::to_string(max_meta_tree_depth) + " deep");
    }
    for (const File& entry : node.meta_files) {
      auto child = fetch(entry);
      if (!child.ok()) return std::move(child).status().with_object(entry.name);
      Status status = take(std::move(child).value(), meta, ddls, depth + 1);
      if (!status.ok()) return status;
    }
    return {};
  }

  Result<MetaFile> fetch(const File& entry) {
    if (objects_.size() == max_meta_tree_objects) {
      return too_much("name more than " + std::to_string(max_meta_tree_objects) + " objects");
    }
    // listed first: an object that is larger than it should be is not read, and a name that is no
    // object's is not found
    auto size = size_of(entry.name);
    if (!size.ok()) return std::move(size).status();
    if (entry.size != 0 && size.value() != entry.size) {
      return damaged("it has " + std::to_string(size.value()) + " bytes instead of " +
                     std::to_string(entry.size));
    }
    if (size.value() > max_meta_tree_size - bytes_) {
      return too_much("hold more than " + std::to_string(max_meta_tree_size) + " bytes");
    }
    // a few objects that name one another many times over would make lists without end
    if (!names_.insert(entry.name).second) return damaged("it is named twice");
    bytes_ += size.value();
    objects_.push_back({entry.name, size.value()});
    auto bytes = backend_.read(entry.name);
    if (!bytes.ok()) return std::move(bytes).status();
    if (entry.sha256 != as_bytes(PortableSha256::of(bytes.value()))) {
      return damaged(looks_random(bytes.value())
                         ? "its SHA-256 is another one, or it is encrypted, which is not read"
                         : "its SHA-256 is not the one that was recorded");
    }
    if (!node_fits(bytes.value())) {
      return damaged("its lists have more entries than its bytes can spell");
    }
    auto node = decode<MetaFile>(bytes.value());
    if (!node.ok()) return damaged(std::string(node.status().message()));
    return node;
  }

  [[nodiscard]] Result<std::uint64_t> size_of(const std::string& name) {
    auto listed = backend_.list(name);
    if (!listed.ok()) return std::move(listed).status();
    for (const auto& object : listed.value()) {
      if (object.name == name) return std::uint64_t{object.size};
    }
    return damaged("it is missing");
  }

  /// BR 8 and later list files by range (MetaFile.backup_ranges = 6), which would be an empty list
  /// here.
  static Status check_known(const MetaFile& node) {
    if (node.unknown_fields.empty()) return {};
    return Status::error(StatusCode::unsupported,
                         "this backup's lists have a form of a later BR, which is not read");
  }

  template <class T>
  static void append(std::vector<T>& to, std::vector<T> from) {
    if (to.empty()) {
      to = std::move(from);
    } else {
      to.insert(to.end(), std::make_move_iterator(from.begin()),
                std::make_move_iterator(from.end()));
    }
  }

  KVBACKUP_DETAIL_COLD static Status damaged(std::string why) {
    return Status::error(StatusCode::corruption,
                         "an object that backupmeta names is damaged: " + std::move(why));
  }
  KVBACKUP_DETAIL_COLD static Status too_much(std::string how) {
    return Status::error(
        StatusCode::resource_exhausted,
        "the lists of this backup " + std::move(how) + ", more than this library reads");
  }

  Backend& backend_;
  std::vector<MetaObject> objects_;
  std::set<std::string> names_;
  std::uint64_t bytes_ = 0;
};

}  // namespace detail
}  // namespace kvbackup::inline v1
