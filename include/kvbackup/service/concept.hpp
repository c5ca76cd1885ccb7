// SPDX-License-Identifier: Apache-2.0
// The BackupNode contract: whatever answers a BackupRequest with a stream of BackupResponses, be it
// the service in this process or a client of one elsewhere.
//
// clang-format off
// | expression                         | result      | meaning
// |------------------------------------|-------------|--------------------------------------------
// | n.backup(request, respond, cancel) | Status      | calls respond(BackupResponse&&) once for
// |                                    |             | every answer, in any order, never from two
// |                                    |             | threads at a time; ends when all of the
// |                                    |             | request is answered or can't be
// | n.address()                        | string_view | names the node in messages, without secrets
// clang-format on
//
// Laws no compiler checks: what goes wrong with one range is a response with an error, and the
// others go on; a status that is not ok says that the stream broke, and that what was not answered
// until then is unknown. Where `respond` fails, or `cancel` (which may be null) is set, the call
// ends soon and gives that failure, or StatusCode::cancelled. A range that gets no answer is a
// hole, and it is the caller's to find it.
#pragma once

#include <concepts>
#include <string_view>

#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/proto/backup_service.hpp"

namespace kvbackup::inline v1 {

/// Takes one answer of a BackupNode. A status that is not ok ends the request.
using RespondRef = FunctionRef<Status(BackupResponse&& response)>;

template <class N>
concept BackupNode = requires(N& node, const N& constant, const BackupRequest& request,
                              RespondRef respond, const CancelToken* cancel) {
  { node.backup(request, respond, cancel) } -> std::same_as<Status>;
  { constant.address() } -> std::convertible_to<std::string_view>;
};

}  // namespace kvbackup::inline v1
