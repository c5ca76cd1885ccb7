// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "restoration.hpp"
#include "restore_target.hpp"

namespace program {

int restore_to(const kvbackup::TxnBackup<>& backup, const StoreUri& sink,
               kvbackup::RestoreOptions options, const RestoreFlags& flags) {
  return restoration::Restoration(backup, sink, options, flags).run();
}

int show_restore(const kvbackup::TxnBackup<>& backup, const StoreUri& sink,
                 kvbackup::RestoreOptions options, const RestoreFlags& flags) {
  return restoration::show(backup, sink, std::move(options), flags);
}

}  // namespace program
