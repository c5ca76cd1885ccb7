// SPDX-License-Identifier: Apache-2.0
// kvbackup: backs up sorted key-value stores in the format of TiKV's BR.
#include <csignal>
#include <cstdio>

#include "program.hpp"

namespace program {

kvbackup::CancelToken& cancel_token() {
  static kvbackup::CancelToken token;
  return token;
}

namespace {
extern "C" void on_signal(int number) {
  // a second signal ends the program at once
  std::signal(number, SIG_DFL);
  cancel_token().cancel();
}
}  // namespace

void install_signal_handlers() {
  (void)cancel_token();  // made before a handler needs it
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  // a reader of our output that goes away is a failed write, not a death
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace program

int main(int argc, char** argv) {
  CLI::App app{"Backs up sorted key-value stores in the format of TiKV's BR", "kvbackup"};
  app.set_version_flag("--version", "kvbackup " KVBACKUP_VERSION_STRING);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 could not finish, 2 wrong usage.\n"
      "Sources and sinks: lmdb:PATH[?db=NAME], tsv:PATH[?format=hex|raw|escaped], tsv:- .\n"
      "Storage: a path, local:///path, noop:// .");
  program::Run run;
  program::add_backup_command(app, run);
  program::add_inspect_command(app, run);
  program::add_generate_command(app, run);
  program::add_convert_command(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? program::done : program::wrong_usage;
  }
  program::install_signal_handlers();
  const int code = run();
  // a full disk behind stdout shows only here
  if (std::fflush(stdout) != 0 && code == program::done) {
    std::fputs("kvbackup: cannot write to standard output\n", stderr);
    return program::could_not_finish;
  }
  return code;
}
