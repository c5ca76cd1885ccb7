// SPDX-License-Identifier: Apache-2.0
// One request by one easy handle of libcurl, and the handles that wait for the next.
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/concept.hpp"
#include "kvbackup/net/url.hpp"

#if KVBACKUP_WITH_CURL && KVBACKUP_WITH_POSIX
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <curl/curl.h>

namespace kvbackup::inline v1::detail {

struct FreeCurlHandle {
  void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};
using CurlHandle = std::unique_ptr<CURL, FreeCurlHandle>;

struct FreeCurlList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

/// Handles not in use, each with its kept connections. Thread-safe.
class CurlPool {
 public:
  /// Null if libcurl has no memory or cannot be initialised.
  CurlHandle take() {
    // once a process, whichever thread comes first; libcurl counts, so a host may do it too
    static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (initialised != CURLE_OK) return nullptr;
    {
      const MutexLock lock(mutex_);
      if (!idle_.empty()) {
        // the one used last: its connection is the least likely to have been closed
        CurlHandle handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
      }
    }
    return CurlHandle(curl_easy_init());
  }
  void give_back(CurlHandle handle) {
    const MutexLock lock(mutex_);
    idle_.push_back(std::move(handle));
  }

 private:
  Mutex mutex_;
  std::vector<CurlHandle> idle_;  // under mutex_
};

class CurlExchange {
 public:
  CurlExchange(const HttpRequest& request, CURL* handle) : request_(request), handle_(handle) {}
  CurlExchange(const CurlExchange&) = delete;
  CurlExchange& operator=(const CurlExchange&) = delete;

  Status set_up(const std::string& ca_file, const std::string& user_agent) {
    if (Status status = make_headers(); !status.ok()) return status;
    bool ok = set(CURLOPT_URL, request_.url.c_str()) && set(CURLOPT_PATH_AS_IS, 1L) &&
              set(CURLOPT_PROTOCOLS_STR, "http,https") && set(CURLOPT_NOSIGNAL, 1L) &&
              set(CURLOPT_FOLLOWLOCATION, 0L) && set(CURLOPT_NETRC, long{CURL_NETRC_IGNORED}) &&
              set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS}) &&
              set(CURLOPT_HTTP09_ALLOWED, 0L) && set(CURLOPT_SSL_VERIFYPEER, 1L) &&
              set(CURLOPT_SSL_VERIFYHOST, 2L) &&
              set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2}) &&
              set(CURLOPT_USERAGENT, user_agent.c_str()) &&
              set(CURLOPT_HTTPHEADER, headers_.get()) && set(CURLOPT_TCP_KEEPALIVE, 1L);
    // 0 would be libcurl's own default of 300 s; its largest is some 24 days
    const long connect =
        request_.timeouts.connect_ms == 0 ? 2'000'000'000L : long{request_.timeouts.connect_ms};
    ok = ok && set(CURLOPT_CONNECTTIMEOUT_MS, connect) && set(CURLOPT_NOPROGRESS, 0L) &&
         set(CURLOPT_XFERINFOFUNCTION, &on_progress) && set(CURLOPT_XFERINFODATA, this) &&
         set(CURLOPT_HEADERFUNCTION, &on_header) && set(CURLOPT_HEADERDATA, this) &&
         set(CURLOPT_WRITEFUNCTION, &on_body) && set(CURLOPT_WRITEDATA, this) &&
         set(CURLOPT_BUFFERSIZE, buffer_size) && set(CURLOPT_UPLOAD_BUFFERSIZE, buffer_size);
    if (!ca_file.empty()) ok = ok && set(CURLOPT_CAINFO, ca_file.c_str());
    if (request_.no_proxy) ok = ok && set(CURLOPT_NOPROXY, "*");
    // on a kept connection that is closed without an answer, libcurl sends a request again by
    // itself
    if (request_.once) ok = ok && set(CURLOPT_FRESH_CONNECT, 1L);
    ok = ok && set_method();
    if (ok) return {};
    return Status::error(StatusCode::unsupported,
                         "this libcurl lacks an option that is needed; 7.85 or later is")
        .with_object(host());
  }

  Status run() {
    active_at_ = clock_.steady_ns();
    const CURLcode code = curl_easy_perform(handle_);
    if (!stopped_.ok()) return std::move(stopped_);
    // libcurl takes a header block that is cut off for a whole one
    if (code != CURLE_OK || !header_ended_)
      return failed(code == CURLE_OK ? CURLE_GOT_NOTHING : code);
    long status = 0;
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    return {};
  }

  /// Some servers (OpenStack Swift) send the end mark of a chunked body after an answer that has
  /// none. On a kept connection it would be taken for the beginning of the next answer, so that
  /// connection goes.
  [[nodiscard]] bool leaves_clean_connection() const noexcept {
    const bool bodiless =
        request_.method == "HEAD" || response_.status == 204 || response_.status == 304;
    return !bodiless || !response_.header("Transfer-Encoding");
  }

  [[nodiscard]] HttpResponse response() && { return std::move(response_); }

 private:
  static constexpr long buffer_size = 256 * 1024;
  // beyond this a header block is an attack; servers send some 2 KiB
  static constexpr std::size_t longest_header_block = 256 * 1024;
  // what is reserved on the word of a Content-Length alone
  static constexpr std::uint64_t most_trusted_length = 64u << 20;

  template <class Value>
  bool set(CURLoption option, Value value) {
    return curl_easy_setopt(handle_, option, value) == CURLE_OK;
  }

  bool set_method() {
    if (request_.method == "HEAD") return set(CURLOPT_NOBODY, 1L);
    if (request_.method == "GET" && request_.body.empty()) return set(CURLOPT_HTTPGET, 1L);
    if (!set(CURLOPT_CUSTOMREQUEST, request_.method.c_str())) return false;
    if (request_.method == "DELETE" && request_.body.empty()) return true;
    // POSTFIELDS for PUT too: a body in memory, which libcurl can send again by itself. No null
    // pointer, which would have it read a file.
    return set(CURLOPT_POST, 1L) &&
           set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size())) &&
           set(CURLOPT_POSTFIELDS, request_.body.empty() ? "" : request_.body.data());
  }

  Status make_headers() {
    bool has_type = false;
    for (const HttpHeader& header : request_.headers) {
      const bool broken =
          header.name.empty() ||
          header.name.find_first_of(std::string_view("\r\n:\0 ", 5)) != std::string::npos ||
          header.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos;
      if (broken) {
        return Status::error(StatusCode::invalid_argument,
                             "a line break or a zero byte stands in a header of a request; check "
                             "the options it is made of")
            .with_object(host());
      }
      has_type = has_type || same_header_name(header.name, "Content-Type");
      // with a semicolon libcurl sends a header without a value
      if (!add_header(header.name + (header.value.empty() ? ";" : ": " + header.value))) {
        return no_memory();
      }
    }
    // what libcurl would add by itself: a wait for "100 Continue", a type for what is no form
    if (!add_header("Expect:") || (!has_type && !add_header("Content-Type:"))) return no_memory();
    return {};
  }
  bool add_header(const std::string& line) {
    curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
    if (longer == nullptr) return false;
    (void)headers_.release();
    headers_.reset(longer);
    return true;
  }
  KVBACKUP_DETAIL_COLD static Status no_memory() {
    return Status::error(StatusCode::resource_exhausted, "libcurl has no memory");
  }

  /// Scheme and host: what an error may show of the URL.
  [[nodiscard]] std::string host() const {
    const auto url = parse_url(request_.url);
    if (!url.ok()) return "a URL";
    return (url.value().tls ? "https://" : "http://") + url.value().authority();
  }

  // Called at least once a second.
  static int on_progress(void* self, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up) {
    return static_cast<CurlExchange*>(self)->may_go_on(down, up) ? 0 : 1;
  }
  bool may_go_on(curl_off_t down, curl_off_t up) {
    if (stopped_.ok()) stopped_ = check_cancel(request_.cancel);
    if (!stopped_.ok()) return false;
    const std::uint64_t now = clock_.steady_ns();
    if (down != down_ || up != up_) {
      down_ = down;
      up_ = up;
      active_at_ = now;
    }
    const std::uint64_t idle_ns = std::uint64_t{request_.timeouts.idle_ms} * 1'000'000;
    if (idle_ns == 0 || now - active_at_ < idle_ns) return true;
    stopped_ = Status::error(StatusCode::unavailable,
                             "the connection stalled: no byte came or went for " +
                                 std::to_string(request_.timeouts.idle_ms) + " ms")
                   .with_object(host())
                   .as_retryable();
    return false;
  }

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self) {
    return static_cast<CurlExchange*>(self)->take_header({data, size}) ? size : 0;
  }
  bool take_header(std::string_view line) {
    active_at_ = clock_.steady_ns();
    header_bytes_ += line.size();
    if (header_bytes_ > longest_header_block) {
      stopped_ = too_long("the header of the server's answer is longer than 256 KiB");
      return false;
    }
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    header_ended_ = header_ended_ || line.empty();
    if (line.starts_with("HTTP/")) {  // an interim answer, or a proxy's, came before
      header_ended_ = false;
      response_.headers.clear();
      response_.body.clear();
      return true;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return true;
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    response_.headers.push_back({std::string(line.substr(0, colon)), std::string(value)});
    return true;
  }

  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self) {
    return static_cast<CurlExchange*>(self)->take_body({data, size}) ? size : 0;
  }
  bool take_body(std::string_view bytes) {
    std::string& body = response_.body;
    if (bytes.size() >
        request_.response_limit - std::min<std::uint64_t>(request_.response_limit, body.size())) {
      stopped_ = too_long("the server's answer is longer than the " +
                          std::to_string(request_.response_limit) + " bytes expected");
      return false;
    }
    if (body.empty()) reserve_body();
    body += bytes;
    return true;
  }
  void reserve_body() {
    const auto text = response_.header("Content-Length");
    if (!text) return;
    std::uint64_t length = 0;
    std::from_chars(text->data(), text->data() + text->size(), length);
    length = std::min({length, request_.response_limit, most_trusted_length});
    response_.body.reserve(static_cast<std::size_t>(length));
  }
  KVBACKUP_DETAIL_COLD Status too_long(std::string message) const {
    return Status::error(StatusCode::resource_exhausted, std::move(message)).with_object(host());
  }

  KVBACKUP_DETAIL_COLD Status failed(CURLcode code) const {
    StatusCode kind = StatusCode::unavailable;
    const char* advice = "check the network and the server";
    bool retryable = true;
    switch (code) {
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_ISSUER_ERROR:
        kind = StatusCode::permission_denied;
        advice = "its certificate must be valid for this host and signed by a trusted authority";
        retryable = false;
        break;
      case CURLE_SSL_CACERT_BADFILE:
      case CURLE_SSL_CERTPROBLEM:
      case CURLE_SSL_CIPHER:
      case CURLE_SSL_ENGINE_INITFAILED:
        kind = StatusCode::invalid_argument;
        advice = "check the file of trusted authorities and the TLS settings of this machine";
        retryable = false;
        break;
      case CURLE_URL_MALFORMAT:
        kind = StatusCode::invalid_argument;
        advice = "check the endpoint";
        retryable = false;
        break;
      case CURLE_OUT_OF_MEMORY:
        kind = StatusCode::resource_exhausted;
        advice = "free memory";
        retryable = false;
        break;
      default: break;
    }
    std::string message = "the HTTP request failed: ";
    message += curl_easy_strerror(code);
    message += " (libcurl error ";
    message += std::to_string(static_cast<int>(code));
    message += "); ";
    message += advice;
    return Status::error(kind, std::move(message))
        .with_object(host())
        .with_native(static_cast<int>(code))
        .as_retryable(retryable);
  }

  const HttpRequest& request_;
  CURL* handle_;
  SystemClock clock_;  // of idle times, which are the connection's own
  std::unique_ptr<curl_slist, FreeCurlList> headers_;
  HttpResponse response_;
  std::size_t header_bytes_ = 0;
  bool header_ended_ = false;
  curl_off_t down_ = 0;
  curl_off_t up_ = 0;
  std::uint64_t active_at_ = 0;
  Status stopped_;  // why a callback ended the transfer
};

}  // namespace kvbackup::inline v1::detail
#endif
