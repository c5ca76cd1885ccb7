// SPDX-License-Identifier: Apache-2.0
// Where S3 credentials are found, in which order, and when they are fetched anew.
#include <functional>
#include <string>
#include <utility>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/net_seams.hpp"
#include "support/scripted_transport.hpp"

using namespace kvbackup;
using test_support::answer;
using test_support::FakeEnvironment;
using test_support::FixedRandom;
using test_support::lost;
using test_support::ScriptedTransport;
using test_support::SentRequest;

namespace {
// A clock that a test turns.
class HandClock final : public Clock {
 public:
  std::uint64_t unix_ms() override { return now_ms; }
  std::uint64_t steady_ns() override { return slept; }
  void sleep_ns(std::uint64_t duration) override { slept += duration; }
  std::uint64_t now_ms = 1'577'836'800'000;  // 2020-01-01 00:00:00
  std::uint64_t slept = 0;
};

struct Bench {
  explicit Bench(ScriptedTransport::Server server = [](const SentRequest&) -> Result<HttpResponse> {
    return lost();
  })
      : transport(std::move(server)) {
    options.clock = &clock;
    options.random = &random;
    options.environment = &environment;
  }
  // "access secret token" or the error
  std::string get() {
    S3CredentialChain<ScriptedTransport> chain(options, transport);
    return show(chain.get());
  }
  static std::string show(const Result<SigV4Keys>& keys) {
    if (!keys.ok()) return keys.status().to_string();
    return keys.value().access_key + " " + keys.value().secret_key + " " +
           keys.value().session_token;
  }

  HandClock clock;
  FixedRandom random{0};
  FakeEnvironment environment;
  S3Options options;
  ScriptedTransport transport;
};

std::string json_keys(const std::string& access, const std::string& expiration) {
  return "{\"Code\":\"Success\",\"AccessKeyId\":\"" + access +
         "\",\"SecretAccessKey\":\"s\\/1\",\"Token\":\"t\",\"Expiration\":\"" + expiration + "\"}";
}
}  // namespace

TEST_CASE("given keys come before the environment, that before the files") {
  Bench bench;
  bench.environment.variables = {{"HOME", "/h"},
                                 {"AWS_ACCESS_KEY_ID", "env"},
                                 {"AWS_SECRET_ACCESS_KEY", "e"},
                                 {"AWS_SESSION_TOKEN", "et"}};
  bench.environment.files = {{"/h/.aws/credentials",
                              "# mine\n[default]\naws_access_key_id = file\r\n"
                              "aws_secret_access_key=f = g\n[other]\naws_access_key_id=x\n"},
                             {"/h/.aws/config",
                              "[profile work]\naws_access_key_id=w\naws_secret_access_key = ws\n"
                              "aws_session_token=wt\ns3 =\n  addressing_style = path\n"}};
  bench.options.access_key = "given";
  bench.options.secret_access_key = "g";
  CHECK(bench.get() == "given g ");
  bench.options.access_key = bench.options.secret_access_key = "";
  CHECK(bench.get() == "env e et");
  bench.environment.variables.erase("AWS_ACCESS_KEY_ID");
  CHECK(bench.get() == "file f = g ");
  bench.options.profile = "work";
  CHECK(bench.get() == "w ws wt");
  bench.options.profile = "";
  bench.environment.variables["AWS_PROFILE"] = "work";
  CHECK(bench.get() == "w ws wt");
  bench.environment.variables["AWS_PROFILE"] = "none";
  CHECK(bench.get().find("no profile of the name") != std::string::npos);
  bench.environment.variables["AWS_PROFILE"] = "other";
  CHECK(bench.get().find("not supported") != std::string::npos);
  bench.environment.variables["AWS_SHARED_CREDENTIALS_FILE"] = "/else";
  bench.environment.files["/else"] = "[other]\naws_access_key_id=o\naws_secret_access_key=p\n";
  CHECK(bench.get() == "o p ");
  CHECK(bench.transport.lines() == "");
}

TEST_CASE("a web identity token is changed for keys") {
  Bench bench([](const SentRequest&) -> Result<HttpResponse> {
    return answer(200,
                  "<AssumeRoleWithWebIdentityResponse xmlns=\"x\"><AssumeRoleWithWebIdentityResult>"
                  "<Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey>"
                  "<SessionToken>c</SessionToken><Expiration>2020-01-01T01:00:00Z</Expiration>"
                  "</Credentials></AssumeRoleWithWebIdentityResult>"
                  "</AssumeRoleWithWebIdentityResponse>");
  });
  bench.environment.variables = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"},
                                 {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"}};
  bench.environment.files = {{"/token", "jwt+x\n"}};
  bench.options.region = "eu-west-1";
  CHECK(bench.get() == "a b c");
  const SentRequest sent = bench.transport.requests().at(0);
  CHECK(sent.line() == "POST https://sts.eu-west-1.amazonaws.com/");
  CHECK(sent.body ==
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&"
        "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=kvbackup&"
        "WebIdentityToken=jwt%2Bx");
  CHECK(sent.header("Content-Type") == "application/x-www-form-urlencoded");
  bench.environment.files.clear();
  CHECK(bench.get().starts_with("not_found"));
}

TEST_CASE("a container's endpoint is asked with its token, and only if it is near or over TLS") {
  Bench bench([](const SentRequest&) -> Result<HttpResponse> {
    return answer(200, json_keys("a", "2020-01-01T01:00:00Z"));
  });
  auto& variables = bench.environment.variables;
  variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/x";
  CHECK(bench.get() == "a s/1 t");
  CHECK(bench.transport.requests().back().line() == "GET http://169.254.170.2/v2/x");
  CHECK(bench.transport.requests().back().no_proxy);
  variables.clear();
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials";
  variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/token";
  bench.environment.files = {{"/token", "secret\n"}};
  CHECK(bench.get() == "a s/1 t");
  CHECK(bench.transport.requests().back().header("Authorization") == "secret");
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "https://elsewhere/x";
  CHECK(bench.get() == "a s/1 t");
  for (const char* far : {"http://elsewhere/x", "http://127.0.0.1.evil/x", "ftp://localhost/"}) {
    variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = far;
    CHECK(bench.get().starts_with("invalid_argument"));
  }
}

TEST_CASE("an instance's role is asked for with a session token (IMDSv2)") {
  Bench bench([](const SentRequest& request) -> Result<HttpResponse> {
    if (request.method == "PUT") return answer(200, "imds");
    if (request.header("X-aws-ec2-metadata-token") != "imds") return answer(401);
    if (request.url.ends_with("/")) return answer(200, "my role\n");
    return answer(200, json_keys("a", "2020-01-01T01:00:00Z"));
  });
  CHECK(bench.get() == "a s/1 t");
  CHECK(bench.transport.lines() ==
        "PUT http://169.254.169.254/latest/api/token\n"
        "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/\n"
        "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/my%20role\n");
  bench.environment.variables["AWS_EC2_METADATA_DISABLED"] = "true";
  CHECK(bench.get().find("there are no S3 credentials") != std::string::npos);
}

TEST_CASE("where nothing is found, the error says where to put credentials") {
  Bench bench;
  CHECK(bench.get().starts_with("permission_denied: there are no S3 credentials: give access_key"));
}

TEST_CASE(
    "keys are kept until five minutes before their end, and the old ones as long as need be") {
  int asked = 0;
  bool down = false;
  Bench bench([&](const SentRequest&) -> Result<HttpResponse> {
    if (down) return answer(500);
    ++asked;
    return answer(200, json_keys("a" + std::to_string(asked),
                                 asked == 1 ? "2020-01-01T01:00:00Z" : "2020-01-01T02:00:00Z"));
  });
  bench.environment.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
  S3CredentialChain<ScriptedTransport> chain(bench.options, bench.transport);
  constexpr std::uint64_t minute = 60'000;
  const std::uint64_t start = bench.clock.now_ms;
  CHECK(bench.show(chain.get()) == "a1 s/1 t");
  bench.clock.now_ms = start + 54 * minute;
  CHECK(bench.show(chain.get()) == "a1 s/1 t");
  CHECK(asked == 1);
  bench.clock.now_ms = start + 56 * minute;
  down = true;
  CHECK(bench.show(chain.get()) == "a1 s/1 t");
  bench.clock.now_ms = start + 61 * minute;
  CHECK(bench.show(chain.get()).find("the endpoint answered 500") != std::string::npos);
  down = false;
  CHECK(bench.show(chain.get()) == "a2 s/1 t");
}

TEST_CASE("answers without keys are errors that show nothing of them") {
  for (const char* body : {"", "{}", "{\"AccessKeyId\":\"SECRET\"}", "SECRET",
                           "{\"AccessKeyId\":\"SECRET\",\"SecretAccessKey\":\"SECRET\","
                           "\"Expiration\":\"tomorrow\"}"}) {
    Bench bench([&](const SentRequest&) -> Result<HttpResponse> { return answer(200, body); });
    bench.environment.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
    CHECK(bench.get().starts_with("corruption"));
    CHECK(bench.get().find("SECRET") == std::string::npos);
  }
}

TEST_CASE("keys that the server refuses are fetched anew once, in whatever words it does so") {
  for (const auto& [status, code] :
       {std::pair(400, "ExpiredToken"), {403, "AccessDenied"}, {403, ""}}) {
    int asked = 0;
    Bench bench(
        [&, status = status, code = code](const SentRequest& request) -> Result<HttpResponse> {
          if (request.url.starts_with("http://169.254.170.2/")) {
            return answer(200, json_keys("a" + std::to_string(++asked), "2020-01-01T02:00:00Z"));
          }
          if (request.header("Authorization").find("=a2/") != std::string::npos)
            return answer(200, "x");
          return *code == '\0' ? answer(status) : test_support::s3_error(status, code);
        });
    bench.environment.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
    bench.options.bucket = "b";
    BasicS3Backend<ScriptedTransport> backend(bench.options, bench.transport);
    CHECK(backend.read("o").value() == "x");
    CHECK(asked == 2);
    asked = 7;
    CHECK(BasicS3Backend<ScriptedTransport>(bench.options, bench.transport)
              .read("o")
              .status()
              .code() == StatusCode::permission_denied);
    CHECK(asked == 9);
  }
}

TEST_CASE("where there are no other keys than those refused, nothing is sent again") {
  int sent = 0;
  Bench bench([&](const SentRequest&) -> Result<HttpResponse> {
    ++sent;
    return test_support::s3_error(400, "ExpiredToken");
  });
  bench.options.bucket = "b";
  bench.options.access_key = "a";
  bench.options.secret_access_key = "s";
  bench.options.session_token = "t";
  const Status status =
      BasicS3Backend<ScriptedTransport>(bench.options, bench.transport).read("o").status();
  CHECK(status.message().find("have expired: get new ones") != std::string_view::npos);
  CHECK(sent == 1);
}

TEST_CASE("threads whose keys are refused at once fetch new ones once") {
  int asked = 0;
  Bench bench([&](const SentRequest&) -> Result<HttpResponse> {
    return answer(200, json_keys("a" + std::to_string(++asked), "2020-01-01T02:00:00Z"));
  });
  bench.environment.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
  S3CredentialChain<ScriptedTransport> chain(bench.options, bench.transport);
  const SigV4Keys old = chain.get().value();
  CHECK(chain.renew(old));
  CHECK(chain.renew(old));
  CHECK(asked == 2);
  CHECK(bench.show(chain.get()) == "a2 s/1 t");
}
