// SPDX-License-Identifier: Apache-2.0
// Tokens of Google: RS256 against RFC 7515's example, key files, and when a token is asked for.
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"
#include "support/rsa_key.hpp"
#include "support/scripted_answers.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {
std::string key_file(std::string_view type = "service_account") {
  std::string json = "{";
  append_json_member(json, "type", type);
  append_json_member(json, "client_email", "me@example.com");
  append_json_member(json, "private_key", rfc7515_key);
  append_json_member(json, "private_key_id", "k1");
  append_json_member(json, "token_uri", "https://tokens.example/token");
  return json + "}";
}

HttpResponse grant(std::string_view token, int life_s) {
  return {200,
          {{"Metadata-Flavor", "Google"}},
          "{\"access_token\":\"" + std::string(token) +
              "\",\"expires_in\":" + std::to_string(life_s) + ",\"token_type\":\"Bearer\"}"};
}

struct Source {
  explicit Source(std::string blob, bool anonymous = false)
      : tokens(transport, std::move(blob), anonymous, environment, retry,
               {&clock, &random, nullptr, nullptr}, {}) {}

  std::string next() {
    const auto token = tokens.token();
    return token.ok() ? token.value() : token.status().to_string();
  }

  ScriptedAnswers transport;
  FakeEnvironment environment;
  FixedClock clock{1'600'000'000'999};
  FixedRandom random{0};
  RetryOptions retry{.attempts = 3};
  GoogleTokenSource<ScriptedAnswers> tokens;
};
}  // namespace

TEST_CASE("RS256 gives the signature of RFC 7515, A.2") {
  const auto signature = rs256_sign(
      rfc7515_key,
      "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLm"
      "NvbS9pc19yb290Ijp0cnVlfQ");
  REQUIRE(signature.status().to_string() == "ok");
  CHECK(base64url_encode(signature.value()) ==
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F"
        "p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB"
        "MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY"
        "I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw");
}

TEST_CASE(
    "a key that cannot sign is an error that shows none of it, and asks nobody for a pass phrase") {
  std::string cut = rfc7515_key;
  cut.resize(cut.size() / 2);
  for (const std::string& pem : {std::string(), std::string("SECRET"), cut,
                                 std::string(encrypted_key), std::string(elliptic_key)}) {
    const auto signature = rs256_sign(pem, "message");
    CHECK(signature.status().code() == StatusCode::invalid_argument);
    CHECK(signature.status().message().find("SECRET") == std::string_view::npos);
    CHECK(ERR_peek_error() == 0);
  }
}

TEST_CASE("a JWT names its issuer, scope, audience and times, whatever characters they have") {
  const auto token =
      make_jwt({.issuer = "a\"b\\\n", .scope = "s", .audience = "u", .issued_s = 1, .expires_s = 2},
               rfc7515_key, "kid");
  REQUIRE(token.ok());
  const std::string& text = token.value();
  const std::size_t dot = text.find('.');
  CHECK(text.substr(0, dot) == base64url_encode(R"({"alg":"RS256","typ":"JWT","kid":"kid"})"));
  CHECK(text.substr(dot + 1, text.find('.', dot + 1) - dot - 1) ==
        base64url_encode(R"({"iss":"a\"b\\\u000a","scope":"s","aud":"u","iat":1,"exp":2})"));
}

TEST_CASE("a key file is read, and what it lacks is named without showing it") {
  const auto refused = [](std::string_view json) {
    const auto found = parse_google_credentials(json, "the test");
    return found.ok() ? std::string() : found.status().to_string();
  };
  const auto found = parse_google_credentials(key_file(), "the test");
  REQUIRE(found.ok());
  CHECK(found.value().kind == GoogleCredentialKind::service_account);
  CHECK(found.value().client_email == "me@example.com");
  CHECK(found.value().private_key == rfc7515_key);
  CHECK(found.value().token_uri == "https://tokens.example/token");
  CHECK(refused("SECRET") ==
        "invalid_argument: the Google credentials of the test cannot be used: they are no JSON");
  CHECK(refused("{}").find("no type") != std::string::npos);
  CHECK(refused(R"({"type":"external_account"})").starts_with("unsupported"));
  CHECK(refused(R"({"type":"service_account","private_key":"SECRET"})").find("client_email") !=
        std::string::npos);
  CHECK(refused(R"({"type":"service_account","client_email":"SECRET"})").find("private_key") !=
        std::string::npos);
  CHECK(refused(R"({"type":"authorized_user","client_id":"i","client_secret":"SECRET"})")
            .find("refresh_token") != std::string::npos);
  CHECK(refused(R"({"type":"service_account","token_uri":"file:///SECRET"})").find("token_uri") !=
        std::string::npos);
  CHECK(refused(R"({"type":"authorized_user","client_id":"i","client_secret":"SECRET"})")
            .find("SECRET") == std::string::npos);
}

TEST_CASE(
    "credentials are looked for in the option, the named file, gcloud's file, and the machine") {
  FakeEnvironment environment;
  const auto found = [&](std::string_view blob = {}) {
    const auto credentials = find_google_credentials(blob, environment);
    if (!credentials.ok()) return credentials.status().to_string();
    const GoogleCredentials& c = credentials.value();
    return c.client_email + c.client_id + c.metadata_host;
  };
  CHECK(found() == "169.254.169.254");
  environment.variables["GCE_METADATA_HOST"] = "metadata.example:80";
  CHECK(found() == "metadata.example:80");
  environment.variables["HOME"] = "/h";
  environment.files["/h/.config/gcloud/application_default_credentials.json"] =
      R"({"type":"authorized_user","client_id":"home","client_secret":"s","refresh_token":"r"})";
  CHECK(found() == "home");
  environment.variables["CLOUDSDK_CONFIG"] = "/c";
  environment.files["/c/application_default_credentials.json"] =
      R"({"type":"authorized_user","client_id":"sdk","client_secret":"s","refresh_token":"r"})";
  CHECK(found() == "sdk");
  environment.variables["GOOGLE_APPLICATION_CREDENTIALS"] = "/k";
  CHECK(found().starts_with("not_found: there is no file where GOOGLE_APPLICATION_CREDENTIALS"));
  environment.files["/k"] = key_file();
  CHECK(found() == "me@example.com");
  CHECK(
      found(
          R"({"type":"authorized_user","client_id":"blob","client_secret":"s","refresh_token":"r"})") ==
      "blob");
}

TEST_CASE("a token is kept until five minutes before its end, or until it is refused") {
  Source source(key_file());
  source.transport.say(grant("one", 3600));
  CHECK(source.next() == "one");
  source.clock.sleep_ns(3'299'000'000'000);
  CHECK(source.next() == "one");
  source.clock.sleep_ns(2'000'000'000);
  source.transport.say(grant("two", 3600));
  CHECK(source.next() == "two");
  source.tokens.refused("one");
  CHECK(source.next() == "two");
  source.tokens.refused("two");
  source.transport.say(grant("three", 10));
  CHECK(source.next() == "three");
  source.clock.sleep_ns(4'000'000'000);
  CHECK(source.next() == "three");
  source.clock.sleep_ns(2'000'000'000);
  source.transport.say(grant("four", 3600));
  CHECK(source.next() == "four");
  CHECK(source.transport.requests().size() == 4);
}

TEST_CASE("a service account sends an assertion for its token endpoint and no other credential") {
  Source source(key_file());
  source.transport.say(grant("t", 3600));
  CHECK(source.next() == "t");
  const auto request = source.transport.requests().at(0);
  CHECK(request.method == "POST");
  CHECK(request.url == "https://tokens.example/token");
  CHECK(request.header("Content-Type") == "application/x-www-form-urlencoded");
  const auto assertion = make_jwt({.issuer = "me@example.com",
                                   .scope = "https://www.googleapis.com/auth/devstorage.read_write",
                                   .audience = "https://tokens.example/token",
                                   .issued_s = 1'600'000'000,
                                   .expires_s = 1'600'003'600},
                                  rfc7515_key, "k1");
  CHECK(request.body ==
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=" +
            assertion.value());
}

TEST_CASE("the machine is asked with its header, past every proxy, and must answer as what it is") {
  Source source("");
  source.transport.say(grant("t", 3600));
  CHECK(source.next() == "t");
  const auto request = source.transport.requests().at(0);
  CHECK(request.url ==
        "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token");
  CHECK(request.header("Metadata-Flavor") == "Google");
  CHECK(request.no_proxy);
  Source portal("");
  portal.transport.say({200, {}, R"({"access_token":"t"})"});
  CHECK(portal.next().starts_with("permission_denied"));
  Source nowhere("");
  for (int i = 0; i < 3; ++i) nowhere.transport.fail();
  const std::string message = nowhere.next();
  CHECK(message.starts_with("permission_denied: no Google credentials: "));
  CHECK(message.find("GOOGLE_APPLICATION_CREDENTIALS") != std::string::npos);
}

TEST_CASE("a user's refresh token is exchanged") {
  Source source(
      R"({"type":"authorized_user","client_id":"i","client_secret":"s&","refresh_token":"r"})");
  source.transport.say(grant("t", 3600));
  CHECK(source.next() == "t");
  CHECK(source.transport.requests().at(0).url == "https://oauth2.googleapis.com/token");
  CHECK(source.transport.requests().at(0).body ==
        "grant_type=refresh_token&client_id=i&client_secret=s%26&refresh_token=r");
}

TEST_CASE("without credentials nothing is asked and the token is empty") {
  Source source("SECRET", true);
  CHECK(source.next() == "");
  CHECK(source.transport.requests().empty());
}

TEST_CASE("a token endpoint that is busy is asked again; one that refuses is not") {
  Source busy(key_file());
  busy.transport.say({503, {}, ""});
  busy.transport.fail();
  busy.transport.say(grant("t", 3600));
  CHECK(busy.next() == "t");
  Source refused(key_file());
  refused.transport.say({400, {}, R"({"error":"invalid_grant","error_description":"SECRET"})"});
  const std::string message = refused.next();
  CHECK(
      message.starts_with("permission_denied: cannot get an access token: the token endpoint "
                          "answered 400 invalid_grant"));
  CHECK(message.find("SECRET") == std::string::npos);
  for (const char* body :
       {"", "{}", "SECRET", R"({"access_token":""})", R"({"access_token":"a\r\nb"})"}) {
    Source strange(key_file());
    strange.transport.say({200, {}, body});
    CHECK(strange.next() == "corruption: the token endpoint answered without an access token");
  }
}

TEST_CASE("text becomes JSON that says the same") {
  std::string out;
  append_json_string(out, std::string_view("a\"\\/\0\x1f\t\x7f\xc3\xa9", 10));
  CHECK(out == "\"a\\\"\\\\/\\u0000\\u001f\\u0009\x7f\xc3\xa9\"");
}
