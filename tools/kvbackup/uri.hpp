// SPDX-License-Identifier: Apache-2.0
// Source and sink URIs: scheme:PATH?name=value&name=value. A '%' in PATH or a value begins a
// percent code, so a path with '?' or '%' in it can be written.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <kvbackup/kvbackup.hpp>

namespace program {

struct StoreUri {
  std::string scheme;
  std::string path;
  std::map<std::string, std::string> parameters;

  [[nodiscard]] std::optional<std::string> parameter(const std::string& name) const {
    const auto found = parameters.find(name);
    if (found == parameters.end()) return std::nullopt;
    return found->second;
  }
};

/// Splits `text`. Errors (invalid_argument, naming the URI): no scheme or path, a bad percent code,
/// a scheme that is not built in, a parameter its scheme does not have.
[[nodiscard]] kvbackup::Result<StoreUri> parse_store_uri(std::string_view text);

}  // namespace program
