// SPDX-License-Identifier: Apache-2.0
// Objects in a bucket of Google Cloud Storage.
#pragma once

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/bucket_url.hpp"
#include "kvbackup/backend/detail/cloud_objects.hpp"
#include "kvbackup/backend/detail/gcs_client.hpp"
#include "kvbackup/backend/detail/gcs_reply.hpp"
#include "kvbackup/backend/detail/gcs_upload.hpp"
#include "kvbackup/backend/detail/object_writer.hpp"
#include "kvbackup/backend/gcs_options.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/crc32c.hpp"
#include "kvbackup/net/curl_transport.hpp"

#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_POSIX
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbackup::inline v1 {

/// Objects in a bucket of Google Cloud Storage, by its JSON API over any HttpTransport.
///
/// An object of up to chunk_size bytes is one request, checked by the server against its CRC-32C. A
/// larger one is a resumable upload: after a failure the server is asked how much has arrived, and
/// the rest is sent again. What the server stored is compared by size and CRC-32C at commit. A
/// writer keeps one chunk in memory. A failed, abandoned or destroyed writer ends its upload; one
/// of a process that was killed ends by itself after a week. An object whose commit got no answer
/// is known again by the metadata kvbackup-id.
///
/// Reading also finds what old versions of BR put in places of their own: files under "PREFIX//",
/// the manifest at "PREFIXbackupmeta" (pingcap/br#675). remove() removes them, list() lists the
/// files.
template <HttpTransport Transport>
class BasicGcsBackend {
  using Client = detail::GcsClient<Transport>;
  using Upload = detail::GcsUpload<Transport>;

 public:
  using Writer = detail::ObjectWriter<Upload>;
  /// The longest object that read() gives, and the longest range; 4 GiB.
  static constexpr std::uint64_t longest_read = detail::longest_cloud_read;
  /// The most objects that list() gives.
  static constexpr std::size_t longest_list = detail::longest_cloud_list;

  /// Options that cannot work are reported by the first call.
  explicit BasicGcsBackend(GcsOptions options, Transport transport = Transport())
      : client_(std::make_shared<Client>(std::move(options), std::move(transport))) {}

  /// As BR spells it: "gcs://bucket/prefix?endpoint=...", without credentials.
  [[nodiscard]] std::string url() const {
    const GcsOptions& options = client_->options();
    std::string out = detail::bucket_url("gcs", options.bucket, options.prefix);
    detail::append_endpoint(out, options.endpoint);
    return out;
  }

  /// Sends nothing: what the server has against the object shows at append() or commit().
  Result<Writer> create(std::string_view name, CreateOptions options = {}) const {
    if (Status status = check(name); !status.ok()) return status;
    return Writer(
        std::make_unique<Upload>(client_, name, keys_of(name).front(), options.if_absent));
  }

  /// Compares the CRC-32C that the server tells: a damaged download is asked for again.
  Result<std::string> read(std::string_view name) const {
    return first_found(name, [this](const std::string& key) { return download(key); });
  }

  /// invalid_argument if the range does not lie in the object.
  Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                 std::uint64_t length) const {
    return first_found(name, [&](const std::string& key) -> Result<std::string> {
      Status status = detail::check_cloud_range(offset, length, client_->place(key));
      if (!status.ok()) return status;
      return length == 0 ? read_nothing(key, offset) : download_range(key, offset, length);
    });
  }

  /// Names that are no object's name, such as those of folders made by other tools, are left out.
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) const {
    if (Status status = client_->check(); !status.ok()) return status;
    std::vector<ObjectInfo> objects;
    for (const std::string& base : bases()) {
      if (Status status = list_below(base, prefix, objects); !status.ok()) return status;
    }
    // the first of a name is where a new object would be
    std::stable_sort(objects.begin(), objects.end(),
                     [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
    const auto same = [](const ObjectInfo& a, const ObjectInfo& b) { return a.name == b.name; };
    objects.erase(std::unique(objects.begin(), objects.end(), same), objects.end());
    return objects;
  }

  Result<bool> exists(std::string_view name) const {
    const auto found =
        first_found(name, [this](const std::string& key) { return client_->stat(key); });
    if (found.ok()) return true;
    if (found.status().code() == StatusCode::not_found) return false;
    return found.status();
  }

  /// It is looked for first: a request whose answer was lost may be made again, by libcurl too, and
  /// would not find what it removed. A bucket that keeps versions keeps the older ones.
  Status remove(std::string_view name) const {
    const auto removed = first_found(name, [this](const std::string& key) -> Result<bool> {
      if (const auto found = client_->stat(key); !found.ok()) return found.status();
      detail::GcsAnswer answer = client_->call(
          client_->object_call("DELETE", key, {}, "remove the object", "storage.objects.delete"));
      if (answer.status.ok() || answer.response.status == 404) return true;
      return std::move(answer.status);
    });
    return removed.status();
  }

 private:
  // Cloud Storage's limit of an object's name, in bytes
  static constexpr std::size_t longest_key = 1024;

  /// What stands before an object's name: where it is written, then where old BR wrote it.
  [[nodiscard]] std::vector<std::string> bases() const {
    const std::string& prefix = client_->options().prefix;
    if (prefix.empty()) return {prefix};
    const std::string trimmed = prefix.substr(0, prefix.find_last_not_of('/') + 1);
    std::vector<std::string> all = {prefix + '/'};
    for (const char* tail : {"/", "//"}) {
      const std::string base = trimmed + tail;
      if (!trimmed.empty() && base != all.front()) all.push_back(base);
    }
    return all;
  }
  [[nodiscard]] std::vector<std::string> keys_of(std::string_view name) const {
    std::vector<std::string> keys = bases();
    for (std::string& key : keys) key += name;
    if (name == "backupmeta" && keys.size() > 1) {
      const std::string& prefix = client_->options().prefix;
      keys.push_back(prefix.substr(0, prefix.find_last_not_of('/') + 1) + "backupmeta");
    }
    return keys;
  }

  [[nodiscard]] Status check(std::string_view name) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    if (Status status = client_->check(); !status.ok()) return status;
    const auto refuse = [name](const char* why) {
      return Status::error(StatusCode::invalid_argument, why).with_object(name);
    };
    const std::string key = keys_of(name).front();
    if (key.size() > longest_key) {
      return refuse("prefix and name together are longer than Cloud Storage's 1024 bytes");
    }
    if (!is_utf8(name)) return refuse("the object name is not UTF-8, as Cloud Storage asks for");
    return {};
  }

  /// `use(key)` of the first key of the name that is there.
  template <class Use>
  auto first_found(std::string_view name, Use use) const
      -> decltype(use(std::declval<const std::string&>())) {
    if (Status status = check(name); !status.ok()) return status;
    const std::vector<std::string> keys = keys_of(name);
    auto result = use(keys.front());
    for (std::size_t i = 1; i < keys.size(); ++i) {
      if (result.ok() || result.status().code() != StatusCode::not_found) return result;
      auto older = use(keys[i]);
      // if it is nowhere, what is told is the place where it should be
      if (older.ok() || older.status().code() != StatusCode::not_found) return older;
    }
    return result;
  }

  [[nodiscard]] detail::GcsCall media_call(const std::string& key, const char* doing) const {
    return client_->object_call("GET", key, {{"alt", "media"}}, doing, "storage.objects.get");
  }

  Result<std::string> download(const std::string& key) const {
    detail::GcsCall call = media_call(key, "read the object");
    call.response_limit = longest_read;
    const GcsOptions& options = client_->options();
    for (Retry retry(options.retry, client_->seams(options.cancel, call.doing));;) {
      detail::GcsAnswer answer = client_->call(call);
      if (!answer.status.ok()) return std::move(answer.status);
      const std::string_view expected = detail::crc32c_header(answer.response);
      if (expected.empty() || expected == detail::gcs_crc32c(crc32c(answer.response.body))) {
        return std::move(answer.response.body);
      }
      Status failure = Status::error(StatusCode::corruption,
                                     "the object was damaged on its way here, again and again: "
                                     "its CRC-32C is not the one the server tells")
                           .with_object(call.place)
                           .as_retryable();
      if (!retry.again(failure)) return failure;
    }
  }

  Result<std::string> download_range(const std::string& key, std::uint64_t offset,
                                     std::uint64_t length) const {
    detail::GcsCall call = media_call(key, "read a range of the object");
    call.headers = {detail::range_header(offset, length)};
    call.response_limit = length + detail::longest_cloud_error;
    detail::GcsAnswer answer = client_->call(call);
    if (answer.response.status == 416) return detail::outside_object(call.place);
    if (!answer.status.ok()) return std::move(answer.status);
    return detail::take_range(std::move(answer.response), offset, length, call.place);
  }

  Result<std::string> read_nothing(const std::string& key, std::uint64_t offset) const {
    const auto object = client_->stat(key);
    if (!object.ok()) return object.status();
    if (offset > object.value().size) return detail::outside_object(client_->place(key));
    return std::string();
  }

  Status list_below(const std::string& base, std::string_view prefix,
                    std::vector<ObjectInfo>& objects) const {
    const auto page = [&](const std::string& token) -> Result<detail::GcsPage> {
      QueryParameters query = {{"prefix", base + std::string(prefix)}};
      if (!token.empty()) query.emplace_back("pageToken", token);
      const detail::GcsCall call =
          client_->object_call("GET", {}, query, "list the objects", "storage.objects.list");
      detail::GcsAnswer answer = client_->call(call);
      if (!answer.status.ok()) return std::move(answer.status);
      auto found = detail::read_gcs_page(answer.response.body);
      if (found.ok()) return found;
      return std::move(found).status().with_object(call.place);
    };
    return detail::list_pages(base, prefix, client_->place(base), objects, page);
  }

  std::shared_ptr<Client> client_;
};

#if KVBACKUP_WITH_CURL
/// The GCS backend over libcurl.
using GcsBackend = BasicGcsBackend<CurlTransport>;
static_assert(ReadableBackend<GcsBackend>);
#endif

}  // namespace kvbackup::inline v1
#endif
