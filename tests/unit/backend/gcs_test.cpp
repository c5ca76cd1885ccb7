// SPDX-License-Identifier: Apache-2.0
// What the GCS backend sends, and what it makes of answers that no proper server gives.
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"
#include "support/scripted_answers.hpp"

namespace gcs_test {

using namespace kvbackup;
using namespace test_support;

namespace {
constexpr std::size_t quantum = 256 * 1024;
using Backend = BasicGcsBackend<ScriptedAnswers>;
static_assert(ReadableBackend<Backend>);
static_assert(std::copyable<Backend>);

struct Cloud {
  Cloud() {
    options.endpoint = "https://gcs.example";
    options.bucket = "bucket";
    options.prefix = "a b";
    options.anonymous = true;
    options.chunk_size = quantum;
    options.retry.attempts = 3;
    options.clock = &clock;
    options.random = &random;
    options.environment = &environment;
    options.observer = &recorder;
  }
  Backend backend() const { return Backend(options, transport); }
  std::vector<SentRequest> requests() const { return transport.requests(); }

  void say(int status, std::string body = {}, std::vector<HttpHeader> headers = {}) {
    transport.say({status, std::move(headers), std::move(body)});
  }
  void begin(std::string session = "https://gcs.example/upload/session?upload_id=u") {
    say(200, {}, {{"Location", std::move(session)}});
  }
  void keep(std::uint64_t bytes) {
    say(308, {}, {{"Range", "bytes=0-" + std::to_string(bytes - 1)}});
  }

  FixedClock clock;
  FixedRandom random{0};
  FakeEnvironment environment;
  Recorder recorder;
  GcsOptions options;
  ScriptedAnswers transport;
};

std::string object_json(std::string_view bytes, std::string_view id = "") {
  char crc[4];
  detail::store(crc, crc32c(bytes), std::endian::big);
  return R"({"name":"a b/x.sst","generation":"77","size":")" + std::to_string(bytes.size()) +
         R"(","crc32c":")" + base64_encode({crc, 4}) + R"(","metadata":{"kvbackup-id":")" +
         std::string(id) + R"("}})";
}
const std::string our_id(32, '0');  // of FixedRandom(0)

template <class B>
Status put(B backend, ByteView bytes, bool if_absent = true) {
  auto writer = backend.create("x.sst", {.size_hint = {}, .if_absent = if_absent});
  if (!writer.ok()) return writer.status();
  if (Status status = writer.value().append(bytes); !status.ok()) return status;
  return writer.value().commit().status();
}
bool shows(const Status& status, std::string_view text) {
  return status.to_string().find(text) != std::string::npos;
}
const char* const objects = "https://gcs.example/storage/v1/b/bucket/o";
const char* const uploads = "https://gcs.example/upload/storage/v1/b/bucket/o";
}  // namespace

TEST_CASE_METHOD(Cloud, "a small object is one request with its checksum and its condition") {
  options.storage_class = "NEARLINE";
  options.predefined_acl = "private";
  say(200, object_json("bytes"));
  CHECK(put(backend(), "bytes").to_string() == "ok");
  REQUIRE(requests().size() == 1);
  const SentRequest sent = requests()[0];
  CHECK(sent.method == "POST");
  CHECK(sent.url ==
        std::string(uploads) + "?uploadType=multipart&ifGenerationMatch=0&predefinedAcl=private");
  CHECK(sent.header("Content-Type") == "multipart/related; boundary=kvbackup-0000000000000000-0");
  CHECK(sent.header("Authorization") == "(none)");
  CHECK(sent.body ==
        "--kvbackup-0000000000000000-0\r\n"
        "Content-Type: application/json; charset=UTF-8\r\n\r\n"
        R"({"name":"a b/x.sst","contentType":"application/octet-stream",)"
        R"("storageClass":"NEARLINE","crc32c":")" +
            object_json("bytes").substr(object_json("bytes").find("crc32c") + 9, 8) +
            R"(","metadata":{"kvbackup-id":"00000000000000000000000000000000"}})"
            "\r\n--kvbackup-0000000000000000-0\r\n"
            "Content-Type: application/octet-stream\r\n\r\nbytes\r\n"
            "--kvbackup-0000000000000000-0--\r\n");
  say(200, object_json("bytes"));
  CHECK(put(backend(), "bytes", false).ok());
  CHECK(requests()[1].url == std::string(uploads) + "?uploadType=multipart&predefinedAcl=private");
}

TEST_CASE_METHOD(Cloud, "a large object is a session of whole quanta, and a rest that ends it") {
  const std::string bytes(2 * quantum + 9, 'x');
  begin();
  keep(quantum);
  keep(2 * quantum);
  say(200, object_json(bytes));
  CHECK(put(backend(), bytes).to_string() == "ok");
  REQUIRE(requests().size() == 4);
  CHECK(requests()[0].url == std::string(uploads) + "?uploadType=resumable&ifGenerationMatch=0");
  CHECK(requests()[0].header("Content-Type") == "application/json; charset=UTF-8");
  const char* const ranges[] = {"", "bytes 0-262143/*", "bytes 262144-524287/*",
                                "bytes 524288-524296/524297"};
  for (std::size_t i = 1; i < 4; ++i) {
    CHECK(requests()[i].method == "PUT");
    CHECK(requests()[i].url == "https://gcs.example/upload/session?upload_id=u");
    CHECK(requests()[i].header("Content-Range") == ranges[i]);
    CHECK(requests()[i].body.size() == (i < 3 ? quantum : 9));
  }
}

TEST_CASE_METHOD(Cloud, "after a failure the server is asked, and only what it lacks is sent") {
  const std::string bytes(quantum + 100, 'x');
  begin();
  transport.fail();
  say(308);  // without a Range: nothing
  keep(quantum);
  say(503);
  keep(quantum + 30);
  say(200, object_json(bytes));
  CHECK(put(backend(), bytes).to_string() == "ok");
  std::vector<std::string> ranges;
  for (const SentRequest& sent : requests()) ranges.push_back(sent.header("Content-Range"));
  CHECK(ranges == std::vector<std::string>{"(none)", "bytes 0-262143/*", "bytes */*",
                                           "bytes 0-262143/*", "bytes 262144-262243/262244",
                                           "bytes */262244", "bytes 262174-262243/262244"});
}

TEST_CASE_METHOD(Cloud, "an end that got no answer is looked for, and known by its id") {
  const std::string bytes(quantum + 1, 'x');
  const bool ours = GENERATE(true, false);
  begin();
  keep(quantum);
  transport.fail();
  say(410);
  say(200, object_json(bytes, ours ? our_id : "another"));
  if (!ours) say(204);  // the session is ended all the same
  const Status status = put(backend(), bytes);
  CHECK(status.ok() == ours);
  if (!ours) CHECK(shows(status, "write the object anew"));
  CHECK(requests().size() == (ours ? 5 : 6));
}

TEST_CASE_METHOD(Cloud, "an object that is there is ours only by its id") {
  const bool ours = GENERATE(true, false);
  say(412);
  say(200, object_json("bytes", ours ? our_id : "another"));
  const Status status = put(backend(), "bytes");
  CHECK(status.code() == (ours ? StatusCode::ok : StatusCode::already_exists));
  CHECK(status.object() == (ours ? "" : "gcs://bucket/a b/x.sst"));
}

TEST_CASE_METHOD(Cloud, "what was stored must be what was sent; else that generation goes") {
  say(200, object_json("other"));
  SECTION("and is removed") {
    say(204);
    const Status status = put(backend(), "bytes");
    CHECK(status.code() == StatusCode::corruption);
    CHECK(shows(status, "the object was removed"));
    CHECK(requests()[1].method == "DELETE");
    CHECK(requests()[1].url == std::string(objects) + "/a%20b%2Fx.sst?generation=77");
  }
  SECTION("or cannot be removed, which is said") {
    say(403, R"({"error":{"message":"no"}})");
    const Status status = put(backend(), "bytes");
    CHECK(status.code() == StatusCode::corruption);
    CHECK(shows(status, "REMOVE THE OBJECT"));
    CHECK(shows(status, "storage.objects.delete"));
  }
}

TEST_CASE_METHOD(Cloud, "a server that tells no checksum is believed if the size is right") {
  say(200, R"({"size":"5"})");
  CHECK(put(backend(), "bytes").to_string() == "ok");
  say(200, "{}");
  CHECK(put(backend(), "").to_string() == "ok");
}

TEST_CASE_METHOD(Cloud, "answers to a chunk that cannot be true end the upload and its session") {
  const std::string bytes(quantum + 1, 'x');
  const std::string range = GENERATE("bytes=0-262144", "bytes=1-262143", "bytes=0-", "bytes=0--1",
                                     "bytes=0-18446744073709551615", "0-262143", "");
  CAPTURE(range);
  begin();
  say(308, {}, {{"Range", range}});
  say(499);
  CHECK(put(backend(), bytes).code() == StatusCode::io_error);
  REQUIRE(requests().size() == 3);
  CHECK(requests()[2].method == "DELETE");
  CHECK(recorder.warnings.empty());
}

TEST_CASE_METHOD(Cloud, "a server that loses what it had, or ends too early, is an error") {
  const std::string bytes(2 * quantum + 1, 'x');
  begin();
  keep(quantum);
  SECTION("loses") { keep(1); }
  SECTION("ends") { say(200, object_json(bytes)); }
  say(204);
  CHECK(put(backend(), bytes).code() == StatusCode::io_error);
}

TEST_CASE_METHOD(Cloud, "a server that takes nothing is given up after the last attempt") {
  const std::string bytes(quantum + 1, 'x');
  begin();
  for (int i = 0; i < 5; ++i) say(308);  // send, ask, send, ask, send
  say(204);
  const Status status = put(backend(), bytes);
  CHECK(status.code() == StatusCode::unavailable);
  CHECK(shows(status, "takes nothing"));
}

TEST_CASE_METHOD(Cloud, "the token goes to the endpoint and nowhere else") {
  options.anonymous = false;
  options.credentials_blob =
      R"({"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"})";
  const std::string bytes(quantum + 1, 'x');
  say(200, R"({"access_token":"tok","expires_in":3600})");
  SECTION("a session at the endpoint gets it") {
    begin();
    keep(quantum);
    say(200, object_json(bytes));
    CHECK(put(backend(), bytes).ok());
    CHECK(requests()[1].header("Authorization") == "Bearer tok");
    CHECK(requests()[2].header("Authorization") == "Bearer tok");
  }
  SECTION("a session elsewhere does not") {
    begin(GENERATE("https://other.example/s", "https://gcs.example:444/s"));
    keep(quantum);
    say(200, object_json(bytes));
    CHECK(put(backend(), bytes).ok());
    CHECK(requests()[2].header("Authorization") == "(none)");
    CHECK(requests()[3].header("Authorization") == "(none)");
  }
  SECTION("a session without encryption, or no URL at all, is not used") {
    begin(GENERATE("http://gcs.example/s", "/s", ""));
    CHECK(put(backend(), bytes).code() == StatusCode::corruption);
  }
}

TEST_CASE_METHOD(Cloud, "a refused token is replaced, but not for ever") {
  options.anonymous = false;
  options.credentials_blob =
      R"({"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"})";
  say(200, R"({"access_token":"old","expires_in":3600})");
  say(401);
  say(200, R"({"access_token":"new","expires_in":3600})");
  SECTION("and the new one is taken") {
    say(200, object_json("bytes"));
    CHECK(put(backend(), "bytes").ok());
    CHECK(requests()[3].header("Authorization") == "Bearer new");
  }
  SECTION("and those that follow are refused, too; they do not show") {
    say(401);
    say(200, R"({"access_token":"newer","expires_in":3600})");
    say(401, R"({"error":{"message":"bad newer token"}})");
    const Status status = put(backend(), "bytes");
    CHECK(status.code() == StatusCode::permission_denied);
    CHECK(shows(status, "bad *** token"));
  }
}

TEST_CASE_METHOD(Cloud, "what a server refuses becomes an error that says what to do") {
  const auto fails = [&](int http, const char* json) {
    say(http, json);
    const Status status = backend().list("").status();
    CHECK(status.native_code() == http);
    return status;
  };
  CHECK(shows(fails(403, R"({"error":{"message":"denied"}})"), "denied"));
  CHECK(shows(fails(403, ""), "the right storage.objects.list"));
  CHECK(fails(403, "").code() == StatusCode::permission_denied);
  CHECK(fails(404, R"({"error":{"message":"The specified bucket does not exist."}})").code() ==
        StatusCode::invalid_argument);
  CHECK(fails(302, "").code() == StatusCode::invalid_argument);
  CHECK(fails(400, "<html>").code() == StatusCode::invalid_argument);
  CHECK(fails(501, "").code() == StatusCode::unavailable);
  for (const char* reason : {"rateLimitExceeded", "userRateLimitExceeded"}) {
    say(403, std::string(R"({"error":{"errors":[{"reason":")") + reason + "\"}]}}");
    say(200, "{}");
    say(200, "{}");
    CHECK(backend().list("").ok());
  }
  CHECK(recorder.waits.size() == 2);
  say(404, R"({"error":{"message":"The specified bucket does not exist."}})");
  CHECK(backend().exists("x").status().code() == StatusCode::invalid_argument);
}

TEST_CASE_METHOD(Cloud, "options that can never work are refused before anything is sent") {
  const auto refused = [&](auto change, const char* what) {
    GcsOptions wrong = options;
    change(wrong);
    const Backend broken(wrong, transport);
    INFO(what);
    CHECK(broken.create("x").status().code() == StatusCode::invalid_argument);
    CHECK(broken.list("").status().code() == StatusCode::invalid_argument);
    CHECK(shows(broken.read("x").status(), what));
  };
  refused([](GcsOptions& o) { o.bucket = ""; }, "bucket");
  refused([](GcsOptions& o) { o.bucket = "a/b"; }, "bucket");
  refused([](GcsOptions& o) { o.endpoint = "gcs.example"; }, "endpoint");
  refused([](GcsOptions& o) { o.endpoint = "https://gcs.example?key=secret"; }, "endpoint");
  refused([](GcsOptions& o) { o.storage_class = "STANDARD_IA"; }, "storage_class");
  refused([](GcsOptions& o) { o.predefined_acl = "public-read"; }, "predefined_acl");
  refused([](GcsOptions& o) { o.chunk_size = 0; }, "chunk_size");
  refused([](GcsOptions& o) { o.chunk_size = 1u << 20 | 1; }, "chunk_size");
  refused([](GcsOptions& o) { o.chunk_size = 2ull << 30; }, "chunk_size");
  refused([](GcsOptions& o) { o.prefix = "\xff"; }, "UTF-8");
  CHECK(shows(backend().read("\xff").status(), "UTF-8"));
  options.prefix = std::string(1023, 'p');
  CHECK(shows(backend().create("x").status(), "1024 bytes"));
  CHECK(requests().empty());
}

TEST_CASE_METHOD(Cloud, "endpoints are taken as BR takes them") {
  options.prefix = "";
  const auto sent_to = [&](const char* endpoint) {
    options.endpoint = endpoint;
    say(200, "{}");
    CHECK(backend().list("").ok());
    return requests().back().url;
  };
  const std::string tail = "/storage/v1/b/bucket/o?prefix=";
  for (const char* endpoint : {"https://h", "https://h/", "https://h/storage/v1/",
                               "https://h/upload/storage/v1/", "https://h/storage/v1"}) {
    CHECK(sent_to(endpoint) == "https://h" + tail);
  }
  CHECK(sent_to("http://h:99/sub/") == "http://h:99/sub" + tail);
  CHECK(sent_to("") == "https://storage.googleapis.com" + tail);
}

TEST_CASE_METHOD(Cloud, "the URL is BR's, with nothing secret") {
  options.prefix = "a b/c";
  options.credentials_blob = "secret";
  CHECK(backend().url() == "gcs://bucket/a%20b/c?endpoint=https://gcs.example");
  options.endpoint = "https://user:pass@gcs.example";
  CHECK(backend().url() == "gcs://bucket/a%20b/c");
  options.prefix = "";
  options.endpoint = "";
  CHECK(backend().url() == "gcs://bucket");
}

TEST_CASE_METHOD(Cloud, "a list is made of its pages, without what is no object of ours") {
  say(200,
      R"({"nextPageToken":"t","items":[{"name":"a b/z","size":"1"},{"name":"a b/dir/","size":"0"},
                {"name":"a b//old","size":"2"}]})");
  say(200, R"({"items":[{"name":"a b/y","size":"3","metadata":{"size":"9"}},{"name":"a b/e"}]})");
  say(200, R"({"items":[{"name":"a b//y","size":"4"},{"name":"a b//old","size":"2"}]})");
  const auto listed = backend().list("");
  REQUIRE(listed.status().to_string() == "ok");
  CHECK(listed.value() == std::vector<ObjectInfo>{{"e", 0}, {"old", 2}, {"y", 3}, {"z", 1}});
  CHECK(requests()[1].url == std::string(objects) + "?prefix=a%20b%2F&pageToken=t");
}

TEST_CASE_METHOD(Cloud, "a list that cannot be true is an error") {
  const std::string first = GENERATE(
      as<std::string>(), R"({"items":[{"name":"other","size":"1"}]})",
      R"({"items":[{"name":"a b/x","size":"-1"}]})",
      R"({"items":[{"name":"a b/x","size":"99999999999999999999"}]})", "<html>", "{\"items\":[");
  say(200, first);
  CHECK(backend().list("").status().code() == StatusCode::corruption);
  transport.clear();
  say(200, R"({"nextPageToken":"t"})");
  say(200, R"({"nextPageToken":"t"})");
  CHECK(shows(backend().list("").status(), "same page"));
}

TEST_CASE_METHOD(Cloud, "a download is compared with the checksum in any of the hash headers") {
  const std::string json = object_json("bytes");
  const std::string crc = json.substr(json.find("crc32c") + 9, 8);
  say(200, "byteS", {{"X-Goog-Hash", "md5=abc"}, {"x-goog-hash", "crc32c=" + crc}});
  say(200, "bytes", {{"x-goog-hash", "crc32c=" + crc + ",md5=abc"}});
  CHECK(backend().read("x.sst").value() == "bytes");
  CHECK(recorder.reasons.size() == 1);
  say(200, "bytes");  // a server that tells none
  CHECK(backend().read("x.sst").value() == "bytes");
  for (int i = 0; i < 3; ++i) say(200, "byteS", {{"x-goog-hash", "crc32c=" + crc}});
  CHECK(backend().read("x.sst").status().code() == StatusCode::corruption);
}

TEST_CASE_METHOD(
    Cloud, "a range of an object in Cloud Storage is exactly what was asked for, or an error") {
  const auto read = [&](std::uint64_t offset, std::uint64_t length) {
    const auto bytes = backend().read_range("x.sst", offset, length);
    return bytes.ok() ? bytes.value() : std::string(to_string(bytes.status().code()));
  };
  say(206, "bcd");
  CHECK(read(1, 3) == "bcd");
  CHECK(requests().back().header("Range") == "bytes=1-3");
  CHECK(requests().back().url == std::string(objects) + "/a%20b%2Fx.sst?alt=media");
  say(206, "bc");
  CHECK(read(1, 3) == "invalid_argument");
  say(416);
  CHECK(read(9, 1) == "invalid_argument");
  say(206, "abc", {{"Content-Range", "bytes 0-2/6"}});
  CHECK(read(1, 3) == "unsupported");
  say(200, "abcdef");
  CHECK(read(0, 3) == "abc");
  say(200, "abcdef");
  CHECK(read(1, 3) == "unsupported");
  CHECK(read(0, ~std::uint64_t{0}) == "invalid_argument");
  CHECK(read(0, 5ull << 30) == "resource_exhausted");
  say(200, object_json("12345"));
  CHECK(read(5, 0) == "");
  say(200, object_json("12345"));
  CHECK(read(6, 0) == "invalid_argument");
}

TEST_CASE_METHOD(Cloud, "an upload that could not be ended is told to the observer") {
  begin();
  keep(quantum);
  {
    auto writer = backend().create("x.sst");
    REQUIRE(writer.value().append(std::string(quantum + 1, 'x')).ok());
    say(403);
  }
  CHECK(requests().back().method == "DELETE");
  REQUIRE(recorder.warnings.size() == 1);
  CHECK(recorder.warnings[0].find("upload_id") == std::string::npos);
}

TEST_CASE_METHOD(Cloud, "a writer that was moved from refuses, and ends nothing") {
  auto first = backend().create("x.sst");
  REQUIRE(first.ok());
  auto second = std::move(first).value();
  auto third = std::move(second);
  CHECK(second.append("x").code() ==
        StatusCode::invalid_argument);  // NOLINT(bugprone-use-after-move)
  CHECK(second.commit().status().code() == StatusCode::invalid_argument);
  second.abandon();
  say(200, object_json(""));
  CHECK(third.commit().ok());
}

}  // namespace gcs_test
