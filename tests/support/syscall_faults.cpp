// SPDX-License-Identifier: Apache-2.0
#include "support/syscall_faults.hpp"

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <mutex>
#include <string>
#include <string_view>
#include <time.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

using test_support::SyscallFault;
using test_support::SyscallFaultPlan;

namespace {

// libc's function of that name
template <class Function>
Function* real(Function* /*type*/, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}
#define REAL(name)                                   \
  ([]() {                                            \
    static auto* const found = real(&::name, #name); \
    return found;                                    \
  }())

std::string path_of(int descriptor) {
  char target[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  return size < 0 ? std::string() : std::string(target, static_cast<std::size_t>(size));
}
std::string path_at(int folder, const char* name) {
  if (name[0] == '/') return name;
  char here[4096];
  std::string path = folder != AT_FDCWD                       ? path_of(folder)
                     : ::getcwd(here, sizeof here) != nullptr ? std::string(here)
                                                              : std::string();
  return path + '/' + name;
}
std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// What a power cut takes back, the newest first.
struct Undo {
  enum Kind : unsigned char { bytes, created, made_folder, renamed } kind;
  std::string path;        // the file; of `renamed` its new name
  std::string other = {};  // of `renamed` the old name; of `bytes` what stood there
  off_t offset = 0;        // of `bytes`
  off_t size = 0;          // of `bytes`: of the whole file, before
};

class Faults {
 public:
  static Faults& get() {
    static Faults* const faults = new Faults();  // outlives every destructor
    return *faults;
  }

  void arm(SyscallFaultPlan plan) {
    const std::lock_guard lock(mutex_);
    plan_ = std::move(plan);
    count_ = 0;
    undos_.clear();
    armed_ = true;
  }
  std::uint64_t count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  [[nodiscard]] bool cuts() const { return armed_ && plan_.action == SyscallFault::cut; }
  [[nodiscard]] bool armed() const { return armed_; }

  /// Before an operation on `path`; false: it fails, errno is set.
  bool begin(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (!is_below(path)) return true;
    const std::uint64_t number = ++count_;
    if (plan_.at == 0 || number < plan_.at) return true;
    switch (plan_.action) {
      case SyscallFault::count: return true;
      case SyscallFault::once:
        if (number > plan_.at) return true;
        [[fallthrough]];
      case SyscallFault::fail: errno = plan_.error; return false;
      case SyscallFault::cut: cut_power(); [[fallthrough]];
      case SyscallFault::kill:
        ::kill(::getpid(), SIGKILL);
        ::pause();
        return false;
      case SyscallFault::delay: {
        const timespec wait{0, 20'000'000};
        if (number == plan_.at) ::nanosleep(&wait, nullptr);
        return true;
      }
    }
    return true;
  }

  /// Remembers what stands in the file where `size` bytes are about to be written.
  void before_write(int descriptor, off_t offset, std::size_t size) {
    struct stat info {};
    if (!cuts() || ::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) return;
    Undo undo{Undo::bytes, path_of(descriptor)};
    const std::lock_guard lock(mutex_);
    if (!is_below(undo.path)) return;
    undo.offset = offset;
    undo.size = info.st_size;
    if (offset < info.st_size) {
      const int readable = REAL(open)(undo.path.c_str(), O_RDONLY | O_CLOEXEC);
      undo.other.resize(std::min(size, static_cast<std::size_t>(info.st_size - offset)));
      const ssize_t got = ::pread(readable, undo.other.data(), undo.other.size(), offset);
      undo.other.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
      ::close(readable);
    }
    undos_.push_back(std::move(undo));
  }
  void note(Undo undo) {
    const std::lock_guard lock(mutex_);
    if (plan_.action == SyscallFault::cut && is_below(undo.path)) undos_.push_back(std::move(undo));
  }
  /// A file keeps its bytes, a folder its names.
  void synced(int descriptor) {
    if (!cuts()) return;
    const std::string path = path_of(descriptor);
    const std::lock_guard lock(mutex_);
    std::erase_if(undos_, [&path](const Undo& undo) {
      return undo.kind == Undo::bytes ? undo.path == path : folder_of(undo.path) == path;
    });
  }
  /// Later records of a file are found by its new name.
  void renamed(const std::string& from, const std::string& to) {
    if (!cuts()) return;
    const std::lock_guard lock(mutex_);
    for (Undo& undo : undos_) {
      if (undo.path == from && undo.kind != Undo::renamed) undo.path = to;
      if (undo.path.starts_with(from + '/')) undo.path.replace(0, from.size(), to);
      if (undo.other.starts_with(from + '/') && undo.kind == Undo::renamed) {
        undo.other.replace(0, from.size(), to);
      }
    }
    if (is_below(to)) undos_.push_back({Undo::renamed, to, from});
  }

 private:
  Faults() {
    const char* const text = std::getenv("KVBACKUP_FAULT");
    if (text == nullptr) return;
    static constexpr std::pair<std::string_view, SyscallFault> actions[] = {
        {"count", SyscallFault::count}, {"fail", SyscallFault::fail},
        {"once", SyscallFault::once},   {"kill", SyscallFault::kill},
        {"cut", SyscallFault::cut},     {"delay", SyscallFault::delay}};
    const std::string_view plan(text);
    for (const auto& [name, action] : actions) {
      if (plan.starts_with(name)) plan_.action = action;
    }
    char* end = nullptr;
    const std::size_t colon = plan.find(':');
    plan_.at = colon == plan.npos ? 0 : std::strtoull(text + colon + 1, &end, 10);
    plan_.error = end != nullptr && *end == ':' ? std::atoi(end + 1) : EIO;
    if (const char* below = std::getenv("KVBACKUP_FAULT_BELOW")) {
      for (std::string_view rest(below); !rest.empty();) {
        const std::string_view path = rest.substr(0, rest.find(':'));
        plan_.below.emplace_back(path);
        rest.remove_prefix(std::min(rest.size(), path.size() + 1));
      }
    }
    armed_ = true;
    if (std::getenv("KVBACKUP_FAULT_REPORT") != nullptr) std::atexit(report);
  }
  static void report() {
    const std::string text = std::to_string(get().count());
    const char* const path = std::getenv("KVBACKUP_FAULT_REPORT");
    const int file = REAL(open)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    (void)!REAL(write)(file, text.data(), text.size());
    ::close(file);
  }

  [[nodiscard]] bool is_below(const std::string& path) const {
    for (const std::string& each : plan_.below) {
      if (path == each || (path.starts_with(each) && path[each.size()] == '/')) return true;
    }
    return false;
  }

  void cut_power() {
    for (auto undo = undos_.rbegin(); undo != undos_.rend(); ++undo) {
      switch (undo->kind) {
        case Undo::created: REAL(unlink)(undo->path.c_str()); break;
        case Undo::made_folder: REAL(unlinkat)(AT_FDCWD, undo->path.c_str(), AT_REMOVEDIR); break;
        case Undo::renamed: {
          REAL(rename)(undo->path.c_str(), undo->other.c_str());
          // what comes before was noted under the new name
          for (auto older = undo + 1; older != undos_.rend(); ++older) {
            if (older->path == undo->path) older->path = undo->other;
            if (older->path.starts_with(undo->path + '/')) {
              older->path.replace(0, undo->path.size(), undo->other);
            }
          }
          break;
        }
        case Undo::bytes: {
          const int file = REAL(open)(undo->path.c_str(), O_WRONLY | O_CLOEXEC);
          if (file < 0) break;
          (void)!REAL(pwrite)(file, undo->other.data(), undo->other.size(), undo->offset);
          (void)!REAL(ftruncate)(file, undo->size);
          ::close(file);
        }
      }
    }
  }

  std::mutex mutex_;
  bool armed_ = false;
  SyscallFaultPlan plan_;
  std::uint64_t count_ = 0;
  std::vector<Undo> undos_;
};

bool begin(int folder, const char* name) {
  return !Faults::get().armed() || Faults::get().begin(path_at(folder, name));
}
bool begin(int descriptor) {
  return !Faults::get().armed() || Faults::get().begin(path_of(descriptor));
}

int open_at(int folder, const char* name, int flags, mode_t mode) {
  if (!begin(folder, name)) return -1;
  struct stat info {};
  const bool creates = Faults::get().cuts() && (flags & O_CREAT) != 0 &&
                       ::fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0;
  const int opened = REAL(openat)(folder, name, flags, mode);
  if (creates && opened >= 0) Faults::get().note({Undo::created, path_at(folder, name)});
  if (opened >= 0 && (flags & O_TRUNC) != 0) Faults::get().before_write(opened, 0, 0);
  return opened;
}

ssize_t write_at(int descriptor, const void* bytes, std::size_t size, off_t offset) {
  if (!begin(descriptor)) return -1;
  Faults::get().before_write(descriptor, offset, size);
  return REAL(pwrite)(descriptor, bytes, size, offset);
}

std::size_t size_of(const iovec* pieces, int count) {
  std::size_t size = 0;
  for (int i = 0; i < count; ++i) size += pieces[i].iov_len;
  return size;
}

template <class Sync>
int sync_file(int descriptor, Sync sync) {
  if (!begin(descriptor)) return -1;
  const int result = sync(descriptor);
  if (result == 0) Faults::get().synced(descriptor);
  return result;
}

template <class Rename>
int rename_at(int from_folder, const char* from, int to_folder, const char* to, Rename rename) {
  if (!begin(to_folder, to)) return -1;
  const int result = rename();
  if (result == 0 && Faults::get().cuts()) {
    Faults::get().renamed(path_at(from_folder, from), path_at(to_folder, to));
  }
  return result;
}

int truncate_file(int descriptor, off_t size) {
  if (!begin(descriptor)) return -1;
  struct stat info {};
  if (::fstat(descriptor, &info) == 0) {
    const off_t lost = info.st_size > size ? info.st_size - size : 0;
    Faults::get().before_write(descriptor, size, static_cast<std::size_t>(lost));
  }
  return REAL(ftruncate)(descriptor, size);
}

mode_t mode_of(int flags, va_list arguments) {
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return makes ? static_cast<mode_t>(va_arg(arguments, unsigned)) : 0;
}

}  // namespace

namespace test_support {
void arm_syscall_faults(SyscallFaultPlan plan) { Faults::get().arm(std::move(plan)); }
std::uint64_t counted_syscalls() { return Faults::get().count(); }
}  // namespace test_support

extern "C" {

#define OPEN(name)                                 \
  int name(const char* path, int flags, ...) {     \
    va_list arguments;                             \
    va_start(arguments, flags);                    \
    const mode_t mode = mode_of(flags, arguments); \
    va_end(arguments);                             \
    return open_at(AT_FDCWD, path, flags, mode);   \
  }
#define OPENAT(name)                                       \
  int name(int folder, const char* path, int flags, ...) { \
    va_list arguments;                                     \
    va_start(arguments, flags);                            \
    const mode_t mode = mode_of(flags, arguments);         \
    va_end(arguments);                                     \
    return open_at(folder, path, flags, mode);             \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int descriptor, const void* bytes, size_t size) {
  if (!begin(descriptor)) return -1;
  if (Faults::get().cuts()) {
    const off_t at = (::fcntl(descriptor, F_GETFL) & O_APPEND) != 0
                         ? ::lseek(descriptor, 0, SEEK_END)
                         : ::lseek(descriptor, 0, SEEK_CUR);
    if (at >= 0) Faults::get().before_write(descriptor, at, size);
  }
  return REAL(write)(descriptor, bytes, size);
}
ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  return write_at(descriptor, bytes, size, offset);
}
ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t offset) {
  return write_at(descriptor, bytes, size, offset);
}
ssize_t writev(int descriptor, const iovec* pieces, int count) {
  if (!begin(descriptor)) return -1;
  const off_t at = Faults::get().cuts() ? ::lseek(descriptor, 0, SEEK_CUR) : -1;
  if (at >= 0) Faults::get().before_write(descriptor, at, size_of(pieces, count));
  return REAL(writev)(descriptor, pieces, count);
}
ssize_t pwritev(int descriptor, const iovec* pieces, int count, off_t offset) {
  if (!begin(descriptor)) return -1;
  Faults::get().before_write(descriptor, offset, size_of(pieces, count));
  return REAL(pwritev)(descriptor, pieces, count, offset);
}
int fsync(int descriptor) { return sync_file(descriptor, REAL(fsync)); }
int fdatasync(int descriptor) { return sync_file(descriptor, REAL(fdatasync)); }
int ftruncate(int descriptor, off_t size) noexcept { return truncate_file(descriptor, size); }
int ftruncate64(int descriptor, off64_t size) noexcept { return truncate_file(descriptor, size); }

int rename(const char* from, const char* to) noexcept {
  return rename_at(AT_FDCWD, from, AT_FDCWD, to, [&] { return REAL(rename)(from, to); });
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return rename_at(from_folder, from, to_folder, to,
                   [&] { return REAL(renameat)(from_folder, from, to_folder, to); });
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  if (!begin(to_folder, to)) return -1;
  const int result = REAL(linkat)(from_folder, from, to_folder, to, flags);
  if (result == 0) Faults::get().note({Undo::created, path_at(to_folder, to)});
  return result;
}
int link(const char* from, const char* to) noexcept {
  return ::linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int unlinkat(int folder, const char* name, int flags) noexcept {
  return begin(folder, name) ? REAL(unlinkat)(folder, name, flags) : -1;
}
int unlink(const char* name) noexcept { return begin(AT_FDCWD, name) ? REAL(unlink)(name) : -1; }
int rmdir(const char* name) noexcept { return begin(AT_FDCWD, name) ? REAL(rmdir)(name) : -1; }
int mkdirat(int folder, const char* name, mode_t mode) noexcept {
  if (!begin(folder, name)) return -1;
  const int result = REAL(mkdirat)(folder, name, mode);
  if (result == 0) Faults::get().note({Undo::made_folder, path_at(folder, name)});
  return result;
}
int mkdir(const char* name, mode_t mode) noexcept { return ::mkdirat(AT_FDCWD, name, mode); }

// renameat2 of older C libraries goes through here
// Six are read, however many there are: as libc does.
[[gnu::no_sanitize_address]] long syscall(long number, ...) noexcept {
  va_list arguments;
  va_start(arguments, number);
  long a[6];
  for (long& each : a) each = va_arg(arguments, long);
  va_end(arguments);
  const auto call = [&] { return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]); };
  if (number != SYS_renameat2) return call();
  return rename_at(static_cast<int>(a[0]), reinterpret_cast<const char*>(a[1]),
                   static_cast<int>(a[2]), reinterpret_cast<const char*>(a[3]),
                   [&] { return static_cast<int>(call()); });
}

}  // extern "C"
