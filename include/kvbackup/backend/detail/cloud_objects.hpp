// SPDX-License-Identifier: Apache-2.0
// What the backends of object stores have in common: the bounds of what they read and list.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/reply_text.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/concept.hpp"

namespace kvbackup::inline v1::detail {

/// The longest object that is read at once, and the longest range; 4 GiB.
inline constexpr std::uint64_t longest_cloud_read = 1ull << 32;
/// The most objects that are listed.
inline constexpr std::size_t longest_cloud_list = 10'000'000;
/// What a range read takes beyond the range: the server may have to describe an error.
inline constexpr std::uint64_t longest_cloud_error = 64u << 10;

[[nodiscard]] KVBACKUP_DETAIL_COLD inline Status outside_object(std::string place) {
  return Status::error(StatusCode::invalid_argument,
                       "the range asked for ends behind the end of the object")
      .with_object(place);
}

/// Whether a range can be asked for at all.
[[nodiscard]] inline Status check_cloud_range(std::uint64_t offset, std::uint64_t length,
                                              std::string_view place) {
  // 2^62 keeps the sum of an offset and a length in range; no object comes near it
  constexpr std::uint64_t largest_object = 1ull << 62;
  if (offset > largest_object || length > largest_object) return outside_object(std::string(place));
  if (length <= longest_cloud_read) return {};
  return Status::error(StatusCode::resource_exhausted,
                       "more than 4 GiB would have to be read at once; read it in ranges")
      .with_object(place);
}

/// The header that asks for `length` bytes, at least one, from `offset`.
[[nodiscard]] inline HttpHeader range_header(std::uint64_t offset, std::uint64_t length) {
  return {"Range", "bytes=" + std::to_string(offset) + '-' + std::to_string(offset + length - 1)};
}

/// The bytes of a 2xx answer to such a request. A server may give all of an object, and a proxy
/// another range.
[[nodiscard]] inline Result<std::string> take_range(HttpResponse response, std::uint64_t offset,
                                                    std::uint64_t length, std::string_view place) {
  const bool partial = response.status == 206;
  const auto range = partial ? response.header("Content-Range") : std::nullopt;
  const bool other = range && !range->starts_with("bytes " + std::to_string(offset) + '-');
  if (other || (!partial && offset != 0)) {
    return Status::error(StatusCode::unsupported,
                         "the server gave another range of the object than was asked for")
        .with_object(place);
  }
  if (response.body.size() < length) return outside_object(std::string(place));
  response.body.resize(static_cast<std::size_t>(length));
  return std::move(response.body);
}

/// Lists what is below `base` and begins with `prefix` behind it, by `page(token)`, which gives a
/// page with whole names and the token of the next. Names that are no object's are left out.
template <class Page>
[[nodiscard]] Status list_pages(const std::string& base, std::string_view prefix,
                                const std::string& place, std::vector<ObjectInfo>& objects,
                                Page page) {
  // a server may give pages without objects, but not for ever
  constexpr std::size_t most_empty_pages = 1'000;
  const auto bad = [&place](const char* why) {
    return Status::error(StatusCode::corruption, why).with_object(place);
  };
  std::size_t empty_pages = 0;
  std::string token;
  do {
    auto found = page(std::as_const(token));
    if (!found.ok()) return std::move(found).status();
    empty_pages = found.value().objects.empty() ? empty_pages + 1 : 0;
    const bool same = !found.value().next.empty() && found.value().next == token;
    if (same || empty_pages > most_empty_pages) {
      return bad("the server gives the same page of the list again and again");
    }
    token = std::move(found.value().next);
    for (ObjectInfo& object : found.value().objects) {
      if (!object.name.starts_with(base)) return bad("the server lists what was not asked");
      object.name.erase(0, base.size());
      if (!object.name.starts_with(prefix) || !check_object_name(object.name).ok()) continue;
      objects.push_back(std::move(object));
    }
    if (objects.size() > longest_cloud_list) {
      return Status::error(StatusCode::resource_exhausted,
                           "there are more than 10,000,000 objects to list")
          .with_object(place);
    }
  } while (!token.empty());
  return {};
}

}  // namespace kvbackup::inline v1::detail
