// SPDX-License-Identifier: Apache-2.0
// One call of /backup.Backup/backup on the server.
//
// gRPC's threads must not wait, and a BackupNode does: so the call is read here, handed to a thread
// of the server, and answered by it through a queue that is bounded. The thread is the one that
// ends the call, and does not touch it afterwards, for then gRPC deletes it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <utility>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <kvbackup/ext/detail/grpc_common.hpp>
#include <kvbackup/kvbackup.hpp>

namespace kvbackup::inline v1 {

/// What a server says of a request that has ended: enough for a line of an audit.
struct GrpcRequestRecord {
  std::string peer;       ///< gRPC's name of its address: "ipv4:127.0.0.1:4711"
  std::string identity;   ///< of its certificate, if it had to show one; may hold any byte
  BackupRequest request;  ///< with the credentials of its storage: not for a log as it is
  Status status;          ///< of the stream
  std::uint64_t responses = 0;
  std::uint64_t errors = 0;  ///< responses that are one
  std::string first_error;   ///< the text of the first of them
  std::uint64_t files = 0;
  std::uint64_t pairs = 0;
  std::uint64_t stored_bytes = 0;
};

namespace detail {

class GrpcBackupCall;

/// What a call needs of its server, which outlives it.
class GrpcCallOwner {
 public:
  /// Takes the call, to run() it on another thread. False: there is no room.
  virtual bool submit(GrpcBackupCall& call) = 0;
  /// The call is about to be deleted.
  virtual void forget(GrpcBackupCall& call) = 0;
  virtual const CancelToken& stopping() const = 0;

 protected:
  ~GrpcCallOwner() = default;
};

class GrpcBackupCall final : public grpc::ServerGenericBidiReactor {
 public:
  GrpcBackupCall(GrpcCallOwner& owner, grpc::GenericCallbackServerContext& context,
                 std::size_t longest_queue)
      : owner_(owner), longest_queue_(longest_queue), cancel_(&owner.stopping()) {
    record_.peer = context.peer();
    if (const auto auth = context.auth_context(); auth != nullptr) {
      for (const grpc::string_ref& name : auth->GetPeerIdentity()) {
        if (!record_.identity.empty()) record_.identity += ',';
        record_.identity.append(name.data(), name.size());
      }
    }
    StartRead(&request_);
  }

  /// Asks `node` and ends the call. `done(record)` is called before.
  template <class Node, class Done>
  void run(Node& node, Done&& done) {
    Status status = decode_request();
    if (status.ok()) {
      const auto respond = [this](BackupResponse&& response) { return send(response); };
      status = node(record_.request, RespondRef(respond), &cancel_);
    }
    if (owner_.stopping().cancelled() && status.code() == StatusCode::cancelled) {
      status = Status::error(StatusCode::unavailable, "the server is shutting down");
    }
    if (!drain() && status.ok()) {
      status = Status::error(StatusCode::cancelled, "the client is gone");
    }
    record_.status = std::move(status);
    done(std::as_const(record_));
    Finish(grpc_status(record_.status));
  }

  /// Lets a wait look at the cancel tokens again.
  void wake() {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish({grpc::StatusCode::INVALID_ARGUMENT, "the call ended before its BackupRequest"});
    } else if (!owner_.submit(*this)) {
      Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many requests wait already"});
    }
  }
  void OnWriteDone(bool ok) override {
    const grpc::ByteBuffer* next = nullptr;
    {
      const std::lock_guard lock(mutex_);
      queue_.pop_front();
      if (!ok) {
        broken_ = true;
        queue_.clear();
      }
      writing_ = !queue_.empty();
      if (writing_) next = &queue_.front();
      changed_.notify_all();
    }
    if (next != nullptr) StartWrite(next);
  }
  /// The client is gone, gave up, or its deadline has passed.
  void OnCancel() override {
    cancel_.cancel();
    wake();
  }
  void OnDone() override {
    owner_.forget(*this);
    delete this;
  }

 private:
  ~GrpcBackupCall() override = default;

  Status decode_request() {
    auto bytes = bytes_of(request_);
    request_.Clear();
    if (!bytes.ok()) return std::move(bytes).status();
    auto request = decode<BackupRequest>(bytes.value());
    if (!request.ok()) {
      return Status::error(StatusCode::invalid_argument, std::string(request.status().message()));
    }
    record_.request = std::move(request).value();
    return {};
  }

  /// Waits while the queue is full: the client reads too slowly.
  Status send(const BackupResponse& response) {
    count(response);
    grpc::ByteBuffer buffer = buffer_of(response);
    const grpc::ByteBuffer* next = nullptr;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return queue_.size() < longest_queue_ || ended(); });
      if (ended()) return Status::error(StatusCode::cancelled, "the client is gone");
      queue_.push_back(std::move(buffer));
      if (!writing_) next = &queue_.front();
      writing_ = true;
    }
    if (next != nullptr) StartWrite(next);
    return {};
  }
  [[nodiscard]] bool ended() const { return broken_ || cancel_.cancelled(); }

  /// Nothing may be under way when the call ends. What was cancelled is not sent any more. False if
  /// not all was sent.
  [[nodiscard]] bool drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !writing_; });
    return !broken_;
  }

  void count(const BackupResponse& response) {
    record_.responses += 1;
    if (response.error) {
      if (record_.errors == 0) record_.first_error = response.error->msg;
      record_.errors += 1;
    }
    record_.files += response.files.size();
    for (const File& file : response.files) {
      record_.pairs += file.total_kvs;
      record_.stored_bytes += file.size;
    }
  }

  GrpcCallOwner& owner_;
  std::size_t longest_queue_;
  CancelToken cancel_;
  grpc::ByteBuffer request_;
  GrpcRequestRecord record_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<grpc::ByteBuffer> queue_;  // under mutex_; the front is being written
  bool writing_ = false;                // under mutex_
  bool broken_ = false;                 // under mutex_: a write failed
};

/// One call of the health service: a question about "" or "backup.Backup" is answered.
class GrpcHealthCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit GrpcHealthCall(bool serving) : serving_(serving) { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    const auto bytes = ok ? bytes_of(request_) : Result<std::string>(std::string());
    std::string service;
    if (!bytes.ok() || !service_of(bytes.value(), service)) {
      Finish({grpc::StatusCode::INVALID_ARGUMENT, "this is no HealthCheckRequest"});
    } else if (!service.empty() && service != "backup.Backup") {
      Finish({grpc::StatusCode::NOT_FOUND, "there is no such service"});
    } else {
      // HealthCheckResponse{status = 1: SERVING, or 2: NOT_SERVING}
      const grpc::Slice slice(std::string(serving_ ? "\x08\x01" : "\x08\x02"));
      response_ = grpc::ByteBuffer(&slice, 1);
      StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
    }
  }
  void OnDone() override { delete this; }

 private:
  ~GrpcHealthCall() override = default;

  /// HealthCheckRequest{service = 1: string}
  static bool service_of(ByteView bytes, std::string& service) {
    WireReader reader(bytes, wire_depth_limit);
    WireField field;
    while (reader.next(field)) {
      if (field.number == 1 && field.wire_type == WireType::length_delimited) {
        service = field.payload;
      }
    }
    return reader.error() == nullptr;
  }

  bool serving_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

/// A call of anything else.
class GrpcUnknownCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit GrpcUnknownCall(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }

 private:
  ~GrpcUnknownCall() override = default;
};

}  // namespace detail
}  // namespace kvbackup::inline v1
