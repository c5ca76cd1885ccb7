// SPDX-License-Identifier: Apache-2.0
// What the commands of the program share: its output rules, its exit codes, cancellation.
//
// Results go to stdout, everything else to stderr. With --json, stdout is one JSON object.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <kvbackup/kvbackup.hpp>

namespace program {

enum ExitCode : int { done = 0, could_not_finish = 1, wrong_usage = 2, damage_found = 3 };

/// Flags that every command has.
struct CommonFlags {
  bool json = false;
  bool redact = false;

  [[nodiscard]] kvbackup::KeyDisplay key_display() const {
    return redact ? kvbackup::KeyDisplay::redacted : kvbackup::KeyDisplay::shown;
  }
};

/// Set by SIGINT and SIGTERM once install_signal_handlers() was called.
[[nodiscard]] kvbackup::CancelToken& cancel_token();
void install_signal_handlers();

/// A flag's value that can never work: exit code 2.
[[nodiscard]] kvbackup::Status usage_error(std::string message);
/// `count` MiB in bytes; `flag` stands in the error.
[[nodiscard]] kvbackup::Result<std::uint64_t> mib(std::uint64_t count, const char* flag);
/// The PEM file that `flag` names.
[[nodiscard]] kvbackup::Result<std::string> pem_file(const char* flag, const std::string& path);
/// The key that `text`, the value of `flag`, spells in `format`.
[[nodiscard]] kvbackup::Result<std::string> key_of(const char* flag, std::string_view text,
                                                   kvbackup::KeyFormat format);

/// Reports a failure on stderr (and as {"error": ...} on stdout with --json) and gives the exit
/// code: 2 for invalid_argument, else 1.
int report_failure(std::string_view command, const kvbackup::Status& status,
                   const CommonFlags& flags);
/// The same for what reads a backup: 3 where that is damaged.
int report_read_failure(std::string_view command, const kvbackup::Status& status,
                        const CommonFlags& flags);
/// The {"error": ...} object alone.
void print_json_error(std::string_view command, const kvbackup::Status& status,
                      const CommonFlags& flags);

/// `text` as a terminal may show it: control characters, and what is not UTF-8, as escapes.
[[nodiscard]] std::string printable(std::string_view text);

/// `text` as a JSON string, in its quotes.
[[nodiscard]] std::string json_string(std::string_view text);

/// One JSON object, built member by member in the order of the calls.
class JsonObject {
 public:
  JsonObject& add(std::string_view name, std::string_view text);
  JsonObject& add(std::string_view name, const char* text) {
    return add(name, std::string_view(text));
  }
  JsonObject& add(std::string_view name, std::uint64_t number);
  JsonObject& add(std::string_view name, double number);
  JsonObject& add(std::string_view name, bool value) {
    return add_json(name, value ? "true" : "false");
  }
  /// `json` is JSON already.
  JsonObject& add_json(std::string_view name, std::string_view json);
  [[nodiscard]] std::string text() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

/// "1.50 GiB", "12 B".
[[nodiscard]] std::string human_bytes(double bytes);
/// "137ms", "2.39s", "1m05s".
[[nodiscard]] std::string human_duration(double seconds);
/// "2021-04-14 08:00:00 UTC".
[[nodiscard]] std::string utc(std::uint64_t unix_ms);

/// A command adds its subcommand to the app and sets `run` when it was chosen.
using Run = std::function<int()>;
void add_backup_command(CLI::App& app, Run& run);
void add_inspect_command(CLI::App& app, Run& run);
void add_generate_command(CLI::App& app, Run& run);
void add_convert_command(CLI::App& app, Run& run);
void add_verify_command(CLI::App& app, Run& run);
void add_get_command(CLI::App& app, Run& run);
void add_scan_command(CLI::App& app, Run& run);
void add_list_command(CLI::App& app, Run& run);
void add_restore_command(CLI::App& app, Run& run);
void add_check_command(CLI::App& app, Run& run);
void add_clean_command(CLI::App& app, Run& run);
void add_delete_command(CLI::App& app, Run& run);
void add_request_command(CLI::App& app, Run& run);
void add_serve_command(CLI::App& app, Run& run);

/// Adds --json and --redact.
void add_common_flags(CLI::App& command, CommonFlags& flags);

}  // namespace program
