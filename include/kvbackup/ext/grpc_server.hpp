// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <kvbackup/ext/detail/grpc_call.hpp>
#include <kvbackup/ext/detail/grpc_common.hpp>
#include <kvbackup/kvbackup.hpp>

namespace kvbackup::inline v1 {

/// PEM texts.
struct GrpcServerTls {
  std::string certificate;  ///< of the server, with the chain above it
  std::string key;
  /// Clients must show a certificate that this one vouches for. Empty: they need none.
  std::string client_ca;
};

/// Told of every request once it has ended, never two at a time. Hooks must not throw.
class GrpcServerObserver {
 public:
  virtual ~GrpcServerObserver() = default;
  virtual void on_request(const GrpcRequestRecord& record) = 0;
};

struct GrpcServerOptions {
  /// HOST:PORT; port 0 is one that is free.
  std::string listen = "127.0.0.1:0";
  std::optional<GrpcServerTls> tls = std::nullopt;  ///< without it everything is sent in the clear
  std::size_t threads = 8;                          ///< requests worked on at once
  std::size_t max_waiting = 64;     ///< requests that wait for a thread; more are refused
  std::size_t response_queue = 16;  ///< responses of a request that its client has not taken yet
  std::size_t longest_request = 4u << 20;  ///< bytes
  GrpcServerObserver* observer = nullptr;
};

namespace detail {

/// The server without the type of its node.
class GrpcServerCore final : public grpc::CallbackGenericService, private GrpcCallOwner {
 public:
  using Ask = FunctionRef<Status(const BackupRequest&, RespondRef, const CancelToken*)>;

  explicit GrpcServerCore(const GrpcServerOptions& options) : options_(options) {
    options_.threads = std::max<std::size_t>(options_.threads, 1);
  }
  ~GrpcServerCore() override { stop(); }

  /// `ask` is called by several threads at once.
  Status start(Ask ask) {
    ask_.emplace(ask);
    while (threads_.size() < options_.threads) {
      pthread_t thread;
      if (const int error = ::pthread_create(&thread, nullptr, &run_thread, this); error != 0) {
        return Status::error(StatusCode::resource_exhausted, "cannot start a thread of the server")
            .with_native(error);
      }
      threads_.push_back(thread);
    }
    return listen();
  }

  void stop() {
    stopping_.cancel();
    {
      const std::lock_guard lock(mutex_);
      for (GrpcBackupCall* call : calls_) call->wake();
    }
    if (server_ != nullptr) {
      // calls that wait for their client's request are not ended by our token
      constexpr std::chrono::seconds patience(2);
      server_->Shutdown(std::chrono::system_clock::now() + patience);
      server_->Wait();
    }
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      changed_.notify_all();
    }
    for (const pthread_t thread : threads_) ::pthread_join(thread, nullptr);
    threads_.clear();
    server_.reset();
  }

  [[nodiscard]] int port() const { return port_; }

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    const bool stops = stopping_.cancelled();
    if (context->method() == grpc_health_method) return new GrpcHealthCall(!stops);
    if (context->method() != grpc_backup_method) {
      return new GrpcUnknownCall({grpc::StatusCode::UNIMPLEMENTED, "there is no such method"});
    }
    if (stops) {
      return new GrpcUnknownCall({grpc::StatusCode::UNAVAILABLE, "the server is shutting down"});
    }
    const std::lock_guard lock(mutex_);
    if (calls_.size() >= options_.threads + options_.max_waiting) {
      return new GrpcUnknownCall(
          {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many requests wait already"});
    }
    auto* call =
        new GrpcBackupCall(*this, *context, std::max<std::size_t>(options_.response_queue, 1));
    calls_.insert(call);
    return call;
  }

 private:
  Status listen() {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(this);
    builder.AddListeningPort(options_.listen, credentials(), &port_);
    constexpr std::size_t most = 1u << 30;
    builder.SetMaxReceiveMessageSize(static_cast<int>(std::min(options_.longest_request, most)));
    // two servers on one port would each get some of its clients
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    // BR pings every 10 s, answers or not; and a client that is gone without a word is noticed
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
    server_ = builder.BuildAndStart();
    if (server_ != nullptr && port_ != 0) return {};
    return Status::error(StatusCode::unavailable,
                         "cannot listen: the address is in use or none of this machine's" +
                             std::string(options_.tls ? ", or the certificate and key do not fit "
                                                        "together"
                                                      : ""))
        .with_object(options_.listen);
  }

  [[nodiscard]] std::shared_ptr<grpc::ServerCredentials> credentials() const {
    if (!options_.tls) return grpc::InsecureServerCredentials();
    const GrpcServerTls& tls = *options_.tls;
    grpc::SslServerCredentialsOptions ssl(
        tls.client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                              : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    ssl.pem_key_cert_pairs.push_back({tls.key, tls.certificate});
    ssl.pem_root_certs = tls.client_ca;
    return grpc::SslServerCredentials(ssl);
  }

  bool submit(GrpcBackupCall& call) override {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    waiting_.push_back(&call);
    changed_.notify_one();
    return true;
  }
  void forget(GrpcBackupCall& call) override {
    const std::lock_guard lock(mutex_);
    calls_.erase(&call);
  }
  const CancelToken& stopping() const override { return stopping_; }

  static void* run_thread(void* core) {
    static_cast<GrpcServerCore*>(core)->take_calls();
    return nullptr;
  }
  void take_calls() {
    const auto report = [this](const GrpcRequestRecord& record) {
      const std::lock_guard lock(report_mutex_);
      if (options_.observer != nullptr) options_.observer->on_request(record);
    };
    for (;;) {
      GrpcBackupCall* call = nullptr;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        call = waiting_.front();
        waiting_.pop_front();
      }
      call->run(*ask_, report);
    }
  }

  GrpcServerOptions options_;
  std::optional<Ask> ask_;
  CancelToken stopping_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::vector<pthread_t> threads_;
  std::mutex report_mutex_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<GrpcBackupCall*> waiting_;        // under mutex_
  std::unordered_set<GrpcBackupCall*> calls_;  // under mutex_: not deleted yet
  bool closed_ = false;                        // under mutex_
};

}  // namespace detail

/// Serves /backup.Backup/backup, answered by a BackupNode, and grpc.health.v1.Health/Check.
///
/// A client that goes away or lets its deadline pass cancels its request; one that reads slowly
/// slows its request down. Memory is bounded by GrpcServerOptions and by the node.
template <BackupNode Node>
class GrpcBackupServer {
 public:
  /// `node` is borrowed, and called from several threads at once. Errors: unavailable with the
  /// address, resource_exhausted.
  [[nodiscard]] static Result<GrpcBackupServer> start(Node& node,
                                                      const GrpcServerOptions& options = {}) {
    GrpcBackupServer server(node, options);
    if (Status status = server.state_->core.start(server.state_->ask); !status.ok()) {
      return status;
    }
    return server;
  }

  /// The port that is listened on.
  [[nodiscard]] int port() const { return state_->core.port(); }

  /// Cancels what is being worked on, whose clients get UNAVAILABLE, and waits for its end. So does
  /// the destructor.
  void stop() { state_->core.stop(); }

 private:
  struct State {
    struct AskNode {
      Node& node;
      Status operator()(const BackupRequest& request, RespondRef respond,
                        const CancelToken* cancel) {
        return node.backup(request, respond, cancel);
      }
    };
    State(Node& node, const GrpcServerOptions& options) : ask{node}, core(options) {}
    AskNode ask;
    detail::GrpcServerCore core;
  };

  GrpcBackupServer(Node& node, const GrpcServerOptions& options)
      : state_(std::make_unique<State>(node, options)) {}

  std::unique_ptr<State> state_;
};

}  // namespace kvbackup::inline v1
