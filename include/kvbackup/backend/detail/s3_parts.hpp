// SPDX-License-Identifier: Apache-2.0
// The parts of a multipart upload on their way: a bounded number of them, sent side by side.
#pragma once

#include "kvbackup/backend/detail/s3_client.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/sha256_openssl.hpp"
#include "kvbackup/net/base64.hpp"

#if KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_THREADS && KVBACKUP_WITH_POSIX
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <pthread.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/evp.h>

namespace kvbackup::inline v1::detail {

/// The headers that go with bytes of an object, and the hash they are signed by: each byte is
/// hashed once.
struct S3Payload {
  std::string sha256_hex;
  std::string sha256_base64;  // empty without checksums
  std::vector<HttpHeader> headers;

  S3Payload(ByteView bytes, const S3Options& options) {
    const Sha256Digest digest = OpensslSha256::of(bytes);
    sha256_hex = to_hex(as_bytes(digest));
    if (options.checksums) {
      sha256_base64 = base64_encode(as_bytes(digest));
      headers.push_back({"x-amz-checksum-sha256", sha256_base64});
    }
    unsigned char md5[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    // Where OpenSSL has no MD5 (FIPS) the header is missing, and a server that needs it says so.
    if (options.content_md5 &&
        EVP_Digest(bytes.data(), bytes.size(), md5, &size, EVP_md5(), nullptr) == 1) {
      headers.push_back({"Content-MD5", base64_encode({reinterpret_cast<const char*>(md5), size})});
    }
  }
};

/// Sends parts by threads of its own, made when they are first needed, at most `slots` of them;
/// with one slot by the caller's. Besides the parts that are queued or on their way there is one
/// buffer that the caller fills, so at most `slots` in all. Belongs to one thread.
template <HttpTransport Transport>
class S3Parts {
 public:
  struct Sent {
    std::string etag;
    std::string checksum;  // base64, where checksums are on
  };

  S3Parts(S3Client<Transport>& client, std::string key, std::string upload_id)
      : client_(client),
        key_(std::move(key)),
        upload_id_(std::move(upload_id)),
        slots_(client.options().parts_in_flight),
        stop_(client.options().cancel) {}
  S3Parts(const S3Parts&) = delete;
  S3Parts& operator=(const S3Parts&) = delete;
  ~S3Parts() { stop(); }

  [[nodiscard]] const std::string& upload_id() const noexcept { return upload_id_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

  /// Takes the next part, and returns when there is room for another. Errors: of any part so far.
  Status push(std::string bytes) {
    const std::size_t index = count_++;
    {
      const MutexLock lock(mutex_);
      if (!failure_.ok()) return failure_;
      sent_.resize(count_);
      queue_.push_back({index, std::move(bytes)});
      ++waiting_;
    }
    changed();
    if (slots_ == 1 || !has_worker()) run_one();
    wait_until([this] { return waiting_ < slots_ || !failure_.ok(); });
    const MutexLock lock(mutex_);
    return failure_;
  }

  /// A buffer of a part that was sent, or an empty one.
  [[nodiscard]] std::string take_buffer() {
    const MutexLock lock(mutex_);
    return std::exchange(spare_, std::string());
  }

  /// Waits for every part, and ends the threads. The parts in order, or the first error.
  Result<std::vector<Sent>> finish() {
    wait_until([this] { return waiting_ == 0 || !failure_.ok(); });
    stop();
    if (!failure_.ok()) return failure_;
    return std::move(sent_);
  }

  /// Ends what is on its way, and the threads.
  void stop() {
    {
      const MutexLock lock(mutex_);
      closing_ = true;
      queue_.clear();
    }
    stop_.cancel();
    changed();
    for (const pthread_t thread : threads_) ::pthread_join(thread, nullptr);
    threads_.clear();
  }

 private:
  struct Part {
    std::size_t index = 0;
    std::string bytes;
  };

  void changed() {
    changes_.fetch_add(1, std::memory_order_release);
    changes_.notify_all();
  }
  /// Returns once `done()`, which is called under the mutex, says so.
  template <class Done>
  void wait_until(Done done) {
    while (true) {
      const std::uint32_t seen = changes_.load(std::memory_order_acquire);
      {
        const MutexLock lock(mutex_);
        if (done()) return;
      }
      changes_.wait(seen, std::memory_order_acquire);
    }
  }

  /// Whether a thread will come for the part just queued; makes one where none is free.
  bool has_worker() {
    {
      const MutexLock lock(mutex_);
      if (queue_.size() <= idle_ || threads_.size() == slots_) return true;
    }
    pthread_t thread;
    if (::pthread_create(&thread, nullptr, &work, this) == 0) threads_.push_back(thread);
    return !threads_.empty();
  }
  static void* work(void* self) {
    static_cast<S3Parts*>(self)->run();
    return nullptr;
  }
  void run() {
    while (run_one()) {
    }
  }

  /// Sends one part, waiting for it if there is none. False when there will be no more.
  bool run_one() {
    Part part;
    bool taken = false;
    const auto take = [&] {
      if (!queue_.empty()) {
        part = std::move(queue_.front());
        queue_.pop_front();
        taken = true;
      }
      if (!taken && !closing_) return false;
      --idle_;
      return true;
    };
    {
      const MutexLock lock(mutex_);
      ++idle_;
    }
    wait_until(take);
    if (!taken) return false;
    Result<Sent> sent = send(part);
    {
      const MutexLock lock(mutex_);
      --waiting_;
      if (sent.ok()) {
        sent_[part.index] = std::move(sent).value();
        part.bytes.clear();
        if (spare_.capacity() < part.bytes.capacity()) spare_.swap(part.bytes);
      } else if (failure_.ok()) {
        failure_ = std::move(sent).status();
        queue_.clear();
      }
    }
    changed();
    return true;
  }

  Result<Sent> send(const Part& part) {
    const S3Payload payload(part.bytes, client_.options());
    S3Call call;
    call.method = "PUT";
    call.key = key_;
    call.query = {{"partNumber", std::to_string(part.index + 1)}, {"uploadId", upload_id_}};
    call.headers = payload.headers;
    call.body = part.bytes;
    call.payload_sha256 = payload.sha256_hex;
    call.doing = "send a part of the object";
    call.right = "s3:PutObject";
    call.cancel = &stop_;
    S3Answer answer = client_.call(call);
    if (!answer.status.ok()) return std::move(answer.status);
    const auto etag = answer.response.header("ETag");
    if (!etag || etag->empty()) {
      return Status::error(StatusCode::corruption,
                           "the server answered a part of the object without an ETag")
          .with_object(client_.place(key_));
    }
    return Sent{std::string(*etag), payload.sha256_base64};
  }

  S3Client<Transport>& client_;
  const std::string key_;
  const std::string upload_id_;
  const std::size_t slots_;
  CancelToken stop_;
  std::size_t count_ = 0;
  std::vector<pthread_t> threads_;
  std::atomic<std::uint32_t> changes_{0};
  Mutex mutex_;
  // under mutex_:
  std::deque<Part> queue_;
  std::size_t waiting_ = 0;  // parts queued or on their way
  std::size_t idle_ = 0;     // threads that wait for a part
  bool closing_ = false;
  std::vector<Sent> sent_;
  std::string spare_;
  Status failure_;
};

}  // namespace kvbackup::inline v1::detail
#endif
