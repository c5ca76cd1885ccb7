// SPDX-License-Identifier: Apache-2.0
// The conformance kit for Hasher: run it over a hasher before a backup is proven by it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/violation.hpp>

namespace kvbackup::inline v1::testing {

namespace hasher_law {
// The laws, as they stand in Violation::law.
inline constexpr const char* sha256 = "sha256 is the SHA-256 of the stored bytes";
inline constexpr const char* crc32c = "crc32c is the CRC-32C of the stored bytes";
inline constexpr const char* split = "how the stored bytes are cut into calls does not show";
inline constexpr const char* copies_nothing = "bytes are not needed after the call";
inline constexpr const char* crc64xor = "crc64xor is the XOR of CRC-64/XZ(key || value)";
inline constexpr const char* order = "the order of the pairs does not show in crc64xor";
inline constexpr const char* counts = "total_kvs and total_bytes count the pairs";
inline constexpr const char* apart = "pairs and stored bytes do not mix";
inline constexpr const char* value = "a copy shares nothing with its original";
}  // namespace hasher_law

namespace detail {

template <Hasher H>
class HasherCheck {
 public:
  explicit HasherCheck(const H& prototype) : prototype_(prototype) {
    for (std::size_t i = 0; i < 70'000; ++i) {
      bytes_.push_back(static_cast<char>((i * i >> 3 ^ i * 7) & 0xff));
    }
  }

  Violations run() {
    check_published();
    check_split();
    check_view();
    check_pairs();
    check_apart();
    check_value();
    return std::move(found_);
  }

 private:
  static std::string hex(const Sha256Digest& digest) {
    return to_hex(ByteView(digest.data(), digest.size()));
  }
  template <class T>
  void equal(const T& got, const T& expected, const char* law, const std::string& input) {
    if (got == expected) return;
    std::string detail = input;
    detail += " gave ";
    detail += std::to_string(got);
    detail += ", not ";
    detail += std::to_string(expected);
    add_violation(found_, law, std::move(detail));
  }
  void equal(const Sha256Digest& got, const Sha256Digest& expected, const char* law,
             const std::string& input) {
    if (got == expected) return;
    std::string detail = input;
    detail += " gave ";
    detail += hex(got);
    detail += ", not ";
    detail += hex(expected);
    add_violation(found_, law, std::move(detail));
  }
  FileDigest of(ByteView bytes) const {
    H hasher = prototype_;
    hasher.add_bytes(bytes);
    return hasher.finish();
  }

  void check_published() {
    struct Vector {
      ByteView bytes;
      ByteView sha256;
      std::uint32_t crc32c;
    };
    // SHA-256: FIPS 180 examples; CRC-32C: RFC 3720 and the check value of the CRC catalogue
    const Vector vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 0x364b3fb7},
        {"123456789", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
         0xe3069283},
    };
    for (const Vector& vector : vectors) {
      const FileDigest digest = of(vector.bytes);
      std::string input(vector.bytes);
      input += " (published)";
      if (hex(digest.sha256) != vector.sha256) {
        found_.push_back(
            {.law = hasher_law::sha256, .detail = input + " gave " + hex(digest.sha256)});
      }
      equal(digest.crc32c, vector.crc32c, hasher_law::crc32c, input);
    }
    const FileDigest large = of(bytes_);
    equal(large.sha256, PortableSha256::of(bytes_), hasher_law::sha256, "a file of 70000 bytes");
    equal(large.crc32c, crc32c(bytes_), hasher_law::crc32c, "a file of 70000 bytes");
    const FileDigest nothing = H(prototype_).finish();
    equal(nothing.sha256, PortableSha256::of(""), hasher_law::sha256, "no call at all");
  }

  void check_split() {
    const FileDigest whole = of(bytes_);
    for (const std::size_t step : {std::size_t{1}, std::size_t{63}, std::size_t{64},
                                   std::size_t{65}, std::size_t{4096}, std::size_t{40'000}}) {
      H hasher = prototype_;
      for (std::size_t at = 0; at < bytes_.size(); at += step) {
        hasher.add_bytes(ByteView(bytes_).substr(at, step));
        hasher.add_bytes({});
      }
      const FileDigest digest = hasher.finish();
      const std::string input = "pieces of " + std::to_string(step);
      equal(digest.sha256, whole.sha256, hasher_law::split, input);
      equal(digest.crc32c, whole.crc32c, hasher_law::split, input);
    }
  }

  void check_view() {
    H hasher = prototype_;
    std::string buffer = "abc";
    std::string value_buffer = "value1";
    hasher.add_bytes(buffer);
    hasher.add_pair("key1", value_buffer);
    buffer.assign(3, 'x');
    value_buffer.assign(6, 'x');
    const FileDigest digest = hasher.finish();
    const std::string input = "bytes overwritten after the call";
    equal(digest.sha256, PortableSha256::of("abc"), hasher_law::copies_nothing, input);
    equal(digest.crc64xor, key1_value1, hasher_law::copies_nothing, input);
  }

  FileDigest of_pairs(const std::array<int, 3>& order) const {
    static constexpr ByteView keys[] = {"key1", "", "a key that is rather longer than 16 bytes"};
    static constexpr ByteView values[] = {"value1", "a value without a key", ""};
    H hasher = prototype_;
    for (const int i : order) hasher.add_pair(keys[i], values[i]);
    return hasher.finish();
  }

  void check_pairs() {
    H hasher = prototype_;
    hasher.add_pair("key1", "value1");
    FileDigest digest = hasher.finish();
    equal(digest.crc64xor, key1_value1, hasher_law::crc64xor, "the pair key1, value1");

    const std::uint64_t expected = key1_value1 ^ crc64_xz("a value without a key") ^
                                   crc64_xz("a key that is rather longer than 16 bytes");
    digest = of_pairs({0, 1, 2});
    equal(digest.crc64xor, expected, hasher_law::crc64xor, "three pairs");
    equal(digest.total_kvs, std::uint64_t{3}, hasher_law::counts, "three pairs");
    equal(digest.total_bytes, std::uint64_t{10 + 21 + 41}, hasher_law::counts, "three pairs");
    equal(of_pairs({2, 0, 1}).crc64xor, digest.crc64xor, hasher_law::order, "three pairs");

    // the same pair twice cancels itself out, but counts
    digest = of_pairs({0, 0, 1});
    equal(digest.crc64xor, crc64_xz("a value without a key"), hasher_law::crc64xor, "a pair twice");
    equal(digest.total_kvs, std::uint64_t{3}, hasher_law::counts, "a pair twice");
  }

  void check_apart() {
    H hasher = prototype_;
    hasher.add_pair("key1", "value1");
    hasher.add_bytes("abc");
    hasher.add_pair("", "");
    const FileDigest digest = hasher.finish();
    const std::string input = "a file \"abc\" with two pairs";
    equal(digest.sha256, PortableSha256::of("abc"), hasher_law::apart, input);
    equal(digest.crc32c, crc32c("abc"), hasher_law::apart, input);
    equal(digest.crc64xor, key1_value1, hasher_law::apart, input);
    equal(digest.total_kvs, std::uint64_t{2}, hasher_law::apart, input);
    equal(digest.total_bytes, std::uint64_t{10}, hasher_law::apart, input);
  }

  void check_value() {
    H first = prototype_;
    first.add_bytes("ab");
    first.add_pair("key1", "value1");
    H second = first;
    second.add_bytes("x");
    second.add_pair("x", "x");
    first.add_bytes("c");
    const FileDigest digest = first.finish();
    const std::string input = "a hasher whose copy went on";
    equal(digest.sha256, PortableSha256::of("abc"), hasher_law::value, input);
    equal(digest.crc64xor, key1_value1, hasher_law::value, input);
    equal(digest.total_kvs, std::uint64_t{1}, hasher_law::value, input);
    equal(second.finish().sha256, PortableSha256::of("abx"), hasher_law::value, "that copy");

    H third = prototype_;
    third.add_bytes("something else");
    third = prototype_;
    third.add_bytes("abc");
    equal(third.finish().sha256, PortableSha256::of("abc"), hasher_law::value,
          "a hasher assigned from the prototype");
  }

  /// CRC-64/XZ of "key1value1".
  static constexpr std::uint64_t key1_value1 = 0xdf66d8757271b20d;

  const H& prototype_;
  std::string bytes_;
  Violations found_;
};

}  // namespace detail

/// The laws of the Hasher contract (hash/concept.hpp) that copies of `prototype` break.
template <Hasher H>
[[nodiscard]] Violations check_hasher(const H& prototype) {
  return detail::HasherCheck<H>(prototype).run();
}

}  // namespace kvbackup::inline v1::testing
