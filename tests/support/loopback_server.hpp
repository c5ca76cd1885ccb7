// SPDX-License-Identifier: Apache-2.0
// An HTTP server on loopback that does exactly what a test tells it, right or wrong.
#pragma once

#include <atomic>
#include <charconv>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

namespace test_support {

/// What came in: the head as it was sent, and the body.
struct ServedRequest {
  std::string head;
  std::string body;
  int connection = 0;  ///< from 1, in the order of their coming

  bool has_line(std::string_view line) const {
    return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
  }
};

enum class After {
  keep,   ///< wait for the next request
  close,  ///< end the connection in order
  reset,  ///< end it with a reset
  stall,  ///< send nothing more until the client goes
};

/// What goes out.
struct Answer {
  std::string bytes;
  After after = After::keep;
};

/// "HTTP/1.1 STATUS" with the length of its body.
inline std::string http_answer(int status, std::string_view body, std::string_view headers = {}) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(headers) +
         "\r\n" + std::string(body);
}

class LoopbackServer {
 public:
  using Handler = std::function<Answer(const ServedRequest&)>;

  explicit LoopbackServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 64);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;
  ~LoopbackServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const std::lock_guard lock(mutex_);
      for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    for (const int socket : sockets_) ::close(socket);
  }

  std::string url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  int connections() const { return connections_; }
  std::vector<ServedRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void accept_all() {
    while (true) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (socket < 0) return;
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        ::close(socket);
        return;
      }
      sockets_.push_back(socket);
      threads_.emplace_back([this, socket, number = ++connections_] { serve(socket, number); });
    }
  }

  void serve(int socket, int number) {
    std::string pending;
    ServedRequest request;
    request.connection = number;
    while (receive(socket, pending, request)) {
      Answer answer;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      answer = handler_(request);
      send_all(socket, answer.bytes);
      if (answer.after == After::reset) {
        const linger now{1, 0};
        ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        // a reset goes out at close; the number is taken again by a duplicate, so that the
        // destructor closes what is its own
        const int other = ::socket(AF_INET, SOCK_STREAM, 0);
        ::dup2(other, socket);
        ::close(other);
        return;
      }
      if (answer.after == After::close) {
        ::shutdown(socket, SHUT_WR);
        drain(socket);
        return;
      }
      if (answer.after == After::stall) {
        drain(socket);
        return;
      }
    }
    ::shutdown(socket, SHUT_RDWR);
  }

  static void drain(int socket) {
    char buffer[65536];
    while (::recv(socket, buffer, sizeof buffer, 0) > 0) {
    }
  }
  static void send_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  static bool receive(int socket, std::string& pending, ServedRequest& request) {
    std::size_t end = std::string::npos;
    while ((end = pending.find("\r\n\r\n")) == std::string::npos) {
      if (!more(socket, pending)) return false;
    }
    request.head = pending.substr(0, end + 4);
    pending.erase(0, end + 4);
    std::size_t length = 0;
    const std::size_t at = request.head.find("\r\nContent-Length: ");
    if (at != std::string::npos) {
      std::from_chars(request.head.data() + at + 18, request.head.data() + request.head.size(),
                      length);
    }
    while (pending.size() < length) {
      if (!more(socket, pending)) return false;
    }
    request.body = pending.substr(0, length);
    pending.erase(0, length);
    return true;
  }
  static bool more(int socket, std::string& pending) {
    char buffer[65536];
    const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    pending.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  std::thread acceptor_;
  mutable std::mutex mutex_;
  std::vector<int> sockets_;             // under mutex_
  std::vector<std::thread> threads_;     // under mutex_ until the acceptor has ended
  std::vector<ServedRequest> requests_;  // under mutex_
};

}  // namespace test_support
