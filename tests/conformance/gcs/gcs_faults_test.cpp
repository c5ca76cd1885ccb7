// SPDX-License-Identifier: Apache-2.0
// What networks and servers do to an upload and a download, through tests/servers/fault_proxy.py
// and by the server's own script. Afterwards the object is whole, or there is an error and no
// object; never a session that stays open.
#include <string>
#include <thread>

#include <kvbackup/kvbackup.hpp>

#include "conformance/gcs/gcs_support.hpp"
#include "support/fixed_clock.hpp"

using namespace kvbackup;
using namespace test_support;

namespace {
constexpr std::size_t large = (3u << 20) + 5;  // four chunks

/// Stores an object while the faults happen, and looks at what became of it.
void stores_whole(std::size_t size, GcsOptions options = proxied_options()) {
  const std::string bytes = noise(size);
  GcsBackend backend(std::move(options));
  CHECK(put(backend, "object.sst", bytes).to_string() == "ok");
  CHECK(all_happened());
  server_faults("[]");
  proxy_faults("[]");
  CHECK((backend.read("object.sst").value() == bytes));
}
/// Fails with `code`, and leaves nothing.
void stores_nothing(StatusCode code, std::string_view text, std::size_t size,
                    GcsOptions options = proxied_options()) {
  GcsBackend backend(std::move(options));
  const Status status = put(backend, "object.sst", noise(size));
  CAPTURE(status.to_string());
  CHECK(status.code() == code);
  CHECK(status.message().find(text) != std::string::npos);
  CHECK(all_happened());
  server_faults("[]");
  proxy_faults("[]");
  CHECK_FALSE(backend.exists("object.sst").value());
}
std::string rule(const std::string& which, const std::string& what) {
  return "[{" + which + ", " + what + "}]";
}
// Requests of an upload in four chunks, and of one in a single request.
const char* const begins = R"("method": "POST", "path": ".*uploadType=resumable")";
const char* const second_chunk = R"("method": "PUT", "skip": 1)";
const char* const last_chunk = R"("method": "PUT", "skip": 3)";
const char* const whole = R"("method": "POST", "path": ".*uploadType=multipart")";

/// No faults but those of the test itself.
struct Quiet {
  Quiet() {
    server_faults("[]");
    proxy_faults("[]");
  }
  ~Quiet() { CHECK(open_sessions() == before); }

  const std::string before = open_sessions();
};
}  // namespace

TEST_CASE_METHOD(Quiet, "a connection that breaks anywhere costs no byte") {
  const std::string which = GENERATE(as<std::string>(), begins, second_chunk, last_chunk, whole);
  const std::string what =
      GENERATE(R"("do": "reset", "at": "before")", R"("do": "reset", "at": "body", "bytes": 3)",
               R"("do": "reset", "at": "after")", R"("do": "lose_answer")");
  CAPTURE(which, what);
  proxy_faults(rule(which, what));
  stores_whole(which == whole ? 1000 : large);
}

TEST_CASE_METHOD(Quiet,
                 "a server that is busy or broken for a while is asked again, as late as it says") {
  const std::string which = GENERATE(as<std::string>(), begins, second_chunk, last_chunk, whole);
  const int status = GENERATE(408, 429, 500, 502, 503, 504);
  CAPTURE(which, status);
  Recorder recorder;
  GcsOptions options = proxied_options();
  options.observer = &recorder;
  const bool asks = status == 429 || status == 503;
  proxy_faults(rule(which, R"("do": "answer", "times": 1, "status": )" + std::to_string(status) +
                               (asks ? R"(, "headers": {"Retry-After": "1"})" : "")));
  stores_whole(which == whole ? 1000 : large, options);
  REQUIRE(recorder.waits.size() == 1);
  CHECK((recorder.waits[0] == 1000) == asks);
}

TEST_CASE_METHOD(Quiet, "a server that keeps a part of a chunk gets the rest of it") {
  const std::string what =
      GENERATE(R"("do": "reset_body", "bytes": 600000)", R"("do": "keep_less", "bytes": 600000)",
               R"("do": "keep_less", "bytes": 0)");
  const std::string which = GENERATE(as<std::string>(), R"("method": "PUT")", second_chunk);
  server_faults(rule(which, what));
  stores_whole(large);
}

TEST_CASE_METHOD(Quiet, "a token that ends during an upload is replaced") {
  const std::string which = GENERATE(as<std::string>(), begins, second_chunk, last_chunk, whole);
  server_faults(rule(which, R"("do": "expire_tokens")"));
  stores_whole(which == whole ? 1000 : large);
}

TEST_CASE_METHOD(Quiet, "a session that is gone is begun anew while every byte is still here") {
  server_faults(R"([{"method": "PUT", "do": "lose_session"}])");
  stores_whole(large);
}

TEST_CASE_METHOD(Quiet, "a session that is gone later is an error that says so") {
  const std::string which = GENERATE(as<std::string>(), second_chunk, last_chunk);
  server_faults(rule(which, R"("do": "lose_session")"));
  stores_nothing(StatusCode::io_error, "write the object anew", large);
}

TEST_CASE_METHOD(Quiet, "a backup whose upload is ended on the server builds that part again") {
  // the third chunk of its session: what was sent before is lost
  server_faults(rule(R"("method": "PUT", "skip": 2)", R"("do": "lose_session")"));
  GcsBackend backend(proxied_options());
  GeneratorOptions recipe;
  recipe.count = 10'000;
  recipe.value_size = 1'000;
  auto pipeline =
      BackupPipeline(GeneratorSnapshot::make(recipe).value(), NoneCodec{}, FileHasher{}, backend);
  CHECK(pipeline.run().status().to_string() == "ok");
  CHECK(all_happened());
  const auto stored = Backup<GcsBackend>::open(backend);
  REQUIRE(stored.ok());
  CHECK(stored.value().verify().value().is_whole());
  CHECK(stored.value().verify().value().pairs == 10'000);
}

TEST_CASE_METHOD(Quiet, "a wrong clock is an error that says so, and leaves nothing") {
  // an assertion is dated by it, and there is no token without one
  FixedClock clock(4'000'000'000'000);
  GcsOptions options = proxied_options();
  options.clock = &clock;
  stores_nothing(StatusCode::permission_denied, "clock", 1000, options);
}

TEST_CASE_METHOD(Quiet,
                 "a server that is killed in the middle of an upload goes on when it is back") {
  const std::string which = GENERATE(as<std::string>(), second_chunk, last_chunk, whole);
  server_faults(rule(which, R"("do": "kill", "bytes": 5)"));
  GcsOptions options = gcs_options();
  options.retry = {.attempts = 100, .first_wait_ms = 50, .longest_wait_ms = 200};
  // the script ends with the server
  stores_whole(which == whole ? 1000 : large, options);
}

TEST_CASE_METHOD(Quiet, "a stalled transfer is given up and made again") {
  const std::string at = GENERATE("before", "body", "answer");
  GcsOptions options = proxied_options();
  options.timeouts.idle_ms = 1'000;
  proxy_faults(rule(second_chunk, R"("do": "hold", "bytes": 100, "at": ")" + at + "\""));
  GcsBackend backend(options);
  const std::string bytes = noise(large);
  CHECK(put(backend, "object.sst", bytes).to_string() == "ok");
  CHECK(all_happened());
  control("KVBACKUP_TEST_GCS_PROXY_CONTROL", "release", "{}");
  proxy_faults("[]");
  CHECK((backend.read("object.sst").value() == bytes));
}

TEST_CASE_METHOD(Quiet,
                 "an upload that is damaged on its way is sent again, or its object removed") {
  SECTION("a single request, which the server checks") {
    proxy_faults(rule(whole, R"("do": "corrupt_request", "bytes": 800)"));
    stores_whole(1000);
  }
  SECTION("a chunk, which it cannot check") {
    proxy_faults(rule(second_chunk, R"("do": "corrupt_request", "bytes": 5000)"));
    stores_nothing(StatusCode::corruption, "the object was removed", large);
  }
  SECTION("by the server itself") {
    server_faults(R"([{"method": "PUT", "skip": 3, "do": "corrupt_stored"}])");
    stores_nothing(StatusCode::corruption, "the object was removed", large);
  }
}

TEST_CASE_METHOD(Quiet, "a download that is damaged or cut is made again") {
  GcsBackend backend(proxied_options());
  const std::string bytes = noise(500'000);
  REQUIRE(put(backend, "object.sst", bytes).ok());
  for (const char* what : {R"("do": "corrupt_answer", "bytes": 77777)",
                           R"("do": "cut_answer", "bytes": 77777)", R"("do": "lose_answer")"}) {
    proxy_faults(rule(R"("method": "GET")", what));
    CHECK((backend.read("object.sst").value() == bytes));
    CHECK(all_happened());
  }
  proxy_faults(rule(R"("method": "GET")", R"("do": "cut_answer", "bytes": 7)"));
  CHECK((backend.read_range("object.sst", 100, 1000).value() == bytes.substr(100, 1000)));
  CHECK(all_happened());
  proxy_faults(rule(R"("method": "GET")", R"("do": "corrupt_answer", "bytes": 7, "times": 100)"));
  CHECK(backend.read("object.sst").status().code() == StatusCode::corruption);
}

TEST_CASE_METHOD(Quiet, "an object that is there before the answer is lost is not taken for ours") {
  const bool same = GENERATE(false, true);
  const std::size_t size = GENERATE(std::size_t{1000}, large);
  const std::string bytes = noise(size);
  GcsBackend backend(proxied_options());
  // somebody else's, of the same name; even with the same bytes it is not what this writer made
  auto writer = backend.create("object.sst");
  REQUIRE(writer.ok());
  REQUIRE(writer.value().append(bytes).ok());
  REQUIRE(put(backend, "object.sst", same ? bytes : "other").ok());
  proxy_faults(R"([{"path": "/upload", "do": "lose_answer"}])");
  CHECK(writer.value().commit().status().code() == StatusCode::already_exists);
  CHECK(all_happened());
  CHECK((backend.read("object.sst").value() == (same ? bytes : "other")));
  writer.value().abandon();
}

TEST_CASE_METHOD(Quiet, "a removal whose answer is lost has removed") {
  GcsBackend backend(proxied_options());
  REQUIRE(put(backend, "object.sst", "x").ok());
  proxy_faults(R"([{"method": "DELETE", "do": "lose_answer"}])");
  CHECK(backend.remove("object.sst").to_string() == "ok");
  CHECK(all_happened());
  CHECK_FALSE(backend.exists("object.sst").value());
}

TEST_CASE_METHOD(Quiet, "a cancel ends an upload that stands still, and its session") {
  CancelToken token;
  GcsOptions options = proxied_options();
  options.cancel = &token;
  proxy_faults(rule(second_chunk, R"("do": "hold", "at": "body", "bytes": 100)"));
  GcsBackend backend(options);
  Status status;
  std::thread upload([&] { status = put(backend, "object.sst", noise(large)); });
  control("KVBACKUP_TEST_GCS_PROXY_CONTROL", "wait", R"({"held": 1})");
  token.cancel();
  upload.join();
  CHECK(status.code() == StatusCode::cancelled);
  control("KVBACKUP_TEST_GCS_PROXY_CONTROL", "release", "{}");
  CHECK_FALSE(GcsBackend(gcs_options()).exists("object.sst").value());
}

TEST_CASE_METHOD(Quiet, "a server that stays broken is an error after the last attempt") {
  proxy_faults(R"([{"method": "PUT", "skip": 1, "times": 6, "do": "answer", "status": 503}])");
  stores_nothing(StatusCode::unavailable, "503", large);
}
