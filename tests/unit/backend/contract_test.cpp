// SPDX-License-Identifier: Apache-2.0
// Every backend of the library under the conformance kit, and what each says of itself.
#include <string>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_backend.hpp>

#include "support/catch.hpp"
#include "support/fault_backend.hpp"
#include "support/temp_dir.hpp"

using namespace kvbackup;
using test_support::FaultBackend;
using test_support::Operation;
using test_support::TempDir;

namespace {
using Any = AnyBackend<NoopBackend, MemoryBackend, LocalBackend>;
static_assert(ReadableBackend<Any>);
static_assert(std::copyable<Any>);

// Two backends that share one type of writer.
class OtherMemory : public MemoryBackend {};

template <class Make>
std::string broken_laws(Make make) {
  return testing::to_string(testing::check_backend(make));
}

std::string put(auto& backend, std::string_view name, ByteView bytes) {
  auto writer = backend.create(name, CreateOptions{});
  if (!writer.ok()) return writer.status().to_string();
  if (Status status = writer.value().append(bytes); !status.ok()) return status.to_string();
  return writer.value().commit().status().to_string();
}
}  // namespace

TEST_CASE("every backend keeps the laws of the contract") {
  const TempDir temp;
  int count = 0;
  const auto fresh = [&] { return temp.path(std::to_string(++count)); };
  CHECK(broken_laws([] { return NoopBackend(); }) == "");
  CHECK(broken_laws([] { return MemoryBackend(); }) == "");
  CHECK(broken_laws([&] { return LocalBackend(fresh()); }) == "");
  CHECK(broken_laws([] { return Any(NoopBackend()); }) == "");
  CHECK(broken_laws([] { return Any(MemoryBackend()); }) == "");
  CHECK(broken_laws([&] { return Any(LocalBackend(fresh())); }) == "");
  CHECK(broken_laws([] { return AnyBackend<MemoryBackend, OtherMemory>(OtherMemory()); }) == "");
  CHECK(broken_laws(
            [] { return FaultBackend<MemoryBackend>(MemoryBackend(), Operation::any, 0); }) == "");
}

TEST_CASE("a noop backend says what it took and keeps nothing") {
  NoopBackend backend;
  CHECK(backend.url() == "noop:///");
  CHECK_FALSE(keeps_objects(backend));
  auto writer = backend.create("a.sst");
  REQUIRE(writer.ok());
  REQUIRE(writer.value().append("12345").ok());
  REQUIRE(writer.value().append("678").ok());
  const auto info = writer.value().commit();
  REQUIRE(info.ok());
  CHECK(info.value() == ObjectInfo{.name = "a.sst", .size = 8});
  CHECK_FALSE(backend.exists("a.sst").value());
  CHECK(backend.read("a.sst").value().empty());
  CHECK(backend.list("").value().empty());
  CHECK(backend.remove("a.sst").code() == StatusCode::not_found);
}

TEST_CASE("copies of a memory backend share its objects") {
  MemoryBackend mine;
  MemoryBackend theirs = mine;
  CHECK(put(theirs, "a.sst", "bytes") == "ok");
  CHECK(mine.read("a.sst").value() == "bytes");
  CHECK_FALSE(MemoryBackend().exists("a.sst").value());
}

TEST_CASE("a choice of backends does what the one it holds does") {
  const TempDir temp;
  CHECK_FALSE(keeps_objects(Any(NoopBackend())));
  CHECK(keeps_objects(Any(MemoryBackend())));
  CHECK(Any(NoopBackend()).url() == "noop:///");
  Any local = LocalBackend(temp.path("b"));
  CHECK(local.url() == "local://" + temp.path("b"));
  CHECK(local.get_if<NoopBackend>() == nullptr);
  REQUIRE(local.get_if<LocalBackend>() != nullptr);
  CHECK(put(local, "a.sst", "bytes") == "ok");
  CHECK(local.get_if<LocalBackend>()->read("a.sst").value() == "bytes");
}

TEST_CASE("a choice of backends is readable only if all of them are") {
  struct WriteOnly {
    MemoryBackend inner;
    Result<MemoryBackend::Writer> create(std::string_view name, CreateOptions options) {
      return inner.create(name, options);
    }
    std::string url() const { return "write-only://"; }
  };
  STATIC_REQUIRE(ObjectBackend<AnyBackend<MemoryBackend, WriteOnly>>);
  STATIC_REQUIRE_FALSE(ReadableBackend<AnyBackend<MemoryBackend, WriteOnly>>);
}

TEST_CASE("a fault backend fails the call it was told to, and leaves nothing of that object") {
  const auto operation = GENERATE(Operation::create, Operation::append, Operation::commit);
  FaultBackend<MemoryBackend> backend(MemoryBackend(), operation, 2,
                                      Status::error(StatusCode::no_space, "full"));
  CHECK(put(backend, "1.sst", "x") == "ok");
  CHECK_FALSE(backend.fired());
  CHECK(put(backend, "2.sst", "x") == "no_space: full");
  CHECK(backend.fired());
  CHECK(put(backend, "3.sst", "x") == "ok");
  CHECK(backend.calls(operation) == 3);
  CHECK_FALSE(backend.inner().exists("2.sst").value());
  CHECK(backend.inner().list("").value().size() == 2);
}
