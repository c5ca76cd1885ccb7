// SPDX-License-Identifier: Apache-2.0
// Uploads in parts, and whatever can go wrong between their first request and their last answer.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_backend.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"
#include "support/scripted_transport.hpp"
#include "support/tiny_s3.hpp"

namespace s3_upload_test {

using namespace kvbackup;
using test_support::answer;
using test_support::FixedClock;
using test_support::FixedRandom;
using test_support::lost;
using test_support::Recorder;
using test_support::s3_error;
using test_support::ScriptedTransport;
using test_support::SentRequest;
using test_support::TinyS3;

namespace {
using Backend = BasicS3Backend<ScriptedTransport>;
using Response = Result<HttpResponse>;
constexpr std::size_t part = 5u << 20;

struct Bench {
  Bench() {
    options.endpoint = "http://127.0.0.1:9000";
    options.bucket = "b";
    options.access_key = "AKID";
    options.secret_access_key = "SECRET";
    options.part_size = part;
    options.retry.attempts = 3;
    options.clock = &clock;
    options.random = &random;
    options.observer = &observer;
  }
  Backend backend() { return Backend(options, transport); }
  Result<ObjectInfo> put(ByteView bytes, bool if_absent = true,
                         std::optional<std::uint64_t> hint = {}) {
    auto writer = backend().create("o", {.size_hint = hint, .if_absent = if_absent});
    if (!writer.ok()) return writer.status();
    if (Status status = writer.value().append(bytes); !status.ok()) return status;
    return writer.value().commit();
  }
  const TinyS3::Object& object() { return server.objects.at("/b/o"); }
  std::size_t sent(std::string_view what) const {
    std::size_t count = 0;
    for (const SentRequest& each : transport.requests()) {
      count += each.line().find(what) != std::string::npos ? 1 : 0;
    }
    return count;
  }

  FixedClock clock;
  FixedRandom random{7};
  Recorder observer;
  S3Options options;
  TinyS3 server;
  ScriptedTransport transport = server.transport();
};

std::string noise(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& c : bytes) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}
bool is_part(const SentRequest& request) {
  return request.url.find("partNumber=") != std::string::npos;
}
bool is_complete(const SentRequest& request) {
  return request.method == "POST" && request.url.find("?uploadId=") != std::string::npos;
}
/// The answer to the first request of a kind is lost after the request was carried out.
TinyS3::Fault lose_answer(bool (*kind)(const SentRequest&), int times = 1) {
  return [kind, left = std::make_shared<std::atomic<int>>(times)](
             const SentRequest& request, bool done) -> std::optional<Response> {
    if (done && kind(request) && (*left)-- > 0) return Response(lost());
    return std::nullopt;
  };
}
}  // namespace

TEST_CASE("an object over one part is sent in parts and comes back whole") {
  for (const std::uint32_t in_flight : {1u, 2u, 4u}) {
    for (const std::size_t size : {part, part + 1, 2 * part, 3 * part + 17}) {
      Bench bench;
      bench.options.parts_in_flight = in_flight;
      bench.options.storage_class = "GLACIER";
      const std::string bytes = noise(size);
      auto writer = bench.backend().create("o", CreateOptions{});
      REQUIRE(writer.ok());
      for (std::size_t at = 0; at < size; at += 1'000'003) {
        REQUIRE(writer.value().append(ByteView(bytes).substr(at, 1'000'003)).ok());
      }
      const auto info = writer.value().commit();
      REQUIRE(info.ok());
      CHECK(info.value() == ObjectInfo{"o", size});
      CHECK(bench.object().bytes == bytes);
      CHECK(find_header(bench.object().headers, "x-amz-storage-class") == "GLACIER");
      CHECK(bench.server.uploads.empty());
      CHECK(bench.sent("partNumber=") == (size == part ? 0 : (size + part - 1) / part));
      for (const SentRequest& each : bench.transport.requests()) {
        if (!is_part(each)) continue;
        CHECK(each.header("x-amz-content-sha256") ==
              to_hex(as_bytes(OpensslSha256::of(each.body))));
        CHECK(each.header("x-amz-storage-class") == "(none)");
      }
    }
  }
}

TEST_CASE("as many parts as asked for are on their way at once, and never more") {
  Bench bench;
  bench.options.parts_in_flight = 3;
  std::mutex mutex;
  std::condition_variable changed;
  int now = 0;
  int most = 0;
  int come = 0;
  bench.server.fault = [&](const SentRequest& request, bool done) -> std::optional<Response> {
    if (!is_part(request)) return std::nullopt;
    std::unique_lock lock(mutex);
    if (done) {
      --now;
      return std::nullopt;
    }
    most = std::max(most, ++now);
    ++come;
    changed.notify_all();
    // none is answered before three are there
    changed.wait(lock, [&] { return come >= 3; });
    return std::nullopt;
  };
  CHECK(bench.put(std::string(6 * part, 'x')).ok());
  CHECK(most == 3);
}

TEST_CASE("each part's checksum is sent and named again at the end") {
  Bench bench;
  bench.options.checksums = true;
  bench.server.fault = [&](const SentRequest& request, bool done) -> std::optional<Response> {
    if (!done || !is_complete(request)) return std::nullopt;
    return Response(answer(200, "<CompleteMultipartUploadResult/>"));
  };
  CHECK(bench.put(std::string(part + 1, 'x')).ok());
  std::string sums;
  for (const SentRequest& each : bench.transport.requests()) {
    if (is_part(each)) sums += each.header("x-amz-checksum-sha256") + ";";
    if (each.url.find("?uploads=") != std::string::npos) {
      CHECK(each.header("x-amz-checksum-algorithm") == "SHA256");
    }
    if (is_complete(each)) {
      CHECK(sums.size() == 90);
      const std::string last = base64_encode(as_bytes(OpensslSha256::of("x")));
      CHECK(each.body.find("<ChecksumSHA256>" + last + "</ChecksumSHA256></Part></Complete") !=
            std::string::npos);
    }
  }
}

TEST_CASE("parts are so long that an object of the expected size has at most 10,000") {
  Bench bench;
  const std::uint64_t expected = 100ull << 30;
  auto writer = bench.backend().create("o", {.size_hint = expected, .if_absent = false});
  REQUIRE(writer.ok());
  REQUIRE(writer.value().append(std::string(11u << 20, 'x')).ok());
  REQUIRE(writer.value().commit().ok());
  for (const SentRequest& each : bench.transport.requests()) {
    if (each.url.find("partNumber=1&") == std::string::npos) continue;
    CHECK(each.body.size() >= expected / 10'000);
    CHECK(each.body.size() <= expected / 10'000 + 1);
  }
}

TEST_CASE("a part that fails for good ends the upload, and the writer stays failed") {
  for (const std::uint32_t in_flight : {1u, 3u}) {
    Bench bench;
    bench.options.parts_in_flight = in_flight;
    bench.server.fault = [](const SentRequest& request, bool) -> std::optional<Response> {
      if (request.url.find("partNumber=2&") == std::string::npos) return std::nullopt;
      return Response(s3_error(403, "AccessDenied"));
    };
    auto writer = bench.backend().create("o", CreateOptions{});
    REQUIRE(writer.ok());
    Status status;
    for (int i = 0; i < 20 && status.ok(); ++i) {
      status = writer.value().append(std::string(part, 'x'));
    }
    CHECK(status.code() == StatusCode::permission_denied);
    CHECK(status.object() == "s3://b/o");
    CHECK(writer.value().append("x").code() == StatusCode::permission_denied);
    CHECK(writer.value().commit().status().code() == StatusCode::permission_denied);
    CHECK(bench.server.uploads.empty());
    CHECK(bench.server.objects.empty());
    CHECK(bench.sent("DELETE") == 1);
  }
}

TEST_CASE("a writer that is abandoned or destroyed leaves no upload") {
  for (const bool abandon : {false, true}) {
    Bench bench;
    {
      auto writer = bench.backend().create("o", CreateOptions{});
      REQUIRE(writer.ok());
      REQUIRE(writer.value().append(std::string(3 * part, 'x')).ok());
      CHECK(bench.server.uploads.size() == 1);
      if (abandon) writer.value().abandon();
    }
    CHECK(bench.server.uploads.empty());
    CHECK(bench.server.objects.empty());
  }
}

TEST_CASE("a cancelled upload is ended on the server all the same") {
  Bench bench;
  CancelToken cancel;
  bench.options.cancel = &cancel;
  bench.server.fault = [&](const SentRequest& request, bool) -> std::optional<Response> {
    if (is_part(request)) cancel.cancel();
    return std::nullopt;
  };
  CHECK(bench.put(std::string(4 * part, 'x')).status().code() == StatusCode::cancelled);
  CHECK(bench.server.uploads.empty());
  CHECK(bench.server.objects.empty());
}

TEST_CASE("an upload that cannot be ended is told to the observer") {
  Bench bench;
  bench.server.fault = [](const SentRequest& request, bool) -> std::optional<Response> {
    if (request.method == "DELETE") return Response(s3_error(403, "AccessDenied"));
    return std::nullopt;
  };
  {
    auto writer = bench.backend().create("o", CreateOptions{});
    REQUIRE(writer.value().append(std::string(part + 1, 'x')).ok());
  }
  REQUIRE(bench.observer.warnings.size() == 1);
  CHECK(bench.observer.warnings[0].find("s3:AbortMultipartUpload") != std::string::npos);
}

TEST_CASE("a lost answer to any request leaves one whole object") {
  const std::pair<const char*, bool (*)(const SentRequest&)> kinds[] = {
      {"a part", is_part}, {"the end", is_complete}, {"one request", [](const SentRequest& r) {
                                                        return r.url.ends_with("/b/o");
                                                      }}};
  for (const auto& [name, kind] : kinds) {
    for (const bool if_absent : {true, false}) {
      // small for the single request, which then answers 412 to its own repetition
      const std::string bytes = noise(std::string_view(name) == "one request" ? 100 : 2 * part);
      INFO(name << " " << if_absent);
      Bench bench;
      bench.server.fault = lose_answer(kind);
      const auto info = bench.put(bytes, if_absent);
      REQUIRE(info.ok());
      CHECK(bench.object().bytes == bytes);
      CHECK(bench.server.uploads.empty());
    }
  }
}

TEST_CASE("an upload whose beginning got no answer is ended, an older one is left alone") {
  const auto begins = [](const SentRequest& request) {
    return request.method == "POST" && request.url.find("?uploads=") != std::string::npos;
  };
  Bench bench;
  bench.server.uploads["of another key"] = {"/b/o.other", {}, {}};
  bench.server.fault = lose_answer(begins);
  CHECK(bench.put(noise(2 * part)).ok());
  CHECK(bench.server.uploads.size() == 1);
  CHECK(bench.server.uploads.contains("of another key"));

  Bench never;
  never.server.fault = lose_answer(begins, 100);
  CHECK(never.put(noise(2 * part)).status().code() == StatusCode::unavailable);
  CHECK(never.server.uploads.empty());

  // the server's clock goes on while it is asked which uploads there are
  Bench slow;
  slow.server.fault = [&](const SentRequest& request, bool done) -> std::optional<Response> {
    if (done && begins(request) && slow.sent("POST") == 1) return Response(lost());
    if (!done && request.method == "GET") {
      slow.clock.sleep_ns(60'000'000'000);
      slow.server.date = "Sun, 13 Sep 2020 12:27:40 GMT";
    }
    return std::nullopt;
  };
  CHECK(slow.put(noise(2 * part)).ok());
  CHECK(slow.server.uploads.empty());

  Bench older;
  older.server.initiated = "2020-09-13T12:20:00.000Z";
  older.server.fault = lose_answer(begins);
  CHECK(older.put(noise(2 * part)).ok());
  CHECK(older.server.uploads.size() == 1);
}

TEST_CASE("where no answer to the end ever comes, the object itself decides") {
  Bench done;
  done.server.fault = lose_answer(is_complete, 100);
  CHECK(done.put(noise(2 * part)).ok());
  CHECK(done.object().bytes == noise(2 * part));

  Bench undone;
  undone.server.fault = [](const SentRequest& request, bool) -> std::optional<Response> {
    if (is_complete(request)) return Response(lost());
    return std::nullopt;
  };
  const auto info = undone.put(noise(2 * part));
  CHECK(info.status().code() == StatusCode::unavailable);
  CHECK(undone.server.objects.empty());
  CHECK(undone.server.uploads.empty());
}

TEST_CASE("an object of somebody else is not taken for the one whose answer was lost") {
  Bench bench;
  bench.server.fault = [&](const SentRequest& request, bool done) -> std::optional<Response> {
    if (request.method != "PUT" || done) return std::nullopt;
    bench.server.objects["/b/o"] = {"bytes", {{"x-amz-meta-kvbackup-id", "other"}}};
    bench.server.fault = nullptr;
    return Response(lost());
  };
  CHECK(bench.put("bytes").status().code() == StatusCode::already_exists);
  CHECK(bench.object().headers.at(0).value == "other");
}

TEST_CASE("an upload that was ended from outside is a clear error") {
  Bench bench;
  bench.options.parts_in_flight = 1;
  bench.server.fault = [&](const SentRequest& request, bool) -> std::optional<Response> {
    if (request.url.find("partNumber=2&") != std::string::npos) bench.server.uploads.clear();
    return std::nullopt;
  };
  const auto info = bench.put(noise(3 * part));
  CHECK(info.status().code() == StatusCode::io_error);
  CHECK(info.status().retryable());  // as a whole: a backup builds the part again
  CHECK(info.status().message().find("NoSuchUpload") != std::string_view::npos);
  CHECK(bench.server.objects.empty());
}

TEST_CASE("an error inside of a 200 is sent again, or is the error it is") {
  Bench bench;
  std::atomic<int> left{1};
  bench.server.fault = [&](const SentRequest& request, bool done) -> std::optional<Response> {
    if (done || !is_complete(request) || left-- <= 0) return std::nullopt;
    return Response(s3_error(200, "InternalError"));
  };
  CHECK(bench.put(noise(2 * part)).ok());
  Bench lasting;
  lasting.server.fault = [](const SentRequest& request, bool) -> std::optional<Response> {
    if (!is_complete(request)) return std::nullopt;
    return Response(s3_error(200, "AccessDenied"));
  };
  CHECK_FALSE(lasting.put(noise(2 * part)).ok());
  CHECK(lasting.server.uploads.empty());
}

TEST_CASE("answers to an upload that lack what is needed are errors") {
  for (const char* body : {"", "<a>", "<InitiateMultipartUploadResult/>"}) {
    Bench bench;
    bench.server.fault = [&](const SentRequest& request, bool) -> std::optional<Response> {
      if (request.url.find("?uploads=") == std::string::npos) return std::nullopt;
      return Response(answer(200, body));
    };
    CHECK(bench.put(noise(2 * part)).status().code() == StatusCode::corruption);
  }
  Bench bench;
  bench.server.fault = [&](const SentRequest& request, bool) -> std::optional<Response> {
    if (!is_part(request)) return std::nullopt;
    return Response(answer(200));
  };
  CHECK(bench.put(noise(2 * part)).status().code() == StatusCode::corruption);
  CHECK(bench.server.uploads.empty());
}

TEST_CASE("where the server knows no conditions, the object is looked for before it is made") {
  for (const std::size_t size : {std::size_t{10}, 2 * part}) {
    Bench bench;
    bench.options.if_absent = S3IfAbsent::checked;
    CHECK(bench.put(noise(size)).ok());
    CHECK(bench.put(noise(size)).status().code() == StatusCode::already_exists);
    CHECK(bench.server.uploads.empty());
    for (const SentRequest& each : bench.transport.requests()) {
      CHECK(each.header("If-None-Match") == "(none)");
    }
  }
}

TEST_CASE("an upload in parts is not completed over an object that is there") {
  // also where the server does not look at If-None-Match in the last request
  Bench bench;
  CHECK(bench.put("old").ok());
  CHECK(bench.put(noise(2 * part)).status().code() == StatusCode::already_exists);
  CHECK(bench.object().bytes == "old");
  CHECK(bench.server.uploads.empty());
  CHECK(bench.put(noise(2 * part), false).ok());
  CHECK(bench.object().bytes.size() == 2 * part);
}

TEST_CASE("uploads that somebody left are listed below a prefix and ended, and no others") {
  Bench bench;
  bench.options.prefix = "p";
  for (const char* path : {"/b/p/1_2.sst", "/b/p/1_3.sst", "/b/p/2_1.sst", "/b/other/1_2.sst"}) {
    bench.server.uploads["id" + std::to_string(bench.server.uploads.size())] = {path, {}, {}};
  }
  const Backend backend = bench.backend();
  const auto found = backend.list_unfinished("1_");
  REQUIRE(found.ok());
  REQUIRE(found.value().size() == 2);
  CHECK(found.value()[0].name == "1_2.sst");
  CHECK(found.value()[0].id == "id0");
  CHECK(found.value()[0].began_ms == 1'600'000'000'000);
  for (const UnfinishedObject& each : found.value()) CHECK(backend.end_unfinished(each).ok());
  CHECK(bench.server.uploads.size() == 2);
  CHECK(backend.list_unfinished("1_").value().empty());
  CHECK(backend.end_unfinished(found.value()[0]).ok());  // it is gone
}

TEST_CASE("the proof of an object is its ETag") {
  Bench bench;
  const auto small = bench.put("small", false);
  REQUIRE(small.ok());
  CHECK(small.value().proof == "e");
  const auto large = bench.put(std::string(part + 1, 'l'), false);
  REQUIRE(large.ok());
  CHECK(large.value().proof == "e");
  const auto in_body = detail::s3_etag({200,
                                        {},
                                        "<CompleteMultipartUploadResult><ETag>&quot;a-2&quot;</"
                                        "ETag></CompleteMultipartUploadResult>"});
  CHECK(in_body == "a-2");
  const auto page = detail::read_s3_page(
      "<ListBucketResult><Contents><Key>k</Key><ETag>&quot;a-2&quot;</ETag><Size>1</Size>"
      "<LastModified>2020-09-13T12:26:40.000Z</LastModified></Contents></ListBucketResult>");
  REQUIRE(page.ok());
  CHECK(page.value().objects[0].proof == "a-2");
  CHECK(page.value().objects[0].modified_ms == 1'600'000'000'000);
}

TEST_CASE("a list of uploads of several pages is read to its end") {
  Bench bench;
  int pages = 0;
  ScriptedTransport transport([&pages](const SentRequest& request) -> Response {
    std::string xml = "<ListMultipartUploadsResult><Upload><Key>k" + std::to_string(++pages) +
                      "</Key><UploadId>i</UploadId></Upload>";
    const bool last = pages == 3;
    xml += "<IsTruncated>" + std::string(last ? "false" : "true") + "</IsTruncated>";
    xml += "<NextKeyMarker>k" + std::to_string(pages) + "</NextKeyMarker>";
    xml += "<NextUploadIdMarker>i</NextUploadIdMarker></ListMultipartUploadsResult>";
    const bool continued =
        request.url.find("key-marker=k" + std::to_string(pages - 1)) != std::string::npos;
    CHECK(continued == (pages > 1));
    return HttpResponse{200, {}, xml};
  });
  const auto found = Backend(bench.options, transport).list_unfinished("");
  REQUIRE(found.ok());
  CHECK(found.value().size() == 3);
}

}  // namespace s3_upload_test
