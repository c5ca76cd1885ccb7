// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <climits>
#include <cstdlib>
#include <iterator>
#include <memory>

#include "serve.hpp"
#include "storage.hpp"

namespace program {

using namespace kvbackup;

namespace {

std::string without_slashes_at_end(std::string text) {
  while (!text.empty() && text.back() == '/') text.pop_back();
  return text;
}

/// What follows `folder` in `path`, without the slash between; nothing if it is no part of it.
std::optional<std::string_view> below(std::string_view path, std::string_view folder) {
  if (!path.starts_with(folder)) return std::nullopt;
  path.remove_prefix(folder.size());
  if (path.empty() || folder.empty()) return path;
  if (path.front() != '/') return std::nullopt;
  return path.substr(1);
}

/// An absolute path without empty and "." components; ".." stays, and is refused later.
std::string tidy(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::string_view component = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), component.size() + 1));
    if (component.empty() || component == ".") continue;
    out += '/';
    out += component;
  }
  return out;
}

Status refused(const StorageBackend& storage, const char* why) {
  return Status::error(StatusCode::permission_denied, why).with_object(storage_url(storage));
}

/// A client's own key file may name any host to fetch tokens from, and the program would ask it.
Status check_credentials(const std::string& blob) {
  if (blob.empty()) return {};
  const auto parsed = parse_google_credentials(blob, "the option credentials_blob");
  if (!parsed.ok()) return parsed.status();
  if (parsed.value().token_uri == "https://oauth2.googleapis.com/token" ||
      parsed.value().token_uri == "https://accounts.google.com/o/oauth2/token") {
    return {};
  }
  return Status::error(StatusCode::permission_denied,
                       "this node takes Google credentials only with Google's own token_uri");
}

/// Whether a URL says more than where.
bool has_more_options(const StorageBackend& storage) {
  if (const S3* s3 = std::get_if<S3>(&storage.backend)) {
    S3 where;
    where.endpoint = s3->endpoint;
    where.bucket = s3->bucket;
    where.prefix = s3->prefix;
    where.force_path_style = s3->force_path_style;
    return *s3 != where;
  }
  const GCS* gcs = std::get_if<GCS>(&storage.backend);
  if (gcs == nullptr) return false;
  GCS where;
  where.endpoint = gcs->endpoint;
  where.bucket = gcs->bucket;
  where.prefix = gcs->prefix;
  return *gcs != where;
}

/// Whether others than who may read the bucket could read what is stored. A client has this node's
/// rights only to store.
bool opens_to_everyone(const StorageBackend& storage) {
  const S3* s3 = std::get_if<S3>(&storage.backend);
  const GCS* gcs = std::get_if<GCS>(&storage.backend);
  const std::string_view acl = s3 != nullptr    ? std::string_view(s3->acl)
                               : gcs != nullptr ? std::string_view(gcs->predefined_acl)
                                                : std::string_view();
  constexpr std::string_view open_acls[] = {
      "public-read", "public-read-write", "authenticated-read", "publicRead", "authenticatedRead"};
  return std::find(std::begin(open_acls), std::end(open_acls), acl) != std::end(open_acls);
}

}  // namespace

Result<std::vector<ObjectInfo>> AllowedFolder::list(std::string_view prefix) {
  auto listed = base_.list(full(prefix));
  if (!listed.ok()) return listed;
  for (ObjectInfo& info : listed.value()) info.name.erase(0, below_.size());
  return listed;
}
static_assert(ReadableBackend<AllowedFolder>);

Result<AllowedStorage> AllowedStorage::of(const ServeFlags& flags) {
  AllowedStorage out;
  for (const std::string& folder : flags.allow_local) {
    if (!folder.starts_with('/')) {
      return usage_error("--allow-local takes an absolute path").with_object(folder);
    }
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(folder.c_str(), nullptr),
                                                               &std::free);
    if (resolved == nullptr) {
      return usage_error("--allow-local names no folder that is there").with_object(folder);
    }
    out.folders_.push_back({tidy(folder), tidy(resolved.get())});
  }
  for (const std::string& url : flags.allow_storage) {
    const auto storage = parse_storage_url(url);
    if (!storage.ok()) {
      return usage_error("--allow-storage: " + std::string(storage.status().message()));
    }
    auto bucket = bucket_of(storage.value());
    if (!bucket.ok()) {
      return usage_error(
          "--allow-storage takes s3:// and gcs:// URLs; for folders there is "
          "--allow-local");
    }
    if (has_more_options(storage.value())) {
      return usage_error(
          "--allow-storage takes no option but endpoint: credentials come from the request or from "
          "this server's environment, and the rest from the request");
    }
    out.buckets_.push_back(std::move(bucket).value());
  }
  return out;
}

Result<AllowedStorage::Bucket> AllowedStorage::bucket_of(const StorageBackend& storage) {
  const auto take = [](const auto& message, bool is_s3) {
    return Bucket{is_s3, without_slashes_at_end(message.endpoint), message.bucket,
                  without_slashes_at_end(message.prefix)};
  };
  if (const S3* s3 = std::get_if<S3>(&storage.backend)) return take(*s3, true);
  if (const GCS* gcs = std::get_if<GCS>(&storage.backend)) return take(*gcs, false);
  return Status::error(StatusCode::unsupported, "this storage has no bucket");
}

bool AllowedStorage::allows(const Bucket& asked) const {
  // what a proxy before the storage might take for a way out of the prefix
  if (!asked.prefix.empty() && !check_object_name(asked.prefix).ok()) return false;
  for (const Bucket& each : buckets_) {
    if (each.is_s3 == asked.is_s3 && each.endpoint == asked.endpoint &&
        each.bucket == asked.bucket && below(asked.prefix, each.prefix)) {
      return true;
    }
  }
  return false;
}

Result<ServeBackends> AllowedStorage::open_folder(const std::string& path) const {
  const std::string asked = tidy(path);
  for (const Folder& folder : folders_) {
    for (const std::string* form : {&folder.given, &folder.resolved}) {
      auto rest = below(asked, *form);
      if (!rest || !path.starts_with('/') || path.find('\0') != std::string::npos) continue;
      if (rest->starts_with('/')) rest->remove_prefix(1);
      if (!rest->empty() && !check_object_name(*rest).ok()) continue;
      return ServeBackends(
          AllowedFolder(folder.resolved.empty() ? "/" : folder.resolved, std::string(*rest)));
    }
  }
  return Status::error(StatusCode::permission_denied,
                       "this node stores in folders only below those that its operator names with "
                       "--allow-local");
}

Result<ServeBackends> AllowedStorage::open(const StorageBackend& storage,
                                           const CancelToken* cancel) const {
  if (const CloudDynamic* cloud = std::get_if<CloudDynamic>(&storage.backend)) {
    const auto resolved = resolve_cloud(*cloud);
    if (!resolved.ok()) return resolved.status();
    return open(resolved.value(), cancel);
  }
  if (const Local* local = std::get_if<Local>(&storage.backend)) {
    auto opened = open_folder(local->path);
    if (!opened.ok()) return std::move(opened).status().with_object(storage_url(storage));
    return opened;
  }
  if (const auto bucket = bucket_of(storage); bucket.ok() && !allows(bucket.value())) {
    return refused(storage,
                   "this node stores in buckets only below the URLs that its operator names with "
                   "--allow-storage, and only at the endpoints named there");
  }
  if (const GCS* gcs = std::get_if<GCS>(&storage.backend)) {
    if (Status status = check_credentials(gcs->credentials_blob); !status.ok()) return status;
  }
  if (opens_to_everyone(storage)) {
    return refused(storage, "this node stores nothing that everyone could read; leave the ACL out");
  }
  OpenBackendOptions options;
  options.s3.cancel = cancel;
  options.gcs.cancel = cancel;
  options.s3.observer = options.gcs.observer = &net_messages();
  return open_backend<ServeBackends>(storage, options);
}

}  // namespace program
