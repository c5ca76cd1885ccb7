// SPDX-License-Identifier: Apache-2.0
// kvbackup serve: answers BackupRequests over gRPC.
#include "serve.hpp"

#include <memory>

namespace program {

using namespace kvbackup;

namespace {

/// HOST of HOST:PORT, "" where it is none.
std::string_view host_of(std::string_view listen) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == listen.size()) return {};
  const std::string_view port = listen.substr(colon + 1);
  if (port.find_first_not_of("0123456789") != std::string_view::npos) return {};
  return listen.substr(0, colon);
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  return host.starts_with("127.") &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

Status check_serve_flags(const ServeFlags& flags) {
  const std::string_view host = host_of(flags.listen);
  if (host.empty()) {
    return usage_error("--listen takes HOST:PORT, an IPv6 address in []").with_object(flags.listen);
  }
  const bool has_tls = !flags.tls_cert.empty();
  if (has_tls != !flags.tls_key.empty() || (!has_tls && !flags.tls_ca.empty())) {
    return usage_error("--tls-cert and --tls-key go together; --tls-ca needs both");
  }
  const bool is_mutual = !flags.tls_ca.empty();
  if (is_loopback(host) || is_mutual || flags.insecure) return {};
  return usage_error(
             "whoever reaches this address could read the store and have it stored elsewhere; "
             "listen on loopback, have clients prove who they are (--tls-cert, --tls-key, "
             "--tls-ca), or take the risk with --insecure")
      .with_object(flags.listen);
}

Status run_checked(const ServeFlags& flags) {
#if KVBACKUP_WITH_GRPC
  if (Status status = check_serve_flags(flags); !status.ok()) return status;
  return run_serve(flags);
#else
  (void)check_serve_flags(flags);
  return Status::error(StatusCode::unsupported,
                       "gRPC is not built into this program; install it (Debian: libgrpc++-dev) "
                       "and build anew");
#endif
}

void add_access_flags(CLI::App& command, ServeFlags& flags) {
  command.add_option("--allow-local", flags.allow_local,
                     "Folder in and below which clients may have files stored; may be repeated");
  command.add_option("--allow-storage", flags.allow_storage,
                     "s3:// or gcs:// URL, with ?endpoint=... if it is not the cloud's own, below "
                     "which clients may have files stored; may be repeated");
  command.add_option("--tls-cert", flags.tls_cert, "PEM file of this server's certificate");
  command.add_option("--tls-key", flags.tls_key, "PEM file of its key");
  command.add_option("--tls-ca", flags.tls_ca,
                     "PEM file of who vouches for clients; without it they need no certificate");
  command.add_flag("--insecure", flags.insecure,
                   "Listen on another address than loopback without proof of who asks");
}

}  // namespace

void add_serve_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command =
      app.add_subcommand("serve", "Answer BackupRequests of BR and its like over gRPC");
  command
      ->add_option("--source", flags->source,
                   "Store to serve: rocksdb:PATH (transactional requests too, if it has TiKV's "
                   "layout), lmdb:PATH, leveldb:PATH")
      ->required();
  command->add_option("--listen", flags->listen, "HOST:PORT; port 0 is one that is free")
      ->capture_default_str();
  command->add_option("--metrics-listen", flags->metrics_listen,
                      "HOST:PORT to serve http://HOST:PORT/metrics on; PORT alone: on loopback");
  command->add_option("--cluster-id", flags->cluster_id,
                      "Refuse requests for another cluster; 0 = take all");
  command->add_option("--store-id", flags->store_id, "Stands in the names of files")
      ->capture_default_str();
  command->add_option("--split-keys", flags->split_keys,
                      "File of keys, one a line, that cut the store into regions");
  command->add_option("--start", flags->start,
                      "First key that this node answers for: of a cluster, each has its part");
  command->add_option("--end", flags->end, "End of those keys, exclusive");
  command->add_option("--format", flags->format, "Of these keys: raw, escaped or hex")
      ->capture_default_str();
  command->add_option("--gc-safe-point", flags->gc_safe_point,
                      "Refuse transactional requests of versions before this timestamp");
  command->add_option("--concurrency", flags->concurrency, "Workers of one request, at most")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--max-requests", flags->max_requests, "Requests worked on at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--file-size", flags->file_size_mib, "MiB of keys and values in one file")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_access_flags(*command, *flags);
  add_telemetry_flags(*command);
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] {
    run = [flags] {
      const Status status = run_checked(*flags);
      return status.ok() ? done : report_failure("serve", status, flags->common);
    };
  });
}

}  // namespace program
