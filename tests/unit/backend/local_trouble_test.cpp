// SPDX-License-Identifier: Apache-2.0
// The local backend on disks that are full, read-only or not what they seem. After each failure
// nothing is left.
#include <filesystem>
#include <signal.h>
#include <string>
#include <unistd.h>

#include <kvbackup/kvbackup.hpp>
#include <sys/mount.h>
#include <sys/resource.h>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"

namespace local_trouble_test {

using namespace kvbackup;
using test_support::TempDir;
using test_support::write_file;

namespace {

// A small file system of its own, where this process may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path, unsigned long flags = 0) : path_(path) {
    std::filesystem::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", flags, "size=1m") == 0;
    if (!mounted_) WARN("SKIPPED: this process may not mount a tmpfs");
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::uintmax_t free_bytes() const { return std::filesystem::space(path_).available; }

 private:
  std::string path_;
  bool mounted_;
};

std::size_t entries_below(const std::string& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::recursive_directory_iterator(folder),
                    std::filesystem::recursive_directory_iterator()));
}

// Appends until it fails.
Status fill(LocalBackend::Writer& writer, std::size_t chunk, std::size_t most) {
  const std::string bytes(chunk, 'x');
  for (std::size_t i = 0; i < most / chunk; ++i) {
    if (Status status = writer.append(bytes); !status.ok()) return status;
  }
  return {};
}

}  // namespace

TEST_CASE("a full disk is told as such, and the space is given back at once") {
  const TempDir temp;
  const SmallDisk disk(temp.path("disk"));
  if (!disk.mounted()) return;
  const LocalBackend backend(temp.path("disk"));
  const std::uintmax_t free_before = disk.free_bytes();
  const std::size_t chunk = GENERATE(1000u, 65536u, 3000000u);
  auto writer = backend.create("a.sst");
  REQUIRE(writer.ok());
  const Status status = fill(writer.value(), chunk, 6'000'000);
  CHECK(status.code() == StatusCode::no_space);
  CHECK(status.native_code() == ENOSPC);
  CHECK(status.object().starts_with(temp.path("disk")));
  CHECK(status.message().find("free space") != std::string_view::npos);
  CHECK(entries_below(temp.path("disk")) == 0);
  CHECK(disk.free_bytes() == free_before);
  CHECK(writer.value().append("x").code() == StatusCode::no_space);
  CHECK(writer.value().commit().status().code() == StatusCode::no_space);
  CHECK(backend.list("").value().empty());
}

TEST_CASE("a disk that is full only when the buffer is written out fails the commit") {
  const TempDir temp;
  const SmallDisk disk(temp.path("disk"));
  if (!disk.mounted()) return;
  write_file(temp.path("disk/ballast"), std::string(900'000, 'b'));
  const LocalBackend backend(temp.path("disk"));
  auto writer = backend.create("a.sst");
  REQUIRE(writer.ok());
  REQUIRE(writer.value().append(std::string(250'000, 'x')).ok());
  CHECK(writer.value().commit().status().code() == StatusCode::no_space);
  CHECK(entries_below(temp.path("disk")) == 1);
}

TEST_CASE("a read-only file system is told as such") {
  const TempDir temp;
  const SmallDisk disk(temp.path("disk"), MS_RDONLY);
  if (!disk.mounted()) return;
  for (const char* path : {"disk", "disk/new/folder"}) {
    const Status status = LocalBackend(temp.path(path)).create("a.sst").status();
    CHECK(status.code() == StatusCode::permission_denied);
    CHECK(status.native_code() == EROFS);
    CHECK(status.message().find("for writing") != std::string_view::npos);
  }
  CHECK(entries_below(temp.path("disk")) == 0);
}

TEST_CASE("a limit on file sizes fails the append and leaves nothing") {
  const TempDir temp;
  const LocalBackend backend(temp.path("base"));
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  REQUIRE(::sigaction(SIGXFSZ, &ignore, &before) == 0);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small{.rlim_cur = 1'000'000, .rlim_max = limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  auto writer = backend.create("a.sst");
  const Status status =
      writer.ok() ? fill(writer.value(), 65536, 6'000'000) : std::move(writer).status();
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ::sigaction(SIGXFSZ, &before, nullptr);
  CHECK(status.code() == StatusCode::resource_exhausted);
  CHECK(status.native_code() == EFBIG);
  CHECK(entries_below(temp.path("base")) == 0);
}

TEST_CASE("a file where a folder should be is told as such") {
  const TempDir temp;
  write_file(temp.path("file"), "x");
  for (const char* path : {"file", "file/below"}) {
    const LocalBackend backend(temp.path(path));
    for (const Status& status :
         {backend.create("a.sst").status(), backend.list("").status(),
          backend.exists("a.sst").status(), backend.read("a.sst").status()}) {
      CHECK(status.code() == StatusCode::invalid_argument);
      CHECK(status.native_code() == ENOTDIR);
      CHECK(status.object().starts_with(temp.path("file")));
    }
  }
  const LocalBackend backend(temp.path());
  CHECK(backend.create("file/a.sst").status().native_code() == ENOTDIR);
  CHECK_FALSE(backend.exists("file/a.sst").value());
  CHECK(temp.entries() == 1);
}

TEST_CASE("a folder that may not be written is told as such") {
  // Nobody, root included, may create files under /proc.
  const Status status = LocalBackend("/proc/self/kvbackup").create("a.sst").status();
  CHECK_FALSE(status.ok());
  CHECK(status.message().find("cannot create the folder") != std::string_view::npos);
  CHECK(status.object() == "/proc/self/kvbackup");
  if (::geteuid() == 0) return;
  const TempDir temp;
  std::filesystem::create_directories(temp.path("locked"));
  std::filesystem::permissions(temp.path("locked"), std::filesystem::perms(0555));
  CHECK(LocalBackend(temp.path("locked")).create("a.sst").status().code() ==
        StatusCode::permission_denied);
  CHECK(LocalBackend(temp.path("locked/new")).create("a.sst").status().code() ==
        StatusCode::permission_denied);
  CHECK(entries_below(temp.path("locked")) == 0);
}

}  // namespace local_trouble_test
