// SPDX-License-Identifier: Apache-2.0
// Any iterator with five functions is a source. This one makes its pairs up as it goes.
#include <array>
#include <cstdio>
#include <string>

#include <kvbackup/kvbackup.hpp>

// The first `count` squares, under eight-digit keys: sorted, as a source must be.
class Squares {
 public:
  explicit Squares(unsigned count) : count_(count) { make(); }

  bool valid() const { return at_ < count_; }
  kvbackup::ByteView key() const { return key_; }
  kvbackup::ByteView value() const { return value_; }
  void next() {
    ++at_;
    make();
  }
  kvbackup::Status status() const { return {}; }

 private:
  void make() {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%08u", at_);
    key_ = text.data();
    value_ = std::to_string(std::uint64_t{at_} * at_);
  }

  unsigned count_;
  unsigned at_ = 0;
  std::string key_;
  std::string value_;
};
static_assert(kvbackup::SortedSource<Squares>);

int main() {
  auto pipeline =
      kvbackup::BackupPipeline(Squares(1000), kvbackup::NoneCodec{}, kvbackup::FileHasher{},
                               kvbackup::LocalBackend("squares"));
  kvbackup::BackupOptions options;
  options.part_size = 4096;  // bytes of keys and values; small, to see several files
  const auto meta = pipeline.run(options);
  if (!meta.ok()) {
    std::fprintf(stderr, "%s\n", meta.status().to_string().c_str());
    return 1;
  }
  for (const kvbackup::File& file : meta.value().files) {
    std::printf("%s: %llu pairs\n", file.name.c_str(),
                static_cast<unsigned long long>(file.total_kvs));
  }
}
