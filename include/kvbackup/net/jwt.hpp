// SPDX-License-Identifier: Apache-2.0
// JSON Web Tokens signed by RS256 (RFC 7515, RFC 7519), as Google's service accounts make them.
#pragma once

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/net/base64.hpp"
#include "kvbackup/net/json_text.hpp"

#if KVBACKUP_WITH_OPENSSL
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace kvbackup::inline v1 {

namespace detail {
struct FreeOpenssl {
  void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

/// In place of OpenSSL's own, which asks for the pass phrase on the terminal.
inline int no_pass_phrase(char*, int, int, void*) noexcept { return -1; }
}  // namespace detail

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3) over `message` by the private key in `pem`
/// (PKCS#8 or PKCS#1). Errors: invalid_argument for what is no RSA key of at least 2048 bits
/// without a pass phrase. No error shows any of the key.
[[nodiscard]] inline Result<std::string> rs256_sign(ByteView pem, ByteView message) {
  const auto refuse = [](const char* why) {
    ERR_clear_error();  // the queue is the host's, too
    return Status::error(StatusCode::invalid_argument, why);
  };
  if (pem.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return refuse("the private key is too long");
  }
  const std::unique_ptr<BIO, detail::FreeOpenssl> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const std::unique_ptr<EVP_PKEY, detail::FreeOpenssl> key(
      bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, &detail::no_pass_phrase, nullptr)
          : nullptr);
  if (!key) return refuse("the private key is no PEM, is damaged, or needs a pass phrase");
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key.get()) < 2048) {
    return refuse("the private key is no RSA key of at least 2048 bits");
  }
  const std::unique_ptr<EVP_MD_CTX, detail::FreeOpenssl> context(EVP_MD_CTX_new());
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  std::size_t size = 0;
  bool ok =
      context && EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1;
  ok = ok && EVP_DigestSign(context.get(), nullptr, &size, bytes, message.size()) == 1;
  std::string signature(ok ? size : 0, '\0');
  ok = ok && EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                            &size, bytes, message.size()) == 1;
  if (!ok) return refuse("OpenSSL cannot sign with the private key");
  signature.resize(size);
  return signature;
}

/// What a service account says to get an access token (RFC 7523).
struct JwtClaims {
  std::string_view issuer;      ///< iss
  std::string_view scope;       ///< what the token is to be good for, separated by spaces
  std::string_view audience;    ///< aud: the token endpoint
  std::uint64_t issued_s = 0;   ///< iat, Unix seconds
  std::uint64_t expires_s = 0;  ///< exp, Unix seconds
};

/// The signed token: three parts of base64url joined by dots. `key_id` becomes "kid" unless it is
/// empty. Errors as rs256_sign.
[[nodiscard]] inline Result<std::string> make_jwt(const JwtClaims& claims, ByteView pem,
                                                  std::string_view key_id) {
  std::string header = "{";
  append_json_member(header, "alg", "RS256");
  append_json_member(header, "typ", "JWT");
  if (!key_id.empty()) append_json_member(header, "kid", key_id);
  header += '}';
  std::string body = "{";
  append_json_member(body, "iss", claims.issuer);
  append_json_member(body, "scope", claims.scope);
  append_json_member(body, "aud", claims.audience);
  body += ",\"iat\":";
  body += std::to_string(claims.issued_s);
  body += ",\"exp\":";
  body += std::to_string(claims.expires_s);
  body += '}';
  std::string token = base64url_encode(header);
  token += '.';
  token += base64url_encode(body);
  auto signature = rs256_sign(pem, token);
  if (!signature.ok()) return std::move(signature).status();
  token += '.';
  token += base64url_encode(signature.value());
  return token;
}

}  // namespace kvbackup::inline v1
#endif
