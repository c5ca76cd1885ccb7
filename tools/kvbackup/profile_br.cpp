// SPDX-License-Identifier: Apache-2.0
#include "backup_run.hpp"

namespace program {

kvbackup::Result<int> run_br_profile(const StoreUri& source, kvbackup::BuiltCodecs codec,
                                     kvbackup::BuiltBackends backend, const BackupFlags& flags) {
  return run_profile<kvbackup::RawLayout>(source, std::move(codec), std::move(backend), flags);
}

}  // namespace program
