// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/hash/sha256_portable.hpp"

#if KVBACKUP_WITH_OPENSSL
#include <memory>
#include <utility>

#include <openssl/evp.h>

namespace kvbackup::inline v1 {

/// SHA-256 by OpenSSL's EVP, which uses whatever the CPU offers.
///
/// EVP fails only where a context cannot be allocated or no provider offers SHA-256. If that shows
/// before the first byte, PortableSha256 does the work. If it shows later (a copy made between two
/// updates), the digest is 32 zero bytes, which no message has: what is checked against it fails.
class OpensslSha256 {
 public:
  OpensslSha256() noexcept = default;
  OpensslSha256(const OpensslSha256& other) noexcept { copy(other); }
  OpensslSha256& operator=(const OpensslSha256& other) noexcept {
    if (this != &other) copy(other);
    return *this;
  }
  /// The object moved from is fresh.
  OpensslSha256(OpensslSha256&& other) noexcept { swap(other); }
  OpensslSha256& operator=(OpensslSha256&& other) noexcept {
    OpensslSha256 taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~OpensslSha256() = default;

  /// Takes the next bytes of the message.
  void update(ByteView bytes) noexcept {
    if (mode_ == Mode::fresh) start();
    if (mode_ == Mode::portable) {
      portable_.update(bytes);
    } else if (mode_ == Mode::openssl &&
               EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) {
      mode_ = Mode::failed;
    }
  }

  /// The digest of all that was taken; the object is spent after it.
  [[nodiscard]] Sha256Digest finish() noexcept {
    if (mode_ == Mode::fresh) start();
    if (mode_ == Mode::portable) return portable_.finish();
    Sha256Digest digest{};
    if (mode_ == Mode::openssl &&
        EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                           nullptr) != 1) {
      digest = {};
    }
    return digest;
  }

  /// The digest of `bytes`.
  [[nodiscard]] static Sha256Digest of(ByteView bytes) noexcept {
    Sha256Digest digest;
    if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()),
                   nullptr, EVP_sha256(), nullptr) == 1) {
      return digest;
    }
    return PortableSha256::of(bytes);
  }

 private:
  enum class Mode : unsigned char {
    fresh,     // nothing taken yet, no context: copying a prototype costs nothing
    openssl,   // context_ holds the state
    portable,  // EVP was not to be had, portable_ holds the state
    failed,
  };
  struct Free {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };

  void start() noexcept {
    if (!context_) context_.reset(EVP_MD_CTX_new());
    const bool started = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
    mode_ = started ? Mode::openssl : Mode::portable;
  }
  void copy(const OpensslSha256& other) noexcept {
    mode_ = other.mode_;
    portable_ = other.portable_;
    if (mode_ != Mode::openssl) return;
    if (!context_) context_.reset(EVP_MD_CTX_new());
    if (!context_ || EVP_MD_CTX_copy_ex(context_.get(), other.context_.get()) != 1) {
      mode_ = Mode::failed;
    }
  }
  void swap(OpensslSha256& other) noexcept {
    std::swap(mode_, other.mode_);
    std::swap(portable_, other.portable_);
    std::swap(context_, other.context_);
  }

  Mode mode_ = Mode::fresh;
  PortableSha256 portable_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

static_assert(Sha256Function<OpensslSha256>);

}  // namespace kvbackup::inline v1
#endif
