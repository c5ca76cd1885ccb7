// SPDX-License-Identifier: Apache-2.0
// A codec chosen at run time from a set fixed at compile time. Costs one switch a block.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/codec/none.hpp"

namespace kvbackup::inline v1 {

/// One of `Cs`, which are all different types. Without anything chosen it is the first.
template <BlockCodec... Cs>
requires(sizeof...(Cs) > 0) class AnyCodec {
 public:
  /// The chosen codec's compressor.
  class Compressor {
   public:
    std::optional<std::size_t> compress(ByteView in, std::span<char> out) {
      return std::visit([&](auto& held) { return held.context.compress(in, out); }, context_);
    }

   private:
    friend AnyCodec;
    // tells contexts apart that two codecs have in common
    template <class C>
    struct Held {
      decltype(std::declval<const C&>().compressor()) context;
    };
    template <class C>
    explicit Compressor(const C& codec)
        : context_(std::in_place_type<Held<C>>, Held<C>{codec.compressor()}) {}
    std::variant<Held<Cs>...> context_;
  };

  /// The chosen codec's decompressor.
  class Decompressor {
   public:
    Status decompress(ByteView in, std::span<char> out) {
      return std::visit([&](auto& held) { return held.context.decompress(in, out); }, context_);
    }

   private:
    friend AnyCodec;
    template <class C>
    struct Held {
      decltype(std::declval<const C&>().decompressor()) context;
    };
    template <class C>
    explicit Decompressor(const C& codec)
        : context_(std::in_place_type<Held<C>>, Held<C>{codec.decompressor()}) {}
    std::variant<Held<Cs>...> context_;
  };

  AnyCodec() = default;
  template <class C>
  requires(std::same_as<C, Cs> || ...)
      // NOLINTNEXTLINE(google-explicit-constructor): a choice is one of its alternatives
      AnyCodec(C codec)
      : codec_(std::in_place_type<C>, std::move(codec)) {}

  [[nodiscard]] BlockCompression type() const {
    return std::visit([](const auto& codec) { return codec.type(); }, codec_);
  }
  [[nodiscard]] std::string_view name() const {
    return std::visit([](const auto& codec) { return std::string_view(codec.name()); }, codec_);
  }
  [[nodiscard]] std::string parameters() const {
    return std::visit(
        [](const auto& codec) -> std::string {
          if constexpr (requires { codec.parameters(); }) {
            return codec.parameters();
          } else {
            return {};
          }
        },
        codec_);
  }
  [[nodiscard]] std::size_t bound(std::size_t plain_size) const {
    return std::visit([plain_size](const auto& codec) { return codec.bound(plain_size); }, codec_);
  }
  [[nodiscard]] Compressor compressor() const {
    return std::visit([](const auto& codec) { return Compressor(codec); }, codec_);
  }
  [[nodiscard]] Decompressor decompressor() const {
    return std::visit([](const auto& codec) { return Decompressor(codec); }, codec_);
  }

 private:
  std::variant<Cs...> codec_;
};

static_assert(BlockCodec<AnyCodec<NoneCodec>>);

}  // namespace kvbackup::inline v1
