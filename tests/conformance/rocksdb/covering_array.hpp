// SPDX-License-Identifier: Apache-2.0
// Choices of option values in which every pair of values of two options occurs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace rocksdb_test {

/// One value's number for each option.
using Row = std::vector<std::size_t>;

/// Builds rows for options with `counts` values each, greedily and always the same.
class CoveringArray {
 public:
  CoveringArray(std::vector<std::size_t> counts, std::function<bool(const Row&)> allowed)
      : counts_(std::move(counts)), allowed_(std::move(allowed)), random_(1) {
    for (std::size_t a = 0; a < counts_.size(); ++a) {
      for (std::size_t b = a + 1; b < counts_.size(); ++b) add_pairs(a, b);
    }
    while (!missing_.empty()) add_row();
    pairwise_ = rows_.size();
  }

  /// The rows that hold every pair that is possible.
  [[nodiscard]] std::size_t pairwise() const { return pairwise_; }
  /// These, and random ones until there are `at_least`.
  [[nodiscard]] const std::vector<Row>& rows(std::size_t at_least) {
    while (rows_.size() < at_least) rows_.push_back(random_row());
    return rows_;
  }

 private:
  using Pair = std::tuple<std::size_t, std::size_t, std::size_t, std::size_t>;

  void add_pairs(std::size_t a, std::size_t b) {
    for (std::size_t i = 0; i < counts_[a]; ++i) {
      for (std::size_t j = 0; j < counts_[b]; ++j) {
        Row row(counts_.size(), 0);  // the first values go with all others
        row[a] = i;
        row[b] = j;
        if (allowed_(row)) missing_.emplace(a, i, b, j);
      }
    }
  }
  Row random_row() {
    for (;;) {
      Row row;
      for (const std::size_t count : counts_) row.push_back(random_() % count);
      if (allowed_(row)) return row;
    }
  }
  std::vector<Pair> news_of(const Row& row) const {
    std::vector<Pair> out;
    for (std::size_t a = 0; a < row.size(); ++a) {
      for (std::size_t b = a + 1; b < row.size(); ++b) {
        const Pair pair{a, row[a], b, row[b]};
        if (missing_.contains(pair)) out.push_back(pair);
      }
    }
    return out;
  }
  void add_row() {
    const auto [a, i, b, j] = *missing_.begin();
    Row best;
    std::vector<Pair> most;
    for (int attempt = 0; attempt < 60; ++attempt) {
      Row row = random_row();
      row[a] = i;
      row[b] = j;
      if (!allowed_(row)) continue;
      std::vector<Pair> news = news_of(row);
      if (news.size() > most.size()) {
        best = std::move(row);
        most = std::move(news);
      }
    }
    for (const Pair& pair : most) missing_.erase(pair);
    if (!most.empty()) rows_.push_back(std::move(best));
  }

  std::vector<std::size_t> counts_;
  std::function<bool(const Row&)> allowed_;
  std::mt19937 random_;
  std::set<Pair> missing_;
  std::vector<Row> rows_;
  std::size_t pairwise_ = 0;
};

}  // namespace rocksdb_test
