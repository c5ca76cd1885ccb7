// SPDX-License-Identifier: Apache-2.0
// The data sets of the benchmarks: sorted pairs that depend on set, size and seed only, so that two
// programs can prove by a fingerprint that they were given the same.
//
//   A  keys of 16 bytes (big-endian counter, "00000000"), values of 100, half compressible
//   B  TiKV-like: keys of 32 bytes ('z' 't' table "_r" handle, padding, ts), rows of some 200
//   C  keys of 24 bytes ("user" and 20 digits), values of 4096, half compressible
//   D  keys of 16 bytes (big-endian index id and ordinal with gaps), values of 8
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// SplitMix64 (Steele, Lea and Flood, 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((next() >> 32) * n >> 32);
  }

 private:
  std::uint64_t state_;
};

inline void store_be64(char* p, std::uint64_t value) {
  for (int i = 7; i >= 0; --i) {
    p[i] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
}
inline void append_le(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    out.push_back(static_cast<char>(value & 0xff));
    value >>= 8;
  }
}

/// Half of `size` random printable bytes, then the same again.
inline void fill_half_compressible(Random& random, char* p, std::size_t size) {
  const std::size_t fresh = size / 2 != 0 ? size / 2 : 1;
  std::size_t i = 0;
  while (i < fresh) {
    std::uint64_t bits = random.next();
    for (int k = 0; k < 8 && i < fresh; ++k, ++i) {
      p[i] = static_cast<char>(' ' + ((bits & 0xff) * 95 >> 8));
      bits >>= 8;
    }
  }
  for (; i < size; ++i) p[i] = p[i - fresh];
}

/// The rows of set B.
class Rows {
 public:
  explicit Rows(Random& random) {
    static constexpr std::array syllables = {"ba", "ren", "to",  "li", "mar", "ko",  "den", "sa",
                                             "ti", "vo",  "nel", "ra", "us",  "pre", "in",  "gal"};
    for (int i = 0; i < 512; ++i) {
      std::string word = syllables[random.below(16)];
      for (std::uint32_t more = 1 + random.below(3); more > 0; --more) {
        word += syllables[random.below(16)];
      }
      words_.push_back(word);
    }
  }

  void next(Random& random, std::string& key, std::string& value) {
    step(random);
    key.resize(32);
    char* p = key.data();
    std::memcpy(p, "zt", 2);
    store_be64(p + 2, table_ ^ sign_bit);
    std::memcpy(p + 10, "_r", 2);
    store_be64(p + 12, handle_ ^ sign_bit);
    std::memset(p + 20, 0, 4);
    store_be64(p + 24, ~ts_);
    fill_columns(random);
    value.clear();
    value.push_back(static_cast<char>(0x80));
    value.push_back(0);
    append_le(value, ends_.size(), 2);
    append_le(value, 0, 2);
    for (std::size_t i = 0; i < ends_.size(); ++i) value.push_back(static_cast<char>(i + 2));
    for (const std::uint16_t end : ends_) append_le(value, end, 2);
    value += columns_;
  }

 private:
  static constexpr std::uint64_t sign_bit = 0x8000000000000000u;
  static constexpr std::uint64_t first_ts = 445644800000000000u;
  static constexpr std::uint64_t first_time = 0x19B2000000000000u;
  static constexpr std::uint64_t rows_of_a_table = 2000000;

  /// On to the next row, or to an older version of this one (one in eight has one), whose smaller
  /// timestamp sorts later.
  void step(Random& random) {
    if (has_older_) {
      has_older_ = false;
      ts_ -= 1 + random.below(1u << 24);
    } else {
      handle_ += 1 + (random.below(4) == 0 ? random.below(50) : 0);
      ts_ = first_ts + (handle_ << 18) + random.below(1u << 30);
      has_older_ = random.below(8) == 0;
    }
    if (handle_ > rows_of_a_table) {
      ++table_;
      handle_ = 1;
      has_older_ = false;
      ts_ = first_ts + random.below(1u << 30);
    }
  }

  /// Small ranks come much more often.
  const std::string& word(Random& random, std::uint32_t ranks) {
    const std::uint32_t a = random.below(ranks);
    const std::uint32_t b = random.below(ranks);
    return words_[a < b ? a : b];
  }
  void end_column() { ends_.push_back(static_cast<std::uint16_t>(columns_.size())); }
  void add_number(std::uint64_t value, int bytes) {
    append_le(columns_, value, bytes);
    end_column();
  }

  void fill_columns(Random& random) {
    columns_.clear();
    ends_.clear();
    add_number(random.below(3000000), 4);  // customer
    add_number(random.below(5), 1);        // status
    const std::string& first = word(random, 256);
    const std::string& last = word(random, 512);
    columns_ += first + ' ' + last;
    end_column();
    columns_ += first + '.' + last + std::to_string(random.below(10000));
    static constexpr std::array domains = {"@example.com", "@mail.example.org", "@example.net",
                                           "@shop.example.com"};
    columns_ += domains[random.below(4)];
    end_column();
    add_number(first_time + handle_ * 4096 + random.below(4096), 8);      // created
    add_number(first_time + handle_ * 4096 + random.below(1u << 22), 8);  // updated
    append_le(columns_, 0x020A, 2);
    add_number(random.below(500000), 4);  // amount
    add_number(1 + random.below(9), 1);   // quantity
    columns_ += word(random, 64);         // city
    end_column();
    for (std::uint32_t words = 6 + random.below(9); words > 0; --words) {
      columns_ += word(random, 512) + ' ';  // comment
    }
    end_column();
    std::uint64_t token = random.next();
    for (int i = 0; i < 16; ++i, token >>= 4) columns_ += "0123456789abcdef"[token & 15];
    end_column();
    add_number(random.below(2), 1);  // flag
  }

  std::vector<std::string> words_;
  std::string columns_;
  std::vector<std::uint16_t> ends_;
  std::uint64_t handle_ = 0;
  std::uint64_t ts_ = 0;
  std::uint64_t table_ = 101;
  bool has_older_ = false;
};

/// The pairs of one set, in order, without end.
class Generator {
 public:
  Generator(char set, std::uint64_t seed)
      : set_(set), random_(seed ^ 0xA5A500000000u ^ static_cast<std::uint64_t>(set)) {
    if (set < 'A' || set > 'D') throw std::invalid_argument("the data set is A, B, C or D");
    if (set == 'B') rows_ = std::make_unique<Rows>(random_);
  }

  void next(std::string& key, std::string& value) {
    switch (set_) {
      case 'A':
        key.resize(16);
        store_be64(key.data(), count_++);
        std::memset(key.data() + 8, '0', 8);
        value.resize(100);
        fill_half_compressible(random_, value.data(), 100);
        return;
      case 'B': rows_->next(random_, key, value); return;
      case 'C': next_user(key, value); return;
      default:
        ordinal_ += 1 + random_.below(1000);
        key.resize(16);
        store_be64(key.data(), 0x4711);
        store_be64(key.data() + 8, ordinal_);
        value.clear();
        append_le(value, random_.next() & 0xFFFFFFFFFFu, 8);
        return;
    }
  }

 private:
  void next_user(std::string& key, std::string& value) {
    ordinal_ += 1 + random_.below(1u << 20);
    char digits[32];
    std::snprintf(digits, sizeof digits, "user%020llu", static_cast<unsigned long long>(ordinal_));
    key.assign(digits, 24);
    value.resize(4096);
    for (std::size_t at = 0; at < value.size(); at += 100) {
      fill_half_compressible(random_, value.data() + at,
                             at + 100 <= value.size() ? 100 : value.size() - at);
    }
  }

  char set_;
  Random random_;
  std::unique_ptr<Rows> rows_;
  std::uint64_t count_ = 0;
  std::uint64_t ordinal_ = 0;
};

/// All pairs of a set in one buffer, so that to read them costs as little as it can. A record is
/// the lengths of key and value (32 bits each), both, and padding to eight bytes.
class Arena {
 public:
  Arena(char set, std::uint64_t raw_bytes, std::uint64_t seed = 42) {
    Generator generator(set, seed);
    const std::uint64_t capacity = raw_bytes + raw_bytes / (set == 'D' ? 1 : 4) + (1u << 20);
    buffer_.reset(static_cast<char*>(std::malloc(capacity)));
    if (!buffer_) throw std::bad_alloc();
    std::string key;
    std::string value;
    while (raw_bytes_ < raw_bytes) {
      if (count_ % pairs_of_a_mark == 0) marks_.push_back(used_);
      generator.next(key, value);
      if (used_ + record_size(key.size(), value.size()) > capacity) {
        throw std::runtime_error("the arena is too small");
      }
      add(key, value);
    }
  }

  class Cursor {
   public:
    Cursor(const char* p, const char* end) : p_(p), end_(end) { load(); }
    [[nodiscard]] bool valid() const { return p_ != end_; }
    [[nodiscard]] std::string_view key() const { return {p_ + 8, key_size_}; }
    [[nodiscard]] std::string_view value() const { return {p_ + 8 + key_size_, value_size_}; }
    void next() {
      p_ += record_size(key_size_, value_size_);
      load();
    }

   private:
    void load() {
      if (p_ == end_) return;
      std::memcpy(&key_size_, p_, 4);
      std::memcpy(&value_size_, p_ + 4, 4);
    }
    const char* p_;
    const char* end_;
    std::uint32_t key_size_ = 0;
    std::uint32_t value_size_ = 0;
  };

  [[nodiscard]] Cursor begin() const { return part(0, 1); }
  /// Part `i` of `n`, nearly equal in pairs.
  [[nodiscard]] Cursor part(unsigned i, unsigned n) const {
    const auto at = [&](unsigned k) { return k >= n ? used_ : marks_[marks_.size() * k / n]; };
    return {buffer_.get() + at(i), buffer_.get() + at(i + 1)};
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t raw_bytes() const { return raw_bytes_; }
  [[nodiscard]] std::uint64_t used_bytes() const { return used_; }

  /// A digest of every pair and their order.
  [[nodiscard]] std::uint64_t fingerprint() const {
    std::uint64_t h = 0x243F6A8885A308D3u ^ count_;
    for (Cursor at = begin(); at.valid(); at.next()) h = mix(mix(h, at.key()), at.value());
    return h;
  }

 private:
  static constexpr std::uint64_t pairs_of_a_mark = 1024;

  [[nodiscard]] static std::uint64_t record_size(std::uint64_t key, std::uint64_t value) {
    return 8 + ((key + value + 7) & ~std::uint64_t{7});
  }
  void add(std::string_view key, std::string_view value) {
    const auto key_size = static_cast<std::uint32_t>(key.size());
    const auto value_size = static_cast<std::uint32_t>(value.size());
    char* const p = buffer_.get() + used_;
    std::memcpy(p, &key_size, 4);
    std::memcpy(p + 4, &value_size, 4);
    std::memcpy(p + 8, key.data(), key.size());
    std::memcpy(p + 8 + key.size(), value.data(), value.size());
    used_ += record_size(key.size(), value.size());
    raw_bytes_ += key.size() + value.size();
    ++count_;
  }
  static std::uint64_t mix(std::uint64_t h, std::string_view bytes) {
    h = (h ^ bytes.size()) * 0x9E3779B97F4A7C15u;
    std::size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
      std::uint64_t word = 0;
      for (std::size_t b = 0; b < 8; ++b) {
        word |= std::uint64_t{static_cast<unsigned char>(bytes[i + b])} << (8 * b);
      }
      h = (h ^ word) * 0x9E3779B97F4A7C15u;
      h ^= h >> 32;
    }
    for (; i < bytes.size(); ++i) {
      h = (h ^ static_cast<unsigned char>(bytes[i])) * 0x100000001B3u;
    }
    return h ^ h >> 29;
  }

  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> buffer_;
  std::vector<std::uint64_t> marks_;
  std::uint64_t used_ = 0;
  std::uint64_t raw_bytes_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace bench
