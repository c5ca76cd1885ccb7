// SPDX-License-Identifier: Apache-2.0
// kvbackup request: asks many nodes for a backup, and writes its backupmeta.
#include "request.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <memory>

namespace program {

using namespace kvbackup;

namespace {

Result<CompressionType> compression_of(const std::string& name) {
  if (name == "lz4") return CompressionType::lz4;
  if (name == "snappy") return CompressionType::snappy;
  if (name == "zstd") return CompressionType::zstd;
  return usage_error("--compression: nodes know lz4, snappy and zstd, and not \"" + name + "\"");
}

Result<std::string> schemas_text(const std::string& path) {
  const auto file = FileHandle::open(path, O_RDONLY);
  if (!file.ok()) return file.status();
  const auto size = file.value().size();
  if (!size.ok()) return size.status();
  if (size.value() > max_schemas_size) {
    return Status::error(StatusCode::resource_exhausted, "the file of schemas has over 64 MiB")
        .with_object(path);
  }
  std::string text(static_cast<std::size_t>(size.value()), '\0');
  Status status = file.value().read_exact_at(0, text.data(), text.size());
  if (!status.ok()) return status;
  return text;
}

/// Where the nodes are to store. They do not share our working folder.
Result<StorageBackend> storage_of(const StorageFlags& flags) {
  auto storage = parse_storage_url(flags.url, process_environment(), flags.options);
  if (!storage.ok()) return std::move(storage).status();
  if (Local* local = std::get_if<Local>(&storage.value().backend)) {
    std::error_code failed;
    local->path = std::filesystem::absolute(local->path, failed).lexically_normal().string();
    if (failed) return usage_error("--storage: the working folder cannot be found");
  }
  return storage;
}

Status check_flags(const RequestFlags& flags) {
  if (flags.raw && (flags.backup_ts != 0 || flags.last_backup_ts != 0 || !flags.schemas.empty())) {
    return usage_error("--raw goes without --backupts, --lastbackupts and --schemas");
  }
  if (!flags.raw && !flags.cf.empty()) return usage_error("--cf goes with --raw only");
  if (!flags.raw && flags.backup_ts == 0) {
    return usage_error("give --backupts, the timestamp (TSO) to back up, or --raw");
  }
  if (flags.tls_ca.empty() && (!flags.tls_cert.empty() || !flags.tls_key.empty())) {
    return usage_error("--tls-cert and --tls-key need --tls-ca");
  }
  if (flags.tls_cert.empty() != flags.tls_key.empty()) {
    return usage_error("--tls-cert and --tls-key go together");
  }
  std::vector<std::string> nodes = flags.nodes;
  std::sort(nodes.begin(), nodes.end());
  const auto twice = std::adjacent_find(nodes.begin(), nodes.end());
  if (twice != nodes.end()) return usage_error("--node names one node twice").with_object(*twice);
  return {};
}

Status run_checked(const RequestFlags& flags) {
  if (Status status = check_flags(flags); !status.ok()) return status;
#if KVBACKUP_WITH_GRPC
  return run_request(flags);
#else
  return Status::error(StatusCode::unsupported,
                       "gRPC is not built into this program; install it (Debian: libgrpc++-dev) "
                       "and build anew");
#endif
}

void add_tls_flags(CLI::App& command, RequestFlags& flags) {
  command.add_option("--tls-ca", flags.tls_ca,
                     "PEM file of who vouches for the nodes; without it all is sent in the clear");
  command.add_option("--tls-cert", flags.tls_cert,
                     "PEM file of our certificate, for nodes that ask for one");
  command.add_option("--tls-key", flags.tls_key, "PEM file of its key");
}

void add_key_flags(CLI::App& command, RequestFlags& flags) {
  command.add_flag("--raw", flags.raw, "Back up raw keys, not transactional ones");
  command.add_option("--cf", flags.cf, "Column family of a raw backup");
  command.add_option("--start", flags.start, "First key, in --format (default: the first)");
  command.add_option("--end", flags.end, "End of the keys, exclusive, in --format");
  command.add_option("--format", flags.format, "Of --start and --end: raw, escaped or hex")
      ->capture_default_str();
  command.add_option("--backupts", flags.backup_ts, "Timestamp (TSO) of the state to back up");
  command.add_option("--lastbackupts", flags.last_backup_ts,
                     "Only what changed after this timestamp: the --backupts of the last backup");
  command.add_option("--cluster-id", flags.cluster_id,
                     "Nodes of another cluster refuse the request (default 0)");
  command.add_option("--cluster-version", flags.cluster_version, "Stands in backupmeta");
  command.add_option("--schemas", flags.schemas,
                     "JSON file of the tables that backupmeta describes; without --start and "
                     "--end their keys are backed up");
}

}  // namespace

Result<CoordinatorOptions> request_options(const RequestFlags& flags) {
  CoordinatorOptions options;
  BackupRequest& request = options.request;
  const auto format = parse_key_format(flags.format);
  if (!format.ok()) return format.status();
  auto start = key_of("--start", flags.start, format.value());
  if (!start.ok()) return std::move(start).status();
  auto end = key_of("--end", flags.end, format.value());
  if (!end.ok()) return std::move(end).status();
  const auto compression = compression_of(flags.compression);
  if (!compression.ok()) return compression.status();
  auto storage = storage_of(flags.storage);
  if (!storage.ok()) return std::move(storage).status();
  const auto rate_limit = mib(flags.rate_limit_mib, "--ratelimit");
  if (!rate_limit.ok()) return rate_limit.status();
  request.cluster_id = flags.cluster_id;
  request.start_key = std::move(start).value();
  request.end_key = std::move(end).value();
  request.start_version = flags.last_backup_ts;
  request.end_version = flags.backup_ts;
  request.rate_limit = rate_limit.value();
  request.concurrency = static_cast<std::uint32_t>(flags.concurrency);
  request.storage_backend = std::move(storage).value();
  request.is_raw_kv = flags.raw;
  if (flags.raw) request.cf = flags.cf.empty() ? std::string(default_cf) : flags.cf;
  request.compression_type = compression.value();
  request.compression_level = flags.compression_level;
  options.cluster_version = flags.cluster_version;
  options.concurrency = flags.concurrency;
  options.retry.attempts = flags.retry_rounds;
  if (flags.schemas.empty()) return options;
#if KVBACKUP_WITH_RAPIDJSON
  const auto text = schemas_text(flags.schemas);
  if (!text.ok()) return text.status();
  auto set = read_schemas(text.value());
  if (!set.ok()) return std::move(set).status().with_object(flags.schemas);
  options.schemas = std::move(set.value().schemas);
  options.ddls = std::move(set.value().ddls);
#endif
  return options;
}

void add_request_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<RequestFlags>();
  CLI::App* command = app.add_subcommand(
      "request", "Ask the nodes of a cluster for a backup, and write its backupmeta");
  command->add_option("--node", flags->nodes, "HOST:PORT of a node; give each of them")->required();
  add_storage_flags(*command, flags->storage, "Where to, as the nodes and this program reach it");
  add_key_flags(*command, *flags);
  command->add_option("--compression", flags->compression, "lz4, snappy or zstd")
      ->capture_default_str();
  command->add_option("--compression-level", flags->compression_level, "0 = the node's own");
  command->add_option("--ratelimit", flags->rate_limit_mib,
                      "Stored MiB a second of each node and range (default 0: no limit)");
  command
      ->add_option("--concurrency", flags->concurrency,
                   "Key ranges asked for at once, and workers of a node for each")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command
      ->add_option("--retry-rounds", flags->retry_rounds,
                   "Times in a row that what is missing is asked for without anything new")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_tls_flags(*command, *flags);
  add_telemetry_flags(*command);
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] {
    run = [flags] {
      const Status status = run_checked(*flags);
      return status.ok() ? done : report_failure("request", status, flags->common);
    };
  });
}

}  // namespace program
