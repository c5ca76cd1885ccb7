// SPDX-License-Identifier: Apache-2.0
// `kvbackup request`: its flags.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "program.hpp"
#include "storage.hpp"

namespace program {

struct RequestFlags {
  CommonFlags common;
  std::vector<std::string> nodes;
  StorageFlags storage;
  bool raw = false;
  std::string cf;
  std::string start;
  std::string end;
  std::string format = "hex";
  std::uint64_t backup_ts = 0;
  std::uint64_t last_backup_ts = 0;
  std::uint64_t cluster_id = 0;
  std::string cluster_version;
  std::string compression = "zstd";
  int compression_level = 0;
  std::uint64_t rate_limit_mib = 0;
  std::uint64_t concurrency = 4;
  std::string schemas;
  std::uint32_t retry_rounds = 10;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
};

/// What the nodes are asked, and how: all but the seams. Reads the file of --schemas.
[[nodiscard]] kvbackup::Result<kvbackup::CoordinatorOptions> request_options(
    const RequestFlags& flags);

/// Asks the nodes over gRPC.
[[nodiscard]] kvbackup::Status run_request(const RequestFlags& flags);

}  // namespace program
