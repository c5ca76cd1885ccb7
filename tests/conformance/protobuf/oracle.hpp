// SPDX-License-Identifier: Apache-2.0
// Our messages and libprotobuf's, side by side. The classes that protoc made are found by name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/message.h>
#include <kvbackup/kvbackup.hpp>

namespace oracle {

using Theirs = google::protobuf::Message;

/// What the tests do with a message without knowing its type.
struct Type {
  const kvbackup::MessageInfo& info;
  const Theirs& prototype;
  /// Null where decode refuses the bytes; then `error` says why.
  std::shared_ptr<void> (*decode)(std::string_view bytes, std::string* error);
  std::string (*encode)(const void* ours);
  std::string (*to_json)(const void* ours);
  std::shared_ptr<void> (*from_json)(std::string_view json, std::string* error);
  bool (*equal)(const void* a, const void* b);
};

/// Every message of the schema, then those of kinds.proto.
const std::vector<Type>& types();

/// libprotobuf's instance of a name; fails the test if there is none.
const Theirs& prototype_of(std::string_view name);

/// Their answer to `bytes`; null where they refuse them.
std::unique_ptr<Theirs> parse(const Theirs& prototype, std::string_view bytes);

/// Their bytes, maps in order.
std::string serialise(const Theirs& message);

/// Where the values of the two differ, as a path, or nothing. Unknown fields are not looked at.
std::optional<std::string> difference(const kvbackup::MessageInfo& info, void* ours,
                                      const Theirs& theirs);

/// Keeps libprotobuf from writing to stderr what it thinks of damaged bytes.
void silence();

}  // namespace oracle
