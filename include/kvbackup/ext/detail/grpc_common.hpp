// SPDX-License-Identifier: Apache-2.0
// What both ends of a gRPC call share: names, messages as byte buffers, status codes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <kvbackup/kvbackup.hpp>

#if !KVBACKUP_WITH_GRPC
#error "kvbackup/ext/grpc*.hpp need KVBACKUP_WITH_GRPC=1 and gRPC for C++"
#endif

namespace kvbackup::inline v1::detail {

/// `rpc backup(BackupRequest) returns (stream BackupResponse)` of proto/backup.proto.
inline constexpr std::string_view grpc_backup_method = "/backup.Backup/backup";
/// `rpc Check(HealthCheckRequest) returns (HealthCheckResponse)` of grpc/health/v1/health.proto.
inline constexpr std::string_view grpc_health_method = "/grpc.health.v1.Health/Check";

/// Takes the bytes out of a buffer. Errors: corruption.
[[nodiscard]] inline Result<std::string> bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) {
    return Status::error(StatusCode::corruption, "a gRPC message cannot be decompressed");
  }
  std::string bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

template <Message M>
[[nodiscard]] grpc::ByteBuffer buffer_of(const M& message) {
  const grpc::Slice slice(encode(message));
  return grpc::ByteBuffer(&slice, 1);
}

/// What a client is told. As TiKV, INVALID_ARGUMENT for what can never be served, UNKNOWN with a
/// text for a column family that is not there; UNAVAILABLE has BR try again.
[[nodiscard]] inline grpc::Status grpc_status(const Status& status) {
  constexpr std::size_t longest = 4096;  // trailers of 8 KiB are what every peer takes
  if (status.ok()) return grpc::Status::OK;
  grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
  switch (status.code()) {
    case StatusCode::invalid_argument:
    case StatusCode::unsupported: code = grpc::StatusCode::INVALID_ARGUMENT; break;
    case StatusCode::cancelled: code = grpc::StatusCode::CANCELLED; break;
    case StatusCode::unavailable: code = grpc::StatusCode::UNAVAILABLE; break;
    case StatusCode::permission_denied: code = grpc::StatusCode::PERMISSION_DENIED; break;
    case StatusCode::resource_exhausted: code = grpc::StatusCode::RESOURCE_EXHAUSTED; break;
    default: break;
  }
  return {code, status.to_string().substr(0, longest)};
}

/// What a peer told. The native code is gRPC's number.
[[nodiscard]] inline Status status_of(const grpc::Status& answer, std::string_view address) {
  if (answer.ok()) return {};
  StatusCode code = StatusCode::io_error;
  bool retryable = false;
  switch (answer.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE: code = StatusCode::invalid_argument; break;
    case grpc::StatusCode::UNIMPLEMENTED: code = StatusCode::unsupported; break;
    case grpc::StatusCode::NOT_FOUND: code = StatusCode::not_found; break;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED: code = StatusCode::permission_denied; break;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      code = StatusCode::resource_exhausted;
      retryable = true;
      break;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::INTERNAL:  // what a stream that a peer or a proxy reset ends with
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::CANCELLED:  // by the server: who cancels here knows it
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      code = StatusCode::unavailable;
      retryable = true;
      break;
    default: break;
  }
  std::string text = "the node ended the stream with ";
  text += answer.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED
              ? "DEADLINE_EXCEEDED"
              : "gRPC status " + std::to_string(static_cast<int>(answer.error_code()));
  if (!answer.error_message().empty()) text += ": " + answer.error_message();
  return Status::error(code, std::move(text))
      .with_object(address)
      .with_native(static_cast<int>(answer.error_code()))
      .as_retryable(retryable);
}

}  // namespace kvbackup::inline v1::detail
