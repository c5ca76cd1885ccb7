// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/config.hpp"

namespace kvbackup::inline v1 {

/// Stores every block as it is.
class NoneCodec {
 public:
  /// Nothing ever fits, so that a block is stored plain.
  struct Compressor {
    std::optional<std::size_t> compress(ByteView, std::span<char>) noexcept { return std::nullopt; }
  };
  /// Copies a block of exactly the plain length.
  struct Decompressor {
    Status decompress(ByteView in, std::span<char> out) {
      if (in.size() != out.size()) return wrong_size();
      if (!in.empty()) std::memcpy(out.data(), in.data(), in.size());
      return {};
    }

   private:
    KVBACKUP_DETAIL_COLD static Status wrong_size() {
      return Status::error(StatusCode::corruption,
                           "a block stored plain has not the length it is said to have; the file "
                           "is damaged, take it from another copy");
    }
  };

  [[nodiscard]] BlockCompression type() const noexcept { return BlockCompression::none; }
  [[nodiscard]] std::string_view name() const noexcept { return "NoCompression"; }
  [[nodiscard]] std::size_t bound(std::size_t plain_size) const noexcept { return plain_size; }
  [[nodiscard]] Compressor compressor() const noexcept { return {}; }
  [[nodiscard]] Decompressor decompressor() const noexcept { return {}; }
};

static_assert(BlockCodec<NoneCodec>);

}  // namespace kvbackup::inline v1
