// SPDX-License-Identifier: Apache-2.0
// Messages as JSON, for people and tools. Built with KVBACKUP_WITH_RAPIDJSON.
//
// The form is that of `br debug decode`: names as in the schema, bytes as lower-case hex, integers
// of any size as JSON numbers (a tool that keeps numbers as doubles rounds those over 2^53),
// proto3's defaults left out. Enums are names. A message with unknown fields has "unknown_fields":
// their wire format in hex, so nothing is lost.
//
// A reader also takes integers as decimal strings, enums as numbers, hex of either case, and null
// for a field that is not there. An unknown or repeated name is an error.
#pragma once

#include <string>
#include <string_view>

#include "kvbackup/base/result.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/proto/detail/field_error.hpp"
#include "kvbackup/proto/detail/json_printer.hpp"
#include "kvbackup/proto/detail/json_scanner.hpp"
#include "kvbackup/proto/message.hpp"

#if KVBACKUP_WITH_RAPIDJSON
#include <rapidjson/error/en.h>

namespace kvbackup::inline v1 {

namespace detail {

[[nodiscard]] inline Result<std::string> print_json(const MessageInfo& info, const void* message) {
  JsonPrinter printer;
  if (printer.print(info, message)) return printer.take();
  std::string doing = "cannot print as JSON a ";
  doing += info.name;
  return printer.error().status(StatusCode::invalid_argument, doing,
                                "JSON holds UTF-8 text only, shorter than 512 MiB");
}

[[nodiscard]] inline Status scan_json(const MessageInfo& info, void* message,
                                      std::string_view json) {
  std::string doing = "cannot read from JSON a ";
  doing += info.name;
  FieldError error;
  rapidjson::Document document;
  // Iterative: the depth of the text is not the depth of the stack.
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      json.data(), json.size());
  if (document.HasParseError()) {
    std::string_view why = rapidjson::GetParseError_En(document.GetParseError());
    if (why.ends_with('.')) why.remove_suffix(1);
    error.set(why);
    error.inside("at byte " + std::to_string(document.GetErrorOffset()));
    return error.status(StatusCode::invalid_argument, doing, "give a JSON object");
  }
  JsonScanner scanner;
  if (scanner.scan(info, message, document, wire_depth_limit + 1)) return {};
  return scanner.error().status(StatusCode::invalid_argument, doing,
                                "use the names and types of the schema");
}

}  // namespace detail

/// The message as one JSON object without line ends. Errors: invalid_argument, naming the field,
/// for a `string` that is not UTF-8, which no decoded message has.
template <Message M>
[[nodiscard]] Result<std::string> to_json(const M& message) {
  return detail::print_json(message_info<M>(), &message);
}

/// The message that `json` spells. Errors: invalid_argument, naming the field; also for a field
/// that the message does not have and for messages that nest deeper than wire_depth_limit.
template <Message M>
[[nodiscard]] Result<M> from_json(std::string_view json) {
  M message;
  Status status = detail::scan_json(message_info<M>(), &message, json);
  if (!status.ok()) return status;
  return message;
}

}  // namespace kvbackup::inline v1

#endif  // KVBACKUP_WITH_RAPIDJSON
