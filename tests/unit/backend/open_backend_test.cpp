// SPDX-License-Identifier: Apache-2.0
// From a StorageBackend message to a backend.
#include <map>
#include <string>
#include <utility>
#include <variant>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {
using Every = AnyBackend<NoopBackend, MemoryBackend, LocalBackend, S3Backend, GcsBackend>;
using LocalOnly = AnyBackend<MemoryBackend, LocalBackend>;

template <class Message>
StorageBackend storage_of(Message message) {
  StorageBackend storage;
  storage.backend = std::move(message);
  return storage;
}

S3 s3_message() {
  S3 s3;
  s3.endpoint = "http://127.0.0.1:9000";
  s3.bucket = "b";
  s3.prefix = "p/";
  return s3;
}

GCS gcs_message() {
  GCS gcs;
  gcs.bucket = "b";
  gcs.prefix = "p";
  return gcs;
}

// The backend's URL, or the failure.
template <class Any = Every>
std::string opened(const StorageBackend& storage) {
  auto backend = open_backend<Any>(storage);
  return backend.ok() ? backend.value().url() : backend.status().to_string();
}

CloudDynamic cloud(std::string provider, std::map<std::string, std::string> attrs = {}) {
  CloudDynamic message;
  message.provider_name = std::move(provider);
  message.attrs = std::move(attrs);
  message.bucket.emplace();
  message.bucket->endpoint = "http://e";
  message.bucket->region = "r";
  message.bucket->bucket = "b";
  message.bucket->prefix = "p";
  message.bucket->storage_class = "STANDARD";
  return message;
}

std::string unresolved(const CloudDynamic& message) {
  const auto resolved = resolve_cloud(message);
  return resolved.ok() ? "" : resolved.status().to_string();
}
}  // namespace

TEST_CASE("every message opens its backend") {
  CHECK(opened(storage_of(Noop{})) == "noop:///");
  CHECK(opened(storage_of(Local{.path = "/a b", .unknown_fields = {}})) == "local:///a%20b");
  CHECK(opened(storage_of(s3_message())) == "s3://b/p/?endpoint=http://127.0.0.1:9000");
  CHECK(opened(storage_of(gcs_message())) == "gcs://b/p");
  CHECK(opened(storage_of(cloud("aws"))) == "s3://b/p?endpoint=http://e");
  CHECK(opened(storage_of(cloud("gcp"))) == "gcs://b/p?endpoint=http://e");
}

TEST_CASE("a message without a backend is a bad storage backend") {
  CHECK(opened(StorageBackend()) ==
        "invalid_argument: bad storage backend: none is set; set noop, local, s3, gcs or "
        "cloud_dynamic");
  CHECK(opened(storage_of(Local())) == "invalid_argument: bad storage backend: local has no path");
}

TEST_CASE("of several backends on the wire the last one counts") {
  // field 2 (local) {path "/x"}, field 1 (noop) {}, field 4 (gcs) {bucket "b"}
  const std::string local = std::string("\x12\x04\x0a\x02/x", 6);
  const std::string noop = std::string("\x0a\x00", 2);
  const std::string gcs = std::string(
      "\x22\x03\x12\x01"
      "b",
      5);
  const auto wire = [](const std::string& bytes) {
    const auto storage = decode<StorageBackend>(bytes);
    REQUIRE(storage.ok());
    return opened(storage.value());
  };
  CHECK(wire(local + noop) == "noop:///");
  CHECK(wire(noop + local) == "local:///x");
  CHECK(wire(local + noop + gcs) == "gcs://b");
  CHECK(wire(gcs + noop + local) == "local:///x");
}

TEST_CASE("a backend that was not built in is named, with those that were") {
  CHECK(opened<LocalOnly>(storage_of(s3_message())) ==
        "unsupported: S3 is not built in; this program stores to: local");
  CHECK(opened<LocalOnly>(storage_of(gcs_message())) ==
        "unsupported: GCS is not built in; this program stores to: local");
  CHECK(opened<LocalOnly>(storage_of(cloud("s3"))) ==
        "unsupported: S3 is not built in; this program stores to: local");
  CHECK(opened<LocalOnly>(storage_of(Noop())) ==
        "unsupported: noop storage is not built in; this program stores to: local");
  CHECK(opened<AnyBackend<NoopBackend, GcsBackend>>(
            storage_of(Local{.path = "/x", .unknown_fields = {}})) ==
        "unsupported: local storage is not built in; this program stores to: noop, GCS");
  CHECK(opened<AnyBackend<MemoryBackend>>(storage_of(Noop())) ==
        "unsupported: noop storage is not built in; this program stores to: nothing that a message "
        "names");
}

TEST_CASE("clouds go by two names each") {
  for (const char* name : {"aws", "s3"}) {
    CHECK(std::holds_alternative<S3>(resolve_cloud(cloud(name)).value().backend));
  }
  for (const char* name : {"gcp", "gcs"}) {
    CHECK(std::holds_alternative<GCS>(resolve_cloud(cloud(name)).value().backend));
  }
  for (const char* name : {"", "S3", "azure", "gs"}) {
    CHECK(unresolved(cloud(name)) ==
          "invalid_argument: bad storage backend: there is no cloud provider \"" +
              std::string(name) + "\"; there are aws, s3, gcp and gcs");
  }
}

TEST_CASE("every attribute of a cloud reaches its message") {
  S3 s3;
  s3.endpoint = "http://e";
  s3.region = "r";
  s3.bucket = "b";
  s3.prefix = "p";
  s3.storage_class = "STANDARD";
  CHECK(resolve_cloud(cloud("s3")).value() == storage_of(s3));
  s3.force_path_style = true;
  s3.access_key = "AK";
  s3.secret_access_key = "SK";
  s3.sse = "aws:kms";
  s3.sse_kms_key_id = "kid";
  s3.acl = "private";
  CHECK(resolve_cloud(cloud("aws", {{"force_path_style", "True"},
                                    {"access_key", "AK"},
                                    {"secret_access_key", "SK"},
                                    {"sse", "aws:kms"},
                                    {"sse_kms_key_id", "kid"},
                                    {"acl", "private"}}))
            .value() == storage_of(s3));
  GCS gcs;
  gcs.endpoint = "http://e";
  gcs.bucket = "b";
  gcs.prefix = "p";
  gcs.storage_class = "STANDARD";
  gcs.predefined_acl = "private";
  gcs.credentials_blob = "{}";
  CHECK(resolve_cloud(cloud("gcs", {{"predefined_acl", "private"}, {"credentials_blob", "{}"}}))
            .value() == storage_of(gcs));
}

TEST_CASE("force_path_style of a cloud is true, false, or refused") {
  const auto style = [](const char* text) {
    return std::get<S3>(resolve_cloud(cloud("s3", {{"force_path_style", text}})).value().backend)
        .force_path_style;
  };
  CHECK(style("true"));
  CHECK(style("True"));
  CHECK_FALSE(style("false"));
  CHECK_FALSE(style("False"));
  CHECK_FALSE(style(""));
  CHECK(unresolved(cloud("s3", {{"force_path_style", "1"}})) ==
        "invalid_argument: bad storage backend: the attribute force_path_style is neither true nor "
        "false");
}

TEST_CASE("an attribute that a cloud does not have is named, its value is not") {
  CHECK(unresolved(cloud("s3", {{"session_token", "hunter2"}})) ==
        "invalid_argument: bad storage backend: S3 has no attribute \"session_token\"; it has "
        "force_path_style, access_key, secret_access_key, sse, sse_kms_key_id and acl");
  CHECK(unresolved(cloud("gcs", {{"access_key", "hunter2"}})) ==
        "invalid_argument: bad storage backend: GCS has no attribute \"access_key\"; it has "
        "predefined_acl and credentials_blob");
  CloudDynamic without = cloud("s3");
  without.bucket.reset();
  CHECK(unresolved(without) ==
        "invalid_argument: bad storage backend: cloud_dynamic has no bucket");
}

TEST_CASE("what a message does not say is as the host has it") {
  S3Options s3;
  s3.session_token = "token";
  s3.part_size = 16u << 20;
  s3.bucket = "other";
  s3.acl = "private";
  const S3Options of_s3 = S3Options::from(s3_message(), s3);
  CHECK(of_s3.session_token == "token");
  CHECK(of_s3.part_size == 16u << 20);
  CHECK(of_s3.bucket == "b");
  CHECK(of_s3.acl == "");
  GcsOptions gcs;
  gcs.chunk_size = 1u << 20;
  gcs.predefined_acl = "private";
  const GcsOptions of_gcs = GcsOptions::from(gcs_message(), gcs);
  CHECK(of_gcs.chunk_size == 1u << 20);
  CHECK(of_gcs.predefined_acl == "");
}

TEST_CASE("options of the host reach the opened backend") {
  CancelToken cancel;
  cancel.cancel();
  OpenBackendOptions options;
  options.s3.cancel = &cancel;
  options.s3.access_key = "the message's keys count, and it has none";
  S3 message = s3_message();
  message.access_key = "AK";
  message.secret_access_key = "SK";
  auto backend = open_backend<Every>(storage_of(message), options);
  REQUIRE(backend.ok());
  CHECK(backend.value().exists("backupmeta").status().code() == StatusCode::cancelled);
}
