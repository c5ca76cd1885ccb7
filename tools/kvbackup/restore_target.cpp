// SPDX-License-Identifier: Apache-2.0
#include "restore_target.hpp"

#include <utility>

#include "restoration.hpp"

namespace program {

int restore_to(const kvbackup::Backup<>& backup, const StoreUri& sink,
               kvbackup::RestoreOptions options, const RestoreFlags& flags) {
  return restoration::Restoration(backup, sink, options, flags).run();
}

int show_restore(const kvbackup::Backup<>& backup, const StoreUri& sink,
                 kvbackup::RestoreOptions options, const RestoreFlags& flags) {
  return restoration::show(backup, sink, std::move(options), flags);
}

}  // namespace program
