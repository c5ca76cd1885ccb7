// SPDX-License-Identifier: Apache-2.0
#include "stores.hpp"

namespace program {

kvbackup::Result<kvbackup::BuiltBackends> open_storage(const std::string& url) {
  const auto storage = kvbackup::parse_storage_url(url);
  if (!storage.ok()) return storage.status();
  return kvbackup::open_backend<kvbackup::BuiltBackends>(storage.value());
}

kvbackup::Result<kvbackup::BuiltBackends> open_readable_storage(const std::string& url) {
  auto backend = open_storage(url);
  if (backend.ok() && !kvbackup::keeps_objects(backend.value())) {
    return usage_error("--storage: noop keeps nothing that could be read");
  }
  return backend;
}

}  // namespace program
