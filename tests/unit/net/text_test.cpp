// SPDX-License-Identifier: Apache-2.0
// URLs, times, XML and JSON: what is read, and what is refused.
#include <string>
#include <string_view>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {
std::string elements(std::string_view xml) {
  std::string out;
  const Status status = scan_xml(xml, [&](std::string_view path, std::string_view text) {
    out += std::string(path) + "=" + std::string(text) + ";";
    return Status();
  });
  return status.ok() ? out : std::string(to_string(status.code()));
}
std::string values(std::string_view json) {
  std::string out;
  const Status status = scan_json(json, [&](std::string_view path, std::string_view value) {
    out += std::string(path) + "=" + std::string(value) + ";";
    return Status();
  });
  return status.ok() ? out : std::string(to_string(status.code()));
}
}  // namespace

TEST_CASE("a URL is taken apart and put together again") {
  const auto url = parse_url("https://bucket.example.com:8443/a%20b/c?x=1&y");
  REQUIRE(url.ok());
  CHECK(url.value().tls);
  CHECK(url.value().host == "bucket.example.com");
  CHECK(url.value().port == 8443);
  CHECK(url.value().path == "/a%20b/c");
  CHECK(url.value().query == "x=1&y");
  CHECK(url.value().authority() == "bucket.example.com:8443");
  CHECK(url.value().to_string() == "https://bucket.example.com:8443/a%20b/c?x=1&y");
  CHECK(parse_url("http://h").value().to_string() == "http://h/");
  CHECK(parse_url("http://h:80").value().authority() == "h");
  CHECK(parse_url("https://[::1]:9/x").value().host == "[::1]");
  CHECK(parse_url("https://[::1]").value().port == 443);
  CHECK(parse_url("http://h?q").value().query == "q");
}

TEST_CASE("what is no http URL is refused without showing it") {
  for (const char* text :
       {"", "h", "ftp://h", "http://", "http:///p", "http://h:0", "http://h:65536", "http://h:x",
        "http://h:", "http://u:secret@h/", "http://h /", "http://h/a b", "http://h/\xc3\xa9",
        "http://h/#f", "http://[::1", "http://h\r\nX: y/"}) {
    const auto url = parse_url(text);
    INFO(text);
    REQUIRE_FALSE(url.ok());
    CHECK(url.status().code() == StatusCode::invalid_argument);
    CHECK(url.status().to_string().find("secret") == std::string::npos);
  }
}

TEST_CASE("times are spelled and read as HTTP, AWS and ISO 8601 have them") {
  CHECK(amz_date(0) == "19700101T000000Z");
  CHECK(amz_date(951'782'399'999) == "20000228T235959Z");
  CHECK(amz_date(951'782'400'000) == "20000229T000000Z");
  CHECK(amz_date(4'107'542'400'000) == "21000301T000000Z");  // 2100 is no leap year
  CHECK(parse_http_date("Fri, 24 May 2013 00:00:00 GMT") == 1'369'353'600'000u);
  CHECK(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0u);
  CHECK(parse_http_date("Tue, 29 Feb 2000 12:34:56 GMT") == 951'827'696'000u);
  CHECK(parse_iso_time("2000-02-29T12:34:56Z") == 951'827'696'000u);
  CHECK(parse_iso_time("2000-02-29T12:34:56.789Z") == 951'827'696'000u);
  for (const char* text : {"", "Fri, 24 May 2013 00:00:00", "Fri, 24 Mai 2013 00:00:00 GMT",
                           "Fri, 24 May 2013 24:00:00 GMT", "24 May 2013 00:00:00 GMT",
                           "Fri, 24 May 1969 00:00:00 GMT", "Fri, 24 anF 2013 00:00:00 GMT"}) {
    CHECK_FALSE(parse_http_date(text).has_value());
  }
  for (const char* text : {"", "2000-02-29", "2000-02-29T12:34:56", "2000-13-29T12:34:56Z",
                           "2000-02-29T12:34:56+01:00", "99999-01-01T00:00:00Z"}) {
    CHECK_FALSE(parse_iso_time(text).has_value());
  }
}

TEST_CASE("XML gives its elements, inner before outer, with text and entities") {
  CHECK(elements("<?xml version=\"1.0\"?>\n<a xmlns='u>v'><b>1</b><c/><b>x &amp;&lt;&#65;&#x1F600;"
                 "</b></a>\n") == "a/b=1;a/c=;a/b=x &<A\xf0\x9f\x98\x80;a=;");
  CHECK(elements("<n:a><n:b><![CDATA[<&>]]></n:b><!-- <x> --></n:a>") == "a/b=<&>;a=;");
  CHECK(elements("<a >t<b/>u</a >") == "a/b=;a=tu;");
}

TEST_CASE("XML that is cut, nests too deeply or brings a document type is refused") {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  for (const std::string& text :
       {std::string(), std::string("text"), std::string("<a>"), std::string("<a></b>"),
        std::string("<a></a><b></b>"), std::string("<a>&unknown;</a>"), std::string("<a>&#0;</a>"),
        std::string("<a>&#xD800;</a>"), std::string("<a>&#x110000;</a>"), std::string("<a>&</a>"),
        std::string("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"), std::string("<a><!-- </a>"),
        std::string("</a>"), std::string("<a b='></a>"), std::string("<a>\xff</a>"), deep,
        std::string("<>"), std::string("<a/>x")}) {
    CHECK(elements(text) == "corruption");
  }
}

TEST_CASE("a scan ends with the first error of its caller") {
  int calls = 0;
  const auto stop = [&](std::string_view, std::string_view) {
    ++calls;
    return Status::error(StatusCode::cancelled, "enough");
  };
  CHECK(scan_xml("<a><b/><c/></a>", stop).code() == StatusCode::cancelled);
  CHECK(scan_json("{\"a\":1,\"b\":2}", stop).code() == StatusCode::cancelled);
  CHECK(calls == 2);
}

TEST_CASE("text becomes the content of an XML element and comes back") {
  const std::string text = "<\"a&b'>";
  CHECK(elements("<k>" + xml_escape(text) + "</k>") == "k=" + text + ";");
}

TEST_CASE("JSON gives its values by path") {
  CHECK(values(" {\"a\": \"x\\n\\u00e9\\ud83d\\ude00\", \"b\":[1, {\"c\":null}],\"d\":{}} ") ==
        "a=x\n\xc3\xa9\xf0\x9f\x98\x80;b/[]=1;b/[]/c=null;b/[]={};b=[];d={};={};");
  CHECK(values("-1.5e3") == "=-1.5e3;");
  CHECK(values("\"a\\u0000b\"") == std::string("=a\0b;", 5));
}

TEST_CASE("JSON that is cut, nests too deeply or has trailing text is refused") {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("{\"a\"}"), std::string("{\"a\":}"),
        std::string("{\"a\":1 \"b\":2}"), std::string("[1,"), std::string("\"a"),
        std::string("\"\\x\""), std::string("\"\\ud800\""), std::string("\"\\u12\""),
        std::string("{} x"), std::string("\"\xff\""), std::string("{a:1}"),
        std::string(100'000, '[')}) {
    CHECK(values(text) == "corruption");
  }
}
