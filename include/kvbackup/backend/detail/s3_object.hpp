// SPDX-License-Identifier: Apache-2.0
// One object of the S3 backend on its way: a single request, or an upload in parts.
#pragma once

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/s3_client.hpp"
#include "kvbackup/backend/detail/s3_parts.hpp"
#include "kvbackup/backend/detail/s3_reply.hpp"
#include "kvbackup/backend/detail/s3_uploads.hpp"
#include "kvbackup/backend/s3_options.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/xml.hpp"

#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_THREADS && KVBACKUP_WITH_POSIX
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbackup::inline v1::detail {

/// Owns the bytes that were not sent and the upload they belong to. Whatever ends it but a
/// successful commit() ends the upload.
template <HttpTransport Transport>
class S3Object {
 public:
  /// S3 numbers parts from 1 to this.
  static constexpr std::uint64_t most_parts = 10'000;
  static constexpr std::uint64_t largest_part = 5ull << 30;
  /// After so many parts of one size the next are twice as long: 10,000 parts of 8 MiB at first
  /// come to 8 TiB, more than an object may have, and the first 8 GiB are of equal parts, which
  /// some servers insist on.
  static constexpr std::uint64_t parts_of_a_size = 1'000;

  S3Object(std::shared_ptr<S3Client<Transport>> client, std::string_view name, std::string key,
           const CreateOptions& options)
      : client_(std::move(client)),
        name_(name),
        key_(std::move(key)),
        if_absent_(options.if_absent),
        hint_(options.size_hint.value_or(0)),
        first_part_size_(part_size_for(client_->options().part_size, hint_)),
        part_size_(first_part_size_) {
    char id[16];
    store_le64(id, client_->options().random->next());
    store_le64(id + 8, client_->options().random->next());
    id_ = to_hex({id, sizeof id});
  }
  S3Object(const S3Object&) = delete;
  S3Object& operator=(const S3Object&) = delete;
  ~S3Object() { discard(); }

  Status append(ByteView bytes) {
    if (ended_) return why_ended();
    while (!bytes.empty()) {
      if (buffer_.size() == part_size_) {
        if (Status status = send_part(); !status.ok()) return failed(std::move(status));
      }
      const ByteView taken = bytes.substr(0, part_size_ - buffer_.size());
      grow_buffer(buffer_.size() + taken.size());
      buffer_ += taken;
      size_ += taken.size();
      bytes.remove_prefix(taken.size());
    }
    return {};
  }

  Result<ObjectInfo> commit() {
    if (ended_) return why_ended();
    Status status = parts_ == nullptr ? put() : complete();
    if (!status.ok()) return failed(std::move(status));
    ended_ = true;
    release();
    return ObjectInfo{.name = name_, .size = size_, .proof = etag_};
  }

  /// Ends the upload. No effect after a commit.
  void discard() {
    if (ended_) return;
    ended_ = true;
    if (parts_ != nullptr) {
      parts_->stop();
      abort_upload(*client_, key_, parts_->upload_id());
    }
    release();
  }

 private:
  [[nodiscard]] static std::uint64_t part_size_for(std::uint64_t asked, std::uint64_t hint) {
    return std::min(std::max(asked, hint / most_parts + 1), largest_part);
  }

  void release() {
    parts_.reset();
    buffer_ = std::string();
  }

  /// Doubles a small buffer; beyond a few MiB takes all of a part at once, so that copying does not
  /// need two large ones.
  void grow_buffer(std::size_t needed) {
    constexpr std::size_t small = 4u << 20;
    if (needed <= buffer_.capacity()) return;
    const std::size_t expected =
        hint_ > size_
            ? buffer_.size() + static_cast<std::size_t>(std::min(hint_ - size_, part_size_))
            : 0;
    std::size_t capacity = std::max({needed, expected, 2 * buffer_.capacity()});
    if (capacity > small) capacity = std::max<std::size_t>(needed, part_size_);
    buffer_.reserve(std::min<std::size_t>(capacity, part_size_));
  }

  Status send_part() {
    if (parts_ == nullptr) {
      if (Status status = begin(); !status.ok()) return status;
    }
    if (parts_->count() == most_parts) {
      return Status::error(StatusCode::resource_exhausted,
                           "the object would need more than 10,000 parts; raise part_size or make "
                           "smaller objects");
    }
    Status status = parts_->push(std::exchange(buffer_, std::string()));
    buffer_ = parts_->take_buffer();
    const std::uint64_t uniform =
        std::max(parts_of_a_size, std::min(hint_ / first_part_size_ + 1, most_parts));
    if (parts_->count() >= uniform && (parts_->count() - uniform) % parts_of_a_size == 0) {
      part_size_ = std::min(2 * part_size_, largest_part);
    }
    return status;
  }

  // What an object gets when it is begun, in whichever way.
  [[nodiscard]] std::vector<HttpHeader> object_headers() const {
    const S3Options& options = client_->options();
    std::vector<HttpHeader> headers;
    const auto add = [&headers](const char* name, const std::string& value) {
      if (!value.empty()) headers.push_back({name, value});
    };
    add("x-amz-storage-class", options.storage_class);
    add("x-amz-acl", options.acl);
    add("x-amz-server-side-encryption", options.sse);
    add("x-amz-server-side-encryption-aws-kms-key-id", options.sse_kms_key_id);
    for (const HttpHeader& each : options.metadata) {
      headers.push_back({"x-amz-meta-" + each.name, each.value});
    }
    headers.push_back({std::string(id_header), id_});
    return headers;
  }
  void add_condition(std::vector<HttpHeader>& headers) const {
    if (if_absent_ && client_->options().if_absent == S3IfAbsent::conditional) {
      headers.push_back({"If-None-Match", "*"});
    }
  }

  [[nodiscard]] S3Call call(std::string_view method, std::string_view doing,
                            std::string_view right) const {
    S3Call call;
    call.method = method;
    call.key = key_;
    call.doing = doing;
    call.right = right;
    call.cancel = client_->options().cancel;
    return call;
  }

  Status put() {
    if (if_absent_ && client_->options().if_absent == S3IfAbsent::checked) {
      if (Status status = check_absent(); !status.ok()) return status;
    }
    const S3Payload payload(buffer_, client_->options());
    S3Call put = call("PUT", "write the object", "s3:PutObject");
    put.headers = object_headers();
    put.headers.insert(put.headers.end(), payload.headers.begin(), payload.headers.end());
    add_condition(put.headers);
    put.body = buffer_;
    put.payload_sha256 = payload.sha256_hex;
    return judge(client_->call(put));
  }

  Status begin() {
    S3Call create = call("POST", "begin an upload in parts", "s3:PutObject");
    create.query = {{"uploads", ""}};
    create.headers = object_headers();
    if (client_->options().checksums) {
      create.headers.push_back({"x-amz-checksum-algorithm", "SHA256"});
    }
    create.xml_answer = true;
    create.once = true;
    const std::uint64_t began = client_->options().clock->steady_ns();
    S3Answer answer = client_->call(create);
    Status status = std::move(answer.status);
    std::string id;
    if (status.ok()) status = read_id(answer.response.body, id);
    if (answer.maybe_done) end_lost_uploads(*client_, key_, id, began);
    if (!status.ok()) return status;
    parts_ = std::make_unique<S3Parts<Transport>>(*client_, key_, std::move(id));
    return {};
  }
  static Status read_id(std::string_view xml, std::string& id) {
    auto found = read_s3_element(xml, "InitiateMultipartUploadResult/UploadId");
    if (!found.ok()) return std::move(found).status();
    if (found.value().empty()) {
      return Status::error(StatusCode::corruption, "the server began an upload without an id");
    }
    id = std::move(found).value();
    return {};
  }

  Status complete() {
    if (Status status = parts_->push(std::exchange(buffer_, std::string())); !status.ok()) {
      return status;
    }
    const auto sent = parts_->finish();
    if (!sent.ok()) return sent.status();
    if (if_absent_) {
      if (Status status = check_absent(); !status.ok()) return status;
    }
    std::string body = "<CompleteMultipartUpload>";
    std::size_t number = 0;
    for (const auto& part : sent.value()) {
      body += "<Part><PartNumber>" + std::to_string(++number) + "</PartNumber><ETag>" +
              xml_escape(part.etag) + "</ETag>";
      if (!part.checksum.empty()) body += "<ChecksumSHA256>" + part.checksum + "</ChecksumSHA256>";
      body += "</Part>";
    }
    body += "</CompleteMultipartUpload>";
    S3Call complete = call("POST", "complete the upload in parts", "s3:PutObject");
    complete.query = {{"uploadId", parts_->upload_id()}};
    add_condition(complete.headers);
    complete.body = body;
    complete.xml_answer = true;
    return judge(client_->call(complete));
  }

  /// The answer to the request that makes the object visible. Where it may have been carried out
  /// though the answer says otherwise, the object itself decides.
  Status judge(S3Answer answer) {
    if (answer.status.ok()) {
      etag_ = s3_etag(answer.response);
      return {};
    }
    const bool refused = answer.code == "PreconditionFailed" || answer.response.status == 412;
    if (if_absent_ && answer.code == "NotImplemented") {
      return Status::error(StatusCode::unsupported,
                           "the server has no conditional writes (If-None-Match); set the option "
                           "if_absent to checked, or replace objects")
          .with_object(client_->place(key_))
          .with_native(answer.response.status);
    }
    // a refusal too: libcurl repeats a request by itself where a kept connection was closed on it
    const bool unknown = refused || answer.code == "NoSuchUpload" ||
                         (answer.maybe_done && (answer.status.code() == StatusCode::unavailable ||
                                                answer.status.code() == StatusCode::cancelled));
    if (unknown && is_ours()) return {};
    return std::move(answer.status);
  }

  /// HEAD of the object; a failure if it could not be asked.
  S3Answer head() {
    S3Call head = call("HEAD", "look for the object", "s3:GetObject");
    head.cancel = nullptr;  // also when cancelled it is to be known what is there
    head.retry = &ending_retry;
    return client_->call(head);
  }
  /// Whether the object that is there was made by this writer, to its last byte.
  bool is_ours() {
    const S3Answer answer = head();
    etag_ = s3_etag(answer.response);
    return answer.status.ok() && answer.response.header(id_header) == id_ &&
           answer.response.header("Content-Length") == std::to_string(size_);
  }
  Status check_absent() {
    S3Answer answer = head();
    if (answer.status.ok()) {
      return s3_failure({412, {}, {}}, {"PreconditionFailed", {}, {}}, "write the object", {}, {})
          .with_object(client_->place(key_));
    }
    return answer.response.status == 404 ? Status() : std::move(answer.status);
  }

  KVBACKUP_DETAIL_COLD Status failed(Status status) {
    discard();
    // this upload was ended from outside; sending more of it does not help, a new one does
    const bool lost = status.code() == StatusCode::io_error;
    const bool retryable = lost || status.retryable();
    failure_ = std::move(status).with_object(client_->place(key_)).as_retryable(retryable);
    return failure_;
  }
  KVBACKUP_DETAIL_COLD Status why_ended() const {
    if (!failure_.ok()) return failure_;
    return Status::error(StatusCode::invalid_argument,
                         "the object was already committed or abandoned; create it anew")
        .with_object(name_);
  }

  /// By it an object is known again whose commit got no answer.
  static constexpr std::string_view id_header = "x-amz-meta-kvbackup-id";
  std::shared_ptr<S3Client<Transport>> client_;
  const std::string name_;
  const std::string key_;
  const bool if_absent_;
  const std::uint64_t hint_;
  const std::uint64_t first_part_size_;
  std::uint64_t part_size_;
  std::string id_;
  std::string buffer_;
  std::uint64_t size_ = 0;
  std::string etag_;  // of the object that is there; empty if the server did not tell
  std::unique_ptr<S3Parts<Transport>> parts_;  // from the second part on
  bool ended_ = false;
  Status failure_;
};

}  // namespace kvbackup::inline v1::detail
#endif
