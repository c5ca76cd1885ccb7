// SPDX-License-Identifier: Apache-2.0
// The codec that a BackupRequest asks for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/codec/any.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/proto/backup_service.hpp"

namespace kvbackup::inline v1 {

namespace detail {

template <class Codecs>
struct CodecChoice;

template <BlockCodec... Cs>
struct CodecChoice<AnyCodec<Cs...>> {
  [[nodiscard]] static std::optional<AnyCodec<Cs...>> of(BlockCompression type,
                                                         std::int32_t level) {
    std::optional<AnyCodec<Cs...>> found;
    (take<Cs>(type, level, found), ...);
    return found;
  }

 private:
  template <class C>
  static void take(BlockCompression type, std::int32_t level,
                   std::optional<AnyCodec<Cs...>>& found) {
    C codec{};
    if (found || codec.type() != type) return;
    if constexpr (requires { codec.level = level; }) codec.level = level;
    found = AnyCodec<Cs...>(std::move(codec));
  }
};

}  // namespace detail

/// The codec among `Codecs`, an AnyCodec, for a request's compression. As in TiKV, `unknown` is the
/// first of LZ4, Snappy and Zstandard that there is; codecs without levels ignore the level, and 0
/// is the codec's own. Errors: invalid_argument, naming what there is.
template <class Codecs>
[[nodiscard]] Result<Codecs> codec_for(CompressionType type, std::int32_t level) {
  struct Known {
    CompressionType type;
    BlockCompression block;
    const char* name;
  };
  constexpr Known known[] = {
      {CompressionType::lz4, BlockCompression::lz4, "LZ4"},
      {CompressionType::snappy, BlockCompression::snappy, "SNAPPY"},
      {CompressionType::zstd, BlockCompression::zstd, "ZSTD"},
  };
  std::string built;
  for (const Known& each : known) {
    auto codec = detail::CodecChoice<Codecs>::of(each.block, level);
    if (codec && (type == CompressionType::unknown || type == each.type)) return *std::move(codec);
    if (codec) built += std::string(built.empty() ? "" : ", ") + each.name;
  }
  return Status::error(StatusCode::invalid_argument,
                       "the compression type " + std::to_string(static_cast<std::int32_t>(type)) +
                           " is not known or not built in; there are " +
                           (built.empty() ? "none" : built));
}

}  // namespace kvbackup::inline v1
