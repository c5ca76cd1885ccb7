// SPDX-License-Identifier: Apache-2.0
// The GCS backend against a strict Cloud Storage: the contract, names, options, credentials.
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_backend.hpp>

#include "conformance/gcs/gcs_support.hpp"
#include "support/fixed_clock.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {
std::vector<std::string> names_of(const Result<std::vector<ObjectInfo>>& listed) {
  REQUIRE(listed.status().to_string() == "ok");
  std::vector<std::string> names;
  for (const ObjectInfo& object : listed.value()) names.push_back(object.name);
  return names;
}
/// What the server says of the object with this whole name.
std::string description(std::string_view key) {
  const std::string state = control("KVBACKUP_TEST_GCS", "state");
  std::string json;
  append_json_member(json = "{", "name", key);
  const std::size_t at = state.find("\"name\": " + json.substr(json.find(':') + 1));
  if (at == std::string::npos) return "";
  const std::size_t begin = state.rfind("{\"kind\"", at);
  return state.substr(begin, state.find("{\"kind\"", at) - begin);
}
}  // namespace

TEST_CASE("the GCS backend keeps the laws of the contract", "[kit]") {
  server_faults("[]");
  CHECK(testing::to_string(testing::check_backend([] { return GcsBackend(gcs_options()); })) == "");
  CHECK(open_sessions() == "0");
}

TEST_CASE("an object of any size is stored whole, and no session stays open") {
  server_faults("[]");
  GcsOptions options = gcs_options();
  options.chunk_size = 512u << 10;
  GcsBackend backend(options);
  const std::size_t chunk = 512u << 10;
  int number = 0;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, chunk - 1, chunk, chunk + 1,
                                 2 * chunk, 3 * chunk + 7, 20 * chunk + 262'144}) {
    const std::string name = std::to_string(number++) + ".sst";
    const std::string bytes = noise(size);
    CHECK(put(backend, name, bytes).to_string() == "ok");
    CHECK((backend.read(name).value() == bytes));
  }
  CHECK(open_sessions() == "0");
}

TEST_CASE(
    "names and prefixes of every kind round-trip, and stand in the bucket as they are spelled") {
  server_faults("[]");
  const std::string run = new_prefix();
  for (const std::string& prefix : {run, run + "/a/b", "/" + run, run + "/trailing/", run + "/a//b",
                                    run + " +%2F\xc3\xa9'\"&?#", std::string()}) {
    GcsOptions options = gcs_options();
    options.prefix = prefix;
    GcsBackend backend(options);
    const std::string unique = prefix.empty() ? run + "x" : "";
    for (const char* tail :
         {"plain.sst", "with space.sst", "100%25+1.sst", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80.sst",
          "quotes'\".sst", "a&b=c?d#e;f,g.sst", "deep/er/[x]{y}~!*().sst"}) {
      const std::string name = unique + tail;
      CAPTURE(prefix, name);
      CHECK(put(backend, name, name).to_string() == "ok");
      CHECK(description(prefix.empty() ? name : prefix + "/" + name) != "");
      CHECK(backend.read(name).value() == name);
      CHECK(backend.read_range(name, 1, 3).value() == name.substr(1, 3));
      CHECK(names_of(backend.list(name)) == std::vector<std::string>{name});
      CHECK(backend.remove(name).to_string() == "ok");
      CHECK_FALSE(backend.exists(name).value());
    }
  }
}

TEST_CASE("a long list comes in pages, whole and sorted") {
  server_faults("[]");
  GcsBackend backend(gcs_options());
  std::vector<std::string> expected;
  for (int i = 0; i < 23; ++i) {
    expected.push_back("f" + std::to_string(100 + i));
    REQUIRE(put(backend, expected.back(), "x").ok());
  }
  CHECK(names_of(backend.list("")) == expected);
  CHECK(control("KVBACKUP_TEST_GCS", "log").find("pageToken") != std::string::npos);
}

TEST_CASE("an object gets the class and the ACL that were asked for") {
  server_faults("[]");
  GcsOptions options = gcs_options();
  options.storage_class = "COLDLINE";
  options.predefined_acl = "publicRead";
  GcsBackend backend(options);
  REQUIRE(put(backend, "small", "s").to_string() == "ok");
  REQUIRE(put(backend, "large", noise(3u << 20)).to_string() == "ok");
  for (const char* name : {"small", "large"}) {
    const std::string said = description(options.prefix + "/" + name);
    CHECK(said.find("\"storageClass\": \"COLDLINE\"") != std::string::npos);
    CHECK(said.find("\"predefinedAcl\": \"publicRead\"") != std::string::npos);
    CHECK(said.find("\"contentType\": \"application/octet-stream\"") != std::string::npos);
  }
  options.credentials_blob.clear();
  options.anonymous = true;
  GcsBackend anyone(options);
  CHECK(anyone.read("small").value() == "s");
  CHECK(put(anyone, "other", "x").code() == StatusCode::permission_denied);
}

TEST_CASE("what BR left under prefix// and at prefixbackupmeta is found") {
  server_faults("[]");
  const GcsOptions options = gcs_options();
  GcsOptions raw = options;
  raw.prefix = "";
  // as BR wrote it: names in the bucket that are no names of ours
  const auto plant = [&](const std::string& key, const std::string& bytes) {
    HttpRequest request;
    CurlTransport transport;
    request.method = "GET";
    request.url = options.endpoint + "/computeMetadata/v1/instance/service-accounts/default/token";
    request.headers = {{"Metadata-Flavor", "Google"}};
    const std::string token = transport.perform(request).value().body;
    const std::size_t at = token.find("ya29");
    request.method = "POST";
    request.url = options.endpoint + "/upload/storage/v1/b/" + gcs_bucket +
                  "/o?uploadType=media&name=" + percent_encode(key);
    request.headers = {{"Authorization", "Bearer " + token.substr(at, token.find('"', at) - at)},
                       {"Content-Type", "x/y"}};
    request.body = bytes;
    REQUIRE(transport.perform(request).value().status == 200);
  };
  plant(options.prefix + "//1_2_3_default.sst", "table");
  plant(options.prefix + "backupmeta", "manifest");
  for (const std::string tail : {"", "/"}) {
    GcsOptions asked = options;
    asked.prefix += tail;
    GcsBackend backend(asked);
    CHECK(backend.read("1_2_3_default.sst").value() == "table");
    CHECK(backend.read_range("1_2_3_default.sst", 1, 2).value() == "ab");
    CHECK(backend.read("backupmeta").value() == "manifest");
    CHECK(backend.exists("backupmeta").value());
    CHECK(names_of(backend.list("")) == std::vector<std::string>{"1_2_3_default.sst"});
    CHECK(names_of(backend.list("1_")) == std::vector<std::string>{"1_2_3_default.sst"});
  }
  GcsBackend backend(options);
  CHECK(backend.remove("1_2_3_default.sst").ok());
  CHECK(backend.list("").value().empty());
}

TEST_CASE("credentials come from the file that the environment names, or from the machine") {
  server_faults("[]");
  GcsOptions options = gcs_options();
  options.credentials_blob.clear();
  FakeEnvironment environment;
  options.environment = &environment;
  environment.variables["GOOGLE_APPLICATION_CREDENTIALS"] = "/k.json";
  environment.files["/k.json"] = gcs_key_file();
  GcsBackend from_file(options);
  CHECK(put(from_file, "a", "x").to_string() == "ok");
  environment.variables.clear();
  environment.variables["GCE_METADATA_HOST"] = options.endpoint.substr(7);
  GcsBackend from_machine(options);
  CHECK(put(from_machine, "b", "x").to_string() == "ok");
  CHECK(from_machine.list("").value().size() == 2);
}

TEST_CASE("nothing secret shows in a failure, a warning or the URL") {
  server_faults(R"([{"do": "answer", "status": 503, "times": 100, "path": "/upload"}])");
  GcsOptions options = gcs_options();
  options.retry.attempts = 2;
  Recorder recorder;
  options.observer = &recorder;
  std::string shown;
  const auto show = [&](const Status& status) { shown += status.to_string() + "\n"; };
  GcsBackend backend(options);
  show(put(backend, "a", "x"));
  server_faults(R"([{"do": "answer", "status": 503, "times": 100, "method": "PUT"},
                    {"do": "answer", "status": 503, "times": 100, "method": "DELETE"}])");
  show(put(backend, "b", noise(3u << 20)));
  shown += backend.url();
  server_faults("[]");
  std::string wrong = options.credentials_blob;
  wrong.replace(wrong.find("backup@"), 7, "nobody@");
  options.credentials_blob = wrong;
  GcsBackend stranger(options);
  show(stranger.list("").status());
  CHECK(shown.find("invalid_grant") != std::string::npos);
  options.credentials_blob = "{\"type\": \"service_account\", \"private_key\": \"SECRET\"}";
  show(GcsBackend(options).list("").status());
  options.credentials_blob =
      "{\"type\": \"service_account\", \"private_key\": \"SECRET\", \"client_email\": \"a@b\"}";
  show(GcsBackend(options).list("").status());
  for (const std::string& text : recorder.warnings) shown += text + "\n";
  for (const std::string& text : recorder.reasons) shown += text + "\n";
  CHECK(recorder.warnings.size() == 1);
  for (const char* secret : {"SECRET", "PRIVATE KEY", "ya29", "upload_id", "Bearer", "eyJ"}) {
    CAPTURE(secret, shown);
    CHECK(shown.find(secret) == std::string::npos);
  }
}

TEST_CASE("a whole backup goes to Cloud Storage and is the same there") {
  server_faults("[]");
  const auto store = many_pairs(20'000);
  GcsBackend backend(gcs_options());
  MemoryBackend memory;
  FixedClock clock;
  const auto run = [&](auto& to) {
    auto pipeline = BackupPipeline(RangeSource(store), NoneCodec{}, FileHasher{}, to);
    BackupOptions options;
    options.clock = &clock;
    return pipeline.run(options).status().to_string();
  };
  CHECK(run(backend) == "ok");
  CHECK(run(memory) == "ok");
  const auto files = memory.list("").value();
  CHECK(backend.list("").value() == files);
  for (const ObjectInfo& file : files) {
    CHECK((backend.read(file.name).value() == memory.read(file.name).value()));
  }
}

TEST_CASE("writers of several threads share one backend and its token") {
  server_faults(R"([{"do": "expire_tokens", "path": "/upload", "skip": 5}])");
  GcsBackend backend(gcs_options());
  std::vector<std::string> results(6);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&, i] {
      const std::string name = std::to_string(i);
      const std::string bytes = noise((i + 1) * 700'000, i);
      results[i] = put(backend, name, bytes).to_string();
      if (results[i] == "ok") results[i] = backend.read(name).value() == bytes ? "same" : "differs";
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(results == std::vector<std::string>(6, "same"));
  CHECK(backend.list("").value().size() == 6);
}

TEST_CASE("rclone reads what the backend wrote, and the backend what rclone wrote") {
  server_faults("[]");
  const GcsOptions options = gcs_options();
  GcsBackend backend(options);
  const TempDir ours;
  const std::string place = "G:" + std::string(gcs_bucket) + "/" + options.prefix;
  const auto rclone = [&](const std::string& arguments) {
    const std::string command =
        "RCLONE_CONFIG=/dev/null RCLONE_CONFIG_G_TYPE='google cloud storage' "
        "RCLONE_CONFIG_G_SERVICE_ACCOUNT_FILE='" +
        variable("KVBACKUP_TEST_GCS_KEY") + "' RCLONE_CONFIG_G_ENDPOINT='" + options.endpoint +
        "/storage/v1/' " KVBACKUP_TEST_RCLONE " --retries 1 --quiet " + arguments;
    return std::system(command.c_str());
  };
  const std::vector<std::pair<std::string, std::string>> files = {{"empty", ""},
                                                                  {"small.sst", noise(1000)},
                                                                  {"a b/c+d%20.sst", noise(5)},
                                                                  {"large.sst", noise(9'000'001)}};
  for (const auto& [name, bytes] : files) REQUIRE(put(backend, name, bytes).to_string() == "ok");
  REQUIRE(rclone("copy '" + place + "' '" + ours.path() + "'") == 0);
  for (const auto& [name, bytes] : files) CHECK((read_file(ours.path(name)) == bytes));
  CHECK(rclone("check '" + ours.path() + "' '" + place + "'") == 0);

  CHECK(rclone("copy '" + ours.path() + "' '" + place + "/theirs'") == 0);
  for (const auto& [name, bytes] : files) {
    CHECK((backend.read("theirs/" + name).value() == bytes));
    CHECK(backend.list("theirs/" + name).value().at(0).size == bytes.size());
  }
}

TEST_CASE("the memory of an upload is a chunk, whatever the object's size") {
  server_faults("[]");
  GcsOptions options = gcs_options();
  options.chunk_size = 8u << 20;
  GcsBackend backend(options);
  const std::string piece = noise(1u << 20);
  const auto peak_kib = [] {
    const std::string status = read_file("/proc/self/status");
    return std::stoull(status.substr(status.find("VmHWM:") + 6));
  };
  REQUIRE(put(backend, "warm-up", "x").ok());
  write_file("/proc/self/clear_refs", "5");  // the peak begins anew
  const auto before = peak_kib();
  auto writer = backend.create("large.sst", {});
  REQUIRE(writer.ok());
  for (int i = 0; i < 160; ++i) REQUIRE(writer.value().append(piece).ok());
  REQUIRE(writer.value().commit().value().size == 160u << 20);
  CHECK(peak_kib() - before < (8u + 16u) << 10);
}
