// SPDX-License-Identifier: Apache-2.0
// Signatures against the values that AWS publishes: its Signature Version 4 test suite (service
// "service", 2015) and the examples of the S3 manual (2013); HMAC against RFC 4231.
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {
constexpr const char* nothing_hashed =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Case {
  const char* name;
  const char* method;
  std::string path;
  QueryParameters query;
  std::vector<HttpHeader> headers;
  std::string body;
  const char* signed_headers;
  const char* signature;
};

const SigV4Keys suite_keys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
const SigV4Keys manual_keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
constexpr std::uint64_t suite_time = 1'440'938'160'000;   // 2015-08-30 12:36:00
constexpr std::uint64_t manual_time = 1'369'353'600'000;  // 2013-05-24 00:00:00
const std::string letters = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

std::string authorization(const Case& test, const SigV4Keys& keys, const SigV4Scope& scope,
                          const char* host) {
  std::vector<HttpHeader> headers{{"Host", host}, {"X-Amz-Date", amz_date(scope.unix_ms)}};
  headers.insert(headers.end(), test.headers.begin(), test.headers.end());
  const std::string hash = to_hex(as_bytes(PortableSha256::of(test.body)));
  const auto made =
      sigv4_authorization(keys, scope, {test.method, test.path, test.query, headers, hash});
  return made.ok() ? made.value() : made.status().to_string();
}
}  // namespace

TEST_CASE("HMAC-SHA-256 gives the values of RFC 4231") {
  const auto mac = [](ByteView key, ByteView message) {
    return to_hex(as_bytes(hmac_sha256(key, message).value()));
  };
  CHECK(mac(std::string(20, '\x0b'), "Hi There") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(mac("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(mac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(mac("", "").size() == 64);
}

TEST_CASE("requests are signed as AWS's test suite signs them") {
  const std::vector<Case> cases{
      {"get-header-key-duplicate",
       "GET",
       "/",
       {},
       {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
       "",
       "host;my-header1;x-amz-date",
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-multiline",
       "GET",
       "/",
       {},
       {{"My-Header1", "value1,value2,value3"}},
       "",
       "host;my-header1;x-amz-date",
       "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
      {"get-header-value-order",
       "GET",
       "/",
       {},
       {{"My-Header1", "value4"},
        {"My-Header1", "value1"},
        {"My-Header1", "value3"},
        {"My-Header1", "value2"}},
       "",
       "host;my-header1;x-amz-date",
       "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
      {"get-header-value-trim",
       "GET",
       "/",
       {},
       {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
       "",
       "host;my-header1;my-header2;x-amz-date",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"get-unreserved",
       "GET",
       "/" + letters,
       {},
       {},
       "",
       "host;x-amz-date",
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-utf8",
       "GET",
       "/%E1%88%B4",
       {},
       {},
       "",
       "host;x-amz-date",
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-vanilla",
       "GET",
       "/",
       {},
       {},
       "",
       "host;x-amz-date",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-vanilla-empty-query-key",
       "GET",
       "/",
       {{"Param1", "value1"}},
       {},
       "",
       "host;x-amz-date",
       "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"get-vanilla-query-order-key-case",
       "GET",
       "/",
       {{"Param2", "value2"}, {"Param1", "value1"}},
       {},
       "",
       "host;x-amz-date",
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-query-unreserved",
       "GET",
       "/",
       {{letters, letters}},
       {},
       "",
       "host;x-amz-date",
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-vanilla-utf8-query",
       "GET",
       "/",
       {{"\xe1\x88\xb4", "bar"}},
       {},
       "",
       "host;x-amz-date",
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"post-vanilla",
       "POST",
       "/",
       {},
       {},
       "",
       "host;x-amz-date",
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-header-key-sort",
       "POST",
       "/",
       {},
       {{"My-Header1", "value1"}},
       "",
       "host;my-header1;x-amz-date",
       "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
      {"post-header-value-case",
       "POST",
       "/",
       {},
       {{"My-Header1", "VALUE1"}},
       "",
       "host;my-header1;x-amz-date",
       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
      {"post-vanilla-query",
       "POST",
       "/",
       {{"Param1", "value1"}},
       {},
       "",
       "host;x-amz-date",
       "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
      {"post-vanilla-query-nonunreserved",
       "POST",
       "/",
       {{"@#$%^", ""}, {"+", "/,?><`\";:\\|][{}"}},
       {},
       "",
       "host;x-amz-date",
       "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e"},
      {"post-vanilla-query-space",
       "POST",
       "/",
       {{"p", ""}},
       {},
       "",
       "host;x-amz-date",
       "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b"},
      {"post-x-www-form-urlencoded",
       "POST",
       "/",
       {},
       {{"Content-Type", "application/x-www-form-urlencoded"}},
       "Param1=value1",
       "content-type;host;x-amz-date",
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
      {"post-x-www-form-urlencoded-parameters",
       "POST",
       "/",
       {},
       {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}},
       "Param1=value1",
       "content-type;host;x-amz-date",
       "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
  };
  for (const Case& test : cases) {
    INFO(test.name);
    CHECK(authorization(test, suite_keys, {"us-east-1", "service", suite_time},
                        "example.amazonaws.com") ==
          std::string("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
                      "aws4_request, SignedHeaders=") +
              test.signed_headers + ", Signature=" + test.signature);
  }
}

TEST_CASE("requests are signed as the examples of the S3 manual") {
  const char* all = "host;x-amz-content-sha256;x-amz-date";
  const std::vector<Case> cases{
      {"GET object",
       "GET",
       "/test.txt",
       {},
       {{"Range", "bytes=0-9"}, {"x-amz-content-sha256", nothing_hashed}},
       "",
       "host;range;x-amz-content-sha256;x-amz-date",
       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
      {"PUT object",
       "PUT",
       "/test%24file.text",
       {},
       {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
        {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
        {"x-amz-content-sha256",
         "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}},
       "Welcome to Amazon S3.",
       "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
      {"GET bucket lifecycle",
       "GET",
       "/",
       {{"lifecycle", ""}},
       {{"x-amz-content-sha256", nothing_hashed}},
       "",
       all,
       "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
      {"list",
       "GET",
       "/",
       {{"prefix", "J"}, {"max-keys", "2"}},
       {{"x-amz-content-sha256", nothing_hashed}},
       "",
       all,
       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
  };
  for (const Case& test : cases) {
    INFO(test.name);
    CHECK(authorization(test, manual_keys, {"us-east-1", "s3", manual_time},
                        "examplebucket.s3.amazonaws.com") ==
          std::string("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                      "aws4_request, SignedHeaders=") +
              test.signed_headers + ", Signature=" + test.signature);
  }
}

TEST_CASE("a presigned query is that of the S3 manual and of AWS's test suite") {
  const auto manual = sigv4_presign(
      manual_keys, {"us-east-1", "s3", manual_time},
      {"GET", "/test.txt", {}, {{"host", "examplebucket.s3.amazonaws.com"}}, "UNSIGNED-PAYLOAD"},
      86400);
  REQUIRE(manual.ok());
  CHECK(encode_query(manual.value()) ==
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
        "X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  const auto suite =
      sigv4_presign(suite_keys, {"us-east-1", "service", suite_time},
                    {"GET",
                     "/",
                     {{"Param-3", "Value3"}, {"Param", "Value2"}, {"\xe1\x88\xb4", "Value1"}},
                     {{"Host", "example.amazonaws.com"}},
                     nothing_hashed},
                    3600);
  REQUIRE(suite.ok());
  CHECK(suite.value().back().second ==
        "c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787");
}

TEST_CASE("a presigned query carries the session token, and is refused for over a week") {
  SigV4Keys keys = manual_keys;
  keys.session_token = "token/+=";
  const SigV4Scope scope{"us-east-1", "s3", manual_time};
  const SigV4Request request{"GET", "/x", {}, {{"host", "h"}}, "UNSIGNED-PAYLOAD"};
  const auto query = sigv4_presign(keys, scope, request, 1);
  REQUIRE(query.ok());
  CHECK(encode_query(query.value()).find("X-Amz-Security-Token=token%2F%2B%3D&") !=
        std::string::npos);
  CHECK(sigv4_presign(keys, scope, request, 0).status().code() == StatusCode::invalid_argument);
  CHECK(sigv4_presign(keys, scope, request, 604'801).status().code() ==
        StatusCode::invalid_argument);
}
