// SPDX-License-Identifier: Apache-2.0
// Objects in an S3 bucket.
#pragma once

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/bucket_url.hpp"
#include "kvbackup/backend/detail/cloud_objects.hpp"
#include "kvbackup/backend/detail/object_writer.hpp"
#include "kvbackup/backend/detail/reply_text.hpp"
#include "kvbackup/backend/detail/s3_client.hpp"
#include "kvbackup/backend/detail/s3_object.hpp"
#include "kvbackup/backend/detail/s3_reply.hpp"
#include "kvbackup/backend/detail/s3_uploads.hpp"
#include "kvbackup/backend/s3_options.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/curl_transport.hpp"

#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_THREADS && KVBACKUP_WITH_POSIX
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbackup::inline v1 {

/// Objects in a bucket of Amazon S3 or of what speaks its protocol, over any HttpTransport.
///
/// An object of up to part_size bytes is one PUT. A larger one is a multipart upload, whose parts
/// are sent by up to parts_in_flight threads of the writer's own while append() goes on; a writer
/// keeps that many parts in memory. Threads of its own, since an Executor runs tasks to their end
/// and the caller with them, and so could not send while the caller produces.
///
/// A failed, abandoned or destroyed writer ends its upload. A process that is killed cannot: give
/// the bucket a lifecycle rule with AbortIncompleteMultipartUpload, or use list_unfinished(). An
/// object whose commit got no answer is known again by the metadata kvbackup-id, which each object
/// gets. ETags are no digests of what was sent: they are passed on, and are ObjectInfo::proof.
template <HttpTransport Transport>
class BasicS3Backend {
  using Client = detail::S3Client<Transport>;
  using Object = detail::S3Object<Transport>;

 public:
  using Writer = detail::ObjectWriter<Object>;
  /// The longest object that read() gives, and the longest range; 4 GiB.
  static constexpr std::uint64_t longest_read = detail::longest_cloud_read;
  /// The most objects that list() gives.
  static constexpr std::size_t longest_list = detail::longest_cloud_list;

  /// Options that cannot work are reported by the first call.
  explicit BasicS3Backend(S3Options options, Transport transport = Transport())
      : client_(std::make_shared<Client>(std::move(options), std::move(transport))) {}

  /// As BR spells it: "s3://bucket/prefix?endpoint=...", without credentials.
  [[nodiscard]] std::string url() const {
    const S3Options& options = client_->options();
    std::string out = detail::bucket_url("s3", options.bucket, options.prefix);
    detail::append_endpoint(out, options.endpoint);
    return out;
  }

  /// Sends nothing: what the server has against the object shows at append() or commit().
  Result<Writer> create(std::string_view name, CreateOptions options = {}) const {
    auto key = key_of(name);
    if (!key.ok()) return std::move(key).status();
    return Writer(std::make_unique<Object>(client_, name, std::move(key).value(), options));
  }

  Result<std::string> read(std::string_view name) const {
    const auto key = key_of(name);
    if (!key.ok()) return key.status();
    auto call = call_of("GET", key.value(), "read the object", "s3:GetObject");
    call.response_limit = longest_read;
    detail::S3Answer answer = client_->call(call);
    if (!answer.status.ok()) return std::move(answer.status);
    return std::move(answer.response.body);
  }

  /// invalid_argument if the range does not lie in the object.
  Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                 std::uint64_t length) const {
    const auto key = key_of(name);
    if (!key.ok()) return key.status();
    const std::string place = client_->place(key.value());
    if (Status status = detail::check_cloud_range(offset, length, place); !status.ok()) {
      return status;
    }
    if (length == 0) return read_nothing(key.value(), offset);
    auto call = call_of("GET", key.value(), "read a range of the object", "s3:GetObject");
    call.headers.push_back(detail::range_header(offset, length));
    call.response_limit = length + detail::longest_cloud_error;
    detail::S3Answer answer = client_->call(call);
    if (!answer.status.ok()) return std::move(answer.status);
    return detail::take_range(std::move(answer.response), offset, length, place);
  }

  /// Keys whose rest behind the prefix is no object's name are left out.
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) const {
    if (Status status = client_->check(); !status.ok()) return status;
    const std::string base = key_prefix();
    std::vector<ObjectInfo> objects;
    Status status = detail::list_pages(
        base, prefix, client_->place(base), objects,
        [&](const std::string& token) { return list_page(base + std::string(prefix), token); });
    if (!status.ok()) return status;
    std::sort(objects.begin(), objects.end(),
              [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
    return objects;
  }

  Result<bool> exists(std::string_view name) const {
    const auto key = key_of(name);
    if (!key.ok()) return key.status();
    const auto found = size_of(key.value());
    if (found.ok()) return true;
    if (found.status().code() == StatusCode::not_found) return false;
    return found.status();
  }

  /// S3 itself does not tell whether there was anything to remove, so it is looked for before. A
  /// bucket that keeps versions keeps the older ones.
  Status remove(std::string_view name) const {
    const auto key = key_of(name);
    if (!key.ok()) return key.status();
    if (const auto found = size_of(key.value()); !found.ok()) return found.status();
    return client_->call(call_of("DELETE", key.value(), "remove the object", "s3:DeleteObject"))
        .status;
  }

  /// False with S3IfAbsent::checked: whether an object is there is looked for before.
  [[nodiscard]] bool decides_if_absent() const {
    return client_->options().if_absent == S3IfAbsent::conditional;
  }

  /// The uploads in parts that were begun and neither completed nor aborted.
  Result<std::vector<UnfinishedObject>> list_unfinished(std::string_view prefix) const {
    if (Status status = client_->check(); !status.ok()) return status;
    const std::string base = key_prefix();
    auto uploads = detail::list_uploads(*client_, base + std::string(prefix));
    if (!uploads.ok()) return std::move(uploads).status();
    std::vector<UnfinishedObject> found;
    for (detail::S3Upload& each : uploads.value()) {
      if (!each.key.starts_with(base)) continue;
      std::string name = each.key.substr(base.size());
      if (!name.starts_with(prefix) || !check_object_name(name).ok()) continue;
      found.push_back(
          {.name = std::move(name), .id = std::move(each.id), .began_ms = each.began_ms});
    }
    return found;
  }
  Status end_unfinished(const UnfinishedObject& object) const {
    const auto key = key_of(object.name);
    if (!key.ok()) return key.status();
    return detail::end_upload(*client_, key.value(), object.id);
  }

 private:
  [[nodiscard]] std::string key_prefix() const {
    const std::string& prefix = client_->options().prefix;
    return prefix.empty() ? prefix : prefix + '/';
  }
  [[nodiscard]] Result<std::string> key_of(std::string_view name) const {
    if (Status status = check_object_name(name); !status.ok()) return status;
    if (Status status = client_->check(); !status.ok()) return status;
    std::string key = key_prefix();
    key += name;
    if (key.size() > 1024) {
      return Status::error(StatusCode::invalid_argument,
                           "the key, prefix and name together, is longer than S3's 1024 bytes")
          .with_object(name);
    }
    return key;
  }

  [[nodiscard]] detail::S3Call call_of(std::string_view method, std::string_view key,
                                       std::string_view doing, std::string_view right) const {
    detail::S3Call call;
    call.method = method;
    call.key = key;
    call.doing = doing;
    call.right = right;
    call.cancel = client_->options().cancel;
    return call;
  }

  Result<std::uint64_t> size_of(std::string_view key) const {
    detail::S3Answer answer =
        client_->call(call_of("HEAD", key, "look for the object", "s3:GetObject"));
    if (!answer.status.ok()) return std::move(answer.status);
    const auto text = answer.response.header("Content-Length");
    const auto size = text ? detail::parse_size(*text) : std::nullopt;
    if (size) return *size;
    return Status::error(StatusCode::corruption, "the server does not tell the object's size")
        .with_object(client_->place(key));
  }
  Result<std::string> read_nothing(std::string_view key, std::uint64_t offset) const {
    const auto size = size_of(key);
    if (!size.ok()) return size.status();
    if (offset > size.value()) return detail::outside_object(client_->place(key));
    return std::string();
  }

  Result<detail::S3Page> list_page(const std::string& prefix, const std::string& token) const {
    auto call = call_of("GET", {}, "list the objects", "s3:ListBucket");
    call.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", prefix}};
    if (!token.empty()) call.query.emplace_back("continuation-token", token);
    call.xml_answer = true;
    detail::S3Answer answer = client_->call(call);
    if (!answer.status.ok()) return std::move(answer.status);
    auto page = detail::read_s3_page(answer.response.body);
    if (page.ok()) return page;
    return std::move(page).status().with_object(client_->place({}));
  }

  std::shared_ptr<Client> client_;
};

#if KVBACKUP_WITH_CURL
/// The S3 backend over libcurl.
using S3Backend = BasicS3Backend<CurlTransport>;
static_assert(UnfinishedBackend<S3Backend>);
#endif

}  // namespace kvbackup::inline v1
#endif
