// SPDX-License-Identifier: Apache-2.0
// The ObjectBackend contract: where a backup's objects are stored.
//
// clang-format off
// | expression                   | result             | meaning
// |------------------------------|--------------------|------------------------------------------------
// | b.create(name, options)      | Result<Writer>     | begins an object; nothing is visible yet
// | b.url()                      | string             | where it is, for people; never a secret in it
// | w.append(bytes)              | Status             | the next bytes; they are copied or sent
// | w.commit()                   | Result<ObjectInfo> | makes the whole object visible, durably
// | w.abandon()                  | void               | forgets it; also what destruction without
// |                              |                    | commit() does, whatever failed before
//
// Optional:
// | b.keeps_objects()            | bool               | false: what is committed is not found again
// | b.decides_if_absent()        | bool               | false: of two writers of one name that commit
// |                              |                    | at once with `if_absent` both may succeed
//
// Readable refinement:
// | b.read(name)                 | Result<string>     | the whole object
// | b.read_range(name, off, len) | Result<string>     | exactly those bytes; outside the object: an error
// | b.list(prefix)               | Result<vector<ObjectInfo>> | names that start with prefix, sorted
// | b.exists(name)               | Result<bool>       |
// | b.remove(name)               | Status             | not_found if it is not there
//
// Unfinished refinement: what writers left that ended with their process. A store that keeps no
// such things, or ends them by itself and does not list them, does without.
// | b.list_unfinished(prefix)    | Result<vector<UnfinishedObject>> | of names that start with prefix,
// |                              |                    | also those of writers that live
// | b.end_unfinished(object)     | Status             | frees what it takes; ok if it is gone
// clang-format on
//
// Laws no compiler checks: constructors touch nothing outside the process. A backend is
// thread-safe, a Writer belongs to one thread and does not outlive its backend. Nothing is visible
// before commit(); a writer is sticky after a failure; commit() of two writers of one name with
// `if_absent` succeeds for exactly one of them. Names are checked by check_object_name() before
// anything else.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"

namespace kvbackup::inline v1 {

/// What a backend says of a stored object.
struct ObjectInfo {
  std::string name;
  std::uint64_t size = 0;  ///< bytes
  /// By what the storage knows its bytes again, the same from commit() and from list(): an ETag, a
  /// generation. Empty where it has no such thing.
  std::string proof = {};
  /// When it was committed, by the storage's clock, in milliseconds since 1970-01-01 UTC; from
  /// list(). Nothing where it does not tell.
  std::optional<std::uint64_t> modified_ms = {};

  /// Of the same name and size.
  friend bool operator==(const ObjectInfo& a, const ObjectInfo& b) {
    return a.name == b.name && a.size == b.size;
  }
};

/// An object that a writer began, and neither committed nor abandoned.
struct UnfinishedObject {
  std::string name;  ///< of the object; of a very long one only the start
  std::string id;    ///< what the backend calls it: an upload's id, a temporary file's name
  /// When it was begun, by the storage's clock; nothing where it does not tell.
  std::optional<std::uint64_t> began_ms = {};
};

struct CreateOptions {
  /// Expected size in bytes; a hint only.
  std::optional<std::uint64_t> size_hint;
  /// commit() fails with already_exists, atomically, if an object of that name is there.
  bool if_absent = true;
};

template <class W>
concept ObjectWriter = std::movable<W> && requires(W w, ByteView bytes) {
  { w.append(bytes) } -> std::same_as<Status>;
  { w.commit() } -> std::same_as<Result<ObjectInfo>>;
  w.abandon();
};

template <class B>
concept ObjectBackend = std::movable<B> &&
    requires(B& b, const B& c, std::string_view name, CreateOptions options) {
  { b.create(name, options).ok() } -> std::same_as<bool>;
  requires ObjectWriter<typename decltype(b.create(name, options))::value_type>;
  { c.url() } -> std::same_as<std::string>;
};

template <class B>
concept ReadableBackend = ObjectBackend<B> &&
    requires(B& b, std::string_view name, std::uint64_t n) {
  { b.read(name) } -> std::same_as<Result<std::string>>;
  { b.read_range(name, n, n) } -> std::same_as<Result<std::string>>;
  { b.list(name) } -> std::same_as<Result<std::vector<ObjectInfo>>>;
  { b.exists(name) } -> std::same_as<Result<bool>>;
  { b.remove(name) } -> std::same_as<Status>;
};

template <class B>
concept UnfinishedBackend = ReadableBackend<B> &&
    requires(B& b, std::string_view prefix, const UnfinishedObject& object) {
  { b.list_unfinished(prefix) } -> std::same_as<Result<std::vector<UnfinishedObject>>>;
  { b.end_unfinished(object) } -> std::same_as<Status>;
};

/// The object of that name in a listing, which list() gives sorted; null if it is not there. It
/// lives as long as the listing.
[[nodiscard]] inline const ObjectInfo* find_object(const std::vector<ObjectInfo>& objects,
                                                   std::string_view name) {
  const auto found = std::lower_bound(objects.begin(), objects.end(), name,
                                      [](const ObjectInfo& object, std::string_view wanted) {
                                        return std::string_view(object.name) < wanted;
                                      });
  return found != objects.end() && found->name == name ? &*found : nullptr;
}

/// Whether what was committed can be found again.
template <ObjectBackend B>
[[nodiscard]] bool keeps_objects(const B& backend) {
  if constexpr (requires { bool{backend.keeps_objects()}; }) {
    return backend.keeps_objects();
  } else {
    return true;
  }
}

/// Whether commit() of two writers of one name with `if_absent` succeeds for one of them only.
template <ObjectBackend B>
[[nodiscard]] bool decides_if_absent(const B& backend) {
  if constexpr (requires { bool{backend.decides_if_absent()}; }) {
    return backend.decides_if_absent();
  } else {
    return true;
  }
}

/// The Writer that `B::create` gives.
template <ObjectBackend B>
using WriterOf =
    typename decltype(std::declval<B&>().create(std::string_view(), CreateOptions()))::value_type;

/// Refuses names that some backend cannot hold or that could leave it: empty, over 1024 bytes,
/// absolute, with an empty, "." or ".." component, a backslash or a control byte. "a/b.sst" is
/// fine.
[[nodiscard]] inline Status check_object_name(std::string_view name) {
  const auto refuse = [name](const char* why) {
    return Status::error(StatusCode::invalid_argument, why).with_object(name);
  };
  if (name.empty()) return refuse("the object name is empty");
  if (name.size() > 1024) return refuse("the object name is longer than 1024 bytes");
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') {
      return refuse("the object name has a control character or a backslash");
    }
  }
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view component = name.substr(begin, end - begin);
    if (component.empty() || component == "." || component == "..") {
      return refuse("the object name is absolute or has an empty, \".\" or \"..\" component");
    }
    begin = end + 1;
  }
  return {};
}

}  // namespace kvbackup::inline v1
