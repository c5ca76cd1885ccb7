// SPDX-License-Identifier: Apache-2.0
#include "usage.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace program {

namespace {

constexpr std::size_t screen_width = 80;
constexpr std::size_t names_width = 25;

/// `text` in lines that begin at column `indent`; `out` ends in a line of `column` columns.
void append_wrapped(std::string& out, std::string_view text, std::size_t column,
                    std::size_t indent) {
  if (column + 1 > indent) {
    out += '\n';
    column = 0;
  }
  out.append(indent - column, ' ');
  column = indent;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (column > indent && column + 1 + word.size() > screen_width) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  out += '\n';
}

std::string names_of(const CLI::Option& option) {
  std::string out;
  for (const std::string& name : option.get_snames()) out += (out.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) out += (out.empty() ? "--" : ", --") + name;
  return out.empty() ? option.get_name(true) : out;
}

/// What it takes: "TEXT"; nothing for a flag. CLI11 puts the text of checks behind it.
std::string_view type_of(const std::string& type_name) {
  const std::string_view type = std::string_view(type_name).substr(0, type_name.find(':'));
  return type == "UINT" || type == "INT" ? "N" : type;
}

/// "1 to 256", of a type "INT:INT in [1 - 256]".
std::string limits_of(const std::string& type_name) {
  const std::size_t open = type_name.find(" in [");
  const std::size_t dash = type_name.find(" - ", open == std::string::npos ? 0 : open);
  const std::size_t close = type_name.find(']', dash == std::string::npos ? 0 : dash);
  if (open == std::string::npos || dash == std::string::npos || close == std::string::npos) {
    return {};
  }
  return type_name.substr(open + 5, dash - open - 5) + " to " +
         type_name.substr(dash + 3, close - dash - 3);
}

void append_option(std::string& out, const CLI::Option& option) {
  const std::string type_name = option.get_type_name();
  const std::string_view type = option.get_items_expected_max() == 0 ? "" : type_of(type_name);
  std::string names = "  " + names_of(option);
  if (!type.empty()) names.append(" ").append(type);
  std::string text = option.get_description();
  std::string notes = limits_of(type_name);
  if (option.get_required()) notes = "required";
  if (!option.get_default_str().empty()) {
    notes += (notes.empty() ? "default " : "; default ") + option.get_default_str();
  }
  if (!notes.empty()) text += " (" + notes + ")";
  out += names;
  append_wrapped(out, text, names.size(), names_width);
}

using Options = std::vector<const CLI::Option*>;

Options options_of(const CLI::App& app, const std::string& group) {
  return app.get_options(
      [&group](const CLI::Option* option) { return option->get_group() == group; });
}

/// "kvbackup backup --source TEXT -s TEXT [FLAGS]".
std::string usage_of(const CLI::App& command) {
  std::string line = "kvbackup " + command.get_name();
  const Options options = command.get_options({});
  for (const CLI::Option* option : options) {
    if (!option->get_required()) continue;
    const std::string name =
        option->get_positional() ? "" : names_of(*option).substr(0, names_of(*option).find(','));
    line += " " + name + (name.empty() ? "" : " ");
    line += option->get_positional() ? option->get_name(true)
                                     : std::string(type_of(option->get_type_name()));
  }
  return line + " [FLAGS]";
}

std::string command_help(const CLI::App& command, CLI::AppFormatMode mode) {
  std::string out = command.get_description() + "\n\nUsage: " + usage_of(command) + "\n\n";
  Options options = options_of(command, "Options");
  std::erase_if(options, [](const CLI::Option* option) { return option->check_lname("help"); });
  std::stable_partition(options.begin(), options.end(),
                        [](const CLI::Option* option) { return option->get_required(); });
  for (const CLI::Option* option : options) append_option(out, *option);
  std::string hidden;
  for (const auto& [group, short_form] : {std::pair(watch_group, "--log-*, --metrics-*"),
                                          std::pair(bucket_group, "--s3.*, --gcs.*")}) {
    const Options others = options_of(command, group);
    if (others.empty()) continue;
    if (mode == CLI::AppFormatMode::All) {
      out.append("\n").append(group).append(":\n");
      for (const CLI::Option* option : others) append_option(out, *option);
    } else {
      hidden.append(hidden.empty() ? "" : ", ").append(short_form);
    }
  }
  if (hidden.empty()) return out;
  return out + "\n--help-all has these too: " + hidden + "\n";
}

std::string program_help(const CLI::App& app) {
  std::string out =
      app.get_description() + "\n\nUsage: kvbackup COMMAND [FLAGS]; kvbackup COMMAND --help\n\n";
  for (const CLI::App* command : app.get_subcommands({})) {
    const std::string name = "  " + command->get_name();
    out += name;
    append_wrapped(out, command->get_description(), name.size(), 12);
  }
  return out + "\n" + app.get_footer() + "\n";
}

/// Edits (a letter more, less, another, or two that changed places) from one to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::size_t& here = cost[i][j];
      if (i == 0 || j == 0) {
        here = i + j;
        continue;
      }
      const std::size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
      here = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + other});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        here = std::min(here, cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

/// The candidate that `given` is probably meant to be; empty if it is like none.
std::string nearest(std::string_view given, const std::vector<std::string>& candidates) {
  constexpr std::size_t longest = 64;
  if (given.size() > longest) return {};
  std::string best;
  std::size_t fewest = std::max<std::size_t>(given.size() / 3, 2) + 1;
  for (const std::string& candidate : candidates) {
    const bool begins = given.size() > 4 && candidate.starts_with(given);
    const std::size_t edits = begins ? 1 : distance(given, candidate);
    if (edits >= fewest) continue;
    fewest = edits;
    best = candidate;
  }
  return best;
}

/// What other programs call it, or where another command has it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> synonyms{{
    {"--url", "--storage"},
    {"--output", "--storage"},
    {"--out", "--storage"},
    {"--destination", "--storage"},
    {"--dest", "--storage"},
    {"--sink", "--storage"},
    {"--source", "--storage"},
    {"--input", "--source"},
    {"--from", "--source"},
    {"--target", "--sink"},
    {"--to", "--sink"},
    {"--threads", "--concurrency"},
    {"--jobs", "--concurrency"},
    {"--ts", "--backupts"},
    {"--db", "--cf"},
    {"--force", "--replace"},
    {"--overwrite", "--replace"},
    {"--pd", "--node"},
}};

std::string meant_flag(const CLI::App& command, std::string_view flag) {
  for (const auto& [other, ours] : synonyms) {
    if (other == flag && command.get_option_no_throw(std::string(ours)) != nullptr) {
      return std::string(ours);
    }
  }
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options({})) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return nearest(flag, flags);
}

/// The flag that `argument` begins with; empty for a value.
std::string_view flag_of(std::string_view argument) {
  if (argument.starts_with("--")) return argument.substr(0, argument.find('='));
  const bool is_short = argument.size() > 1 && argument[0] == '-' &&
                        std::isalpha(static_cast<unsigned char>(argument[1])) != 0;
  return is_short ? argument.substr(0, 2) : std::string_view();
}

std::string with_hint(std::string message, const std::string& meant) {
  return meant.empty() ? message : message + "; did you mean " + meant + "?";
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string /*name*/,
                                     CLI::AppFormatMode mode) const {
  return app->get_parent() == nullptr ? program_help(*app) : command_help(*app, mode);
}

std::optional<std::string> explain_wrong_usage(const CLI::App& app, int argc,
                                               const char* const* argv) {
  int at = 1;
  while (at < argc && argv[at][0] == '-') ++at;
  if (at >= argc) return std::nullopt;
  const CLI::App* command = nullptr;
  std::vector<std::string> commands;
  for (const CLI::App* each : app.get_subcommands({})) {
    commands.push_back(each->get_name());
    if (each->get_name() == argv[at]) command = each;
  }
  if (command == nullptr) {
    return with_hint("there is no command " + std::string(argv[at]), nearest(argv[at], commands));
  }
  for (++at; at < argc; ++at) {
    const std::string_view flag = flag_of(argv[at]);
    if (flag == "--") break;
    if (flag.empty() || command->get_option_no_throw(std::string(flag)) != nullptr) continue;
    return with_hint(command->get_name() + " has no flag " + std::string(flag),
                     meant_flag(*command, flag));
  }
  return std::nullopt;
}

}  // namespace program
