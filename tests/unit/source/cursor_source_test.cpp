// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <memory>
#include <string>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_source.hpp>

#include "support/catch.hpp"
#include "support/stores.hpp"

using namespace kvbackup;
using test_support::many_pairs;
using test_support::Store;

namespace {

/// As in LevelDB and RocksDB: a slice of its own, made from a pointer and a length.
class Slice {
 public:
  Slice(const char* data, std::size_t size) : data_(data), size_(size) {}
  const char* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  const char* data_;
  std::size_t size_;
};

class ForeignStatus {
 public:
  ForeignStatus() = default;
  ForeignStatus(char kind, std::string text) : kind_(kind), text_(std::move(text)) {}
  bool ok() const { return kind_ == 0; }
  bool IsCorruption() const { return kind_ == 'c'; }
  bool IsNotFound() const { return kind_ == 'n'; }
  bool IsNotSupported() const { return kind_ == 's'; }
  std::string ToString() const { return text_; }

 private:
  char kind_ = 0;
  std::string text_;
};

/// A store's abstract iterator.
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual bool Valid() const = 0;
  virtual void SeekToFirst() = 0;
  virtual void Seek(const Slice& target) = 0;
  virtual void Next() = 0;
  virtual Slice key() const = 0;
  virtual Slice value() const = 0;
  virtual ForeignStatus status() const = 0;
};

class MapIterator final : public Iterator {
 public:
  explicit MapIterator(const Store& store, ForeignStatus at_end = {})
      : store_(store), at_(store.end()), at_end_(std::move(at_end)) {}
  bool Valid() const override { return at_ != store_.end(); }
  void SeekToFirst() override { at_ = store_.begin(); }
  void Seek(const Slice& target) override {
    at_ = store_.lower_bound(std::string(target.data(), target.size()));
  }
  void Next() override { ++at_; }
  Slice key() const override { return {at_->first.data(), at_->first.size()}; }
  Slice value() const override { return {at_->second.data(), at_->second.size()}; }
  ForeignStatus status() const override { return at_end_; }

 private:
  const Store& store_;
  Store::const_iterator at_;
  ForeignStatus at_end_;
};

/// Nothing but the contract; not even const readers.
struct Smallest {
  int at = 0;
  std::string name = "k0";
  bool Valid() { return at < 3; }
  void Next() { name.back() = static_cast<char>('0' + ++at); }
  const std::string& key() { return name; }
  std::string_view value() { return "v"; }
};

}  // namespace

TEST_CASE("an iterator is owned through a smart pointer and borrowed through a pointer") {
  const Store store = many_pairs(300);
  CHECK(testing::to_string(testing::check_source([&] {
          return CursorSource(std::unique_ptr<Iterator>(std::make_unique<MapIterator>(store)));
        })) == "");
  MapIterator iterator(store);
  CursorSource source(static_cast<Iterator*>(&iterator));
  STATIC_REQUIRE(SeekableSource<decltype(source)>);
  CHECK(source.key() == store.begin()->first);
  CHECK(source.value() == store.begin()->second);
  source.seek(store.rbegin()->first);
  CHECK(source.key() == store.rbegin()->first);
  source.next();
  CHECK_FALSE(source.valid());
  CHECK(source.status().ok());
  CHECK_FALSE(iterator.Valid());
}

TEST_CASE("an iterator that the host has positioned stays where it is") {
  const Store store = {{"a", "1"}, {"b", "2"}};
  MapIterator iterator(store);
  iterator.Seek(Slice("b", 1));
  CHECK(CursorSource(&iterator, CursorStart::as_is).key() == "b");
  CHECK(CursorSource(&iterator).key() == "a");
}

TEST_CASE("the least iterator, held by value, is a source") {
  CursorSource source{Smallest{}};
  STATIC_REQUIRE_FALSE(SeekableSource<decltype(source)>);
  std::string keys;
  for (; source.valid(); source.next()) keys += std::string(source.key()) + ' ';
  CHECK(keys == "k0 k1 k2 ");
  CHECK(source.status().ok());
}

TEST_CASE("an iterator that makes its keys for the call is refused by the compiler") {
  struct MakesStrings {
    bool Valid() { return false; }
    void Next() {}
    std::string key() { return {}; }
    std::string value() { return {}; }
  };
  STATIC_REQUIRE(detail::ForeignCursorOrPointer<Smallest>);
  STATIC_REQUIRE_FALSE(detail::ForeignCursorOrPointer<MakesStrings>);
}

TEST_CASE("a foreign status keeps its meaning and its words") {
  const Store store = {{"a", "1"}};
  const auto [kind, code] = GENERATE(table<char, StatusCode>({{'c', StatusCode::corruption},
                                                              {'n', StatusCode::not_found},
                                                              {'s', StatusCode::unsupported},
                                                              {'i', StatusCode::io_error}}));
  MapIterator iterator(store, ForeignStatus(kind, "IO error: block 7 checksum mismatch"));
  CursorSource source(&iterator);
  source.next();
  CHECK_FALSE(source.valid());
  CHECK(source.status().code() == code);
  CHECK(source.status().message() ==
        "cannot read on in the store: IO error: block 7 checksum mismatch");
  struct OnlyOk {
    bool ok() const { return false; }
  };
  CHECK(status_from_foreign(OnlyOk{}, "cannot open the store").to_string() ==
        "io_error: cannot open the store");
}
