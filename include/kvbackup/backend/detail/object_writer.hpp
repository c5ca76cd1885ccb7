// SPDX-License-Identifier: Apache-2.0
// The Writer that the backends have in common.
#pragma once

#include <memory>
#include <utility>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1::detail {

/// The Writer over an object on its way, which has append(), commit() and discard() and discards
/// itself when it is destroyed.
template <class Object>
class ObjectWriter {
 public:
  explicit ObjectWriter(std::unique_ptr<Object> object) noexcept : object_(std::move(object)) {}

  Status append(ByteView bytes) { return object_ ? object_->append(bytes) : moved_from(); }
  Result<ObjectInfo> commit() {
    if (object_ == nullptr) return moved_from();
    return object_->commit();
  }
  void abandon() {
    if (object_ != nullptr) object_->discard();
  }

 private:
  KVBACKUP_DETAIL_COLD static Status moved_from() {
    return Status::error(StatusCode::invalid_argument, "this writer was moved from");
  }
  std::unique_ptr<Object> object_;
};

}  // namespace kvbackup::inline v1::detail
