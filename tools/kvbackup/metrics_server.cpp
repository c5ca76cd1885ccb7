// SPDX-License-Identifier: Apache-2.0
#include "metrics_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <netdb.h>
#include <optional>
#include <poll.h>
#include <string_view>

#include <sys/socket.h>

#include "program.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct Place {
  std::string host = "127.0.0.1";
  std::string port;
};

std::optional<Place> place_of(const std::string& address) {
  Place place;
  const std::size_t colon = address.rfind(':');
  place.port = colon == std::string::npos ? address : address.substr(colon + 1);
  if (place.port.empty() || place.port.size() > 5 ||
      place.port.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  if (colon == std::string::npos || colon == 0) return place;
  place.host = address.substr(0, colon);
  if (place.host.front() == '[' && place.host.back() == ']') {
    place.host = place.host.substr(1, place.host.size() - 2);
  } else if (place.host.find(':') != std::string::npos) {
    return std::nullopt;
  }
  return place;
}

Result<FileHandle> listening_socket(const addrinfo& at, const std::string& address) {
  FileHandle socket(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), address);
  constexpr int on = 1;
  constexpr int most_waiting = 8;
  if (socket.descriptor() < 0 ||
      ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(socket.descriptor(), at.ai_addr, at.ai_addrlen) != 0 ||
      ::listen(socket.descriptor(), most_waiting) != 0) {
    return errno_status(errno, "listen for metrics", address);
  }
  return socket;
}

/// HOST:PORT as the system has it.
std::string name_of(const FileHandle& socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  auto* const address = reinterpret_cast<sockaddr*>(&name);
  if (::getsockname(socket.descriptor(), address, &size) != 0 ||
      ::getnameinfo(address, size, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  const std::string text = host.data();
  return (text.find(':') == std::string::npos ? text : "[" + text + "]") + ":" + port.data();
}

/// Whether the socket is ready for `events` before the steady time is `until`.
bool is_ready(int descriptor, short events, std::uint64_t until) {
  while (!cancel_token().cancelled()) {
    const std::uint64_t now = system_clock().steady_ns();
    if (now >= until) return false;
    pollfd wait{descriptor, events, 0};
    constexpr std::uint64_t slice_ms = 100;  // for a look at the token
    const auto milliseconds =
        static_cast<int>(std::min<std::uint64_t>((until - now) / 1'000'000 + 1, slice_ms));
    if (::poll(&wait, 1, milliseconds) == 1) return true;
  }
  return false;
}

/// What the client sent, to the end of its headers; nothing if it is too slow or too long.
std::optional<std::string> request_of(int client, std::uint64_t until) {
  std::string request;
  while (request.find("\r\n\r\n") == std::string::npos) {
    if (request.size() > MetricsServer::longest_request) return std::nullopt;
    if (!is_ready(client, POLLIN, until)) return std::nullopt;
    std::array<char, 1024> bytes{};
    const ssize_t got = ::recv(client, bytes.data(), bytes.size(), 0);
    if (got > 0) {
      request.append(bytes.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
      return std::nullopt;
    }
  }
  return request;
}

void send_all(int client, std::string_view bytes, std::uint64_t until) {
  while (!bytes.empty() && is_ready(client, POLLOUT, until)) {
    const ssize_t sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EINTR && errno != EAGAIN) {
      return;
    }
  }
}

std::string answer(std::string_view status, std::string_view type, std::string_view body,
                   bool with_body) {
  std::string out = "HTTP/1.1 ";
  out.append(status).append("\r\nContent-Type: ").append(type);
  out.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  out.append("\r\nConnection: close\r\n\r\n");
  if (with_body) out.append(body);
  return out;
}

std::string answer_to(std::string_view request, FunctionRef<std::string()> text) {
  constexpr std::string_view plain = "text/plain; charset=utf-8";
  const std::string_view line = request.substr(0, request.find("\r\n"));
  const std::string_view method = line.substr(0, line.find(' '));
  const std::string_view rest = line.substr(std::min(line.size(), method.size() + 1));
  const std::string_view target = rest.substr(0, rest.find_first_of(" ?"));
  if (!line.ends_with(" HTTP/1.1") && !line.ends_with(" HTTP/1.0")) {
    return answer("400 Bad Request", plain, "this is no HTTP/1\n", true);
  }
  if (method != "GET" && method != "HEAD") {
    return answer("405 Method Not Allowed", plain, "GET only\n", true);
  }
  if (target != "/metrics") {
    return answer("404 Not Found", plain, "there is /metrics only\n", method == "GET");
  }
  return answer("200 OK", "text/plain; version=0.0.4; charset=utf-8", text(), method == "GET");
}

}  // namespace

Result<MetricsServer> MetricsServer::listen(const std::string& address) {
  const auto place = place_of(address);
  if (!place) {
    return usage_error("--metrics-listen takes HOST:PORT, an IPv6 address in [], or PORT alone")
        .with_object(address);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(place->host.c_str(), place->port.c_str(), &hints, &found);
      error != 0) {
    return usage_error(std::string("--metrics-listen: this is no address here: ") +
                       ::gai_strerror(error))
        .with_object(address);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, &::freeaddrinfo);
  auto socket = listening_socket(*found, address);
  if (!socket.ok()) return std::move(socket).status();
  std::string name = name_of(socket.value());
  return MetricsServer(std::move(socket).value(), std::move(name));
}

void MetricsServer::serve_one(std::uint64_t wait_ns, FunctionRef<std::string()> text) const {
  if (!is_ready(socket_.descriptor(), POLLIN, system_clock().steady_ns() + wait_ns)) return;
  const FileHandle client(
      ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK), "");
  if (client.descriptor() < 0) return;  // it went away again
  const std::uint64_t until = system_clock().steady_ns() + patience_ns;
  const auto request = request_of(client.descriptor(), until);
  if (!request) return;
  send_all(client.descriptor(), answer_to(*request, text), until);
}

}  // namespace program
