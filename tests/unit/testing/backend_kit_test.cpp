// SPDX-License-Identifier: Apache-2.0
// The kit for backends is worth what it catches: each of its laws has a model here that breaks it.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_backend.hpp>

#include "support/catch.hpp"

namespace backend_kit_test {

using namespace kvbackup;
namespace law = kvbackup::testing::backend_law;

namespace {

enum class Flaw {
  none,
  phantom_object,
  visible_early,
  loses_last_byte,
  wrong_size,
  commits_when_destroyed,
  commits_when_abandoned,
  loses_bytes_when_moved,
  goes_on_after_the_end,
  always_replaces,
  never_replaces,
  takes_any_name,
  refuses_slashes,
  drops_large_chunks,
  keeps_views,
  shares_a_buffer,
  lists_backwards,
  lists_everything,
  lists_another_proof,
  proves_by_size,
  keeps_unfinished,
  cuts_ranges_short,
  reads_missing_as_empty,
  removes_by_prefix,
};

struct Shelf {
  Flaw flaw;
  std::map<std::string, std::string, std::less<>> objects;
  std::string shared_buffer;

  std::string proof_of(const std::string& bytes) const {
    return flaw == Flaw::proves_by_size ? std::to_string(bytes.size()) : bytes;
  }
};

// A backend that is right but for one flaw.
class FlawedBackend {
 public:
  class Writer {
   public:
    Writer(std::shared_ptr<Shelf> shelf, std::string_view name, bool if_absent)
        : shelf_(std::move(shelf)), name_(name), if_absent_(if_absent) {}
    Writer(Writer&& other) noexcept { take(other); }
    Writer& operator=(Writer&& other) noexcept {
      if (this != &other) take(other);
      return *this;
    }
    ~Writer() {
      if (has(Flaw::commits_when_destroyed)) (void)commit();
    }

    Status append(ByteView bytes) {
      if (!open_) return has(Flaw::goes_on_after_the_end) ? Status() : ended();
      size_ += bytes.size();
      if (has(Flaw::drops_large_chunks) && bytes.size() > 262144) return {};
      if (has(Flaw::keeps_views)) {
        views_.push_back(bytes);
        return {};
      }
      buffer() += bytes;
      if (has(Flaw::visible_early)) shelf_->objects[name_] = bytes_;
      return {};
    }
    Result<ObjectInfo> commit() {
      if (!open_) return ended();
      open_ = false;
      std::string bytes = std::exchange(buffer(), std::string());
      for (const ByteView view : views_) bytes += view;
      if (has(Flaw::loses_last_byte) && !bytes.empty()) bytes.pop_back();
      const bool taken = shelf_->objects.contains(name_) && !has(Flaw::visible_early);
      const bool keep = (if_absent_ && !has(Flaw::always_replaces)) || has(Flaw::never_replaces);
      if (taken && keep) return Status::error(StatusCode::already_exists, "taken");
      shelf_->objects[name_] = std::move(bytes);
      return ObjectInfo{.name = name_,
                        .size = has(Flaw::wrong_size) ? 0 : size_,
                        .proof = shelf_->proof_of(shelf_->objects[name_])};
    }
    void abandon() {
      if (has(Flaw::commits_when_abandoned)) (void)commit();
      open_ = false;
    }

   private:
    bool has(Flaw flaw) const { return shelf_ != nullptr && shelf_->flaw == flaw; }
    static Status ended() { return Status::error(StatusCode::invalid_argument, "ended"); }
    std::string& buffer() { return has(Flaw::shares_a_buffer) ? shelf_->shared_buffer : bytes_; }
    void take(Writer& other) {
      shelf_ = std::move(other.shelf_);
      name_ = std::move(other.name_);
      if (!has(Flaw::loses_bytes_when_moved)) bytes_ = std::move(other.bytes_);
      views_ = std::move(other.views_);
      size_ = other.size_;
      if_absent_ = other.if_absent_;
      open_ = std::exchange(other.open_, false);
    }

    std::shared_ptr<Shelf> shelf_;
    std::string name_;
    std::string bytes_;
    std::vector<ByteView> views_;
    std::uint64_t size_ = 0;
    bool if_absent_ = true;
    bool open_ = true;
  };

  explicit FlawedBackend(Flaw flaw) : shelf_(std::make_shared<Shelf>()) { shelf_->flaw = flaw; }

  Result<Writer> create(std::string_view name, CreateOptions options) {
    if (Status status = check(name); !status.ok()) return status;
    if (has(Flaw::refuses_slashes) && name.find('/') != std::string_view::npos) {
      return Status::error(StatusCode::invalid_argument, "a slash");
    }
    return Writer(shelf_, name, options.if_absent);
  }
  std::string url() const { return "shelf://"; }

  Result<std::string> read(std::string_view name) {
    if (Status status = check(name); !status.ok()) return status;
    const auto found = shelf_->objects.find(name);
    if (found != shelf_->objects.end()) return found->second;
    if (has(Flaw::reads_missing_as_empty)) return std::string();
    return missing();
  }
  Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                 std::uint64_t length) {
    auto whole = read(name);
    if (!whole.ok()) return whole;
    const std::string& bytes = whole.value();
    if (has(Flaw::cuts_ranges_short) && offset <= bytes.size()) return bytes.substr(offset, length);
    if (offset > bytes.size() || length > bytes.size() - offset) {
      return Status::error(StatusCode::invalid_argument, "outside");
    }
    return bytes.substr(offset, length);
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) {
    std::vector<ObjectInfo> found;
    if (has(Flaw::phantom_object)) found.push_back({.name = "\x7e", .size = 0});
    for (const auto& [name, bytes] : shelf_->objects) {
      if (!name.starts_with(prefix) && !has(Flaw::lists_everything)) continue;
      const bool other = has(Flaw::lists_another_proof);
      found.push_back({.name = name,
                       .size = bytes.size(),
                       .proof = other ? "other" : shelf_->proof_of(bytes)});
    }
    if (has(Flaw::lists_backwards)) std::reverse(found.begin(), found.end());
    return found;
  }
  Result<std::vector<UnfinishedObject>> list_unfinished(std::string_view) {
    std::vector<UnfinishedObject> found;
    if (has(Flaw::keeps_unfinished)) found.push_back({.name = "abandoned.sst", .id = "1"});
    return found;
  }
  static Status end_unfinished(const UnfinishedObject&) { return {}; }
  Result<bool> exists(std::string_view name) {
    if (Status status = check(name); !status.ok()) return status;
    return shelf_->objects.contains(name);
  }
  Status remove(std::string_view name) {
    if (Status status = check(name); !status.ok()) return status;
    if (!shelf_->objects.contains(name)) return missing();
    std::erase_if(shelf_->objects, [&](const auto& object) {
      return has(Flaw::removes_by_prefix) ? object.first.starts_with(name) : object.first == name;
    });
    return {};
  }

 private:
  bool has(Flaw flaw) const { return shelf_->flaw == flaw; }
  Status check(std::string_view name) const {
    return has(Flaw::takes_any_name) ? Status() : check_object_name(name);
  }
  static Status missing() { return Status::error(StatusCode::not_found, "missing"); }

  std::shared_ptr<Shelf> shelf_;
};

bool reports(const testing::Violations& violations, std::string_view broken) {
  return std::any_of(violations.begin(), violations.end(),
                     [&](const testing::Violation& v) { return v.law == broken; });
}

}  // namespace

TEST_CASE("the kit has no complaint about a backend that keeps the contract") {
  CHECK(testing::to_string(testing::check_backend([] { return FlawedBackend(Flaw::none); })) == "");
}

TEST_CASE("the kit catches a breach of each law") {
  struct Case {
    Flaw flaw;
    const char* law;
  };
  const auto c = GENERATE(values<Case>({
      {Flaw::phantom_object, law::empty_at_first},
      {Flaw::visible_early, law::invisible},
      {Flaw::loses_last_byte, law::whole},
      {Flaw::wrong_size, law::info},
      {Flaw::commits_when_destroyed, law::destroyed},
      {Flaw::commits_when_abandoned, law::abandoned},
      {Flaw::loses_bytes_when_moved, law::moved},
      {Flaw::goes_on_after_the_end, law::ended},
      {Flaw::always_replaces, law::if_absent},
      {Flaw::never_replaces, law::replaces},
      {Flaw::takes_any_name, law::names},
      {Flaw::refuses_slashes, law::nested},
      {Flaw::drops_large_chunks, law::chunks},
      {Flaw::keeps_views, law::copies},
      {Flaw::shares_a_buffer, law::apart},
      {Flaw::lists_backwards, law::lists},
      {Flaw::lists_everything, law::lists},
      {Flaw::lists_another_proof, law::proof},
      {Flaw::proves_by_size, law::proof},
      {Flaw::keeps_unfinished, law::unfinished},
      {Flaw::cuts_ranges_short, law::ranges},
      {Flaw::reads_missing_as_empty, law::missing},
      {Flaw::removes_by_prefix, law::removes},
  }));
  const auto violations = testing::check_backend([&] { return FlawedBackend(c.flaw); });
  INFO(c.law << "\n" << testing::to_string(violations));
  CHECK(reports(violations, c.law));
}

TEST_CASE("a backend that only takes objects is held to the laws of writing") {
  struct WriteOnly {
    MemoryBackend inner;
    Result<MemoryBackend::Writer> create(std::string_view name, CreateOptions options) {
      if (name.size() > 1024) return Status::error(StatusCode::no_space, "too long for the shelf");
      return inner.create(name, options);
    }
    std::string url() const { return "write-only://"; }
  };
  const auto violations = testing::check_backend([] { return WriteOnly(); });
  REQUIRE(violations.size() == 1);
  CHECK(violations[0].law == law::names);
  CHECK(violations[0].detail.find("not invalid_argument") != std::string::npos);
}

}  // namespace backend_kit_test
