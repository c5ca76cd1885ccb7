// SPDX-License-Identifier: Apache-2.0
// What `kvbackup restore` does once its flags are known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "chain.hpp"
#include "program.hpp"
#include "uri.hpp"

namespace program {

struct RestoreFlags {
  CommonFlags common;
  ChainFlags chain;
  std::string layout = "flat";
  std::string sink;
  std::string start;
  std::string end;
  std::string format = "hex";
  std::string cf;
  std::optional<std::string> rewrite_prefix;
  bool replace = false;
  bool merge = false;
  bool dry_run = false;
  bool no_read_back = false;
  std::uint64_t rate_limit_mib = 0;
  std::uint64_t concurrency = 4;
};

/// Restores to the store that `sink` names and prints what was done. Gives the exit code.
int restore_to(const kvbackup::Backup<>& backup, const StoreUri& sink,
               kvbackup::RestoreOptions options, const RestoreFlags& flags);
int restore_to(const kvbackup::TxnBackup<>& backup, const StoreUri& sink,
               kvbackup::RestoreOptions options, const RestoreFlags& flags);
/// Prints what restore_to() would do.
int show_restore(const kvbackup::Backup<>& backup, const StoreUri& sink,
                 kvbackup::RestoreOptions options, const RestoreFlags& flags);
int show_restore(const kvbackup::TxnBackup<>& backup, const StoreUri& sink,
                 kvbackup::RestoreOptions options, const RestoreFlags& flags);

}  // namespace program
