// SPDX-License-Identifier: Apache-2.0
// The flags that say where a backup is, and the backend they name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "program.hpp"

namespace program {

struct StorageFlags {
  std::string url;
  std::string s3_if_absent = "conditional";
  kvbackup::StorageUrlDefaults options;  ///< the --s3.* and --gcs.* flags that were given
};

/// What a storage URL may be, for the help of a flag.
inline constexpr const char* storage_url_help =
    ": a path, or a URL as in BR: local:///path, s3:// or gcs://bucket/prefix?...";

/// Adds -s, `help` beside it, and BR's flags of object storage.
void add_storage_flags(CLI::App& command, StorageFlags& flags, const char* help);
/// Adds BR's flags of object storage alone.
void add_bucket_flags(CLI::App& command, StorageFlags& flags);

/// The backend that the flags name; nothing is touched yet. Cancelled by cancel_token(); its
/// warnings and retries go to standard error.
[[nodiscard]] kvbackup::Result<kvbackup::BuiltBackends> open_storage(const StorageFlags& flags);
/// The same, where something can be read from it.
[[nodiscard]] kvbackup::Result<kvbackup::BuiltBackends> open_readable_storage(
    const StorageFlags& flags);

/// The objects below a folder of a backend, as read_manifest() wants them; `prefix` ends with a
/// slash or is empty.
class StorageFolder {
 public:
  StorageFolder(kvbackup::BuiltBackends& backend, std::string prefix)
      : backend_(backend), prefix_(std::move(prefix)) {}

  kvbackup::Result<std::string> read(std::string_view name) {
    return backend_.read(prefix_ + std::string(name));
  }
  kvbackup::Result<std::vector<kvbackup::ObjectInfo>> list(std::string_view name) {
    auto objects = backend_.list(prefix_ + std::string(name));
    if (!objects.ok()) return objects;
    for (kvbackup::ObjectInfo& object : objects.value()) object.name.erase(0, prefix_.size());
    return objects;
  }
  [[nodiscard]] std::string url() const { return backend_.url(); }
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

 private:
  kvbackup::BuiltBackends& backend_;
  std::string prefix_;
};
/// Says warnings and retries on standard error, and tells telemetry().
[[nodiscard]] kvbackup::NetObserver& net_messages();

/// Calls work(0) .. work(count - 1), several at once: what is read from a bucket is mostly waited
/// for.
void at_once(std::size_t count, kvbackup::FunctionRef<void(std::size_t)> work);

}  // namespace program
