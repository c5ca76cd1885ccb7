// SPDX-License-Identifier: Apache-2.0
// Help that fits a screen, and answers to wrong usage that name the right flag.
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

namespace program {

/// Groups of flags that --help leaves to --help-all.
inline constexpr const char* bucket_group = "Object storage (an option of the URL counts more)";
inline constexpr const char* watch_group = "Logs and metrics";

/// Lines of up to 80 columns: flags, what they take, their defaults.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
};

/// Of a command line that names a command or a flag that there is not: what is wrong, and what was
/// probably meant. Nothing for what is wrong in another way.
[[nodiscard]] std::optional<std::string> explain_wrong_usage(const CLI::App& app, int argc,
                                                             const char* const* argv);

}  // namespace program
