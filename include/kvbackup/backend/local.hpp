// SPDX-License-Identifier: Apache-2.0
// Objects as files below a folder.
#pragma once

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/local_folder.hpp"
#include "kvbackup/backend/detail/local_writer.hpp"
#include "kvbackup/backend/detail/object_writer.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/file.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"

#if KVBACKUP_WITH_POSIX

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <sys/stat.h>

namespace kvbackup::inline v1 {

/// Objects as files below one folder; "a/b.sst" lies in its sub-folder "a".
///
/// An object is written to a temporary file beside its name, synced, renamed, and the folder
/// synced. A process that is killed may leave temporary files (".NAME.tmp" and 16 hex digits); they
/// are never listed. The folder and its parents are made (0755, as BR does) by the first create().
/// Files are 0644 less the umask. Symbolic links below the folder are not followed and are no
/// objects.
class LocalBackend {
 public:
  using Writer = detail::ObjectWriter<detail::LocalObject>;

  /// The longest object that read() gives, and the longest range; 4 GiB.
  static constexpr std::uint64_t longest_read = 1ull << 32;

  /// `path` is absolute, or relative to the working folder at the time of each call.
  explicit LocalBackend(std::string path) noexcept : path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// "local:///path"; a relative path stands as it is.
  [[nodiscard]] std::string url() const {
    if (path_.starts_with('/')) return "local://" + percent_encode(path_, "/");
    return path_.find("://") == std::string::npos ? path_ : "./" + path_;
  }

  Result<Writer> create(std::string_view name, CreateOptions options = {}) const {
    if (Status status = check(name); !status.ok()) return status;
    auto folder = detail::open_folder(path_, detail::folder_of(name), true);
    if (!folder.ok()) return std::move(folder).status();
    auto object =
        std::make_unique<detail::LocalObject>(std::move(folder).value(), name, options.if_absent);
    if (Status status = object->open(); !status.ok()) return status;
    return Writer(std::move(object));
  }

  Result<std::string> read(std::string_view name) const {
    const auto file = open_object(name);
    if (!file.ok()) return file.status();
    const auto size = file.value().size();
    if (!size.ok()) return size.status();
    return read_bytes(file.value(), 0, size.value());
  }

  /// invalid_argument if the range does not lie in the object.
  Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                 std::uint64_t length) const {
    const auto file = open_object(name);
    if (!file.ok()) return file.status();
    const auto size = file.value().size();
    if (!size.ok()) return size.status();
    if (offset > size.value() || length > size.value() - offset) {
      return Status::error(StatusCode::invalid_argument,
                           "the range asked for ends behind the end of the file")
          .with_object(file.value().path());
    }
    return read_bytes(file.value(), offset, length);
  }

  /// Every regular file below the folder whose path is an object's name; none if there is no
  /// folder.
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) const {
    if (Status status = check_path(); !status.ok()) return status;
    std::vector<ObjectInfo> objects;
    Status status = walk(
        prefix, [&objects](std::string name, std::string_view file_name, const struct stat& info) {
          if (detail::is_temporary_name(file_name)) return;
          objects.push_back({.name = std::move(name),
                             .size = static_cast<std::uint64_t>(info.st_size),
                             .modified_ms = modified_ms(info)});
        });
    if (!status.ok()) return status;
    std::sort(objects.begin(), objects.end(),
              [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
    return objects;
  }

  Result<bool> exists(std::string_view name) const {
    auto found = find(name);
    if (found.ok()) return true;
    if (found.status().code() == StatusCode::not_found) return false;
    return std::move(found).status();
  }

  /// Also durable: the folder is synced.
  Status remove(std::string_view name) const {
    const auto folder = find(name);
    if (!folder.ok()) return folder.status();
    const std::string file_name(detail::file_of(name));
    if (::unlinkat(folder.value().descriptor(), file_name.c_str(), 0) != 0) {
      return errno_status(errno, "remove the file",
                          detail::join_path(folder.value().path(), file_name));
    }
    return detail::sync_folder(folder.value());
  }

  /// The temporary files of objects whose names start with `prefix`.
  Result<std::vector<UnfinishedObject>> list_unfinished(std::string_view prefix) const {
    if (Status status = check_path(); !status.ok()) return status;
    std::vector<UnfinishedObject> found;
    Status status = walk(
        prefix, [&found](std::string name, std::string_view file_name, const struct stat& info) {
          if (!detail::is_temporary_name(file_name)) return;
          std::string id(detail::folder_of(name));
          if (!id.empty()) id += '/';
          id += file_name;
          found.push_back(
              {.name = std::move(name), .id = std::move(id), .began_ms = modified_ms(info)});
        });
    if (!status.ok()) return status;
    return found;
  }

  /// Removes a temporary file; nothing else.
  Status end_unfinished(const UnfinishedObject& object) const {
    const std::string file_name(detail::file_of(object.id));
    const std::string folder_name(detail::folder_of(object.id));
    if (!detail::is_temporary_name(file_name) ||
        (!folder_name.empty() && !check(folder_name).ok())) {
      return refused(object.id, "this is no temporary file of an object");
    }
    const auto folder = detail::open_folder(path_, folder_name, false);
    if (folder.status().code() == StatusCode::not_found) return {};
    if (!folder.ok()) return folder.status();
    if (::unlinkat(folder.value().descriptor(), file_name.c_str(), 0) == 0) {
      return detail::sync_folder(folder.value());
    }
    if (errno == ENOENT) return {};
    return errno_status(errno, "remove the temporary file",
                        detail::join_path(folder.value().path(), file_name));
  }

 private:
  [[nodiscard]] Status check_path() const {
    if (!path_.empty() && path_.find('\0') == std::string::npos) return {};
    return Status::error(StatusCode::invalid_argument,
                         "the path of the local storage is empty or holds a zero byte");
  }

  [[nodiscard]] Status check(std::string_view name) const {
    if (Status status = check_path(); !status.ok()) return status;
    if (Status status = check_object_name(name); !status.ok()) return status;
    for (std::string_view rest = name; !rest.empty();) {
      const std::string_view component = rest.substr(0, rest.find('/'));
      rest.remove_prefix(std::min(rest.size(), component.size() + 1));
      if (component.size() > detail::longest_file_name) {
        return refused(name, "a component of the object name is longer than 255 bytes");
      }
      if (detail::is_temporary_name(component)) {
        return refused(name, "names like .NAME.tmp0123456789abcdef are kept for temporary files");
      }
    }
    return {};
  }
  KVBACKUP_DETAIL_COLD static Status refused(std::string_view name, const char* why) {
    return Status::error(StatusCode::invalid_argument, why).with_object(name);
  }

  KVBACKUP_DETAIL_COLD [[nodiscard]] Status missing(std::string_view name) const {
    return Status::error(StatusCode::not_found, "there is no such file")
        .with_object(detail::join_path(path_, name));
  }

  /// A symbolic link or a file stands where a sub-folder should: there is no such object.
  [[nodiscard]] Result<FileHandle> open_folder_of(std::string_view name) const {
    auto folder = detail::open_folder(path_, {}, false);
    if (folder.status().code() == StatusCode::not_found) return missing(name);
    if (!folder.ok() || detail::folder_of(name).empty()) return folder;
    folder = detail::open_folder(path_, detail::folder_of(name), false);
    const int error = folder.status().native_code();
    if (error == ENOENT || error == ENOTDIR || error == ELOOP) return missing(name);
    return folder;
  }

  /// The folder in which the object is a regular file; not_found if it is none.
  [[nodiscard]] Result<FileHandle> find(std::string_view name) const {
    if (Status status = check(name); !status.ok()) return status;
    auto folder = open_folder_of(name);
    if (!folder.ok()) return folder;
    struct stat info {};
    const std::string file_name(detail::file_of(name));
    const int found =
        ::fstatat(folder.value().descriptor(), file_name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
    if (found != 0 && errno != ENOENT) {
      return errno_status(errno, "stat the file",
                          detail::join_path(folder.value().path(), file_name));
    }
    if (found != 0 || !S_ISREG(info.st_mode)) return missing(name);
    return folder;
  }

  [[nodiscard]] Result<FileHandle> open_object(std::string_view name) const {
    auto folder = find(name);
    if (!folder.ok()) return folder;
    // O_NONBLOCK: whoever puts a pipe there meanwhile cannot make us wait
    return FileHandle::open_at(folder.value(), detail::file_of(name),
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }

  [[nodiscard]] static Result<std::string> read_bytes(const FileHandle& file, std::uint64_t offset,
                                                      std::uint64_t length) {
    if (length > longest_read || length > std::string().max_size()) {
      return Status::error(StatusCode::resource_exhausted,
                           "more than 4 GiB would have to be read at once; read it in ranges")
          .with_object(file.path());
    }
    std::string bytes(static_cast<std::size_t>(length), '\0');
    if (Status status = file.read_exact_at(offset, bytes.data(), bytes.size()); !status.ok()) {
      return status;
    }
    return bytes;
  }

  [[nodiscard]] static std::optional<std::uint64_t> modified_ms(const struct stat& info) {
    if (info.st_mtim.tv_sec < 0) return std::nullopt;
    return static_cast<std::uint64_t>(info.st_mtim.tv_sec) * 1000 +
           static_cast<std::uint64_t>(info.st_mtim.tv_nsec) / 1'000'000;
  }

  /// Calls use(name, file name, stat) for every regular file below the folder that is an object
  /// whose name starts with `prefix`, or the temporary file of one.
  template <class Use>
  [[nodiscard]] Status walk(std::string_view prefix, Use use) const {
    std::vector<std::string> folders{std::string()};
    while (!folders.empty()) {
      const std::string folder = std::move(folders.back());
      folders.pop_back();
      if (Status status = walk_folder(folder, prefix, folders, use); !status.ok()) return status;
    }
    return {};
  }

  /// One folder of walk(), which adds the sub-folders to look into. What vanishes meanwhile is left
  /// out. Depth is bounded, since a path that is no object's name (1024 bytes) is not followed.
  template <class Use>
  [[nodiscard]] Status walk_folder(const std::string& relative, std::string_view prefix,
                                   std::vector<std::string>& folders, Use& use) const {
    auto folder = detail::open_folder(path_, relative, false);
    if (!folder.ok()) {
      if (folder.status().code() == StatusCode::not_found) return {};
      return std::move(folder).status();
    }
    const std::string path = folder.value().path();
    const int descriptor = folder.value().descriptor();
    const std::unique_ptr<DIR, CloseFolder> entries(::fdopendir(descriptor));
    if (entries == nullptr) return errno_status(errno, "list the folder", path);
    (void)folder.value().release();  // closedir() closes it
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(entries.get());
      if (entry == nullptr)
        return errno == 0 ? Status() : errno_status(errno, "list the folder", path);
      const bool is_temporary = detail::is_temporary_name(entry->d_name);
      std::string name = relative.empty() ? relative : relative + "/";
      name += is_temporary ? detail::name_of_temporary(entry->d_name) : entry->d_name;
      const bool below = prefix.starts_with(name + "/");
      if ((!below && !name.starts_with(prefix)) || !check(name).ok()) continue;
      struct stat info {};
      if (::fstatat(descriptor, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;
        return errno_status(errno, "stat the file", detail::join_path(path, entry->d_name));
      }
      if (S_ISDIR(info.st_mode)) {
        if (!is_temporary) folders.push_back(std::move(name));
      } else if (S_ISREG(info.st_mode) && !below) {
        use(std::move(name), entry->d_name, info);
      }
    }
  }

  struct CloseFolder {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
  };

  std::string path_;
};
static_assert(UnfinishedBackend<LocalBackend>);

}  // namespace kvbackup::inline v1

#endif
