// SPDX-License-Identifier: Apache-2.0
// The conformance kit for BlockCodec: run it, best under an address sanitizer, over a codec before
// a store is kept in its blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/violation.hpp>

namespace kvbackup::inline v1::testing {

namespace codec_law {
// The laws, as they stand in Violation::law.
inline constexpr const char* name = "only type none is called NoCompression";
inline constexpr const char* fits = "every block but type none's fits the room that bound() asks";
inline constexpr const char* inverse = "decompress inverts compress";
inline constexpr const char* room = "compress stays inside the room it is given, or does not fit";
inline constexpr const char* plain_room = "decompress writes nothing past the plain length";
inline constexpr const char* same_bytes = "the same input gives the same bytes";
inline constexpr const char* moved = "a moved context works on";
inline constexpr const char* wrong_length = "a wrong plain length is corruption";
inline constexpr const char* damaged = "damaged input is corruption";
inline constexpr const char* recovers = "a context works on after damaged input";
}  // namespace codec_law

namespace detail {

/// Bytes with a strip on each side that nobody may write to.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(std::size_t size) : bytes_(size + 2 * strip, pattern) {}
  std::span<char> span() { return {bytes_.data() + strip, bytes_.size() - 2 * strip}; }
  ByteView view() const { return ByteView(bytes_).substr(strip, bytes_.size() - 2 * strip); }
  bool intact() const {
    const auto untouched = [](char c) { return c == pattern; };
    const auto middle = static_cast<std::ptrdiff_t>(strip);
    return std::all_of(bytes_.begin(), bytes_.begin() + middle, untouched) &&
           std::all_of(bytes_.end() - middle, bytes_.end(), untouched);
  }

 private:
  static constexpr std::size_t strip = 64;
  static constexpr char pattern = '\x5a';
  std::string bytes_;
};

template <BlockCodec C>
class CodecCheck {
  using Compressor = decltype(std::declval<const C&>().compressor());

 public:
  explicit CodecCheck(const C& codec) : codec_(codec) {}

  Violations run() {
    const bool none = codec_.type() == BlockCompression::none;
    const std::string_view name = codec_.name();
    expect(!name.empty() && (name == "NoCompression") == none, codec_law::name,
           "it is called \"" + std::string(name) + "\"");
    for (const Input& input : inputs()) {
      const std::optional<std::string> packed = check_compress(input);
      if (!packed) continue;
      check_inverse(input, *packed);
      check_small_rooms(input, packed->size());
      check_lengths(input, *packed);
      check_damage(input, *packed);
    }
    check_contexts();
    if (none) check_plain();
    return std::move(found_);
  }

 private:
  struct Input {
    std::string name;
    std::string bytes;
  };

  void expect(bool kept, const char* law, std::string detail) {
    if (!kept) add_violation(found_, law, std::move(detail));
  }
  std::uint32_t random() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(random_ >> 33);
  }
  std::string noise(std::size_t size) {
    std::string out;
    while (out.size() < size) out.push_back(static_cast<char>(random() & 0xff));
    return out;
  }
  std::string text(std::size_t size) {
    std::string out;
    while (out.size() < size) {
      out += "key";
      out += std::to_string(random() % 1000);
      out += " = value of no great interest; ";
    }
    out.resize(size);
    return out;
  }
  std::vector<Input> inputs() {
    return {{"nothing", ""},
            {"one byte", "x"},
            {"13 bytes", text(13)},
            {"100 zeros", std::string(100, '\0')},
            {"4096 bytes of text", text(4096)},
            {"4096 bytes of noise", noise(4096)},
            {"70000 bytes of text and noise", text(35'000) + noise(35'000)}};
  }

  /// The compressed form, in the room that bound() asks for.
  std::optional<std::string> check_compress(const Input& input) {
    auto compressor = codec_.compressor();
    GuardedBuffer out(codec_.bound(input.bytes.size()));
    const std::optional<std::size_t> size = compressor.compress(input.bytes, out.span());
    expect(out.intact(), codec_law::room, input.name + ": wrote outside of it");
    expect(size.has_value() || codec_.type() == BlockCompression::none, codec_law::fits,
           input.name + " does not");
    if (!size) return std::nullopt;
    expect(*size <= out.span().size(), codec_law::room, input.name + ": claims more than it has");
    return std::string(out.view().substr(0, *size));
  }

  void check_inverse(const Input& input, ByteView packed) {
    auto decompressor = codec_.decompressor();
    GuardedBuffer out(input.bytes.size());
    const Status status = decompressor.decompress(packed, out.span());
    expect(status.ok(), codec_law::inverse, input.name + ": " + status.to_string());
    expect(!status.ok() || out.view() == input.bytes, codec_law::inverse,
           input.name + " came back different");
    expect(out.intact(), codec_law::plain_room, input.name + ": wrote outside of it");
  }

  void check_small_rooms(const Input& input, std::size_t packed_size) {
    auto compressor = codec_.compressor();
    for (const std::size_t room : {std::size_t{0}, std::size_t{1}, packed_size / 2,
                                   packed_size - std::min<std::size_t>(packed_size, 1)}) {
      GuardedBuffer out(room);
      const std::optional<std::size_t> size = compressor.compress(input.bytes, out.span());
      const std::string where = input.name + " in a room of " + std::to_string(room);
      expect(out.intact(), codec_law::room, where + ": wrote outside of it");
      expect(!size || *size <= room, codec_law::room, where + ": claims more than it has");
      if (size && *size <= room) check_inverse(input, out.view().substr(0, *size));
    }
  }

  void check_lengths(const Input& input, ByteView packed) {
    auto decompressor = codec_.decompressor();
    const std::size_t size = input.bytes.size();
    for (const std::size_t wrong :
         {std::size_t{0}, size / 2, size - std::min<std::size_t>(size, 1), size + 1, size + 1000}) {
      if (wrong == size) continue;
      GuardedBuffer out(wrong);
      const Status status = decompressor.decompress(packed, out.span());
      const std::string where = input.name + " as " + std::to_string(wrong) + " bytes";
      expect(status.code() == StatusCode::corruption, codec_law::wrong_length,
             where + ": " + status.to_string());
      expect(out.intact(), codec_law::plain_room, where + ": wrote outside of it");
    }
  }

  void check_damage(const Input& input, const std::string& packed) {
    auto decompressor = codec_.decompressor();
    const auto damaged = [&](ByteView bytes, const std::string& how, bool must_show) {
      GuardedBuffer out(input.bytes.size());
      const Status status = decompressor.decompress(bytes, out.span());
      const bool undone = status.ok() && (!must_show || out.view() == input.bytes);
      expect(undone || status.code() == StatusCode::corruption, codec_law::damaged,
             input.name + ", " + how + ": " + status.to_string());
      expect(out.intact(), codec_law::plain_room, input.name + ", " + how);
    };
    const std::size_t step = packed.size() / 100 + 1;
    for (std::size_t size = 0; size < packed.size(); size += step) {
      damaged(ByteView(packed).substr(0, size), "cut off", true);
    }
    // flipped bits need not show: a block has a checksum of its own
    std::string copy = packed;
    for (int i = 0; i < 200 && !packed.empty(); ++i) {
      const std::size_t at = random() % packed.size();
      copy[at] = static_cast<char>(copy[at] ^ (1 << random() % 8));
      damaged(copy, "with flipped bits", false);
      if (i % 4 == 3) copy = packed;
    }
    damaged(noise(packed.size()), "replaced by noise", false);
    GuardedBuffer out(input.bytes.size());
    const Status status = decompressor.decompress(packed, out.span());
    expect(status.ok() && out.view() == input.bytes, codec_law::recovers,
           input.name + ": " + status.to_string());
  }

  std::optional<std::string> compressed(Compressor& compressor, ByteView bytes) {
    std::string out(codec_.bound(bytes.size()), '\0');
    const auto size = compressor.compress(bytes, out);
    if (!size || *size > out.size()) return std::nullopt;
    out.resize(*size);
    return out;
  }

  void check_contexts() {
    const std::string block = text(4096);
    auto compressor = codec_.compressor();
    const auto first = compressed(compressor, block);
    // what a context has seen before must not show, least of all when it resembles the block
    for (const std::string& before : {block + "x", text(4096), noise(5000), std::string()}) {
      (void)compressed(compressor, before);
      expect(compressed(compressor, block) == first, codec_law::same_bytes,
             "4096 bytes of text differ after a block of " + std::to_string(before.size()));
    }
    auto fresh = C(codec_).compressor();
    expect(compressed(fresh, block) == first, codec_law::same_bytes,
           "a copy of the codec compresses differently");
    auto moved = std::move(compressor);
    expect(compressed(moved, block) == first, codec_law::moved, "compressor");
    fresh = std::move(moved);
    expect(compressed(fresh, block) == first, codec_law::moved, "compressor, assigned");
    if (!first) return;
    auto decompressor = codec_.decompressor();
    auto moved_decompressor = std::move(decompressor);
    std::string out(block.size(), '\0');
    const Status status = moved_decompressor.decompress(*first, out);
    expect(status.ok() && out == block, codec_law::moved, "decompressor");
  }

  /// Type none never fits, but its decompressor copies.
  void check_plain() {
    const Input input{"4096 plain bytes", noise(4096)};
    check_inverse(input, input.bytes);
    check_lengths(input, input.bytes);
  }

  const C& codec_;
  std::uint64_t random_ = 1;
  Violations found_;
};

}  // namespace detail

/// The laws of the BlockCodec contract (codec/concept.hpp) that `codec` breaks.
template <BlockCodec C>
[[nodiscard]] Violations check_codec(const C& codec) {
  return detail::CodecCheck<C>(codec).run();
}

}  // namespace kvbackup::inline v1::testing
