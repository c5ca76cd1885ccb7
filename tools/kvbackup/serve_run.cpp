// SPDX-License-Identifier: Apache-2.0
// The store, the service and the server of `kvbackup serve`, and a line for each request.
#include <kvbackup/kvbackup.hpp>

#if KVBACKUP_WITH_GRPC
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <kvbackup/ext/grpc.hpp>

#include "metrics_server.hpp"
#include "safe_point.hpp"
#include "serve.hpp"
#include "stores.hpp"
#include "telemetry.hpp"
#include "uri.hpp"

namespace program {

using namespace kvbackup;

namespace {

/// A snapshot that up to `sharers` requests may hold.
template <class S>
class SharedSnapshot {
 public:
  SharedSnapshot(std::shared_ptr<const S> held, std::size_t sharers)
      : held_(std::move(held)), sharers_(sharers) {}
  [[nodiscard]] auto scan(const KeyRange& range) const { return held_->scan(range); }
  /// The share of one request, but for the look whether its database is there. 0: there is none.
  [[nodiscard]] std::size_t workers() const requires requires(const S& s) { s.workers(); }
  { return std::max<std::size_t>(held_->workers() / sharers_, 1) - 1; }

 private:
  std::shared_ptr<const S> held_;
  std::size_t sharers_;
};

template <class S>
using OpenStore = std::function<Result<S>()>;

/// Stores that a process may open only once at a time: requests that overlap share a snapshot, and
/// the first one after a pause takes a new one.
template <class S>
class SharedHost {
 public:
  SharedHost(OpenStore<S> open, const AllowedStorage& allowed, std::size_t sharers)
      : open_(std::move(open)),
        allowed_(allowed),
        sharers_(sharers),
        state_(std::make_shared<State>()) {}

  Result<SharedSnapshot<S>> snapshot() {
    const std::lock_guard lock(state_->mutex);
    if (state_->users == 0) {
      auto opened = open_();
      if (!opened.ok()) return std::move(opened).status();
      state_->held.emplace(std::move(opened).value());
      telemetry().on_snapshot(system_clock().unix_ms());
    }
    ++state_->users;
    // closed under the mutex, so that nobody opens the store before it is
    const auto release = [state = state_](const S*) {
      const std::lock_guard guard(state->mutex);
      if (--state->users == 0) state->held.reset();
    };
    return SharedSnapshot<S>(std::shared_ptr<const S>(&*state_->held, release), sharers_);
  }
  Result<ServeBackends> open_storage(const StorageBackend& storage, const CancelToken* cancel) {
    return allowed_.open(storage, cancel);
  }

 private:
  struct State {
    std::mutex mutex;
    std::optional<S> held;
    std::size_t users = 0;
  };
  OpenStore<S> open_;
  const AllowedStorage& allowed_;
  std::size_t sharers_;
  std::shared_ptr<State> state_;
};

/// RocksDB: each request sees the store as it is when it comes, which transactional ones need.
class RocksdbHost {
 public:
  RocksdbHost(OpenStore<RocksdbSnapshot> open, const AllowedStorage& allowed, MvccHost& mvcc,
              Clock& clock)
      : open_(std::move(open)), allowed_(allowed), mvcc_(mvcc), clock_(clock) {}

  Result<RocksdbSnapshot> snapshot() {
    auto opened = open_();
    if (opened.ok()) telemetry().on_snapshot(system_clock().unix_ms());
    return opened;
  }
  Result<ServeBackends> open_storage(const StorageBackend& storage, const CancelToken* cancel) {
    return allowed_.open(storage, cancel);
  }
  [[nodiscard]] MvccOptions mvcc_options() const {
    MvccOptions options;
    options.host = &mvcc_;
    options.clock = &clock_;
    return options;
  }

 private:
  OpenStore<RocksdbSnapshot> open_;
  const AllowedStorage& allowed_;
  MvccHost& mvcc_;
  Clock& clock_;
};

/// A line of standard output for each request.
class AuditLog final : public GrpcServerObserver {
 public:
  AuditLog(const ServeFlags& flags, Clock& clock) : flags_(flags), clock_(clock) {}

  void on_request(const GrpcRequestRecord& record) override {
    tell(record);
    const BackupRequest& request = record.request;
    const std::string storage =
        request.storage_backend ? storage_url(*request.storage_backend) : "(none)";
    const std::string result = result_of(record);
    if (flags_.common.json) return print_json(record, storage, result);
    std::string range = request.is_raw_kv ? "raw " + (request.cf.empty() ? "default" : request.cf)
                                          : "txn (" + std::to_string(request.start_version) + ", " +
                                                std::to_string(request.end_version) + "]";
    if (!flags_.common.redact) {
      range += " [" + to_hex(request.start_key) + ", " + to_hex(request.end_key) + ")";
    }
    std::printf(
        "%s %s%s%s: %s to %s: %llu responses, %llu of them errors, %llu files, %llu pairs, "
        "%s: %s\n",
        utc(clock_.unix_ms()).c_str(), printable(record.peer).c_str(),
        record.identity.empty() ? "" : " ", printable(record.identity).c_str(),
        printable(range).c_str(), printable(storage).c_str(), number(record.responses),
        number(record.errors), number(record.files), number(record.pairs),
        human_bytes(static_cast<double>(record.stored_bytes)).c_str(), printable(result).c_str());
    std::fflush(stdout);
  }

 private:
  /// Metrics of one answered request.
  void tell(const GrpcRequestRecord& record) {
    const bool is_ok = record.status.ok() && record.errors == 0;
    const double now = static_cast<double>(clock_.unix_ms()) / 1e3;
    telemetry().update([&](Metrics& metrics) {
      const Metrics::Labels labels{{"command", "serve"}};
      const auto count = [](std::uint64_t n) { return static_cast<double>(n); };
      metrics.add("requests_total", {{"command", "serve"}, {"result", is_ok ? "ok" : "error"}}, 1);
      metrics.add("files_total", labels, count(record.files));
      metrics.add("pairs_total", labels, count(record.pairs));
      metrics.add("bytes_total", {{"command", "serve"}, {"kind", "stored"}},
                  count(record.stored_bytes));
      if (is_ok) metrics.set("last_success_timestamp_seconds", labels, now);
      metrics.set("last_run_timestamp_seconds", labels, now);
      metrics.set("last_run_status", labels, is_ok ? done : could_not_finish);
    });
    Event event(is_ok ? "info" : "error", "request");
    event.add("peer", record.peer).add("responses", record.responses);
    event.add("errors", record.errors).add("files", record.files).add("pairs", record.pairs);
    event.add("stored_bytes", record.stored_bytes);
    telemetry().log(event.add("result", is_ok ? "ok" : "error"));
    telemetry().write_metrics_file();
  }

  static unsigned long long number(std::uint64_t n) { return n; }

  [[nodiscard]] std::string result_of(const GrpcRequestRecord& record) const {
    if (!record.status.ok()) return record.status.to_string(flags_.common.key_display());
    if (record.errors == 0) return "ok";
    return flags_.common.redact ? "a range failed" : record.first_error;  // which names keys
  }

  void print_json(const GrpcRequestRecord& record, const std::string& storage,
                  const std::string& result) {
    const BackupRequest& request = record.request;
    JsonObject line;
    line.add("time_unix_ms", clock_.unix_ms()).add("peer", record.peer);
    line.add("identity", record.identity).add("raw", request.is_raw_kv).add("cf", request.cf);
    line.add("start_version", request.start_version).add("end_version", request.end_version);
    if (!flags_.common.redact) {
      line.add("start", to_hex(request.start_key)).add("end", to_hex(request.end_key));
    }
    line.add("storage", storage).add("responses", record.responses).add("errors", record.errors);
    line.add("files", record.files).add("total_kvs", record.pairs);
    line.add("size", record.stored_bytes).add("ok", record.status.ok() && record.errors == 0);
    line.add("result", result);
    std::printf("%s\n", line.text().c_str());
    std::fflush(stdout);
  }

  const ServeFlags& flags_;
  Clock& clock_;
};

Result<GrpcServerOptions> server_options(const ServeFlags& flags) {
  GrpcServerOptions options;
  options.listen = flags.listen;
  options.threads = flags.max_requests;
  if (flags.tls_cert.empty()) return options;
  auto certificate = pem_file("--tls-cert", flags.tls_cert);
  if (!certificate.ok()) return std::move(certificate).status();
  auto key = pem_file("--tls-key", flags.tls_key);
  if (!key.ok()) return std::move(key).status();
  options.tls = {std::move(certificate).value(), std::move(key).value(), ""};
  if (flags.tls_ca.empty()) return options;
  auto ca = pem_file("--tls-ca", flags.tls_ca);
  if (!ca.ok()) return std::move(ca).status();
  options.tls->client_ca = std::move(ca).value();
  return options;
}

/// The regions of the whole store.
Result<FixedRegions> all_regions(const ServeFlags& flags, KeyFormat format) {
  if (flags.split_keys.empty()) return FixedRegions();
  const auto text = process_environment().file(flags.split_keys);
  if (!text.ok()) return text.status();
  std::vector<std::string> keys;
  std::size_t number = 0;
  for (std::string_view rest = text.value(); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    ++number;
    auto key = decode_key(format, line);
    if (!key.ok()) {
      return usage_error("--split-keys: line " + std::to_string(number) + ": " +
                         std::string(key.status().message()));
    }
    keys.push_back(std::move(key).value());
  }
  auto regions = FixedRegions::split_at(std::move(keys));
  if (!regions.ok()) {
    return usage_error("--split-keys: " + std::string(regions.status().message()));
  }
  return regions;
}

/// Those that this node answers for.
Result<FixedRegions> regions_of(const ServeFlags& flags) {
  const auto format = parse_key_format(flags.format);
  if (!format.ok()) return format.status();
  auto regions = all_regions(flags, format.value());
  if (!regions.ok() || (flags.start.empty() && flags.end.empty())) return regions;
  auto start = key_of("--start", flags.start, format.value());
  if (!start.ok()) return std::move(start).status();
  auto end = key_of("--end", flags.end, format.value());
  if (!end.ok()) return std::move(end).status();
  const KeyRange led{std::string(default_cf), std::move(start).value(), std::move(end).value()};
  if (led.empty()) return usage_error("--start must be below --end");
  return FixedRegions::of(regions.value().clips(led));
}

void print_listening(const ServeFlags& flags, int port) {
  const std::string address =
      flags.listen.substr(0, flags.listen.rfind(':') + 1) + std::to_string(port);
  if (flags.common.json) {
    JsonObject line;
    line.add("command", "serve").add("listening", address);
    std::printf("%s\n", line.text().c_str());
  } else {
    std::printf("Listening on %s\n", printable(address).c_str());
  }
  std::fflush(stdout);
}

void print_metrics_address(const std::string& address, const ServeFlags& flags) {
  if (flags.common.json) {
    JsonObject line;
    line.add("command", "serve").add("metrics", "http://" + address + "/metrics");
    std::printf("%s\n", line.text().c_str());
  } else {
    std::printf("Metrics on http://%s/metrics\n", address.c_str());
  }
}

template <BackupHost Host>
Status serve(Host host, const ServeFlags& flags, Clock& clock) {
  auto regions = regions_of(flags);
  if (!regions.ok()) return std::move(regions).status();
  auto options = server_options(flags);
  if (!options.ok()) return std::move(options).status();
  const auto part_size = mib(flags.file_size_mib, "--file-size");
  if (!part_size.ok()) return part_size.status();
  // a store that cannot be opened is better found out now than by the first client
  {
    const auto snapshot = host.snapshot();
    if (!snapshot.ok()) return snapshot.status();
    if constexpr (requires { snapshot.value().workers(); }) {
      if (snapshot.value().workers() == 0) {
        return usage_error("--max-requests: the store has too few readers for so many requests");
      }
    }
  }

  telemetry().on_serving();
  std::optional<MetricsServer> metrics;
  if (!flags.metrics_listen.empty()) {
    auto listening = MetricsServer::listen(flags.metrics_listen);
    if (!listening.ok()) return std::move(listening).status();
    metrics.emplace(std::move(listening).value());
    print_metrics_address(metrics->address(), flags);
  }

  ThreadExecutor threads;
  AuditLog audit(flags, clock);
  options.value().observer = &audit;
  BackupServiceOptions service_options;
  service_options.cluster_id = flags.cluster_id;
  service_options.store_id = flags.store_id;
  service_options.part_size = part_size.value();
  service_options.max_requests = flags.max_requests;
  service_options.max_concurrency = flags.concurrency;
  using Service = BackupService<Host, BuiltCodecs, FileHasher>;
  Service service(std::move(host), BuiltCodecs{}, FileHasher{}, clock, &threads,
                  std::move(service_options), std::move(regions).value());
  auto server = GrpcBackupServer<Service>::start(service, options.value());
  if (!server.ok()) return std::move(server).status();
  print_listening(flags, server.value().port());
  constexpr std::uint64_t between_looks_ns = 100'000'000;  // a signal ends the sleep
  while (!cancel_token().cancelled()) {
    if (metrics) {
      metrics->serve_one(between_looks_ns, [] { return telemetry().metrics_text(); });
    } else {
      clock.sleep_ns(between_looks_ns);
    }
  }
  server.value().stop();
  return {};
}

}  // namespace

Status run_serve(const ServeFlags& flags) {
  // gRPC would write its own log between our lines
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  const auto uri = parse_store_uri(flags.source);
  if (!uri.ok()) return uri.status();
  const auto allowed = AllowedStorage::of(flags);
  if (!allowed.ok()) return allowed.status();
  SystemClock clock;
  const std::string& path = uri.value().path;
  if (uri.value().scheme == "rocksdb") {
    NamedSafePoint mvcc(flags.gc_safe_point);
    RocksdbSnapshotOptions options;
    options.cf = uri.value().parameter("cf");
    return serve(RocksdbHost([&] { return RocksdbSnapshot::open(path, options); }, allowed.value(),
                             mvcc, clock),
                 flags, clock);
  }
  if (uri.value().scheme == "leveldb") {
    return serve(SharedHost<LeveldbSnapshot>([&] { return LeveldbSnapshot::open(path); },
                                             allowed.value(), flags.max_requests),
                 flags, clock);
  }
  if (uri.value().scheme == "lmdb") {
    LmdbSnapshotOptions options;
    options.db = uri.value().parameter("db");
    // each request also looks once whether a database is there
    options.workers = (flags.concurrency + 1) * flags.max_requests;
    return serve(SharedHost<LmdbSnapshot>([&] { return LmdbSnapshot::open(path, options); },
                                          allowed.value(), flags.max_requests),
                 flags, clock);
  }
  return usage_error(
      "--source: " + uri.value().scheme +
      ": is read once and from its beginning; serve takes rocksdb, lmdb and leveldb");
}

}  // namespace program
#endif
