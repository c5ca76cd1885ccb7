// SPDX-License-Identifier: Apache-2.0
// RocksDB: RocksdbSnapshot to back a store up, RocksdbSink to build or fill one, RocksdbRestore to
// do so in parallel from a backup. Needs KVBACKUP_WITH_ROCKSDB=1 and the RocksDB library, 6.29 or
// later.
#pragma once

#include <kvbackup/ext/rocksdb_restore.hpp>
#include <kvbackup/ext/rocksdb_sink.hpp>
#include <kvbackup/ext/rocksdb_snapshot.hpp>
