// SPDX-License-Identifier: Apache-2.0
// Which keys were answered for, and by which answer.
#pragma once

#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/file_index.hpp"

namespace kvbackup::inline v1 {

/// The keys [start, end), an empty `end` is unbounded, and the files that hold them.
struct AnsweredRange {
  std::string start;
  std::string end;
  std::vector<File> files;

  friend bool operator==(const AnsweredRange&, const AnsweredRange&) = default;
};

/// Answers that do not overlap, by their first key. As in BR (br/pkg/rtree) a new answer puts out
/// every older one that it shares keys with: what nobody answers for then is a gap again. `Less`
/// orders keys as ByteView does; another one may count.
template <class Less = std::less<>>
class BasicRangeTree {
  struct Answer {
    std::string end;
    std::vector<File> files;
  };
  using Answers = std::map<std::string, Answer, Less>;

 public:
  explicit BasicRangeTree(Less less = {}) : answers_(std::move(less)) {}

  /// Takes an answer, whose range has room for a key. Gives the older ones it put out, whose files
  /// are of no backup now. O(log n) comparisons and some for each answer that it puts out.
  std::vector<AnsweredRange> insert(AnsweredRange answer) {
    std::vector<AnsweredRange> older;
    auto at = first_over(answers_, answer.start);
    while (at != answers_.end() && detail::begins_before(at->first, answer.end)) {
      auto node = answers_.extract(at++);
      older.push_back(
          {std::move(node.key()), std::move(node.mapped().end), std::move(node.mapped().files)});
    }
    answers_.emplace_hint(at, std::move(answer.start),
                          Answer{std::move(answer.end), std::move(answer.files)});
    return older;
  }

  /// Calls visit(files) for each answer that insert() would put out for [start, end).
  template <class Visit>
  void visit_overlapping(ByteView start, ByteView end, Visit&& visit) const {
    auto at = first_over(answers_, start);
    for (; at != answers_.end() && detail::begins_before(at->first, end); ++at) {
      visit(at->second.files);
    }
  }

  /// The parts of `asked` that no answer is for, in key order, each as long as it can be.
  [[nodiscard]] std::vector<KeyRange> gaps(const KeyRange& asked) const {
    std::vector<KeyRange> gaps;
    ByteView covered_to = asked.start;
    auto at = first_over(answers_, asked.start);
    for (; at != answers_.end() && detail::begins_before(at->first, asked.end); ++at) {
      if (at->first > covered_to) gaps.push_back({asked.cf, std::string(covered_to), at->first});
      if (at->second.end.empty()) return gaps;
      covered_to = at->second.end;
    }
    if (detail::begins_before(covered_to, asked.end)) {
      gaps.push_back({asked.cf, std::string(covered_to), asked.end});
    }
    return gaps;
  }

  [[nodiscard]] std::size_t size() const { return answers_.size(); }

  /// All of it in key order; the tree is empty then.
  [[nodiscard]] std::vector<AnsweredRange> take() {
    std::vector<AnsweredRange> all;
    all.reserve(answers_.size());
    while (!answers_.empty()) {
      auto node = answers_.extract(answers_.begin());
      all.push_back(
          {std::move(node.key()), std::move(node.mapped().end), std::move(node.mapped().files)});
    }
    return all;
  }

 private:
  // the first answer with keys at or above `start`
  template <class Map>
  static auto first_over(Map& answers, ByteView start) {
    auto at = answers.upper_bound(start);
    if (at != answers.begin() && detail::begins_before(start, std::prev(at)->second.end)) --at;
    return at;
  }

  Answers answers_;
};

using RangeTree = BasicRangeTree<>;

}  // namespace kvbackup::inline v1
