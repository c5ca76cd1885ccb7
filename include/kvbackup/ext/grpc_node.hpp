// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <kvbackup/ext/detail/grpc_common.hpp>
#include <kvbackup/kvbackup.hpp>

namespace kvbackup::inline v1 {

/// PEM texts. `certificate` and `key` are this client's, for servers that ask for one; empty
/// otherwise.
struct GrpcClientTls {
  std::string ca;  ///< whom to trust; empty: gRPC's own roots
  std::string certificate;
  std::string key;
  std::string server_name;  ///< that its certificate must have; empty: the host of the address
};

struct GrpcNodeOptions {
  std::optional<GrpcClientTls> tls = std::nullopt;  ///< without it everything is sent in the clear
  /// How long one request may take in all; 0 is unlimited.
  std::uint64_t deadline_ms = 0;
};

/// A BackupNode on the network. The constructor touches nothing outside the process; connections
/// are made, and made again, by each request. backup() may be called from several threads at once;
/// copies share the connection.
class GrpcBackupNode {
 public:
  /// `address` is HOST:PORT.
  explicit GrpcBackupNode(std::string address, GrpcNodeOptions options = {})
      : address_(std::move(address)),
        deadline_ms_(options.deadline_ms),
        channel_(make_channel(address_, options.tls)) {}

  [[nodiscard]] std::string_view address() const { return address_; }

  /// Errors: what `respond` gave; cancelled; else what the node or the network said, with gRPC's
  /// status as native code and the address as object, retryable where the node may be back.
  /// corruption for an answer that is none.
  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken* cancel) {
    if (Status status = check_cancel(cancel); !status.ok()) return status;
    Exchange exchange(channel_, deadline_ms_, cancel);
    Status failure;
    if (exchange.send(detail::buffer_of(request))) {
      while (failure.ok()) {
        auto bytes = exchange.receive();
        if (!bytes) break;
        failure = take(*bytes, respond);
      }
    }
    if (!failure.ok()) exchange.give_up();
    const grpc::Status answer = exchange.finish();
    if (!failure.ok()) return failure;
    if (exchange.given_up()) {
      if (Status status = check_cancel(cancel); !status.ok()) return status;
    }
    return detail::status_of(answer, address_);
  }

 private:
  using Stub = grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer>;

  /// One call, a step at a time, so that no step is under way when it is destroyed.
  class Exchange {
   public:
    Exchange(const std::shared_ptr<grpc::Channel>& channel, std::uint64_t deadline_ms,
             const CancelToken* cancel)
        : cancel_(cancel), stub_(channel) {
      if (deadline_ms > 0) {
        // later than gRPC's clock can say is never
        constexpr std::uint64_t longest = 1ull << 40;
        const std::chrono::milliseconds limit(
            static_cast<std::int64_t>(deadline_ms < longest ? deadline_ms : longest));
        context_.set_deadline(std::chrono::system_clock::now() + limit);
      }
      call_ = stub_.PrepareCall(&context_, std::string(detail::grpc_backup_method), &queue_);
    }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    ~Exchange() {
      queue_.Shutdown();
      void* tag = nullptr;
      bool ok = false;
      while (queue_.Next(&tag, &ok)) {
      }
    }

    bool send(const grpc::ByteBuffer& request) {
      call_->StartCall(this);
      if (!step_done()) return false;
      call_->WriteLast(request, grpc::WriteOptions(), this);
      return step_done();
    }
    /// Nothing where the stream has ended.
    std::optional<grpc::ByteBuffer> receive() {
      grpc::ByteBuffer message;
      call_->Read(&message, this);
      if (!step_done()) return std::nullopt;
      return message;
    }
    grpc::Status finish() {
      grpc::Status status;
      call_->Finish(&status, this);
      step_done();
      return status;
    }
    void give_up() {
      given_up_ = true;
      context_.TryCancel();
    }
    [[nodiscard]] bool given_up() const { return given_up_; }

   private:
    /// Waits for the step under way, which ends soon once the call is cancelled.
    bool step_done() {
      constexpr std::chrono::milliseconds between_looks(20);
      void* tag = nullptr;
      bool ok = false;
      for (;;) {
        const auto until = std::chrono::system_clock::now() + between_looks;
        if (queue_.AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::GOT_EVENT) return ok;
        if (!given_up_ && cancel_ != nullptr && cancel_->cancelled()) give_up();
      }
    }

    const CancelToken* cancel_;
    Stub stub_;
    grpc::ClientContext context_;
    grpc::CompletionQueue queue_;
    std::unique_ptr<grpc::ClientAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> call_;
    bool given_up_ = false;
  };

  Status take(const grpc::ByteBuffer& message, RespondRef respond) const {
    auto bytes = detail::bytes_of(message);
    if (!bytes.ok()) return std::move(bytes).status().with_object(address_);
    auto response = decode<BackupResponse>(bytes.value());
    if (!response.ok()) return std::move(response).status().with_object(address_);
    return respond(std::move(response).value());
  }

  static std::shared_ptr<grpc::Channel> make_channel(const std::string& address,
                                                     const std::optional<GrpcClientTls>& tls) {
    constexpr int longest_response = 16 << 20;  // bytes; one names the files of a region
    // BR's own: a node that is gone without a word is noticed
    constexpr int keepalive_ms = 10'000;
    constexpr int keepalive_timeout_ms = 3'000;
    // a node that comes back is asked soon
    constexpr int longest_reconnect_ms = 3'000;
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(longest_response);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_timeout_ms);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, longest_reconnect_ms);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // nodes are peers, not sites
    if (!tls) {
      return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    }
    if (!tls->server_name.empty()) arguments.SetSslTargetNameOverride(tls->server_name);
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = tls->ca;
    options.pem_cert_chain = tls->certificate;
    options.pem_private_key = tls->key;
    return grpc::CreateCustomChannel(address, grpc::SslCredentials(options), arguments);
  }

  std::string address_;
  std::uint64_t deadline_ms_;
  std::shared_ptr<grpc::Channel> channel_;
};
static_assert(BackupNode<GrpcBackupNode>);

}  // namespace kvbackup::inline v1
