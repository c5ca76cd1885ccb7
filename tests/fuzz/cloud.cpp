// SPDX-License-Identifier: Apache-2.0
// The backends of object stores, on the other side of which the input is everything that answers:
// the store, its token endpoint, the endpoint of credentials.
#include <map>
#include <mutex>

#include "fuzz/fuzz_target.hpp"
#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"

using namespace kvbackup;

namespace {

constexpr const char* secret = "SECRET-of-nobody";

/// Gives the answers that the input spells, then none that is worth asking again for.
class HostileServer {
 public:
  explicit HostileServer(fuzz::Input& input) : input_(&input) {}

  Result<HttpResponse> perform(const HttpRequest& request) {
    if (input_->rest().empty()) return HttpResponse{404, {}, {}};
    constexpr int statuses[] = {200, 200, 200, 206, 204, 301, 308, 308,
                                400, 401, 403, 404, 410, 412, 503, 0};
    const int status = statuses[input_->number(1) % std::size(statuses)];
    if (status == 0) return Status::error(StatusCode::unavailable, "lost").as_retryable();
    HttpResponse response{status, {}, {}};
    const std::uint64_t named = input_->number(1);
    constexpr const char* names[] = {"Range",       "Location",           "Content-Range",
                                     "ETag",        "Content-Length",     "Date",
                                     "X-Goog-Hash", "x-amz-bucket-region"};
    for (std::size_t i = 0; i < std::size(names); ++i) {
      if ((named >> i & 1) == 0) continue;
      response.headers.push_back({names[i], std::string(input_->bytes(input_->number(1)))});
    }
    response.headers.push_back({"Metadata-Flavor", "Google"});
    response.body = input_->bytes(input_->number(2));
    if (response.body.size() > request.response_limit) {
      return Status::error(StatusCode::resource_exhausted, "too long");
    }
    return response;
  }

 private:
  fuzz::Input* input_;
};
static_assert(HttpTransport<HostileServer>);

void look_at(const Status& status) {
  fuzz::require(status.to_string().find(secret) == std::string::npos, "an error shows a secret");
}

template <class Backend>
void use(const Backend& backend, std::uint64_t what, std::size_t size) {
  switch (what % 6) {
    case 0: look_at(backend.list("a").status()); break;
    case 1: look_at(backend.read("a").status()); break;
    case 2: {
      const auto range = backend.read_range("a", 3, 5);
      look_at(range.status());
      fuzz::require(!range.ok() || range.value().size() == 5, "a range of another length");
      break;
    }
    case 3: look_at(backend.exists("a").status()); break;
    case 4: look_at(backend.remove("a")); break;
    default: {
      auto writer = backend.create("a", CreateOptions{});
      fuzz::require_ok(writer.status());
      Status status = writer.value().append(std::string(size, 'x'));
      if (status.ok()) {
        const auto stored = writer.value().commit();
        fuzz::require(!stored.ok() || stored.value().size == size, "an object of another size");
        status = stored.status();
      }
      look_at(status);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint64_t what = input.number(1);
  const std::uint64_t flags = input.number(1);
  const bool keys = (flags & 1) != 0;
  test_support::FixedClock clock;
  test_support::FixedRandom random(1);
  test_support::FakeEnvironment environment;
  environment.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/keys";
  environment.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = secret;
  const fuzz::AllocationLimit limit(64 * size + (4 << 20));
  if ((flags & 2) != 0) {
    S3Options options;
    options.bucket = "b";
    options.prefix = "p";
    options.clock = &clock;
    options.random = &random;
    options.environment = &environment;
    options.retry.attempts = 3;
    if (keys) {
      options.access_key = "AKID";
      options.secret_access_key = secret;
    }
    use(BasicS3Backend<HostileServer>(options, HostileServer(input)), what, 1'000);
  } else {
    GcsOptions options;
    options.bucket = "b";
    options.prefix = "p";
    options.clock = &clock;
    options.random = &random;
    options.environment = &environment;
    options.retry.attempts = 3;
    options.chunk_size = 256 << 10;
    options.anonymous = keys;
    use(BasicGcsBackend<HostileServer>(options, HostileServer(input)), what,
        (flags & 4) != 0 ? 300'000 : 1'000);
  }
  return 0;
}
