// SPDX-License-Identifier: Apache-2.0
// As much of HTTP as a collector of metrics needs: GET /metrics, one request at a time, nothing
// kept open. It runs on the thread that calls it.
#pragma once

#include <cstdint>
#include <string>

#include <kvbackup/kvbackup.hpp>

namespace program {

class MetricsServer {
 public:
  /// Longer requests are refused.
  static constexpr std::size_t longest_request = 8 * 1024;
  /// What a client has to send its request and take its answer.
  static constexpr std::uint64_t patience_ns = 2'000'000'000;

  /// `address` is HOST:PORT, an IPv6 address in [], or PORT alone, which is on loopback; port 0 is
  /// one that is free. Errors: invalid_argument, io_error.
  [[nodiscard]] static kvbackup::Result<MetricsServer> listen(const std::string& address);

  /// "127.0.0.1:9420".
  [[nodiscard]] const std::string& address() const { return address_; }

  /// Waits up to `wait_ns` for a client, and answers it with what `text` gives.
  void serve_one(std::uint64_t wait_ns, kvbackup::FunctionRef<std::string()> text) const;

 private:
  MetricsServer(kvbackup::FileHandle socket, std::string address)
      : socket_(std::move(socket)), address_(std::move(address)) {}

  kvbackup::FileHandle socket_;
  std::string address_;
};

}  // namespace program
