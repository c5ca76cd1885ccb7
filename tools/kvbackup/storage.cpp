// SPDX-License-Identifier: Apache-2.0
#include "storage.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <unistd.h>

#include "telemetry.hpp"
#include "usage.hpp"

namespace program {

using namespace kvbackup;

namespace {

/// Says on standard error what the network did. No text of the library holds a credential.
class NetMessages final : public NetObserver {
 public:
  void on_warning(std::string_view text) override {
    std::fprintf(stderr, "%skvbackup: warning: %s\n", line_, printable(text).c_str());
    telemetry().on_warning(text);
  }
  void on_retry(std::string_view operation, const Status& why, std::uint64_t wait_ms) override {
    std::fprintf(stderr, "%skvbackup: again in %s: %s\n", line_,
                 human_duration(static_cast<double>(wait_ms) * 1e-3).c_str(),
                 printable(why.to_string(KeyDisplay::redacted)).c_str());
    telemetry().on_retry(operation, why, wait_ms);
  }

 private:
  // on a terminal a progress bar may stand in the line
  const char* line_ = ::isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "";
};

struct BucketFlag {
  const char* name;  ///< of the flag
  const char* key;   ///< of the URL's query
  const char* help;
};

constexpr std::array<BucketFlag, 7> s3_flags{{
    {"--s3.endpoint", "endpoint", "Of the S3 server: https://host:port (default: Amazon's)"},
    {"--s3.region", "region", "Region of the bucket"},
    {"--s3.storage-class", "storage-class", "Storage class of what is written"},
    {"--s3.sse", "sse", "Server-side encryption: AES256 or aws:kms"},
    {"--s3.sse-kms-key-id", "sse-kms-key-id", "Key of aws:kms (default: the account's)"},
    {"--s3.acl", "acl", "Canned ACL, such as bucket-owner-full-control"},
    {"--s3.provider", "provider",
     "alibaba and netease: the bucket goes into the host name, not the path"},
}};
constexpr std::array<BucketFlag, 4> gcs_flags{{
    {"--gcs.endpoint", "endpoint", "Of the Cloud Storage server (default: Google's)"},
    {"--gcs.storage-class", "storage-class", "Storage class of what is written"},
    {"--gcs.predefined-acl", "predefined-acl", "ACL, such as bucketOwnerFullControl"},
    {"--gcs.credentials-file", "credentials-file", "Key file of a service account"},
}};

void add_bucket_flag(CLI::App& command, QueryParameters& options, const BucketFlag& flag) {
  command
      .add_option_function<std::string>(
          flag.name,
          [&options, key = flag.key](const std::string& value) {
            options.emplace_back(key, value);
          },
          flag.help)
      ->group(bucket_group);
}

Result<BuiltBackends> open(const StorageFlags& flags) {
  const auto storage = parse_storage_url(flags.url, process_environment(), flags.options);
  if (!storage.ok()) return storage.status();
  OpenBackendOptions options;
  if (flags.s3_if_absent == "checked") options.s3.if_absent = S3IfAbsent::checked;
  options.s3.cancel = options.gcs.cancel = &cancel_token();
  options.s3.observer = options.gcs.observer = &net_messages();
  return open_backend<BuiltBackends>(storage.value(), options);
}

}  // namespace

NetObserver& net_messages() {
  static NetMessages messages;
  return messages;
}

void add_storage_flags(CLI::App& command, StorageFlags& flags, const char* help) {
  command.add_option("-s,--storage", flags.url, std::string(help) + storage_url_help)->required();
  add_bucket_flags(command, flags);
}

void add_bucket_flags(CLI::App& command, StorageFlags& flags) {
  for (const BucketFlag& flag : s3_flags) add_bucket_flag(command, flags.options.s3, flag);
  command
      .add_option("--s3.if-absent", flags.s3_if_absent,
                  "How no object is overwritten: conditional (by the server) or checked (for "
                  "servers that cannot, such as OpenStack Swift)")
      ->check(CLI::IsMember({"conditional", "checked"}))
      ->capture_default_str()
      ->group(bucket_group);
  for (const BucketFlag& flag : gcs_flags) add_bucket_flag(command, flags.options.gcs, flag);
}

Result<BuiltBackends> open_storage(const StorageFlags& flags) {
  auto backend = open(flags);
  if (backend.ok()) return backend;
  // a storage URL is a flag: whatever is wrong with it is wrong usage
  return usage_error("--storage: " + std::string(backend.status().message()))
      .with_object(backend.status().object());
}

void at_once(std::size_t count, FunctionRef<void(std::size_t)> work) {
  constexpr std::size_t threads = 8;
  std::atomic<std::size_t> next{0};
  const auto take = [&](std::size_t /*thread*/) {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  ThreadExecutor().run(std::min(threads, count), take);
}

Result<BuiltBackends> open_readable_storage(const StorageFlags& flags) {
  auto backend = open_storage(flags);
  if (backend.ok() && !keeps_objects(backend.value())) {
    return usage_error("--storage: noop keeps nothing that could be read");
  }
  return backend;
}

}  // namespace program
