// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "unit/sst/parsed_table.hpp"

namespace sst_test {

using InMemoryTable = kvbackup::TableReader<kvbackup::MemoryFile, kvbackup::BuiltDecoders>;

/// What was read of a CountedFile.
struct ReadCount {
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> bytes{0};
};

/// Counts what is asked of it.
class CountedFile {
 public:
  CountedFile(kvbackup::MemoryFile file, std::shared_ptr<ReadCount> count)
      : file_(std::move(file)), count_(std::move(count)) {}
  [[nodiscard]] std::uint64_t size() const { return file_.size(); }
  [[nodiscard]] kvbackup::Result<kvbackup::ByteView> read(std::uint64_t offset, std::size_t length,
                                                          std::string& scratch) const {
    ++count_->reads;
    count_->bytes += length;
    return file_.read(offset, length, scratch);
  }

 private:
  kvbackup::MemoryFile file_;
  std::shared_ptr<ReadCount> count_;
};

inline InMemoryTable open_table(std::string bytes, kvbackup::TableReaderOptions options = {}) {
  auto reader = InMemoryTable::open(kvbackup::MemoryFile(std::move(bytes)), {}, std::move(options));
  if (!reader.ok()) throw std::runtime_error(reader.status().to_string());
  return std::move(reader).value();
}

/// The pairs of a source, to its end, which comes without an error.
template <class Source>
std::vector<Pair> pairs_of(Source source) {
  std::vector<Pair> out;
  for (; source.valid(); source.next()) out.emplace_back(source.key(), source.value());
  if (const kvbackup::Status status = source.status(); !status.ok()) {
    throw std::runtime_error(status.to_string());
  }
  return out;
}

/// "key00000007" and so on, with values that compress.
inline std::map<std::string, std::string> counted_pairs(std::size_t count) {
  std::map<std::string, std::string> out;
  for (std::size_t i = 0; i < count; ++i) {
    std::string number = std::to_string(i * 2);
    number.insert(0, 8 - number.size(), '0');
    out.emplace("key" + number, "value of " + number + std::string(i % 40, 'x'));
  }
  return out;
}

}  // namespace sst_test
