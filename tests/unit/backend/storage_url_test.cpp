// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <tuple>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"

using namespace kvbackup;

namespace {
// "local PATH", the URL that is shown of any other message, or the failure.
std::string parsed(std::string_view text) {
  const auto storage = parse_storage_url(text);
  if (!storage.ok()) return storage.status().to_string();
  const Local* local = std::get_if<Local>(&storage.value().backend);
  return local == nullptr ? storage_url(storage.value()) : "local " + local->path;
}

S3 parsed_s3(std::string_view text, const StorageUrlDefaults& defaults = {}) {
  const auto storage = parse_storage_url(text, process_environment(), defaults);
  INFO(storage.status().to_string());
  REQUIRE(storage.ok());
  REQUIRE(std::holds_alternative<S3>(storage.value().backend));
  return std::get<S3>(storage.value().backend);
}

GCS parsed_gcs(std::string_view text) {
  const auto storage = parse_storage_url(text);
  INFO(storage.status().to_string());
  REQUIRE(storage.ok());
  REQUIRE(std::holds_alternative<GCS>(storage.value().backend));
  return std::get<GCS>(storage.value().backend);
}

constexpr const char* instead =
    "; give a path, local:///path, s3://bucket/prefix, gcs://bucket/prefix or noop://";
std::string refused(const std::string& why) { return "invalid_argument: " + why + instead; }
std::string refused_option(const std::string& key, const std::string& why) {
  return "invalid_argument: the option " + key + " of the storage URL " + why;
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
  CHECK(parsed("noop://") == "noop:///");
  CHECK(parsed("noop:///") == "noop:///");
  CHECK(parsed("noop:///what/ever") == "noop:///");
}

TEST_CASE("an s3 URL names bucket and prefix, without the slashes at the prefix's ends") {
  for (const auto& [url, bucket, prefix] : {
           std::tuple("s3://bucket", "bucket", ""),
           std::tuple("s3://bucket/", "bucket", ""),
           std::tuple("s3://bucket///", "bucket", ""),
           std::tuple("S3://bucket/a/b", "bucket", "a/b"),
           std::tuple("s3://bucket//a//b//", "bucket", "a//b"),
           std::tuple("s3://bucket/a%20b%2Bc%25?", "bucket", "a b+c%"),
           std::tuple("s3://bucket/a+b", "bucket", "a+b"),
           std::tuple("s3://my.bucket_1/%C3%A9/%3F%23", "my.bucket_1", "\xc3\xa9/?#"),
       }) {
    INFO(url);
    const S3 s3 = parsed_s3(url);
    CHECK(s3.bucket == bucket);
    CHECK(s3.prefix == prefix);
    CHECK(s3.force_path_style);
    CHECK(s3.endpoint + s3.region + s3.access_key + s3.secret_access_key == "");
  }
}

TEST_CASE("every option of an s3 URL reaches the message") {
  const S3 s3 = parsed_s3(
      "s3://b/p?endpoint=http://127.0.0.1:9000&region=eu-west-1&storage-class=STANDARD_IA"
      "&sse=aws:kms&sse-kms-key-id=key%2F1&acl=bucket-owner-full-control&access-key=AK"
      "&secret-access-key=a+b/c%3D%26&force-path-style=false&use-accelerate-endpoint=false");
  S3 expected;
  expected.endpoint = "http://127.0.0.1:9000";
  expected.region = "eu-west-1";
  expected.bucket = "b";
  expected.prefix = "p";
  expected.storage_class = "STANDARD_IA";
  expected.sse = "aws:kms";
  expected.sse_kms_key_id = "key/1";
  expected.acl = "bucket-owner-full-control";
  expected.access_key = "AK";
  expected.secret_access_key = "a+b/c=&";
  CHECK(s3 == expected);
}

TEST_CASE("keys of a query are compared as BR compares them") {
  const S3 s3 = parsed_s3("s3://b?ACCESS_KEY=x&Secret-Access_Key=y&Force_Path_Style=F&&region=");
  CHECK(s3.access_key == "x");
  CHECK(s3.secret_access_key == "y");
  CHECK_FALSE(s3.force_path_style);
}

TEST_CASE("clouds that know no bucket in a path get it in the host name, unless asked otherwise") {
  CHECK_FALSE(parsed_s3("s3://b?provider=alibaba").force_path_style);
  CHECK_FALSE(parsed_s3("s3://b?provider=netease").force_path_style);
  CHECK(parsed_s3("s3://b?provider=ceph").force_path_style);
  CHECK(parsed_s3("s3://b?provider=alibaba&force-path-style=true").force_path_style);
}

TEST_CASE("options beside the URL count where it lacks them") {
  const StorageUrlDefaults flags{.s3 = {{"region", "flag"}, {"acl", "private"}},
                                 .gcs = {{"storage-class", "COLDLINE"}}};
  const S3 s3 = parsed_s3("s3://b?region=url", flags);
  CHECK(s3.region == "url");
  CHECK(s3.acl == "private");
  CHECK(s3.storage_class == "");
}

TEST_CASE("a gcs URL names bucket, prefix and options") {
  CHECK(parsed_gcs("gs://b").bucket == "b");
  GCS expected;
  expected.endpoint = "https://127.0.0.1:4443/storage/v1/";
  expected.bucket = "b";
  expected.prefix = "a/b";
  expected.storage_class = "NEARLINE";
  expected.predefined_acl = "projectPrivate";
  CHECK(parsed_gcs("gcs://b/a/b/?endpoint=https://127.0.0.1:4443/storage/v1/&storage-class=NEARLINE"
                   "&predefined_acl=projectPrivate") == expected);
}

TEST_CASE("the file of credentials-file is read into the message") {
  const test_support::TempDir temp;
  const std::string path = temp.path("key.json");
  test_support::write_file(path, "{\"private_key\": \"hunter2\"}");
  test_support::write_file(temp.path("empty"), "");
  CHECK(parsed_gcs("gcs://b?credentials-file=" + path).credentials_blob ==
        "{\"private_key\": \"hunter2\"}");
  CHECK(parsed("gcs://b?credentials-file=" + path) == "gcs://b");
  CHECK(parsed("gcs://b?credentials-file=" + temp.path("empty")) ==
        refused_option("credentials-file", "names an empty file"));
  CHECK(parsed("gcs://b?credentials-file=/nowhere/key.json").find("not_found: ") == 0);
}

TEST_CASE("a bad storage URL is refused with what to write instead") {
  CHECK(parsed("") == refused("the storage URL is empty"));
  CHECK(parsed("ftp://host/x") == refused("unknown storage scheme \"ftp\""));
  CHECK(parsed("local://") ==
        refused("the storage URL has no path (three slashes: local:///path)"));
  CHECK(parsed("local://today") ==
        refused("the storage URL has no path (three slashes: local:///path)"));
  CHECK(parsed("local:/backups") ==
        refused("two slashes are missing after \"local:\" in the storage URL"));
  CHECK(parsed("noop:") == refused("two slashes are missing after \"noop:\" in the storage URL"));
  CHECK(parsed("s3:bucket") == refused("two slashes are missing after \"s3:\" in the storage URL"));
  for (const char* text : {"local:///50%", "local:///50%2", "local:///%zz", "local:///a%00b"}) {
    CHECK(parsed(text) ==
          refused("the path of the storage URL has a bad percent code (a % is %25)"));
  }
  CHECK(parsed(std::string_view("/a\0b", 4)) ==
        refused("the path of the storage holds a zero byte"));
  for (const char* text : {"s3://", "s3:///prefix", "gcs://?endpoint=http://x"}) {
    CHECK(parsed(text) == refused("the storage URL names no bucket"));
  }
  for (const char* text : {"s3://b/50%", "gs://%zz", "s3://b/a%00b"}) {
    CHECK(parsed(text) ==
          refused("bucket or prefix of the storage URL has a bad percent code (a % is %25)"));
  }
  CHECK(parsed("s3://b/p#1") == refused("the storage URL has a fragment (a # is %23)"));
  CHECK(parsed("s3://AK:hunter2@b/p") ==
        refused("the storage URL holds a user name; credentials are options of it"));
}

TEST_CASE("a bad option of a storage URL is named") {
  const std::string s3_options =
      "is not known; there are endpoint, region, storage-class, sse, sse-kms-key-id, acl, "
      "access-key, secret-access-key, provider, force-path-style and use-accelerate-endpoint";
  CHECK(parsed("s3://b?secret-key=hunter2") == refused_option("secret-key", s3_options));
  CHECK(parsed("s3://b?credentials-file=x") == refused_option("credentials-file", s3_options));
  CHECK(parsed("gcs://b?region=x") ==
        refused_option("region",
                       "is not known; there are endpoint, storage-class, predefined-acl "
                       "and credentials-file"));
  CHECK(parsed("s3://b?force-path-style=maybe") ==
        refused_option("force-path-style", "is neither true nor false"));
  CHECK(parsed("s3://b?region=a&REGION=b") == refused_option("region", "stands there twice"));
  CHECK(parsed("s3://b?region=%4") ==
        refused_option("region", "has a bad percent code (a % is %25)"));
  CHECK(parsed("s3://b?access-key=AK") ==
        refused_option("secret-access-key",
                       "is not found: access-key and secret-access-key go together"));
  CHECK(parsed("s3://b?secret-access-key=hunter2") ==
        refused_option("access-key", "is not found: access-key and secret-access-key go together"));
  CHECK(parsed("s3://b?endpoint=127.0.0.1:9000") ==
        refused_option("endpoint",
                       "cannot be used: the URL does not begin with http:// or https://"));
  CHECK(parsed("gs://b?endpoint=http://") ==
        refused_option("endpoint", "cannot be used: the URL has no valid host name"));
  CHECK(parsed("s3://b?endpoint=http://x%3Fy%3Dz") ==
        refused_option("endpoint", "has a query of its own"));
  CHECK(parsed("s3://b?use-accelerate-endpoint=true") ==
        refused_option("use-accelerate-endpoint",
                       "is not supported; give the accelerated host as endpoint"));
  for (const char* key : {"session-token", "profile", "role-arn", "external-id"}) {
    const std::string text = parsed("s3://b?" + std::string(key) + "=hunter2");
    CHECK(text.find(refused_option(key, "is not supported; ")) == 0);
    CHECK(text.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("what may be a secret with a bare & in it is not shown") {
  CHECK(parsed("s3://b?access-key=AK&secret-access-key=hun&ter2") ==
        "invalid_argument: the query of the storage URL is not KEY=VALUE&KEY=VALUE (an & in a "
        "value is %26)");
  CHECK(parsed("s3://b?access-key=AK&secret-access-key=hun&t%2Fer2=") ==
        "invalid_argument: the query of the storage URL is not KEY=VALUE&KEY=VALUE (an & in a "
        "value is %26)");
}

TEST_CASE("storage that only BR knows is named, and its credentials are not") {
  for (const char* scheme : {"azure", "azblob", "hdfs"}) {
    CHECK(parsed(std::string(scheme) + "://bucket/prefix?account-key=hunter2") ==
          "unsupported: " + std::string(scheme) + ":// storage is not supported" + instead);
  }
  CHECK(parsed("s4://bucket?secret-access-key=hunter2").find("hunter2") == std::string::npos);
}

TEST_CASE("what is shown of a message names the same place again, and no secret") {
  for (const char* url :
       {"s3://bucket", "s3://bucket/a%20b/%C3%A9?endpoint=http://127.0.0.1:9000&region=r",
        "s3://b/p?storage-class=STANDARD_IA&sse=aws:kms&sse-kms-key-id=k&acl=private"
        "&force-path-style=false",
        "gcs://b/p?endpoint=http://127.0.0.1:1&storage-class=NEARLINE&predefined-acl=private",
        "noop:///"}) {
    CHECK(parsed(url) == url);
  }
  CHECK(parsed("s3://b?access-key=AKIAX&secret-access-key=hunter2&endpoint=http://h") ==
        "s3://b?endpoint=http://h");
  CloudDynamic cloud;
  cloud.provider_name = "s3";
  cloud.attrs = {{"access_key", "AKIAX"}, {"secret_access_key", "hunter2"}};
  StorageBackend storage;
  storage.backend = cloud;
  CHECK(storage_url(storage) == "cloud_dynamic (s3)");
  cloud.bucket.emplace();
  cloud.bucket->bucket = "b";
  cloud.bucket->endpoint = "http://AKIAX:hunter2@host";
  storage.backend = cloud;
  CHECK(storage_url(storage) == "s3://b?force-path-style=false");
  CHECK(storage_url(StorageBackend()) == "(no storage backend)");
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
