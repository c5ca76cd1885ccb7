// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"
#include "support/temp_dir.hpp"

using namespace kvbackup;
using test_support::read_file;
using test_support::TempDir;
using test_support::write_file;

TEST_CASE("an errno becomes a status that says what was done, to what, and what to do") {
  const Status status = errno_status(ENOSPC, "write the file", "/backups/a.sst");
  CHECK(status.to_string() ==
        "no_space: cannot write the file: No space left on device (errno 28); free space there or "
        "choose another place: object /backups/a.sst");
  CHECK(status.native_code() == ENOSPC);
  CHECK_FALSE(status.retryable());
}

TEST_CASE("errno values fall into the codes that callers branch on") {
  struct Case {
    int error;
    StatusCode code;
    bool retryable;
  };
  const auto c = GENERATE(values<Case>({
      {ENOSPC, StatusCode::no_space, false},
      {EDQUOT, StatusCode::no_space, false},
      {EACCES, StatusCode::permission_denied, false},
      {EPERM, StatusCode::permission_denied, false},
      {EROFS, StatusCode::permission_denied, false},
      {ENOENT, StatusCode::not_found, false},
      {EEXIST, StatusCode::already_exists, false},
      {ENOTDIR, StatusCode::invalid_argument, false},
      {ENAMETOOLONG, StatusCode::invalid_argument, false},
      {EFBIG, StatusCode::resource_exhausted, false},
      {EINTR, StatusCode::unavailable, true},
      {EAGAIN, StatusCode::unavailable, true},
      {EMFILE, StatusCode::unavailable, true},
      {ENOSYS, StatusCode::unsupported, false},
      {EIO, StatusCode::io_error, false},
      {123456, StatusCode::io_error, false},
  }));
  const Status status = errno_status(c.error, "try", "x");
  CHECK(status.code() == c.code);
  CHECK(status.retryable() == c.retryable);
  CHECK(status.native_code() == c.error);
}

TEST_CASE("bytes written to a file are read back at any offset") {
  const TempDir temp;
  auto file = FileHandle::open(temp.path("a"), O_RDWR | O_CREAT | O_EXCL, 0600);
  REQUIRE(file.ok());
  REQUIRE(file.value().write_all("hello ").ok());
  REQUIRE(file.value().write_all("").ok());
  REQUIRE(file.value().write_all("world").ok());
  CHECK(file.value().sync_data().ok());
  CHECK(file.value().sync().ok());
  CHECK(file.value().size().value() == 11);
  char bytes[5];
  REQUIRE(file.value().read_exact_at(6, bytes, 5).ok());
  CHECK(std::string(bytes, 5) == "world");
  CHECK(file.value().read_exact_at(11, bytes, 0).ok());
  const Status beyond = file.value().read_exact_at(7, bytes, 5);
  CHECK(beyond.code() == StatusCode::io_error);
  CHECK(beyond.object() == temp.path("a"));
  CHECK_FALSE(file.value().read_exact_at(~std::uint64_t{0}, bytes, 5).ok());
}

TEST_CASE("a device without space is told as such") {
  auto full = FileHandle::open("/dev/full", O_WRONLY);
  REQUIRE(full.ok());
  CHECK(full.value().write_all("x").code() == StatusCode::no_space);
}

TEST_CASE("a file is opened relative to a folder, and named with it in messages") {
  const TempDir temp;
  write_file(temp.path("a"), "bytes");
  const auto folder = FileHandle::open(temp.path(), O_RDONLY | O_DIRECTORY);
  REQUIRE(folder.ok());
  const auto file = FileHandle::open_at(folder.value(), "a", O_RDONLY);
  REQUIRE(file.ok());
  CHECK(file.value().path() == temp.path("a"));
  const auto missing = FileHandle::open_at(folder.value(), "b", O_RDONLY);
  CHECK(missing.status().code() == StatusCode::not_found);
  CHECK(missing.status().object() == temp.path("b"));
}

TEST_CASE("a handle closes its descriptor once, wherever it was moved") {
  const TempDir temp;
  write_file(temp.path("a"), "a");
  auto opened = FileHandle::open(temp.path("a"), O_RDONLY);
  REQUIRE(opened.ok());
  FileHandle first = std::move(opened).value();
  const int descriptor = first.descriptor();
  FileHandle second(std::move(first));
  CHECK_FALSE(first.is_open());
  CHECK(second.descriptor() == descriptor);
  first = std::move(second);
  CHECK(first.descriptor() == descriptor);
  FileHandle& same = first;
  first = std::move(same);
  CHECK(first.is_open());
  // never inherited by a program that is started
  CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
  first.close();
  CHECK(::fcntl(descriptor, F_GETFD) == -1);
}
