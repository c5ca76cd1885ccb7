// SPDX-License-Identifier: Apache-2.0
// HTTP by libcurl.
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/detail/curl_exchange.hpp"

#if KVBACKUP_WITH_CURL && KVBACKUP_WITH_POSIX
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <curl/curl.h>

namespace kvbackup::inline v1 {

struct CurlOptions {
  /// A PEM file of the authorities to trust, in place of the system's; empty: the system's.
  std::string ca_file;
  std::string user_agent = "kvbackup";
};

/// HttpTransport by libcurl 7.85 or later: HTTP/2 where TLS negotiates it, else HTTP/1.1.
///
/// Certificates and host names are always verified. Proxies are those of the environment
/// (http_proxy, HTTPS_PROXY, NO_PROXY). No cookies, no .netrc, no signal, no redirect, no file://.
/// libcurl is initialised once a process, at the first request, and never torn down, since the host
/// may use it too. Connections are kept: each thread that sends at the same time gets its own.
///
/// libcurl itself sends a request again in one case: where a kept connection turns out to be closed
/// before the first byte of an answer. HttpRequest::once keeps a request off kept connections.
class CurlTransport {
 public:
  explicit CurlTransport(CurlOptions options = {})
      : pool_(std::make_unique<detail::CurlPool>()), options_(std::move(options)) {}

  /// Errors: unavailable (retryable) for whatever the network does; cancelled; resource_exhausted
  /// for a body over request.response_limit; permission_denied for a certificate that does not
  /// verify; invalid_argument for a URL or header that cannot be sent. They name scheme and host.
  Result<HttpResponse> perform(const HttpRequest& request) {
    if (Status status = check_cancel(request.cancel); !status.ok()) return status;
    detail::CurlHandle handle = pool_->take();
    if (handle == nullptr) {
      return Status::error(StatusCode::resource_exhausted, "libcurl cannot be initialised");
    }
    detail::CurlExchange exchange(request, handle.get());
    Status status = exchange.set_up(options_.ca_file, options_.user_agent);
    if (status.ok()) status = exchange.run();
    curl_easy_reset(handle.get());  // keeps connections, drops what points into the exchange
    if (status.ok() && exchange.leaves_clean_connection()) pool_->give_back(std::move(handle));
    if (!status.ok()) return status;
    return std::move(exchange).response();
  }

 private:
  std::unique_ptr<detail::CurlPool> pool_;
  CurlOptions options_;
};
static_assert(HttpTransport<CurlTransport>);

}  // namespace kvbackup::inline v1
#endif
