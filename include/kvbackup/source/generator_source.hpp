// SPDX-License-Identifier: Apache-2.0
// A synthetic store of any size in O(1) memory, for trials and tests.
//
// Key of rank r:   r in decimal, padded with zeros to min(key_size, 20) digits; the rest of a
//                  longer key is lower-case letters drawn from (seed, r).
// Value of rank r: (1 - compressibility) of its bytes drawn from (seed, r), the rest one byte
//                  repeated.
// The draws are splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
// 2014), so the same options give the same store on every machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

struct GeneratorOptions {
  std::uint64_t count = 0;       ///< pairs
  std::size_t key_size = 16;     ///< bytes, 1 .. 65536, with room for `count` decimal ranks
  std::size_t value_size = 100;  ///< bytes, up to 1 GiB
  std::uint64_t seed = 1;
  double compressibility = 0.5;  ///< 0: every value byte drawn; 1: none
};

namespace detail {

inline constexpr std::size_t generator_digits = 20;  // of 2^64
inline constexpr std::size_t generator_longest_key = std::size_t{1} << 16;
inline constexpr std::size_t generator_longest_value = std::size_t{1} << 30;

/// How pairs follow from ranks; small, copied by value.
class GeneratorRecipe {
 public:
  GeneratorRecipe() = default;
  explicit GeneratorRecipe(const GeneratorOptions& options)
      : options_(options), digits_(std::min(options.key_size, generator_digits)) {
    const double repeated = options.compressibility * static_cast<double>(options.value_size);
    drawn_ = options.value_size - std::min(options.value_size, static_cast<std::size_t>(repeated));
  }

  [[nodiscard]] const GeneratorOptions& options() const noexcept { return options_; }

  /// `out` becomes the key of `rank`.
  void write_key(std::uint64_t rank, std::string& out) const {
    out.resize(options_.key_size);
    std::uint64_t rest = rank;
    for (std::size_t i = digits_; i-- > 0; rest /= 10) {
      out[i] = static_cast<char>('0' + rest % 10);
    }
    if (out.size() == digits_) return;
    std::uint64_t state = stream(~rank);
    for (std::size_t i = digits_; i < out.size(); ++i) {
      state = mixed(state);
      out[i] = static_cast<char>('a' + state % 26);
    }
  }
  /// `out` becomes the value of `rank`.
  void write_value(std::uint64_t rank, std::string& out) const {
    out.resize(options_.value_size, filler);
    std::uint64_t state = stream(rank);
    std::size_t i = 0;
    for (; drawn_ - i >= 8; i += 8) store_le64(out.data() + i, draw(state));
    if (i == drawn_) return;
    char last[8];
    store_le64(last, draw(state));
    std::memcpy(out.data() + i, last, drawn_ - i);
  }
  /// The lowest rank in [0, count] whose key is not below `key`.
  [[nodiscard]] std::uint64_t rank_of(ByteView key) const {
    std::uint64_t low = 0;
    std::uint64_t high = options_.count;
    std::string middle_key;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      write_key(middle, middle_key);
      if (ByteView(middle_key) < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

 private:
  static constexpr char filler = '.';
  static constexpr std::uint64_t golden_gamma = 0x9e3779b97f4a7c15;  // splitmix64's step

  [[nodiscard]] static constexpr std::uint64_t mixed(std::uint64_t z) noexcept {
    z += golden_gamma;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// Where the draws for a rank begin; the seed is mixed first, so that near seeds share none.
  [[nodiscard]] std::uint64_t stream(std::uint64_t rank) const noexcept {
    return mixed(mixed(options_.seed) ^ rank);
  }
  [[nodiscard]] static std::uint64_t draw(std::uint64_t& state) noexcept {
    const std::uint64_t drawn = mixed(state);
    state += golden_gamma;
    return drawn;
  }

  GeneratorOptions options_;
  std::size_t digits_ = 0;
  std::size_t drawn_ = 0;
};

/// invalid_argument for sizes that no store of rising keys can have.
[[nodiscard]] inline Status check_generator_options(const GeneratorOptions& options) {
  const auto refuse = [](const char* why) {
    return Status::error(StatusCode::invalid_argument, why);
  };
  if (options.key_size == 0 || options.key_size > generator_longest_key) {
    return refuse("cannot generate a store: the key size must be 1 to 65536 bytes");
  }
  if (options.value_size > generator_longest_value) {
    return refuse("cannot generate a store: the value size must be at most 1 GiB");
  }
  if (!(options.compressibility >= 0 && options.compressibility <= 1)) {
    return refuse("cannot generate a store: the compressibility must be between 0 and 1");
  }
  std::uint64_t ranks = 1;  // 10^key_size; 10^20 is past any count
  for (std::size_t i = 0; i < options.key_size && i + 1 < generator_digits; ++i) ranks *= 10;
  if (options.key_size < generator_digits && options.count > ranks) {
    return refuse(
        "cannot generate a store: keys of that size cannot count that far; raise the key size or "
        "lower the count");
  }
  return {};
}

}  // namespace detail

/// The pairs of ranks [first, last) of a synthetic store, in rising order. Memory: one key and one
/// value.
class GeneratorSource {
 public:
  /// The whole store; invalid_argument for impossible sizes.
  [[nodiscard]] static Result<GeneratorSource> make(const GeneratorOptions& options) {
    if (Status status = detail::check_generator_options(options); !status.ok()) return status;
    return GeneratorSource(detail::GeneratorRecipe(options), 0, options.count);
  }

  [[nodiscard]] bool valid() const noexcept { return rank_ < last_; }
  [[nodiscard]] ByteView key() const noexcept { return key_; }
  [[nodiscard]] ByteView value() const noexcept { return value_; }
  void next() {
    ++rank_;
    show();
  }
  void seek(ByteView key) {
    rank_ = std::clamp(recipe_.rank_of(key), first_, last_);
    show();
  }
  [[nodiscard]] Status status() const { return {}; }

  [[nodiscard]] std::string kind() const { return "generator"; }
  /// The options that make this store again.
  [[nodiscard]] std::string identity() const { return identity_of(recipe_.options()); }

 private:
  friend class GeneratorSnapshot;

  GeneratorSource(const detail::GeneratorRecipe& recipe, std::uint64_t first, std::uint64_t last)
      : recipe_(recipe), first_(first), last_(last), rank_(first) {
    show();
  }
  void show() {
    if (rank_ >= last_) return;
    recipe_.write_key(rank_, key_);
    recipe_.write_value(rank_, value_);
  }
  [[nodiscard]] static std::string identity_of(const GeneratorOptions& options) {
    std::string out("count=");
    out += std::to_string(options.count);
    out += " key_size=";
    out += std::to_string(options.key_size);
    out += " value_size=";
    out += std::to_string(options.value_size);
    out += " seed=";
    out += std::to_string(options.seed);
    out += " compressibility=";
    out += std::to_string(options.compressibility);
    return out;
  }

  detail::GeneratorRecipe recipe_;
  std::uint64_t first_;
  std::uint64_t last_;
  std::uint64_t rank_;
  std::string key_;
  std::string value_;
};

/// A synthetic store that any number of threads scan. It has one column family, "default".
class GeneratorSnapshot {
 public:
  /// invalid_argument for impossible sizes.
  [[nodiscard]] static Result<GeneratorSnapshot> make(const GeneratorOptions& options) {
    if (Status status = detail::check_generator_options(options); !status.ok()) return status;
    return GeneratorSnapshot(options);
  }

  /// not_found for another column family than "default".
  [[nodiscard]] Result<GeneratorSource> scan(const KeyRange& range) const {
    if (Status status = check_cf(range); !status.ok()) return status;
    const Ranks ranks = ranks_of(range);
    return GeneratorSource(recipe_, ranks.first, ranks.last);
  }
  /// Sub-ranges of about `target_bytes` of keys and values, at most 2^20 of them.
  [[nodiscard]] Result<std::vector<KeyRange>> split(const KeyRange& range,
                                                    std::uint64_t target_bytes) const {
    if (Status status = check_cf(range); !status.ok()) return status;
    const Ranks ranks = ranks_of(range);
    const std::uint64_t most = std::uint64_t{1} << 20;
    const std::uint64_t count = ranks.last - ranks.first;
    const std::uint64_t step =
        std::max({target_bytes / pair_bytes(), count / most + 1, std::uint64_t{1}});
    std::vector<KeyRange> parts{range};
    std::string cut;
    for (std::uint64_t done = step; done < count; done += step) {
      recipe_.write_key(ranks.first + done, cut);
      parts.back().end = cut;
      parts.push_back(KeyRange{range.cf, cut, range.end});
      if (count - done <= step) break;
    }
    return parts;
  }
  [[nodiscard]] SizeEstimate estimate(const KeyRange& range) const {
    if (range.cf != default_cf) return {};
    const Ranks ranks = ranks_of(range);
    const std::uint64_t pairs = ranks.last - ranks.first;
    SizeEstimate estimate;
    estimate.pairs = pairs;
    if (pairs <= UINT64_MAX / pair_bytes()) estimate.bytes = pairs * pair_bytes();
    return estimate;
  }
  [[nodiscard]] Result<std::vector<KeyRange>> ranges() const {
    return std::vector<KeyRange>{KeyRange{}};
  }
  [[nodiscard]] std::string kind() const { return "generator"; }
  /// The options that make this store again.
  [[nodiscard]] std::string identity() const {
    return GeneratorSource::identity_of(recipe_.options());
  }

 private:
  struct Ranks {
    std::uint64_t first;
    std::uint64_t last;
  };

  explicit GeneratorSnapshot(const GeneratorOptions& options) : recipe_(options) {}

  [[nodiscard]] Ranks ranks_of(const KeyRange& range) const {
    const std::uint64_t first = range.start.empty() ? 0 : recipe_.rank_of(range.start);
    const std::uint64_t last =
        range.end.empty() ? recipe_.options().count : recipe_.rank_of(range.end);
    return {first, std::max(first, last)};
  }
  [[nodiscard]] std::uint64_t pair_bytes() const {
    return recipe_.options().key_size + recipe_.options().value_size;
  }
  [[nodiscard]] static Status check_cf(const KeyRange& range) {
    if (range.cf == default_cf) return {};
    return Status::error(StatusCode::not_found,
                         "a generated store has only the column family \"default\"")
        .with_object(range.cf);
  }

  detail::GeneratorRecipe recipe_;
};

static_assert(SeekableSource<GeneratorSource> && IdentifiedSource<GeneratorSource>);
static_assert(SplittableSnapshot<GeneratorSnapshot> && EstimatingSnapshot<GeneratorSnapshot> &&
              EnumerableSnapshot<GeneratorSnapshot> && IdentifiedSource<GeneratorSnapshot>);

}  // namespace kvbackup::inline v1
