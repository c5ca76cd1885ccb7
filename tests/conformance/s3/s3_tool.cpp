// SPDX-License-Identifier: Apache-2.0
// The S3 backend at the command line, for tests that have real servers and clients on the other
// side:
//
//   s3_tool kit             runs the conformance kit
//   s3_tool put NAME        stores standard input; the peak of memory goes to standard error
//   s3_tool get NAME        writes the object to standard output
//   s3_tool range NAME OFFSET LENGTH
//   s3_tool list PREFIX     "SIZE NAME" a line
//   s3_tool remove NAME
//   s3_tool backup          backs up some 40 MB in parts of two sizes
//   s3_tool verify          reads all of that backup; a finding a line on standard output
//
// The environment says where and how: see options(). Warnings, retries and errors go to standard
// error; ends with 1 after an error, 3 after a broken law or a damaged backup.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unistd.h>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_backend.hpp>

using namespace kvbackup;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}
std::uint64_t number(const char* name, std::uint64_t otherwise) {
  const std::string text = variable(name);
  return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
}

// A clock that goes wrong by S3_CLOCK_OFFSET seconds.
class WrongClock final : public Clock {
 public:
  std::uint64_t unix_ms() override {
    return real_.unix_ms() + static_cast<std::uint64_t>(
                                 std::strtoll(variable("S3_CLOCK_OFFSET").c_str(), nullptr, 10)) *
                                 1'000;
  }
  std::uint64_t steady_ns() override { return real_.steady_ns(); }
  void sleep_ns(std::uint64_t duration) override { real_.sleep_ns(duration); }

 private:
  SystemClock real_;
};

class Printer final : public NetObserver {
 public:
  void on_warning(std::string_view text) override {
    std::fprintf(stderr, "warning: %.*s\n", static_cast<int>(text.size()), text.data());
  }
  void on_retry(std::string_view /*operation*/, const Status& why, std::uint64_t wait_ms) override {
    std::fprintf(stderr, "retry in %llu ms: %s\n", static_cast<unsigned long long>(wait_ms),
                 why.to_string().c_str());
  }
};

WrongClock wrong_clock;
Printer printer;

S3Options options() {
  S3Options o;
  o.endpoint = variable("S3_ENDPOINT");
  o.region = variable("S3_REGION");
  o.bucket = variable("S3_BUCKET");
  o.prefix = variable("S3_PREFIX");
  o.storage_class = variable("S3_STORAGE_CLASS");
  o.acl = variable("S3_ACL");
  o.sse = variable("S3_SSE");
  o.sse_kms_key_id = variable("S3_KMS_KEY");
  o.access_key = variable("S3_ACCESS_KEY");
  o.secret_access_key = variable("S3_SECRET_KEY");
  o.session_token = variable("S3_TOKEN");
  o.force_path_style = variable("S3_PATH_STYLE") == "1";
  o.part_size = number("S3_PART_SIZE", 5u << 20);
  o.parts_in_flight = static_cast<std::uint32_t>(number("S3_IN_FLIGHT", 4));
  o.checksums = variable("S3_CHECKSUMS") == "1";
  o.content_md5 = variable("S3_MD5") == "1";
  if (variable("S3_IF_ABSENT") == "checked") o.if_absent = S3IfAbsent::checked;
  o.retry.attempts = static_cast<std::uint32_t>(number("S3_ATTEMPTS", 6));
  o.retry.first_wait_ms = 50;
  o.retry.longest_wait_ms = 1'000;
  o.timeouts.idle_ms = static_cast<std::uint32_t>(number("S3_IDLE_MS", 60'000));
  if (!variable("S3_META").empty()) o.metadata = {{"Test-Note", variable("S3_META")}};
  if (!variable("S3_CLOCK_OFFSET").empty()) o.clock = &wrong_clock;
  o.observer = &printer;
  return o;
}
S3Backend backend(S3Options o) {
  return S3Backend(std::move(o), CurlTransport({.ca_file = variable("S3_CA")}));
}

int report(const Status& status) {
  if (!status.ok()) std::fprintf(stderr, "error: %s\n", status.to_string().c_str());
  return status.ok() ? 0 : 1;
}

int run_kit() {
  int count = 0;
  const auto broken = testing::check_backend([&] {
    S3Options o = options();
    o.prefix += "kit" + std::to_string(::getpid()) + "/" + std::to_string(count++);
    return backend(std::move(o));
  });
  std::fprintf(stderr, "%s", testing::to_string(broken).c_str());
  return broken.empty() ? 0 : 3;
}

// Of this program alone: getrusage() begins with what its parent had when it forked.
long peak_kib() {
  long peak = 0;
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::string_view(line).starts_with("VmHWM:")) peak = std::strtol(line + 6, nullptr, 10);
  }
  std::fclose(file);
  return peak;
}

int put(const std::string& name) {
  S3Backend b = backend(options());
  std::fprintf(stderr, "to %s\n", b.url().c_str());
  auto writer = b.create(name, {.size_hint = {}, .if_absent = variable("S3_REPLACE") != "1"});
  if (!writer.ok()) return report(writer.status());
  static char buffer[1 << 20];
  while (true) {
    const ssize_t got = ::read(0, buffer, sizeof buffer);
    if (got <= 0) break;
    const Status status = writer.value().append({buffer, static_cast<std::size_t>(got)});
    if (!status.ok()) return report(status);
  }
  const int result = report(writer.value().commit().status());
  std::fprintf(stderr, "peak_kib %ld\n", peak_kib());
  return result;
}

int show(const Result<std::string>& bytes) {
  if (!bytes.ok()) return report(bytes.status());
  std::fwrite(bytes.value().data(), 1, bytes.value().size(), stdout);
  return 0;
}

int list(const std::string& prefix) {
  const auto objects = backend(options()).list(prefix);
  if (!objects.ok()) return report(objects.status());
  for (const ObjectInfo& each : objects.value()) {
    std::printf("%llu %s\n", static_cast<unsigned long long>(each.size), each.name.c_str());
  }
  return 0;
}

// Files of some 11 MB, which are uploads in parts, and a last one that is a single request.
int run_backup() {
  GeneratorOptions recipe;
  recipe.count = 40'000;
  recipe.value_size = 1'000;
  auto store = GeneratorSnapshot::make(recipe);
  if (!store.ok()) return report(store.status());
  auto pipeline =
      BackupPipeline(std::move(store).value(), NoneCodec{}, FileHasher{}, backend(options()));
  BackupOptions o;
  o.part_size = 11u << 20;
  o.clock = &wrong_clock;
  return report(pipeline.run(o).status());
}

int run_verify() {
  const auto opened = Backup<S3Backend>::open(backend(options()));
  if (!opened.ok()) return report(opened.status());
  const auto found = opened.value().verify();
  if (!found.ok()) return report(found.status());
  for (const Finding& each : found.value().findings) {
    std::printf("%s\n", each.to_string().c_str());
  }
  std::printf("%llu pairs\n", static_cast<unsigned long long>(found.value().pairs));
  return found.value().is_whole() ? 0 : 3;
}

}  // namespace

int main(int count, char** words) {
  const std::string_view command = count > 1 ? words[1] : "";
  if (command == "kit") return run_kit();
  if (command == "put" && count == 3) return put(words[2]);
  if (command == "get" && count == 3) return show(backend(options()).read(words[2]));
  if (command == "range" && count == 5) {
    return show(backend(options()).read_range(words[2], std::strtoull(words[3], nullptr, 10),
                                              std::strtoull(words[4], nullptr, 10)));
  }
  if (command == "list" && count == 3) return list(words[2]);
  if (command == "remove" && count == 3) return report(backend(options()).remove(words[2]));
  if (command == "backup") return run_backup();
  if (command == "verify") return run_verify();
  std::fprintf(stderr, "see the head of s3_tool.cpp\n");
  return 2;
}
