// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "hash_inputs.hpp"
#include "support/catch.hpp"

using namespace kvbackup;

namespace {

std::string hex(const Sha256Digest& digest) {
  return to_hex(ByteView(digest.data(), digest.size()));
}

template <class S>
void check_vectors() {
  // FIPS 180 examples (NIST)
  const std::vector<std::pair<std::string, std::string>> vectors = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
       "lmnopqrsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  for (const auto& [message, digest] : vectors) {
    CHECK(hex(S::of(message)) == digest);
    S sha;
    sha.update(message);
    CHECK(hex(sha.finish()) == digest);
  }
  CHECK(S().finish() == S::of({}));
}

template <class S>
void check_splits() {
  const std::string bytes = hash_inputs::bytes(300);
  const ByteView view = bytes;
  const Sha256Digest whole = S::of(view);
  for (std::size_t cut = 0; cut <= view.size(); ++cut) {
    S sha;
    sha.update(view.substr(0, cut));
    sha.update({});
    sha.update(view.substr(cut));
    REQUIRE(sha.finish() == whole);
  }
  S one_by_one;
  for (std::size_t i = 0; i < view.size(); ++i) one_by_one.update(view.substr(i, 1));
  CHECK(one_by_one.finish() == whole);
}

template <class S>
void check_value_semantics() {
  S first;
  first.update("ab");
  S second = first;
  second.update("x");
  first.update("c");
  S third;
  third.update("something else");
  third = first;
  CHECK(first.finish() == S::of("abc"));
  CHECK(second.finish() == S::of("abx"));
  S fourth = std::move(third);
  CHECK(fourth.finish() == S::of("abc"));
  S fifth;
  fifth.update("something else");
  fifth = S();
  fifth.update("abc");
  CHECK(fifth.finish() == S::of("abc"));
}

}  // namespace

TEST_CASE("the portable SHA-256 gives NIST's values") { check_vectors<PortableSha256>(); }
TEST_CASE("the portable SHA-256 does not show how its input is cut") {
  check_splits<PortableSha256>();
}
#if defined(__x86_64__)
TEST_CASE("SHA-256 by instructions and by plain C++ go through the same states") {
  if (!detail::cpu_has_shani) return;
  const std::string bytes = hash_inputs::bytes(64 * 20 + 1);
  for (std::size_t count = 0; count <= 20; ++count) {
    detail::Sha256State plain = detail::sha256_start;
    detail::Sha256State fast = detail::sha256_start;
    detail::sha256_blocks_portable(plain, bytes.data() + 1, count);
    detail::sha256_blocks_shani(fast, bytes.data() + 1, count);
    REQUIRE(plain == fast);
    // from a state that some message left
    detail::sha256_blocks_portable(plain, bytes.data(), 1);
    detail::sha256_blocks_shani(fast, bytes.data(), 1);
    REQUIRE(plain == fast);
  }
}
TEST_CASE("SHA-256 in plain C++ gives NIST's value of one block") {
  // "abc", padded
  std::string block = "abc\x80";
  block.resize(63);
  block.push_back(24);
  detail::Sha256State state = detail::sha256_start;
  detail::sha256_blocks_portable(state, block.data(), 1);
  CHECK(state == detail::Sha256State{0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3,
                                     0x96177a9c, 0xb410ff61, 0xf20015ad});
}
#endif
TEST_CASE("the portable SHA-256 is a value") { check_value_semantics<PortableSha256>(); }

#if KVBACKUP_WITH_OPENSSL
TEST_CASE("OpenSSL's SHA-256 gives NIST's values") { check_vectors<OpensslSha256>(); }
TEST_CASE("OpenSSL's SHA-256 does not show how its input is cut") { check_splits<OpensslSha256>(); }
TEST_CASE("OpenSSL's SHA-256 is a value") { check_value_semantics<OpensslSha256>(); }
TEST_CASE("the portable SHA-256 agrees with OpenSSL's for each length and alignment") {
  const std::string bytes = hash_inputs::bytes(1100 + 16);
  for (std::size_t size = 0; size <= 1100; ++size) {
    const ByteView view = ByteView(bytes).substr(size % 16, size);
    REQUIRE(PortableSha256::of(view) == OpensslSha256::of(view));
  }
}
TEST_CASE("an OpenSSL SHA-256 that was moved from starts again") {
  OpensslSha256 first;
  first.update("abc");
  OpensslSha256 second = std::move(first);
  first = OpensslSha256();
  first.update("xyz");
  CHECK(first.finish() == PortableSha256::of("xyz"));
  CHECK(second.finish() == PortableSha256::of("abc"));
}
#endif
