// SPDX-License-Identifier: Apache-2.0
// LMDB: LmdbSnapshot to back an environment up, LmdbSink to build one, LmdbUpdateSink to put pairs
// into one that is there. Needs KVBACKUP_WITH_LMDB=1 and the LMDB library.
#pragma once

#include <kvbackup/ext/lmdb_sink.hpp>
#include <kvbackup/ext/lmdb_snapshot.hpp>
#include <kvbackup/ext/lmdb_update_sink.hpp>
