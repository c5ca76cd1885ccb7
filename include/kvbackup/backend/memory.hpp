// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"

namespace kvbackup::inline v1 {

/// Keeps objects in memory: for tests, and for hosts that pass a backup on themselves. Copies share
/// the objects, so a host keeps one and gives another to the pipeline.
class MemoryBackend {
  struct Store {
    Mutex mutex;
    std::map<std::string, std::string, std::less<>> objects;  // under mutex
  };

 public:
  class Writer {
   public:
    Writer(std::shared_ptr<Store> store, std::string_view name, const CreateOptions& options)
        : store_(std::move(store)), name_(name), if_absent_(options.if_absent) {}

    Status append(ByteView bytes) {
      if (store_ == nullptr) return ended();
      bytes_ += bytes;
      return {};
    }
    Result<ObjectInfo> commit() {
      if (store_ == nullptr) return ended();
      const std::shared_ptr<Store> store = std::move(store_);
      ObjectInfo info{.name = name_, .size = bytes_.size()};
      const MutexLock lock(store->mutex);
      if (if_absent_ && store->objects.contains(name_)) return taken();
      store->objects.insert_or_assign(name_, std::move(bytes_));
      return info;
    }
    void abandon() {
      store_ = nullptr;
      bytes_ = std::string();
    }

   private:
    KVBACKUP_DETAIL_COLD Status ended() const {
      return Status::error(StatusCode::invalid_argument,
                           "the object was already committed or abandoned; create it anew")
          .with_object(name_);
    }
    KVBACKUP_DETAIL_COLD Status taken() {
      abandon();
      return Status::error(StatusCode::already_exists,
                           "an object of this name is there and is not replaced; choose an empty "
                           "destination or another name")
          .with_object(name_);
    }

    std::shared_ptr<Store> store_;  // null once the object was ended
    std::string name_;
    std::string bytes_;
    bool if_absent_;
  };

  MemoryBackend() : store_(std::make_shared<Store>()) {}

  Result<Writer> create(std::string_view name, CreateOptions options = {}) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    return Writer(store_, name, options);
  }
  [[nodiscard]] std::string url() const { return "memory:///"; }

  Result<std::string> read(std::string_view name) const {
    return with_object(name, [](const std::string& bytes) -> Result<std::string> { return bytes; });
  }
  Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                 std::uint64_t length) const {
    return with_object(name, [&](const std::string& bytes) -> Result<std::string> {
      if (offset > bytes.size() || length > bytes.size() - offset) {
        return Status::error(StatusCode::invalid_argument,
                             "the range asked for ends behind the end of the object")
            .with_object(name);
      }
      return bytes.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
    });
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) const {
    const MutexLock lock(store_->mutex);
    std::vector<ObjectInfo> found;
    const auto& objects = store_->objects;
    for (auto at = objects.lower_bound(prefix);
         at != objects.end() && at->first.starts_with(prefix); ++at) {
      found.push_back({.name = at->first, .size = at->second.size()});
    }
    return found;
  }
  Result<bool> exists(std::string_view name) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    const MutexLock lock(store_->mutex);
    return store_->objects.contains(name);
  }
  Status remove(std::string_view name) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    const MutexLock lock(store_->mutex);
    const auto at = store_->objects.find(name);
    if (at == store_->objects.end()) return missing(name);
    store_->objects.erase(at);
    return {};
  }

 private:
  template <class Use>
  Result<std::string> with_object(std::string_view name, Use use) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    const MutexLock lock(store_->mutex);
    const auto at = store_->objects.find(name);
    if (at == store_->objects.end()) return missing(name);
    return use(at->second);
  }
  KVBACKUP_DETAIL_COLD static Status missing(std::string_view name) {
    return Status::error(StatusCode::not_found, "there is no object of this name")
        .with_object(name);
  }

  std::shared_ptr<Store> store_;
};
static_assert(ReadableBackend<MemoryBackend>);

}  // namespace kvbackup::inline v1
