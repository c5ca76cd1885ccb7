// SPDX-License-Identifier: Apache-2.0
// The Layout contract: what one source entry becomes in the tables of a part, since the pair that
// is stored is not always the logical one.
//
// clang-format off
// | expression           | result                | meaning
// |----------------------|-----------------------|----------------------------------------------
// | L::Checksum          | BlockChecksum         | of the blocks of every table
// | L::Collector         | PropertyCollector     | of every table
// | L::is_raw_kv         | bool                  | BackupMeta.is_raw_kv, and the form of names
// | l.cfs(range_cf)      | vector<string>        | column families of a part of a range of
// |                      |                       | `range_cf`, in file order; tables below are
// |                      |                       | named by index in it
// | l.store(entry, emit) | Status                | calls emit(table, stored_key, stored_value)
// |                      |                       | -> Status for each record, and passes on
// |                      |                       | its failure
// | l.counted(entry)     | optional<CountedPair> | the logical pair and the table whose file
// |                      |                       | counts it
// | l.table_options(cf)  | TableOptions          | filter, prefix extractor, block size; where
// |                      |                       | it names a session, the pipeline numbers the
// |                      |                       | tables
// | l.collector(cf)      | L::Collector          |
// | l.key_prefix()       | string_view           | what store() puts before every key
// | l.profile()          | string_view           | recorded in backupmeta
// | L::entries_per_batch | uint64_t              | optional: a part ends only behind a multiple
// |                      |                       | of that many entries; 1 where it is missing
// clang-format on
//
// Laws no compiler checks: stored keys of one table strictly rise when the entries' keys do; the
// entries of a part make the same records each time they are stored; a record's views need to live
// only during emit. A layout is a value: every worker has its own copy.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sst/checksum.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/sst/options.hpp"
#include "kvbackup/sst/tikv_properties.hpp"

namespace kvbackup::inline v1 {

/// One pair of a source, with the column family of the range it was found in.
struct SourceEntry {
  ByteView cf;
  ByteView key;
  ByteView value;
};

/// The logical pair that file `table` of a part counts.
struct CountedPair {
  std::size_t table = 0;
  ByteView key;
  ByteView value;
};

namespace detail {
struct EmitArchetype {
  Status operator()(std::size_t table, ByteView key, ByteView value) const;
};
}  // namespace detail

/// How pairs of a source become entries of tables, and what backupmeta says of them; copied for
/// each worker.
template <class L>
concept Layout = std::copyable<L> && BlockChecksum<typename L::Checksum> &&
    PropertyCollector<typename L::Collector> &&
    requires(L l, const L& c, const SourceEntry& entry, std::string_view cf,
             detail::EmitArchetype emit) {
  { L::is_raw_kv } -> std::convertible_to<bool>;
  { c.cfs(cf) } -> std::same_as<std::vector<std::string>>;
  { l.store(entry, emit) } -> std::same_as<Status>;
  { l.counted(entry) } -> std::same_as<std::optional<CountedPair>>;
  { c.table_options(cf) } -> std::same_as<TableOptions>;
  { c.collector(cf) } -> std::same_as<typename L::Collector>;
  { c.key_prefix() } -> std::convertible_to<std::string_view>;
  { c.profile() } -> std::convertible_to<std::string_view>;
};

namespace detail {
template <class L>
[[nodiscard]] constexpr std::uint64_t entries_per_batch() {
  if constexpr (requires { std::uint64_t{L::entries_per_batch}; }) {
    return L::entries_per_batch;
  } else {
    return 1;
  }
}
}  // namespace detail

/// TiKV's DATA_PREFIX, which stands before every key of its SST files (components/keys/src/lib.rs).
inline constexpr std::string_view tikv_data_prefix = "z";

/// TiKV's raw mode: every key behind the data prefix 'z', values verbatim, in tables as TiKV 5.x
/// writes them. BR and TiKV restore these.
class RawLayout {
 public:
  using Checksum = Crc32cChecksum;
  using Collector = TikvCollector;
  static constexpr bool is_raw_kv = true;

  [[nodiscard]] std::vector<std::string> cfs(std::string_view range_cf) const {
    return {std::string(range_cf)};
  }
  template <class Emit>
  [[nodiscard]] Status store(const SourceEntry& entry, Emit&& emit) {
    stored_key_.resize(tikv_data_prefix.size());
    stored_key_.append(entry.key);
    return emit(std::size_t{0}, ByteView(stored_key_), entry.value);
  }
  [[nodiscard]] std::optional<CountedPair> counted(const SourceEntry& entry) const {
    return CountedPair{.table = 0, .key = entry.key, .value = entry.value};
  }
  [[nodiscard]] TableOptions table_options(std::string_view /*cf*/) const {
    return TableOptions::br_default_cf();
  }
  [[nodiscard]] Collector collector(std::string_view /*cf*/) const { return TikvCollector(); }
  [[nodiscard]] std::string_view key_prefix() const { return tikv_data_prefix; }
  [[nodiscard]] std::string_view profile() const { return "br"; }

 private:
  std::string stored_key_{tikv_data_prefix};  // what follows the prefix is replaced for each pair
};
static_assert(Layout<RawLayout>);

/// Keys and values as they are, for stores that are ingested directly and not by TiKV.
class PlainLayout {
 public:
  using Checksum = Crc32cChecksum;
  using Collector = NoCollector;
  static constexpr bool is_raw_kv = true;

  [[nodiscard]] std::vector<std::string> cfs(std::string_view range_cf) const {
    return {std::string(range_cf)};
  }
  template <class Emit>
  [[nodiscard]] Status store(const SourceEntry& entry, Emit&& emit) {
    return emit(std::size_t{0}, entry.key, entry.value);
  }
  [[nodiscard]] std::optional<CountedPair> counted(const SourceEntry& entry) const {
    return CountedPair{.table = 0, .key = entry.key, .value = entry.value};
  }
  [[nodiscard]] TableOptions table_options(std::string_view /*cf*/) const {
    return TableOptions::br_default_cf();
  }
  [[nodiscard]] Collector collector(std::string_view /*cf*/) const { return {}; }
  [[nodiscard]] std::string_view key_prefix() const { return {}; }
  [[nodiscard]] std::string_view profile() const { return "plain"; }
};
static_assert(Layout<PlainLayout>);

}  // namespace kvbackup::inline v1

#if KVBACKUP_WITH_XXHASH
namespace kvbackup::inline v1 {

/// Keys and values as they are, in tables as RocksDB 7.8 writes them by default: format_version 5,
/// XXH3, bloom filters of RocksDB 6.6 and later. For stores that are ingested directly by RocksDB
/// 6.27 or later; TiKV and BR restore nothing from them. It exists only where libxxhash is built
/// in.
class RocksdbLayout {
 public:
  using Checksum = Xxh3Checksum;
  using Collector = NoCollector;
  static constexpr bool is_raw_kv = true;

  /// Tables without an identity. RocksDB then tells them apart by itself in its block cache.
  RocksdbLayout() = default;
  /// Tables of that identity. A session takes part in one run only: `file_number` is left out here
  /// and is another one in each table of the run.
  explicit RocksdbLayout(TableIdentity identity) : identity_(std::move(identity)) {}

  [[nodiscard]] std::vector<std::string> cfs(std::string_view range_cf) const {
    return {std::string(range_cf)};
  }
  template <class Emit>
  [[nodiscard]] Status store(const SourceEntry& entry, Emit&& emit) {
    return emit(std::size_t{0}, entry.key, entry.value);
  }
  [[nodiscard]] std::optional<CountedPair> counted(const SourceEntry& entry) const {
    return CountedPair{.table = 0, .key = entry.key, .value = entry.value};
  }
  [[nodiscard]] TableOptions table_options(std::string_view /*cf*/) const {
    TableOptions options = TableOptions::rocksdb();
    options.identity = identity_;
    return options;
  }
  [[nodiscard]] Collector collector(std::string_view /*cf*/) const { return {}; }
  [[nodiscard]] std::string_view key_prefix() const { return {}; }
  [[nodiscard]] std::string_view profile() const { return "rocksdb"; }

 private:
  TableIdentity identity_;
};
static_assert(Layout<RocksdbLayout>);

}  // namespace kvbackup::inline v1
#endif
