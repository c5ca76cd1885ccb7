// SPDX-License-Identifier: Apache-2.0
// What the S3 backend asks of a server, and what it makes of the answers.
#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"
#include "support/scripted_transport.hpp"

namespace s3_test {

using namespace kvbackup;
using test_support::answer;
using test_support::FakeEnvironment;
using test_support::FixedClock;
using test_support::FixedRandom;
using test_support::lost;
using test_support::Recorder;
using test_support::s3_error;
using test_support::ScriptedTransport;
using test_support::SentRequest;

namespace {
using Backend = BasicS3Backend<ScriptedTransport>;

// A backend and its seams.
struct Bench {
  explicit Bench(ScriptedTransport::Server server) : transport(std::move(server)) {
    options.endpoint = "http://s3.test:9000";
    options.bucket = "bucket";
    options.prefix = "pre";
    options.access_key = "AKID";
    options.secret_access_key = "SECRET";
    options.session_token = "TOKEN";
    options.clock = &clock;
    options.random = &random;
    options.environment = &environment;
    options.observer = &observer;
  }
  Backend backend() const { return Backend(options, transport); }
  Status put(std::string_view name = "o", ByteView bytes = "bytes", bool if_absent = true) const {
    auto writer = backend().create(name, {.size_hint = {}, .if_absent = if_absent});
    if (!writer.ok()) return writer.status();
    if (Status status = writer.value().append(bytes); !status.ok()) return status;
    return writer.value().commit().status();
  }

  FixedClock clock;
  FixedRandom random{7};
  FakeEnvironment environment;
  Recorder observer;
  S3Options options;
  ScriptedTransport transport;
};

// Answers in turn; the last one again and again.
ScriptedTransport::Server in_turn(std::vector<Result<HttpResponse>> answers) {
  return [answers, next = std::make_shared<std::size_t>(0)](const SentRequest&) {
    return answers[std::min((*next)++, answers.size() - 1)];
  };
}
}  // namespace

TEST_CASE("bucket, prefix and name stand in the URL where the options want them") {
  Bench bench(in_turn({answer(200)}));
  S3Options& options = bench.options;
  CHECK(bench.put("a b/c+%\xc3\xa9.sst").ok());
  options.force_path_style = true;
  CHECK(bench.put("o").ok());
  options.prefix = "/p//q/";
  CHECK(bench.put("o").ok());
  options.prefix = "";
  CHECK(bench.put("o").ok());
  options.force_path_style = false;
  options.endpoint = "http://127.0.0.1:9000/base/";
  CHECK(bench.put("o").ok());
  options.endpoint = "";
  options.region = "eu-central-1";
  CHECK(bench.put("o").ok());
  options.region = "cn-north-1";
  options.bucket = "with.dots";
  CHECK(bench.put("o").ok());
  CHECK(bench.transport.lines() ==
        "PUT http://bucket.s3.test:9000/pre/a%20b/c%2B%25%C3%A9.sst\n"
        "PUT http://s3.test:9000/bucket/pre/o\n"
        "PUT http://s3.test:9000/bucket//p//q//o\n"
        "PUT http://s3.test:9000/bucket/o\n"
        "PUT http://127.0.0.1:9000/base/bucket/o\n"
        "PUT https://bucket.s3.eu-central-1.amazonaws.com/o\n"
        "PUT https://s3.cn-north-1.amazonaws.com.cn/with.dots/o\n");
}

TEST_CASE("an object carries everything that the message asks for, and its hash") {
  Bench bench(in_turn({answer(200)}));
  S3 message;
  message.endpoint = "http://s3.test";
  message.region = "r1";
  message.bucket = "b";
  message.prefix = "p";
  message.storage_class = "STANDARD_IA";
  message.sse = "aws:kms";
  message.sse_kms_key_id = "key";
  message.acl = "private";
  message.access_key = "AKID";
  message.secret_access_key = "SECRET";
  message.force_path_style = true;
  S3Options options = S3Options::from(message);
  options.clock = bench.options.clock;
  options.random = bench.options.random;
  options.environment = bench.options.environment;
  options.checksums = true;
  options.content_md5 = true;
  options.metadata = {{"owner", "me"}};
  bench.options = options;
  CHECK(bench.put("o", "Welcome to Amazon S3.").ok());
  const SentRequest put = bench.transport.requests().at(0);
  CHECK(put.line() == "PUT http://s3.test/b/p/o");
  CHECK(put.body == "Welcome to Amazon S3.");
  CHECK(put.header("x-amz-storage-class") == "STANDARD_IA");
  CHECK(put.header("x-amz-server-side-encryption") == "aws:kms");
  CHECK(put.header("x-amz-server-side-encryption-aws-kms-key-id") == "key");
  CHECK(put.header("x-amz-acl") == "private");
  CHECK(put.header("x-amz-meta-owner") == "me");
  CHECK(put.header("x-amz-content-sha256") ==
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  CHECK(put.header("x-amz-checksum-sha256") == "RM591nyVng01JP+sF3Hfu6h9K2tLTpnkIDSouAP4sHI=");
  CHECK(put.header("Content-MD5").size() == 24);
  CHECK(put.header("If-None-Match") == "*");
  CHECK(put.header("x-amz-security-token") == "(none)");
  CHECK(put.header("Authorization")
            .starts_with("AWS4-HMAC-SHA256 Credential=AKID/20200913/r1/s3/aws4_request, "
                         "SignedHeaders=content-md5;host;if-none-match;x-amz-acl;"
                         "x-amz-checksum-sha256;x-amz-content-sha256;x-amz-date;"));
  CHECK(bench.put("o", "x", false).ok());
  CHECK(bench.transport.requests().at(1).header("If-None-Match") == "(none)");
}

TEST_CASE("the url names the place and no secret") {
  Bench bench(in_turn({answer(200)}));
  CHECK(bench.backend().url() == "s3://bucket/pre?endpoint=http://s3.test:9000");
  bench.options.endpoint = "http://user:SECRET@s3.test";
  bench.options.prefix = "";
  CHECK(bench.backend().url() == "s3://bucket");
  CHECK(bench.put().code() == StatusCode::invalid_argument);
  CHECK(bench.put().to_string().find("SECRET") == std::string::npos);
}

TEST_CASE("options that cannot work are refused by name, and nothing is sent") {
  Bench bench(in_turn({answer(200)}));
  const auto refused = [&](auto change, const char* word) {
    const S3Options before = bench.options;
    change(bench.options);
    const Status status = bench.put();
    INFO(status.to_string());
    CHECK(status.code() == StatusCode::invalid_argument);
    CHECK(status.message().find(word) != std::string_view::npos);
    CHECK_FALSE(bench.backend().list("").ok());
    bench.options = before;
  };
  refused([](S3Options& o) { o.bucket = ""; }, "bucket");
  refused([](S3Options& o) { o.bucket = "a/b"; }, "bucket");
  refused([](S3Options& o) { o.endpoint = "s3.test"; }, "http");
  refused([](S3Options& o) { o.endpoint = "http://s3.test/?x"; }, "endpoint");
  refused([](S3Options& o) { o.access_key = ""; }, "access_key not found");
  refused([](S3Options& o) { o.secret_access_key = ""; }, "secret_access_key not found");
  refused([](S3Options& o) { o.part_size = 1 << 20; }, "part_size");
  refused([](S3Options& o) { o.parts_in_flight = 0; }, "parts_in_flight");
  bench.options.prefix = std::string(1020, 'p');
  CHECK(bench.put("12345").code() == StatusCode::invalid_argument);
  bench.options.prefix = "p";
  bench.options.region = "eu/../x";
  CHECK(bench.put().message().find("region") != std::string_view::npos);
  CHECK(bench.transport.lines() == "");
}

TEST_CASE("trouble that passes is sent again, bytes and all, after the wait the server asks for") {
  Bench bench(in_turn({lost(), s3_error(503, "SlowDown", "", {{"Retry-After", "3"}}),
                       s3_error(500, "InternalError"), answer(429), s3_error(400, "RequestTimeout"),
                       s3_error(400, "XAmzContentSHA256Mismatch"), answer(200)}));
  CHECK(bench.put("o", "bytes", false).ok());
  const auto sent = bench.transport.requests();
  REQUIRE(sent.size() == 7);
  for (const SentRequest& each : sent) CHECK(each.body == "bytes");
  CHECK(bench.observer.waits == std::vector<std::uint64_t>{7, 3000, 7, 7, 7, 7});
}

TEST_CASE("trouble that lasts is an error that says what to do, and is sent once") {
  struct Case {
    HttpResponse response;
    StatusCode code;
    const char* word;
  };
  const std::vector<Case> cases{
      {s3_error(403, "AccessDenied"), StatusCode::permission_denied, "s3:PutObject"},
      {s3_error(403, "InvalidAccessKeyId"), StatusCode::permission_denied, "access key"},
      {s3_error(403, "SignatureDoesNotMatch"), StatusCode::permission_denied, "secret access key"},
      {s3_error(400, "AccessControlListNotSupported"), StatusCode::invalid_argument, "option acl"},
      {s3_error(400, "InvalidStorageClass"), StatusCode::invalid_argument, "storage_class"},
      {s3_error(404, "NoSuchBucket"), StatusCode::not_found, "no such bucket"},
      {s3_error(412, "PreconditionFailed"), StatusCode::already_exists, "not replaced"},
      {s3_error(501, "NotImplemented"), StatusCode::unsupported, "if_absent"},
      {s3_error(403, "QuotaExceeded"), StatusCode::no_space, "quota"},
      {answer(403, "<html>proxy</html>"), StatusCode::permission_denied, "403"},
      {answer(301), StatusCode::invalid_argument, "region"},
  };
  for (const Case& test : cases) {
    Bench bench(in_turn({test.response}));
    const Status status = bench.put();
    INFO(status.to_string());
    CHECK(status.code() == test.code);
    CHECK(status.message().find(test.word) != std::string_view::npos);
    CHECK(status.native_code() == test.response.status);
    CHECK(status.object() == "s3://bucket/pre/o");
    CHECK_FALSE(status.retryable());
    const auto requests = bench.transport.requests();
    CHECK(std::count_if(requests.begin(), requests.end(),
                        [](const auto& request) { return request.method == "PUT"; }) == 1);
    // what is in the way might be this object, stored by a request that libcurl itself repeated
    CHECK(requests.size() == (test.response.status == 412 ? 2u : 1u));
  }
}

TEST_CASE("no error shows a secret, even if the server repeats it") {
  Bench bench(in_turn({s3_error(403, "AccessDenied",
                                "<Message>of AKID with SECRET and TOKEN\n</Message>"
                                "<StringToSign>SECRET</StringToSign>")}));
  const Status status = bench.put();
  CHECK(status.message().find("of *** with *** and *** ") != std::string_view::npos);
  for (const char* secret : {"SECRET", "TOKEN", "AKID"}) {
    CHECK(status.to_string().find(secret) == std::string::npos);
  }
}

TEST_CASE("a wrong region is put right by what the server says, for all later requests") {
  Bench bench([](const SentRequest& request) -> Result<HttpResponse> {
    if (request.header("Authorization").find("/eu-west-3/s3/") != std::string::npos) {
      return answer(200);
    }
    return s3_error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>");
  });
  bench.options.region = "us-east-1";
  const Backend backend = bench.backend();
  for (int i = 0; i < 2; ++i) CHECK(backend.read("o").ok());
  CHECK(bench.transport.requests().size() == 3);
  CHECK(bench.observer.waits.empty());

  Bench moved([](const SentRequest& request) -> Result<HttpResponse> {
    if (request.url.find("eu-west-3") != std::string::npos) return answer(200);
    return answer(301, "", {{"x-amz-bucket-region", "eu-west-3"}});
  });
  moved.options.endpoint = "";
  CHECK(moved.backend().exists("o").status().code() == StatusCode::corruption);  // no length
  CHECK(moved.transport.requests().at(1).url == "https://bucket.s3.eu-west-3.amazonaws.com/pre/o");
}

TEST_CASE("a region comes from the environment or the profile where none is given") {
  Bench bench(in_turn({answer(200)}));
  const auto scope = [&] {
    CHECK(bench.backend().read("o").ok());
    const std::string text = bench.transport.requests().back().header("Authorization");
    return text.substr(text.find("20200913/") + 9, text.find("/s3/") - text.find("20200913/") - 9);
  };
  CHECK(scope() == "us-east-1");
  bench.environment.variables = {{"AWS_DEFAULT_REGION", "r2"}};
  CHECK(scope() == "r2");
  bench.environment.variables["AWS_REGION"] = "r1";
  CHECK(scope() == "r1");
  bench.environment.variables = {
      {"HOME", "/h"}, {"AWS_ACCESS_KEY_ID", "a"}, {"AWS_SECRET_ACCESS_KEY", "b"}};
  bench.environment.files = {{"/h/.aws/config", "[default]\nregion = r3\n"}};
  bench.options.access_key = bench.options.secret_access_key = "";
  CHECK(scope() == "r3");
}

TEST_CASE("a wrong clock is put right once by the server's date, with a warning") {
  // FixedClock stands at 2020-09-13 12:26:40
  const std::vector<HttpHeader> date{{"Date", "Sun, 13 Sep 2020 13:26:40 GMT"}};
  Bench bench([&](const SentRequest& request) -> Result<HttpResponse> {
    if (request.header("x-amz-date") == "20200913T132640Z") return answer(200);
    return request.method == "HEAD" ? answer(403, "", date)
                                    : s3_error(403, "RequestTimeTooSkewed", "", date);
  });
  CHECK(bench.put().ok());
  CHECK(bench.transport.requests().size() == 2);
  REQUIRE(bench.observer.warnings.size() == 1);
  CHECK(bench.observer.warnings[0].find("3600 s behind") != std::string::npos);
  CHECK(bench.backend().exists("o").status().code() == StatusCode::corruption);  // no length

  Bench stubborn(in_turn({s3_error(403, "RequestTimeTooSkewed", "", date)}));
  const Status status = stubborn.put();
  CHECK(status.code() == StatusCode::permission_denied);
  CHECK(status.message().find("clock") != std::string_view::npos);
  CHECK(stubborn.transport.requests().size() == 2);
}

TEST_CASE("a range of an S3 object is exactly what was asked for, or an error") {
  Bench bench(in_turn({answer(206, "cdef")}));
  CHECK(bench.backend().read_range("o", 2, 4).value() == "cdef");
  CHECK(bench.transport.requests().at(0).header("Range") == "bytes=2-5");
  CHECK(bench.backend().read_range("o", 2, 5).status().code() == StatusCode::invalid_argument);
  constexpr auto most = ~std::uint64_t{0};
  CHECK(bench.backend().read_range("o", most, 1).status().code() == StatusCode::invalid_argument);
  CHECK(bench.backend().read_range("o", 1, most).status().code() == StatusCode::invalid_argument);
  Bench whole(in_turn({answer(200, "abcdef")}));
  CHECK(whole.backend().read_range("o", 0, 6).value() == "abcdef");
  CHECK(whole.backend().read_range("o", 1, 6).status().code() == StatusCode::unsupported);
  Bench outside(in_turn({s3_error(416, "InvalidRange")}));
  CHECK(outside.backend().read_range("o", 9, 1).status().code() == StatusCode::invalid_argument);
  Bench head(in_turn({answer(200, "", {{"Content-Length", "6"}})}));
  CHECK(head.backend().read_range("o", 6, 0).value().empty());
  CHECK(head.backend().read_range("o", 7, 0).status().code() == StatusCode::invalid_argument);
}

TEST_CASE("what is wrong with a short range is told in more bytes than it has") {
  const std::string more = "<Message>" + std::string(400, 'm') + "</Message>";
  Bench gone(in_turn({s3_error(404, "NoSuchKey", more)}));
  CHECK(gone.backend().read_range("o", 2, 4).status().code() == StatusCode::not_found);
  Bench busy(in_turn({s3_error(503, "SlowDown", more), answer(206, "cdef")}));
  CHECK(busy.backend().read_range("o", 2, 4).value() == "cdef");
}

TEST_CASE("another range than the one asked for is not taken for it") {
  Bench right(in_turn({answer(206, "cdef", {{"Content-Range", "bytes 2-5/9"}})}));
  CHECK(right.backend().read_range("o", 2, 4).value() == "cdef");
  Bench wrong(in_turn({answer(206, "bcde", {{"Content-Range", "bytes 1-4/9"}})}));
  CHECK(wrong.backend().read_range("o", 2, 4).status().code() == StatusCode::unsupported);
}

TEST_CASE("a list whose pages never have an object ends") {
  int asked = 0;
  Bench bench([&](const SentRequest&) -> Result<HttpResponse> {
    return answer(200, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>" +
                           std::to_string(++asked) + "</NextContinuationToken></ListBucketResult>");
  });
  CHECK(bench.backend().list("").status().code() == StatusCode::corruption);
  CHECK(asked <= 1'001);
}

TEST_CASE("an object whose bytes look like an error is none") {
  const std::string bytes = "<Error><Code>SlowDown</Code></Error>";
  Bench bench(in_turn({answer(200, bytes)}));
  CHECK(bench.backend().read("o").value() == bytes);
}

TEST_CASE("a list is read page by page") {
  const auto page = [](const std::string& keys, const std::string& rest) {
    return answer(200, "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\">" + keys + rest +
                           "<EncodingType>url</EncodingType></ListBucketResult>");
  };
  const auto entry = [](const std::string& key, int size) {
    return "<Contents><Key>" + key + "</Key><Size>" + std::to_string(size) + "</Size></Contents>";
  };
  Bench bench(in_turn(
      {page(entry("pre%2Fb", 1) + entry("pre/a+b%2B%25", 2) + entry("pre/folder/", 0),
            "<IsTruncated>true</IsTruncated><NextContinuationToken>t/1=</NextContinuationToken>"),
       page(entry("pre/a", 3), "<IsTruncated>false</IsTruncated>")}));
  const auto listed = bench.backend().list("");
  REQUIRE(listed.ok());
  CHECK(listed.value() == std::vector<ObjectInfo>{{"a", 3}, {"a b+%", 2}, {"b", 1}});
  CHECK(bench.transport.lines() ==
        "GET http://bucket.s3.test:9000/?list-type=2&encoding-type=url&prefix=pre%2F\n"
        "GET http://bucket.s3.test:9000/?list-type=2&encoding-type=url&prefix=pre%2F&"
        "continuation-token=t%2F1%3D\n");
}

TEST_CASE("a list that cannot be right is an error") {
  const auto list = [](const std::string& xml) {
    Bench bench(in_turn({answer(200, xml)}));
    return bench.backend().list("").status().code();
  };
  CHECK(list("") == StatusCode::corruption);
  CHECK(list("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>") ==
        StatusCode::corruption);
  CHECK(list("<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t"
             "</NextContinuationToken></ListBucketResult>") == StatusCode::corruption);
  CHECK(list("<ListBucketResult><Contents><Key>other</Key><Size>1</Size></Contents>"
             "</ListBucketResult>") == StatusCode::corruption);
  CHECK(list("<ListBucketResult><Contents><Key>pre/a</Key><Size>-1</Size></Contents>"
             "</ListBucketResult>") == StatusCode::corruption);
  CHECK(list("<!DOCTYPE x><ListBucketResult></ListBucketResult>") == StatusCode::corruption);
  CHECK(list("<ListBucketResult></ListBucketResult>") == StatusCode::ok);
}

TEST_CASE("what is not there is told from what must not be seen") {
  Bench missing(in_turn({answer(404)}));
  CHECK_FALSE(missing.backend().exists("o").value());
  CHECK(missing.backend().remove("o").code() == StatusCode::not_found);
  CHECK(missing.transport.requests().size() == 2);
  Bench denied(in_turn({answer(403)}));
  CHECK(denied.backend().exists("o").status().code() == StatusCode::permission_denied);
  CHECK(denied.backend().exists("o").status().message().find("s3:GetObject") !=
        std::string_view::npos);
}

TEST_CASE("a cancelled run sends nothing more") {
  CancelToken cancel;
  Bench bench([&](const SentRequest&) -> Result<HttpResponse> {
    cancel.cancel();
    return s3_error(503, "SlowDown");
  });
  bench.options.cancel = &cancel;
  CHECK(bench.backend().read("o").status().code() == StatusCode::cancelled);
  CHECK(bench.backend().read("o").status().code() == StatusCode::cancelled);
  CHECK(bench.transport.requests().size() == 1);
}

TEST_CASE("neither a backend nor a new writer sends anything") {
  Bench bench(in_turn({answer(200)}));
  {
    auto writer = bench.backend().create("o");
    REQUIRE(writer.ok());
    REQUIRE(writer.value().append("bytes").ok());
  }
  CHECK(bench.transport.lines() == "");
}

}  // namespace s3_test
