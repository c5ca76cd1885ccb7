// SPDX-License-Identifier: Apache-2.0
// The kits for hashers and codecs are worth what they catch: each law has a model here that breaks
// it.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_codec.hpp>
#include <kvbackup/testing/check_hasher.hpp>

#include "support/catch.hpp"

namespace hasher_codec_kit_test {

using namespace kvbackup;
namespace hasher_law = kvbackup::testing::hasher_law;
namespace codec_law = kvbackup::testing::codec_law;

namespace {

std::set<std::string> laws_of(const testing::Violations& violations) {
  std::set<std::string> out;
  for (const testing::Violation& violation : violations) out.insert(violation.law);
  return out;
}

enum class HashFlaw {
  none,
  wrong_sha,
  masked_crc,
  counts_calls,
  keeps_view,
  value_before_key,
  order_matters,
  forgets_empty_pairs,
  pair_in_sha,
  shares_state,
};

class FlawedHasher {
 public:
  explicit FlawedHasher(HashFlaw flaw) : flaw_(flaw) {}

  void add_bytes(ByteView bytes) {
    if (flaw_ == HashFlaw::keeps_view) {
      flush();
      held_ = bytes;
      return;
    }
    take(bytes);
  }
  void add_pair(ByteView key, ByteView value) {
    FileDigest& digest = state().digest;
    if (flaw_ == HashFlaw::forgets_empty_pairs && value.empty()) return;
    if (flaw_ == HashFlaw::pair_in_sha) state().sha.update(key);
    if (flaw_ == HashFlaw::value_before_key) std::swap(key, value);
    if (flaw_ == HashFlaw::order_matters) digest.crc64xor = digest.crc64xor << 1;
    digest.crc64xor ^= crc64_xz_pair(key, value);
    digest.total_kvs += 1;
    digest.total_bytes += key.size() + value.size();
  }
  FileDigest finish() {
    flush();
    FileDigest digest = state().digest;
    digest.sha256 = state().sha.finish();
    if (flaw_ == HashFlaw::wrong_sha) digest.sha256[31] = 0;
    if (flaw_ == HashFlaw::masked_crc) digest.crc32c = crc32c_mask(digest.crc32c);
    return digest;
  }

 private:
  struct State {
    PortableSha256 sha;
    FileDigest digest;
  };
  void flush() { take(std::exchange(held_, {})); }
  void take(ByteView bytes) {
    state().sha.update(bytes);
    if (flaw_ == HashFlaw::counts_calls && bytes.size() > 60'000) state().sha.update("+");
    state().digest.crc32c = crc32c(bytes, state().digest.crc32c);
  }
  State& state() {
    if (flaw_ != HashFlaw::shares_state) return own_;
    if (!shared_) shared_ = std::make_shared<State>();
    return *shared_;
  }

  HashFlaw flaw_;
  ByteView held_;
  State own_;
  std::shared_ptr<State> shared_;
};

std::set<std::string> laws_of(HashFlaw flaw) {
  return laws_of(testing::check_hasher(FlawedHasher(flaw)));
}

enum class CodecFlaw {
  none,
  misnamed,
  bound_too_small,
  changes_a_byte,
  overruns_room,
  claims_too_much,
  overruns_plain,
  remembers,
  unmovable_state,
  takes_any_length,
  trusts_its_input,
  calls_damage_io_error,
  sulks_after_damage,
};

/// Stores a block behind its checksum: plain enough to break in one place at a time.
struct FlawedCodec {
  static constexpr std::size_t head = 4;
  CodecFlaw flaw;

  struct Compressor {
    CodecFlaw flaw;
    std::size_t blocks = 0;

    std::optional<std::size_t> compress(ByteView in, std::span<char> out) {
      ++blocks;
      const std::size_t size = in.size() + head;
      if (flaw == CodecFlaw::claims_too_much && out.size() < size) return size;
      if (out.size() < size) return std::nullopt;
      store_le32(out.data(), crc32c(in));
      if (!in.empty()) std::memcpy(out.data() + head, in.data(), in.size());
      if (flaw == CodecFlaw::changes_a_byte && in.size() == 4096) out[head + 7] ^= 1;
      if (flaw == CodecFlaw::overruns_room) *(out.data() + size) = 'x';
      if (flaw == CodecFlaw::remembers && blocks > 1) out[0] ^= 1;
      if (flaw == CodecFlaw::unmovable_state && !moved_.intact()) out[0] ^= 1;
      return size;
    }

   private:
    // notices that it lies elsewhere than where it was made
    struct Place {
      const void* made = this;
      Place() = default;
      Place(Place&& other) noexcept : made(other.made) {}
      Place& operator=(Place&& other) noexcept {
        made = other.made;
        return *this;
      }
      ~Place() = default;
      bool intact() const { return made == this; }
    } moved_;

   public:
    explicit Compressor(CodecFlaw f) : flaw(f) {}
  };

  struct Decompressor {
    CodecFlaw flaw;
    bool sulking = false;

    Status decompress(ByteView in, std::span<char> out) {
      const StatusCode code =
          flaw == CodecFlaw::calls_damage_io_error ? StatusCode::io_error : StatusCode::corruption;
      const bool length_ok = in.size() == out.size() + head ||
                             (flaw == CodecFlaw::takes_any_length && in.size() >= head);
      const ByteView body = length_ok ? in.substr(head, out.size()) : ByteView();
      if (flaw == CodecFlaw::trusts_its_input) {
        if (in.size() > head + out.size()) return Status::error(code, "too long");
        if (in.size() > head) std::memcpy(out.data(), in.data() + head, in.size() - head);
        return {};
      }
      if (!length_ok || (body.size() == out.size() && crc32c(body) != load_le32(in.data()) &&
                         flaw != CodecFlaw::takes_any_length)) {
        sulking = true;
        return Status::error(code, "a test block is damaged");
      }
      if (sulking && flaw == CodecFlaw::sulks_after_damage) {
        return Status::error(code, "was damaged once");
      }
      if (!body.empty()) std::memcpy(out.data(), body.data(), body.size());
      if (flaw == CodecFlaw::overruns_plain) *(out.data() + out.size()) = 'x';
      return {};
    }
  };

  BlockCompression type() const { return BlockCompression::snappy; }
  std::string_view name() const { return flaw == CodecFlaw::misnamed ? "NoCompression" : "Snappy"; }
  std::size_t bound(std::size_t n) const {
    return flaw == CodecFlaw::bound_too_small ? n : n + head;
  }
  Compressor compressor() const { return Compressor(flaw); }
  Decompressor decompressor() const { return {flaw}; }
};

std::set<std::string> laws_of(CodecFlaw flaw) {
  return laws_of(testing::check_codec(FlawedCodec{flaw}));
}

}  // namespace

TEST_CASE("the hasher kit passes a hasher that keeps the contract") {
  const auto violations = testing::check_hasher(FlawedHasher(HashFlaw::none));
  INFO(testing::to_string(violations));
  CHECK(violations.empty());
}

TEST_CASE("the hasher kit catches a model that breaks its law") {
  CHECK(laws_of(HashFlaw::wrong_sha).count(hasher_law::sha256) == 1);
  CHECK(laws_of(HashFlaw::masked_crc).count(hasher_law::crc32c) == 1);
  CHECK(laws_of(HashFlaw::counts_calls).count(hasher_law::split) == 1);
  CHECK(laws_of(HashFlaw::keeps_view).count(hasher_law::copies_nothing) == 1);
  CHECK(laws_of(HashFlaw::value_before_key).count(hasher_law::crc64xor) == 1);
  CHECK(laws_of(HashFlaw::order_matters).count(hasher_law::order) == 1);
  CHECK(laws_of(HashFlaw::forgets_empty_pairs).count(hasher_law::counts) == 1);
  CHECK(laws_of(HashFlaw::pair_in_sha).count(hasher_law::apart) == 1);
  CHECK(laws_of(HashFlaw::shares_state).count(hasher_law::value) == 1);
}

TEST_CASE("the codec kit passes a codec that keeps the contract") {
  const auto violations = testing::check_codec(FlawedCodec{CodecFlaw::none});
  INFO(testing::to_string(violations));
  CHECK(violations.empty());
}

TEST_CASE("the codec kit catches a model that breaks its law") {
  CHECK(laws_of(CodecFlaw::misnamed).count(codec_law::name) == 1);
  CHECK(laws_of(CodecFlaw::bound_too_small).count(codec_law::fits) == 1);
  CHECK(laws_of(CodecFlaw::changes_a_byte).count(codec_law::inverse) == 1);
  CHECK(laws_of(CodecFlaw::overruns_room).count(codec_law::room) == 1);
  CHECK(laws_of(CodecFlaw::claims_too_much).count(codec_law::room) == 1);
  CHECK(laws_of(CodecFlaw::overruns_plain).count(codec_law::plain_room) == 1);
  CHECK(laws_of(CodecFlaw::remembers).count(codec_law::same_bytes) == 1);
  CHECK(laws_of(CodecFlaw::unmovable_state).count(codec_law::moved) == 1);
  CHECK(laws_of(CodecFlaw::takes_any_length).count(codec_law::wrong_length) == 1);
  CHECK(laws_of(CodecFlaw::trusts_its_input).count(codec_law::damaged) == 1);
  CHECK(laws_of(CodecFlaw::calls_damage_io_error).count(codec_law::damaged) == 1);
  CHECK(laws_of(CodecFlaw::sulks_after_damage).count(codec_law::recovers) == 1);
}

}  // namespace hasher_codec_kit_test
