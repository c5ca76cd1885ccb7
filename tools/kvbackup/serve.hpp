// SPDX-License-Identifier: Apache-2.0
// `kvbackup serve`: its flags, and where clients may have it store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "program.hpp"

namespace program {

struct ServeFlags {
  CommonFlags common;
  std::string source;
  std::string listen = "127.0.0.1:20160";  // TiKV's port
  std::string metrics_listen;              // empty: nowhere
  std::uint64_t cluster_id = 0;
  std::uint64_t store_id = 1;
  std::string split_keys;
  std::string start;
  std::string end;
  std::string format = "hex";
  std::uint64_t gc_safe_point = 0;
  std::uint64_t file_size_mib = kvbackup::default_part_size >> 20;
  std::uint64_t concurrency = 4;
  std::uint64_t max_requests = 8;
  std::vector<std::string> allow_local;
  std::vector<std::string> allow_storage;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_ca;
  bool insecure = false;
};

/// Objects below a folder that an operator allows, in a sub-folder that a client names.
/// LocalBackend follows no symbolic link below its own folder, so whatever lies there, nothing
/// leads outside.
class AllowedFolder {
 public:
  using Writer = kvbackup::LocalBackend::Writer;

  /// `below` is empty, or an object's name as check_object_name() has it.
  AllowedFolder(std::string allowed, const std::string& below)
      : base_(std::move(allowed)), below_(below.empty() ? below : below + "/") {}

  [[nodiscard]] std::string url() const {
    return kvbackup::LocalBackend(base_.path() + "/" + below_).url();
  }
  kvbackup::Result<Writer> create(std::string_view name, kvbackup::CreateOptions options = {}) {
    return base_.create(full(name), options);
  }
  kvbackup::Result<std::string> read(std::string_view name) { return base_.read(full(name)); }
  kvbackup::Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                           std::uint64_t length) {
    return base_.read_range(full(name), offset, length);
  }
  kvbackup::Result<std::vector<kvbackup::ObjectInfo>> list(std::string_view prefix);
  kvbackup::Result<bool> exists(std::string_view name) { return base_.exists(full(name)); }
  kvbackup::Status remove(std::string_view name) { return base_.remove(full(name)); }

 private:
  [[nodiscard]] std::string full(std::string_view name) const { return below_ + std::string(name); }

  kvbackup::LocalBackend base_;
  std::string below_;  // ends with a slash, unless it is empty
};

/// Where a client may have this program store.
using ServeBackends = kvbackup::AnyBackend<kvbackup::NoopBackend, AllowedFolder
#if KVBACKUP_WITH_CURL && KVBACKUP_WITH_OPENSSL
                                           ,
                                           kvbackup::S3Backend, kvbackup::GcsBackend
#endif
                                           >;

/// What --allow-local and --allow-storage say.
class AllowedStorage {
 public:
  /// Errors: invalid_argument, naming the flag; a folder that is not there.
  [[nodiscard]] static kvbackup::Result<AllowedStorage> of(const ServeFlags& flags);

  /// permission_denied for storage that is not allowed. noop is always: it takes nothing.
  [[nodiscard]] kvbackup::Result<ServeBackends> open(const kvbackup::StorageBackend& storage,
                                                     const kvbackup::CancelToken* cancel) const;

 private:
  struct Folder {
    std::string given;     // as the operator wrote it, absolute
    std::string resolved;  // without symbolic links
  };
  struct Bucket {
    bool is_s3 = true;
    std::string endpoint;
    std::string bucket;
    std::string prefix;
  };

  [[nodiscard]] static kvbackup::Result<Bucket> bucket_of(const kvbackup::StorageBackend& storage);
  [[nodiscard]] kvbackup::Result<ServeBackends> open_folder(const std::string& path) const;
  [[nodiscard]] bool allows(const Bucket& asked) const;

  std::vector<Folder> folders_;
  std::vector<Bucket> buckets_;
};

/// Serves until the program is told to end. Only where gRPC is built in.
[[nodiscard]] kvbackup::Status run_serve(const ServeFlags& flags);

}  // namespace program
