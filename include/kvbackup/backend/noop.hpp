// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"

namespace kvbackup::inline v1 {

/// Takes every byte and keeps none, as TiKV's noop storage: to measure a backup, or to let its
/// checks run. Nothing exists in it, and whatever is read from it is empty.
class NoopBackend {
 public:
  class Writer {
   public:
    explicit Writer(std::string_view name) : info_{.name = std::string(name), .size = 0} {}

    Status append(ByteView bytes) {
      if (ended_) return ended();
      info_.size += bytes.size();
      return {};
    }
    /// The size is what was appended.
    Result<ObjectInfo> commit() {
      if (ended_) return ended();
      ended_ = true;
      return info_;
    }
    void abandon() { ended_ = true; }

   private:
    KVBACKUP_DETAIL_COLD Status ended() const {
      return Status::error(StatusCode::invalid_argument,
                           "the object was already committed or abandoned; create it anew")
          .with_object(info_.name);
    }

    ObjectInfo info_;
    bool ended_ = false;
  };

  Result<Writer> create(std::string_view name, CreateOptions = {}) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    return Writer(name);
  }
  [[nodiscard]] std::string url() const { return "noop:///"; }
  [[nodiscard]] bool keeps_objects() const noexcept { return false; }

  Result<std::string> read(std::string_view name) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    return std::string();
  }
  /// Every object is empty: a range with bytes in it is invalid_argument.
  Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                 std::uint64_t length) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    if (offset == 0 && length == 0) return std::string();
    return Status::error(StatusCode::invalid_argument,
                         "the range lies outside the object: noop storage keeps no bytes")
        .with_object(name);
  }
  Result<std::vector<ObjectInfo>> list(std::string_view) const { return std::vector<ObjectInfo>(); }
  Result<bool> exists(std::string_view name) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    return false;
  }
  Status remove(std::string_view name) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    return Status::error(StatusCode::not_found, "noop storage keeps no objects").with_object(name);
  }
};
static_assert(ReadableBackend<NoopBackend>);

}  // namespace kvbackup::inline v1
