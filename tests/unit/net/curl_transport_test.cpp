// SPDX-License-Identifier: Apache-2.0
// The libcurl transport against a server that answers rightly, wrongly, or not at all.
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/loopback_server.hpp"

using namespace kvbackup;
using test_support::After;
using test_support::Answer;
using test_support::http_answer;
using test_support::LoopbackServer;
using test_support::ServedRequest;

namespace {
HttpRequest request_of(const char* method, const std::string& url, ByteView body = {}) {
  HttpRequest request;
  request.method = method;
  request.url = url;
  request.body = body;
  return request;
}
Answer say_ok(const ServedRequest&) { return {http_answer(200, "ok")}; }
}  // namespace

TEST_CASE("a request goes out as it was given, and nothing is added that a signature would miss") {
  LoopbackServer server(say_ok);
  CurlTransport transport;
  HttpRequest put = request_of("PUT", server.url("/a//b%20c/../d?x=1"), "the body");
  put.headers = {{"X-Amz-Meta-A", "b"}, {"X-Empty", ""}};
  const auto answer = transport.perform(put);
  REQUIRE(answer.ok());
  CHECK(answer.value().status == 200);
  CHECK(answer.value().body == "ok");
  CHECK(answer.value().header("content-length") == "2");
  for (const char* method : {"PUT", "POST", "DELETE", "GET", "HEAD"}) {
    REQUIRE(transport.perform(request_of(method, server.url("/x"))).ok());
  }
  const auto seen = server.requests();
  REQUIRE(seen.size() == 6);
  CHECK(seen[0].head.starts_with("PUT /a//b%20c/../d?x=1 HTTP/1.1\r\n"));
  CHECK(seen[0].body == "the body");
  CHECK(seen[0].has_line("X-Amz-Meta-A: b"));
  CHECK(seen[0].has_line("X-Empty:"));
  CHECK(seen[0].has_line("Content-Length: 8"));
  for (const auto& each : seen) {
    CHECK(each.head.find("Expect") == std::string::npos);
    CHECK(each.head.find("Content-Type") == std::string::npos);
    CHECK(each.head.find("Cookie") == std::string::npos);
    CHECK(each.head.find("Transfer-Encoding") == std::string::npos);
  }
  CHECK(seen[1].head.starts_with("PUT /x "));
  CHECK(seen[1].has_line("Content-Length: 0"));
  CHECK(seen[3].head.starts_with("DELETE /x "));
  CHECK(seen[5].head.starts_with("HEAD /x "));
}

TEST_CASE("a connection is kept, and each thread that sends at the same time has its own") {
  LoopbackServer server(say_ok);
  CurlTransport transport;
  for (int i = 0; i < 3; ++i) REQUIRE(transport.perform(request_of("GET", server.url())).ok());
  CHECK(server.connections() == 1);
  std::vector<std::thread> threads;
  std::atomic<int> succeeded{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        if (transport.perform(request_of("GET", server.url())).ok()) ++succeeded;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(succeeded == 80);
  CHECK(server.connections() <= 4);
}

TEST_CASE("stray bytes after the answer to a HEAD do not spoil the next request") {
  LoopbackServer server([](const ServedRequest& request) -> Answer {
    if (request.head.starts_with("HEAD")) {
      return {"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"};
    }
    return {http_answer(200, "ok")};
  });
  CurlTransport transport;
  for (int i = 0; i < 5; ++i) {
    const auto head = transport.perform(request_of("HEAD", server.url()));
    REQUIRE(head.ok());
    CHECK(head.value().status == 404);
    const auto get = transport.perform(request_of("GET", server.url()));
    REQUIRE(get.ok());
    CHECK(get.value().body == "ok");
  }
}

TEST_CASE("whatever the network does is unavailable, worth a retry, and shows no query") {
  const Answer answers[] = {
      {"", After::close},
      {"", After::reset},
      {"HTTP/1.1 200 OK\r\nContent-Le", After::close},
      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", After::close},
      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", After::reset},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", After::close},
      {"no http at all\r\n\r\n", After::close},
  };
  for (const Answer& wrong : answers) {
    INFO(wrong.bytes);
    LoopbackServer server([&](const ServedRequest&) { return wrong; });
    CurlTransport transport;
    const auto answer = transport.perform(request_of("PUT", server.url("/?sig=SECRET"), "body"));
    REQUIRE_FALSE(answer.ok());
    CHECK(answer.status().code() == StatusCode::unavailable);
    CHECK(answer.status().retryable());
    CHECK(answer.status().to_string().find("SECRET") == std::string::npos);
    CHECK(answer.status().object().starts_with("http://127.0.0.1:"));
    // the handle that saw it is of no harm to the next request
    LoopbackServer good(say_ok);
    CHECK(transport.perform(request_of("GET", good.url())).ok());
  }
}

TEST_CASE("a request that may not be sent twice unnoticed is not, on whatever connection") {
  for (const bool once : {false, true}) {
    LoopbackServer server([posts = 0](const ServedRequest& request) mutable -> Answer {
      const bool lose = request.head.starts_with("POST") && ++posts == 1;
      return lose ? Answer{"", After::close} : Answer{http_answer(200, "ok")};
    });
    CurlTransport transport;
    REQUIRE(transport.perform(request_of("GET", server.url())).ok());
    HttpRequest post = request_of("POST", server.url(), "body");
    post.once = once;
    const auto answer = transport.perform(post);
    CHECK(answer.ok() == !once);
    CHECK(server.requests().size() == (once ? 2 : 3));
  }
}

TEST_CASE("nobody listening is worth a retry") {
  std::string url;
  {
    LoopbackServer server(say_ok);
    url = server.url();
  }
  const auto answer = CurlTransport().perform(request_of("GET", url));
  CHECK(answer.status().code() == StatusCode::unavailable);
  CHECK(answer.status().retryable());
}

TEST_CASE("a transfer that stalls ends after its idle time") {
  for (const char* bytes : {"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"}) {
    LoopbackServer server([&](const ServedRequest&) { return Answer{bytes, After::stall}; });
    HttpRequest request = request_of("GET", server.url());
    request.timeouts.idle_ms = 100;
    const auto answer = CurlTransport().perform(request);
    CHECK(answer.status().code() == StatusCode::unavailable);
    CHECK(answer.status().retryable());
    CHECK(answer.status().message().find("stalled") != std::string::npos);
  }
}

TEST_CASE("a cancelled transfer ends, and one that is cancelled before does not begin") {
  CancelToken cancel;
  LoopbackServer server([&](const ServedRequest&) {
    cancel.cancel();
    return Answer{"", After::stall};
  });
  HttpRequest request = request_of("GET", server.url());
  request.cancel = &cancel;
  CurlTransport transport;
  CHECK(transport.perform(request).status().code() == StatusCode::cancelled);
  CHECK(transport.perform(request).status().code() == StatusCode::cancelled);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("an answer over its limit is an error, and one of exactly that length is not") {
  LoopbackServer server([](const ServedRequest&) { return Answer{http_answer(200, "12345")}; });
  HttpRequest request = request_of("GET", server.url());
  CurlTransport transport;
  request.response_limit = 5;
  CHECK(transport.perform(request).ok());
  request.response_limit = 4;
  const auto answer = transport.perform(request);
  CHECK(answer.status().code() == StatusCode::resource_exhausted);
  CHECK_FALSE(answer.status().retryable());
  LoopbackServer endless([](const ServedRequest&) {
    return Answer{"HTTP/1.1 200 OK\r\n" + std::string(400'000, 'h') + ": x\r\n\r\n", After::close};
  });
  CHECK_FALSE(transport.perform(request_of("GET", endless.url())).ok());
}

TEST_CASE("a redirect is an answer like any other") {
  LoopbackServer server([](const ServedRequest&) {
    return Answer{http_answer(307, "", "Location: /elsewhere\r\n")};
  });
  const auto answer = CurlTransport().perform(request_of("GET", server.url()));
  REQUIRE(answer.ok());
  CHECK(answer.value().status == 307);
  CHECK(answer.value().header("location") == "/elsewhere");
  CHECK(server.requests().size() == 1);
}

TEST_CASE("headers that could become two, and URLs that are none, are refused") {
  LoopbackServer server(say_ok);
  CurlTransport transport;
  const std::vector<HttpHeader> bad{
      {"A", "b\r\nC: d"}, {"A", std::string("b\0c", 3)}, {"A\nB", "c"}, {"", "x"}, {"A:", "b"}};
  for (const HttpHeader& header : bad) {
    HttpRequest request = request_of("GET", server.url());
    request.headers = {header};
    CHECK(transport.perform(request).status().code() == StatusCode::invalid_argument);
  }
  CHECK(server.requests().empty());
  for (const char* url : {"", "file:///etc/passwd", "gopher://127.0.0.1/"}) {
    CHECK_FALSE(transport.perform(request_of("GET", url)).ok());
  }
}

TEST_CASE("interim answers are passed over") {
  LoopbackServer server([](const ServedRequest&) {
    return Answer{"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n" + http_answer(200, "ok")};
  });
  const auto answer = CurlTransport().perform(request_of("GET", server.url()));
  REQUIRE(answer.ok());
  CHECK(answer.value().status == 200);
  CHECK_FALSE(answer.value().header("X-Early").has_value());
}

TEST_CASE("a proxy of the environment is used unless the request is for this machine") {
  LoopbackServer proxy([](const ServedRequest&) { return Answer{http_answer(200, "proxy")}; });
  LoopbackServer server(say_ok);
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  CurlTransport transport;
  HttpRequest request = request_of("GET", server.url());
  CHECK(transport.perform(request).value().body == "proxy");
  request.no_proxy = true;
  CHECK(transport.perform(request).value().body == "ok");
  ::unsetenv("http_proxy");
}
