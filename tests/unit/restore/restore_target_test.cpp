// SPDX-License-Identifier: Apache-2.0
// What a restore does to stores that are there already, and to those that are built in parts.
#include <map>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "unit/restore/restored_families.hpp"

using namespace kvbackup;
using namespace restore_test;
using test_support::many_pairs;

namespace {

/// A PartTarget that takes copies. Remembers the parts that it was given.
class MapTarget {
 public:
  class Part {
   public:
    Part(MapTarget& target, std::string cf) : target_(&target), cf_(std::move(cf)) {}
    Status put(ByteView key, ByteView value) {
      pairs_.emplace(key, value);
      return {};
    }
    Status finish() {
      const MutexLock lock(target_->mutex);
      CHECK_FALSE(pairs_.empty());
      target_->built[cf_].merge(pairs_);
      CHECK(pairs_.empty());
      target_->parts += 1;
      return {};
    }

   private:
    MapTarget* target_;
    std::string cf_;
    Store pairs_;
  };
  class Copy {
   public:
    Copy(MapTarget& target, std::string cf) : target_(&target), cf_(std::move(cf)) {}
    Status append(ByteView bytes) {
      bytes_ += bytes;
      return {};
    }
    Status finish() {
      const MutexLock lock(target_->mutex);
      target_->copies[cf_].push_back(std::move(bytes_));
      return {};
    }

   private:
    MapTarget* target_;
    std::string cf_;
    std::string bytes_;
  };

  Result<Part> begin(std::string_view cf) { return Part(*this, std::string(cf)); }
  Result<Copy> begin_copy(std::string_view cf) { return Copy(*this, std::string(cf)); }
  [[nodiscard]] std::size_t copy_count() const {
    std::size_t count = 0;
    for (const auto& [cf, files] : copies) count += files.size();
    return count;
  }
  Status add_cf(std::string_view cf) {
    built[std::string(cf)];
    return {};
  }
  Status clear_range(const KeyRange& range) {
    cleared.push_back(range);
    return {};
  }
  Status finish() {
    finished = true;
    return {};
  }
  void abandon() { abandoned = true; }

  Mutex mutex;
  Families built;
  std::map<std::string, std::vector<std::string>> copies;  // by column family
  std::vector<KeyRange> cleared;
  std::size_t parts = 0;
  bool finished = false;
  bool abandoned = false;
};
static_assert(CopyTarget<MapTarget>);

/// Clears at once.
class CarelessSink : public FamiliesSink {
 public:
  using FamiliesSink::FamiliesSink;
  static constexpr bool all_or_nothing = false;
  Status clear_range(const KeyRange& range) {
    cleared += 1;
    return FamiliesSink::clear_range(range);
  }
  int cleared = 0;
};

Store shifted(const Store& store) {
  Store out;
  for (const auto& [key, value] : store) out[key] = value + "!";
  return out;
}

}  // namespace

TEST_CASE("parts are built in parallel, one a file, and empty column families are there") {
  const Families families{{"a", many_pairs(2000, 1)}, {"b", {}}, {"c", many_pairs(100, 3)}};
  const MemoryBackend backend = backed_up(families);
  ThreadExecutor threads;
  RestoreOptions options;
  options.executor = &threads;
  options.concurrency = 4;
  MapTarget target;
  const auto result = restore(opened(backend), target, options);
  REQUIRE(result.ok());
  CHECK(target.built == families);
  CHECK(target.parts == result.value().files);
  CHECK(target.copies.empty());
  CHECK(target.finished);
  CHECK(check_restored(FamiliesSnapshot(target.built), result.value()).ok());
}

TEST_CASE("a file that needs no change is copied byte for byte, every other one written anew") {
  const Families families{{"default", many_pairs(2000)}, {"other", many_pairs(500, 2)}};
  const MemoryBackend backend = backed_up(families, 4096, {}, PlainLayout{});
  const MemoryBackup backup = opened(backend);
  MapTarget target;
  REQUIRE(restore(backup, target).ok());
  CHECK(target.parts == 0);
  // of each column family its own files, in their order
  std::map<std::string, std::vector<std::string>> expected;
  for (const File& file : backup.meta().files) {
    expected[file.cf].push_back(backend.read(file.name).value());
  }
  CHECK(expected.size() == 2);
  CHECK(target.copies == expected);
  RestoreOptions options;
  options.ranges = {{"default", "user/1", "user/9"}};
  MapTarget part;
  const auto result = restore(backup, part, options);
  REQUIRE(result.ok());
  CHECK(part.parts >= 1);
  CHECK(part.parts <= 2);
  CHECK(part.copy_count() + part.parts == result.value().files);
  options.rewrite_prefix = {"user/", "USER/"};
  MapTarget rewritten;
  REQUIRE(restore(backup, rewritten, options).ok());
  CHECK(rewritten.copies.empty());
}

TEST_CASE("a part without pairs is not begun") {
  const Families families{{"default", {{"a", "1"}, {"m", "2"}, {"z", "3"}}}};
  RestoreOptions options;
  options.ranges = {{"default", "b", "c"}};
  MapTarget target;
  const auto result = restore(opened(backed_up(families)), target, options);
  REQUIRE(result.ok());
  CHECK(result.value().total.pairs == 0);
  CHECK(target.parts == 0);
}

TEST_CASE("a damaged file finishes no copy and no part of its own, wherever it stands") {
  const Families families{{"default", many_pairs(2000)}};
  ThreadExecutor threads;
  for (const bool plain : {false, true}) {
    const MemoryBackend whole =
        plain ? backed_up(families, 4096, {}, PlainLayout{}) : backed_up(families);
    const std::size_t files = opened(whole).meta().files.size();
    REQUIRE(files > 4);
    for (const std::size_t damaged : {std::size_t{0}, files / 2, files - 1}) {
      const MemoryBackend backend =
          plain ? backed_up(families, 4096, {}, PlainLayout{}) : backed_up(families);
      const std::string name = opened(backend).meta().files[damaged].name;
      std::string bytes = backend.read(name).value();
      const std::string before = bytes;
      bytes[10] = static_cast<char>(bytes[10] ^ 1);
      put_object(backend, name, bytes);
      for (const std::size_t concurrency : {std::size_t{1}, std::size_t{4}}) {
        RestoreOptions options;
        options.executor = &threads;
        options.concurrency = concurrency;
        MapTarget target;
        const Status status = restore(opened(backend), target, options).status();
        CHECK(status.code() == StatusCode::corruption);
        CHECK(status.object() == name);
        CHECK(target.abandoned);
        CHECK_FALSE(target.finished);
        // others may have been done before or beside it
        CHECK(target.parts + target.copy_count() < files);
        if (concurrency == 1) CHECK(target.parts + target.copy_count() == damaged);
        for (const std::string& copy : target.copies["default"]) {
          CHECK(copy != bytes);
          CHECK(copy != before);
        }
      }
    }
  }
}

TEST_CASE(
    "merged, a store keeps its other pairs; replaced, it loses those in the restored ranges") {
  const Store store = many_pairs(500);
  const MemoryBackend backend =
      backed_up({{"default", store}}, 4096, {{"default", "user/2", "user/7"}});
  Store inside;
  for (const auto& [key, value] : store) {
    if (KeyRange{"", "user/2", "user/7"}.contains(key)) inside.emplace(key, value);
  }
  const Families before{{"default", {{"user/1", "a"}, {"user/5/mine", "b"}, {"user/8", "c"}}}};

  Families merged = before;
  FamiliesSink merging(merged);
  REQUIRE(restore(opened(backend), merging).ok());
  Store expected = before.at("default");
  expected.insert(inside.begin(), inside.end());
  CHECK(merged == Families{{"default", expected}});

  Families replaced = before;
  FamiliesSink replacing(replaced);
  RestoreOptions options;
  options.clear_ranges = true;
  const auto result = restore(opened(backend), replacing, options);
  REQUIRE(result.ok());
  expected.erase("user/5/mine");
  CHECK(replaced == Families{{"default", expected}});
  CHECK(check_restored(FamiliesSnapshot(replaced), result.value()).ok());
  CHECK(check_restored(FamiliesSnapshot(merged), result.value()).code() == StatusCode::corruption);
}

TEST_CASE("the ranges that are cleared are those of the target, after rewriting") {
  const MemoryBackend backend = backed_up({{"default", many_pairs(500)}});
  RestoreOptions options;
  options.clear_ranges = true;
  options.rewrite_prefix = {"user/4", "tenant"};
  MapTarget target;
  REQUIRE(restore(opened(backend), target, options).ok());
  CHECK(target.cleared == std::vector<KeyRange>{{"default", "tenant", "tenanu"}});
  options.ranges = {{"default", "user/42", "user/47"}};
  MapTarget part;
  REQUIRE(restore(opened(backend), part, options).ok());
  CHECK(part.cleared == std::vector<KeyRange>{{"default", "tenant2", "tenant7"}});
}

TEST_CASE(
    "ranges of a target that cannot take it back are cleared only once every file is proven") {
  const MemoryBackend backend = backed_up({{"default", many_pairs(2000)}});
  const std::string name = opened(backend).meta().files.back().name;
  const std::string good = backend.read(name).value();
  std::string bytes = good;
  bytes.front() = static_cast<char>(bytes.front() ^ 1);
  put_object(backend, name, bytes);
  RestoreOptions options;
  options.clear_ranges = true;
  Families store{{"default", {{"user/1", "mine"}}}};
  CarelessSink sink(store);
  CHECK(restore(opened(backend), sink, options).status().code() == StatusCode::corruption);
  CHECK(sink.cleared == 0);
  put_object(backend, name, good);
  CarelessSink again(store);
  CHECK(restore(opened(backend), again, options).ok());
  CHECK(again.cleared == 1);
}

TEST_CASE("a target without clear_range cannot be cleared") {
  RestoreOptions options;
  options.clear_ranges = true;
  std::size_t puts = 0;
  const auto result = restore(
      opened(backed_up({{"default", {{"a", "1"}}}})), [&puts](ByteView, ByteView) { ++puts; },
      options);
  CHECK(result.status().code() == StatusCode::unsupported);
  CHECK(puts == 0);
}

TEST_CASE("a comparison tells which keys of a restore the target has, and which pairs") {
  const Store store = many_pairs(1000);
  const MemoryBackup backup = opened(backed_up({{"default", store}, {"other", {{"k", "v"}}}}));
  const auto compared = [&backup](const Families& target, const RestoreOptions& options = {}) {
    const auto comparison = compare_with(backup, FamiliesSnapshot(target), options);
    REQUIRE(comparison.ok());
    return comparison.value();
  };
  CHECK(compared({}).pairs.pairs == 1001);
  CHECK(compared({}).present == 0);
  CHECK(compared({{"default", store}}).equal == 1000);
  CHECK(compared({{"default", shifted(store)}}).present == 1000);
  CHECK(compared({{"default", shifted(store)}}).equal == 0);
  CHECK(compared({{"default", {{"user/", "x"}}}, {"other", {{"k", "v"}}}}).equal == 1);
  RestoreOptions options;
  options.rewrite_prefix = {"user/", "u/"};
  options.ranges = {{"default", "", ""}};
  CHECK(compared({{"default", store}}, options).present == 0);
  Store short_keys;
  for (const auto& [key, value] : store) short_keys["u/" + key.substr(5)] = value;
  CHECK(compared({{"default", short_keys}}, options).equal == 1000);
}

TEST_CASE("a comparison counts the pairs that clearing the ranges would remove") {
  const Store store{{"b", "1"}, {"d", "2"}};
  const MemoryBackup backup = opened(backed_up({{"default", store}, {"empty", {}}}));
  const Families target{{"default", {{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}}},
                        {"empty", {{"x", ""}, {"y", ""}}},
                        {"unrelated", {{"z", ""}}}};
  RestoreOptions options;
  CHECK(compare_with(backup, FamiliesSnapshot(target), options).value().others == 0);
  options.clear_ranges = true;
  const auto all = compare_with(backup, FamiliesSnapshot(target), options);
  REQUIRE(all.ok());
  CHECK(all.value().others == 5);
  CHECK(all.value().present == 2);
  options.ranges = {{"default", "b", "d"}};
  CHECK(compare_with(backup, FamiliesSnapshot(target), options).value().others == 1);
  CancelToken token;
  token.cancel();
  options.cancel = &token;
  CHECK(compare_with(backup, FamiliesSnapshot(target), options).status().code() ==
        StatusCode::cancelled);
}

TEST_CASE("a store that lost, gained or changed a pair is not what was restored") {
  const Families families{{"default", many_pairs(300)}, {"other", {{"k", "v"}}}};
  const MemoryBackup backup = opened(backed_up(families));
  Families target;
  FamiliesSink sink(target);
  const auto result = restore(backup, sink);
  REQUIRE(result.ok());
  const auto checked = [&result](const Families& store) {
    return check_restored(FamiliesSnapshot(store), result.value());
  };
  CHECK(checked(target).ok());
  Families changed = target;
  changed["default"].begin()->second += "x";
  CHECK(checked(changed).code() == StatusCode::corruption);
  changed = target;
  changed["other"].clear();
  CHECK(checked(changed).object() == "other");
  changed["other"] = {{"k", "v"}, {"l", ""}};
  CHECK(checked(changed).object() == "other");
  changed.erase("other");
  CHECK(checked(changed).object() == "other");
  CancelToken cancel;
  cancel.cancel();
  CHECK(check_restored(FamiliesSnapshot(target), result.value(), &cancel).code() ==
        StatusCode::cancelled);
}
