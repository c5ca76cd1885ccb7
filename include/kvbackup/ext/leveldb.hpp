// SPDX-License-Identifier: Apache-2.0
// LevelDB: LeveldbSnapshot to back a store up, LeveldbSink to build one. Needs
// KVBACKUP_WITH_LEVELDB=1 and the LevelDB library.
#pragma once

#include <kvbackup/ext/leveldb_sink.hpp>
#include <kvbackup/ext/leveldb_snapshot.hpp>
