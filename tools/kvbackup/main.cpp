// SPDX-License-Identifier: Apache-2.0
// kvbackup: backs up sorted key-value stores in the format of TiKV's BR.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>

#include "program.hpp"
#include "telemetry.hpp"
#include "usage.hpp"

namespace program {

kvbackup::CancelToken& cancel_token() {
  static kvbackup::CancelToken token;
  return token;
}

namespace {
extern "C" void on_signal(int /*number*/) { cancel_token().cancel(); }
}  // namespace

void install_signal_handlers() {
  (void)cancel_token();  // made before a handler needs it
  struct sigaction action {};
  action.sa_handler = on_signal;
  // without SA_RESTART a signal ends a read that waits; a second signal ends the program at once
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // a reader of our output that goes away is a failed write, not a death
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace program

namespace {

// A closed standard descriptor would be given to the next file that is opened, and what is printed
// would go into a backup.
bool open_standard_descriptors() {
  int descriptor = 0;
  do {
    descriptor = ::open("/dev/null", O_RDWR);
  } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
  if (descriptor < 0) return false;
  ::close(descriptor);
  return true;
}

bool asks_for_json(int argc, const char* const* argv) {
  return std::any_of(argv, argv + argc,
                     [](const char* argument) { return std::string_view(argument) == "--json"; });
}

int report_wrong_usage(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  // a request for help, and what CLI11 says of its own
  const bool asked = error.get_exit_code() == 0;
  const auto explained = asked ? std::nullopt : program::explain_wrong_usage(app, argc, argv);
  if (asked) return app.exit(error), program::done;
  std::string message = explained ? *explained : error.what();
  if (message == "A subcommand is required") message = "name a command";
  const auto chosen = app.get_subcommands();
  const std::string command = chosen.empty() ? "" : " " + chosen.front()->get_name();
  std::fprintf(stderr, "kvbackup%s: %s\nkvbackup%s --help says more\n", command.c_str(),
               program::printable(message).c_str(), command.c_str());
  if (asks_for_json(argc, argv)) {
    program::print_json_error("kvbackup", program::usage_error(message), {});
  }
  return program::wrong_usage;
}

/// Runs the command and tells telemetry() what came of it. Gives the exit code.
int run_watched(const CLI::App& command, const program::Run& run, bool json) {
  if (kvbackup::Status status = program::telemetry().begin(command.get_name()); !status.ok()) {
    return program::report_failure(command.get_name(), status, {.json = json});
  }
  int code = run();
  // A full disk behind stdout shows here, or, where a long text was written past the buffer, has
  // shown before.
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!written && code == program::done) {
    std::fputs("kvbackup: cannot write to standard output\n", stderr);
    code = program::could_not_finish;
  }
  program::telemetry().end(code);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  if (!open_standard_descriptors()) return program::could_not_finish;
  CLI::App app{"Backs up sorted key-value stores in the format of TiKV's BR", "kvbackup"};
  app.set_version_flag("--version", "kvbackup " KVBACKUP_VERSION_STRING);
  app.require_subcommand(1);
  app.formatter(std::make_shared<program::HelpFormatter>());
  app.footer(
      "Exit codes: 0 done, 1 could not finish, 2 wrong usage, 3 damage found.\n"
      "Sources, sinks: rocksdb:PATH[?cf=NAME], lmdb:PATH[?db=NAME], leveldb:PATH,\n"
      "tsv:- or tsv:PATH[?format=hex|raw|escaped]; a source only: sst:PATH.\n"
      "Storage: a path, local:///path, s3://bucket/path, gcs://bucket/path, noop://");
  program::Run run;
  program::add_backup_command(app, run);
  program::add_inspect_command(app, run);
  program::add_generate_command(app, run);
  program::add_convert_command(app, run);
  program::add_verify_command(app, run);
  program::add_get_command(app, run);
  program::add_scan_command(app, run);
  program::add_list_command(app, run);
  program::add_restore_command(app, run);
  program::add_check_command(app, run);
  program::add_clean_command(app, run);
  program::add_delete_command(app, run);
  program::add_request_command(app, run);
  program::add_serve_command(app, run);
  for (CLI::App* command : app.get_subcommands({})) {
    command->set_help_all_flag("--help-all", "Print all flags and exit")->group("");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_wrong_usage(app, error, argc, argv);
  }
  program::install_signal_handlers();
  return run_watched(*app.get_subcommands().front(), run, asks_for_json(argc, argv));
}
