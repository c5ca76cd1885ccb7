// SPDX-License-Identifier: Apache-2.0
// A table whose blocks other threads compress is the table that one thread writes.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

namespace shared_table_test {
namespace {

using namespace kvbackup;

/// Threads inside help() before anything is written.
class Helpers {
 public:
  explicit Helpers(std::size_t count, const CancelToken* cancel = nullptr) : pool_(cancel) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { pool_.help(); });
    while (pool_.helpers() < count) std::this_thread::yield();
  }
  ~Helpers() {
    pool_.close();
    for (std::thread& thread : threads_) thread.join();
  }
  HelperPool* pool() { return threads_.empty() ? nullptr : &pool_; }

 private:
  HelperPool pool_;
  std::vector<std::thread> threads_;
};

struct Pair {
  std::string key;
  std::string value;
};

// Values of most sizes, some as large as `largest`.
std::vector<Pair> pairs_of(std::size_t bytes, std::uint32_t seed, std::size_t largest = 20'000) {
  std::mt19937 random(seed);
  std::vector<Pair> pairs;
  for (std::size_t made = 0, n = 0; made < bytes; ++n) {
    Pair pair{.key = "key" + std::to_string(1'000'000 + n), .value = {}};
    pair.key.append(random() % 4, 'k');
    const std::size_t kind = random() % 600;
    const std::size_t most = kind < 2    ? largest
                             : kind < 10 ? largest / 10
                             : kind < 60 ? 5'000
                                         : 300;
    pair.value.assign(random() % (most + 1), 'v');
    const std::size_t noise = 1 + random() % 8;
    for (char& c : pair.value) {
      if (random() % noise == 0) c = static_cast<char>(random());
    }
    made += pair.key.size() + pair.value.size();
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

struct StringOutput {
  Status append(ByteView more) {
    if (fails_at && bytes->size() + more.size() > *fails_at) {
      return Status::error(StatusCode::no_space, "injected");
    }
    *bytes += more;
    return {};
  }
  std::shared_ptr<std::string> bytes = std::make_shared<std::string>();
  std::optional<std::size_t> fails_at;
};

template <class Codec, class Checksum = Crc32cChecksum>
std::string table_of(const TableOptions& options, const Codec& codec,
                     const std::vector<Pair>& pairs, HelperPool* helpers) {
  const StringOutput output;
  TableWriter<Codec, Checksum, StringOutput, TikvCollector> writer(
      options, codec, output, TikvCollector::default_cf(), helpers);
  std::size_t failures = 0;
  for (const Pair& pair : pairs) failures += !writer.add(pair.key, pair.value).ok();
  const auto summary = writer.finish();
  REQUIRE(summary.ok());
  CHECK(failures == 0);
  CHECK(summary.value().file_size == output.bytes->size());
  return *output.bytes;
}

std::vector<TableOptions> forms(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<TableOptions> out{TableOptions::br_default_cf(), TableOptions::br_write_cf(),
                                TableOptions::rocksdb()};
  TableOptions two_level = TableOptions::rocksdb();
  two_level.index_type = IndexType::two_level;
  two_level.metadata_block_size = 500;
  out.push_back(two_level);
  two_level.partition_filters = true;  // written by one thread
  out.push_back(two_level);
  TableOptions odd;
  odd.block_size = static_cast<std::uint32_t>(1 + random() % 200'000);
  odd.index_shortening = IndexShortening::separators_and_successor;
  out.push_back(odd);
  return out;
}

template <class Codec>
void check_codec(const Codec& codec, std::uint32_t seed) {
  // more than a batch, and more than a block that is shared
  const std::vector<Pair> pairs = pairs_of(1'200'000, seed, 600'000);
  std::vector<std::string> expected;
  for (const std::size_t threads : {1u, 2u, 3u, 7u}) {
    Helpers helpers(threads - 1);
    std::size_t form = 0;
    for (const TableOptions& options : forms(seed)) {
      std::string table = table_of(options, codec, pairs, helpers.pool());
      CAPTURE(codec.name(), form, options.block_size, threads, seed);
      if (threads == 1) {
        expected.push_back(std::move(table));
      } else {
        CHECK((table == expected[form]));
      }
      ++form;
    }
  }
}

/// Says how often it compressed, and where; `before` is called first.
template <class Inner, class Before>
struct WatchedCodec {
  Inner inner;
  Before* before;

  struct Compressor {
    decltype(std::declval<const Inner&>().compressor()) inner;
    Before* before;
    std::optional<std::size_t> compress(ByteView in, std::span<char> out) {
      if (!(*before)(in)) return std::nullopt;
      return inner.compress(in, out);
    }
  };
  [[nodiscard]] BlockCompression type() const { return inner.type(); }
  [[nodiscard]] std::string_view name() const { return inner.name(); }
  [[nodiscard]] std::size_t bound(std::size_t n) const { return inner.bound(n); }
  [[nodiscard]] Compressor compressor() const { return {inner.compressor(), before}; }
  [[nodiscard]] auto decompressor() const { return inner.decompressor(); }
};

/// Makes the writing thread wait, in its first block, until a helper has compressed one.
struct HelpersFirst {
  std::thread::id owner = std::this_thread::get_id();
  std::atomic<std::size_t> by_helpers{0};
  std::atomic<std::size_t> by_owner{0};
  bool operator()(ByteView) {
    if (std::this_thread::get_id() != owner) {
      ++by_helpers;
      return true;
    }
    ++by_owner;
    while (by_helpers == 0) std::this_thread::yield();
    return true;
  }
};

/// Refuses some blocks, always the same.
struct Refusing {
  bool operator()(ByteView in) const { return std::hash<std::string_view>{}(in) % 3 != 0; }
};

/// Keeps the helpers in their first block until the writing thread has compressed `enough`.
struct StuckHelper {
  std::size_t enough;
  std::thread::id owner = std::this_thread::get_id();
  std::atomic<std::size_t> by_owner{0};
  bool operator()(ByteView in) {
    if (std::this_thread::get_id() == owner) {
      by_owner += in.size();
    } else {
      while (by_owner < enough) std::this_thread::yield();
    }
    return true;
  }
};

}  // namespace

TEST_CASE("a table is the same bytes, whatever the number of threads that compress its blocks") {
  check_codec(NoneCodec{}, 1);
  check_codec(SnappyCodec{}, 2);
  check_codec(Lz4Codec{}, 3);
  check_codec(Lz4Codec{.exact = true}, 4);
  check_codec(ZstdCodec{}, 5);
  check_codec(AnyCodec<NoneCodec, Lz4Codec, ZstdCodec>(ZstdCodec{.level = 1}), 6);
  check_codec(AnyCodec<NoneCodec, Lz4Codec>(NoneCodec{}), 7);
}

TEST_CASE("helpers compress, and blocks that the codec refuses are stored plain by them too") {
  const std::vector<Pair> pairs = pairs_of(1'500'000, 11);
  const TableOptions options = TableOptions::br_default_cf();
  HelpersFirst watch;
  Helpers helpers(1);
  const WatchedCodec<Lz4Codec, HelpersFirst> watched{{}, &watch};
  CHECK((table_of(options, watched, pairs, helpers.pool()) ==
         table_of(options, Lz4Codec{}, pairs, nullptr)));
  CHECK(watch.by_helpers > 0);

  Refusing refuse;
  const WatchedCodec<Lz4Codec, Refusing> refusing{{}, &refuse};
  CHECK((table_of(options, refusing, pairs, helpers.pool()) ==
         table_of(options, refusing, pairs, nullptr)));
}

TEST_CASE("a helper that does not come to an end holds the writer up only after some megabytes") {
  const std::vector<Pair> pairs = pairs_of(7'000'000, 12);
  TableOptions options = TableOptions::rocksdb();
  Helpers helpers(1);
  StuckHelper stuck{.enough = 2u << 20};
  const WatchedCodec<Lz4Codec, StuckHelper> codec{{}, &stuck};
  CHECK((table_of(options, codec, pairs, helpers.pool()) ==
         table_of(options, Lz4Codec{}, pairs, nullptr)));
}

TEST_CASE(
    "with helpers too a writer ends with its first failure, and one that is dropped with "
    "what is under way") {
  using Writer = TableWriter<ZstdCodec, Crc32cChecksum, StringOutput>;
  const std::vector<Pair> pairs = pairs_of(2'000'000, 13);
  Helpers helpers(2);
  std::size_t stored = 0;
  for (const std::size_t fails_at : {0u, 100'000u, 700'000u}) {
    StringOutput output;
    output.fails_at = fails_at;
    Writer writer(TableOptions::br_default_cf(), ZstdCodec{}, output, {}, helpers.pool());
    Status first;
    for (const Pair& pair : pairs) {
      Status status = writer.add(pair.key, pair.value);
      if (first.ok()) first = std::move(status);
      if (!first.ok()) break;
    }
    const auto summary = writer.finish();
    REQUIRE_FALSE(summary.ok());
    if (first.ok()) first = summary.status();
    CHECK(first.code() == StatusCode::no_space);
    CHECK(summary.status().code() == StatusCode::no_space);
    CHECK(output.bytes->size() <= fails_at);
    CHECK(writer.add("z", "").code() == StatusCode::no_space);
    stored = std::max(stored, output.bytes->size());
  }
  CHECK(stored > 100'000);
  for (const std::size_t added : {1000u, 2000u, 4000u}) {
    Writer writer(TableOptions::br_default_cf(), ZstdCodec{}, StringOutput(), {}, helpers.pool());
    for (std::size_t i = 0; i < std::min(added, pairs.size()); ++i) {
      REQUIRE(writer.add(pairs[i].key, pairs[i].value).ok());
    }
    if (added == 2000) CHECK(writer.add("a", "").code() == StatusCode::out_of_order);
  }
}

}  // namespace shared_table_test
