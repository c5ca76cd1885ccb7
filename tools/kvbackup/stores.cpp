// SPDX-License-Identifier: Apache-2.0
#include "stores.hpp"

namespace program {

kvbackup::Result<kvbackup::BuiltBackends> open_storage(const std::string& url) {
  auto location = kvbackup::parse_storage_url(url);
  if (!location.ok()) {
    // a storage URL is a flag: whatever is wrong with it is wrong usage
    return usage_error("--storage: " + std::string(location.status().message()))
        .with_object(location.status().object());
  }
  switch (location.value().kind) {
    case kvbackup::StorageKind::noop: return kvbackup::BuiltBackends(kvbackup::NoopBackend());
    case kvbackup::StorageKind::local: break;
  }
  return kvbackup::BuiltBackends(kvbackup::LocalBackend(std::move(location.value().path)));
}

kvbackup::Result<kvbackup::BuiltBackends> open_readable_storage(const std::string& url) {
  auto backend = open_storage(url);
  if (backend.ok() && !kvbackup::keeps_objects(backend.value())) {
    return usage_error("--storage: noop keeps nothing that could be read");
  }
  return backend;
}

}  // namespace program
