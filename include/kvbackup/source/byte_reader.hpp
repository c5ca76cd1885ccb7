// SPDX-License-Identifier: Apache-2.0
// The seam through which text sources read.
//
// | expression        | result              | meaning
// |-------------------|---------------------|----------------------------------------------------
// | r.read(out, size) | Result<std::size_t> | up to `size` (never 0) bytes put at `out`; 0 bytes
// |                   |                     | only at the end
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/file.hpp"
#include "kvbackup/base/movable_box.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <sys/stat.h>
#endif

namespace kvbackup::inline v1 {

template <class R>
concept ByteReader = std::movable<R> && requires(R r, char* out, std::size_t size) {
  { r.read(out, size) } -> std::same_as<Result<std::size_t>>;
};

/// Reads bytes that somebody else owns and keeps alive.
class MemoryReader {
 public:
  explicit MemoryReader(ByteView bytes) noexcept : rest_(bytes) {}

  [[nodiscard]] Result<std::size_t> read(char* out, std::size_t size) {
    const std::size_t taken = std::min(size, rest_.size());
    if (taken > 0) std::memcpy(out, rest_.data(), taken);
    rest_.remove_prefix(taken);
    return taken;
  }

 private:
  ByteView rest_;
};

/// Reads through `f(char* out, std::size_t size) -> Result<std::size_t>`.
template <class F>
class CallableReader {
 public:
  explicit CallableReader(F f) : f_(std::move(f)) {}

  [[nodiscard]] Result<std::size_t> read(char* out, std::size_t size) { return (*f_)(out, size); }

 private:
  detail::MovableBox<F> f_;
};

static_assert(ByteReader<MemoryReader>);
static_assert(ByteReader<CallableReader<Result<std::size_t> (*)(char*, std::size_t)>>);

#if KVBACKUP_WITH_POSIX
/// Reads a file, a pipe or a terminal.
class FdReader {
 public:
  /// Opens `path`; not_found, permission_denied and so on name it. A folder is invalid_argument.
  [[nodiscard]] static Result<FdReader> open(const std::string& path) {
    Result<FileHandle> file = FileHandle::open(path, O_RDONLY);
    if (!file.ok()) return std::move(file).status();
    const auto info = file.value().status();
    if (!info.ok()) return info.status();
    if (S_ISDIR(info.value().st_mode)) return errno_status(EISDIR, "read the file", path);
    FdReader reader(file.value().descriptor(), path);
    reader.state_ = file.value().state();
    reader.owned_ = std::move(file).value();
    return reader;
  }
  /// Reads a descriptor that stays open and the caller's; `name` is for messages.
  [[nodiscard]] static FdReader borrow(int fd, std::string name) {
    return FdReader(fd, std::move(name));
  }

  /// From now on read() ends with `cancelled` when the token is set, even while it waits for a pipe
  /// or a terminal. The token outlives the reader; null takes it away.
  void cancel_on(const CancelToken* token) noexcept { cancel_ = token; }

  /// FileHandle::state() when the file was opened; empty where it is borrowed.
  [[nodiscard]] const std::string& state() const noexcept { return state_; }

  [[nodiscard]] Result<std::size_t> read(char* out, std::size_t size) {
    for (;;) {
      if (Status status = wait(); !status.ok()) return status;
      const ssize_t got = ::read(fd_, out, size);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) return errno_status(errno, "read the file", name_);
    }
  }

 private:
  /// Returns when read(2) would not block.
  Status wait() const {
    constexpr int slice_ms = 100;  // a token set between the look and the wait is seen that late
    while (cancel_ != nullptr) {
      if (Status status = check_cancel(cancel_); !status.ok()) return status;
      pollfd waited{.fd = fd_, .events = POLLIN, .revents = 0};
      // what poll cannot wait for is read(2)'s to report
      const int ready = ::poll(&waited, 1, slice_ms);
      if (ready > 0 || (ready < 0 && errno != EINTR)) break;
    }
    return {};
  }

  FdReader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  int fd_;
  const CancelToken* cancel_ = nullptr;
  FileHandle owned_;  // closed where it is borrowed
  std::string state_;
  std::string name_;
};

static_assert(ByteReader<FdReader>);
#endif

}  // namespace kvbackup::inline v1
