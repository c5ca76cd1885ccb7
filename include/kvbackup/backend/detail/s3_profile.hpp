// SPDX-License-Identifier: Apache-2.0
// The files ~/.aws/credentials and ~/.aws/config, as the AWS tools read them.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/environment.hpp"

namespace kvbackup::inline v1::detail {

/// The settings of one profile, by name.
using AwsProfile = std::map<std::string, std::string, std::less<>>;

[[nodiscard]] inline std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// Adds the settings of the section `wanted` to `profile`; the ones that are there stay. Gives
/// whether there is such a section. Indented lines are nested settings, which nobody here needs.
inline bool read_profile(std::string_view text, std::string_view wanted, AwsProfile& profile) {
  bool inside = false;
  bool found = false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.starts_with(' ') || line.starts_with('\t')) continue;
    line = trimmed(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      std::string_view name = trimmed(line.substr(1, line.find(']') - 1));
      if (name.starts_with("profile ")) name = trimmed(name.substr(8));
      inside = name == wanted;
      found = found || inside;
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!inside || equals == std::string_view::npos) continue;
    profile.emplace(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)));
  }
  return found;
}

/// Where the AWS tools look for a file: `variable`, or `name` below ~/.aws; nothing without a home.
[[nodiscard]] inline std::optional<std::string> aws_file(Environment& environment,
                                                         const char* variable, const char* name) {
  if (auto path = environment.variable(variable)) return path;
  const auto home = environment.variable("HOME");
  if (!home) return std::nullopt;
  return *home + "/.aws/" + name;
}

/// The profile `asked` (empty: AWS_PROFILE, else "default") of both files; empty if it is in none.
/// Errors: not_found if it was asked for by name and is in none; what reading a file gives.
[[nodiscard]] inline Result<AwsProfile> find_profile(Environment& environment, std::string asked) {
  if (asked.empty()) asked = environment.variable("AWS_PROFILE").value_or("");
  const std::string name = asked.empty() ? "default" : asked;
  AwsProfile profile;
  bool found = false;
  const std::pair<const char*, const char*> files[] = {
      {"AWS_SHARED_CREDENTIALS_FILE", "credentials"}, {"AWS_CONFIG_FILE", "config"}};
  for (const auto& [variable, file] : files) {
    const auto path = aws_file(environment, variable, file);
    if (!path) continue;
    const auto text = environment.file(*path);
    if (!text.ok()) {
      if (text.status().code() == StatusCode::not_found) continue;
      return text.status();
    }
    found = read_profile(text.value(), name, profile) || found;
  }
  if (!found && !asked.empty()) {
    return Status::error(StatusCode::not_found,
                         "the AWS files have no profile of the name asked for; check the option "
                         "profile and AWS_PROFILE")
        .with_object(asked);
  }
  return profile;
}

[[nodiscard]] inline std::string setting(const AwsProfile& profile, std::string_view name) {
  const auto at = profile.find(name);
  return at == profile.end() ? std::string() : at->second;
}

}  // namespace kvbackup::inline v1::detail
