// SPDX-License-Identifier: Apache-2.0
#include "backup_run.hpp"

#if KVBACKUP_WITH_XXHASH
namespace program {

kvbackup::Result<int> run_rocksdb_profile(const StoreUri& source, kvbackup::BuiltCodecs codec,
                                          kvbackup::BuiltBackends backend,
                                          const BackupFlags& flags) {
  return run_profile<kvbackup::RocksdbLayout>(source, std::move(codec), std::move(backend), flags);
}

}  // namespace program
#endif
