// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/backup_service.hpp"
#include "kvbackup/service/concept.hpp"

namespace kvbackup::inline v1 {

/// A borrowed BackupNode of any type, so that what asks nodes is compiled once for all of them.
/// Lives no longer than the node it was made from.
class NodeRef {
 public:
  template <BackupNode N>
  requires(!std::same_as<std::remove_cv_t<N>, NodeRef>)
      // NOLINTNEXTLINE(google-explicit-constructor): any node is one
      NodeRef(N& node)
  noexcept
      : node_(&node),
        backup_([](void* object, const BackupRequest& request, RespondRef respond,
                   const CancelToken* cancel) -> Status {
          return static_cast<N*>(object)->backup(request, respond, cancel);
        }),
        address_([](const void* object) -> std::string_view {
          return static_cast<const N*>(object)->address();
        }) {}

  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken* cancel) const {
    return backup_(node_, request, respond, cancel);
  }
  [[nodiscard]] std::string_view address() const { return address_(node_); }

 private:
  void* node_;
  Status (*backup_)(void*, const BackupRequest&, RespondRef, const CancelToken*);
  std::string_view (*address_)(const void*);
};
static_assert(BackupNode<NodeRef>);

}  // namespace kvbackup::inline v1
