// SPDX-License-Identifier: Apache-2.0
// A backend of one's own, proven with the library's conformance kit before a backup trusts it.
//
// It keeps objects in a std::map. Only create() and url() are needed to receive a backup; the
// readable functions let the pipeline refuse a destination that is in use and prove what was
// stored.
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_backend.hpp>

using namespace kvbackup;

class ShelfBackend {
 public:
  using Shelf = std::map<std::string, std::string, std::less<>>;

  class Writer {
   public:
    Writer(std::shared_ptr<Shelf> shelf, std::string name, bool if_absent)
        : shelf_(std::move(shelf)), name_(std::move(name)), if_absent_(if_absent) {}

    Status append(ByteView bytes) {
      if (!open_) return ended();
      bytes_ += bytes;
      return {};
    }
    Result<ObjectInfo> commit() {
      if (!open_) return ended();
      open_ = false;
      if (if_absent_ && shelf_->contains(name_)) {
        return Status::error(StatusCode::already_exists, "the shelf holds an object of this name")
            .with_object(name_);
      }
      ObjectInfo info{.name = name_, .size = bytes_.size()};
      (*shelf_)[name_] = std::move(bytes_);
      return info;
    }
    void abandon() { open_ = false; }

   private:
    Status ended() const {
      return Status::error(StatusCode::invalid_argument, "the object was ended").with_object(name_);
    }
    std::shared_ptr<Shelf> shelf_;
    std::string name_;
    std::string bytes_;
    bool if_absent_;
    bool open_ = true;
  };

  Result<Writer> create(std::string_view name, CreateOptions options) {
    if (Status status = check_object_name(name); !status.ok()) return status;
    return Writer(shelf_, std::string(name), options.if_absent);
  }
  std::string url() const { return "shelf://"; }

  Result<std::string> read(std::string_view name) {
    if (Status status = check_object_name(name); !status.ok()) return status;
    const auto found = shelf_->find(name);
    if (found == shelf_->end()) return missing(name);
    return found->second;
  }
  Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                 std::uint64_t length) {
    auto whole = read(name);
    if (!whole.ok()) return whole;
    if (offset > whole.value().size() || length > whole.value().size() - offset) {
      return Status::error(StatusCode::invalid_argument, "the range ends behind the object")
          .with_object(name);
    }
    return whole.value().substr(offset, length);
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) {
    std::vector<ObjectInfo> objects;
    for (const auto& [name, bytes] : *shelf_) {
      if (name.starts_with(prefix)) objects.push_back({.name = name, .size = bytes.size()});
    }
    return objects;
  }
  Result<bool> exists(std::string_view name) {
    if (Status status = check_object_name(name); !status.ok()) return status;
    return shelf_->contains(name);
  }
  Status remove(std::string_view name) {
    if (Status status = check_object_name(name); !status.ok()) return status;
    const auto found = shelf_->find(name);
    if (found == shelf_->end()) return missing(name);
    shelf_->erase(found);
    return {};
  }

 private:
  static Status missing(std::string_view name) {
    return Status::error(StatusCode::not_found, "the shelf has no such object").with_object(name);
  }
  std::shared_ptr<Shelf> shelf_ = std::make_shared<Shelf>();
};
static_assert(ReadableBackend<ShelfBackend>);

int main() {
  const auto violations = testing::check_backend([] { return ShelfBackend(); });
  for (const testing::Violation& violation : violations) {
    std::fprintf(stderr, "broken law: %s (%s)\n", violation.law.c_str(), violation.detail.c_str());
  }
  if (!violations.empty()) return 1;

  std::map<std::string, std::string> store{{"apple", "red"}, {"banana", "yellow"}};
  auto pipeline = BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, ShelfBackend());
  if (const auto meta = pipeline.run(); !meta.ok()) {
    std::fprintf(stderr, "%s\n", meta.status().to_string().c_str());
    return 1;
  }
  for (const ObjectInfo& object : pipeline.backend().list("").value()) {
    std::printf("%s: %llu bytes\n", object.name.c_str(),
                static_cast<unsigned long long>(object.size));
  }
}
