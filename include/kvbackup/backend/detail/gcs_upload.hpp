// SPDX-License-Identifier: Apache-2.0
// One object of the GCS backend on its way: a multipart request, or a resumable upload.
#pragma once

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backend/detail/gcs_client.hpp"
#include "kvbackup/backend/detail/gcs_reply.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/crc32c.hpp"
#include "kvbackup/net/json_text.hpp"
#include "kvbackup/net/retry.hpp"

#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_POSIX
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace kvbackup::inline v1::detail {

/// Owns the bytes that have not arrived and the session they belong to. Whatever ends it but a
/// successful commit() ends the session.
template <HttpTransport Transport>
class GcsUpload {
 public:
  /// Chunks of a resumable upload, but for the last, are multiples of this (JSON API,
  /// "Resumable uploads").
  static constexpr std::size_t quantum = 256 * 1024;
  static constexpr std::string_view sending = "send a part of the object";

  GcsUpload(std::shared_ptr<GcsClient<Transport>> client, std::string_view name, std::string key,
            bool if_absent)
      : client_(std::move(client)), name_(name), key_(std::move(key)), if_absent_(if_absent) {
    append_le64(id_, client_->options().random->next());
    append_le64(id_, client_->options().random->next());
    id_ = to_hex(id_);
  }
  GcsUpload(const GcsUpload&) = delete;
  GcsUpload& operator=(const GcsUpload&) = delete;
  ~GcsUpload() { discard(); }

  Status append(ByteView bytes) {
    if (ended_) return why_ended();
    const auto chunk = static_cast<std::size_t>(client_->options().chunk_size);
    size_ += bytes.size();
    crc_ = crc32c(bytes, crc_);
    while (!bytes.empty()) {
      // never the last: what ends the upload is not known before commit()
      if (buffer_.size() == chunk) {
        if (Status status = send_chunk(); !status.ok()) return failed(std::move(status));
      }
      const ByteView taken = bytes.substr(0, chunk - buffer_.size());
      const std::size_t needed = buffer_.size() + taken.size();
      if (needed > buffer_.capacity()) {
        buffer_.reserve(std::min(std::bit_ceil(needed), chunk) + room_for_parts);
      }
      buffer_ += taken;
      bytes.remove_prefix(taken.size());
    }
    return {};
  }

  Result<ObjectInfo> commit() {
    if (ended_) return why_ended();
    Status status = session_.empty() ? send_whole() : send_until(0);
    // libcurl, too, may make a request again whose answer was lost, without our knowing
    const bool unknown = maybe_done_ || status.code() == StatusCode::already_exists;
    if (!status.ok() && unknown) status = settle(std::move(status));
    if (status.ok()) status = check_stored();
    if (!status.ok()) return failed(std::move(status));
    ended_ = true;
    release();
    return ObjectInfo{.name = name_, .size = size_, .proof = proof_of(stored_)};
  }

  /// Ends the session. No effect after a commit.
  void discard() {
    if (ended_) return;
    ended_ = true;
    if (!session_.empty()) end_session();
    release();
  }

 private:
  // What stands around the content of a multipart request: less than the longest name, coded, and
  // the rest.
  static constexpr std::size_t room_for_parts = 8 * 1024;

  void release() {
    session_.clear();
    buffer_ = std::string();
  }

  [[nodiscard]] std::string metadata(bool with_hash) const {
    std::string json = "{";
    append_json_member(json, "name", key_);
    append_json_member(json, "contentType", "application/octet-stream");
    const std::string& storage_class = client_->options().storage_class;
    if (!storage_class.empty()) append_json_member(json, "storageClass", storage_class);
    if (with_hash) append_json_member(json, "crc32c", gcs_crc32c(crc_));
    json += ",\"metadata\":{";
    append_json_member(json, gcs_id_name, id_);
    json += "}}";
    return json;
  }
  [[nodiscard]] QueryParameters parameters(const char* type) const {
    QueryParameters query = {{"uploadType", type}};
    if (if_absent_) query.emplace_back("ifGenerationMatch", "0");
    const std::string& acl = client_->options().predefined_acl;
    if (!acl.empty()) query.emplace_back("predefinedAcl", acl);
    return query;
  }

  /// A boundary that the content does not hold.
  [[nodiscard]] std::string boundary() const {
    std::string mark;
    do {
      std::string number;
      append_le64(number, client_->options().random->next());
      mark = "kvbackup-" + to_hex(number) + "-" + std::to_string(mark.size());
    } while (buffer_.find(mark) != std::string::npos);
    return mark;
  }

  Status send_whole() {
    const std::string mark = boundary();
    const std::string head = "--" + mark + "\r\nContent-Type: application/json; charset=UTF-8\r\n" +
                             "\r\n" + metadata(true) + "\r\n--" + mark +
                             "\r\nContent-Type: application/octet-stream\r\n\r\n";
    // in place, so that the content is not twice in memory
    buffer_.insert(0, head);
    buffer_ += "\r\n--" + mark + "--\r\n";
    GcsCall call = client_->upload_call(key_, parameters("multipart"), "write the object");
    call.headers = {{"Content-Type", "multipart/related; boundary=" + mark}};
    call.body = buffer_;
    GcsAnswer answer = client_->call(call);
    maybe_done_ = answer.maybe_done;
    return answer.status.ok() ? take_object(answer.response) : std::move(answer.status);
  }

  Status begin() {
    const std::string json = metadata(false);
    GcsCall call = client_->upload_call(key_, parameters("resumable"), "begin an upload");
    call.headers = {{"Content-Type", "application/json; charset=UTF-8"},
                    {"X-Upload-Content-Type", "application/octet-stream"}};
    call.body = json;
    const GcsAnswer answer = client_->call(call);
    if (!answer.status.ok()) return answer.status;
    const auto location = answer.response.header("Location");
    if (!location || !client_->may_go_to(*location)) {
      return Status::error(StatusCode::corruption,
                           "the server began an upload without a URL that can be used for it")
          .with_object(call.place);
    }
    session_ = *location;
    return {};
  }

  Status send_chunk() {
    if (session_.empty()) {
      if (Status status = begin(); !status.ok()) return status;
    }
    // all of it, unless the server keeps part of a quantum, which the next chunk then begins with
    return send_until(quantum - 1);
  }

  /// Sends until no more than `rest` bytes have not arrived; with 0, to the end of the object.
  Status send_until(std::size_t rest) {
    const bool last = rest == 0;
    bool ask = false;  // how much has arrived, before more is sent
    const GcsOptions& options = client_->options();
    for (Retry retry(options.retry, client_->seams(options.cancel, sending));;) {
      const std::size_t before = buffer_.size();
      const std::size_t sent = ask ? 0 : last ? before : before / quantum * quantum;
      const GcsCall call = chunk_call(last, sent);
      auto response = client_->once(call);
      Status failure = response.status();
      std::optional<std::uint64_t> after;
      if (response.ok()) {
        if (response.value().status == 308) {
          if (Status status = drop_arrived(response.value()); !status.ok()) return status;
          if (!last && buffer_.size() <= rest) return {};
          const bool asked = std::exchange(ask, false);
          if (asked || buffer_.size() < before) continue;
          failure = Status::error(StatusCode::unavailable,
                                  "the server takes nothing of an upload, without saying why")
                        .as_retryable();
        } else if (response.value().status / 100 == 2) {
          if (last) return take_object(response.value());
          return lost("the server ended an upload before its end");
        } else {
          failure = client_->failure_of(call, response.value());
          after = client_->retry_after(response.value());
        }
      }
      const bool gone =
          response.ok() && (response.value().status == 404 || response.value().status == 410);
      if (gone) failure = lost("the server has ended an upload or knows it no more");
      // every byte is still here, so it can begin anew
      const bool anew = gone && arrived_ == 0 && !maybe_done_;
      if (anew) failure = std::move(failure).as_retryable();
      maybe_done_ = maybe_done_ || (last && !gone && (!response.ok() || failure.retryable()));
      if (!retry.again(failure, after)) return std::move(failure).with_object(call.place);
      ask = !anew;
      if (!anew) continue;
      if (Status status = begin(); !status.ok()) return status;
    }
  }

  [[nodiscard]] GcsCall chunk_call(bool last, std::size_t sent) const {
    GcsCall call = client_->upload_call(key_, {}, sending);
    call.method = "PUT";
    call.url = session_;
    call.body = ByteView(buffer_).substr(0, sent);
    std::string range = "bytes ";
    if (sent == 0) {
      range += '*';
    } else {
      range += std::to_string(arrived_) + '-' + std::to_string(arrived_ + sent - 1);
    }
    range += '/';
    range += last ? std::to_string(size_) : "*";
    call.headers = {{"Content-Range", std::move(range)}};
    return call;
  }

  /// Drops from the buffer what a 308 says has arrived.
  Status drop_arrived(const HttpResponse& response) {
    const auto kept = kept_bytes(response);
    if (!kept || *kept < arrived_ || *kept - arrived_ > buffer_.size()) {
      return lost("the server has lost what it had taken of an upload");
    }
    buffer_.erase(0, static_cast<std::size_t>(*kept - arrived_));
    arrived_ = *kept;
    return {};
  }
  KVBACKUP_DETAIL_COLD [[nodiscard]] Status lost(const char* what) const {
    std::string message = what;
    message += "; write the object anew";
    return Status::error(StatusCode::io_error, std::move(message))
        .with_object(client_->place(key_));
  }

  Status take_object(const HttpResponse& response) {
    auto object = read_gcs_object(response.body);
    if (!object.ok()) {
      maybe_done_ = true;
      return std::move(object).status().with_object(client_->place(key_));
    }
    stored_ = std::move(object).value();
    return {};
  }

  /// The object may be there though `failure` came of it: then it has our id.
  Status settle(Status failure) {
    auto found = client_->stat(key_, true);
    if (!found.ok() || found.value().id != id_) return failure;
    stored_ = std::move(found).value();
    return {};
  }

  /// What the server stored must be what was appended; else it is removed again.
  Status check_stored() {
    const bool same =
        stored_.size == size_ && (stored_.crc32c.empty() || stored_.crc32c == gcs_crc32c(crc_));
    if (same) return {};
    std::string message = "the server stored other bytes than were sent (size or CRC-32C differ)";
    if (Status removed = remove_stored(); removed.ok()) {
      message += "; the object was removed, write it anew";
    } else {
      message += "; REMOVE THE OBJECT: doing so failed (";
      message += removed.message();
      message += ')';
    }
    return Status::error(StatusCode::corruption, std::move(message))
        .with_object(client_->place(key_));
  }
  /// That generation and no other: somebody may have replaced it.
  Status remove_stored() {
    QueryParameters query;
    if (!stored_.generation.empty()) query.emplace_back("generation", stored_.generation);
    GcsCall call = client_->object_call("DELETE", key_, query, "remove the damaged object",
                                        "storage.objects.delete");
    call.cancel = nullptr;
    call.retry = &GcsClient<Transport>::ending_retry;
    GcsAnswer answer = client_->call(call);
    return answer.response.status == 404 ? Status() : std::move(answer.status);
  }

  /// Also after a cancel. Cloud Storage says 499 when it has ended a session.
  void end_session() {
    GcsCall call = client_->upload_call(key_, {}, "end an upload");
    call.method = "DELETE";
    call.url = session_;
    call.headers = {{"Content-Length", "0"}};
    call.cancel = nullptr;
    call.retry = &GcsClient<Transport>::ending_retry;
    const GcsAnswer answer = client_->call(call);
    const int http = answer.response.status;
    if (answer.status.ok() || http == 499 || http == 404 || http == 410) return;
    NetObserver* observer = client_->options().observer;
    if (observer == nullptr) return;
    observer->on_warning("an unfinished upload stays behind, and ends by itself in a week: " +
                         answer.status.to_string());
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

  std::shared_ptr<GcsClient<Transport>> client_;
  const std::string name_;
  const std::string key_;
  const bool if_absent_;
  std::string id_;
  std::string buffer_;         // what has not arrived
  std::uint64_t arrived_ = 0;  // bytes before the buffer
  std::uint64_t size_ = 0;     // of all that was appended
  std::uint32_t crc_ = 0;
  std::string session_;      // empty until the second chunk; a secret
  bool maybe_done_ = false;  // the object may be there
  GcsObject stored_;
  bool ended_ = false;
  Status failure_;
};

}  // namespace kvbackup::inline v1::detail
#endif
