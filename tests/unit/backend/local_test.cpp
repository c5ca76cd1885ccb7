// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <sys/stat.h>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"

namespace local_test {

using namespace kvbackup;
using test_support::read_file;
using test_support::TempDir;
using test_support::write_file;

namespace {

using Names = std::set<std::string>;

// Everything below a folder, hidden files too.
Names entries_below(const std::filesystem::path& folder) {
  Names names;
  if (!std::filesystem::exists(folder)) return names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    names.insert(std::filesystem::relative(entry.path(), folder).string());
  }
  return names;
}

Status put(const LocalBackend& backend, std::string_view name, ByteView bytes,
           bool if_absent = true) {
  auto writer = backend.create(name, {.size_hint = {}, .if_absent = if_absent});
  if (!writer.ok()) return std::move(writer).status();
  if (Status status = writer.value().append(bytes); !status.ok()) return status;
  return writer.value().commit().status();
}

Names listed(const LocalBackend& backend, std::string_view prefix = {}) {
  Names names;
  const auto objects = backend.list(prefix);
  REQUIRE(objects.ok());
  for (const ObjectInfo& object : objects.value()) names.insert(object.name);
  return names;
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(
      std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()));
}

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

}  // namespace

TEST_CASE("a local backend touches nothing until an object is created") {
  const TempDir temp;
  const LocalBackend backend(temp.path("a/b"));
  CHECK(listed(backend).empty());
  CHECK_FALSE(backend.exists("x").value());
  CHECK(backend.read("x").status().code() == StatusCode::not_found);
  CHECK(backend.read("x").status().object() == temp.path("a/b/x"));
  CHECK(backend.remove("x").code() == StatusCode::not_found);
  CHECK(temp.entries() == 0);
}

TEST_CASE("folders are made as BR makes them, files follow the umask") {
  const TempDir temp;
  const Umask mask(077);
  const LocalBackend backend(temp.path("a//b/"));
  REQUIRE(put(backend, "c/d.sst", "bytes").ok());
  for (const char* folder : {"a", "a/b", "a/b/c"}) CHECK(mode_of(temp.path(folder)) == 0755);
  CHECK(mode_of(temp.path("a/b/c/d.sst")) == 0600);
  const Umask usual(022);
  REQUIRE(put(backend, "e.sst", "bytes").ok());
  CHECK(mode_of(temp.path("a/b/e.sst")) == 0644);
}

TEST_CASE("a folder that is there keeps its mode") {
  const TempDir temp;
  REQUIRE(::mkdir(temp.path("a").c_str(), 0700) == 0);
  REQUIRE(put(LocalBackend(temp.path("a")), "b.sst", "bytes").ok());
  CHECK(mode_of(temp.path("a")) == 0700);
}

TEST_CASE("an object that is being written is one hidden file beside its name") {
  const TempDir temp;
  const LocalBackend backend(temp.path());
  auto writer = backend.create("a/b.sst");
  REQUIRE(writer.ok());
  REQUIRE(writer.value().append(std::string(1'000'000, 'x')).ok());
  const Names during = entries_below(temp.path("a"));
  REQUIRE(during.size() == 1);
  CHECK(during.begin()->starts_with(".b.sst.tmp"));
  CHECK(during.begin()->size() == std::string(".b.sst.tmp").size() + 16);
  CHECK(listed(backend).empty());
  SECTION("commit gives it its name") {
    REQUIRE(writer.value().commit().ok());
    CHECK(entries_below(temp.path("a")) == Names{"b.sst"});
    CHECK(read_file(temp.path("a/b.sst")) == std::string(1'000'000, 'x'));
  }
  SECTION("abandon removes it at once") {
    writer.value().abandon();
    CHECK(entries_below(temp.path("a")).empty());
  }
  SECTION("destruction removes it") {
    { const auto end = std::move(writer).value(); }
    CHECK(entries_below(temp.path("a")).empty());
  }
}

TEST_CASE("leftovers of a killed process are no objects, and no object can be named like one") {
  const TempDir temp;
  const std::string leftover = ".a.sst.tmp0123456789abcdef";
  write_file(temp.path(leftover), "half");
  write_file(temp.path(".hidden"), "x");
  write_file(temp.path("a.sst.tmp0123456789abcdef"), "x");
  write_file(temp.path(".a.sst.tmp0123456789abcdeg"), "x");
  const LocalBackend backend(temp.path());
  CHECK(listed(backend) ==
        Names{".hidden", "a.sst.tmp0123456789abcdef", ".a.sst.tmp0123456789abcdeg"});
  CHECK(backend.create(leftover).status().code() == StatusCode::invalid_argument);
  CHECK(backend.create(leftover + "/x").status().code() == StatusCode::invalid_argument);
}

TEST_CASE("an existing file is kept, and the message says what to do") {
  const TempDir temp;
  const LocalBackend backend(temp.path());
  write_file(temp.path("a.sst"), "theirs");
  const Status status = put(backend, "a.sst", "ours");
  CHECK(status.code() == StatusCode::already_exists);
  CHECK(status.object() == temp.path("a.sst"));
  CHECK(status.message().find("choose an empty destination") != std::string_view::npos);
  CHECK(read_file(temp.path("a.sst")) == "theirs");
  CHECK(temp.entries() == 1);
}

TEST_CASE("of many threads that commit one name exactly one succeeds") {
  const TempDir temp;
  const LocalBackend backend(temp.path());
  constexpr std::size_t workers = 4;
  for (int round = 0; round < 100; ++round) {
    const std::string name = std::to_string(round);
    std::atomic<std::size_t> ready{0};
    std::vector<Status> results(workers, Status::error(StatusCode::internal, "did not run"));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < workers; ++i) {
      threads.emplace_back([&, i] {
        auto writer = backend.create(name);
        const bool ok = writer.ok() && writer.value().append(std::string(100, char('a' + i))).ok();
        ++ready;
        while (ready != workers) std::this_thread::yield();
        if (ok) results[i] = writer.value().commit().status();
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::size_t winners = 0;
    for (std::size_t i = 0; i < workers; ++i) {
      if (!results[i].ok()) {
        CHECK(results[i].code() == StatusCode::already_exists);
        continue;
      }
      ++winners;
      CHECK(read_file(temp.path(name)) == std::string(100, char('a' + i)));
    }
    REQUIRE(winners == 1);
  }
  CHECK(temp.entries() == 100);
}

TEST_CASE("threads that make the same folders at once all succeed") {
  const TempDir temp;
  for (int round = 0; round < 20; ++round) {
    const LocalBackend backend(temp.path(std::to_string(round) + "/a/b"));
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back(
          [&, i] { failed += put(backend, "c/d/" + std::to_string(i), "x").ok() ? 0 : 1; });
    }
    for (std::thread& thread : threads) thread.join();
    REQUIRE(failed == 0);
    CHECK(listed(backend).size() == 4);
  }
}

TEST_CASE("where renaming without replacing is not to be had, links decide as well") {
  const TempDir temp;
  const auto folder = FileHandle::open(temp.path(), O_RDONLY | O_DIRECTORY);
  REQUIRE(folder.ok());
  const int at = folder.value().descriptor();
  write_file(temp.path("from"), "new");
  write_file(temp.path("taken"), "old");
  CHECK(kvbackup::detail::link_no_replace(at, "from", "taken") == EEXIST);
  CHECK(read_file(temp.path("taken")) == "old");
  CHECK(read_file(temp.path("from")) == "new");
  CHECK(kvbackup::detail::link_no_replace(at, "from", "free") == 0);
  CHECK(entries_below(temp.path()) == Names{"free", "taken"});
  CHECK(read_file(temp.path("free")) == "new");
  CHECK(kvbackup::detail::link_no_replace(at, "from", "other") == ENOENT);
  SECTION("a link that was made although the answer was lost counts as made") {
    std::filesystem::create_hard_link(temp.path("free"), temp.path("to"));
    CHECK(kvbackup::detail::link_no_replace(at, "free", "to") == 0);
    CHECK(entries_below(temp.path()) == Names{"taken", "to"});
  }
}

TEST_CASE("symbolic links below the folder are not followed and are no objects") {
  const TempDir temp;
  std::filesystem::create_directories(temp.path("outside"));
  std::filesystem::create_directories(temp.path("base"));
  write_file(temp.path("outside/secret"), "secret");
  std::filesystem::create_directory_symlink(temp.path("outside"), temp.path("base/folder"));
  std::filesystem::create_symlink(temp.path("outside/secret"), temp.path("base/file"));
  const LocalBackend backend(temp.path("base"));
  CHECK(listed(backend).empty());
  for (const char* name : {"file", "folder/secret"}) {
    CHECK_FALSE(backend.exists(name).value());
    CHECK(backend.read(name).status().code() == StatusCode::not_found);
    CHECK(backend.remove(name).code() == StatusCode::not_found);
  }
  CHECK_FALSE(put(backend, "folder/new", "x").ok());
  CHECK(entries_below(temp.path("outside")) == Names{"secret"});
  CHECK(put(backend, "file", "new").code() == StatusCode::already_exists);
  REQUIRE(put(backend, "file", "new", false).ok());
  CHECK(read_file(temp.path("outside/secret")) == "secret");
  CHECK(backend.read("file").value() == "new");
  SECTION("the folder itself may be reached through one") {
    std::filesystem::create_directory_symlink(temp.path("base"), temp.path("link"));
    CHECK(LocalBackend(temp.path("link")).read("file").value() == "new");
  }
}

TEST_CASE("pipes and folders are no objects") {
  const TempDir temp;
  REQUIRE(::mkfifo(temp.path("pipe").c_str(), 0600) == 0);
  std::filesystem::create_directories(temp.path("folder"));
  const LocalBackend backend(temp.path());
  CHECK(listed(backend).empty());
  for (const char* name : {"pipe", "folder"}) {
    CHECK_FALSE(backend.exists(name).value());
    CHECK(backend.read(name).status().code() == StatusCode::not_found);
    CHECK(put(backend, name, "x").code() == StatusCode::already_exists);
  }
  CHECK(put(backend, "folder", "x", false).code() == StatusCode::invalid_argument);
  CHECK(entries_below(temp.path()) == Names{"folder", "pipe"});
}

TEST_CASE("names as long as the file system takes work, longer ones are refused at once") {
  const TempDir temp;
  const LocalBackend backend(temp.path("base"));
  const std::string longest(255, 'n');
  CHECK(put(backend, longest, "bytes").ok());
  CHECK(listed(backend) == Names{longest});
  CHECK(backend.create(longest + "n").status().code() == StatusCode::invalid_argument);
  CHECK(backend.create("a/" + longest + "n").status().code() == StatusCode::invalid_argument);
}

TEST_CASE("folders deeper than any object's name do not trouble the list") {
  const TempDir temp;
  const LocalBackend backend(temp.path());
  std::string name = "d";
  while (name.size() + 2 <= 1024) name += "/d";
  const std::string deepest = temp.path(name.substr(0, name.size() - 2));
  std::filesystem::create_directories(deepest);
  REQUIRE(put(backend, name, "x").ok());
  const auto folder = FileHandle::open(deepest, O_RDONLY);
  REQUIRE(folder.ok());
  REQUIRE(::mkdirat(folder.value().descriptor(), "deeper", 0755) == 0);
  CHECK(listed(backend) == Names{name});
}

TEST_CASE("a backup's folder may be relative") {
  const TempDir temp;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(temp.path());
  const LocalBackend backend("day/one");
  const Status written = put(backend, "a.sst", "bytes");
  const auto read = backend.read("a.sst");
  std::filesystem::current_path(before);
  CHECK(written.ok());
  CHECK(read.value() == "bytes");
  CHECK(read_file(temp.path("day/one/a.sst")) == "bytes");
}

TEST_CASE("a path that cannot be one is refused by every call") {
  for (const std::string& path : {std::string(), std::string("a\0b", 3)}) {
    const LocalBackend backend(path);
    CHECK(backend.create("x").status().code() == StatusCode::invalid_argument);
    CHECK(backend.list("").status().code() == StatusCode::invalid_argument);
    CHECK(backend.exists("x").status().code() == StatusCode::invalid_argument);
  }
}

TEST_CASE("an object too large to be read at once is read in ranges") {
  const TempDir temp;
  const LocalBackend backend(temp.path());
  write_file(temp.path("sparse"), "");
  std::filesystem::resize_file(temp.path("sparse"), 5ull << 30);
  const auto whole = backend.read("sparse");
  CHECK(whole.status().code() == StatusCode::resource_exhausted);
  CHECK(whole.status().message().find("ranges") != std::string_view::npos);
  CHECK(backend.read_range("sparse", (5ull << 30) - 3, 3).value() == std::string(3, '\0'));
  CHECK(backend.list("").value().at(0).size == 5ull << 30);
}

TEST_CASE("a temporary file that somebody takes away makes the commit fail") {
  const TempDir temp;
  const LocalBackend backend(temp.path());
  auto writer = backend.create("a.sst");
  REQUIRE(writer.ok());
  for (const std::string& name : entries_below(temp.path())) {
    std::filesystem::remove(temp.path(name));
  }
  const auto committed = writer.value().commit();
  CHECK(committed.status().code() == StatusCode::not_found);
  CHECK(writer.value().append("x").code() == StatusCode::not_found);
  CHECK(temp.entries() == 0);
}

TEST_CASE("no descriptor stays open, however an object ends") {
  const TempDir temp;
  const LocalBackend backend(temp.path("base"));
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 10; ++i) {
    (void)put(backend, "a/b.sst", "x");
    (void)backend.create("a/c.sst");
    auto writer = backend.create("a/d.sst");
    REQUIRE(writer.ok());
    writer.value().abandon();
    (void)backend.list("");
    (void)backend.read("a/b.sst");
    (void)backend.read("a/e.sst");
    (void)backend.exists("a/b.sst/f");
    (void)backend.create("a/b.sst/f");
  }
  CHECK(open_descriptors() == before);
}

}  // namespace local_test
