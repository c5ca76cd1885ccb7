// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {
// "kind path", or the failure.
std::string parsed(std::string_view text) {
  const auto location = parse_storage_url(text);
  if (!location.ok()) return location.status().to_string();
  const bool local = location.value().kind == StorageKind::local;
  return (local ? "local " : "noop ") + location.value().path;
}
}  // namespace

TEST_CASE("a storage URL names a folder") {
  CHECK(parsed("local:///backups/today") == "local /backups/today");
  CHECK(parsed("file:///backups/today") == "local /backups/today");
  CHECK(parsed("LOCAL:///Backups") == "local /Backups");
  CHECK(parsed("local:///") == "local /");
}

TEST_CASE("the path of a storage URL is percent-coded") {
  CHECK(parsed("local:///with%20space/50%25") == "local /with space/50%");
  CHECK(parsed("local:///a%3Fb%23c") == "local /a?b#c");
  CHECK(parsed("local:///a+b") == "local /a+b");
}

TEST_CASE("host, query and fragment of a local URL are dropped, as BR drops them") {
  CHECK(parsed("local://host/backups") == "local /backups");
  CHECK(parsed("local:///backups?concurrency=1") == "local /backups");
  CHECK(parsed("local:///backups#top") == "local /backups");
}

TEST_CASE("a plain path is taken as it is") {
  CHECK(parsed("/backups/today") == "local /backups/today");
  CHECK(parsed("today") == "local today");
  CHECK(parsed("./a b/50%25?x#y") == "local ./a b/50%25?x#y");
  CHECK(parsed("/a:b/c") == "local /a:b/c");
  CHECK(parsed("12:30") == "local 12:30");
  CHECK(parsed("day:one") == "local day:one");
  CHECK(parsed("./s3://x") == "local ./s3://x");
}

TEST_CASE("noop storage needs no path") {
  CHECK(parsed("noop://") == "noop ");
  CHECK(parsed("noop:///") == "noop ");
  CHECK(parsed("noop:///what/ever") == "noop ");
}

TEST_CASE("a bad storage URL is refused with what to write instead") {
  const std::string instead = "; give a path, local:///path or noop://";
  CHECK(parsed("") == "invalid_argument: the storage URL is empty" + instead);
  CHECK(parsed("ftp://host/x") == "invalid_argument: unknown storage scheme \"ftp\"" + instead);
  CHECK(parsed("local://") ==
        "invalid_argument: the storage URL has no path (three slashes: local:///path)" + instead);
  CHECK(parsed("local://today") ==
        "invalid_argument: the storage URL has no path (three slashes: local:///path)" + instead);
  CHECK(parsed("local:/backups") ==
        "invalid_argument: two slashes are missing after \"local:\" in the storage URL" + instead);
  CHECK(parsed("noop:") ==
        "invalid_argument: two slashes are missing after \"noop:\" in the storage URL" + instead);
  for (const char* text : {"local:///50%", "local:///50%2", "local:///%zz", "local:///a%00b"}) {
    CHECK(parsed(text) ==
          "invalid_argument: the path of the storage URL has a bad percent code (a % is %25)" +
              instead);
  }
  CHECK(parsed(std::string_view("/a\0b", 4)) ==
        "invalid_argument: the path of the storage holds a zero byte" + instead);
}

TEST_CASE("storage that is not built in is named, and its credentials are not") {
  for (const char* scheme : {"s3", "gcs", "gs", "azure", "azblob", "hdfs"}) {
    const auto location =
        parse_storage_url(std::string(scheme) + "://bucket/prefix?secret-access-key=hunter2");
    REQUIRE_FALSE(location.ok());
    CHECK(location.status().code() == StatusCode::unsupported);
    const std::string text = location.status().to_string();
    CHECK(text.find(scheme) != std::string::npos);
    CHECK(text.find("hunter2") == std::string::npos);
  }
  CHECK(parsed("s4://bucket?secret-access-key=hunter2").find("hunter2") == std::string::npos);
}

TEST_CASE("the URL of a local backend names the same folder again") {
  for (const char* path :
       {"/", "/backups", "/with space/50%/?#", "today", "./a:b", "../x", "/\xc3\xa9"}) {
    const std::string url = LocalBackend(path).url();
    CHECK(parsed(url) == std::string("local ") + path);
  }
  CHECK(LocalBackend("/with space").url() == "local:///with%20space");
  CHECK(parsed(LocalBackend("s3://x").url()) == "local ./s3://x");
}
