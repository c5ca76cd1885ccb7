// SPDX-License-Identifier: Apache-2.0
// The service /backup.Backup/backup over gRPC, by its public generic API and the messages of this
// library, so without generated code: GrpcBackupServer puts a BackupNode on the network,
// GrpcBackupNode is one that is elsewhere. Needs KVBACKUP_WITH_GRPC=1 and gRPC for C++, 1.51 or
// later. gRPC itself writes its log to standard error; GRPC_VERBOSITY=NONE in the environment
// silences it.
#pragma once

#include <kvbackup/ext/grpc_node.hpp>
#include <kvbackup/ext/grpc_server.hpp>
