// SPDX-License-Identifier: Apache-2.0
// Backups in memory, and stores that are restored to.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "restore_support.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"

namespace restore_test {

using test_support::Store;
using Families = std::map<std::string, Store>;
using MemoryBackup = kvbackup::Backup<kvbackup::MemoryBackend>;

/// Several column families at one moment.
class FamiliesSnapshot {
  using Source = kvbackup::BoundedSource<kvbackup::RangeSource<const Store&>>;

 public:
  explicit FamiliesSnapshot(const Families& families) : families_(&families) {}

  [[nodiscard]] kvbackup::Result<Source> scan(const kvbackup::KeyRange& range) const {
    const Store& store = families_->at(range.cf);
    return Source(kvbackup::RangeSource<const Store&>(store), range.start, range.end);
  }
  [[nodiscard]] kvbackup::Result<std::vector<kvbackup::KeyRange>> ranges() const {
    std::vector<kvbackup::KeyRange> out;
    for (const auto& [cf, store] : *families_) out.push_back({cf, "", ""});
    return out;
  }
  [[nodiscard]] kvbackup::Result<std::vector<kvbackup::KeyRange>> split(
      const kvbackup::KeyRange& range, std::uint64_t target_bytes) const {
    auto parts =
        kvbackup::RangeSnapshot(families_->at(range.cf), range.cf).split(range, target_bytes);
    return parts;
  }

 private:
  const Families* families_;
};

/// The objects of a backup of `families` in files of about `part_size` bytes.
template <class Layout = kvbackup::RawLayout>
kvbackup::MemoryBackend backed_up(const Families& families, std::uint64_t part_size = 4096,
                                  std::vector<kvbackup::KeyRange> ranges = {}, Layout layout = {}) {
  kvbackup::MemoryBackend backend;
  test_support::FixedClock clock;
  kvbackup::BackupOptions options;
  options.clock = &clock;
  options.part_size = part_size;
  options.ranges = std::move(ranges);
  kvbackup::BackupPipeline pipeline(FamiliesSnapshot(families), kvbackup::NoneCodec{},
                                    kvbackup::FileHasher{}, backend, std::move(layout));
  REQUIRE(pipeline.run(options).ok());
  return backend;
}

/// Every object and its bytes.
inline std::map<std::string, std::string> objects_of(const kvbackup::MemoryBackend& backend) {
  std::map<std::string, std::string> objects;
  for (const kvbackup::ObjectInfo& object : backend.list("").value()) {
    objects[object.name] = backend.read(object.name).value();
  }
  return objects;
}

inline void put_object(const kvbackup::MemoryBackend& backend, const std::string& name,
                       const std::string& bytes) {
  auto writer = backend.create(name, {.size_hint = {}, .if_absent = false});
  REQUIRE(writer.value().append(bytes).ok());
  REQUIRE(writer.value().commit().ok());
}

/// A Sink that fills maps, which it takes over the store only when it is finished.
class FamiliesSink {
 public:
  static constexpr bool all_or_nothing = true;

  explicit FamiliesSink(Families& target) : target_(&target), built_(target) {}

  kvbackup::Status use(std::string_view cf) {
    cf_ = cf;
    built_[cf_];
    return {};
  }
  kvbackup::Status clear_range(const kvbackup::KeyRange& range) {
    std::erase_if(built_[range.cf], [&](const auto& pair) { return range.contains(pair.first); });
    return {};
  }
  kvbackup::Status put(kvbackup::ByteView key, kvbackup::ByteView value) {
    ++puts;
    built_[cf_].insert_or_assign(std::string(key), std::string(value));
    return {};
  }
  kvbackup::Status finish() {
    *target_ = std::move(built_);
    finished = true;
    return {};
  }
  void abandon() { abandoned = true; }

  std::size_t puts = 0;
  bool finished = false;
  bool abandoned = false;

 private:
  Families* target_;
  Families built_;
  std::string cf_{kvbackup::default_cf};
};
static_assert(kvbackup::Sink<FamiliesSink>);

/// What a restore of `backup` to an empty store makes.
inline Families restored(const MemoryBackup& backup, const kvbackup::RestoreOptions& options = {}) {
  Families target;
  FamiliesSink sink(target);
  const auto result = kvbackup::restore(backup, sink, options);
  REQUIRE(result.ok());
  CHECK(kvbackup::check_restored(FamiliesSnapshot(target), result.value()).ok());
  return target;
}

}  // namespace restore_test
