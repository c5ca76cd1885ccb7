// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/proto/message.hpp"

namespace kvbackup::inline v1::detail {

/// What is wrong with a message, and where: "files[3].name". The setters give false, so that a
/// failure is one return statement.
struct FieldError {
  std::string_view why;  ///< lives as long as the program
  std::string path;

  KVBACKUP_DETAIL_COLD bool set(std::string_view reason) {
    why = reason;
    return false;
  }
  /// These add the path from the inside out.
  KVBACKUP_DETAIL_COLD bool inside(std::string_view name) {
    if (!path.empty()) path.insert(0, 1, '.');
    path.insert(0, name);
    return false;
  }
  KVBACKUP_DETAIL_COLD bool inside(const FieldInfo& info, std::size_t index) {
    std::string name(info.name);
    if (info.shape == FieldShape::repeated) {
      name += '[';
      name += std::to_string(index);
      name += ']';
    }
    return inside(name);
  }
  /// "cannot decode backup.BackupMeta: files[3].name: the string is not UTF-8; advice"
  KVBACKUP_DETAIL_COLD Status status(StatusCode code, std::string_view doing,
                                     std::string_view advice) const {
    std::string text(doing);
    text += ": ";
    if (!path.empty()) {
      text += path;
      text += ": ";
    }
    text += why;
    text += "; ";
    text += advice;
    return Status::error(code, std::move(text));
  }
};

/// What JSON calls the bytes of unknown fields.
inline constexpr std::string_view unknown_fields_name = "unknown_fields";

inline constexpr std::string_view not_utf8 = "the string is not UTF-8";
inline constexpr std::string_view nested_too_deeply = "messages nest too deeply";

}  // namespace kvbackup::inline v1::detail
